import base64, hashlib, http.server, os, secrets, urllib.parse, webbrowser

import requests  # pip install requests

BASE = os.environ.get("MEDREQ_URL", "http://127.0.0.1:8080")
CLIENT = "demo-app"
SCOPE = "openid offline_access tickets:read tickets:write"
metadata = requests.get(f"{BASE}/.well-known/openid-configuration").json()

# 1. A listener on loopback receives the code; any free port will do.
class Redirect(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"You are signed in. Go back to the app.")

    def log_message(self, *_):
        pass  # the address has the code in it

listener = http.server.HTTPServer(("127.0.0.1", 0), Redirect)
redirect_uri = f"http://127.0.0.1:{listener.server_port}/callback"

# 2. The person signs in, in their own browser.
verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
webbrowser.open(metadata["authorization_endpoint"] + "?" + urllib.parse.urlencode({
    "response_type": "code", "client_id": CLIENT, "redirect_uri": redirect_uri, "scope": SCOPE,
    "state": state, "code_challenge": challenge, "code_challenge_method": "S256",
}))
listener.handle_request()
answer = listener.query
assert answer["state"] == [state] and answer["iss"] == [metadata["issuer"]], "not the answer to our question"

# 3. The code becomes tokens.
def token(**form):
    reply = requests.post(metadata["token_endpoint"], data={"client_id": CLIENT, **form})
    reply.raise_for_status()
    return reply.json()

tokens = token(grant_type="authorization_code", code=answer["code"][0], redirect_uri=redirect_uri, code_verifier=verifier)

# 4. The API.
def bearer():
    return {"Authorization": f"Bearer {tokens['access_token']}"}

tickets = requests.get(f"{BASE}/v1/tickets", params={"status": "open"}, headers=bearer()).json()
print(tickets["total"], "open tickets")

# 5. Before `expires_in` is over: the next pair. The old refresh token is spent.
tokens = token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

# 6. What happens, as it happens. After a break, send the last id again as the header Last-Event-ID: nothing is missed.
with requests.get(f"{BASE}/v1/events", headers=bearer(), stream=True) as events:
    print("following", events.headers["Content-Type"])
    # for line in events.iter_lines(): ...

# 7. Sign out: this ends the session and everything that came from it.
requests.post(metadata["revocation_endpoint"], data={"client_id": CLIENT, "token": tokens["refresh_token"]})
assert requests.get(f"{BASE}/v1/tickets", headers=bearer()).status_code == 401
