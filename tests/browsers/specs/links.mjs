// Links, copying, days and times, and what is counted as unread.
import { equal, everywhere, ok, spec } from "../spec.mjs";

spec("links end before closing punctuation and keep balanced brackets", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  const cases = [
    ["(see https://a.example/b).", "https://a.example/b"],
    ["https://a.example/wiki/X_(y), and", "https://a.example/wiki/X_(y)"],
    ["去 https://a.example/路，好吗？", "https://a.example/路"],
    ["「https://a.example/z」。", "https://a.example/z"],
    ["https://a.example/?q=1&r=2!", "https://a.example/?q=1&r=2"],
    ["<https://a.example/x>", "https://a.example/x"],
  ];
  for (const [text] of cases) bob.says(text);
  bob.says("the end");
  await ann.reads("the end", "#log");
  equal(await ann.evaluate((see) => see.all("#log a").map((a) => a.textContent)), cases.map(([, link]) => link));
  const safe = await ann.evaluate((see) => see.all("#log a").every((a) => a.target === "_blank" && /noopener/.test(a.rel)));
  ok(safe, "links open elsewhere and know nothing of this page");
});

everywhere("copied messages have the time and the nick of each", async (scene) => {
  const bob = await scene.plain("bob");
  const cat = await scene.plain("cat");
  const ann = await scene.person("ann");
  bob.says("one");
  await ann.reads("one", "#log");
  bob.says("two");
  await ann.reads("two", "#log");
  cat.says("three");
  await ann.reads("three", "#log");
  await ann.evaluate((see) => {
    const log = document.querySelector("#log");
    const from = see.rangeOf(log, "one"), to = see.rangeOf(log, "three");
    const rows = [...log.querySelectorAll("[data-seq]")];
    const first = rows.find((row) => row.contains(from.startContainer));
    document.getSelection().setBaseAndExtent(first, 0, to.endContainer, to.endOffset);
  });
  await ann.press("Control+c");
  await ann.click("#words");
  await ann.press("Control+v");
  const lines = (await ann.value("#words")).trim().split("\n");
  equal(lines.map((line) => line.replace(/^\[[^\]]*\d[^\]]*\] /, "[time] ")), ["[time] bob: one", "[time] bob: two", "[time] cat: three"]);
});

spec("days are separated, and a time says all of it when one points at it", async (scene) => {
  const day = 24 * 3600 * 1000;
  const now = Date.now();
  const entries = [[now - 2 * day, "old"], [now - day, "yesterday"], [now, "today"]].map(([time, text], n) =>
    ({ type: "message", seq: n + 1, time, nick: "bob", kind: "message", text }));
  const fake = await scene.fake((link) => link.hello().on("join", ({ room }) => {
    queueMicrotask(() => { for (const entry of entries) link.send({ ...entry, room }); });
    return { type: "joined", room, epoch: "1-1", seq: 3, after: 0, recovered: false, topic: "", count: 2, members: ["bob"], role: "member" };
  }));
  const ann = await scene.person("ann", { url: fake.url });
  await ann.reads("today", "#log");
  const year = String(new Date(now).getFullYear());
  const shown = await ann.text("#log");
  ok(shown.split(year).length - 1 >= 2, `there are lines for days: ${shown}`);
  const title = await ann.evaluate((see) => see.all("#log time").map((e) => e.title).filter(Boolean).at(-1));
  ok(title?.includes(year) && /\d:\d\d/.test(title), `the whole time: ${title}`);
});

spec("what comes while the page has no focus is counted in its title, mentions too", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await ann.evaluate(() => {
    document.hasFocus = () => false;
    dispatchEvent(new Event("blur"));
  });
  bob.says("one");
  bob.says("/me waves");
  bob.says("ann: look");
  await ann.until("the title counts", () => /3/.test(document.title));
  await ann.evaluate(() => {
    delete document.hasFocus;
    dispatchEvent(new Event("focus"));
  });
  await ann.until("the title counts no more", () => !/\d/.test(document.title));
});
