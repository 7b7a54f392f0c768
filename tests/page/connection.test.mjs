// Whether the page notices what its connection is worth, and when it connects again.

import assert from "node:assert/strict";
import test from "node:test";
import { createConnection, isFinal } from "../../src/page/connection.js";
import { createScene, room, texts } from "./scene.mjs";

const phase = (me) => me.chat.state.connection.phase;

test("a dead connection is noticed after silence, without any event of the browser", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(10_000);
  net.mode = "deaf";
  await clock.run(server.pingAfterMs + 10_500);
  assert.notEqual(phase(ann), "open");
  net.mode = "open";
  await clock.until(() => room(ann.chat).phase === "joined");
});

test("a dead connection is noticed within seconds of waking", async () => {
  const { clock, net, page } = createScene();
  const ann = await page("ann");
  await clock.run(10_000);
  for (const link of net.links) link.cut({ client: Infinity, server: Infinity });
  clock.sleep(3_600_000);
  ann.chat.wake();
  await clock.run(7_500);
  assert.equal(net.attempts, 2);
  assert.equal(room(ann.chat).phase, "joined");
});

test("a dead connection is noticed after sleep even if no event says that the computer woke", async () => {
  const { clock, net, page } = createScene();
  const ann = await page("ann");
  await clock.run(10_000);
  for (const link of net.links) link.cut({ client: Infinity, server: Infinity });
  clock.sleep(3_600_000);
  await clock.run(7_500);
  assert.equal(net.attempts, 2);
  assert.equal(room(ann.chat).phase, "joined");
});

test("a living connection survives sleep", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(10_000);
  clock.sleep(50_000);
  ann.chat.wake();
  await clock.run(20_000);
  assert.equal(net.attempts, 1);
  server.says("den", "bob", "hello");
  await clock.run(100);
  assert.deepEqual(texts(ann.chat), ["hello"]);
});

test("a message that is not answered leads to a new connection, and is sent again", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(10_000);
  for (const link of net.links) link.cut({ client: Infinity, server: Infinity });
  ann.chat.send("den", "hello");
  assert.equal(room(ann.chat).outgoing[0].phase, "sending");
  await clock.until(() => server.texts("den").length === 1, 30_000);
  await clock.until(() => room(ann.chat).outgoing.length === 0);
});

test("an attempt that is never answered is given up after ten seconds", async () => {
  const { clock, net, tab } = createScene();
  net.mode = "deaf";
  const ann = tab();
  ann.load({ room: "den", nick: "ann" });
  await clock.run(10_100);
  assert.equal(phase(ann), "waiting");
  net.mode = "open";
  await clock.until(() => room(ann.chat).phase === "joined");
});

test("a server that accepts and then says nothing is given up too", async () => {
  const { clock, server, tab } = createScene();
  server.greet = () => true;
  const ann = tab();
  ann.load({ room: "den", nick: "ann" });
  await clock.run(10_100);
  assert.equal(phase(ann), "waiting");
});

test("connections that are closed with 1013 at once come rarer and rarer", async () => {
  const { clock, net, server, tab } = createScene();
  const ann = tab();
  ann.load({ room: "den", nick: "ann" });
  const fight = () => {
    for (const peer of server.peers) if (peer.rooms.size) peer.close(1013, "too busy");
    clock.setTimeout(fight, 100);
  };
  fight();
  await clock.run(30_000);
  assert.ok(net.attempts <= 7, `${net.attempts} attempts in 30 s`);
  await clock.run(600_000);
  assert.ok(net.attempts <= 27, `${net.attempts} attempts in 10 min`);
});

test("after a connection that worked for some seconds the next attempt comes soon", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  for (let round = 0; round < 5; round += 1) {
    await clock.run(8_000);
    const before = net.attempts;
    for (const peer of [...server.peers]) peer.close(1013, "slow");
    await clock.run(1_800);
    assert.equal(net.attempts, before + 1);
    assert.equal(phase(ann), "open");
  }
});

test("a server that starts again gets its clients back when it says, and not all at once", async () => {
  const { clock, server, page } = createScene();
  const times = [];
  const people = [await page("ann"), await page("bob"), await page("cat")];
  await clock.run(10_000);
  const began = clock.now();
  server.restart({ code: 1012, reason: '{"retry_ms":4000}' });
  const { accept } = server;
  server.accept = (socket) => { times.push(clock.now() - began); return accept(socket); };
  await clock.run(15_000);
  assert.equal(times.length, 3);
  assert.ok(times.every((time) => time >= 4_000), String(times));
  assert.ok(Math.max(...times) - Math.min(...times) > 100, String(times));
  assert.ok(people.every((one) => phase(one) === "open"));
});

test("pages that lose their connections at the same moment come back at different ones", async () => {
  const { clock, net, server, page } = createScene();
  for (const nick of ["ann", "bob", "cat", "dan"]) await page(nick);
  await clock.run(6_000);
  const times = new Set();
  const { accept } = server;
  server.accept = (socket) => { times.add(Math.round(clock.now() / 50)); return accept(socket); };
  for (const link of [...net.links]) link.cut();
  await clock.run(5_000);
  assert.equal(times.size, 4);
});

test("a person who returns to the page does not wait out the pause", async () => {
  const { clock, net, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  net.mode = "refusing";
  for (const link of net.links) link.cut();
  await clock.run(120_000);
  await clock.until(() => ann.chat.state.connection.retryAt - clock.now() > 10_000);
  await clock.run(5_000);
  net.mode = "open";
  ann.chat.wake();
  await clock.run(500);
  assert.equal(phase(ann), "open");
});

test("many events of the browser make no storm", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  const before = server.requests.length;
  for (let event = 0; event < 100; event += 1) {
    ann.chat.wake();
    await clock.run(20);
  }
  assert.ok(server.requests.length - before <= 3);
  net.mode = "refusing";
  for (const link of net.links) link.cut();
  const attempts = net.attempts;
  for (let event = 0; event < 100; event += 1) {
    ann.chat.wake();
    await clock.run(100);
  }
  assert.ok(net.attempts - attempts <= 5, `${net.attempts - attempts} attempts`);
});

for (const code of [1002, 1003, 1007, 1008, 4001, 4003, 4999]) {
  test(`the page does not come back by itself after ${code}, and says why`, async () => {
    const { clock, net, server, page } = createScene();
    const ann = await page("ann");
    await clock.run(6_000);
    server.peerOf("ann").close(code, "the reason");
    await clock.run(300_000);
    assert.equal(net.attempts, 1);
    const { connection } = ann.chat.state;
    assert.deepEqual([connection.phase, connection.code, connection.reason], ["ended", code, "the reason"]);
    ann.chat.reconnect();
    await clock.until(() => room(ann.chat).phase === "joined");
  });
}

for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014]) {
  test(`the page comes back by itself after ${code}`, async () => {
    const { clock, server, page } = createScene();
    const ann = await page("ann");
    await clock.run(6_000);
    server.peerOf("ann").close(code, code === 1012 ? "no JSON" : "");
    await clock.run(50);
    assert.equal(phase(ann), "waiting");
    await clock.until(() => room(ann.chat).phase === "joined");
  });
}

test("final codes are those of the protocol", () => {
  const final = [];
  for (let code = 1000; code < 5000; code += 1) if (isFinal(code)) final.push(code);
  assert.deepEqual(final.slice(0, 6), [1002, 1003, 1007, 1008, 1009, 4000]);
  assert.equal(final.length, 5 + 1000);
});

test("a server that cannot be reached is looked into, once for each outage", async () => {
  const { clock, net, tab } = createScene();
  net.mode = "refusing";
  const ann = tab();
  ann.load({ room: "den", nick: "ann" });
  await clock.run(60_000);
  assert.equal(ann.chat.state.connection.problem, "refused");
  assert.equal(ann.diagnoses, 1);
  net.mode = "open";
  await clock.until(() => phase(ann) === "open");
  assert.equal(ann.chat.state.connection.problem, null);
});

test("a server that says why it cannot serve is quoted, and not looked into", async () => {
  const { clock, server, tab } = createScene();
  server.greet = (peer) => { peer.close(1013, "the server is full"); return true; };
  const ann = tab();
  ann.load({ room: "den", nick: "ann" });
  await clock.run(60_000);
  const { connection } = ann.chat.state;
  assert.deepEqual([connection.code, connection.reason, connection.problem], [1013, "the server is full", null]);
  assert.equal(ann.diagnoses, 0);
});

test("a connection that cannot even be tried is tried again later", async () => {
  const { clock } = createScene();
  const phases = [];
  const connection = createConnection({
    world: { WebSocket: class { constructor() { throw new SyntaxError("a bad address"); } }, now: clock.now,
      setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout, random: () => 0.5 },
    url: () => "ws:", on: { phase: ({ phase }) => phases.push(phase), hello() {}, event() {}, lost() {} },
  });
  connection.start();
  await clock.run(4_000);
  assert.ok(phases.filter((phase) => phase === "waiting").length >= 2);
  assert.equal(connection.state.reason, "a bad address");
});

test("requests keep to the rate of the server", async () => {
  const { clock, server, page } = createScene();
  server.limits.rate = 5;
  server.limits.burst = 4;
  const ann = await page("ann");
  for (let count = 0; count < 60; count += 1) ann.chat.rename(`ann${count}`).catch(() => {});
  await clock.run(2_000);
  assert.ok(server.requests.length > 10);
  await clock.run(30_000);
  assert.equal(server.tooFast, 0);
  assert.equal(ann.chat.state.nick, "ann59");
});

test("requests without an answer fail, and the connection is probed", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  server.isStalled = true;
  let why = null;
  ann.chat.listRooms().catch((error) => { why = error; });
  await clock.run(10_100);
  assert.equal(why.code, "timeout");
  await clock.run(10_000);
  assert.notEqual(phase(ann), "open");
});

test("a server that sends nonsense is left, with pauses", async () => {
  const { clock, net, server, page } = createScene();
  await page("ann");
  server.greet = (peer) => { peer.socket.send("<html>"); return true; };
  for (const peer of [...server.peers]) peer.socket.send("{");
  await clock.run(30_000);
  assert.ok(net.attempts >= 3 && net.attempts <= 7, String(net.attempts));
});

test("a clock that is set back or forth changes nothing", async () => {
  for (const by of [-3_600_000, 3_600_000]) {
    const { clock, net, server, page } = createScene();
    const ann = await page("ann");
    await clock.run(10_000);
    clock.set(by);
    await clock.run(200_000);
    assert.equal(net.attempts, 1);
    server.says("den", "bob", "still here");
    await clock.run(100);
    assert.deepEqual(texts(ann.chat), ["still here"]);
  }
});

test("timers are one at a time while nothing happens", async () => {
  const { clock, page } = createScene();
  const before = clock.timers();
  await page("ann");
  await clock.run(30_000);
  // The connection's own, and the server's watch.
  assert.ok(clock.timers() - before <= 2, String(clock.timers() - before));
});
