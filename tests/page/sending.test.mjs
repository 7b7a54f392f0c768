// What a person wrote is kept until the server has stored it, is there once, and in order.

import assert from "node:assert/strict";
import test from "node:test";
import { createScene, room, texts } from "./scene.mjs";

const outgoing = (me) => room(me.chat).outgoing.map(({ text, phase }) => `${text} ${phase}`);

test("a message is shown as sending until it is in the log", async () => {
  const { clock, server, page } = createScene();
  server.storeMs = () => 500;
  const ann = await page("ann");
  ann.chat.send("den", "hello");
  assert.deepEqual(outgoing(ann), ["hello sending"]);
  await clock.until(() => room(ann.chat).items.some(({ text }) => text === "hello"));
  assert.deepEqual(outgoing(ann), [], "it is not shown twice while the ok is under way");
  await clock.run(1_000);
  assert.deepEqual(texts(ann.chat), ["hello"]);
  assert.deepEqual(room(ann.chat).inner.queue, []);
});

test("a message whose ok is lost is sent again with its key and not doubled", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  ann.chat.send("den", "hello");
  await clock.until(() => server.texts("den").length === 1);
  for (const link of net.links) link.cut({ client: 0, server: Infinity });
  await clock.run(5_000);
  assert.deepEqual(server.texts("den"), ["hello"]);
  assert.deepEqual(texts(ann.chat), ["hello"]);
  assert.deepEqual(outgoing(ann), []);
  const keys = server.requests.filter(({ object }) => object.type === "send").map(({ object }) => object.key);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
});

test("what is written without a connection is sent in order when there is one", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  net.mode = "refusing";
  for (const link of net.links) link.cut();
  await clock.run(100);
  for (let count = 0; count < 40; count += 1) ann.chat.send("den", `${count}`);
  assert.equal(outgoing(ann).length, 40);
  await clock.run(20_000);
  net.mode = "open";
  await clock.run(60_000);
  assert.deepEqual(server.texts("den"), Array.from({ length: 40 }, (_, count) => `${count}`));
  assert.deepEqual(texts(ann.chat), server.texts("den"));
  assert.equal(server.tooFast, 0);
});

test("what was written is sent after the page was loaded again", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  net.mode = "refusing";
  for (const link of net.links) link.cut();
  await clock.run(100);
  ann.chat.send("den", "hello");
  ann.load();
  assert.deepEqual(outgoing(ann), ["hello sending"]);
  net.mode = "open";
  await clock.until(() => outgoing(ann).length === 0);
  assert.deepEqual(server.texts("den"), ["hello"]);
});

test("a message that was stored before the page was loaded again is not doubled", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.storeMs = () => 400;
  ann.chat.send("den", "hello");
  await clock.until(() => server.texts("den").length === 1);
  ann.load();
  await clock.run(5_000);
  assert.deepEqual(server.texts("den"), ["hello"]);
  assert.deepEqual(texts(ann.chat), ["hello"]);
  assert.deepEqual(outgoing(ann), []);
});

for (const [name, change] of [
  ["its key is as old as the server keeps keys", ({ clock }) => clock.sleep(200_000)],
  ["the session is gone", ({ server }) => server.sessions.clear()],
]) {
  test(`a message in doubt is looked for in the log when ${name}`, async () => {
    for (const wasStored of [true, false]) {
      const scene = createScene();
      const { clock, net, server, page } = scene;
      const ann = await page("ann");
      for (let count = 0; count < 130; count += 1) server.says("den", "bob", `before ${count}`);
      await clock.run(6_000);
      ann.chat.send("den", "hello");
      if (wasStored) await clock.until(() => server.texts("den").includes("hello"));
      net.mode = "refusing";
      for (const link of net.links) link.cut();
      await clock.run(100);
      for (let count = 0; count < 130; count += 1) server.says("den", "bob", `after ${count}`);
      change(scene);
      server.keys.clear();
      net.mode = "open";
      await clock.run(60_000);
      assert.equal(server.texts("den").filter((text) => text === "hello").length, 1);
      assert.deepEqual(outgoing(ann), []);
      assert.equal(texts(ann.chat).filter((text) => text === "hello").length, 1);
    }
  });
}

test("an error for a message that was sent again says nothing about the first time", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  server.storeMs = () => 1_000;
  ann.chat.send("den", "hello");
  await clock.until(() => server.texts("den").length === 1);
  server.failures.send = [{ code: "busy", retry_ms: 5_000 }];
  server.peerOf("ann").close(1013);
  await clock.until(() => server.failures.send.length === 0);
  net.mode = "refusing";
  for (const link of net.links) link.cut();
  clock.sleep(200_000);
  server.keys.clear();
  net.mode = "open";
  await clock.run(60_000);
  assert.deepEqual(server.texts("den"), ["hello"]);
  assert.deepEqual(outgoing(ann), []);
});

test("a message in doubt is found under each nick and above each number that it may have", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  server.storeMs = () => 600_000;
  for (let count = 0; count < 9; count += 1) server.says("den", "bob", `${count}`);
  await clock.run(100);
  ann.chat.send("den", "hello");
  await clock.until(() => server.texts("den").length === 10);
  // What was numbered is lost, the message is stored under another number and nick, its ok is lost.
  server.storeMs = () => 5;
  server.refuse = ({ type }) => type === "send" && { code: "busy", retry_ms: 3_000 };
  server.restart();
  await clock.run(100);
  await clock.until(() => room(ann.chat).phase === "joined");
  await clock.during(ann.chat.rename("anna"));
  server.refuse = null;
  server.storeMs = () => 1_000;
  await clock.until(() => server.texts("den").includes("hello"));
  net.mode = "refusing";
  for (const link of net.links) link.cut();
  clock.sleep(200_000);
  server.keys.clear();
  net.mode = "open";
  await clock.run(90_000);
  assert.deepEqual(server.texts("den"), ["hello"]);
  assert.equal(server.roomOf("den").entries[0].nick, "anna");
  assert.deepEqual(outgoing(ann), []);
});

test("the same text written twice is there twice, although the first is like the second", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  // The ok comes, the entry does not.
  const peer = server.peerOf("ann");
  const { send } = peer;
  peer.send = (object) => { if (object.type !== "message") send(object); };
  ann.chat.send("den", "hi");
  await clock.run(500);
  for (const link of net.links) link.cut({ client: Infinity, server: 0 });
  ann.chat.send("den", "hi");
  await clock.run(500);
  clock.sleep(200_000);
  server.keys.clear();
  await clock.run(60_000);
  assert.deepEqual(server.texts("den"), ["hi", "hi"]);
  assert.deepEqual(texts(ann.chat), ["hi", "hi"]);
});

test("a message whose entry was lost is shown as sending again", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  server.storeMs = () => 60_000;
  ann.chat.send("den", "hello");
  await clock.until(() => texts(ann.chat).length === 1);
  assert.deepEqual(outgoing(ann), []);
  server.refuse = ({ type }) => type === "send" && { code: "busy", retry_ms: 1_000 };
  server.rewind("den");
  await clock.run(100);
  assert.deepEqual(texts(ann.chat), []);
  assert.deepEqual(outgoing(ann), ["hello sending"]);
  server.refuse = null;
  await clock.until(() => texts(ann.chat).length === 1);
  net.mode = "refusing";
  ann.load();
  ann.chat.send("den", "more");
  assert.deepEqual(outgoing(ann), ["hello sending", "more sending"], "its log is empty at first");
});

test("no 64 others are sent before a message in doubt", async () => {
  const { clock, server, page } = createScene();
  server.limits.rate = 0;
  const ann = await page("ann");
  await clock.during(ann.chat.join("attic"));
  server.storeMs = () => 1_000;
  ann.chat.send("den", "in doubt");
  await clock.until(() => server.texts("den").length === 1);
  server.storeMs = () => 5;
  // The room cannot be joined for a while; the other can.
  server.peerOf("ann").close(1013);
  server.refuse = ({ type, room }) => type === "join" && room === "den" && clock.now() < end && { code: "busy", retry_ms: 4_000 };
  const end = clock.now() + 40_000;
  await clock.run(10);
  for (let count = 0; count < 150; count += 1) ann.chat.send("attic", `${count}`);
  await clock.run(120_000);
  assert.equal(server.texts("den").filter((text) => text === "in doubt").length, 1);
  assert.equal(server.texts("attic").length, 150);
  const sends = server.requests.filter(({ object }) => object.type === "send").map(({ object }) => object);
  const places = sends.flatMap(({ text }, place) => (text === "in doubt" ? [place] : []));
  assert.equal(places.length, 2, "it was in doubt");
  assert.ok(places.every((place, index) => index === 0 || place - places[index - 1] <= 64), String(places));
});

test("a refusal for a while is waited out, in order", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.failures.send = Array.from({ length: 4 }, () => ({ code: "store_unavailable", retry_ms: 1_000 }));
  for (const text of ["one", "two", "three"]) ann.chat.send("den", text);
  await clock.run(500);
  assert.deepEqual(outgoing(ann), ["one sending", "two sending", "three sending"]);
  assert.equal(room(ann.chat).outgoing[0].why.code, "store_unavailable");
  await clock.run(20_000);
  assert.deepEqual(server.texts("den"), ["one", "two", "three"]);
});

test("a refusal that lasts says why, keeps the text, and can be tried again", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.failures.send = Array.from({ length: 100 }, () => ({ code: "store_unavailable", retry_ms: 1_000 }));
  ann.chat.send("den", "hello");
  await clock.run(90_000);
  const [message] = room(ann.chat).outgoing;
  assert.equal(message.phase, "failed");
  assert.equal(message.why.code, "store_unavailable");
  server.failures.send = [];
  ann.chat.retry("den", message.key);
  await clock.run(1_000);
  assert.deepEqual(server.texts("den"), ["hello"]);
  assert.deepEqual(outgoing(ann), []);
});

test("a final refusal does not hold back what was written after it", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  ann.chat.send("den", "a\n\n\n\nb");
  ann.chat.send("den", "hello");
  await clock.run(1_000);
  assert.deepEqual(outgoing(ann), ["a\n\n\n\nb failed"]);
  assert.equal(room(ann.chat).outgoing[0].why.code, "too_long");
  assert.deepEqual(server.texts("den"), ["hello"]);
  const message = ann.chat.discard("den", room(ann.chat).outgoing[0].key);
  assert.equal(message.text, "a\n\n\n\nb");
  assert.deepEqual(outgoing(ann), []);
});

test("a failed message stays over a reload until the person decides", async () => {
  const { clock, page } = createScene();
  const ann = await page("ann");
  ann.chat.send("den", "a\n\n\n\nb");
  await clock.run(1_000);
  ann.load();
  await clock.run(5_000);
  assert.deepEqual(outgoing(ann), ["a\n\n\n\nb failed"]);
});

test("a message that is longer than the server takes is not sent, and the text is the person's", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  for (const text of ["x".repeat(16_384), "\n".repeat(8_200) + "x", "語".repeat(5_500), "\u2028".repeat(5_500) + "x"]) {
    const { error } = ann.chat.send("den", text);
    assert.equal(error?.code, "too_long", text.slice(0, 3));
    assert.ok(error.bytes > error.max);
  }
  const { bytes, max } = ann.chat.measure("den", "x");
  const longest = "x".repeat(max - bytes + 1);
  assert.ok(ann.chat.send("den", longest).message);
  assert.equal(ann.chat.send("den", `${longest}x`).error.code, "too_long");
  await clock.run(2_000);
  assert.deepEqual(server.texts("den"), [longest]);
  assert.equal(net.attempts, 1);
});

test("text that a server with a smaller limit refuses with 1009 is kept, and the rest goes on", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  server.limits = { ...server.limits, message_bytes: 300 };
  ann.chat.send("den", "x".repeat(400));
  ann.chat.send("den", "short");
  await clock.run(10_000);
  assert.deepEqual(server.texts("den"), ["short"]);
  const [message] = room(ann.chat).outgoing;
  assert.deepEqual([message.phase, message.why.code, message.text.length], ["failed", "too_long", 400]);
  ann.chat.retry("den", message.key);
  assert.equal(room(ann.chat).outgoing[0].phase, "failed", "the limit is known now");
});

test("text of space alone is refused, and control characters are left out as the server does", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  assert.equal(ann.chat.send("den", " \n\t").error.code, "empty");
  assert.equal(ann.chat.send("den", "\u0007\u001b").error.code, "empty");
  ann.chat.send("den", "a\u0007b\r\nc");
  await clock.run(1_000);
  assert.deepEqual(server.texts("den"), ["ab\nc"]);
  assert.deepEqual(outgoing(ann), []);
});

test("an entry that was lost with its server is written again if it had no ok", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  server.storeMs = () => 60_000;
  ann.chat.send("den", "hello");
  await clock.until(() => texts(ann.chat).length === 1);
  server.storeMs = () => 5;
  server.restart();
  await clock.run(10_000);
  assert.deepEqual(server.texts("den"), ["hello"]);
  assert.deepEqual(texts(ann.chat), ["hello"]);
  assert.deepEqual(outgoing(ann), []);
});

test("what was written to a room that refuses the person is kept and says why", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  ann.chat.send("den", "hello");
  server.failures.send = [{ code: "busy", retry_ms: 5_000 }];
  await clock.run(200);
  server.tell("den", { type: "kicked", you: true, by: "bob", reason: "spam" });
  await clock.run(200);
  assert.deepEqual(outgoing(ann), ["hello failed"]);
  assert.equal(room(ann.chat).outgoing[0].why.code, "kicked");
  assert.equal(room(ann.chat).phase, "left");
  assert.equal(ann.chat.send("den", "more").error.code, "kicked");
});

test("actions and replies are sent as such, again too", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.says("den", "bob", "question");
  await clock.run(100);
  server.failures.send = [{ code: "busy", retry_ms: 100 }];
  ann.chat.send("den", "waves", { kind: "action", replyTo: 1 });
  await clock.run(2_000);
  const entry = server.roomOf("den").entries[1];
  assert.deepEqual([entry.kind, entry.text, entry.reply_to], ["action", "waves", 1]);
  assert.equal(room(ann.chat).items.at(-1).replyTo, 1);
});

test("the queue of a room has an end", async () => {
  const { net, page } = createScene();
  const ann = await page("ann");
  net.mode = "refusing";
  for (let count = 0; count < 200; count += 1) assert.ok(ann.chat.send("den", `${count}`).message);
  assert.equal(ann.chat.send("den", "one more").error.code, "too_many");
});
