// Who one is: the name is one's own through reconnects, reloads and second tabs, and always shown.
import { equal, everywhere, ok, spec } from "../spec.mjs";

everywhere("a reload keeps the nick and the room, and others see one person", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await bob.hears("* ann joined");
  await ann.reload();
  await scene.isIn(ann, "ann");
  bob.says("hello again");
  await ann.reads("hello again", "#log");
  ok(!(await ann.text("#log")).includes("already"), "no name was taken");
});

spec("a connection that the server still holds does not keep one's name from one", async (scene) => {
  const network = await scene.network();
  const ann = await scene.person("ann", { url: network.url });
  network.cutClients();
  await ann.sees("#state");
  await ann.seesNot("#state");
  await ann.reads("ann", "#own-nick");
  const bob = await scene.plain("bob");
  await ann.click("#words");
  await ann.type("it is me");
  await ann.press("Enter");
  await bob.hears("ann: it is me");
});

spec("a name that the server made up is kept through a reconnect", async (scene) => {
  const network = await scene.network();
  const guest = await scene.newPerson("guest");
  await guest.goto(scene.address({ url: network.url }));
  await guest.reads(/guest-/, "#own-nick");
  await scene.isIn(guest);
  const name = await guest.text("#own-nick");
  for (let round = 0; round < 2; round += 1) {
    network.cutClients();
    await guest.sees("#state");
    await guest.seesNot("#state");
    equal(await guest.text("#own-nick"), name);
  }
});

spec("a copy of the tab is a person of its own, and the original stays connected", async (scene) => {
  const ann = await scene.person("ann");
  const view = await ann.view.opened(() => ann.evaluate(() => { open(location.href); }));
  const copy = await scene.adopt(view, "copy");
  await copy.reads(scene.room, "#room-name");
  await copy.until("it has a name", () => /\w/.test(document.querySelector("#own-nick").innerText));
  const bob = await scene.plain("bob");
  bob.says("to both");
  await ann.reads("to both", "#log");
  await copy.reads("to both", "#log");
  ok(await ann.text("#own-nick") !== await copy.text("#own-nick"), "they have different names");
  await ann.reads("ann", "#own-nick");
  equal(await ann.count("#state"), 0, "the original's connection line");
});

everywhere("the nick that one has is shown after one changes it", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await ann.click("#words");
  await ann.type("/nick שרה");
  await ann.press("Enter");
  await ann.reads("שרה", "#own-nick");
  await bob.hears("* ann is now known as שרה");
  await ann.type("/nick bob");
  await ann.press("Enter");
  await ann.until("why not is said", () => /bob/.test(document.body.innerText) && /taken|use|other|already/i.test(document.body.innerText));
  await ann.reads("שרה", "#own-nick");
});

spec("a nick in the address that another has is asked for, and the page says which one it got", async (scene) => {
  await scene.plain("ann");
  const other = await scene.newPerson("other");
  await other.goto(scene.address({ nick: "ann" }));
  await other.reads(/guest-/, "#own-nick");
  await other.reads(/ann[\s\S]*(taken|use|other|already)|(taken|use|other|already)[\s\S]*ann/i);
});
