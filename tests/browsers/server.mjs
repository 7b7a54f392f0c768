// Starts the server as a process on a port of the kernel's choice. With PARLOR_PAGE=DIR the files of
// the page come from that directory, so that a change is tried without building the server. Knows no
// rule of the chat.
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { createInterface } from "node:readline";
import { extname, join } from "node:path";
import { path } from "./packages.mjs";
import { start } from "./processes.mjs";

const BINARY = process.env.PARLOR || path("target/debug/parlor");
const START_MS = 20000;

export class Server {
  static async start(options = [], { store = "memory", port = 0 } = {}) {
    const server = new Server();
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PARLOR_")));
    server.child = start(BINARY, ["--listen", `127.0.0.1:${port}`, ...options],
      { env: { ...env, PARLOR_STORE: store }, stdio: ["ignore", "pipe", "pipe"] });
    server.errors = "";
    server.child.stderr.on("data", (data) => { server.errors += data; });
    server.ended = once(server.child, "exit");
    server.port = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the server does not listen: ${server.errors}`)), START_MS);
      server.child.on("error", reject);
      server.ended.then(([code]) => reject(new Error(`the server ended with ${code}: ${server.errors}`)), reject);
      createInterface(server.child.stdout).on("line", (line) => {
        server.securePort ??= /^parlor is listening on https:\/\/127\.0\.0\.1:(\d+)\//.exec(line)?.[1];
        const port = /^parlor is listening on http:\/\/127\.0\.0\.1:(\d+)\//.exec(line)?.[1];
        if (port) { clearTimeout(timer); resolve(Number(port)); }
      });
    });
    if (process.env.PARLOR_PAGE) server.disk = await pageFromDisk(process.env.PARLOR_PAGE, server.port);
    return server;
  }

  /** The port that browsers use. */
  get front() { return this.disk?.address().port ?? this.port; }
  get url() { return `http://127.0.0.1:${this.front}/`; }

  async stop(signal = "SIGTERM") {
    this.disk?.close();
    this.child.kill(signal);
    await this.ended;
    if (this.errors.includes("panicked")) throw new Error(`the server: ${this.errors}`);
  }
}

const TYPES = { ".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json", ".png": "image/png" };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
  + "manifest-src 'self'; base-uri 'none'; form-action 'none'";

async function pageFromDisk(folder, port) {
  const server = createServer((client) => {
    client.on("error", () => {});
    client.once("data", (head) => {
      const target = /^GET \/([\w.-]*)[? ]/.exec(head.toString("latin1"));
      const file = target && join(folder, target[1] || "index.html");
      if (file && TYPES[extname(file)] && existsSync(file)) {
        const body = readFileSync(file);
        client.end(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${TYPES[extname(file)]}; charset=utf-8\r\n`
          + `Content-Length: ${body.length}\r\nCache-Control: no-store\r\nContent-Security-Policy: ${POLICY}\r\nConnection: close\r\n\r\n`), body]));
        return;
      }
      const upstream = createConnection(port, "127.0.0.1");
      upstream.on("error", () => client.destroy());
      client.on("close", () => upstream.destroy());
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
