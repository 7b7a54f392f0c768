// One person at one page: the same actions and observations over the three engines. An engine offers
// a few primitive ones (see chromium.mjs). Every wait is bounded and fails with what is on the screen.
import { writeFileSync } from "node:fs";
import { seen } from "./seen.mjs";

/** How long a person waits for what should follow at once. Long enough for a busy machine. */
export const PATIENCE_MS = 15000;
const PAUSE_MS = 25;
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

const literal = (value) => (value instanceof RegExp
  ? `{"source":${JSON.stringify(value.source)},"flags":${JSON.stringify(value.flags)}}`
  : JSON.stringify(value, (_, inner) => (inner instanceof RegExp ? { source: inner.source, flags: inner.flags } : inner)) ?? "undefined");

export class Person {
  constructor(view, nick) {
    this.view = view;
    this.nick = nick;
  }

  get problems() { return this.view.problems; }

  goto(url) { return this.view.goto(String(url)); }
  reload() { return this.view.reload(); }
  close() { return this.view.close(); }
  resize(width, height) { return this.view.resize(width, height); }

  /** Runs a function in the page, which gets `see` (of seen.mjs) and then the arguments. */
  evaluate(action, ...args) {
    return this.view.evaluate(`(${action})((globalThis.parlorSeen ??= (${seen})()), ${args.map(literal).join(", ")})`);
  }

  /** Waits until the function returns something true in the page, and returns it. */
  async until(what, action, ...args) {
    const deadline = Date.now() + PATIENCE_MS;
    let last;
    for (;;) {
      try {
        const value = await this.evaluate(action, ...args);
        if (value) return value;
        last = undefined;
      } catch (error) {
        last = error;
      }
      if (Date.now() > deadline) {
        const screen = await this.evaluate(() => document.body.innerText.replace(/\n+/g, " | ").slice(-700)).catch(String);
        throw new Error(`not seen: ${what}${last ? ` (${last.message})` : ""}; on the screen: ${screen}`);
      }
      await pause();
    }
  }

  /** Waits until the element is visible. */
  sees(target) { return this.until(`sees ${literal(target)}`, (see, t) => see.all(t).length > 0, target); }
  seesNot(target) { return this.until(`sees no ${literal(target)}`, (see, t) => see.all(t).length === 0, target); }

  /** Waits until a text is visible inside an element. */
  reads(text, target = "body") {
    return this.until(`reads ${literal(text)} in ${literal(target)}`, (see, t, part) =>
      see.all(t).some((e) => (typeof part === "string" ? e.innerText.includes(part) : new RegExp(part.source, part.flags).test(e.innerText))),
    target, text);
  }

  text(target) { return this.evaluate((see, t) => see.one(t).innerText, target); }
  value(target) { return this.evaluate((see, t) => see.one(t).value, target); }
  count(target) { return this.evaluate((see, t) => see.all(t).length, target); }
  rect(target) { return this.evaluate((see, t) => see.rect(t), target); }
  rectOfText(target, text, which = 0) {
    return this.evaluate((see, ...a) => see.rectOfText(...a), target, text, which);
  }
  /** What has the focus: its id, or its role and name. */
  focus() {
    return this.evaluate((see) => {
      const e = document.activeElement;
      return e.id ? `#${e.id}` : `${see.role(e) || e.tagName.toLowerCase()} ${see.name(e)}`;
    });
  }

  async click(target, text) {
    const [x, y] = await this.until(`can click ${literal(target)}`, (see, t, part) => see.spot(t, part ?? undefined), target, text ?? null);
    await this.view.click(x, y);
  }

  type(text) { return this.view.type(text); }

  /** Keys as in "Control+Shift+a", one after another. */
  async press(...keys) {
    for (const keyed of keys) {
      const parts = keyed.split(/\+(?=.)/);
      for (const key of parts) await this.view.down(key);
      for (const key of parts.reverse()) await this.view.up(key);
    }
  }

  async dismiss(dialog) {
    await this.press("Escape");
    await this.seesNot(dialog);
  }

  /** Replaces what is in a field by typing. */
  async fill(target, text) {
    await this.click(target);
    await this.press("Control+a", "Delete");
    if (text) await this.type(text);
  }

  /** Puts a text into the field that has the focus as pasting does, at once. */
  insert(text) {
    return this.evaluate((see, inserted) => { document.execCommand("insertText", false, inserted); }, text);
  }

  async wheel(target, by) {
    const { x, y, width, height } = await this.rect(target);
    await this.view.wheel(x + width / 2, y + height / 2, by);
  }

  screenshot(file) { return this.view.screenshot(file); }

  async describe(file) {
    await this.screenshot(`${file}.png`);
    writeFileSync(`${file}.html`, await this.evaluate(() => document.documentElement.outerHTML));
  }
}
