// Runs the specs of one engine:  node tests/browsers/run.mjs ENGINE [PART OF A NAME]...
//
// ENGINE is chromium, firefox or webkit. PARLOR names the server's binary (target/debug/parlor),
// PARLOR_PAGE a directory from which the page is served instead of the one in the binary. Prints a
// line for each spec, writes screenshots into target/browsers, and exits with 1 if a spec failed or
// the engine does not start.
import { mkdirSync, readdirSync } from "node:fs";
import { path } from "./packages.mjs";
import { PATIENCE_MS, Person } from "./person.mjs";
import { Plain, Program } from "./client.mjs";
import { Fake } from "./fake.mjs";
import { Proxy } from "./proxy.mjs";
import { Server } from "./server.mjs";
import { specs } from "./spec.mjs";

const DESKTOP = { width: 1000, height: 700 };
/** What browsers write into the console when a network fails, which specs let happen. */
const NETWORK = /WebSocket connection to|can.t establish a connection|connection to \S+ was interrupted|ERR_(CONNECTION|INTERNET|EMPTY|NETWORK|SOCKET|ADDRESS|TIMED_OUT|ABORTED)/;

const [engineName, ...parts] = process.argv.slice(2);
const shots = path(`target/browsers/${engineName}`);
mkdirSync(shots, { recursive: true });

for (const file of readdirSync(new URL("specs/", import.meta.url)).sort()) {
  if (file.endsWith(".mjs")) await import(`./specs/${file}`);
}
const chosen = specs.filter(({ name, engines }) => engines.includes(engineName)
  && (parts.length === 0 || parts.some((part) => name.includes(part))));
if (chosen.length === 0) throw new Error(`no spec of ${engineName} has a name like ${parts.join(" or ")}`);

/** What a spec has: people, servers, networks. All of it is closed at its end. */
class Scene {
  constructor(engine) {
    this.engine = engine;
    this.engineName = engineName;
    this.shots = shots;
    this.open = [];
    this.people = [];
    this.room = "den";
  }

  async begin() {
    this.server = await this.startServer();
  }

  async keep(thing) {
    this.open.push(thing);
    return thing;
  }

  startServer(options = [], more = {}) {
    return Server.start(["--message-rate", "0", ...options], more).then((server) => this.keep(server));
  }
  network(server = this.server) { return Proxy.start(server.front).then((proxy) => this.keep(proxy)); }

  /** A server that does what the spec says (fake.mjs). */
  fake(onOpen) { return Fake.start(this.server.url, onOpen).then((fake) => this.keep(fake)); }

  /** A person at an empty page. */
  async newPerson(nick, options = {}) {
    const person = new Person(await this.engine.person({ ...DESKTOP, ...options }), nick);
    this.people.push(person);
    return this.keep(person);
  }

  /** Waits until the condition, which may be a promise, holds, and returns its value. */
  async eventually(what, condition) {
    const deadline = Date.now() + 2 * PATIENCE_MS;
    for (;;) {
      const value = await condition();
      if (value) return value;
      if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** A page that a page has opened. */
  adopt(view, nick) {
    const person = new Person(view, nick);
    this.people.push(person);
    return person;
  }

  /** The page's address for a nick and a room. */
  address({ nick, room = this.room, url = this.server.url, query = {} }) {
    const address = new URL(url);
    if (nick) address.searchParams.set("nick", nick);
    if (room) address.searchParams.set("room", room);
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
    return address;
  }

  /** A person in a room, who has the nick and can write. */
  async person(nick, options = {}) {
    const person = await this.newPerson(nick, options);
    await person.goto(this.address({ nick, ...options }));
    await this.isIn(person, nick, options.room);
    return person;
  }

  /** Waits until the page shows that the person is in the room and has the nick. */
  async isIn(person, nick, room = this.room) {
    if (nick) await person.reads(nick, "#own-nick");
    await person.reads(room, "#room-name");
    await person.until("is in the room", () => !document.querySelector("#log").innerText.includes("Joining"));
    await person.seesNot("#state");
  }

  plain(nick, room = this.room, query) { return Plain.join(this.server.port, room, nick, query).then((one) => this.keep(one)); }
  program(nick, origin) { return Program.open(this.server.port, nick, origin).then((one) => this.keep(one)); }

  async end() {
    const ends = await Promise.allSettled(this.open.reverse().map((thing) => (thing.stop ?? thing.close).call(thing)));
    const panic = ends.find(({ reason }) => /panicked/.test(reason?.message));
    if (panic) throw panic.reason;
  }
}

/** All specs of one engine, which take a minute or two on an idle machine. */
const WHOLE_MS = (Number(process.env.PARLOR_MINUTES) || 14) * 60000;
const late = setTimeout(() => { console.log(`${engineName}: all specs took longer than ${WHOLE_MS} ms`); process.exit(1); }, WHOLE_MS);
late.unref();

const bounded = (promise, ms, what) => {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

let failed = 0;

async function play(engine, spec, isAgain = false) {
  const { name, run, minutes } = spec;
  const started = performance.now();
  const scene = new Scene(engine);
  let wrong = null;
  try {
    await bounded(scene.begin().then(() => run(scene)), minutes * 60000, name);
    for (const person of scene.people) {
      const problems = person.problems.filter((problem) => !NETWORK.test(problem));
      if (problems.length) throw new Error(`the console of ${person.nick}: ${problems.join("; ")}`);
    }
  } catch (error) {
    wrong = error;
    const file = `${shots}/failed-${name.replace(/\W+/g, "-").slice(0, 60)}`;
    for (const [n, person] of scene.people.entries()) {
      await bounded(person.describe(`${file}-${n}`), 10000, "a screenshot").catch(() => {});
    }
  }
  const ends = await bounded(scene.end(), 20000, "the end of a scene").catch((error) => error);
  wrong ??= ends;
  const ms = Math.round(performance.now() - started);
  if (wrong?.isOfTheDriver && !isAgain) {
    console.log(`${engineName}: AGAIN ${name} (${ms} ms): the driver hangs, ${wrong.message}`);
    return play(engine, spec, true);
  }
  console.log(`${engineName}: ${wrong ? "FAILED" : "ok"} ${name} (${ms} ms)`);
  if (!wrong) return;
  failed += 1;
  const at = wrong.stack?.split("\n").find((line) => line.includes("/specs/"))?.trim() ?? "";
  console.log(`    ${wrong.message.replaceAll("\n", "\n    ")}\n    ${at}`);
}

const { launch } = await import(`./${engineName}.mjs`);
let engine;
try {
  engine = await bounded(launch(), 60000, "the start of the browser");
} catch (error) {
  console.log(`${engineName}: DOES NOT START: ${error.message}`);
  process.exit(1);
}
console.log(`${engineName}: ${engine.version}, ${chosen.length} specs`);
const waiting = [...chosen];
await Promise.all(Array.from({ length: engine.lanes }, async () => {
  for (let one; (one = waiting.shift());) await play(engine, one);
}));
await bounded(engine.close(), 20000, "the end of the browser").catch(() => {});
console.log(`${engineName}: ${chosen.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
