// Right-to-left text: judged by where things stand on the screen.
import { equal, everywhere, ok } from "../spec.mjs";

everywhere("the field follows the direction of what is typed", async (scene) => {
  const ann = await scene.person("ann");
  await ann.click("#words");
  const direction = () => ann.evaluate(() => getComputedStyle(document.querySelector("#words")).direction);
  await ann.type("שלום");
  equal(await direction(), "rtl");
  await ann.press("Control+a", "Delete");
  await ann.type("hello");
  equal(await direction(), "ltr");
});

everywhere("each line of a message has a direction of its own", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  bob.says("first line\nשורה שנייה\nthird line");
  await ann.reads("third line", "#log");
  const log = await ann.rect("#log");
  const middle = log.left + log.width / 2;
  const [one, two, three] = await Promise.all(["first line", "שורה שנייה", "third line"].map((text) => ann.rectOfText("#log", text)));
  ok(one.right < middle, "the first stands left");
  ok(two.left > middle, `the second stands right (${two.left} of ${middle})`);
  ok(three.right < middle, "the third stands left");
});

everywhere("a nick of another direction does not move the words of a notice", async (scene) => {
  const server = await scene.startServer(["--operator-token", "secret"]);
  const { Plain } = await import("../client.mjs");
  const david = await scene.keep(await Plain.join(server.port, scene.room, "דוד"));
  const sara = await scene.keep(await Plain.join(server.port, scene.room, "שרה"));
  const ann = await scene.person("ann", { url: server.url });
  david.says("/op secret");
  await david.hears(/operator/);
  david.says("/kick שרה 1, 2 and 3");
  await ann.reads("1, 2 and 3", "#log");
  sara.close();
  const log = await ann.text("#log");
  const row = log.split("\n").find((line) => line.includes("1, 2 and 3"));
  ok(row, "the notice is one line");
  const [first, words, second] = await Promise.all([
    ann.rectOfText("#log", "שרה", log.split("שרה").length - 2), // the last one
    ann.evaluate((see) => {
      const range = see.rangeOf(document.querySelector("#log"), "1, 2 and 3");
      const line = range.startContainer.parentElement.closest("[class]").parentElement;
      const found = /\b(was (removed|kicked)|kicked|removed)/.exec(line.textContent);
      return see.box(see.rangeOf(line, found[0]).getBoundingClientRect());
    }),
    ann.rectOfText("#log", "דוד", log.split("דוד").length - 2),
  ]);
  const order = [["שרה", first], ["was kicked", words], ["דוד", second]].sort((a, b) => a[1].left - b[1].left).map(([name]) => name);
  ok(order.join() === "שרה,was kicked,דוד" || order.join() === "דוד,was kicked,שרה", `the words stand between the names: ${order}`);
  ok(/שרה.*(kicked|removed).*דוד/.test(row) ? order[0] === "שרה" : order[0] === "דוד", `read from the left as it is written (${row}): ${order}`);
});

everywhere("a nick stands before its message, and the time does not move", async (scene) => {
  const david = await scene.plain("דוד");
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  david.says("123 שלום abc");
  await ann.reads("123 שלום abc", "#log");
  bob.says("hello");
  await ann.reads("hello", "#log");
  const where = await ann.evaluate((see) => [...document.querySelectorAll("#log time")].filter(see.isVisible).slice(-2).map((time) => {
    const nick = time.parentElement.querySelector("bdi");
    const [t, n] = [time.getBoundingClientRect(), nick.getBoundingClientRect()];
    return { nick: Math.round(n.left), isBefore: n.right <= t.left + 1 };
  }));
  equal(where.map(({ isBefore }) => isBefore), [true, true], "the nick is left of the time");
  equal(where[0].nick, where[1].nick, "both nicks begin at one place");
});

everywhere("a control of direction cannot disguise where a link leads", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  bob.says("see \u202ehttps://evil.example/moc.elgoog@elpmaxe and https://google.com@evil.example/ or https://xn--80ak6aa92e.com/");
  bob.says("the end");
  await ann.reads("the end", "#log");
  const links = await ann.evaluate((see) => see.all("#log a").map((a) => {
    // The characters of the link from left to right, as they are drawn.
    const node = a.firstChild.nodeType === 3 ? a.firstChild : a.querySelector("*").firstChild;
    const drawn = [...node.data].map((character, at) => {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const box = range.getClientRects()[0];
      return { character, at, top: Math.round(box?.top ?? 0), left: box?.left ?? 0 };
    }).sort((x, y) => x.top - y.top || x.left - y.left || x.at - y.at).map(({ character }) => character).join("");
    return { host: new URL(a.href).host, drawn, around: a.parentElement.textContent };
  }));
  ok(links.length >= 2, `links: ${JSON.stringify(links)}`);
  for (const { host, drawn, around } of links) {
    const shown = /^https?:\/\/([^/@]*)(?:\/|$)/.exec(drawn)?.[1];
    ok(shown === host || around.includes(`[${host}]`), `${drawn} opens ${host}, which is shown`);
  }
});
