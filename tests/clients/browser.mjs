// A person at a real browser: signs in, approves, and says where the app was sent to. Knows the pages by what people see and by nothing else.
//
//   node browser.mjs code URL USERNAME      prints the redirect that carries the code
//   node browser.mjs device URL USERNAME    approves the device that shows this URL
//   node browser.mjs app URL USERNAME       either, for a program that waits for its answer
//
// DEMO names the demo.json with the passwords, CHROMIUM the browser.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

const passwordOf = (username) =>
  JSON.parse(readFileSync(process.env.DEMO)).users.find((user) => user.username === username).password;

/** A fresh browser, signed in nowhere, for the length of `visit`. */
async function visiting(visit) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
  try {
    const context = await browser.newContext({ locale: 'en' });
    context.setDefaultTimeout(20_000);
    return await visit(await context.newPage());
  } finally {
    await browser.close();
  }
}

async function signIn(page, username) {
  await page.locator('input[autocomplete="username"]').fill(username);
  await page.locator('input[autocomplete="current-password"]').fill(passwordOf(username));
  await page.locator('form:has(input[autocomplete="current-password"]) button').click();
}

/** Signs in for an app and lets it in; gives the redirect that the app would have received. */
export async function code(url, username) {
  const target = new URL(new URL(url).searchParams.get('redirect_uri'));
  return visiting(async (page) => {
    // The app's own listener: no app is there, so the browser is answered in its place.
    const sent = new Promise((resolve) => {
      page.route((address) => address.origin === target.origin && address.pathname === target.pathname, (route) => {
        resolve(route.request().url());
        return route.fulfill({ body: 'back in the app' });
      });
    });
    await page.goto(url);
    await signIn(page, username);
    const allow = page.locator('button[value="allow"]');
    const arrived = await Promise.race([sent, allow.waitFor().then(() => null)]);
    if (arrived) return arrived;
    await allow.click();
    return sent;
  });
}

/** Approves a device as its `verification_uri_complete` asks. */
export async function device(url, username) {
  return visiting(async (page) => {
    await page.goto(url);
    await signIn(page, username);
    await page.locator('button[value="allow"]').click();
    await page.waitForLoadState();
    return page.locator('h1').innerText();
  });
}

/** Signs in for a program that listens itself, or that waits for its device to be approved. */
export async function app(url, username) {
  if (new URL(url).pathname === '/device') return device(url, username);
  const { origin } = new URL(url);
  return visiting(async (page) => {
    await page.goto(url);
    await signIn(page, username);
    const allow = page.locator('button[value="allow"]');
    const there = page.waitForURL((address) => address.origin !== origin).then(() => true);
    if (!await Promise.race([there, allow.waitFor().then(() => false)])) await allow.click();
    await there;
    return page.locator('body').innerText();
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [what, url, username] = process.argv.slice(2);
  console.log(await { app, code, device }[what](url, username));
}
