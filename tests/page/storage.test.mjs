// What a tab and a person remember, and that a copy of a tab is not its original.

import assert from "node:assert/strict";
import test from "node:test";
import { createStorage } from "../../src/page/storage.js";
import { createClock, createRandom, createStore } from "./world.mjs";

/** navigator.locks, as far as the page uses them. */
function createLocks() {
  const held = new Set();
  const waiting = [];
  return {
    request(name, { signal }, action) {
      return new Promise((resolve, reject) => {
        const take = () => {
          held.add(name);
          resolve(action());
        };
        if (!held.has(name)) return take();
        waiting.push({ name, take });
        signal.addEventListener("abort", () => reject(Object.assign(new Error("aborted"), { name: "AbortError" })));
      });
    },
    release(name) {
      held.delete(name);
      waiting.find((one) => one.name === name)?.take();
    },
  };
}

function createChannels(clock) {
  const lines = new Set();
  return () => {
    const line = { onmessage: null, postMessage(data) {
      for (const other of lines) if (other !== line) clock.setTimeout(() => { clock.touch(); other.onmessage?.({ data }); });
    } };
    lines.add(line);
    return line;
  };
}

const clock = createClock();
const { random } = createRandom(7);
const timers = (action, ms) => clock.setTimeout(() => { clock.touch(); action(); }, ms);
const open = (options) => createStorage({ local: createStore(), random, setTimeout: timers, ...options });

for (const [name, means] of [["locks", () => ({ locks: createLocks() })], ["a channel", () => ({ channel: createChannels(clock) })]]) {
  test(`a duplicated tab begins a session of its own, by ${name}`, async () => {
    const shared = means();
    const session = createStore();
    const original = open({ session, ...shared });
    await clock.during(original.claim());
    Object.assign(original.tab, { secret: "s", label: "l", nick: "ann", rooms: [{ name: "den", outgoing: [{ key: "k" }] }] });
    original.save();
    const copy = open({ session: session.copy(), ...shared });
    await clock.during(copy.claim());
    assert.equal(copy.tab.secret, undefined);
    assert.notEqual(copy.tab.id, original.tab.id);
    assert.deepEqual(copy.tab.rooms, [{ name: "den", outgoing: [] }]);
    assert.equal(original.tab.secret, "s");
  });

  test(`a tab that is loaded again goes on, by ${name}`, async () => {
    const shared = means();
    const session = createStore();
    const first = open({ session, ...shared });
    await clock.during(first.claim());
    first.tab.secret = "s";
    first.save();
    // The old page holds its lock for a moment longer; it answers no questions.
    if (shared.locks) clock.setTimeout(() => { clock.touch(); shared.locks.release(`parlor.tab.${first.tab.id}`); }, 300);
    const again = open({ session, ...(shared.locks ? shared : means()) });
    await clock.during(again.claim());
    assert.equal(again.tab.secret, "s");
  });
}

test("without storage, locks and channels the page works and remembers nothing", async () => {
  const refusing = { getItem() { throw new Error("no"); }, setItem() { throw new Error("no"); }, removeItem() { throw new Error("no"); } };
  for (const store of [null, refusing]) {
    const storage = open({ session: store, local: store });
    await clock.during(storage.claim());
    storage.nick = "ann";
    storage.setDraft("den", "text");
    assert.equal(storage.nick, "");
    assert.equal(storage.draft("den"), "");
    assert.equal(storage.setting("theme"), undefined);
    assert.equal(storage.save(), false);
  }
});

test("what is stored and broken counts as nothing", async () => {
  const session = createStore();
  for (const broken of ["{broken", "7", '"text"', "null", '{"rooms":7}']) {
    session.setItem("parlor.tab", broken);
    assert.deepEqual(open({ session }).tab.rooms, []);
  }
});

test("settings, drafts and nick are the person's in every tab", () => {
  const local = createStore();
  const one = open({ session: createStore(), local });
  const other = open({ session: createStore(), local });
  one.nick = "ann";
  one.setSetting("theme", "dark");
  one.setDraft("den", "half");
  assert.deepEqual([other.nick, other.setting("theme"), other.draft("den")], ["ann", "dark", "half"]);
  one.setDraft("den", "");
  assert.equal(other.draft("den"), "");
});
