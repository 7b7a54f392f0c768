// WebKitGTK's MiniBrowser over WebDriver, by selenium-webdriver, on a screen of Xvfb. A session of
// WebDriver is a browser process with storage of its own, so each person has a driver. Owns the
// processes that it starts; knows no page of the chat.
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { need } from "./packages.mjs";
import { start } from "./processes.mjs";

const { WebDriver, Capabilities, Key, Origin, logging } = need("selenium-webdriver");
const { HttpClient, Executor } = need("selenium-webdriver/http");
const LAUNCH_MS = 45000;
/** Longer than a page may take to load. */
const COMMAND_MS = 30000;
const QUIT_MS = 5000;

/** The driver did not answer a command: now and then it waits for ever for a key or a click. */
class DriverHangs extends Error {
  isOfTheDriver = true;
}

function inTime(answer, ms, command) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new DriverHangs(`no answer to ${command}`)), ms);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

function miniBrowser() {
  for (const folder of readdirSync("/usr/lib").map((name) => join("/usr/lib", name))) {
    for (const version of ["webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0"]) {
      const file = join(folder, version, "MiniBrowser");
      if (existsSync(file)) return file;
    }
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Xvfb picks a display that is free and writes its number. */
async function screen() {
  const xvfb = start("Xvfb", ["-displayfd", "1", "-screen", "0", "1600x1400x24", "-nolisten", "tcp"],
    { stdio: ["ignore", "pipe", "ignore"] });
  const number = await new Promise((resolve, reject) => {
    xvfb.on("error", () => reject(new Error("Xvfb is missing; install the package xvfb")));
    xvfb.on("exit", (code) => reject(new Error(`Xvfb ended with ${code}`)));
    xvfb.stdout.on("data", (data) => resolve(String(data).trim()));
  });
  return { display: `:${number}`, close: () => xvfb.kill() };
}

export async function launch() {
  const binary = miniBrowser();
  if (!binary || !existsSync("/usr/bin/WebKitWebDriver")) {
    throw new Error("WebKitWebDriver or MiniBrowser is missing; install the package webkit2gtk-driver");
  }
  const { display, close } = await screen();
  const home = mkdtempSync(join(tmpdir(), "parlor-webkit-"));
  const env = {
    PATH: process.env.PATH, HOME: home, XDG_RUNTIME_DIR: home, DISPLAY: display, GDK_BACKEND: "x11",
    LANG: "C.UTF-8", LANGUAGE: "en_US", NO_AT_BRIDGE: "1", GSETTINGS_BACKEND: "memory",
    LIBGL_ALWAYS_SOFTWARE: "1",
  };
  const open = new Set();
  return {
    version: "WebKitGTK",
    lanes: 1,
    async close() {
      await Promise.allSettled([...open].map((one) => one.close()));
      close();
      rmSync(home, { recursive: true, force: true });
    },
    async person(options) {
      const one = await session(binary, env, options);
      open.add(one);
      const { close: quit } = one;
      one.close = () => { open.delete(one); return quit(); };
      return one;
    },
  };
}

async function session(binary, env, { width, height }) {
  const port = await freePort();
  const driver = start("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], { env, stdio: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  await answers(url);
  const executor = new Executor(new HttpClient(url));
  const execute = executor.execute.bind(executor);
  executor.execute = (command) => inTime(execute(command), COMMAND_MS, command.getName());
  const capabilities = new Capabilities({
    browserName: "MiniBrowser", pageLoadStrategy: "normal",
    "webkitgtk:browserOptions": { binary, args: ["--automation"] },
  });
  const web = WebDriver.createSession(executor, capabilities, () => driver.kill());
  await web.getSession();
  await web.manage().setTimeouts({ script: 5000, pageLoad: 20000, implicit: 0 });
  const one = await view(web, { width, height });
  one.close = () => inTime(web.quit(), QUIT_MS, "quit").catch(() => {}).finally(() => driver.kill());
  return one;
}

/** Waits until the driver listens. */
async function answers(url) {
  const deadline = Date.now() + LAUNCH_MS;
  for (;;) {
    try { return void await fetch(`${url}/status`); } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const KEYS = { Control: Key.CONTROL, Shift: Key.SHIFT, Alt: Key.ALT, Meta: Key.META, Enter: Key.ENTER,
  Tab: Key.TAB, Escape: Key.ESCAPE, Backspace: Key.BACK_SPACE, Delete: Key.DELETE, Home: Key.HOME,
  End: Key.END, PageUp: Key.PAGE_UP, PageDown: Key.PAGE_DOWN, ArrowUp: Key.ARROW_UP,
  ArrowDown: Key.ARROW_DOWN, ArrowLeft: Key.ARROW_LEFT, ArrowRight: Key.ARROW_RIGHT, Space: " " };

async function view(web, { width, height }) {
  const act = (steps) => steps(web.actions({ async: true })).perform();
  const pointer = (x, y) => ({ x: Math.round(x), y: Math.round(y), origin: Origin.VIEWPORT, duration: 0 });
  const resize = async (wide, high) => {
    // The window has borders of the browser; the second request corrects for them.
    for (let extra = [0, 0], turn = 0; turn < 3; turn += 1) {
      await web.manage().window().setRect({ width: wide + extra[0], height: high + extra[1], x: 0, y: 0 });
      const [w, h] = await web.executeScript("return [innerWidth, innerHeight]");
      if (w === wide && h === high) return;
      extra = [extra[0] + wide - w, extra[1] + high - h];
    }
  };
  await resize(width, height);
  return {
    problems: [],
    goto: (url) => web.get(url),
    reload: () => web.navigate().refresh(),
    // A promise is awaited.
    evaluate: (body) => web.executeScript(`return ${body}`),
    click: (x, y) => act((a) => a.move(pointer(x, y)).click()),
    move: (x, y) => act((a) => a.move(pointer(x, y))),
    wheel: (x, y, by) => act((a) => a.scroll(Math.round(x), Math.round(y), 0, Math.round(by))),
    down: (key) => act((a) => a.keyDown(KEYS[key] ?? key)),
    up: (key) => act((a) => a.keyUp(KEYS[key] ?? key)),
    type: (text) => act((a) => a.sendKeys(...text)),
    resize,
    screenshot: async (file) => writeFileSync(file, await web.takeScreenshot(), "base64"),
  };
}
