// The model of the page, without a page, with servers that it starts itself:
// node model.mjs PARLOR FOLDER PAGE, where PAGE is the folder of its modules. Two people write while
// connections are cut, and a server is killed and starts again on its store; then each log is the
// server's, and everything written is there once and in order. Its time runs four times as fast.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { WebSocket } from "./recorded.mjs";

const [parlor, folder, page] = process.argv.slice(2);
const { createChat } = await import(`${page}/chat.js`);
const { createStorage } = await import(`${page}/storage.js`);
const FASTER = 4;
const ROUNDS = 25;

let state = 7;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/// Listens on the same port after each start.
class Server {
  port = 0;
  async start() {
    const options = ["--listen", `127.0.0.1:${this.port}`, "--store", `${folder}/model`, "--message-rate", "0"];
    this.process = spawn(parlor, options, { stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => this.process.kill("SIGKILL"));
    for await (const line of createInterface(this.process.stdout)) {
      this.port = Number(/^parlor is listening on http:\/\/127\.0\.0\.1:(\d+)\/$/.exec(line)[1]);
      break;
    }
  }
  kill() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGKILL");
    return ended;
  }
}

class Person {
  sockets = new Set();
  wrote = [];
  stores = [new Map(), new Map()].map((map) => ({
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => map.set(key, value),
    removeItem: (key) => map.delete(key),
  }));

  constructor(nick, server) {
    this.nick = nick;
    this.server = server;
    this.load({ nick, room: "den" });
  }

  /// Opens the page, again after a reload.
  load(wishes = {}) {
    const { server, sockets, stores: [session, local] } = this;
    const world = {
      WebSocket: class extends WebSocket {
        constructor(...args) {
          super(...args);
          sockets.add(this);
          this.on("error", () => {});
          this.on("close", () => sockets.delete(this));
        }
      },
      now: () => Date.now() * FASTER,
      setTimeout: (action, ms) => setTimeout(action, ms / FASTER),
      clearTimeout, random,
    };
    const storage = createStorage({ session, local, random, setTimeout: world.setTimeout });
    const url = (nick) => `ws://127.0.0.1:${server.port}/ws?nick=${nick}`;
    this.chat = createChat({ world, storage, url, onChange: () => this.changed?.() });
    this.chat.start(wishes);
  }

  reload() {
    // Of a page that is gone nothing is heard, and it is called no more.
    this.chat.flush();
    this.chat.stop();
    this.load();
  }

  get room() { return this.chat.state.rooms.get("den"); }
  say(text) {
    assert(this.chat.send("den", text).message);
    this.wrote.push(text);
  }
  cut() { for (const socket of this.sockets) socket.terminate(); }
  texts() { return this.room.items.filter(({ seq }) => seq).map(({ text }) => text); }
  async until(holds) {
    while (!holds(this)) await new Promise((resolve) => (this.changed = resolve));
  }
}

const timeout = setTimeout(() => {
  console.error("not in 55 s");
  for (const { nick, chat, room } of people) {
    console.error(nick, chat.state.nick, chat.state.connection, room.phase, room.position, room.outgoing);
  }
  process.exit(1);
}, 55_000);

const server = new Server();
await server.start();
const people = [new Person("ann", server), new Person("bob", server)];
await Promise.all(people.map((person) => person.until(({ room }) => room?.phase === "joined")));
for (let round = 0; round < ROUNDS; round += 1) {
  for (const person of people) {
    for (let count = Math.floor(random() * 4); count > 0; count -= 1) person.say(`${person.nick} ${person.wrote.length}`);
  }
  await sleep(random() * 80);
  const chance = random();
  if (chance < 0.4) people[round % 2].cut();
  else if (chance < 0.55) people[round % 2].reload();
  else if (chance < 0.7) {
    await server.kill();
    await server.start();
  }
}
const count = people.reduce((sum, { wrote }) => sum + wrote.length, 0);
for (const person of people) {
  await person.until(({ room }) => room.phase === "joined" && room.inner.queue.length === 0);
}
for (const person of people) {
  await person.until(({ room }) => room.position >= count);
  while (person.room.hasOlder) await person.chat.older("den");
  assert(person.room.items.every(({ kind }) => kind !== "gap"));
  assert.equal(person.chat.state.nick, person.nick);
}
const [log, same] = people.map((person) => person.texts());
assert.deepEqual(log, same);
for (const { nick, wrote } of people) {
  assert.deepEqual(log.filter((text) => text.startsWith(nick)), wrote);
}
clearTimeout(timeout);
await server.kill();
process.exit(0);
