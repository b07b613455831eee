"""What the Python clients share: the demo's people, a browser, and requests to the API."""
import json
import os
import pathlib
import subprocess

import requests

demo = json.loads(pathlib.Path(os.environ["DEMO"]).read_text())
url = demo["url"]
nurse = next(user["username"] for user in demo["users"] if "nurse" in user["roles"])
app = demo["clients"][0]
redirect_uri = app["redirect_uris"][0].replace("127.0.0.1", "127.0.0.1:49153")
service = demo["service_account"]
scope = "openid profile offline_access tickets:read tickets:write"
metadata = requests.get(f"{url}/.well-known/openid-configuration", timeout=10).json()
# Both libraries refuse plain http but for this: the demo listens on loopback alone.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"


def browser(what, address):
    """Signs the nurse in by a real browser; gives the redirect, or the page's heading."""
    script = pathlib.Path(os.environ["CLIENTS"]) / "browser.mjs"
    done = subprocess.run(["node", script, what, address, nurse], check=True, capture_output=True, text=True, timeout=120)
    return done.stdout.strip()


def tickets(token):
    """The status of a first request to the API."""
    return requests.get(f"{url}/v1/tickets", headers={"authorization": f"Bearer {token}"}, timeout=10).status_code
