"""requests-oauthlib against a demo server: code with PKCE, automatic refresh, client credentials. It fails where the scope differs from the request."""
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

from common import app, browser, metadata, redirect_uri, scope, service, tickets, url

session = OAuth2Session(
    app["client_id"], redirect_uri=redirect_uri, scope=scope.split(" "), pkce="S256",
    auto_refresh_url=metadata["token_endpoint"], auto_refresh_kwargs={"client_id": app["client_id"]},
    token_updater=lambda token: setattr(session, "token", token),
)
address, _ = session.authorization_url(metadata["authorization_endpoint"])
token = session.fetch_token(
    metadata["token_endpoint"], authorization_response=browser("code", address), include_client_id=True,
)
assert tickets(token["access_token"]) == 200
print("requests-oauthlib: code with PKCE")

session.token = {**token, "expires_at": 1, "expires_in": -1}
assert session.get(f"{url}/v1/tickets").status_code == 200
assert session.token["refresh_token"] != token["refresh_token"]
print("requests-oauthlib: refreshed by itself")

backend = OAuth2Session(client=BackendApplicationClient(client_id=service["client_id"], scope=["tickets:read"]))
own = backend.fetch_token(
    metadata["token_endpoint"], client_id=service["client_id"], client_secret=service["client_secret"],
)
assert tickets(own["access_token"]) == 200
print("requests-oauthlib: client credentials")
