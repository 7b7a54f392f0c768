// Two browsers and a plain client talk while the network of one of them fails at random, as that of a
// phone that sleeps: nothing is lost or doubled, and the order is one. PARLOR_ROUNDS: how often.
import { equal, spec } from "../spec.mjs";

const ROUNDS = Number(process.env.PARLOR_ROUNDS || 8);
const SEED = Number(process.env.PARLOR_SEED || Date.now() % 1000000);

/** Random numbers that a seed repeats (mulberry32). */
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

async function talk(scene) {
  const random = chance(SEED);
  console.log(`${scene.engineName}: ${ROUNDS} rounds, PARLOR_SEED=${SEED}`);
  const network = await scene.network();
  const ann = await scene.person("ann", { url: network.url });
  const bob = await scene.person("bob");
  const cat = await scene.plain("cat");
  const said = [];
  const say = async (person, text) => {
    said.push(text);
    await person.click("#words");
    await person.type(text);
    await person.press("Enter");
  };
  for (let round = 1; round <= ROUNDS; round += 1) {
    await say(ann, `a${round}.1 of ann`);
    const fault = ["cut", "cutClients", "deafen", "muffle", "refuse"][Math.floor(random() * 5)];
    const after = random() * 60;
    const failing = new Promise((resolve) => setTimeout(() => { network[fault](); resolve(); }, after));
    await say(ann, `a${round}.2 of ann`);
    await say(bob, `b${round} of bob`);
    said.push(`c${round} of cat`);
    cat.says(`c${round} of cat`);
    await failing;
    if (random() < 0.5) await say(ann, `a${round}.3 of ann`);
    if (random() < 0.2) {
      network.heal();
      network.cut(); // A dead connection of HTTP would be waited for.
      await ann.reload();
    }
    network.heal();
    // She wakes: the page probes what it has not heard from for a second, and gives that five.
    await scene.eventually("ann is connected again", async () => {
      await ann.evaluate(() => { dispatchEvent(new Event("focus")); });
      const isBack = await ann.evaluate((see) => see.all("#state").length === 0 && !/sending/i.test(document.querySelector("#log").innerText));
      return isBack && (await ann.evaluate((see, text) => document.querySelector("#log").innerText.includes(text), `c${round} of cat`));
    });
  }
  const pattern = /([abc]\d+(?:\.\d)? of (?:ann|bob|cat))/;
  const heard = () => cat.lines.filter((line) => /^(ann|bob|cat): /.test(line)).map((line) => pattern.exec(line)?.[1]).filter(Boolean);
  await scene.eventually("cat heard all", () => heard().length >= said.length - 0);
  const order = heard();
  equal([...order].sort(), [...said].sort(), "what cat heard");
  for (const person of [ann, bob]) {
    const seen = await readAll(person);
    equal(seen, order, `what ${person.nick} has seen`);
  }
}

/** Reads the log from its beginning to its end. */
async function readAll(person) {
  const lines = new Map();
  const collect = () => person.evaluate((see) => [...document.querySelectorAll("#log [data-seq]")].map((row) => {
    const copy = row.cloneNode(true);
    return [Number(row.dataset.seq), copy.textContent];
  }));
  await person.click("#log");
  for (let last = -1; ;) {
    for (const [seq, text] of await collect()) lines.set(seq, [...(lines.get(seq) ?? []), text]);
    const top = await person.evaluate(() => { const log = document.querySelector("#log"); log.scrollTop -= log.clientHeight; return log.scrollTop; });
    if (top === 0 && last === 0) break;
    last = top;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  return [...lines].sort(([a], [b]) => a - b).map(([, texts]) => /([abc]\d+(?:\.\d)? of (?:ann|bob|cat))/.exec(texts.at(-1))?.[1]).filter(Boolean);
}

spec("two browsers and a plain client talk through a network that fails at random", talk, { minutes: 3 + ROUNDS / 3, engines: ["chromium", "firefox"] });
