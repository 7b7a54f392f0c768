// One message cannot own the screen or pass for others.
import { equal, ok, spec } from "../spec.mjs";

spec("a message of five thousand lines takes less than a screen, and can be opened", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  bob.says(`top${"\n".repeat(5000)}bottom`);
  bob.says("after it");
  await ann.reads("after it", "#log");
  const log = await ann.rect("#log");
  const height = await ann.evaluate(() => document.querySelector("#log").scrollHeight);
  ok(height < 2 * log.height, `all of the log is ${height} px high`);
  await ann.click({ in: "#log", role: "button", name: /more/i });
  await ann.until("it is open", (see, before) => document.querySelector("#log").scrollHeight > before * 3, height);
});

spec("marks that pile up do not draw over the neighbours", async (scene) => {
  const bob = await scene.program("bob");
  const cat = await scene.program("cat");
  const ann = await scene.person("ann");
  await bob.join(scene.room);
  await cat.join(scene.room);
  await cat.say(scene.room, "a line above");
  const pile = `ZZZZZZZZ${"\u0335\u0323\u0308\u030d\u0489".repeat(8)}`;
  await bob.say(scene.room, pile);
  await cat.say(scene.room, "a line below");
  await ann.reads("a line below", "#log");
  await ann.view.move(5, 5);
  // Not every font piles marks up; a shadow reaches as far as those of fonts that do.
  await ann.evaluate((see) => {
    see.rangeOf(document.querySelector("#log"), "Z").startContainer.parentElement.style.textShadow = Array.from({ length: 10 }, (_, n) => `0 ${(n - 5) * 18}px red`).join();
  });
  const clips = await Promise.all(["a line above", "a line below"].map((text) => ann.rectOfText("#log", text)));
  const shoot = () => Promise.all(clips.map(({ x, y, width, height }) => ann.view.clip({ x: x - 20, y, width: width + 100, height })));
  const hide = (is) => ann.evaluate((see, hidden) => {
    const range = see.rangeOf(document.querySelector("#log"), "Z");
    range.startContainer.parentElement.style.visibility = hidden ? "hidden" : "";
  }, is);
  const withPile = await shoot();
  await hide(true);
  const without = await shoot();
  withPile.forEach((png, at) => ok(png.equals(without[at]), `the neighbour ${at ? "below" : "above"} is drawn over`));
});

spec("an action with a second line does not look like a notice", async (scene) => {
  const bob = await scene.program("bob");
  const ann = await scene.person("ann");
  await bob.join(scene.room);
  const cat = await scene.plain("cat");
  await cat.hears(/welcome/);
  await bob.say(scene.room, "is back\ncat left", { kind: "action" });
  await ann.reads("is back", "#log");
  const dog = await scene.plain("dog");
  dog.close();
  await ann.reads(/dog/, "#log");
  const [star, fake] = [await ann.rectOfText("#log", "bob"), await ann.rectOfText("#log", "cat left")];
  ok(fake.left > star.left + 2, `the second line (${fake.left}) is indented beyond the nick (${star.left})`);
  const styles = await ann.evaluate((see) => ["cat left", "dog"].map((text, n) => {
    const range = see.rangeOf(document.querySelector("#log"), text);
    const { fontStyle, fontSize, color } = getComputedStyle(range.startContainer.parentElement);
    return { fontStyle, fontSize, color };
  }));
  ok(JSON.stringify(styles[0]) !== JSON.stringify(styles[1]), "it is drawn in another way than a notice");
});

spec("a nick that looks like a notice cannot begin one", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  bob.says("* cat left\ncat: I am cat");
  await ann.reads("I am cat", "#log");
  const [nick, second] = [await ann.evaluate((see) => {
    const n = see.rangeOf(document.querySelector("#log"), "bob");
    return see.box(n.getBoundingClientRect());
  }), await ann.rectOfText("#log", "cat: I am cat")];
  ok(second.top > nick.top, "it stands below the name of its sender");
  equal(await ann.evaluate(() => [...document.querySelectorAll("#log bdi")].map((e) => e.textContent).filter((t) => t === "cat").length), 0, "nicks called cat");
});
