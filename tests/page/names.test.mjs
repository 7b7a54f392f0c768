// Names, mentions and commands as texts.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { withoutControls } from "../../src/page/chat.js";
import { commandOf, commandsLike, COMMANDS } from "../../src/page/commands.js";
import { compareNames, foldRoom, isMentioned, mentionsOf, nearestRoomName, problemOf } from "../../src/page/names.js";

/** Read by tests of the server too (src/chat/nick/nearest.rs, src/chat/text.rs). */
const shared = JSON.parse(readFileSync(new URL("names.json", import.meta.url)));

test("names are what the server allows", () => {
  for (const name of shared.allowed) assert.equal(problemOf(name), null, name);
  for (const [name, problem] of shared.refused) assert.equal(problemOf(name), problem, name);
  // The page does not have all rules; it passes on what the server says to these.
  for (const name of shared.refused_by_the_server) assert.equal(problemOf(name), null, name);
});

test("a room has the name that the server gives it", () => {
  for (const [typed, name] of shared.rooms) {
    assert.equal(foldRoom(typed), name, typed);
    assert.equal(foldRoom(name), name);
  }
});

test("the nearest good name of a room is the one that the server suggests", () => {
  for (const [text, name] of shared.nearest) {
    assert.equal(nearestRoomName(text), name, text);
    if (name) assert.equal(problemOf(name), null);
  }
});

test("what is sent of a text is what the server would make of it", () => {
  for (const [text, sent] of shared.texts) {
    const clean = withoutControls(text);
    assert.equal(clean.trim() ? clean : null, sent);
  }
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
