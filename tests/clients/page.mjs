// Two browsers chat through the page of a running server: node page.mjs URL [SCREENSHOT-FOLDER].
// CHROMIUM names the browser. Prints each failed check and exits with 1.
import { chromium } from "playwright-core";

const [url, screenshots] = process.argv.slice(2);
const WAIT = { timeout: 10000 };
const problems = [];
const check = (ok, what) => { if (!ok) problems.push(what); };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update"],
});

async function person(nick, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error") problems.push(`${nick}: ${message.text()}`); });
  page.on("pageerror", (error) => problems.push(`${nick}: ${error}`));
  page.on("dialog", (dialog) => { problems.push(`${nick}: a dialog`); dialog.dismiss(); });
  await page.goto(`${url}?room=attic&nick=${nick}`, WAIT);
  await page.waitForFunction((nick) => document.getElementById("own-nick").textContent === nick, nick, WAIT);
  return page;
}

const heard = (page, text) => page.waitForSelector(`#log .row:has-text("${text}")`, WAIT);

async function say(page, text) {
  await page.fill("#words", text);
  await page.press("#words", "Enter");
}

async function play() {
  const ann = await person("ann", { colorScheme: "light" });
  const bob = await person("bob", { colorScheme: "dark", viewport: { width: 390, height: 844 } });
  await heard(ann, "bob joined");

  await say(ann, "hello bob");
  await heard(bob, "hello bob");
  await say(bob, "hello ann");
  await heard(ann, "hello ann");
  check(await ann.locator("#log .own").count() === 1, "ann's own message is marked");
  check(await bob.locator("#log .message .nick").first().textContent() === "ann", "the nick is shown");
  check(await ann.locator("#state").textContent() === "Connected", "the state is shown");

  await say(ann, "<img src=x onerror=alert(1)>");
  await heard(bob, "<img src=x onerror=alert(1)>");
  check(await bob.locator("#log img").count() === 0, "HTML stays text");

  await say(ann, "שלום עולם, 你好 👩‍👩‍👧");
  await heard(bob, "שלום עולם, 你好 👩‍👩‍👧");
  await say(ann, "see https://example.org/a?b=c and " + "x".repeat(300));
  await heard(bob, "see https://example.org");
  check(await bob.locator("#log a").getAttribute("rel") === "noopener noreferrer", "a link is safe");
  const wide = await bob.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  check(!wide, "a long word wraps");

  await ann.fill("#words", "one");
  await ann.press("#words", "Shift+Enter");
  await ann.keyboard.type("two");
  await ann.press("#words", "Enter");
  await heard(bob, "two");
  const lines = await bob.locator("#log .body").last().innerText();
  check(lines === "one\ntwo", `lines are kept: ${JSON.stringify(lines)}`);

  await ann.fill("#words", "かな");
  await ann.dispatchEvent("#words", "keydown", { key: "Enter", isComposing: true });
  check(await ann.inputValue("#words") === "かな", "Enter while composing does not send");
  await ann.fill("#words", "");

  await say(bob, "/nick robert");
  await heard(ann, "bob is now known as robert");
  await say(bob, "/me to attic, evil\nann left");
  await heard(ann, "ann left");
  check(await ann.locator("#log .notice:has-text('ann left')").count() === 0, "an action is no notice");

  if (screenshots) {
    await ann.screenshot({ path: `${screenshots}/desktop-light.png` });
    await bob.screenshot({ path: `${screenshots}/phone-dark.png` });
  }

  await bob.context().close();
  await heard(ann, "robert left");
}

try {
  await play();
} catch (error) {
  problems.push(String(error));
} finally {
  await browser.close();
}
for (const problem of problems) console.log(problem);
process.exit(problems.length ? 1 : 0);
