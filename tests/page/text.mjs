// How a text is split: links and where they end, hosts that are not what is shown, names.
// Run by `node --test`.
import assert from "node:assert/strict";
import test from "node:test";
import { linesOf, partsOf } from "../../src/page/text.js";

const links = (line) => partsOf(line).filter((part) => part.kind === "link").map((part) => part.text);

test("a link ends before closing punctuation", () => {
  for (const end of [".", ",", ";", ":", "!", "?", "...", "。", "，", "、", "！", "？", "”", "’", "…",
    "'", "\"", ")", "）", "」", "》", ").", "]", "}", ">", "*", "　"]) {
    assert.deepEqual(links(`see https://example.org/a${end} next`), ["https://example.org/a"], end);
    assert.deepEqual(links(`https://example.org/a${end}`), ["https://example.org/a"], end);
  }
});

test("balanced brackets belong to the link", () => {
  assert.deepEqual(links("(https://en.example.org/Rust_(film))"), ["https://en.example.org/Rust_(film)"]);
  assert.deepEqual(links("https://example.org/a[1]"), ["https://example.org/a[1]"]);
  assert.deepEqual(links("[https://example.org/a]"), ["https://example.org/a"]);
});

test("letters of every script belong to the link", () => {
  assert.deepEqual(links("https://example.org/路径/שלום"), ["https://example.org/路径/שלום"]);
  assert.deepEqual(links("看（https://example.org/看），谢谢"), ["https://example.org/看"]);
});

test("all text is kept, in order", () => {
  for (const line of ["", "a", " https://a.example. b@c ann, https://b.example/?q=1&r=(2)) ", "http://", "https://[", "x".repeat(9)]) {
    const parts = partsOf(line, () => [[0, Math.min(1, line.length), "member"]]);
    assert.equal(parts.map((part) => part.text).join(""), line);
  }
});

test("only http and https are links", () => {
  for (const line of ["javascript:alert(1)", "ftp://a.example", "data:text/html,x", "https://", "www.example.org"]) {
    assert.deepEqual(links(line), [], line);
  }
});

test("controls of direction end a link and are no part of its address", () => {
  const [part] = partsOf("https://good.example/\u2067gro.live").filter(({ kind }) => kind === "link");
  assert.equal(part.text, "https://good.example/");
  assert.equal(part.href, "https://good.example/");
});

test("what turns text around is not shown in a line with a link, and stays elsewhere", () => {
  const texts = (line) => partsOf(line).map(({ text }) => text);
  assert.deepEqual(texts("\u202ea https://evil.example/\u202eb"), ["a ", "https://evil.example/b"]);
  assert.deepEqual(texts("\u202eabc"), ["\u202eabc"]);
});

test("the real host is shown where the text shows another", () => {
  const hosts = (line) => partsOf(line).map((part) => part.host);
  assert.deepEqual(hosts("https://bank.example@evil.example/a"), ["evil.example"]);
  assert.deepEqual(hosts("https://bаnk.example/"), ["xn--bnk-6cd.example"]);
  assert.deepEqual(hosts("https://bank.example\\@evil.example/"), [undefined]);
  assert.deepEqual(hosts("https://Example.org:443/a"), [undefined]);
  assert.deepEqual(hosts("http://0x7f000001/"), ["127.0.0.1"]);
});

test("names are parts of their own, and not within links", () => {
  const namesIn = (text) => [...text.matchAll(/ann/g)].map(({ index }) => [index, index + 3, "own"]);
  const parts = partsOf("ann: https://example.org/ann ann", namesIn).map(({ kind, text }) => [kind, text]);
  assert.deepEqual(parts, [["own", "ann"], ["text", ": "], ["link", "https://example.org/ann"], ["text", " "], ["own", "ann"]]);
});

test("lines beyond the most that are wanted are cut off", () => {
  assert.deepEqual(linesOf("a\nb\nc", 2), { lines: ["a", "b"], isCut: true });
  assert.deepEqual(linesOf("a\nb", 2), { lines: ["a", "b"], isCut: false });
  assert.equal(linesOf("\n".repeat(16000), 20).lines.length, 20);
});
