// Walks the sign-in pages as people do, in a real Chromium; see tests/pages. Uses nothing but what a person sees, except to read results.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const { MEDREQ, MEDREQ_URL: url, MEDREQ_DATA, MEDREQ_WORK, CHROMIUM, PICTURES } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const demo = JSON.parse(readFileSync(`${MEDREQ_DATA}/demo.json`, "utf8"));
const run = promisify(execFile);

const LANGUAGES = { en: "en-GB", pt: "pt-BR" };
const SIZES = { phone: { width: 360, height: 740 }, pc: { width: 1280, height: 800 } };
const SMALLEST = 320;

// The app: it keeps what it is answered and shows a page, so that the browser has arrived somewhere.
const answers = [];
const app = createServer((request, response) => {
  const address = new URL(request.url, "http://app");
  if (address.search) answers.push(address.searchParams);
  response.end("the app goes on");
});
await new Promise((listening) => app.listen(0, "127.0.0.1", listening));
const callback = `http://127.0.0.1:${app.address().port}${new URL(demo.clients[0].redirect_uris[0]).pathname}`;

const admin = demo.users.find((user) => user.roles.includes("admin"));
const adminToken = (await run(MEDREQ, ["user", "token", admin.username, "--ttl", "60m", "--data-dir", MEDREQ_DATA])).stdout.trim();

async function api(method, path, body, token = adminToken) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

async function form(path, fields) {
  const response = await fetch(url + path, { method: "POST", body: new URLSearchParams(fields) });
  return { status: response.status, body: await response.json() };
}

function authorization(more = {}) {
  const verifier = randomBytes(32).toString("base64url");
  const query = new URLSearchParams({
    response_type: "code",
    client_id: demo.clients[0].client_id,
    redirect_uri: callback,
    scope: "openid profile offline_access tickets:read tickets:write",
    state: "from the app",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...more,
  });
  return { address: `${url}/oauth2/authorize?${query}`, verifier };
}

class Walk {
  constructor(context, language, size) {
    Object.assign(this, { context, language, size, seen: 0 });
  }

  async begin() {
    this.page = await this.context.newPage();
    this.page.on("console", (message) => {
      if (/Content Security Policy|Refused to/.test(message.text())) this.broken = message.text();
    });
  }

  // Looks at the page that is shown: a picture, what axe finds, and whether a small phone would have to scroll sideways.
  async look(name) {
    assert.equal(this.broken, undefined, `${name}: the policy of the page refused something`);
    const lang = await this.page.locator("html").getAttribute("lang");
    assert.equal(lang, this.language === "pt" ? "pt-BR" : "en", name);
    await this.page.screenshot({ path: `${PICTURES}/${this.language}-${this.size}-${name}.png`, fullPage: true });
    const found = await this.page.evaluate(`${axe}; axe.run().then((found) => found.violations)`);
    const grave = found.filter((violation) => ["serious", "critical"].includes(violation.impact));
    assert.deepEqual(grave.map((violation) => [violation.id, violation.nodes.map((node) => node.html)]), [], name);
    if (this.size === "phone") {
      await this.page.setViewportSize({ width: SMALLEST, height: 568 });
      const wide = await this.page.evaluate("document.documentElement.scrollWidth");
      assert.ok(wide <= SMALLEST, `${name} is ${wide} wide`);
      await this.page.setViewportSize(SIZES.phone);
    }
    this.seen += 1;
  }

  // By keyboard alone: the cursor waits in the first field, Tab goes on, Enter sends.
  async type(...texts) {
    // A busy machine loads a page before it moves the cursor there.
    await this.page.waitForFunction("document.activeElement.matches('input')");
    for (const [at, text] of texts.entries()) {
      if (at > 0) await this.page.keyboard.press("Tab");
      if (text) await this.page.keyboard.insertText(text);
    }
    const arrived = this.page.waitForNavigation();
    await this.page.keyboard.press("Enter");
    await arrived;
  }

  async press(selector) {
    const arrived = this.page.waitForNavigation();
    await this.page.locator(selector).click();
    await arrived;
  }

  at(path) {
    assert.equal(new URL(this.page.url()).pathname, path);
  }
}

// From the app to the code and on to a token.
async function appFlow(walk, user) {
  const { address, verifier } = authorization();
  await walk.page.goto(address);
  walk.at("/login");
  await walk.look("login");
  await walk.type(user.username, "not the password");
  await walk.look("login-wrong");
  assert.equal(await walk.page.evaluate("document.activeElement.id"), "password");
  await walk.type(user.password);
  walk.at("/oauth2/authorize");
  await walk.look("consent");
  await walk.press("button[value=deny]");
  assert.equal(answers.pop().get("error"), "access_denied");
  await walk.page.goto(address);
  await walk.press("button[value=allow]");
  assert.match(await walk.page.content(), /the app goes on/);
  const answer = answers.pop();
  assert.equal(answer.get("state"), "from the app");
  assert.ok(answer.get("iss").startsWith("http://127.0.0.1:"));
  const code = { grant_type: "authorization_code", code: answer.get("code"), redirect_uri: callback };
  const token = await form("/oauth2/token", { ...code, client_id: demo.clients[0].client_id, code_verifier: verifier });
  assert.equal(token.status, 200, JSON.stringify(token.body));
  assert.ok(token.body.access_token && token.body.refresh_token && token.body.id_token);
  const me = await api("GET", "/auth/v1/me", undefined, token.body.access_token);
  assert.equal(me.username, user.username);
  await walk.page.goto(authorization({ redirect_uri: "http://127.0.0.1/elsewhere" }).address);
  await walk.look("not-valid");
}

async function deviceFlow(walk) {
  const start = () => form("/oauth2/device_authorization", { client_id: "medreq-cli", scope: "tickets:read", device_name: "PC of the central pharmacy" });
  const poll = (device) => form("/oauth2/token", { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: device.device_code, client_id: "medreq-cli" });
  const device = (await start()).body;
  await walk.page.goto(device.verification_uri);
  await walk.look("device");
  await walk.type("BCDF-GHJK");
  await walk.look("device-unknown");
  await walk.page.keyboard.press("Control+a");
  await walk.type(device.user_code.toLowerCase().replace("-", " "));
  await walk.look("device-sure");
  assert.ok((await walk.page.locator("main").innerText()).includes(device.user_code));
  await walk.press("button[value=allow]");
  await walk.look("device-done");
  const token = await poll(device);
  assert.equal(token.status, 200, JSON.stringify(token.body));
  const other = (await start()).body;
  await walk.page.goto(other.verification_uri_complete);
  await walk.press("button[value=deny]");
  await walk.look("device-not");
  assert.equal((await poll(other)).body.error, "access_denied");
}

async function accountFlow(walk, user) {
  await walk.page.goto(`${url}/account`);
  await walk.look("account");
  assert.ok((await walk.page.locator(".cards li").count()) >= 3, "this browser, the app, the device");
  await walk.press(".cards button >> nth=0");
  await walk.look("account-ended");
  await api("PATCH", `/auth/v1/users/${encodeURIComponent(user.username)}`, { must_change_password: true });
  await walk.page.goto(`${url}/account`);
  walk.at("/account/password");
  await walk.look("must-change");
  await walk.type(user.password, "a password of my own", "another one");
  await walk.look("must-change-wrong");
  await walk.page.goto(`${url}/account/password`);
  await walk.type(user.password, "a password of my own", "a password of my own");
  walk.at("/account");
  await walk.look("account-changed");
  const link = await api("POST", `/auth/v1/users/${encodeURIComponent(user.username)}/reset-link`);
  await walk.page.goto(link.url);
  await walk.look("reset");
  await walk.type(user.password, user.password);
  await walk.look("reset-done");
  await walk.page.goto(link.url);
  await walk.look("reset-spent");
  await walk.page.goto(`${url}/account`);
  walk.at("/login");
}

// What an authenticator app shows for a key (RFC 6238), `steps` of 30 seconds from now.
function totp(key, steps) {
  const bits = [...key.replaceAll(" ", "")].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const mac = createHmac("sha1", Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))).update(counter).digest();
  return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

// The policy asks for a second factor: set up, used, made anew, taken away.
async function factorFlow(walk, user) {
  const signIn = async () => {
    await walk.page.goto(`${url}/login`);
    await walk.type(user.username, user.password);
  };
  const shown = () => walk.page.locator(".codes li").allInnerTexts();
  await api("PUT", "/auth/v1/policy", { second_factor_required_for: user.roles });
  await signIn();
  walk.at("/account/factor");
  await walk.look("factor-begin");
  await walk.press("main button");
  const key = await walk.page.locator("#key").innerText();
  await walk.look("factor-enrol");
  await walk.type("123");
  await walk.look("factor-enrol-wrong");
  assert.equal(await walk.page.locator("#key").innerText(), key);
  await walk.type(totp(key, 0));
  await walk.look("factor-codes");
  await walk.page.emulateMedia({ media: "print" });
  assert.ok(!(await walk.page.locator("header").isVisible()) && (await walk.page.locator(".codes").isVisible()), "it prints");
  await walk.page.emulateMedia({ media: "screen" });
  const codes = await shown();
  assert.equal(codes.length, 10);
  await walk.press("main .button");
  walk.at("/account");
  await walk.look("account-factor");
  await api("PUT", "/auth/v1/policy", { second_factor_required_for: [] });

  await walk.press("header button");
  await signIn();
  walk.at("/login/factor");
  await walk.look("factor");
  await walk.type("000000000");
  await walk.look("factor-wrong");
  await walk.type(totp(key, 1));
  walk.at("/account");
  await walk.press("header button");
  await signIn();
  await walk.type(codes[0]);
  walk.at("/account");

  await walk.page.goto(`${url}/account/factor/codes`);
  await walk.look("factor-renew");
  await walk.type(codes[1]);
  await walk.look("factor-renewed");
  const renewed = await shown();
  await walk.page.goto(`${url}/account/factor/remove`);
  await walk.look("factor-remove");
  await walk.type(renewed[0]);
  walk.at("/account");
  await walk.look("account-factor-removed");
}

// A hospital that nobody administers yet: its link, from the console.
async function freshHospital() {
  const server = spawn(MEDREQ, ["up", "--data-dir", `${MEDREQ_WORK}/fresh`, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "ignore"] });
  for await (const line of createInterface(server.stdout)) {
    const link = line.match(/http:\S+\/setup\/\S+/);
    if (link) return { link: link[0], stop: () => server.kill() };
  }
  throw new Error("a fresh hospital shows no link");
}

async function setupFlow(walk, link, name) {
  await walk.page.goto(link);
  await walk.look("setup");
  await walk.type(name, "Chefe da TI", "a password of my own", "another one");
  await walk.look("setup-wrong");
  await walk.page.goto(`${url}/setup/anything`);
  await walk.look("setup-spent");
}

// The developers' guide, which is in English for everybody.
async function guideFlow(walk) {
  await walk.page.goto(`${url}/docs/apps`);
  await walk.look("guide");
}

const hospital = await freshHospital();
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
try {
  const users = demo.users.filter((user) => user.roles.includes("nurse") || user.roles.includes("pharmacist"));
  let at = 0;
  for (const [language, locale] of Object.entries(LANGUAGES)) {
    for (const size of Object.keys(SIZES)) {
      const user = users[at++];
      const context = await browser.newContext({ locale, viewport: SIZES[size] });
      const walk = new Walk(context, language, size);
      await walk.begin();
      await appFlow(walk, user);
      await deviceFlow(walk);
      await accountFlow(walk, user);
      await factorFlow(walk, user);
      await setupFlow(walk, hospital.link, `chefe-${at}`);
      if (language === "en") await guideFlow(walk);
      await context.close();
      console.log(`${language}, ${size}: ${walk.seen} pages seen`);
    }
  }
} finally {
  await browser.close();
  hospital.stop();
  app.close();
}
