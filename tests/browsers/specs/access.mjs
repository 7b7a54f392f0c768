// For everybody: axe-core on every view in both themes, contrast, keyboard, zoom, motion, and what a
// screen reader is given.
import { rests } from "../court.mjs";
import { source } from "../packages.mjs";
import { equal, everywhere, ok, spec } from "../spec.mjs";

const AXE = source("axe-core/axe.min.js");

async function axe(person, where) {
  await rests(person);
  await person.view.evaluate(`(() => { ${AXE}; return 0; })()`);
  const found = await person.evaluate(async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} (${failureSummary.replace(/\s+/g, " ").slice(0, 200)})`).join(" | ")}`);
  });
  equal(found, [], `axe on ${where}`);
}

/** A room in which everything is to be seen. */
async function busyRoom(scene) {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await bob.say(scene.room, "hello https://example.org/ and ann");
  await bob.say(scene.room, "waves", { kind: "action" });
  await bob.say(scene.room, "an answer", { reply_to: 1 });
  for (const nick of ["guest-1a2b", "שרה", "小明"]) (await scene.plain(nick)).says(`I am ${nick}`);
  await bob.say(scene.room, `tall\n${"line\n".repeat(60)}`);
  return bob;
}

for (const theme of ["light", "dark"]) {
  spec(`axe finds nothing in any view, ${theme}`, async (scene) => {
    const bob = await busyRoom(scene);
    const ann = await scene.person("ann", { dark: theme === "dark" });
    await ann.click("#words");
    await ann.type("my own words");
    await ann.press("Enter");
    await bob.say(scene.room, "ann: a mention");
    await ann.reads("a mention", "#log");
    await axe(ann, "a room");
    await ann.type("/");
    await ann.sees({ role: "listbox" });
    await axe(ann, "the list of commands");
    await ann.press("Escape", "Control+a", "Delete");
    if (!await ann.count("#members")) await ann.click("#members-open");
    await ann.sees("#members");
    await axe(ann, "members");
    for (const [open, dialog] of [[{ role: "button", name: /join a room/i }, "#join-dialog"], ["#search-open", "#search-dialog"], ["#own-nick", "#settings-dialog"]]) {
      await ann.click(open);
      await ann.sees(dialog);
      if (dialog === "#search-dialog") {
        await ann.type("hello");
        await ann.press("Enter");
        await ann.reads("hello", "#found");
      }
      await axe(ann, dialog);
      await ann.dismiss(dialog);
    }
    await ann.resize(390, 800);
    await axe(ann, "a phone");
  }, { minutes: 3 });
}

spec("nicks can be read in both themes, on one's own lines too", async (scene) => {
  const nicks = [...Array.from({ length: 24 }, (_, n) => `guest-${(n * 2654 + 4096).toString(16)}`), "שרה", "小明"];
  for (const nick of nicks) (await scene.plain(nick)).says("hello");
  for (const theme of ["light", "dark"]) {
    const ann = await scene.person("ann", { dark: theme === "dark", height: 2500 });
    await ann.click("#words");
    await ann.type("my words");
    await ann.press("Enter");
    await ann.reads("my words", "#log");
    const low = await ann.evaluate((see) => {
      const rgb = (text) => text.match(/[\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
      const ground = (e) => {
        for (let up = e; up; up = up.parentElement) {
          const colour = rgb(getComputedStyle(up).backgroundColor);
          if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
      };
      return see.all("#log bdi").map((e) => {
        const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
        return { nick: e.textContent, contrast: (a + 0.05) / (b + 0.05) };
      }).filter(({ contrast }) => contrast < 4.5);
    });
    equal(low, [], theme);
    await ann.close();
  }
});

everywhere("a person with a keyboard alone reaches the log, the field, rooms and dialogs", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  bob.says("hello");
  await ann.reads("hello", "#log");
  // Backwards from the field: before the page's first element the browser's own follow.
  const visited = ["#words"];
  await ann.click("#words");
  for (let n = 0; n < 20 && !/join/i.test(visited.at(-1)); n += 1) {
    await ann.press("Shift+Tab");
    visited.push(await ann.focus());
  }
  for (const wanted of ["#log", "#members-open", "#search-open", "#settings-open"]) ok(visited.includes(wanted), `Tab reaches ${wanted}: ${visited}`);
  ok(/join/i.test(visited.at(-1)), `Tab reaches the button to join: ${visited}`);
  await ann.evaluate(() => document.querySelector("#search-open").focus());
  await ann.press("Enter");
  await ann.sees("#search-dialog");
  await ann.press("Escape");
  await ann.seesNot("#search-dialog");
  equal(await ann.focus(), "#search-open", "after the dialog");
});

spec("a burst of messages is announced without a flood", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  const ann = await scene.person("ann");
  await ann.evaluate(() => {
    globalThis.spoken = [];
    new MutationObserver(() => {
      const text = [...document.querySelectorAll("[aria-live=polite], [aria-live=assertive]")].map((e) => e.textContent).join(" ").trim();
      if (text) spoken.push(text);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await bob.say(scene.room, "a single message");
  await ann.until("it is announced", () => spoken.some((text) => /bob[\s\S]*a single message/.test(text)));
  await ann.evaluate(() => { spoken.length = 0; });
  await Promise.all(Array.from({ length: 60 }, (_, n) => bob.say(scene.room, `flood ${n}`)));
  await ann.reads("flood 59", "#log");
  await ann.until("something is announced", () => spoken.length > 0);
  const letters = await ann.evaluate(() => [...new Set(spoken)].join(" ").length);
  ok(letters < 2500, `${letters} letters for 60 messages`);
});

for (const [name, width, height] of [["200 %", 640, 400], ["400 %", 320, 256]]) {
  spec(`at ${name} everything is reachable without scrolling sideways`, async (scene) => {
    await busyRoom(scene);
    const ann = await scene.person("ann", { width, height, scale: 2 });
    const isWide = await ann.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1 || document.querySelector("#log").scrollWidth > document.querySelector("#log").clientWidth + 1);
    ok(!isWide, "nothing is wider than the window");
    const log = await ann.rect("#log");
    ok(log.height > 60, `the log is ${log.height} px high`);
    await ann.click("#words");
    await ann.type("words");
    const words = await ann.rect("#words");
    ok(words.bottom <= height && words.left >= 0 && words.right <= width, "the field is in the window");
    await ann.press("Enter");
    await ann.reads("words", "#log");
    await ann.click("#own-nick");
    await ann.sees("#settings-dialog");
    const dialog = await ann.rect("#settings-dialog");
    ok(dialog.left >= 0 && dialog.right <= width && dialog.top >= 0 && dialog.bottom <= height, "a dialog is in the window");
  });
}

spec("a person who wants less motion sees none", async (scene) => {
  const ann = await scene.person("ann", { reducedMotion: true });
  await ann.click("#own-nick");
  await ann.sees("#settings-dialog");
  const moving = await ann.evaluate(() => document.getAnimations().filter((a) => a.effect.getComputedTiming().duration > 20).length);
  equal(moving, 0);
});

spec("borders of fields have three to one, and placeholders four and a half", async (scene) => {
  for (const dark of [false, true]) {
    const ann = await scene.person("ann", { dark });
    const low = await ann.evaluate((see) => {
      const rgb = (text) => text.match(/[\d.]+/g).map(Number);
      const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
      const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
      const ground = (e) => {
        for (let up = e; up; up = up.parentElement) {
          const colour = rgb(getComputedStyle(up).backgroundColor);
          if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
      };
      const words = document.querySelector("#words");
      let field = words;
      while (parseFloat(getComputedStyle(field).borderTopWidth) === 0) field = field.parentElement;
      return {
        border: contrast(rgb(getComputedStyle(field).borderTopColor), ground(field.parentElement)),
        placeholder: contrast(rgb(getComputedStyle(words, "::placeholder").color), ground(words)),
      };
    });
    ok(low.border >= 3, `the border has ${low.border}`);
    ok(low.placeholder >= 4.5, `the placeholder has ${low.placeholder}`);
    await ann.close();
  }
});
