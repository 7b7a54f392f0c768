// What the page offers besides talking: rooms, members, search, replies, links, completion, commands,
// settings, languages, notifications, embedding.
import { equal, everywhere, ok, spec } from "../spec.mjs";

const tell = async (person, line) => {
  await person.click("#words");
  await person.type(line);
  await person.press("Enter");
};

everywhere("rooms have counts of what is unread, and switching keeps one's place and draft", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join("den");
  await bob.join("attic");
  for (let n = 1; n <= 40; n += 1) await bob.say("den", `den ${n}`);
  const ann = await scene.person("ann");
  await ann.reads("den 40", "#log");
  await tell(ann, "/join attic");
  await ann.reads("attic", "#room-name");
  await bob.say("den", "something new");
  await bob.say("den", "ann: a question");
  await ann.reads(/2/, "#rooms");
  await ann.until("it is spoken", () => /2 unread[\s\S]*1 mention/.test(document.querySelector("#rooms").textContent));
  await ann.click("#words");
  await ann.type("draft in the attic");
  await ann.click({ in: "#rooms", role: "button", name: /den/ });
  await ann.reads("den", "#room-name");
  equal(await ann.value("#words"), "");
  await ann.reads("a question", "#log");
  await ann.click({ in: "#rooms", role: "button", name: /attic/ });
  await ann.reads("attic", "#room-name");
  equal(await ann.value("#words"), "draft in the attic");
  await ann.until("nothing is unread", () => !/unread/.test(document.querySelector("#rooms").textContent));
});

spec("one's place in a room is kept while one is in another", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join("den");
  for (let n = 1; n <= 60; n += 1) await bob.say("den", `den ${n}`);
  const ann = await scene.person("ann");
  await ann.reads("den 60", "#log");
  await tell(ann, "/join attic");
  await ann.reads("attic", "#room-name");
  await ann.click({ in: "#rooms", role: "button", name: /den/ });
  await ann.reads("den 60", "#log");
  await ann.wheel("#log", -700);
  await ann.until("it rests", () => new Promise((resolve) => {
    const log = document.querySelector("#log");
    const before = log.scrollTop;
    setTimeout(() => resolve(log.scrollTop === before && log.scrollHeight - before - log.clientHeight > 100), 300);
  }));
  const place = () => ann.evaluate(() => {
    const log = document.querySelector("#log").getBoundingClientRect();
    const row = [...document.querySelectorAll("#log [data-seq]")].find((e) => e.getBoundingClientRect().top >= log.top);
    return [row.dataset.seq, Math.round(row.getBoundingClientRect().top)];
  });
  const before = await place();
  await ann.click({ in: "#rooms", role: "button", name: /attic/ });
  await ann.reads("attic", "#room-name");
  await ann.click({ in: "#rooms", role: "button", name: /den/ });
  await ann.reads("den", "#room-name");
  await ann.until("it is drawn", () => document.querySelectorAll("#log [data-seq]").length > 5);
  const after = await place();
  equal(after[0], before[0], "the first message in view");
  ok(Math.abs(after[1] - before[1]) <= 2, `it stood at ${before[1]} and stands at ${after[1]}`);
});

spec("a room with a thousand members has a list that is smooth and complete", async (scene) => {
  const server = await scene.startServer(["--max-connections-per-address", "0", "--notice-members", "5"]);
  const { need } = await import("../packages.mjs");
  const WebSocket = need("ws");
  const sockets = [];
  scene.keep({ close: () => sockets.forEach((socket) => socket.terminate()) });
  const COUNT = 1000;
  for (let from = 0; from < COUNT; from += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, n) => new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws/den?nick=m${String(from + n).padStart(4, "0")}&history=0`);
      sockets.push(socket);
      socket.on("error", reject);
      socket.once("message", resolve);
    })));
  }
  const ann = await scene.person("ann", { url: server.url });
  await ann.reads(/1,001/, "#members");
  const deadline = Date.now() + 30000;
  while (!(await ann.text("#members")).includes("m0999")) {
    await ann.wheel("#member-list", 5000);
    ok(Date.now() < deadline, "the last member is reached");
  }
  const elements = await ann.evaluate(() => document.querySelectorAll("#members *").length);
  ok(elements < 500, `${elements} elements in the list`);
});

spec("search finds, marks, and leads to the message", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await bob.say(scene.room, "a needle in a haystack");
  await Promise.all(Array.from({ length: 150 }, (_, n) => bob.say(scene.room, `hay ${n}`)));
  const ann = await scene.person("ann");
  await ann.reads("hay 149", "#log");
  await ann.click("#search-open");
  await ann.type("needle");
  await ann.press("Enter");
  await ann.reads("a needle in a haystack", "#found");
  await ann.click({ in: "#found", role: "button", name: /needle/ });
  await ann.seesNot("#search-dialog");
  await ann.until("the message is in view", (see) => {
    const log = document.querySelector("#log").getBoundingClientRect();
    const box = see.rangeOf(document.querySelector("#log"), "a needle in a haystack").getBoundingClientRect();
    return box.top >= log.top && box.bottom <= log.bottom;
  });
});

everywhere("a reply shows what it replies to, for both", async (scene) => {
  const bob = await scene.person("bob");
  const ann = await scene.person("ann");
  await tell(bob, "shall we meet at noon?");
  await ann.reads("shall we meet at noon?", "#log");
  const { x, y } = await ann.rectOfText("#log", "shall we meet");
  await ann.view.move(x + 5, y + 5);
  await ann.click({ in: "#log", role: "button", name: "Reply" });
  equal(await ann.focus(), "#words");
  await ann.reads("shall we meet at noon?", "#composer");
  await ann.type("yes, at noon");
  await ann.press("Enter");
  for (const one of [ann, bob]) {
    await one.until("the quotation above the answer", (see) => {
      const log = document.querySelector("#log");
      const quote = see.rangeOf(log, "shall we meet at noon?", 1).getBoundingClientRect();
      const answer = see.rangeOf(log, "yes, at noon").getBoundingClientRect();
      return quote.bottom <= answer.top + 4 && answer.top - quote.bottom < 30;
    });
  }
});

spec("a reply is made with the keyboard alone", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await bob.say(scene.room, "a question");
  const ann = await scene.person("ann");
  await ann.reads("a question", "#log");
  await ann.click("#words");
  await ann.press("ArrowUp", "Enter");
  equal(await ann.focus(), "#words");
  await ann.type("an answer");
  await ann.press("Enter");
  await ann.until("bob has it", () => true);
  const answer = await scene.eventually("bob receives the answer", () => bob.events.find(({ text }) => text === "an answer"));
  equal(answer.reply_to, 1);
});

spec("a link to a message is copied, and leads to it in another browser", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await bob.say(scene.room, "the one that is linked");
  const ann = await scene.person("ann");
  await ann.reads("the one that is linked", "#log");
  const { x, y } = await ann.rectOfText("#log", "the one");
  await ann.view.move(x + 5, y + 5);
  await ann.click({ in: "#log", role: "button", name: /copy link/i });
  await ann.click("#words");
  await ann.press("Control+v");
  const link = await ann.until("the link is there", () => document.querySelector("#words").value);
  await Promise.all(Array.from({ length: 120 }, (_, n) => bob.say(scene.room, `later ${n}`)));
  const cat = await scene.newPerson("cat");
  await cat.goto(link);
  await cat.until("the message is in view", (see) => {
    const log = document.querySelector("#log").getBoundingClientRect();
    const box = see.rangeOf(document.querySelector("#log"), "the one that is linked").getBoundingClientRect();
    return box.top >= log.top && box.bottom <= log.bottom;
  });
});

everywhere("others see that one types, and no longer when it is sent", async (scene) => {
  const ann = await scene.person("ann");
  const bob = await scene.person("bob");
  await ann.reads("bob", "#log");
  await ann.click("#words");
  await ann.type("I am thinking");
  await bob.reads(/ann is typing/, "#composer");
  await ann.press("Enter");
  await bob.until("it is gone", () => !/typing/.test(document.querySelector("#composer").innerText));
  await bob.reads("I am thinking", "#log");
});

everywhere("nicks and commands are completed with the keyboard", async (scene) => {
  const bob = await scene.plain("barbara");
  const ann = await scene.person("ann");
  await ann.reads("barbara", "#members");
  await ann.click("#words");
  await ann.type("bar");
  await ann.press("Tab");
  equal(await ann.value("#words"), "barbara: ");
  await ann.type("hello @ba");
  await ann.sees({ role: "listbox" });
  await ann.press("Enter");
  equal(await ann.value("#words"), "barbara: hello @barbara ");
  await ann.press("Enter");
  await bob.hears(/^ann: barbara: hello @barbara ?$/);
  await ann.type("/jo");
  await ann.reads("/join", { role: "listbox" });
  await ann.press("Tab");
  equal(await ann.value("#words"), "/join ");
});

spec("commands answer, and one that does not exist is not sent", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await tell(ann, "/who");
  await ann.reads(/ann[\s\S]*bob/, "#log");
  await tell(ann, "/help ");
  await ann.reads("/nick", "#log");
  await tell(ann, "/wibble wobble");
  await ann.reads(/wibble/);
  await ann.press("Control+a", "Delete");
  await tell(ann, "//slash");
  await bob.hears("ann: /slash");
  ok(!bob.lines.some((line) => line.includes("wobble")), "the unknown command was not said");
});

spec("one's own name in one's own words is no mention", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  await tell(ann, "it is ann who speaks");
  await ann.reads("it is ann who speaks", "#log");
  bob.says("ann?");
  await ann.reads("ann?", "#log");
  const grounds = await ann.evaluate((see) => ["ann who", "ann?"].map((text) => {
    const range = see.rangeOf(document.querySelector("#log"), text);
    return getComputedStyle(range.startContainer.parentElement.closest("mark") ?? document.body).backgroundColor;
  }));
  ok(grounds[0] !== grounds[1], `only the mention is marked: ${grounds}`);
});

spec("a mention is marked, counted in the title, and shown as an icon", async (scene) => {
  const bob = await scene.plain("bob");
  const ann = await scene.person("ann");
  bob.says("no mention");
  bob.says("hey ann, look");
  await ann.reads("look", "#log");
  const grounds = await ann.evaluate((see) => ["no mention", "hey ann"].map((text) => {
    for (let up = see.rangeOf(document.querySelector("#log"), text).startContainer.parentElement; up; up = up.parentElement) {
      const colour = getComputedStyle(up).backgroundColor;
      if (!/, 0\)$/.test(colour)) return colour;
    }
    return "";
  }));
  ok(grounds[0] !== grounds[1], "a mention has a ground of its own");
  const icon = () => ann.evaluate(() => document.querySelector("link[rel~=icon]").href);
  const before = await icon();
  await ann.evaluate(() => { document.hasFocus = () => false; dispatchEvent(new Event("blur")); });
  bob.says("ann?");
  await ann.until("the title", () => /1/.test(document.title));
  ok(await icon() !== before, "the icon has changed");
});

spec("joins are hidden for a person who wants that, also after a reload", async (scene) => {
  const ann = await scene.person("ann");
  (await scene.plain("bob")).close();
  await ann.reads("bob", "#log");
  await ann.click("#own-nick");
  await ann.evaluate(() => {
    const joins = document.querySelector("#joins");
    joins.value = "hide";
    joins.dispatchEvent(new Event("change", { bubbles: true }));
  });
  await ann.press("Escape");
  await ann.until("they are gone", () => !/bob/.test(document.querySelector("#log").innerText));
  await ann.reload();
  await scene.isIn(ann, "ann");
  const cat = await scene.plain("cat");
  cat.says("hello");
  await ann.reads("hello", "#log");
  ok(!/joined/.test(await ann.text("#log")), "no joins");
});

everywhere("the language is switched, and everything follows", async (scene) => {
  const ann = await scene.person("ann");
  await ann.click("#own-nick");
  await ann.evaluate(() => {
    const language = document.querySelector("#language");
    language.value = "zh";
    language.dispatchEvent(new Event("change", { bubbles: true }));
  });
  await ann.press("Escape");
  await ann.until("no English is left", () => {
    const text = document.querySelector("#app").innerText.replace(/#?den|ann|PM|AM/g, "");
    return /[\u4e00-\u9fff]/.test(text) && !/[a-z]{3}/i.test(text.replace(/[A-Z][a-z]+day.*\d{4}/g, ""));
  });
  equal(await ann.evaluate(() => document.documentElement.lang.slice(0, 2)), "zh");
});

spec("a browser that prefers Chinese gets it, and one with another language gets English", async (scene) => {
  for (const [locale, pattern] of [["zh-CN", /[\u4e00-\u9fff]/], ["de-DE", /Join a room/]]) {
    const ann = await scene.newPerson("ann", { locale });
    await ann.goto(scene.address({}));
    await ann.until(locale, (see, wanted) => new RegExp(wanted.source).test(document.querySelector("#rooms").innerText), pattern);
    await ann.close();
  }
});

spec("the theme is chosen, kept, and taken from the address", async (scene) => {
  const ann = await scene.person("ann");
  const ground = () => ann.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b));
  const light = await ground();
  await ann.click("#own-nick");
  await ann.evaluate(() => {
    const theme = document.querySelector("#theme");
    theme.value = "dark";
    theme.dispatchEvent(new Event("change", { bubbles: true }));
  });
  const dark = await ground();
  ok(light > 600 && dark < 200, `light ${light}, dark ${dark}`);
  await ann.reload();
  await scene.isIn(ann, "ann");
  equal(await ground(), dark, "after a reload");
  await ann.goto(scene.address({ nick: "ann", query: { theme: "light" } }));
  await scene.isIn(ann, "ann");
  equal(await ground(), light, "with ?theme=light");
});

spec("a message behind a gap that the server did not send can be fetched", async (scene) => {
  const server = await scene.startServer(["--catch-up-max", "10", "--history-lines", "5"]);
  const { Program } = await import("../client.mjs");
  const network = await scene.network(server);
  const bob = await scene.keep(await Program.open(server.port, "bob"));
  await bob.join(scene.room);
  const ann = await scene.person("ann", { url: network.url });
  await bob.say(scene.room, "before");
  await ann.reads("before", "#log");
  network.refuse();
  await ann.sees("#state");
  await Promise.all(Array.from({ length: 80 }, (_, n) => bob.say(scene.room, `missed ${n}`)));
  // Only an absence of ten seconds is marked.
  await new Promise((resolve) => setTimeout(resolve, 10500));
  network.heal();
  // Not when its next attempt is due, which may be half a minute away.
  await ann.evaluate(() => dispatchEvent(new Event("online")));
  await ann.seesNot("#state");
  await ann.reads("missed 79", "#log");
  await ann.reads(/away/, "#log");
  const deadline = Date.now() + 20000;
  for (;;) {
    const text = await ann.evaluate(() => document.querySelector("#log").innerText);
    if (/before[\s\S]*missed 0\n/.test(text)) break;
    const more = await ann.evaluate((see) => see.all({ in: "#log", role: "button", name: /show them|earlier/i }).length);
    if (more) await ann.click({ in: "#log", role: "button", name: /show them|earlier/i }).catch(() => {});
    else await ann.wheel("#log", -600);
    ok(Date.now() < deadline, `all of them are there: ${text.slice(0, 400)}`);
  }
});

spec("the page can be embedded where the server allows it, and nowhere else", async (scene) => {
  const { createServer } = await import("node:http");
  const { once } = await import("node:events");
  let inner = "";
  const site = createServer((request, response) => response.end(`<!doctype html><title>site</title><iframe title="chat" src="${inner}" width="380" height="400"></iframe>`));
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  scene.keep({ close: () => { site.closeAllConnections(); site.close(); } });
  const origin = `http://127.0.0.1:${site.address().port}`;
  const server = await scene.startServer(["--frame-ancestor", origin]);
  for (const [one, isAllowed] of [[server, true], [scene.server, false]]) {
    inner = scene.address({ nick: "ann", url: `http://127.0.0.1:${one.port}/` });
    const ann = await scene.newPerson("ann");
    await ann.goto(origin);
    const text = await ann.view.inFrame(() => document.querySelector("#own-nick")?.innerText ?? "", isAllowed);
    if (isAllowed) ok(text.includes("ann"), `inside the frame: ${text}`);
    else equal(text, null, "inside the frame");
    if (!isAllowed) ann.problems.length = 0; // The browser says why it shows nothing.
  }
});

spec("the page is installable: a manifest with icons that exist", async (scene) => {
  const ann = await scene.person("ann");
  const found = await ann.evaluate(async () => {
    const link = document.querySelector("link[rel=manifest]");
    const manifest = await (await fetch(link.href)).json();
    const icons = await Promise.all(manifest.icons.map(async ({ src }) => (await fetch(new URL(src, link.href))).status));
    return { name: manifest.name, start: manifest.start_url, display: manifest.display, icons };
  });
  ok(found.name && found.start && found.display, JSON.stringify(found));
  ok(found.icons.length > 0 && found.icons.every((status) => status === 200), `icons: ${found.icons}`);
});
