// A plain client for the other side of a conversation, and one that speaks parlor.v1.json.
import { need } from "./packages.mjs";
import { PATIENCE_MS } from "./person.mjs";

const WebSocket = need("ws");

/** A member that speaks plain text. */
export class Plain {
  static async join(port, room, nick, query = "") {
    const client = new Plain();
    client.lines = [];
    client.waiting = [];
    client.socket = new WebSocket(`ws://127.0.0.1:${port}/ws/${room}?nick=${nick}${query}`);
    client.socket.on("error", () => {});
    client.socket.on("message", (data) => { client.lines.push(String(data)); client.wake(); });
    client.socket.on("close", (code) => { client.closed = code; client.wake(); });
    await client.hears(/^\* welcome to /);
    return client;
  }

  wake() {
    for (const check of this.waiting.splice(0)) check();
  }

  says(text) { this.socket.send(text); }
  close() { this.socket.terminate(); }

  /** Waits for a line, also one of before. */
  async hears(line) {
    const is = (heard) => (line instanceof RegExp ? line.test(heard) : heard === line);
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = this.lines.find(is);
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0 || this.closed) {
        throw new Error(`did not hear ${line} (closed: ${this.closed}): ${JSON.stringify(this.lines.slice(-10))}`);
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting.push(() => { clearTimeout(timer); resolve(); });
      });
    }
  }
}

/** A program: requests are answered by promises, everything else is in `events`. */
export class Program {
  static async open(port, nick, origin) {
    const program = new Program();
    program.events = [];
    program.answers = new Map();
    program.count = 0;
    program.socket = new WebSocket(`ws://127.0.0.1:${port}/ws?nick=${nick}`, ["parlor.v1.json"], origin ? { origin } : {});
    program.socket.on("error", () => {});
    const hello = new Promise((resolve, reject) => {
      program.socket.on("close", (code) => reject(new Error(`closed with ${code}`)));
      program.socket.on("message", (data) => {
        const object = JSON.parse(String(data));
        if (object.type === "hello") resolve(object);
        const answer = program.answers.get(object.re);
        if (answer) { program.answers.delete(object.re); answer(object); } else program.events.push(object);
      });
    });
    program.hello = await hello;
    return program;
  }

  ask(request) {
    this.count += 1;
    const id = this.count;
    this.socket.send(JSON.stringify({ ...request, id }));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${JSON.stringify(request)}`)), PATIENCE_MS);
      this.answers.set(id, (object) => { clearTimeout(timer); resolve(object); });
    });
  }

  join(room) { return this.ask({ type: "join", room }); }
  say(room, text, more = {}) { return this.ask({ type: "send", room, text, ...more }); }
  close() { this.socket.terminate(); }
}
