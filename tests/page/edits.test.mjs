// Messages that are corrected or deleted, by their authors and by others, here and elsewhere.

import assert from "node:assert/strict";
import test from "node:test";
import { createScene, disorder, room, texts } from "./scene.mjs";

/** Bob has said three things; ann is there. */
async function three() {
  const scene = createScene();
  const bob = await scene.page("bob");
  const ann = await scene.page("ann");
  for (const text of ["one", "two", "three"]) bob.chat.send("den", text);
  await scene.clock.until(() => texts(ann.chat).filter(Boolean).length === 3);
  await scene.clock.run(1_000);
  return { ...scene, ann, bob };
}

const item = (page, seq) => room(page.chat).bySeq.get(seq);

test("a corrected message has its new text in its place, for all", async () => {
  const { clock, ann, bob } = await three();
  const before = item(ann, 2);
  await clock.during(bob.chat.edit("den", 2, "zwei"));
  await clock.run(1_000);
  for (const page of [ann, bob]) {
    assert.deepEqual([item(page, 2).text, item(page, 2).isEdited, item(page, 1).isEdited], ["zwei", true, undefined]);
    assert.equal(disorder(room(page.chat)), null);
    assert.equal(room(page.chat).position, 4);
  }
  assert.equal(item(ann, 2), before, "the same item, so that the view keeps its place");
});

test("a message that is corrected to what it is, or to nothing, asks nothing of the server", async () => {
  const { clock, server, bob } = await three();
  await clock.during(bob.chat.edit("den", 2, "two"));
  await assert.rejects(clock.during(bob.chat.edit("den", 2, " \n")), { code: "empty" });
  assert.equal(server.requests.filter(({ object }) => object.type === "edit").length, 0);
});

test("another's message cannot be corrected, and the error is handed out", async () => {
  const { clock, ann } = await three();
  await assert.rejects(clock.during(ann.chat.edit("den", 2, "mine")), { code: "not_allowed" });
  assert.deepEqual([item(ann, 2).text, item(ann, 2).isOfOther], ["two", true]);
});

test("a deleted message keeps its place without its text", async () => {
  const { clock, ann, bob } = await three();
  await clock.during(bob.chat.remove("den", 1));
  await clock.run(1_000);
  assert.deepEqual([item(ann, 1).text, item(ann, 1).isDeleted, item(ann, 1).nick], ["", true, "bob"]);
  assert.equal(disorder(room(ann.chat)), null);
});

test("a client that was away hears of what was corrected and deleted meanwhile", async () => {
  const { clock, net, ann, bob, server } = await three();
  for (const link of net.links) if (link.peer === undefined) link.cut();
  const link = [...net.links].find((one) => one.target.includes("nick=ann"));
  link.cut({ client: 60_000, server: 0 });
  await clock.run(100);
  await clock.during(bob.chat.edit("den", 1, "eins"));
  await clock.during(bob.chat.edit("den", 1, "uno"));
  await clock.during(bob.chat.remove("den", 3));
  await clock.until(() => server.peerOf("ann") && room(ann.chat).position === 6, 120_000);
  assert.deepEqual(texts(ann.chat).slice(0, 3), ["uno", "two", ""]);
  assert.equal(disorder(room(ann.chat)), null);
});

test("history that was read before a correction is shown with it", async () => {
  const { clock, ann, bob } = await three();
  for (let n = 0; n < 60; n += 1) {
    bob.chat.send("den", `filler ${n}`);
    await clock.run(200);
  }
  ann.load();
  await clock.until(() => room(ann.chat)?.phase === "joined" && room(ann.chat).position === 63);
  assert.equal(item(ann, 2), undefined);
  const older = ann.chat.older("den");
  // It overtakes the answer to what was asked before it.
  await clock.during(bob.chat.edit("den", 2, "zwei"));
  await clock.during(older);
  assert.equal(item(ann, 2).text, "zwei");
});

test("a correction that the server lost is undone", async () => {
  const { clock, server, ann, bob } = await three();
  server.storeMs = () => 100_000;
  bob.chat.edit("den", 2, "zwei").catch(() => {});
  await clock.until(() => item(ann, 2).text === "zwei");
  server.rewind("den");
  await clock.until(() => item(ann, 2).text === "two");
  assert.equal(item(ann, 2).isEdited, undefined);
  assert.equal(disorder(room(ann.chat)), null);
});

test("a correction that was seen in a page of history alone is undone when the server lost it", async () => {
  const { clock, server, ann, bob } = await three();
  for (let n = 0; n < 60; n += 1) {
    bob.chat.send("den", `filler ${n}`);
    await clock.run(200);
  }
  ann.load();
  await clock.until(() => room(ann.chat)?.phase === "joined" && room(ann.chat).position === 63);
  const entry = server.rooms.get("den").entries[1];
  Object.assign(entry, { text: "zwei", edited: true });
  await clock.during(ann.chat.older("den"));
  assert.equal(item(ann, 2).text, "zwei");
  delete Object.assign(entry, { text: "two" }).edited;
  server.restart();
  await clock.until(() => item(ann, 2).text === "two", 120_000);
  assert.equal(item(ann, 2).isEdited, undefined);
});

test("a correction brings no unread message, and a mention in it is found", async () => {
  const { clock, ann, bob } = await three();
  ann.chat.setAttention({ visible: false });
  await clock.during(bob.chat.edit("den", 2, "ann: two"));
  await clock.run(1_000);
  assert.deepEqual([room(ann.chat).unread, item(ann, 2).isMention], [0, true]);
});
