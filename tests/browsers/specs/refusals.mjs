// Refusals reach the person: what was wrong, and what to do.
import { equal, everywhere, ok, spec } from "../spec.mjs";

for (const [typed, good] of [["general chat", "general-chat"], ["#General", "general"], ["c++", "cplusplus"], ["🎉", null]]) {
  spec(`a room called ${typed} in the address is explained, and the nearest good name is offered`, async (scene) => {
    const ann = await scene.newPerson("ann");
    await ann.goto(scene.address({ nick: "ann", room: typed }));
    await ann.reads("ann", "#own-nick");
    if (typed !== "#General") await ann.reads(/name/i, "#connection");
    ok(!/again|lost/i.test(await ann.text("#connection").catch(() => "")), "it is not tried for ever");
    if (typed === "#General" && await ann.until("a room", () => document.querySelector("#room-name").innerText) === "#general") return;
    if (good) {
      await ann.click({ role: "button", name: new RegExp(good) });
      await ann.reads(good, "#room-name");
      await ann.seesNot("#state");
    }
    await ann.goto(scene.address({ nick: "ann", room: null }));
    await ann.reads("ann", "#own-nick");
    await ann.until("the page is drawn", () => /den|lobby|general|plus|parlor/.test(document.querySelector("#room-name").innerText));
    ok(!(await ann.text("#rooms")).includes(typed), "the bad name is not remembered");
  });
}

everywhere("a room name with a space is mended as it is typed", async (scene) => {
  const ann = await scene.person("ann");
  await ann.click({ role: "button", name: /join a room/i });
  await ann.fill({ in: "#join-dialog", role: "textbox" }, "#General chat");
  await ann.reads("general-chat", "#join-dialog");
  await ann.press("Enter");
  await ann.reads("general-chat", "#room-name");
  await ann.seesNot("#join-dialog");
  await ann.seesNot("#state");
});

spec("a nick that cannot be one is explained, and the person is connected", async (scene) => {
  const ann = await scene.newPerson("ann");
  await ann.goto(scene.address({ nick: "two words" }));
  await ann.reads(/guest-/, "#own-nick");
  await ann.reads(/two words/);
  await ann.seesNot("#state");
});

spec("a page from a foreign origin says that it may not connect, and does not try for ever", async (scene) => {
  const { Origin } = await import("../fake.mjs");
  const other = await scene.keep(await Origin.start(scene.server.url));
  const ann = await scene.newPerson("ann");
  await ann.goto(scene.address({ nick: "ann", url: other.url }));
  await ann.sees("#state");
  await ann.reads(/origin|address|allowed|refused|proxy|Host/i, "#connection");
});

spec("a server without room says so", async (scene) => {
  const server = await scene.startServer(["--max-connections-per-address", "3"]);
  const held = [];
  const { createConnection } = await import("node:net");
  const network = await scene.network(server);
  const ann = await scene.newPerson("ann");
  await ann.goto(scene.address({ nick: "ann", url: network.url }));
  await ann.reads("ann", "#own-nick");
  network.isRefusing = false;
  network.cut();
  for (let n = 0; n < 3; n += 1) held.push(createConnection(server.port, "127.0.0.1").on("error", () => {}));
  scene.keep({ close: () => held.forEach((socket) => socket.destroy()) });
  await ann.sees("#state");
  const text = await ann.text("#connection");
  ok(text.trim().length > 5, "something is said");
});

spec("being removed by an operator is said, and the page stays away", async (scene) => {
  const server = await scene.startServer(["--operator-token", "secret"]);
  const network = await scene.network(server);
  const ann = await scene.person("ann", { url: network.url });
  const { Plain } = await import("../client.mjs");
  const op = await scene.keep(await Plain.join(server.port, scene.room, "op"));
  op.says("/op secret");
  await op.hears(/operator/);
  op.says("/kick ann be nice");
  await ann.reads(/be nice/);
  const accepted = network.accepted;
  await new Promise((resolve) => setTimeout(resolve, 2500));
  equal(network.accepted, accepted, "connections after it");
});
