// Firefox over WebDriver BiDi, by puppeteer-core. Each person has a user context of its own.
// Owns one browser process; knows no page of the chat.
import { existsSync } from "node:fs";
import { need } from "./packages.mjs";
import { own } from "./processes.mjs";

const puppeteer = need("puppeteer-core");
const LAUNCH_MS = 45000;
const PLACES = ["/usr/bin/firefox-esr", "/usr/bin/firefox"];

export async function launch() {
  const executablePath = process.env.FIREFOX || PLACES.find(existsSync);
  if (!executablePath) throw new Error("Firefox is missing; install the package firefox-esr");
  const browser = await puppeteer.launch({
    browser: "firefox", executablePath, headless: true, timeout: LAUNCH_MS, protocolTimeout: LAUNCH_MS,
    extraPrefsFirefox: {
      "intl.accept_languages": "en-US, en",
      "ui.systemUsesDarkTheme": 0,
      // Otherwise the first connections of the browser go to its maker.
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      // A page may open a connection again at once, and to many ports of one host.
      "network.websocket.delay-failed-reconnects": false,
    },
  });
  own(browser.process());
  return {
    version: (await browser.version()).replace("/", " "),
    lanes: 1,
    close: () => browser.close(),
    async person({ width, height, scale = 1 }) {
      const context = await browser.createBrowserContext();
      // A window each: of the tabs of one window all but one are hidden.
      const page = await context.newPage({ type: "window" });
      await page.setViewport({ width, height, deviceScaleFactor: scale });
      return view(context, page, scale);
    },
  };
}

function view(context, page, scale) {
  const problems = [];
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
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
    wheel: async (x, y, by) => { await page.mouse.move(x, y); await page.mouse.wheel({ deltaY: by }); },
    down: (key) => page.keyboard.down(key),
    up: (key) => page.keyboard.up(key),
    type: (text) => page.keyboard.type(text),
    resize: (width, height) => page.setViewport({ width, height, deviceScaleFactor: scale }),
    screenshot: (file) => page.screenshot({ path: file }),
    close: () => context.close(),
  };
}
