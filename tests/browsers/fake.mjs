// A server whose behaviour a spec decides: it has the files of the real one's page, and answers what
// the real one would not say when a test wants it. A script for each connection of WebSocket is given
// as `onOpen(link)`; `link.on(type, answer)` answers requests. Knows only what hello and joined are.
import { once } from "node:events";
import { createServer } from "node:http";
import { need } from "./packages.mjs";

const { WebSocketServer } = need("ws");

const HELLO = { type: "hello", server: "parlor of the tests", nick: "ann", session: "secret",
  limits: { message_bytes: 16384, rate: 0, burst: 20, history: 100, catch_up: 1000, rooms: 16,
    unacknowledged: 64, dedupe_ms: 60000, edit_window_ms: 900000 }, accounts: "open", ping_after_ms: 25000 };

class Link {
  constructor(socket, url) {
    this.socket = socket;
    this.nick = url.searchParams.get("nick") || "guest-1";
    this.answers = {
      ping: () => ({ type: "ok" }),
      resume: ({ session }) => ({ type: "ok", nick: this.nick, session }),
      join: ({ room }) => ({ type: "joined", room, epoch: "1-1", seq: 0, after: 0, recovered: false, topic: "",
        count: 1, members: [], role: "member" }),
      history: ({ room }) => ({ type: "history", room, entries: [], more: false }),
      who: ({ room }) => ({ type: "members", room, members: [this.nick], more: 0 }),
      rooms: () => ({ type: "rooms", rooms: [], more: 0 }),
      room: ({ room }) => ({ type: "settings", room, topic: "", slow_seconds: 0, moderated: false, locked: false, hidden: false }),
    };
    this.requests = [];
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const request = JSON.parse(String(data));
      this.requests.push(request);
      const answer = this.answers[request.type]?.(request);
      if (answer) this.send({ ...answer, re: request.id });
    });
  }

  on(type, answer) { this.answers[type] = answer; return this; }
  send(object) { this.socket.send(JSON.stringify(object)); }
  hello(more = {}) { this.send({ ...HELLO, nick: this.nick, time: Date.now(), ...more }); return this; }
  close(code, reason) { this.socket.close(code, reason); }
}

export class Fake {
  /** `front`: the address of the server that has the page. */
  static async start(front, onOpen) {
    const fake = new Fake();
    fake.links = [];
    fake.onOpen = onOpen;
    fake.sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "parlor.v1.json" });
    fake.server = createServer(async (request, response) => {
      try {
        const answer = await fetch(new URL(request.url, front), { headers: { connection: "close" } });
        const kept = ["content-type", "content-security-policy"].flatMap((name) => {
          const value = answer.headers.get(name);
          return value ? [[name, value]] : [];
        });
        response.writeHead(answer.status, Object.fromEntries(kept));
        response.end(Buffer.from(await answer.arrayBuffer()));
      } catch { response.destroy(); }
    });
    fake.server.on("upgrade", (request, socket, head) => {
      socket.on("error", () => {});
      if (fake.onUpgrade?.(request, socket)) return;
      fake.sockets.handleUpgrade(request, socket, head, (ws) => {
        const link = new Link(ws, new URL(request.url, front));
        fake.links.push(link);
        fake.onOpen(link);
      });
    });
    fake.server.listen(0, "127.0.0.1");
    await once(fake.server, "listening");
    return fake;
  }

  get front() { return this.server.address().port; }
  get url() { return `http://127.0.0.1:${this.front}/`; }

  close() {
    for (const { socket } of this.links) socket.terminate();
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** The page of a server at another origin than the one that its WebSocket believes in. */
export class Origin {
  static async start(front) {
    const fake = await Fake.start(front, () => {});
    const { request: ask } = await import("node:http");
    fake.onUpgrade = (request, socket) => {
      // A proxy that hands on the upgrade with a Host of its own.
      const { host, port } = new URL(front);
      const through = ask({ host: "127.0.0.1", port, path: request.url, headers: { ...request.headers, host: `inner.${host}` } });
      through.on("error", () => socket.destroy());
      const head = (response) => `HTTP/1.1 ${response.statusCode} ${response.statusMessage}\r\n`
        + response.rawHeaders.map((part, at) => (at % 2 ? `${part}\r\n` : `${part}: `)).join("") + "\r\n";
      through.on("response", (response) => { socket.write(head(response)); response.pipe(socket); });
      through.on("upgrade", (response, inner) => {
        socket.write(head(response));
        inner.on("error", () => socket.destroy());
        inner.pipe(socket).pipe(inner);
      });
      through.end();
      return true;
    };
    return fake;
  }
}
