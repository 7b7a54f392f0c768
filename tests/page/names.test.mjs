// Names, mentions and commands as texts.

import assert from "node:assert/strict";
import test from "node:test";
import { commandOf, commandsLike, COMMANDS } from "../../src/page/commands.js";
import { compareNames, foldRoom, isMentioned, mentionsOf, nearestRoomName, problemOf } from "../../src/page/names.js";

test("names are what the server allows", () => {
  for (const name of ["ann", "Ann-2", "שרה", "小明", "a.b_c", "ñ", "นิด", "123", "x".repeat(32)]) assert.equal(problemOf(name), null, name);
  for (const [name, problem] of [["", "empty"], ["  ", "empty"], ["a b", "space"], ["c++", "character"], ["#den", "character"],
    ["🎉", "character"], ["---", "letter"], ["x".repeat(33), "long"], ["a\u202eb", "character"], ["a/b", "character"]]) {
    assert.equal(problemOf(name), problem, name);
  }
});

test("the nearest good name of a room is found for what newcomers type first", () => {
  for (const [text, name] of [
    ["#general", "general"], ["#General chat", "general-chat"], ["  My  Room! ", "my-room"], ["c++", "cplusplus"], ["C#", "csharp"],
    ["R&D", "r-d"], ["it's ok", "its-ok"], ["日本 語", "日本-語"], ["שיחה כללית", "שיחה-כללית"], ["party 🎉", "party"],
    ["@home", "home"], ["Ｗｉｄｅ", "wide"], [`${"word ".repeat(20)}`, "word-word-word-word-word-word-wo"],
    ["🎉", null], ["", null], ["###", null], ["- -", null],
  ]) {
    assert.equal(nearestRoomName(text), name, text);
    if (name) assert.equal(problemOf(name), null);
  }
});

test("names of rooms are compared as the server does", () => {
  assert.equal(foldRoom(" DEN "), "den");
  assert.equal(foldRoom("Straße"), foldRoom("STRASSE"));
  assert.equal(foldRoom("ΣΊΣΥΦΟΣ").length, 7);
});

test("a nick is mentioned where it stands as a word", () => {
  for (const text of ["ann", "hi Ann!", "@ann: yes", "(ANN)", "ann, bob", "你好ann你", "אann".slice(1), "ann's", "…ann…"]) {
    assert.ok(isMentioned(text, "ann"), text);
  }
  for (const text of ["anna", "joann", "ann-2", "ann_x", "x-ann", "", "an n"]) assert.ok(!isMentioned(text, "ann"), text);
  assert.ok(isMentioned("问小明吧", "小明"));
  assert.ok(isMentioned("שלום שרה.", "שרה"));
  assert.deepEqual(mentionsOf("ann and Ann", "ann"), [[0, 3], [8, 11]]);
  assert.deepEqual(mentionsOf("İİ ann", "ann"), [[3, 6]], "places are those of the text");
  assert.deepEqual(mentionsOf("anything", ""), []);
});

test("nicks are in the order of their code points", () => {
  const nicks = ["b", "a", "ab", "Z", "\u{10400}", "\uff21", "é", ""];
  const expected = [...nicks].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual([...nicks].sort(compareNames), expected);
});

test("every command has a usage and a help, and is found by its beginning", () => {
  for (const { name, usage, help } of COMMANDS) {
    assert.ok(usage.startsWith(`/${name}`));
    assert.equal(help, `help_${name}`);
    assert.ok(commandsLike(name.slice(0, 2)).some((command) => command.name === name));
  }
  assert.equal(commandOf("/KICK  bob  too loud ").args.rest, "too loud ".trim());
  assert.equal(commandOf("/part").command.name, "leave");
  assert.equal(commandOf("/me a\nb").args.text, "a\nb");
});

test("every help and every local line has its text in both languages", async () => {
  let texts;
  try {
    texts = [(await import("../../src/page/en.js")), (await import("../../src/page/zh.js"))];
  } catch (error) {
    assert.equal(error.code, "ERR_MODULE_NOT_FOUND");
    return;
  }
  const tables = texts.map((module) => module.default ?? Object.values(module)[0]);
  const keys = tables.map((table) => Object.keys(table).sort());
  assert.deepEqual(keys[0], keys[1]);
});
