// Reading: the end is a state that is kept, and reading back never jumps, in engines with and without
// scroll anchoring.
import { equal, everywhere, ok, spec } from "../spec.mjs";

const many = async (program, room, count, text = (n) => `message ${n}`) => {
  for (let n = 1; n <= count; n += 1) await program.say(room, text(n));
};
const isAtEnd = (person) => person.evaluate(() => {
  const log = document.querySelector("#log");
  return log.scrollHeight - log.scrollTop - log.clientHeight <= 2;
});
/** The message is wholly inside the visible part of the log. */
const isInView = (person, text) => person.evaluate((see, part) => {
  const box = see.rangeOf(document.querySelector("#log"), part).getBoundingClientRect();
  const log = document.querySelector("#log").getBoundingClientRect();
  return box.top >= log.top - 1 && box.bottom <= log.bottom + 1;
}, text);

async function scrollBack(person, screens = 1) {
  const { height } = await person.rect("#log");
  const top = () => person.evaluate(() => document.querySelector("#log").scrollTop);
  const before = await top();
  // A busy browser may drop a wheel: then it is turned again.
  for (let turn = 0; turn < 5 && (await top()) === before; turn += 1) {
    await person.wheel("#log", -height * screens);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await person.until("it has scrolled", () => {
    const log = document.querySelector("#log");
    return log.scrollHeight - log.scrollTop - log.clientHeight > log.clientHeight / 3;
  });
  // Until it rests: the same position in frames that follow one another for a while.
  await person.evaluate(() => new Promise((resolve) => {
    const log = document.querySelector("#log");
    let last = -1, same = 0;
    const timer = setInterval(() => {
      same = log.scrollTop === last ? same + 1 : 0;
      last = log.scrollTop;
      if (same >= 12) { clearInterval(timer); resolve(); }
    }, 30);
  }));
}

everywhere("the end stays the end through messages, sizes, and several lines typed", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await many(bob, scene.room, 40);
  const ann = await scene.person("ann");
  await ann.reads("message 40", "#log");
  ok(await isInView(ann, "message 40"), "the newest message is in view");
  await ann.resize(700, 420);
  await ann.until("after it became smaller", (see) => see.rangeOf(document.querySelector("#log"), "message 40").getBoundingClientRect().bottom <= document.querySelector("#log").getBoundingClientRect().bottom + 1);
  await ann.resize(1000, 700);
  await ann.until("after it became larger", () => { const log = document.querySelector("#log"); return log.scrollHeight - log.scrollTop - log.clientHeight <= 2; });
  await ann.click("#words");
  for (let line = 0; line < 5; line += 1) {
    await ann.type(`line ${line}`);
    await ann.press("Shift+Enter");
  }
  await ann.until("in view while five lines are typed", (see) => {
    const log = document.querySelector("#log");
    return see.rangeOf(log, "message 40").getBoundingClientRect().bottom <= log.getBoundingClientRect().bottom + 1;
  });
  await many(bob, scene.room, 3, (n) => `later ${n}\nwith\nlines`);
  await ann.reads("later 3", "#log");
  await ann.until("what comes is in view", (see) => {
    const log = document.querySelector("#log");
    return see.rangeOf(log, "later 3").getBoundingClientRect().bottom <= log.getBoundingClientRect().bottom + 1;
  });
  ok(await isAtEnd(ann), "it is at the end");
});

everywhere("reading back does not jump while messages come", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await many(bob, scene.room, 60);
  const ann = await scene.person("ann");
  await ann.reads("message 60", "#log");
  await scrollBack(ann);
  const read = await ann.evaluate((see) => {
    const log = document.querySelector("#log").getBoundingClientRect();
    const texts = Array.from({ length: 60 }, (_, n) => `message ${n + 1}`).filter((text) => {
      try {
        const box = see.rangeOf(document.querySelector("#log"), text).getBoundingClientRect();
        return box.top > log.top + 60 && box.bottom < log.bottom - 60;
      } catch { return false; }
    });
    return texts[Math.floor(texts.length / 2)];
  });
  ok(read, "a message is in the middle");
  const before = await ann.rectOfText("#log", read);
  await many(bob, scene.room, 30, (n) => `new ${n}\nof two lines`);
  await ann.sees("#newer");
  const after = await ann.rectOfText("#log", read);
  ok(Math.abs(after.top - before.top) <= 2, `${read} stood at ${before.top} and stands at ${after.top}`);
});

everywhere("the button to the end keeps the field's focus and leads to the end", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await many(bob, scene.room, 50);
  const ann = await scene.person("ann");
  await ann.reads("message 50", "#log");
  await ann.click("#words");
  await ann.type("half");
  await scrollBack(ann);
  await bob.say(scene.room, "the newest");
  await ann.click("#newer");
  await ann.until("the newest is in view", (see) => {
    const log = document.querySelector("#log");
    return see.rangeOf(log, "the newest").getBoundingClientRect().bottom <= log.getBoundingClientRect().bottom + 1;
  });
  equal(await ann.focus(), "#words");
  await ann.seesNot("#newer");
  await ann.type(" done");
  equal(await ann.value("#words"), "half done");
});

everywhere("history scrolls back to the beginning, and what one reads stays where it is", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await Promise.all(Array.from({ length: 260 }, (_, n) => bob.say(scene.room, `message ${n + 1}${n % 7 ? "" : "\nwith a second line"}`)));
  const ann = await scene.person("ann");
  await ann.reads("message 260", "#log");
  ok(!(await ann.text("#log")).includes("message 100\n"), "the oldest are not there at first");
  await ann.click("#log");
  const deadline = Date.now() + 20000;
  for (;;) {
    // The driver of WebKit turns the wheel once only.
    await ann.evaluate(() => { document.querySelector("#log").scrollTop -= 900; });
    const isThere = await ann.evaluate((see) => /message 1\b/.test(document.querySelector("#log").innerText) && document.querySelector("#log").scrollTop < 5);
    if (isThere) break;
    ok(Date.now() < deadline, "the beginning is reached");
  }
  const numbers = await ann.evaluate(() => [...document.querySelector("#log").innerText.matchAll(/message (\d+)/g)].map((m) => Number(m[1])));
  equal(numbers, numbers.map((_, at) => numbers[0] + at), "in order without a gap");
});

spec("a row that is loaded above does not move what is read", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  await Promise.all(Array.from({ length: 200 }, (_, n) => bob.say(scene.room, `message ${n + 1}`)));
  const network = await scene.network();
  const ann = await scene.person("ann", { url: network.url });
  await ann.reads("message 200", "#log");
  network.delayMs = 400;
  await scrollBack(ann, 2);
  const places = await ann.evaluate((see) => new Promise((resolve) => {
    // Where the texts stand in each frame of the next two seconds, while no one scrolls.
    const log = document.querySelector("#log");
    const box = log.getBoundingClientRect();
    const row = [...log.querySelectorAll("[data-seq]")].find((e) => e.getBoundingClientRect().top > box.top + 40);
    const seq = row.dataset.seq;
    const tops = [];
    const started = performance.now();
    const look = () => {
      const now = log.querySelector(`[data-seq="${seq}"]`);
      tops.push(now ? Math.round(now.getBoundingClientRect().top) : null);
      if (performance.now() - started < 2000) requestAnimationFrame(look); else resolve([...new Set(tops)]);
    };
    look();
  }));
  ok(places.every((top) => top !== null) && Math.max(...places) - Math.min(...places) <= 2, `it stood at ${places}`);
});

spec("a long room stays small in the document, and its end stays the end while it is trimmed", async (scene) => {
  const bob = await scene.program("bob");
  await bob.join(scene.room);
  const ann = await scene.person("ann");
  for (let hundred = 0; hundred < 15; hundred += 1) {
    await Promise.all(Array.from({ length: 60 }, (_, n) => bob.say(scene.room, `message ${hundred * 60 + n + 1}`)));
  }
  await ann.reads("message 900", "#log");
  ok(await isAtEnd(ann), "at the end");
  const elements = await ann.evaluate(() => document.querySelectorAll("#log *").length);
  ok(elements < 1500, `${elements} elements in the log`);
});
