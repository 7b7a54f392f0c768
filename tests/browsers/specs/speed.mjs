// How quick it is with ten thousand messages and at two hundred a second: measured and printed. What
// is asserted is structure, since times depend on the machine.
import { ok, spec } from "../spec.mjs";

const COUNT = Number(process.env.PARLOR_MESSAGES || 10000);
/** Keys of a turn, and the time between two of them: more than a person types. */
const KEYS = 50, KEY_MS = 50;

spec("ten thousand messages and two hundred a second: the document stays small, times are printed", async (scene) => {
  const server = await scene.startServer(["--max-connections-per-address", "0", "--catch-up-max", "20000"]);
  const { Program } = await import("../client.mjs");
  const bob = await scene.keep(await Program.open(server.port, "bob"));
  await bob.join("den");
  const ann = await scene.person("ann", { url: server.url });
  // The longest task, in windows of each kind of work.
  await ann.evaluate(() => {
    globalThis.tasks = [];
    new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) tasks.push(duration); }).observe({ type: "longtask", buffered: false });
  });
  const longest = () => ann.evaluate(() => Math.round(Math.max(0, ...tasks.splice(0))));
  for (let done = 0; done < COUNT; done += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, n) => bob.say("den", `message ${done + n + 1} of many, with some words so that it has a length`)));
  }
  await ann.reads(`message ${COUNT} `, "#log");
  const filling = await longest();

  // Ann types, in turns in a quiet room and in one with two hundred messages a second.
  await ann.click("#words");
  await ann.evaluate(() => {
    globalThis.latencies = [];
    document.querySelector("#words").addEventListener("keydown", (event) => {
      const at = event.timeStamp;
      requestAnimationFrame(() => { const channel = new MessageChannel(); channel.port1.onmessage = () => latencies.push(performance.now() - at); channel.port2.postMessage(0); });
    });
  });
  let sent = 0;
  const keys = { quiet: [], busy: [] };
  let typing = 0;
  for (let turn = 0; turn < 6; turn += 1) {
    const isBusy = turn % 2 === 1;
    const pour = isBusy && setInterval(() => { for (let n = 0; n < 4; n += 1) { sent += 1; bob.say("den", `pouring ${sent}`).catch(() => {}); } }, 20);
    for (let key = 0; key < KEYS; key += 1) {
      const next = Date.now() + KEY_MS;
      await ann.type("wörd "[key % 5]);
      await new Promise((resolve) => { setTimeout(resolve, next - Date.now()); });
    }
    clearInterval(pour);
    keys[isBusy ? "busy" : "quiet"].push(...await ann.evaluate(() => latencies.splice(0)));
    if (isBusy) {
      typing = Math.max(typing, await longest());
      await ann.reads(`pouring ${sent}`, "#log");
    }
  }

  // Reading back by the wheel, and to the end again.
  for (let n = 0; n < 20; n += 1) await ann.wheel("#log", -1500);
  const scrolling = await longest();
  const { elements, heap } = await ann.evaluate(() => ({ elements: document.querySelectorAll("*").length, heap: Math.round((performance.memory?.usedJSHeapSize ?? 0) / 1e6) }));
  const times = (list) => {
    const sorted = list.sort((one, other) => one - other);
    const p = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? -1);
    return `median ${p(0.5)} ms, 95 % ${p(0.95)} ms, most ${p(1)} ms`;
  };
  console.log(`${scene.engineName}: ${COUNT} messages: longest task ${filling} ms while they come, ${typing} ms at two hundred a second, `
    + `${scrolling} ms reading back; a key to the next frame in a quiet room: ${times(keys.quiet)}, at two hundred a second: ${times(keys.busy)}; ${elements} elements, ${heap} MB`);
  ok(elements < 3000, `${elements} elements`);
}, { minutes: 3 });
