// docs/clients/parlor.js in a page of its own, as a site would use it: it comes back after a cut and
// a reload, and shows each message once and in order.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { path } from "../packages.mjs";
import { equal, everywhere } from "../spec.mjs";

const PAGE = (url) => `<!doctype html><title>a site</title><ol id="log"></ol><script type="module">
import { connect } from "./parlor.js";
const rows = new Map();
const client = connect("${url}", ["den"], (event) => {
  if (event.type === "forget") for (const [seq, row] of rows) if (seq > event.above) { row.remove(); rows.delete(seq); }
  if (event.type === "joined") document.body.dataset.joined = Number(document.body.dataset.joined || 0) + 1;
  if (event.type !== "message") return;
  const row = document.createElement("li");
  row.textContent = event.seq + " " + event.nick + ": " + event.text;
  document.querySelector("#log").append(row);
  rows.set(event.seq, row);
});
globalThis.say = (text) => client.send("den", text);
</script>`;

/** A site with the client of the documentation. */
async function startSite(url) {
  const files = { "/": ["text/html", () => PAGE(url())], "/parlor.js": ["text/javascript", () => readFileSync(path("docs/clients/parlor.js"))] };
  const site = createServer((request, response) => {
    const [type, content] = files[request.url] ?? ["text/plain", () => ""];
    response.writeHead(200, { "content-type": `${type}; charset=utf-8`, connection: "close" }).end(content());
  });
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  return { origin: `http://127.0.0.1:${site.address().port}`, close: () => site.close() };
}

everywhere("the client of the documentation comes back and neither loses nor repeats a message", async (scene) => {
  let network;
  const site = await scene.keep(await startSite(() => `ws://127.0.0.1:${network.port}/ws?nick=ann`));
  const server = await scene.startServer(["--allow-origin", site.origin]);
  network = await scene.network(server);
  const ann = await scene.newPerson("ann");
  const joined = (times) => ann.until("has joined", (see, count) => Number(document.body.dataset.joined) >= count, times);
  const log = () => ann.evaluate(() => [...document.querySelectorAll("#log li")].map((row) => row.textContent));
  const shows = async (...lines) => {
    await ann.until(`shows ${lines.at(-1)}`, (see, last) => document.querySelector("#log").innerText.includes(last), lines.at(-1));
    equal(await log(), lines.map((line, at) => `${at + 1} ${line}`));
  };
  await ann.goto(`${site.origin}/`);
  await joined(1);
  const { Program } = await import("../client.mjs");
  const bob = await scene.keep(await Program.open(server.port, "bob"));
  await bob.join("den");
  await bob.say("den", "one");
  await ann.evaluate(() => { globalThis.say("two"); });
  await shows("bob: one", "ann: two");
  network.refuse();
  for (const text of ["three", "four"]) await bob.say("den", text);
  await ann.evaluate(() => { globalThis.say("five"); });
  network.heal();
  await joined(2);
  await shows("bob: one", "ann: two", "bob: three", "bob: four", "ann: five");
  // Whether the server had it or not before the cut, it is said once; and the nick is the same.
  await ann.evaluate(() => { globalThis.say("six"); });
  network.cut();
  await joined(3);
  await bob.say("den", "seven");
  await ann.until("shows both", () => /six/.test(document.querySelector("#log").innerText) && /seven/.test(document.querySelector("#log").innerText));
  const lines = await log();
  equal(lines.map((line) => line.replace(/^\d+ /, "")).sort(), ["ann: five", "ann: six", "ann: two", "bob: four", "bob: one", "bob: seven", "bob: three"]);
  equal(lines.map((line) => parseInt(line, 10)), [1, 2, 3, 4, 5, 6, 7]);
  // A reload is a new page with the same session: the newest messages are shown again, once.
  await ann.reload();
  await joined(1);
  await ann.until("shows all again", () => document.querySelectorAll("#log li").length === 7);
  equal(await log(), lines);
  equal((await bob.ask({ type: "who", room: "den" })).members, ["ann", "bob"]);
});
