// npm openid-client, and its RFC 9068 validation by oauth4webapi, against a demo server: every grant it knows, and keys across a rotation.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { code, device } from './browser.mjs';

const demo = JSON.parse(readFileSync(process.env.DEMO));
const nurse = demo.users.find((user) => user.roles.includes('nurse')).username;
const [app] = demo.clients;
const scope = 'openid profile offline_access tickets:read tickets:write';
const discover = (id, secret) => client.discovery(new URL(demo.url), id, secret, secret ? undefined : client.None(), {
  execute: [client.allowInsecureRequests],
});
const api = (path, token) => fetch(demo.url + path, { headers: { authorization: `Bearer ${token}` } });

async function signIn(config) {
  const redirect_uri = new URL(app.redirect_uris[0]);
  redirect_uri.port = '49152'; // an app on loopback takes whatever port is free (RFC 8252 §7.3)
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirect_uri.href, scope, state: expectedState, nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  });
  const back = new URL(await code(url.href, nurse));
  return client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true });
}

/** The resource server's side: takes what RFC 9068 asks for and nothing else. */
async function validate(config, token) {
  const request = new Request(`${demo.url}/v1/tickets`, { headers: { authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(config.serverMetadata(), request, `${config.serverMetadata().issuer}/v1`, {
    [oauth.allowInsecureRequests]: true,
  });
}

const config = await discover(app.client_id);
const tokens = await signIn(config);
const { sub, sid } = tokens.claims();
assert.ok(sid && tokens.scope === scope && tokens.expires_in > 0);
assert.equal((await validate(config, tokens.access_token)).sub, sub);
assert.equal((await client.fetchUserInfo(config, tokens.access_token, sub)).preferred_username, nurse);
assert.equal((await api('/v1/tickets', tokens.access_token)).status, 200);
console.log('openid-client: code with PKCE, ID token, RFC 9068, userinfo');

const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
assert.notEqual(renewed.refresh_token, tokens.refresh_token);
const service = await discover(demo.service_account.client_id, demo.service_account.client_secret);
const own = await client.clientCredentialsGrant(service, { scope: 'tickets:read' });
assert.equal((await validate(service, own.access_token)).client_id, demo.service_account.client_id);
assert.equal((await client.tokenIntrospection(service, renewed.access_token)).active, true);
console.log('openid-client: refresh, client credentials, introspection');

// An orderly rotation publishes the new keys before they sign, and what the old ones signed goes on being good.
const rotate = (...more) => execFileSync(process.env.MEDREQ, ['keys', 'rotate', ...more, '--url', demo.url], { stdio: 'pipe' });
const kid = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid;
const published = async () => (await (await fetch(config.serverMetadata().jwks_uri)).json()).keys.map((key) => key.kid);
const before = await published();
rotate();
assert.equal((await published()).length, 2 * before.length);
await validate(await discover(app.client_id), renewed.access_token);
assert.equal((await api('/v1/tickets', renewed.access_token)).status, 200);
// `--now` is for keys that others have: nothing that they signed is believed, and the next token is signed by another.
rotate('--now', '--yes');
assert.ok((await published()).every((kid) => !before.includes(kid)));
assert.equal((await api('/v1/tickets', renewed.access_token)).status, 401);
const after = await client.refreshTokenGrant(config, renewed.refresh_token);
assert.ok(!before.includes(kid(after.access_token)));
await validate(await discover(app.client_id), after.access_token);
assert.equal((await api('/v1/tickets', after.access_token)).status, 200);
console.log('openid-client: keys across a rotation');

await client.tokenRevocation(config, after.refresh_token);
await assert.rejects(client.refreshTokenGrant(config, after.refresh_token), { error: 'invalid_grant' });
assert.equal((await client.tokenIntrospection(service, after.access_token)).active, false);
console.log('openid-client: revocation');

const cli = await discover('medreq-cli');
const waiting = await client.initiateDeviceAuthorization(cli, { scope });
const [, granted] = await Promise.all([
  device(waiting.verification_uri_complete, nurse),
  client.pollDeviceAuthorizationGrant(cli, waiting),
]);
assert.equal((await api('/v1/tickets', granted.access_token)).status, 200);
console.log('openid-client: device');
