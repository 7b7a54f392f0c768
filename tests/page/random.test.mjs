// Pages play with a server and a network that break in every way that the seed says. When it is
// calm again, each log equals the server's, and everything written is there once and in order.
// PARLOR_SEED=7 plays one seed, PARLOR_SEEDS=1000 so many from 1 on; PARLOR_TRACE=1 prints the steps.

import assert from "node:assert/strict";
import test from "node:test";
import { isMainThread, Worker } from "node:worker_threads";
import { createScene, disorder } from "./scene.mjs";

const SEEDS = Number(process.env.PARLOR_SEEDS ?? 220);
const ROOMS = ["den", "attic"];

async function play(seed) {
  const scene = createScene(seed);
  const { clock, net, server, chance } = scene;
  const { below, pick, random } = chance;
  const isLossy = chance.chance(0.2); // This server keeps nothing over a restart.
  server.limits.catch_up = pick([5, 40, 1000]);
  server.limits.dedupe_ms = pick([20_000, 120_000]);
  server.limits.burst = pick([5, 20]);
  if (chance.chance(0.3)) server.storeMs = () => random() * 3000;
  const wrote = []; // { by, room, text }
  const retried = new Set();
  let wiped = 0;

  const people = [];
  for (let index = 0; index < 3; index += 1) {
    const tab = scene.tab();
    tab.load({ nick: `p${index}`, room: ROOMS[0] });
    tab.chat.join(ROOMS[1], { show: false }).catch(() => {});
    people.push({ index, tab });
  }
  await clock.run(2000);

  const links = () => [...net.links];
  const steps = {
    say() {
      const person = pick(people);
      const room = pick(ROOMS);
      const text = `${person.index} says ${wrote.length}`;
      const { message } = person.tab.chat.send(room, text, { kind: pick(["message", "action"]) });
      if (message) wrote.push({ by: person.index, room, text });
    },
    burst() {
      for (let count = below(30); count > 0; count -= 1) steps.say();
    },
    cut() {
      if (links().length) pick(links()).cut({ client: pick([0, 3000, Infinity]), server: pick([0, 5000, Infinity]) });
    },
    async deaf() {
      net.mode = "deaf";
      await clock.run(below(40_000));
      for (const link of links()) link.cut({ client: pick([0, Infinity]), server: pick([0, 20_000]) });
      net.mode = "open";
    },
    async refuse() {
      net.mode = "refusing";
      for (const link of links()) if (random() < 0.5) link.cut();
      await clock.run(below(60_000));
      net.mode = "open";
    },
    restart() {
      const wipe = isLossy && random() < 0.7;
      if (wipe) wiped += 1;
      server.restart({ code: pick([1006, 1001, 1012]), reason: '{"retry_ms":300}', wipe, keepSessions: !wipe && random() < 0.8 });
    },
    rewind() { server.rewind(pick(ROOMS)); },
    kill1013() { for (const peer of server.peers) if (random() < 0.5) peer.close(1013, "slow"); },
    fail() {
      server.failures[pick(["send", "join", "history"])] = [
        { code: "store_unavailable", retry_ms: 400 }, { code: "busy", retry_ms: 100 },
      ];
    },
    foreign() {
      for (let count = below(pick([3, 80])); count > 0; count -= 1) server.says(pick(ROOMS), "other", `o${below(1e9)}`);
    },
    revise() {
      const room = pick(ROOMS);
      const others = server.roomOf(room).entries.filter(({ nick, type, deleted }) => nick === "other" && type === "message" && !deleted);
      if (!others.length) return;
      const { seq } = pick(others.slice(-pick([3, 60])));
      const text = `e${below(1e9)}`;
      if (random() < 0.7) server.revise(room, seq, { text, edited: true }, { type: "edited", nick: "other", text });
      else server.revise(room, seq, { text: "", deleted: true }, { type: "deleted", by: "other" });
    },
    reload() {
      pick(people).tab.load();
    },
    sleep() { clock.sleep(below(200_000)); },
    wake() { pick(people).tab.chat.wake(); },
    typing() { pick(people).tab.chat.typing(pick(ROOMS)); },
    rename() { pick(people).tab.chat.rename(`n${below(1000)}`).catch(() => {}); },
    older() { pick(people).tab.chat.older(pick(ROOMS)); },
    show() { pick(people).tab.chat.show(pick(ROOMS)); },
    members() { pick(people).tab.chat.who(pick(ROOMS)).catch(() => {}); },
    around() { pick(people).tab.chat.around(pick(ROOMS), 1 + below(200)).catch(() => {}); },
    attention() { pick(people).tab.chat.setAttention({ focused: random() < 0.5 }); },
    gap() {
      const peer = pick([...server.peers]);
      const name = peer && pick([...peer.rooms]);
      if (!name) return;
      // A slow member: some entries are not sent to it.
      const { entries, members } = server.roomOf(name);
      members.delete(peer);
      const from = entries.length + 1;
      for (let count = 1 + below(5); count > 0; count -= 1) server.says(name, "other", `g${below(1e9)}`);
      members.set(peer, true);
      peer.send({ type: "gap", room: name, from, to: entries.length });
      peer.send({ type: "presence", room: name, lost: true });
    },
  };
  const names = Object.keys(steps);
  const weights = { say: 12, burst: 2, cut: 3, restart: 1, deaf: 0.5, refuse: 0.5, sleep: 0.5 };
  const bag = names.flatMap((name) => Array(Math.ceil(2 * (weights[name] ?? 1))).fill(name));
  for (let turn = 0; turn < 80; turn += 1) {
    const step = pick(bag);
    if (process.env.PARLOR_TRACE) console.log(clock.now() % 1e7, step);
    await steps[step]();
    await clock.run(below(pick([10, 500, 4000])));
    for (const { tab } of people) {
      for (const room of tab.chat.state.rooms.values()) assert.equal(disorder(room), null);
    }
  }

  // It is calm: everything comes to an end.
  server.failures = {};
  server.storeMs = () => 10;
  net.mode = "open";
  // What a store never stored because it was never asked again is stored with the next entry.
  for (const link of links()) link.cut({ client: 0, server: 0 });
  await clock.run(90_000);
  for (const { tab } of people) {
    for (const name of ROOMS) {
      const room = tab.chat.state.rooms.get(name);
      for (const { key, phase, text } of [...room.outgoing]) {
        if (phase !== "failed") continue;
        retried.add(text);
        tab.chat.retry(name, key);
      }
    }
  }
  await clock.run(90_000);
  for (const name of ROOMS) server.says(name, "other", "the end");
  await clock.run(10_000);

  for (const { tab, index } of people) {
    const { chat } = tab;
    assert.equal(chat.state.connection.phase, "open");
    for (const name of ROOMS) {
      const room = chat.state.rooms.get(name);
      assert.equal(room.phase, "joined");
      assert.deepEqual(room.outgoing, [], `person ${index} waits in ${name}`);
      assert.deepEqual(room.inner.queue, []);
      for (const item of [...room.items]) {
        if (item.kind !== "gap") continue;
        for (let tries = 0; tries < 20 && room.items.includes(item); tries += 1) {
          const fetched = chat.fetch(name, item.from, item.to);
          await clock.run(500);
          if (!(await fetched)) break;
        }
      }
      for (let tries = 0; room.hasOlder && tries < 100; tries += 1) {
        const older = chat.older(name);
        await clock.run(500);
        await older;
      }
      assert.equal(disorder(room), null);
      const shown = room.items.filter(({ seq }) => seq).map(({ seq, kind, nick, text, isEdited, isDeleted, of }) =>
        (of ? [seq, kind, of] : [seq, kind, nick, text, Boolean(isEdited), Boolean(isDeleted)]));
      const kept = server.roomOf(name).entries.map(({ seq, type, kind, nick, text, edited, deleted, of }) =>
        (of ? [seq, type, of] : [seq, kind, nick, text, Boolean(edited), Boolean(deleted)]));
      assert.deepEqual(shown, kept, `person ${index} in ${name}`);
    }
  }
  for (const name of ROOMS) {
    const log = server.texts(name);
    const places = new Map(log.map((text, place) => [text, place]));
    assert.equal(places.size, new Set(log).size);
    const counts = new Map();
    for (const text of log) counts.set(text, (counts.get(text) ?? 0) + 1);
    for (let by = 0; by < people.length; by += 1) {
      let last = -1;
      for (const { text } of wrote.filter((entry) => entry.room === name && entry.by === by)) {
        const count = counts.get(text) ?? 0;
        if (!wiped) assert.equal(count, 1, `"${text}" is there ${count} times`);
        assert.ok(count <= 1, `"${text}" is there ${count} times`);
        if (count) {
          // A message that failed and was tried again by hand comes later than what followed it.
          if (!retried.has(text)) assert.ok(places.get(text) > last, `"${text}" is out of order`);
          if (!retried.has(text)) last = places.get(text);
        }
      }
    }
  }
  // Requests that were delayed may arrive together: too fast for once, and they are asked again.
  assert.ok(server.tooFast < 10, `${server.tooFast} requests were too fast`);
  for (const { tab } of people) tab.chat.stop();
}

if (isMainThread) {
  // In a thread of its own, where the runner does not follow each promise: a third of the time.
  test("pages lose nothing, double nothing and keep the order, whatever breaks", { timeout: 600_000 }, async () => {
    const worker = new Worker(new URL(import.meta.url));
    await new Promise((resolve, reject) => worker.once("error", reject).once("exit", resolve));
  });
} else {
  const only = process.env.PARLOR_SEED;
  const seeds = only ? [Number(only)] : Array.from({ length: SEEDS }, (_, index) => index + 1);
  for (const seed of seeds) {
    try {
      await play(seed);
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
}
