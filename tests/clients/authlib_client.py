"""Authlib against a demo server: code with PKCE, ID token by the published keys, refresh, introspection, revocation, client credentials, device."""
import secrets
import time

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from common import app, browser, metadata, nurse, redirect_uri, scope, service, tickets

public = OAuth2Session(
    app["client_id"], scope=scope, redirect_uri=redirect_uri, code_challenge_method="S256",
    token_endpoint_auth_method="none", revocation_endpoint_auth_method="none",
)
verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
address, state = public.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
token = public.fetch_token(
    metadata["token_endpoint"], authorization_response=browser("code", address), state=state, code_verifier=verifier,
)
assert token["scope"] == scope and tickets(token["access_token"]) == 200
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
claims = jwt.decode(token["id_token"], keys, algorithms=metadata["id_token_signing_alg_values_supported"]).claims
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": metadata["issuer"]}, aud={"essential": True, "value": app["client_id"]},
    nonce={"essential": True, "value": nonce}, sub={"essential": True}, exp={"essential": True},
).validate(claims)
assert claims["preferred_username"] == nurse
print("authlib: code with PKCE, ID token")

renewed = public.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
assert renewed["refresh_token"] != token["refresh_token"]
confidential = OAuth2Session(service["client_id"], service["client_secret"], scope="tickets:read")
own = confidential.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
assert tickets(own["access_token"]) == 200
look = confidential.introspect_token(metadata["introspection_endpoint"], token=renewed["access_token"]).json()
assert look["active"] and look["username"] == nurse
print("authlib: refresh, client credentials, introspection")

public.revoke_token(metadata["revocation_endpoint"], token=renewed["refresh_token"], token_type_hint="refresh_token")
look = confidential.introspect_token(metadata["introspection_endpoint"], token=renewed["access_token"]).json()
assert look == {"active": False}, look
try:
    public.refresh_token(metadata["token_endpoint"], refresh_token=renewed["refresh_token"])
    raise SystemExit("a revoked token was refreshed")
except OAuthError as refused:
    assert refused.error == "invalid_grant", refused.error
print("authlib: revocation")

command_line = OAuth2Session("medreq-cli", token_endpoint_auth_method="none")
waiting = requests.post(
    metadata["device_authorization_endpoint"], data={"client_id": "medreq-cli", "scope": scope}, timeout=10,
).json()
browser("device", waiting["verification_uri_complete"])
deadline = time.monotonic() + 60
while True:
    try:
        granted = command_line.fetch_token(
            metadata["token_endpoint"], grant_type="urn:ietf:params:oauth:grant-type:device_code",
            device_code=waiting["device_code"],
        )
        break
    except OAuthError as refused:
        assert refused.error in {"authorization_pending", "slow_down"} and time.monotonic() < deadline, refused.error
        time.sleep(waiting["interval"])  # RFC 8628: the server says how long to wait
assert tickets(granted["access_token"]) == 200
print("authlib: device")
