// Networks that die without a word, servers that accept and close: the page notices, says so, and
// comes back without hurrying.
import { equal, everywhere, ok, spec } from "../spec.mjs";

/** The person returns to the page: what a browser reports then. */
const returns = (person) => person.evaluate(() => {
  dispatchEvent(new Event("focus"));
  dispatchEvent(new Event("online"));
  document.dispatchEvent(new Event("visibilitychange"));
});

everywhere("a dead network is noticed when the person returns, and nothing is lost or doubled", async (scene) => {
  const network = await scene.network();
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann", { url: network.url });
  await ann.click("#words");
  await ann.type("before");
  await ann.press("Enter");
  await bob.hears("ann: before");
  network.deafen();
  await ann.type("into the dark");
  await ann.press("Enter");
  await ann.reads("into the dark", "#log");
  bob.says("said meanwhile");
  // A moment later; the page need not probe a connection that it heard from just now.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await returns(ann);
  await ann.sees("#state");
  network.heal();
  await ann.seesNot("#state");
  await bob.hears("ann: into the dark");
  await ann.reads("said meanwhile", "#log");
  bob.says("is all well?");
  await ann.reads("is all well?", "#log");
  equal(bob.lines.filter((line) => line === "ann: into the dark").length, 1, "times bob heard it");
  equal((await ann.text("#log")).split("into the dark").length - 1, 1, "times ann sees it");
});

spec("a server that is cut off from the others says so until it is not", async (scene) => {
  const fake = await scene.fake((link) => link.hello());
  const ann = await scene.person("ann", { url: fake.url });
  await ann.seesNot("#state");
  fake.links.at(-1).send({ type: "link", up: false });
  await ann.reads(/cannot reach the others/, "#connection");
  await ann.reads("ann", "#own-nick");
  fake.links.at(-1).send({ type: "link", up: true });
  await ann.seesNot("#state");
  fake.links.at(-1).send({ type: "link", up: false });
  await ann.reads(/cannot reach the others/, "#connection");
  // A new connection may be with another server.
  fake.links.at(-1).socket.terminate();
  await ann.seesNot("#state");
});

spec("a connection that died while the person was away is found dead when they return", async (scene) => {
  const network = await scene.network();
  const ann = await scene.person("ann", { url: network.url });
  // Until the page has found that the connection works; later it would ask by itself after 25 s.
  await new Promise((resolve) => setTimeout(resolve, 6000));
  network.deafen();
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await returns(ann);
  await ann.sees("#state");
  network.heal();
  await ann.seesNot("#state");
});

spec("a message whose answer is lost is sent again with its key, and is there once", async (scene) => {
  const network = await scene.network();
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann", { url: network.url });
  network.muffle();
  await ann.click("#words");
  await ann.type("once");
  await ann.press("Enter");
  await bob.hears("ann: once");
  network.cut();
  await ann.until("it is stored", () => !/sending/i.test(document.querySelector("#log").innerText));
  bob.says("how often?");
  await ann.reads("how often?", "#log");
  equal(bob.lines.filter((line) => line === "ann: once").length, 1, "times bob heard it");
  equal((await ann.text("#log")).split("once").length - 1, 1, "times ann sees it");
});

spec("a network that dies while the page is in front is noticed after silence", async (scene) => {
  const server = await scene.startServer(["--ping-after", "2s", "--silent-timeout", "10m"]);
  const network = await scene.network(server);
  const ann = await scene.person("ann", { url: network.url });
  network.deafen();
  await ann.sees("#state"); // 2 s of silence, 10 s for the answer to a probe.
  network.heal();
  await ann.seesNot("#state");
});

spec("an attempt that is never answered is given up after ten seconds, and another one succeeds", async (scene) => {
  const fake = await scene.fake((link) => { if (fake.links.length > 1) link.hello(); });
  const ann = await scene.newPerson("ann");
  await ann.goto(scene.address({ nick: "ann", url: fake.url }));
  await ann.sees("#state");
  await ann.reads("ann", "#own-nick");
  await ann.seesNot("#state");
  equal(fake.links.length, 2, "connections");
});

spec("a server that greets and closes with 1013 is not stormed", async (scene) => {
  const fake = await scene.fake((link) => {
    link.hello();
    setTimeout(() => link.close(1013, "too busy"), 50);
  });
  const ann = await scene.newPerson("ann");
  await ann.goto(scene.address({ nick: "ann", url: fake.url }));
  await ann.sees("#state");
  await new Promise((resolve) => setTimeout(resolve, 8000));
  ok(fake.links.length <= 6, `${fake.links.length} connections in 8 seconds`);
  ok(fake.links.length >= 2, "it tries again");
});

spec("a server that starts again is found again, with its history and one's nick", async (scene) => {
  const { mkdtempSync, rmSync } = await import("node:fs");
  const store = mkdtempSync("/tmp/parlor-browsers-");
  scene.keep({ close: () => rmSync(store, { recursive: true, force: true }) });
  const first = await scene.startServer([], { store });
  const network = await scene.network(first);
  const ann = await scene.person("ann", { url: network.url });
  await ann.click("#words");
  await ann.type("kept");
  await ann.press("Enter");
  await ann.until("it is stored", () => /kept/.test(document.querySelector("#log").innerText) && !/sending/i.test(document.querySelector("#log").innerText));
  await first.stop();
  await ann.sees("#state");
  await ann.type("written while the server is away");
  await ann.press("Enter");
  const second = await scene.startServer([], { store });
  network.upstream = second.front;
  await ann.seesNot("#state");
  await ann.until("all of it is stored", () => !/sending/i.test(document.querySelector("#log").innerText));
  await ann.reads("ann", "#own-nick");
  await ann.reads(/kept[\s\S]*written while the server is away/, "#log");
});

spec("offline and online events of the browser are followed", async (scene) => {
  const ann = await scene.person("ann");
  const bob = await scene.plain("bob");
  await ann.view.offline(true);
  await returns(ann);
  await ann.view.offline(false);
  await ann.seesNot("#state");
  bob.says("still here");
  await ann.reads("still here", "#log");
});
