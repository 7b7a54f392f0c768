// Node's ws against a running server: node talk.mjs http://HOST:PORT/
import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";

const url = `${process.argv[2].replace("http", "ws")}ws`;
setTimeout(() => { console.log("not done in time"); process.exit(1); }, 60000).unref();

class Client {
  constructor(address, options) {
    this.lines = [];
    this.waiting = [];
    this.socket = new WebSocket(address, options);
    this.closed = new Promise((resolve) => this.socket.on("close", (code, reason) => resolve([code, String(reason)])));
    this.socket.on("message", (data, isBinary) => {
      assert.equal(isBinary, false);
      const next = this.waiting.shift();
      if (next) next(String(data)); else this.lines.push(String(data));
    });
  }
  line() {
    return this.lines.length ? Promise.resolve(this.lines.shift()) : new Promise((resolve) => this.waiting.push(resolve));
  }
  async hears(expected) { assert.equal(await this.line(), expected); }
}

const ann = new Client(`${url}?nick=ann`);
await ann.hears("* welcome to lobby, ann. Nobody else is here");
assert.equal(ann.socket.extensions, "", "compression is declined");
const bob = new Client(`${url}?nick=bob`);
await bob.hears("* welcome to lobby, bob. Here: ann");
await ann.hears("* bob joined");

ann.socket.send("first ", { fin: false });
ann.socket.send("and second", { fin: true });
await bob.hears("ann: first and second");
await ann.hears("ann: first and second");

ann.socket.ping("payload");
const [payload] = await once(ann.socket, "pong");
assert.equal(String(payload), "payload");

bob.socket.close(4001, "bye");
assert.deepEqual(await bob.closed, [4001, ""]);
await ann.hears("* bob left");

ann.socket.send(Buffer.from([1, 2, 3]));
assert.equal((await ann.closed)[0], 1003);

const refused = new WebSocket(url.replace("/ws", "/nowhere"));
const [, response] = await once(refused, "unexpected-response");
assert.equal(response.statusCode, 404);
refused.on("error", () => {});
refused.terminate();

// A page would not see a status.
const foreign = new WebSocket(url, { origin: "https://evil.example" });
assert.equal((await once(foreign, "close"))[0], 4403);
process.exit(0);
