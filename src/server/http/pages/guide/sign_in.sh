BASE=${MEDREQ_URL:-http://127.0.0.1:8080} CLIENT=demo-app
umask 077   # tokens are for you alone

# 1. A program without a browser asks for a code; the person opens the address anywhere, on a phone for instance.
curl -sf "$BASE/oauth2/device_authorization" -d client_id=$CLIENT \
  --data-urlencode 'scope=openid offline_access tickets:read tickets:write' > device.json
echo "Open $(jq -r .verification_uri_complete device.json)"

# 2. It asks every few seconds whether they have.
until curl -s "$BASE/oauth2/token" -d client_id=$CLIENT \
  -d grant_type=urn:ietf:params:oauth:grant-type:device_code \
  -d device_code="$(jq -r .device_code device.json)" > tokens.json && jq -e .access_token tokens.json > /dev/null
do
  jq -e '.error | IN("authorization_pending", "slow_down")' tokens.json > /dev/null || exit 1
  sleep "$(jq .interval device.json)"
done

# 3. The API. The header goes into a file: a command line can be read by everybody on the machine.
jq -r '"Authorization: Bearer " + .access_token' tokens.json > header
curl -sf "$BASE/v1/tickets?status=open" -H @header | jq '.total'

# 4. Before `expires_in` is over: the next pair. The old refresh token is spent.
jq -r .refresh_token tokens.json | tr -d '\n' > refresh
curl -sf "$BASE/oauth2/token" -d client_id=$CLIENT -d grant_type=refresh_token \
  --data-urlencode refresh_token@refresh > tokens.json
jq -r '"Authorization: Bearer " + .access_token' tokens.json > header

# 5. What happens, as it happens; leave --max-time out to follow on. After a break, add -H 'Last-Event-ID: …': nothing is missed.
curl -sN --max-time 2 "$BASE/v1/events" -H @header || true

# 6. Sign out: this ends the session and everything that came from it.
jq -r .refresh_token tokens.json | tr -d '\n' > refresh
curl -sf "$BASE/oauth2/revoke" -d client_id=$CLIENT --data-urlencode token@refresh
rm -f device.json tokens.json header refresh
