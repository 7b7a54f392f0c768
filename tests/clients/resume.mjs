// docs/clients/parlor.js, as a page would use it, with servers that it starts itself:
// node resume.mjs PARLOR FOLDER CLIENT. A cut and a store that forgets; each message is shown once
// and in order, or is taken back.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { WebSocket } from "./recorded.mjs";

const [parlor, folder, client] = process.argv.slice(2);
const sockets = [];
globalThis.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    sockets.push(this);
  }
};
const { connect } = await import(client);

/// Listens on the same port after each start.
class Server {
  port = 0;
  constructor(store) {
    this.store = store;
  }
  async start() {
    const listen = `127.0.0.1:${this.port}`;
    const options = ["--listen", listen, "--store", this.store];
    this.process = spawn(parlor, options, { stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => this.process.kill("SIGKILL"));
    for await (const line of createInterface(this.process.stdout)) {
      this.port = Number(/^parlor is listening on http:\/\/127\.0\.0\.1:(\d+)\/$/.exec(line)[1]);
      break;
    }
    return `ws://127.0.0.1:${this.port}/ws`;
  }
  kill() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGKILL");
    return ended;
  }
}

/// What a page shows of one room.
class Page {
  visible = new Map();
  changed = () => {};
  constructor(url) {
    const stored = new Map();
    const storage = { getItem: (key) => stored.get(key), setItem: (key, value) => stored.set(key, value) };
    this.client = connect(url, ["den"], (event) => this.show(event), storage);
  }
  show(event) {
    if (event.type === "forget") {
      for (const seq of [...this.visible.keys()]) if (seq > event.above) this.visible.delete(seq);
    } else if (event.type === "message") {
      assert(!this.visible.has(event.seq), `twice: ${JSON.stringify(event)}`);
      this.visible.set(event.seq, event.text);
    }
    this.changed();
  }
  async sees(...texts) {
    const wanted = JSON.stringify(texts);
    while (JSON.stringify([...this.visible.values()]) !== wanted) {
      await new Promise((resolve) => (this.changed = resolve));
    }
    assert.deepEqual([...this.visible.keys()], texts.map((_, index) => index + 1));
  }
}

/// Another member.
async function other(url) {
  const socket = new WebSocket(url, ["parlor.v1.json"]);
  const ask = (request) =>
    new Promise((resolve, reject) => {
      const answered = (data) => {
        const event = JSON.parse(data);
        if (event.re !== 1) return;
        socket.off("message", answered);
        if (event.type === "error") reject(new Error(event.message));
        else resolve(event);
      };
      socket.on("message", answered);
      socket.send(JSON.stringify({ id: 1, ...request }));
    });
  await new Promise((resolve) => socket.once("open", resolve));
  await ask({ type: "join", room: "den" });
  return (text) => ask({ type: "send", room: "den", text });
}

async function cutConnection() {
  const server = new Server(`${folder}/js`);
  const url = await server.start();
  const say = await other(`${url}?nick=bob`);
  const page = new Page(`${url}?nick=ann`);
  await say("one");
  await page.sees("one");
  page.client.send("den", "two");
  await page.sees("one", "two");
  sockets.at(-1).terminate();
  for (const text of ["three", "four"]) await say(text);
  await page.sees("one", "two", "three", "four");
  page.client.send("den", "five");
  sockets.at(-1).terminate();
  await page.sees("one", "two", "three", "four", "five");
  page.client.close();
  await server.kill();
}

async function serverThatForgets() {
  const server = new Server("memory");
  const url = await server.start();
  const page = new Page(`${url}?nick=ann`);
  const say = await other(`${url}?nick=bob`);
  await say("one");
  await say("two");
  await page.sees("one", "two");
  await server.kill();
  await server.start();
  await page.sees();
  const sayAnew = await other(`${url}?nick=bob`);
  await sayAnew("anew");
  await page.sees("anew");
  page.client.close();
  await server.kill();
}

const timeout = setTimeout(() => {
  console.error("not in 60 s");
  process.exit(1);
}, 60000);
for (const scenario of [cutConnection, serverThatForgets]) {
  console.log(scenario.name);
  await scenario();
}
clearTimeout(timeout);
process.exit(0);
