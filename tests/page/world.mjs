// A world without a network: a clock that jumps from timer to timer, random numbers from a seed,
// storage, and WebSockets over links that delay, go deaf or break. Knows no protocol: a server is
// an object with `accept(peer)`.

export function createRandom(seed) {
  let state = (seed * 2654435761 + 1) >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count) => Math.floor(random() * count);
  return { random, below, pick: (list) => list[below(list.length)], chance: (share) => random() < share };
}

export function createClock(start = 1_764_115_200_000) {
  let now = start;
  let skew = 0;
  let serial = 0;
  const heap = []; // By time, then by order of setting.

  const isBefore = (a, b) => a.at < b.at || (a.at === b.at && a.serial < b.serial);
  function push(timer) {
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(heap[index], heap[parent])) break;
      [heap[index], heap[parent]] = [heap[parent], heap[index]];
      index = parent;
    }
  }
  function pop() {
    const first = heap[0];
    const last = heap.pop();
    if (heap.length) {
      heap[0] = last;
      for (let index = 0; ;) {
        let least = index;
        for (const child of [2 * index + 1, 2 * index + 2]) {
          if (child < heap.length && isBefore(heap[child], heap[least])) least = child;
        }
        if (least === index) break;
        [heap[index], heap[least]] = [heap[least], heap[index]];
        index = least;
      }
    }
    return first;
  }
  let isTouched = false; // Since promises were last settled.
  const settle = async () => { for (let turn = 0; turn < 4; turn += 1) await null; };

  return {
    now: () => now,
    /** What the computer of the page says that time it is. */
    wall: () => now + skew,
    setTimeout(action, ms = 0) {
      const timer = { at: now + Math.max(0, ms), serial: serial++, action };
      push(timer);
      return timer;
    },
    /** The page was called, so promises of it may have to be settled before what comes next. */
    touch() { isTouched = true; },
    clearTimeout(timer) { if (timer) timer.action = null; },
    /** Lets time pass, and everything happen that is due. */
    async run(ms) {
      const end = now + ms;
      await settle();
      let events = 0;
      while (heap.length && heap[0].at <= end) {
        const timer = pop();
        if (!timer.action) continue;
        now = Math.max(now, timer.at);
        timer.action();
        if (++events > 200_000) throw new Error("the clock does not come on");
        if (!isTouched) continue;
        isTouched = false;
        await settle();
      }
      now = end;
    },
    /** Runs until something holds. */
    async until(holds, ms = 60_000) {
      const end = now + ms;
      while (!holds()) {
        if (now >= end) throw new Error(`did not happen within ${ms} ms: ${holds}`);
        await this.run(Math.min(50, end - now));
      }
    },
    /** Runs until a promise is settled, and returns what it resolved to. */
    async during(promise, ms = 60_000) {
      let isSettled = false;
      promise.then(() => { isSettled = true; }, () => { isSettled = true; });
      await this.until(() => isSettled, ms);
      return promise;
    },
    /** The computer sleeps: time passes, and no timer fires before it wakes. */
    sleep(ms) { now += ms; },
    /** The wall clock is set. */
    set(ms) { skew += ms; },
    timers: () => heap.filter((timer) => timer.action).length,
  };
}

export function createStore() {
  const map = new Map();
  return {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => { map.set(key, String(value)); },
    removeItem: (key) => { map.delete(key); },
    /** As a browser copies sessionStorage to a duplicated tab. */
    copy() {
      const other = createStore();
      for (const [key, value] of map) other.setItem(key, value);
      return other;
    },
  };
}

/** Links between FakeWebSockets and the server. */
export function createNet(clock, { random }) {
  const net = {
    server: null,
    /** "open"; "refusing": attempts fail at once; "deaf": nothing arrives in any direction. */
    mode: "open",
    delay: () => 5 + random() * 20,
    links: new Set(),
    attempts: 0,
    WebSocket: null,
  };

  class Link {
    constructor(socket, target) {
      this.socket = socket;
      this.target = target;
      this.due = { up: 0, down: 0 };
      this.isUp = true; // The server's side stands.
      this.isDown = true; // The client's side stands.
      this.isDeaf = false;
      net.links.add(this);
    }

    /** Delivers later, in order. */
    later(direction, action) {
      this.due[direction] = Math.max(this.due[direction], clock.now() + net.delay());
      clock.setTimeout(() => {
        if (this.isDeaf || net.mode === "deaf") return;
        clock.touch();
        action();
      }, this.due[direction] - clock.now());
    }

    up(text) { this.later("up", () => { if (this.isUp) this.peer?.receive(text); }); }

    down(text) { this.later("down", () => { if (this.isDown) this.socket.onmessage?.({ data: text }); }); }

    /** The server closes. */
    closeDown(code, reason) {
      if (!this.isUp) return;
      this.isUp = false;
      this.later("down", () => this.endClient(code, reason));
    }

    endClient(code, reason) {
      if (!this.isDown) return;
      this.isDown = false;
      clock.touch();
      this.socket.readyState = 3;
      net.links.delete(this);
      this.socket.onclose?.({ code, reason });
    }

    endServer() {
      if (!this.isUp) return;
      this.isUp = false;
      this.peer?.ended();
    }

    /**
     * The connection breaks: what is on its way may be lost. `client` and `server` notice after so
     * many milliseconds, Infinity: never.
     */
    cut({ client = 0, server = 0 } = {}) {
      this.isDeaf = true;
      if (client < Infinity) clock.setTimeout(() => this.endClient(1006, ""), client);
      if (server < Infinity) clock.setTimeout(() => this.endServer(), server);
    }
  }

  net.WebSocket = class FakeWebSocket {
    constructor(target, protocols) {
      net.attempts += 1;
      this.readyState = 0;
      this.protocols = protocols;
      this.link = new Link(this, target);
      if (net.mode === "refusing" || !net.server) {
        clock.setTimeout(() => this.link.endClient(1006, ""), net.delay());
        return;
      }
      this.link.later("up", () => {
        if (!this.link.isUp || !this.link.isDown || !net.server) return this.link.endClient(1006, "");
        this.readyState = 1;
        const link = this.link;
        link.peer = net.server.accept({
          target,
          send: (text) => link.down(text),
          close: (code, reason) => link.closeDown(code, reason),
        });
      });
    }

    send(text) {
      if (this.readyState === 1) this.link.up(text);
    }

    close(code) {
      const { link } = this;
      if (this.readyState >= 2) return;
      this.readyState = 2;
      link.later("up", () => link.endServer());
      link.later("down", () => link.endClient(code ?? 1005, ""));
    }
  };
  return net;
}
