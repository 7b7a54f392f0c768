// A TCP proxy between a browser and the server that fails as networks do: it goes deaf (accepts and
// passes on nothing, and closes nothing), loses what comes from one side, cuts connections with a
// reset, cuts one side only, delays, refuses. Knows bytes, no protocol.
import { once } from "node:events";
import { createConnection, createServer } from "node:net";

export class Proxy {
  static async start(port) {
    const proxy = new Proxy();
    proxy.upstream = port;
    proxy.pairs = new Set();
    proxy.accepted = 0;
    proxy.isDeaf = proxy.isRefusing = false;
    proxy.delayMs = 0;
    proxy.server = createServer({ allowHalfOpen: true }, (client) => proxy.accept(client));
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    return proxy;
  }

  get port() { return this.server.address().port; }
  get url() { return `http://127.0.0.1:${this.port}/`; }

  accept(client) {
    client.setNoDelay(true);
    this.accepted += 1;
    if (this.isRefusing) return client.resetAndDestroy();
    const pair = { client, server: null, isDeaf: this.isDeaf };
    this.pairs.add(pair);
    client.on("error", () => {});
    client.on("close", () => { if (!pair.isDeaf) pair.server?.destroy(); this.pairs.delete(pair); });
    if (this.isDeaf) return;
    pair.server = createConnection({ port: this.upstream, host: "127.0.0.1", allowHalfOpen: true });
    pair.server.setNoDelay(true);
    pair.server.on("error", () => { if (!pair.isDeaf) client.resetAndDestroy(); });
    this.pass(pair, client, pair.server);
    this.pass(pair, pair.server, client);
  }

  pass(pair, from, to) {
    const later = (action) => (this.delayMs ? setTimeout(action, this.delayMs) : action());
    from.on("data", (data) => later(() => {
      const isLost = pair.isDeaf || pair.isMuffled && to === pair.client;
      if (!isLost && to.writable) to.write(data);
    }));
    from.on("end", () => later(() => { if (!pair.isDeaf) to.end(); }));
  }

  /** From now on nothing passes, and no connection is closed: a cable that was pulled. */
  deafen() {
    this.isDeaf = true;
    for (const pair of this.pairs) pair.isDeaf = true;
  }

  /** What the browser sends still arrives at the server; nothing comes back. */
  muffle() {
    for (const pair of this.pairs) pair.isMuffled = true;
  }

  /** New connections pass again. Those that went deaf stay so, as after a change of networks. */
  heal() {
    this.isDeaf = this.isRefusing = false;
    this.delayMs = 0;
  }

  /** Ends all connections with a reset on both sides. */
  cut() {
    for (const { client, server } of this.pairs) {
      client.resetAndDestroy();
      server?.resetAndDestroy();
    }
    this.pairs.clear();
  }

  /** The browser sees a reset, the server sees nothing: its ghost stays. */
  cutClients() {
    for (const pair of this.pairs) {
      pair.isDeaf = true;
      pair.client.resetAndDestroy();
    }
  }

  /** New connections are reset. */
  refuse() {
    this.isRefusing = true;
    this.cut();
  }

  async close() {
    this.cut();
    this.server.close();
  }
}
