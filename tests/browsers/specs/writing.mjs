// What one wrote: it stays in sight until it is stored, and nothing of it is cut or lost.
import { equal, everywhere, ok, spec } from "../spec.mjs";

everywhere("drafts of each room survive a reload", async (scene) => {
  const ann = await scene.person("ann");
  await ann.click("#words");
  await ann.type("half a thought");
  await ann.reload();
  await scene.isIn(ann, "ann");
  equal(await ann.value("#words"), "half a thought");
});

spec("a message is marked as being sent until the server has stored it", async (scene) => {
  let answer;
  const fake = await scene.fake((link) => link.hello().on("send", (request) => { answer = () => {
    link.send({ type: "message", room: request.room, seq: 1, time: Date.now(), nick: "ann", kind: "message", text: request.text });
    link.send({ type: "ok", re: request.id, room: request.room, seq: 1, time: Date.now() });
  }; return null; }));
  const ann = await scene.person("ann", { url: fake.url });
  await ann.click("#words");
  await ann.type("slowly");
  await ann.press("Enter");
  await ann.reads("slowly", "#log");
  await ann.reads(/sending/i, "#log");
  answer();
  await ann.until("the mark is gone", () => !/sending/i.test(document.querySelector("#log").innerText));
  equal((await ann.text("#log")).split("slowly").length - 1, 1, "times it is there");
});

spec("a message that is refused for good says why, and can be tried again", async (scene) => {
  let tries = 0;
  const fake = await scene.fake((link) => link.hello().on("send", ({ room, text }) => {
    tries += 1;
    if (tries === 1) return { type: "error", code: "not_allowed", message: "only operators may speak here" };
    link.send({ type: "message", room, seq: 1, time: Date.now(), nick: "ann", kind: "message", text });
    return { type: "ok", room, seq: 1, time: Date.now() };
  }));
  const ann = await scene.person("ann", { url: fake.url });
  await ann.click("#words");
  await ann.type("may I?");
  await ann.press("Enter");
  await ann.sees({ in: "#log", role: "button", name: /again/i });
  await ann.reads("may I?", "#log");
  await ann.click({ in: "#log", role: "button", name: /again/i });
  await ann.seesNot({ in: "#log", role: "button", name: /again/i });
  await ann.reads("may I?", "#log");
  equal(tries, 2);
});

spec("a text that is too long is kept whole, says the limit, and can be shortened and sent", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await ann.click("#words");
  await ann.insert("a".repeat(20000));
  equal((await ann.value("#words")).length, 20000, "what is in the field");
  await ann.press("Enter");
  equal((await ann.value("#words")).length, 20000, "what is in the field after Enter");
  await ann.until("the limit is named", () => /\d[\d, .]*/.test(document.querySelector("#composer").innerText) && /long|limit|over|short/i.test(document.querySelector("#composer").innerText));
  await ann.evaluate(() => { const w = document.querySelector("#words"); w.setSelectionRange(5403, 20000); });
  await ann.press("Delete");
  await ann.press("Enter");
  await bob.hears(`ann: ${"a".repeat(5403)}`);
});

spec("a message that the server found too long comes back, and the page goes on", async (scene) => {
  const fake = await scene.fake((link) => link.hello()
    .on("send", () => { link.close(1009, "a message may have 100 bytes"); return null; }));
  const ann = await scene.person("ann", { url: fake.url });
  await ann.click("#words");
  await ann.type("too long for this server");
  await ann.press("Enter");
  await ann.until("it failed and is there", () => /too long for this server/.test(document.body.innerText)
    && [...document.querySelectorAll("#log button")].some((b) => /again/i.test(b.textContent)));
  await ann.until("it connects again", (see, n) => true, 0);
  await ann.seesNot("#state");
  ok(fake.links.length >= 2, "it has connected again");
});

spec("what was half typed elsewhere changes nothing when the connection comes back", async (scene) => {
  const network = await scene.network();
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann", { url: network.url });
  await ann.click({ role: "button", name: /join a room/i });
  await ann.click({ in: "#join-dialog", role: "textbox" });
  await ann.type("another-ro");
  network.cut();
  await ann.sees("#state");
  await ann.seesNot("#state");
  equal(await ann.evaluate(() => document.querySelector("#room").value), "another-ro", "what was typed");
  await ann.press("Escape");
  await ann.click("#words");
  await ann.type("to this room");
  await ann.press("Enter");
  await bob.hears("ann: to this room");
});

spec("a new nick does not overwrite the field that one types in", async (scene) => {
  const network = await scene.network();
  const ann = await scene.person("ann", { url: network.url });
  await ann.click("#own-nick");
  await ann.sees("#settings-dialog");
  await ann.fill("#nick", "ann-mar");
  network.cut();
  await ann.sees("#state");
  await ann.seesNot("#state");
  equal(await ann.value("#nick"), "ann-mar");
  equal(await ann.focus(), "#nick");
  await ann.type("ia");
  await ann.press("Enter");
  await ann.reads("ann-maria", "#own-nick");
});

spec("what was not stored is sent after a reload of the page", async (scene) => {
  const network = await scene.network();
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann", { url: network.url });
  await ann.click("#words");
  network.cut();
  network.isRefusing = false;
  network.deafen();
  await ann.sees("#state");
  await ann.type("survives");
  await ann.press("Enter");
  await ann.reads("survives", "#log");
  network.heal();
  await ann.reload();
  await bob.hears("ann: survives");
  await scene.isIn(ann, "ann");
  await ann.until("once", () => document.querySelector("#log").innerText.split("survives").length === 2);
});
