// Who one is, which rooms one is in, and what the log shows.

import assert from "node:assert/strict";
import test from "node:test";
import { createScene, disorder, kinds, room, texts } from "./scene.mjs";
import { createStore } from "./world.mjs";

const localKeys = (chat) => [
  ...[...chat.state.rooms.values()].flatMap(({ items }) => items.filter(({ kind }) => kind === "local").map(({ key }) => key)),
  ...(chat.state.notice ? [chat.state.notice.key] : []),
];

// Who one is

test("a page that reconnects takes the place of its own half-dead connection", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  for (let round = 0; round < 3; round += 1) {
    await clock.run(6_000);
    for (const link of net.links) link.cut({ client: 0, server: Infinity });
    await clock.run(100);
    await clock.until(() => ann.chat.state.connection.phase === "open" && room(ann.chat).phase === "joined");
  }
  assert.equal(ann.chat.state.nick, "ann");
  assert.deepEqual([...server.peers].map(({ nick }) => nick), ["ann"]);
  assert.deepEqual(localKeys(ann.chat), []);
});

test("a page that is loaded again is the same person in the same rooms", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.during(ann.chat.join("attic"));
  for (const link of net.links) link.cut({ client: Infinity, server: Infinity });
  ann.load();
  await clock.until(() => ["den", "attic"].every((name) => room(ann.chat, name)?.phase === "joined"));
  assert.equal(ann.chat.state.nick, "ann");
  assert.equal(ann.chat.state.current, "attic");
  assert.equal(server.peers.size, 1);
});

test("a made-up nick is asked for again when the session is gone", async () => {
  const { clock, server, tab } = createScene();
  const me = tab();
  me.load({ room: "den" });
  await clock.until(() => me.chat.state.nick !== "");
  const { nick } = me.chat.state;
  assert.match(nick, /^guest-/);
  await clock.run(6_000);
  server.restart({ wipe: true });
  await clock.until(() => room(me.chat).phase === "joined");
  assert.equal(me.chat.state.nick, nick);
});

test("a made-up nick is not remembered for another visit, a chosen one is", async () => {
  const { clock, tab } = createScene();
  const local = createStore();
  const first = tab({ local });
  first.load({ room: "den" });
  await clock.run(1_000);
  const second = tab({ local });
  second.load({ room: "den" });
  await clock.run(1_000);
  assert.notEqual(first.chat.state.nick, second.chat.state.nick);
  second.chat.rename("bob");
  await clock.run(1_000);
  second.unload();
  const third = tab({ local });
  third.load({ room: "den" });
  await clock.run(1_000);
  assert.equal(third.chat.state.nick, "bob");
});

test("a nick is remembered when the server has confirmed it, and not before", async () => {
  const { clock, tab, page } = createScene();
  await page("ann");
  const local = createStore();
  const other = tab({ local });
  other.load({ room: "den", nick: "ann" });
  await clock.run(1_000);
  assert.equal(other.storage.nick, "");
  assert.match(other.chat.state.nick, /^guest-/);
  assert.deepEqual(localKeys(other.chat), ["nick_taken"]);
});

test("a nick that another person has is asked for again quietly, and had when it is free", async () => {
  const { clock, tab, page } = createScene();
  const first = await page("ann");
  const other = tab();
  other.load({ room: "den", nick: "ann" });
  await clock.run(2_000);
  first.unload();
  await clock.until(() => other.chat.state.nick === "ann", 130_000);
  assert.deepEqual(localKeys(other.chat), ["nick_taken"]);
});

test("a tab that meets its own half-dead connection gets its nick back without a word", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  // The session is resumed, and the answer is lost: the secret names the connection before that.
  const { accept } = server;
  server.accept = (socket) => accept({ ...socket, send: (text) => { if (!text.includes('"ok"')) socket.send(text); } });
  for (const link of net.links) link.cut();
  await clock.until(() => server.requests.some(({ object }) => object.type === "resume"));
  server.accept = accept;
  for (const link of net.links) link.cut({ client: 0, server: Infinity });
  await clock.until(() => room(ann.chat).phase === "joined" && net.attempts === 3);
  assert.match(ann.chat.state.nick, /^guest-/);
  await clock.until(() => ann.chat.state.nick === "ann", 120_000);
  assert.deepEqual(localKeys(ann.chat), []);
});

test("a second tab of the same person is not refused: it has a nick like it", async () => {
  const { clock, tab } = createScene();
  const local = createStore();
  const lines = new Set();
  const channel = () => {
    const line = { onmessage: null, postMessage(data) {
      for (const other of lines) if (other !== line) clock.setTimeout(() => { clock.touch(); other.onmessage?.({ data }); });
    } };
    lines.add(line);
    return line;
  };
  const first = tab({ local, channel });
  first.load({ room: "den", nick: "ann" });
  await clock.run(1_000);
  const second = tab({ local, channel });
  second.load({ room: "den" });
  await clock.run(2_000);
  assert.equal(first.chat.state.nick, "ann");
  assert.equal(second.chat.state.nick, "ann-2");
  assert.deepEqual(localKeys(second.chat), []);
  assert.equal(second.storage.nick, "ann");
});

test("a nick that cannot be is refused once, said, and forgotten", async () => {
  const { clock, server, tab } = createScene();
  const local = createStore();
  local.setItem("parlor.nick", '"a b"');
  const me = tab({ local });
  me.load({ room: "den" });
  await clock.run(1_000);
  assert.deepEqual(localKeys(me.chat), ["nick_refused"]);
  assert.equal(me.storage.nick, "");
  server.peerOf(me.chat.state.nick).close(1013);
  await clock.run(5_000);
  assert.deepEqual(localKeys(me.chat), ["nick_refused"]);
});

test("a nick of the address is asked for although the tab had another", async () => {
  const { clock, page } = createScene();
  const ann = await page("ann");
  ann.load({ nick: "bob" });
  await clock.run(2_000);
  assert.equal(ann.chat.state.nick, "bob");
});

test("a tab whose session went on elsewhere stays away, and begins a session of its own if asked", async () => {
  const { clock, net, server, page, tab } = createScene();
  const ann = await page("ann");
  await clock.run(6_000);
  const copy = tab({ session: ann.session.copy() });
  copy.load();
  await clock.until(() => copy.chat.state.connection.phase === "open");
  await clock.run(60_000);
  assert.equal(ann.chat.state.connection.code, 4001);
  assert.equal(net.attempts, 2);
  ann.chat.reconnect();
  await clock.run(3_000);
  assert.equal(ann.chat.state.connection.phase, "open");
  assert.equal(copy.chat.state.connection.phase, "open");
  const sessions = [ann, copy].map(({ storage }) => server.sessions.get(storage.tab.secret).session);
  assert.notEqual(sessions[0], sessions[1]);
});

test("the page shows the nick that others see after a rename by whichever way", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  const bob = await page("bob");
  ann.chat.rename("anna");
  await clock.run(1_000);
  assert.equal(ann.chat.state.nick, "anna");
  assert.ok(room(bob.chat).items.some(({ kind, old, nick }) => kind === "renamed" && old === "ann" && nick === "anna"));
  server.tell("den", { type: "nick_changed", old: "anna", new: "annie" });
  await clock.run(100);
  assert.equal(ann.chat.state.nick, "annie");
  await assert.rejects(clock.during(ann.chat.rename("bob")), { code: "nick_taken" });
  assert.equal(ann.chat.state.nick, "annie");
});

test("a nick that was lost to a user of another server is shown as lost, without a rename in the room", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  await clock.run(60_000);
  server.peerOf("ann").send({ type: "error", code: "nick_taken", message: "ann is taken", nick: "guest-1" });
  await clock.run(100);
  assert.equal(ann.chat.state.nick, "guest-1");
});

// Rooms

test("a room with a bad name is refused at once, with the nearest good name", async () => {
  const { server, page } = createScene();
  const ann = await page("ann");
  for (const [name, suggestion] of [["#General chat", "general-chat"], ["c++", "cplusplus"], ["🎉", null], ["a b", "a-b"]]) {
    const before = server.requests.length;
    await assert.rejects(ann.chat.join(name), { code: "bad_name", suggestion });
    assert.equal(server.requests.length, before);
  }
  assert.deepEqual([...ann.chat.state.rooms.keys()], ["den"]);
});

test("a room that the server refuses is not remembered", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.failures.join = [{ code: "bad_name", suggestion: "loft" }];
  let why = null;
  ann.chat.join("attic").catch((error) => { why = error; });
  await clock.run(1_000);
  assert.equal(why.code, "bad_name");
  assert.equal(why.suggestion, "loft", "the server knows a better name");
  assert.equal(room(ann.chat, "attic").phase, "refused");
  assert.equal(ann.chat.state.current, "den");
  ann.load();
  await clock.run(2_000);
  assert.deepEqual([...ann.chat.state.rooms.keys()], ["den"]);
});

test("a room that cannot be joined for a while is joined later", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.failures.join = Array.from({ length: 3 }, () => ({ code: "busy", retry_ms: 1_000 }));
  let joined = null;
  ann.chat.join("Attic").then((room) => { joined = room.name; });
  await clock.run(2_000);
  assert.equal(joined, null);
  await clock.run(30_000);
  assert.equal(joined, "attic");
  assert.equal(ann.chat.state.current, "attic");
});

test("a room is one however its name is typed", async () => {
  const { clock, page } = createScene();
  const ann = await page("ann");
  ann.chat.join("DEN");
  ann.chat.join(" Den ");
  await clock.run(1_000);
  assert.deepEqual([...ann.chat.state.rooms.keys()], ["den"]);
});

test("a room that was left is not joined again", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  ann.chat.join("attic");
  await clock.run(1_000);
  ann.chat.leave("attic");
  await clock.run(1_000);
  assert.equal(server.roomOf("attic").members.size, 0);
  assert.equal(ann.chat.state.current, "den");
  server.peerOf("ann").close(1013);
  await clock.run(5_000);
  ann.load();
  await clock.run(5_000);
  assert.deepEqual([...ann.chat.state.rooms.keys()], ["den"]);
  assert.equal(server.roomOf("attic").members.size, 0);
});

// The log

test("what was said while the page slept is there once, behind a mark", async () => {
  const { clock, net, server, page } = createScene();
  const ann = await page("ann");
  server.says("den", "bob", "before");
  await clock.run(6_000);
  for (const link of net.links) link.cut({ client: Infinity, server: 0 });
  clock.sleep(600_000);
  for (const text of ["one", "two"]) server.says("den", "bob", text);
  ann.chat.wake();
  await clock.run(10_000);
  assert.deepEqual(texts(ann.chat), ["before", "one", "two"]);
  assert.deepEqual(kinds(ann.chat), ["message", "away", "message", "message"]);
  const mark = room(ann.chat).items[1];
  assert.ok(mark.to - mark.from >= 600_000);
});

test("what cannot be sent is a gap that can be fetched", async () => {
  const { clock, net, server, page } = createScene();
  server.limits.catch_up = 20;
  const ann = await page("ann");
  server.says("den", "bob", "before");
  await clock.run(6_000);
  net.mode = "refusing";
  for (const link of net.links) link.cut();
  await clock.run(100);
  for (let count = 0; count < 300; count += 1) server.says("den", "bob", `${count}`);
  net.mode = "open";
  await clock.until(() => room(ann.chat).position === 301);
  assert.equal(disorder(room(ann.chat)), null);
  const gap = room(ann.chat).items.find(({ kind }) => kind === "gap");
  assert.deepEqual([gap.from, gap.to], [2, 251]);
  let more = true;
  for (let round = 0; more && round < 5; round += 1) {
    const left = room(ann.chat).items.find(({ kind }) => kind === "gap");
    more = await clock.during(ann.chat.fetch("den", left.from, left.to));
    assert.equal(disorder(room(ann.chat)), null);
  }
  assert.deepEqual(texts(ann.chat), server.texts("den"));
});

test("a rewind ends in the middle of a gap", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.says("den", "bob", "one");
  await clock.run(100);
  const peer = server.peerOf("ann");
  peer.send({ type: "gap", room: "den", from: 2, to: 90 });
  peer.send({ type: "gap", room: "den", from: 91, to: 99 });
  peer.send({ type: "rewound", room: "den", epoch: "x", to: 40 });
  await clock.run(100);
  assert.deepEqual([room(ann.chat).position, room(ann.chat).epoch], [40, "x"]);
  assert.equal(disorder(room(ann.chat)), null);
  assert.deepEqual(room(ann.chat).items.filter(({ kind }) => kind === "gap").map(({ from, to }) => [from, to]), [[2, 40]]);
});

test("two ways into the past at once do not get into each other's way", async () => {
  const { clock, server, page } = createScene();
  for (let count = 1; count <= 300; count += 1) server.says("den", "bob", `${count}`);
  const ann = await page("ann");
  await clock.run(500);
  ann.chat.around("den", 230);
  ann.chat.older("den");
  ann.chat.around("den", 220);
  await clock.run(1_000);
  assert.equal(disorder(room(ann.chat)), null);
});

test("what is kept no more is a gap that says so", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  for (let count = 0; count < 40; count += 1) server.append("den", { type: "message", nick: "bob", kind: "message", text: `${count}` });
  const peer = server.peerOf("ann");
  server.roomOf("den").members.delete(peer);
  for (let count = 0; count < 40; count += 1) server.says("den", "bob", `missed ${count}`);
  server.roomOf("den").members.set(peer, true);
  peer.send({ type: "gap", room: "den", from: 41, to: 80 });
  await clock.run(100);
  server.roomOf("den").lostBelow = 60;
  assert.equal(await clock.during(ann.chat.fetch("den", 41, 80)), false);
  const [gap] = room(ann.chat).items.filter(({ kind }) => kind === "gap");
  assert.deepEqual([gap.from, gap.to, gap.isLost], [41, 60, true]);
  assert.equal(disorder(room(ann.chat)), null);
});

test("entries that the server lost are removed, and that is said", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.says("den", "bob", "kept");
  await clock.run(6_000);
  server.storeMs = () => 60_000;
  server.says("den", "bob", "lost");
  await clock.run(100);
  assert.deepEqual(texts(ann.chat), ["kept", "lost"]);
  server.storeMs = () => 5;
  server.restart();
  server.says("den", "bob", "new");
  await clock.run(5_000);
  assert.deepEqual(texts(ann.chat), ["kept", "new"]);
  assert.equal(room(ann.chat).items.filter(({ kind }) => kind === "rewound").length, 1);
  server.rewind("den");
  server.storeMs = () => 60_000;
  server.says("den", "bob", "lost");
  await clock.run(100);
  server.rewind("den");
  await clock.run(100);
  assert.deepEqual(texts(ann.chat), ["kept", "new"]);
});

test("a log that began anew on the server begins anew here", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  for (const text of ["one", "two"]) server.says("den", "bob", text);
  await clock.run(6_000);
  server.restart({ wipe: true });
  server.says("den", "bob", "first");
  await clock.run(5_000);
  assert.deepEqual(texts(ann.chat), ["first"]);
  assert.equal(disorder(room(ann.chat)), null);
});

test("history is read back to the beginning", async () => {
  const { clock, server, page } = createScene();
  for (let count = 0; count < 230; count += 1) server.says("den", "bob", `${count}`);
  const ann = await page("ann");
  await clock.run(500);
  assert.equal(texts(ann.chat).length, 50);
  for (let round = 0; round < 4; round += 1) {
    assert.equal(room(ann.chat).hasOlder, true);
    ann.chat.older("den");
    ann.chat.older("den"); // Asked for twice, fetched once.
    await clock.run(500);
  }
  assert.equal(room(ann.chat).hasOlder, false);
  assert.deepEqual(texts(ann.chat), server.texts("den"));
});

test("a message far back is fetched with its neighbours, and the way between can be too", async () => {
  const { clock, server, page } = createScene();
  for (let count = 1; count <= 900; count += 1) server.says("den", "bob", `${count}`);
  const ann = await page("ann");
  await clock.run(500);
  for (const seq of [300, 600, 120, 880, 1]) {
    assert.equal((await clock.during(ann.chat.around("den", seq)))?.text, `${seq}`);
    assert.equal(disorder(room(ann.chat)), null);
  }
  assert.equal(await clock.during(ann.chat.around("den", 901)), null);
});

test("an entry of a later version counts and is not shown as text", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.append("den", { type: "edit", nick: "bob", of: 1, text: undefined });
  server.says("den", "bob", "after it");
  await clock.run(100);
  assert.deepEqual(kinds(ann.chat), ["unknown", "message"]);
  assert.deepEqual(texts(ann.chat), ["after it"]);
});

test("an entry out of order makes the page ask again from where it is", async () => {
  for (const seq of [1, 3, 7]) {
    const { clock, net, server, page } = createScene();
    const ann = await page("ann");
    server.says("den", "bob", "one");
    await clock.run(6_000);
    server.peerOf("ann").send({ type: "message", room: "den", seq, time: 0, nick: "eve", kind: "message", text: "wrong" });
    server.says("den", "bob", "two");
    await clock.run(5_000);
    assert.equal(net.attempts, 2);
    assert.deepEqual(texts(ann.chat), ["one", "two"]);
  }
});

test("a page of history from before a rewind is not shown after it", async () => {
  const { clock, server, page } = createScene();
  for (const text of ["one", "two", "three"]) server.says("den", "bob", text);
  await clock.run(1_000);
  server.storeMs = () => 600_000;
  for (let count = 4; count <= 100; count += 1) server.says("den", "bob", `${count}`);
  const ann = await page("ann");
  await clock.run(500);
  const peer = server.peerOf("ann");
  const { send } = peer;
  let late = null;
  peer.send = (object) => { if (object.type === "history") late = object; else send(object); };
  const around = assert.rejects(ann.chat.around("den", 30), { code: "rewound" });
  await clock.until(() => late);
  server.rewind("den");
  peer.send({ type: "gap", room: "den", from: 4, to: 60 });
  send(late);
  await clock.run(500);
  await around;
  assert.deepEqual(texts(ann.chat), []);
  assert.equal(disorder(room(ann.chat)), null);
});

test("the memory of a log has a bound, and what it forgot can be fetched", async () => {
  const { clock, server, page } = createScene();
  server.limits.rate = 0;
  const ann = await page("ann");
  for (let count = 1; count <= 12_000; count += 1) server.says("den", "bob", `${count}`);
  await clock.run(20_000);
  const { items, bySeq } = room(ann.chat);
  assert.ok(items.length <= 10_500 && items.length >= 9_000, String(items.length));
  assert.equal(bySeq.size, items.length);
  assert.equal(room(ann.chat).hasOlder, true);
  assert.equal(disorder(room(ann.chat)), null);
  ann.chat.older("den");
  await clock.run(500);
  assert.equal(disorder(room(ann.chat)), null);
});

test("search finds, page by page", async () => {
  const { clock, server, page } = createScene();
  for (let count = 1; count <= 70; count += 1) server.says("den", "bob", `needle ${count}`);
  const ann = await page("ann");
  const found = (before) => clock.during(ann.chat.search("den", "needle", before));
  const first = await found();
  assert.deepEqual([first.entries.length, first.entries[0].seq, first.more], [50, 21, true]);
  const second = await found(21);
  assert.deepEqual([second.entries.length, second.more], [20, false]);
});

// What is unread

test("messages are unread while the page is hidden, or visible without focus, or in another room", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  ann.chat.join("attic", { show: false });
  await clock.run(500);
  const says = async (name, text) => {
    server.says(name, "bob", text);
    await clock.run(100);
  };
  await says("den", "seen");
  assert.equal(room(ann.chat).unread, 0);
  ann.chat.setAttention({ focused: false });
  await says("den", "hello ann");
  server.append("den", { type: "message", nick: "bob", kind: "action", text: "waves at Ann" });
  await says("den", "more");
  assert.deepEqual([room(ann.chat).unread, room(ann.chat).mentions], [3, 2]);
  assert.equal(room(ann.chat).items.filter(({ kind }) => kind === "away").length, 1);
  ann.chat.setAttention({ focused: true });
  assert.deepEqual([room(ann.chat).unread, room(ann.chat).mentions], [0, 0]);
  ann.chat.setAttention({ visible: false });
  await says("den", "hidden");
  assert.equal(room(ann.chat).unread, 1);
  assert.equal(room(ann.chat).items.filter(({ kind }) => kind === "away").length, 1, "the mark moves");
  ann.chat.setAttention({ visible: true });
  await says("attic", "there");
  assert.equal(room(ann.chat, "attic").unread, 1);
  ann.chat.show("attic");
  assert.equal(room(ann.chat, "attic").unread, 0);
  ann.chat.setAtEnd("attic", false);
  await says("attic", "below the screen");
  assert.equal(room(ann.chat, "attic").unread, 1);
  ann.chat.setAtEnd("attic", true);
  assert.equal(room(ann.chat, "attic").unread, 0);
});

test("one's own messages, joins and leaves are never unread", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  ann.chat.setAttention({ visible: false });
  ann.chat.send("den", "ann says ann");
  await page("bob");
  server.tell("den", { type: "presence", joined: 3, left: 1 });
  await clock.run(500);
  assert.deepEqual([room(ann.chat).unread, room(ann.chat).mentions], [0, 0]);
});

test("what was read is known after a reload", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  ann.chat.join("attic");
  await clock.run(500);
  server.says("den", "bob", "one");
  await clock.run(2_000);
  ann.load();
  server.says("den", "bob", "two");
  await clock.run(2_000);
  assert.equal(ann.chat.state.current, "attic");
  assert.equal(room(ann.chat).unread, 2);
  assert.equal(room(ann.chat, "attic").unread, 0);
});

// Who is there

test("the list of members follows the notices", async () => {
  const { clock, page } = createScene();
  const ann = await page("ann");
  const bob = await page("bob");
  assert.deepEqual(room(ann.chat).members.list, ["ann", "bob"]);
  assert.equal(room(ann.chat).count, 2);
  bob.chat.rename("zoe");
  await clock.run(500);
  assert.deepEqual(room(ann.chat).members.list, ["ann", "zoe"]);
  bob.unload();
  await clock.run(500);
  assert.deepEqual(room(ann.chat).members.list, ["ann"]);
  assert.deepEqual(kinds(ann.chat), ["joined", "renamed", "left"]);
});

test("a list of thousands is paged, and asked for again after sums, but not in a storm", async () => {
  const { clock, server, page } = createScene();
  for (let count = 0; count < 2_000; count += 1) {
    const nick = `m${String(count).padStart(4, "0")}`;
    server.roomOf("den").members.set({ nick, send() {}, rooms: new Set(["den"]) }, true);
  }
  const ann = await page("ann");
  assert.equal(room(ann.chat).count, 2_001);
  ann.chat.watchMembers("den", true);
  await clock.run(10_000);
  assert.equal(room(ann.chat).members.list.length, 100);
  assert.equal(room(ann.chat).members.more, 1_901);
  ann.chat.who("den", room(ann.chat).members.list.at(-1));
  await clock.run(500);
  assert.equal(room(ann.chat).members.list.length, 200);
  const before = server.requests.length;
  for (let count = 0; count < 100; count += 1) {
    server.tell("den", { type: "presence", joined: 5, left: 5 });
    await clock.run(100);
  }
  await clock.run(10_000);
  const asked = server.requests.slice(before).filter(({ object }) => object.type === "who");
  assert.ok(asked.length >= 2 && asked.length <= 12, `${asked.length} requests`);
  assert.equal(room(ann.chat).members.list.length, 200);
  assert.equal(room(ann.chat).members.isStale, false);
});

test("lost notices make the list stale, and it is asked for again", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.roomOf("den").members.set({ nick: "quiet", send() {}, rooms: new Set(["den"]) }, true);
  server.tell("den", { type: "presence", lost: true });
  await clock.run(100);
  assert.equal(room(ann.chat).members.isStale, true);
  ann.chat.watchMembers("den", true);
  await clock.run(1_000);
  assert.deepEqual(room(ann.chat).members.list, ["ann", "quiet"]);
  assert.equal(room(ann.chat).members.isStale, false);
});

test("typing is shown for a while, ends with the message, and is sent every few seconds at most", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  const bob = await page("bob");
  for (let count = 0; count < 50; count += 1) {
    bob.chat.typing("den");
    await clock.run(100);
  }
  assert.equal(server.requests.filter(({ object }) => object.type === "typing").length, 2);
  assert.deepEqual([...room(ann.chat).typing.keys()], ["bob"]);
  bob.chat.send("den", "done");
  await clock.run(200);
  assert.equal(room(ann.chat).typing.size, 0);
  server.tell("den", { type: "typing", nick: "bob" });
  await clock.run(10_000);
  assert.equal(room(ann.chat).typing.size, 0);
  for (let count = 0; count < 500; count += 1) server.tell("den", { type: "typing", nick: `t${count}` });
  await clock.run(100);
  assert.ok(room(ann.chat).typing.size <= 50);
});

// Commands

test("a line with a slash is a command, and never said by mistake", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  assert.deepEqual(ann.chat.submit("den", "/foo bar").error, { code: "unknown_command", name: "foo" });
  assert.equal(ann.chat.submit("den", "/nick").error.code, "incomplete");
  assert.equal(ann.chat.submit("den", "/me  ").error.code, "incomplete");
  assert.equal(ann.chat.submit("den", "/").error.code, "unknown_command");
  for (const line of ["/me waves", "//slash", " /spaced", "plain / text"]) assert.ok(ann.chat.submit("den", line).message);
  await clock.run(2_000);
  assert.deepEqual(server.roomOf("den").entries.map(({ kind, text }) => `${kind}: ${text}`),
    ["action: waves", "message: /slash", "message:  /spaced", "message: plain / text"]);
});

test("commands do what they say and answer where the person looks", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  const bob = await page("bob");
  const results = {};
  for (const line of ["/who", "/rooms", "/help", "/search some words", "/NICK anna", "/kick bob too loud", "/op secret", "/join attic", "/history"]) {
    results[line] = await clock.during(ann.chat.run(ann.chat.state.current, line));
  }
  assert.deepEqual(results["/who"].values.members, ["ann", "bob"]);
  assert.equal(results["/rooms"].values.rooms[0].room, "den");
  assert.ok(results["/help"].values.commands.length > 8);
  assert.deepEqual(results["/search some words"], { action: "search", room: "den", query: "some words" });
  assert.equal(ann.chat.state.nick, "anna");
  assert.equal(room(bob.chat).why.reason, "too loud");
  assert.equal(results["/op secret"].values.code, "unknown_type");
  assert.equal(ann.chat.state.current, "attic");
  await clock.during(ann.chat.run("attic", "/leave"));
  assert.deepEqual([...ann.chat.state.rooms.keys()], ["den"]);
  assert.equal(server.roomOf("attic").members.size, 0);
});

test("an action without a connection fails and says so", async () => {
  const { clock, net, page } = createScene();
  const ann = await page("ann");
  net.mode = "refusing";
  for (const link of net.links) link.cut();
  await clock.run(100);
  await assert.rejects(ann.chat.rename("bob"), { code: "offline" });
  const item = await ann.chat.run("den", "/who");
  assert.deepEqual([item.kind, item.key, item.values.code], ["local", "error", "offline"]);
  assert.equal(ann.chat.state.nick, "ann");
});

test("drafts are kept by room", async () => {
  const { clock, page, tab } = createScene();
  const ann = await page("ann");
  ann.chat.setDraft("den", "half a sen");
  ann.load();
  assert.equal(room(ann.chat).draft, "half a sen");
  ann.chat.setDraft("den", "");
  await clock.run(100);
  const other = tab({ local: ann.local });
  other.load({ room: "den" });
  assert.equal(room(other.chat).draft, "");
});

test("a kicked member learns who did it, is in the list no more, and may join again", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  const bob = await page("bob");
  const cat = await page("cat");
  ann.chat.kick("den", "bob", "spam");
  await clock.run(500);
  assert.deepEqual([room(bob.chat).phase, room(bob.chat).why.by, room(bob.chat).why.reason], ["left", "ann", "spam"]);
  assert.deepEqual(room(cat.chat).members.list, ["ann", "cat"]);
  await clock.run(5_000);
  assert.equal(server.peerOf("bob").rooms.size, 0);
  bob.chat.join("den");
  await clock.run(500);
  assert.equal(room(bob.chat).phase, "joined");
  assert.equal(disorder(room(bob.chat)), null);
});
