// What keeps a room civil: roles, bans and mutes, slow mode, reports, settings, who is ignored.

import assert from "node:assert/strict";
import test from "node:test";
import { secondsOf, targetOf, may } from "../../src/page/moderation.js";
import { createScene, kinds, room, texts } from "./scene.mjs";

test("what is offered depends on the role in the room and on the server", () => {
  const rooms = ["member", "voiced", "moderator", "owner"];
  const actions = ["kick", "mute", "ban", "purge", "delete", "topic", "sanctions", "audit", "settings", "role", "close"];
  const guest = { account: null, isOperator: false };
  const offered = (state, role) => actions.filter((action) => may(state, { role }, action));
  assert.deepEqual(rooms.map((role) => offered(guest, role).length), [0, 0, 9, 11]);
  assert.deepEqual(offered({ account: { roles: ["admin"] } }, "member"), actions);
  assert.deepEqual(offered({ account: { roles: ["moderator"] } }, "member"), actions);
  assert.deepEqual(offered({ account: null, isOperator: true }, "member"), actions);
  assert.deepEqual(offered({ account: { roles: ["a later one"] } }, "a later one"), []);
});

test("a target is a nick, an account or an address, and a time has a unit", () => {
  assert.deepEqual(targetOf("ann"), { nick: "ann" });
  assert.deepEqual(targetOf("@ann"), { account: "ann" });
  for (const address of ["192.0.2.1", "192.0.2.0/24", "2001:db8::/64", "::1"]) assert.deepEqual(targetOf(address), { address });
  assert.deepEqual(targetOf("dad"), { nick: "dad" });
  assert.deepEqual(["90", "10m", "2h", "7d", "1w"].map(secondsOf), [90, 600, 7200, 604_800, 604_800]);
  assert.deepEqual(["", "0", "m", "loud", "-1", "1y"].map(secondsOf), Array(6).fill(undefined));
});

test("a person who is banned is out, and knows why and until when", async () => {
  const { clock, page } = createScene();
  const [ann, bob] = [await page("ann"), await page("bob")];
  await clock.during(ann.chat.run("den", "/ban bob 10m too loud"));
  await clock.until(() => room(bob.chat).phase === "left");
  const { code, reason, until } = room(bob.chat).why;
  assert.deepEqual([code, reason], ["banned", "too loud"]);
  assert.ok(Math.abs(until - clock.now() - 600_000) < 5_000);
  assert.ok(kinds(ann.chat).includes("banned"));
  assert.deepEqual(room(ann.chat).members.list, ["ann"]);
  await assert.rejects(clock.during(bob.chat.join("den")), { code: "banned" });
  await clock.during(ann.chat.run("den", "/unban bob"));
  await clock.during(bob.chat.join("den"));
});

test("a member who is muted gets the words back, and hears until when", async () => {
  const { clock, page } = createScene();
  const [ann, bob] = [await page("ann"), await page("bob")];
  await clock.during(ann.chat.run("den", "/mute bob 5m"));
  bob.chat.send("den", "but");
  await clock.until(() => room(bob.chat).outgoing[0]?.phase === "failed");
  const { held } = room(bob.chat);
  assert.equal(held.code, "muted");
  assert.ok(Math.abs(held.until - clock.now() - 300_000) < 5_000);
  await clock.during(ann.chat.run("den", "/unmute bob"));
  bob.chat.retry("den", room(bob.chat).outgoing[0].key);
  await clock.until(() => texts(ann.chat).includes("but"));
  await clock.run(1_000);
  assert.equal(room(bob.chat).held, null);
});

test("in slow mode a message waits for its time, and is not lost", async () => {
  const { clock, server, page } = createScene();
  server.roomOf("den").settings = { slow_seconds: 10 };
  const ann = await page("ann");
  ann.chat.send("den", "one");
  await clock.until(() => texts(ann.chat).includes("one"));
  await clock.run(500);
  const { held } = room(ann.chat);
  assert.equal(held.code, "slow_mode");
  assert.ok(held.until > clock.now() + 5_000);
  server.failures.send = [{ code: "slow_mode", retry_ms: 9_000 }];
  ann.chat.send("den", "two");
  await clock.run(5_000);
  assert.equal(room(ann.chat).outgoing[0].phase, "sending");
  await clock.until(() => texts(ann.chat).includes("two"));
});

test("settings, topic and role change with their entries", async () => {
  const { clock, server, page } = createScene();
  server.roomOf("den").roles = { bob: "moderator" };
  const ann = await page("ann");
  await clock.during(ann.chat.register("bob", "long enough"));
  const seen = room(ann.chat);
  await clock.during(ann.chat.changeSettings("den", { slow_seconds: 30, moderated: true }));
  await clock.during(ann.chat.run("den", "/topic tea at five"));
  await clock.during(ann.chat.run("den", "/role bob moderator"));
  await clock.run(1_000);
  assert.deepEqual(seen.settings, { slow_seconds: 30, moderated: true });
  assert.deepEqual([seen.topic, seen.role], ["tea at five", "moderator"]);
  assert.deepEqual(kinds(ann.chat).slice(-3), ["settings", "topic", "role"]);
});

test("a report reaches those who keep order, with the message that it is about", async () => {
  const { clock, server, page } = createScene();
  const [ann, bob] = [await page("ann"), await page("bob")];
  server.says("den", "eve", "buy this");
  await clock.run(1_000);
  await clock.during(bob.chat.report("den", 1, "advertising"));
  await clock.run(1_000);
  const { kind, of, by, reason } = room(ann.chat).items.at(-1);
  assert.deepEqual([kind, of, by, reason], ["reported", 1, "bob", "advertising"]);
  assert.equal(room(ann.chat).position, 1);
});

test("a room with a password is joined with it, again after a broken connection", async () => {
  const { clock, net, server, page } = createScene();
  server.refuse = ({ type, room, password }) =>
    (type === "join" && room === "attic" && password !== "sesame" ? { code: "wrong_password" } : null);
  const ann = await page("ann");
  await assert.rejects(clock.during(ann.chat.join("attic")), { code: "wrong_password" });
  await clock.during(ann.chat.join("attic", { password: "sesame" }));
  for (const link of net.links) link.cut();
  await clock.run(100);
  await clock.until(() => room(ann.chat, "attic").phase === "joined");
  assert.ok(!`${ann.session.getItem("parlor.tab")}${ann.local.getItem("parlor.tab")}`.includes("sesame"));
});

test("an ignored member is not heard, counted or shown as writing, until that is undone", async () => {
  const { clock, server, page } = createScene();
  const [ann] = [await page("ann"), await page("eve")];
  await clock.during(ann.chat.run("den", "/ignore Eve"));
  ann.chat.setAttention({ visible: false });
  server.says("den", "eve", "ann: look");
  server.tell("den", { type: "typing", nick: "eve" });
  await clock.run(1_000);
  const seen = room(ann.chat);
  const said = seen.items.find(({ text }) => text === "ann: look");
  assert.deepEqual([seen.unread, seen.mentions, said.isIgnored, seen.typing.size], [0, 0, true, 0]);
  ann.load();
  await clock.until(() => room(ann.chat)?.phase === "joined" && ann.chat.state.nick === "ann");
  await clock.run(1_000);
  const again = () => room(ann.chat).items.find(({ text }) => text === "ann: look");
  assert.equal(again().isIgnored, true);
  await clock.during(ann.chat.run("den", "/unignore eve"));
  assert.deepEqual([again().isIgnored, again().isMention], [false, true]);
});

test("a conversation that the server has joined begins where it says, and has the name of the other", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  const tell = (object) => server.peerOf("ann").send(object);
  const joins = (room, epoch) => tell({
    type: "joined", room, epoch, seq: 0, after: 0, recovered: false, topic: "", count: 2,
    members: [room.slice(1)], role: "member",
  });
  const says = (room, seq, text) =>
    tell({ type: "message", room, seq, time: clock.now(), nick: room.slice(1), kind: "message", text });
  joins("@bob", "1-a");
  says("@bob", 1, "psst");
  await clock.until(() => room(ann.chat, "@bob")?.items.some(({ text }) => text === "psst"));
  assert.deepEqual([ann.chat.state.current, room(ann.chat, "@bob").mentions], ["den", 1]);
  tell({ type: "nick_changed", room: "@bob", old: "bob", new: "rob" });
  says("@rob", 2, "it is me");
  await clock.until(() => room(ann.chat, "@rob")?.items.some(({ text }) => text === "it is me"));
  assert.equal(room(ann.chat, "@bob"), undefined);
  // Another one of that name.
  tell({ type: "member_left", room: "@rob", nick: "rob" });
  joins("@rob", "1-b");
  says("@rob", 1, "who are you?");
  await clock.until(() => room(ann.chat, "@rob").items.some(({ text }) => text === "who are you?"));
  assert.ok(!room(ann.chat, "@rob").items.some(({ text }) => text === "psst"));
  // One that is ignored begins none.
  await clock.during(ann.chat.run("den", "/ignore eve"));
  joins("@eve", "1-a");
  says("@eve", 1, "buy this");
  await clock.run(1_000);
  assert.equal(room(ann.chat, "@eve"), undefined);
});

test("a conversation of two is begun by its first word", async () => {
  const { clock, server, page } = createScene();
  const ann = await page("ann");
  server.peerOf("ann").send({ type: "message", room: "@bob", seq: 1, time: clock.now(), nick: "bob", text: "psst" });
  await clock.until(() => room(ann.chat, "@bob"));
  assert.equal(ann.chat.state.current, "den");
  assert.ok(room(ann.chat, "@bob").isDirect);
  await clock.until(() => room(ann.chat, "@bob").phase === "joined");
  server.says("@bob", "bob", "psst again");
  await clock.run(1_000);
  assert.deepEqual([room(ann.chat, "@bob").unread, room(ann.chat, "@bob").mentions], [1, 1]);
});
