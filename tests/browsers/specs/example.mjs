// docs/clients/parlor.js in a page of its own, as a site would use it: it comes back after cuts and
// a reload, and shows each message once and in order.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Program } from "../client.mjs";
import { path } from "../packages.mjs";
import { equal, everywhere } from "../spec.mjs";

const PAGE = (url) => `<!doctype html><title>a site</title><ol id="log"></ol><script type="module">
import { connect } from "./parlor.js";
let joined = 0;
const rows = new Map();
const client = connect("${url}", ["den"], (event) => {
  if (event.type === "joined") document.body.dataset.joined = ++joined;
  if (event.type === "forget") {
    for (const [seq, row] of rows) if (seq > event.above) { row.remove(); rows.delete(seq); }
  }
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
  const client = readFileSync(path("docs/clients/parlor.js"));
  const site = createServer(({ url: target }, response) => {
    const [type, body] = target === "/parlor.js" ? ["javascript", client] : ["html", PAGE(url())];
    response.setHeader("content-type", `text/${type}; charset=utf-8`);
    response.setHeader("connection", "close");
    response.end(body);
  });
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  return { origin: `http://127.0.0.1:${site.address().port}`, close: () => site.close() };
}

everywhere("the client of the documentation loses and repeats nothing", async (scene) => {
  let network;
  const site = await startSite(() => `ws://127.0.0.1:${network.port}/ws?nick=ann`);
  await scene.keep(site);
  const server = await scene.startServer(["--allow-origin", site.origin]);
  network = await scene.network(server);
  const ann = await scene.newPerson("ann");
  const joined = (times) => ann.until(
    `has joined ${times} times`,
    (see, wanted) => Number(document.body.dataset.joined) >= wanted,
    times,
  );
  const log = () => ann.evaluate(
    () => [...document.querySelectorAll("#log li")].map((row) => row.textContent),
  );
  const shows = async (count) => {
    await ann.until(
      `shows ${count} messages`,
      (see, wanted) => document.querySelectorAll("#log li").length >= wanted,
      count,
    );
    return log();
  };
  const say = (text) => ann.evaluate((see, said) => globalThis.say(said), text);

  await ann.goto(`${site.origin}/`);
  await joined(1);
  const bob = await scene.keep(await Program.open(server.port, "bob"));
  await bob.join("den");
  await bob.say("den", "one");
  await say("two");
  equal(await shows(2), ["1 bob: one", "2 ann: two"]);

  network.refuse();
  for (const text of ["three", "four"]) await bob.say("den", text);
  await say("five");
  network.heal();
  await joined(2);
  equal((await shows(5)).slice(2), ["3 bob: three", "4 bob: four", "5 ann: five"]);

  // Whether the server had it or not before the cut, it is said once.
  await say("six");
  network.cut();
  await joined(3);
  await bob.say("den", "seven");
  const lines = await shows(7);
  equal(lines.map((line) => parseInt(line, 10)), [1, 2, 3, 4, 5, 6, 7]);
  equal(lines.slice(5).map((line) => line.slice(2)).sort(), ["ann: six", "bob: seven"]);

  // A page that was loaded again has its session: it is the same person, and shows all again.
  await ann.reload();
  await joined(1);
  equal(await shows(7), lines);
  equal((await bob.ask({ type: "who", room: "den" })).members, ["ann", "bob"]);
});
