import { createHash, randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';

const BASE = process.env.MEDREQ_URL ?? 'http://127.0.0.1:8080';
const CLIENT = 'demo-app';
const metadata = await (await fetch(`${BASE}/.well-known/openid-configuration`)).json();

// 1. A listener on loopback receives the code; any free port will do.
const listener = createServer();
await new Promise((ready) => listener.listen(0, '127.0.0.1', ready));
const redirect_uri = `http://127.0.0.1:${listener.address().port}/callback`;
const redirected = new Promise((resolve) => {
  listener.on('request', (request, response) => {
    response.end('You are signed in. Go back to the app.');
    resolve(new URL(request.url, redirect_uri).searchParams);
  });
});

// 2. The person signs in, in their own browser.
const [verifier, state] = [randomBytes(48).toString('base64url'), randomBytes(16).toString('base64url')];
const url = `${metadata.authorization_endpoint}?${new URLSearchParams({
  response_type: 'code', client_id: CLIENT, redirect_uri, state,
  scope: 'openid offline_access tickets:read tickets:write',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
})}`;
execFile(process.env.BROWSER ?? 'xdg-open', [url]);
const answer = await redirected;
listener.close();
if (answer.get('state') !== state || answer.get('iss') !== metadata.issuer) throw new Error('not the answer to our question');

// 3. The code becomes tokens.
async function token(form) {
  const reply = await fetch(metadata.token_endpoint, {
    method: 'POST', body: new URLSearchParams({ client_id: CLIENT, ...form }),
  });
  if (!reply.ok) throw new Error((await reply.json()).error);
  return reply.json();
}
let tokens = await token({
  grant_type: 'authorization_code', code: answer.get('code'), redirect_uri, code_verifier: verifier,
});

// 4. The API.
const api = (path) => fetch(BASE + path, { headers: { authorization: `Bearer ${tokens.access_token}` } });
console.log((await (await api('/v1/tickets?status=open')).json()).total, 'open tickets');

// 5. Before `expires_in` is over: the next pair. The old refresh token is spent.
tokens = await token({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token });

// 6. What happens, as it happens. After a break, send the last id again as the header Last-Event-ID: nothing is missed.
const events = await api('/v1/events');
console.log('following', events.headers.get('content-type'));
// for await (const chunk of events.body) ...
await events.body.cancel();

// 7. Sign out: this ends the session and everything that came from it.
await fetch(metadata.revocation_endpoint, {
  method: 'POST', body: new URLSearchParams({ client_id: CLIENT, token: tokens.refresh_token }),
});
if ((await api('/v1/tickets')).status !== 401) throw new Error('still signed in');
