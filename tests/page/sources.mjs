// What build.rs relies on when it leaves comments out of scripts and styles, and what every file of
// the page keeps to. Run by `node --test`.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

const folder = new URL("../../src/page/", import.meta.url);
const files = readdirSync(folder).filter((name) => /\.(js|css)$/.test(name))
  .map((name) => ({ name, lines: readFileSync(new URL(name, folder), "utf8").split("\n") }));

test("no literal is longer than a line, so that each line can be judged by itself", () => {
  for (const { name, lines } of files) {
    lines.forEach((line, at) => {
      const code = line.replace(/\\./g, "").replace(/^\s*(\/\/|\/?\*).*/, "");
      assert.equal((code.match(/`/g) ?? []).length % 2, 0, `${name}:${at + 1}: ${line}`);
    });
  }
});

test("a comment in asterisks has lines of its own", () => {
  for (const { name, lines } of files) {
    lines.forEach((line, at) => {
      const code = line.replace(/"[^"]*"|\/(?:[^/\\[]|\\.|\[[^\]]*\])+\/[a-z]*/g, "");
      if (/\/\*/.test(code)) assert.match(line, /^\s*\/\*/, `${name}:${at + 1}: ${line}`);
      if (/\*\//.test(code)) assert.match(line, /\*\/\s*$/, `${name}:${at + 1}: ${line}`);
    });
  }
});

test("every file begins with what it is", () => {
  for (const { name, lines } of files) assert.match(lines[0], /^(\/\/|\/\*) \S/, name);
});

test("text of others is inserted as text only", () => {
  const readsHtml =
    /innerHTML|outerHTML|insertAdjacentHTML|ContextualFragment|DOMParser|setHTML|srcdoc/;
  const runsText = /document\.write|\beval\b|\bFunction\(/;
  for (const { name, lines } of files) {
    lines.forEach((line, at) => {
      assert.doesNotMatch(line, readsHtml, `${name}:${at + 1}`);
      assert.doesNotMatch(line, runsText, `${name}:${at + 1}`);
    });
  }
});
