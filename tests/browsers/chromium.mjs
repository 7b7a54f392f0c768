// Chromium over its debugging protocol, by playwright-core. Each person has a context of its own.
// Owns one browser process; knows no page of the chat.
import { createHash, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { need, path } from "./packages.mjs";

const { chromium } = need("playwright-core");
const LAUNCH_MS = 30000;
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

/** The certificate of tests/tls is trusted, and no other that is signed by no public authority. */
const CERTIFICATE_HASH = createHash("sha256")
  .update(new X509Certificate(readFileSync(path("tests/tls/site.pem"))).publicKey.export({ type: "spki", format: "der" }))
  .digest("base64");

export async function launch() {
  const executablePath = process.env.CHROMIUM || PLACES.find(existsSync);
  if (!executablePath) throw new Error("Chromium is missing; install the package chromium");
  const browser = await chromium.launch({
    executablePath, timeout: LAUNCH_MS,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
      "--disable-background-networking", "--disable-component-update",
      `--ignore-certificate-errors-spki-list=${CERTIFICATE_HASH}`],
  });
  return {
    version: `Chromium ${browser.version()}`,
    lanes: 3,
    close: () => browser.close(),
    async person({ width, height, scale = 1, dark = false, locale = "en-US", touch = false, reducedMotion = false }) {
      const context = await browser.newContext({
        viewport: { width, height }, deviceScaleFactor: scale, locale, hasTouch: touch,
        colorScheme: dark ? "dark" : "light", reducedMotion: reducedMotion ? "reduce" : "no-preference",
        permissions: ["clipboard-read", "clipboard-write"],
      });
      return view(context, await context.newPage());
    },
  };
}

/** What pages and servers say to each other, for tests/outside/traffic.rs. */
const RECORDING = process.env.PARLOR_RECORDING;
const recorded = [];
if (RECORDING) process.on("exit", () => writeFileSync(RECORDING, recorded.join("")));

function record(page) {
  const side = (name) => ({ payload }) => { recorded.push(`${name} ${JSON.stringify(String(payload))}\n`); };
  page.on("websocket", (socket) => {
    socket.on("framesent", side("request"));
    socket.on("framereceived", side("sent"));
  });
}

function view(context, page) {
  if (RECORDING) record(page);
  const problems = [];
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => problems.push(String(error.stack || error)));
  page.on("dialog", (dialog) => { problems.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  return {
    problems,
    goto: (url) => page.goto(url, { waitUntil: "domcontentloaded" }),
    reload: () => page.reload({ waitUntil: "domcontentloaded" }),
    evaluate: (body) => page.evaluate(body),
    click: (x, y) => page.mouse.click(x, y),
    move: (x, y) => page.mouse.move(x, y),
    tap: (x, y) => page.touchscreen.tap(x, y),
    wheel: async (x, y, by) => { await page.mouse.move(x, y); await page.mouse.wheel(0, by); },
    down: (key) => page.keyboard.down(key),
    up: (key) => page.keyboard.up(key),
    type: (text) => page.keyboard.type(text),
    resize: (width, height) => page.setViewportSize({ width, height }),
    screenshot: (file) => page.screenshot({ path: file }),
    close: () => context.close(),
    // Only here:
    clip: (box) => page.screenshot({ clip: box }),
    offline: (is) => context.setOffline(is),
    devtools: () => context.newCDPSession(page),
    /** What a function returns in the frame of the page; null if the frame shows no page. */
    async inFrame(action, isExpected) {
      const frame = await (await page.waitForSelector("iframe")).contentFrame();
      await frame.waitForLoadState("load").catch(() => {});
      if (frame.url().startsWith("chrome-error:")) return null;
      if (isExpected) await frame.waitForFunction(action);
      return frame.evaluate(action);
    },
    /** The page that the action opens, in the same browsing session. */
    async opened(action) {
      const [other] = await Promise.all([context.waitForEvent("page"), action()]);
      return view(context, other);
    },
  };
}
