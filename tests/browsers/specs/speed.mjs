// How quick it is with ten thousand messages and at two hundred a second: measured and printed. What
// is asserted is structure, since times depend on the machine.
import { ok, spec } from "../spec.mjs";

const COUNT = Number(process.env.PARLOR_MESSAGES || 10000);

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

  // Two hundred a second for three seconds while ann types.
  let sent = 0;
  const pour = setInterval(() => { for (let n = 0; n < 4; n += 1) { sent += 1; bob.say("den", `pouring ${sent}`).catch(() => {}); } }, 20);
  await ann.click("#words");
  await ann.evaluate(() => {
    globalThis.latencies = [];
    document.querySelector("#words").addEventListener("keydown", (event) => {
      const at = event.timeStamp;
      requestAnimationFrame(() => { const channel = new MessageChannel(); channel.port1.onmessage = () => latencies.push(performance.now() - at); channel.port2.postMessage(0); });
    });
  });
  const until = Date.now() + 3000;
  while (Date.now() < until) await ann.type("words ");
  clearInterval(pour);
  const keys = await ann.evaluate(() => latencies.sort((a, b) => a - b));
  const typing = await longest();
  await ann.reads(`pouring ${sent}`, "#log");

  // Reading back by the wheel, and to the end again.
  for (let n = 0; n < 20; n += 1) await ann.wheel("#log", -1500);
  const scrolling = await longest();
  const { elements, heap } = await ann.evaluate(() => ({ elements: document.querySelectorAll("*").length, heap: Math.round((performance.memory?.usedJSHeapSize ?? 0) / 1e6) }));
  const p = (share) => Math.round(keys[Math.min(keys.length - 1, Math.floor(keys.length * share))] ?? -1);
  console.log(`${scene.engineName}: ${COUNT} messages: longest task ${filling} ms while they come, ${typing} ms at ${Math.round(sent / 3)} a second, `
    + `${scrolling} ms reading back; a key to the next frame: median ${p(0.5)} ms, 95 % ${p(0.95)} ms, most ${p(1)} ms; ${elements} elements, ${heap} MB`);
  ok(elements < 3000, `${elements} elements`);
}, { minutes: 3 });
