// One WebSocket at a time to the server: connects, waits and connects again, sends requests and
// hands out their answers, and finds out by itself whether the connection still works. Objects of
// parlor.v1.json come in and go out. Knows no DOM, no room, no nick and no event of a browser but
// those of the socket: WebSocket, clock, timers and random numbers are arguments (`world`).

/** From the beginning of an attempt to `hello`. */
const CONNECT_MS = 10_000;
/** From a request to its answer; after it the connection is probed. */
const ANSWER_MS = 10_000;
/** A request that must be answered is waited for so long on a connection that works otherwise. */
const ANSWER_MOST_MS = 30_000;
/** The same for a probe after something that often ends connections, such as sleep. */
const WAKE_MS = 5_000;
/** A connection is good, and the next pause short again, when it has worked for so long. */
const SETTLED_MS = 5_000;
/** The first pause and the longest, before they are spread by half in both directions. */
const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 40_000;
/** A person who returns to the page does not wait out a pause, but makes no storm either. */
const ATTEMPT_GAP_MS = 3_000;
/** A timer that fires so late was suspended: what it measured says nothing about the network. */
const LATE_MS = 3_000;

/** The client broke a rule or was removed: the same would happen again. So do all from 4000 on. */
const FINAL_CODES = new Set([1002, 1003, 1007, 1008, 1009]);

/** Whether the page must not connect again by itself after this close code. */
export const isFinal = (code) => code >= 4000 || FINAL_CODES.has(code);

/**
 * `on.phase(state)` after each change of `state`, `on.hello(object)` at the beginning of each
 * connection, `on.event(object)` for what answers no request, `on.lost({code, reason, heardAt})`
 * when a connection that had said hello is gone, from which something was last heard at `heardAt`;
 * the requests without an answer have failed before.
 */
export function createConnection({ world, url, on }) {
  const { WebSocket, setTimeout, clearTimeout, random } = world;
  const state = { phase: "waiting", retryAt: 0, code: 0, reason: "", failures: 0 };
  const waiting = new Map(); // Requests without an answer by their id, the oldest first.
  let queue = []; // Requests that wait for the rate.
  let socket = null;
  let timer = 0, timerDue = Infinity;
  let lastNow = 0, shift = 0; // A clock that never goes back.
  let attemptAt = -Infinity, notBefore = 0;
  let helloAt = 0, heardAt = 0, isSettled = false, pingAfter = 25_000;
  let probe = null; // { at, due }
  let nextId = 1;
  let tokens = 0, tokensAt = 0, rate = 0, burst = 0;

  function now() {
    const at = world.now() + shift;
    if (at < lastNow) shift += lastNow - at;
    return (lastNow = Math.max(at, lastNow));
  }

  function enter(phase, change) {
    Object.assign(state, { phase, retryAt: 0 }, change);
    on.phase(state);
  }

  function open() {
    detach();
    attemptAt = now();
    enter("connecting");
    let mine;
    try {
      mine = new WebSocket(url(), ["parlor.v1.json"]);
    } catch (error) {
      return ended(1006, String(error?.message ?? error));
    }
    socket = mine;
    mine.onmessage = (event) => { if (mine === socket) received(event.data); };
    mine.onclose = (event) => { if (mine === socket) ended(event.code, event.reason); };
    schedule();
  }

  /** Lets go of the socket. It may take minutes to close: what it says then is not listened to. */
  function detach(code) {
    const old = socket;
    socket = null;
    probe = null;
    if (!old) return;
    old.onmessage = old.onclose = null;
    try { old.close(code); } catch { /* It never opened. */ }
  }

  function ended(code, reason) {
    const wasOpen = state.phase === "open";
    detach();
    helloAt = 0;
    const failures = isSettled ? 1 : state.failures + 1;
    isSettled = false;
    const change = { code, reason: readable(code, reason), failures };
    if (isFinal(code)) {
      Object.assign(state, { ...change, phase: "ended", retryAt: 0 });
    } else {
      const asked = code === 1012 ? retryOf(reason) : 0;
      notBefore = now() + asked;
      const wait = Math.max(pause(failures), asked * (1 + random()));
      Object.assign(state, { ...change, phase: "waiting", retryAt: now() + wait });
    }
    failAll(); // The callers must find that there is no connection.
    on.phase(state);
    if (wasOpen) on.lost({ code, reason, heardAt: heardAt - shift });
    schedule();
  }

  const pause = (failures) =>
    Math.min(RETRY_FIRST_MS * 2 ** (failures - 1), RETRY_MOST_MS) * (0.5 + random());

  function failAll() {
    const failed = [...waiting.values(), ...queue];
    waiting.clear();
    queue = [];
    for (const { answer, sentAt } of failed) {
      answer({ type: "error", code: "lost", wasSent: sentAt > 0 });
    }
  }

  function received(data) {
    heardAt = now();
    probe = null;
    if (helloAt && !isSettled && heardAt - helloAt >= SETTLED_MS) {
      isSettled = true;
      state.failures = 0;
    }
    let object;
    try { object = JSON.parse(data); } catch { return ended(1006, "the server sent no JSON"); }
    if (object.type === "hello" && !helloAt) return greeted(object);
    const request = object.re === undefined ? undefined : waiting.get(object.re);
    if (request) {
      waiting.delete(object.re);
      request.answer(object);
    } else if (object.re === undefined) {
      on.event(object);
    } // Else its caller has given up.
    schedule();
  }

  function greeted(hello) {
    helloAt = heardAt;
    pingAfter = hello.ping_after_ms;
    rate = hello.limits.rate * 0.9; // The clocks of both sides differ a little.
    burst = tokens = Math.max(1, hello.limits.burst - 2); // Two are kept for probes.
    tokensAt = helloAt;
    enter("open", { code: 0, reason: "" });
    on.hello(hello);
    schedule();
  }

  /**
   * Sends an object with an id of its own. `answer` is called exactly once: with the answer of the
   * server, or with an error whose code is "offline" (there is no connection), "lost" (it ended;
   * `wasSent` says whether the request had been sent) or "timeout". With `isPatient` it is waited
   * for longer, and the connection given up instead of the request.
   */
  function request(object, answer = () => {}, { isPatient = false } = {}) {
    if (state.phase !== "open") return answer({ type: "error", code: "offline", wasSent: false });
    queue.push({ object, answer, isPatient, sentAt: 0 });
    pump();
    schedule();
  }

  function pump() {
    if (rate > 0) {
      const at = now();
      tokens = Math.min(burst, tokens + ((at - tokensAt) / 1000) * rate);
      tokensAt = at;
    }
    while (queue.length && (rate === 0 || tokens >= 1)) {
      tokens -= 1;
      transmit(queue.shift());
    }
  }

  function transmit(entry) {
    const id = nextId++;
    entry.sentAt = now();
    waiting.set(id, entry);
    const { type, ...rest } = entry.object;
    write({ type, id, ...rest });
  }

  function write(object) {
    try { socket.send(JSON.stringify(object)); } catch { /* It is closing; onclose follows. */ }
  }

  /** Asks whether the connection still works: whatever comes within `ms` says that it does. */
  function ask(ms) {
    const at = now();
    if (probe && at - probe.at < 1000) return;
    probe = { at, due: probe ? Math.min(probe.due, at + ms) : at + ms };
    tokens = Math.max(0, tokens - 1);
    waiting.delete("probe");
    write({ type: "ping", id: "probe" });
  }

  function expire() {
    const due = timerDue;
    timer = 0;
    timerDue = Infinity;
    const at = now();
    const isLate = at - due > LATE_MS;
    if (state.phase === "waiting" && at >= state.retryAt) open();
    else if (state.phase === "connecting" && at >= attemptAt + CONNECT_MS) {
      ended(1006, "the server does not answer");
    } else if (state.phase === "open") expireOpen(at, isLate);
    schedule();
  }

  function expireOpen(at, isLate) {
    if (probe && at >= probe.due) {
      if (!isLate) return ended(1006, "the connection was dead");
      probe = null; // An answer may be there already, unread: this time does not count.
      ask(WAKE_MS);
    }
    for (const [id, entry] of waiting) {
      if (at < entry.sentAt + ANSWER_MS) break; // They are in the order in which they were sent.
      if (!entry.isPatient) {
        waiting.delete(id);
        entry.answer({ type: "error", code: "timeout", wasSent: true });
      } else if (at >= entry.sentAt + ANSWER_MOST_MS && !isLate) {
        return ended(1006, "the server does not answer");
      }
      if (heardAt < entry.sentAt + ANSWER_MS && !probe) ask(ANSWER_MS);
    }
    if (state.phase !== "open") return;
    if (!isSettled && at >= helloAt + SETTLED_MS && !probe) ask(ANSWER_MS);
    if (at - heardAt >= pingAfter && !probe) ask(isLate ? WAKE_MS : ANSWER_MS);
    pump();
  }

  /** Arms the one timer for what is due first. */
  function schedule() {
    const due = nextDue();
    if (due === timerDue) return;
    clearTimeout(timer);
    timer = 0;
    timerDue = Math.max(due, now());
    if (due < Infinity) timer = setTimeout(expire, timerDue - now());
  }

  function nextDue() {
    if (state.phase === "waiting") return state.retryAt || Infinity;
    if (state.phase === "connecting") return attemptAt + CONNECT_MS;
    if (state.phase !== "open") return Infinity;
    let due = probe ? probe.due : heardAt + pingAfter;
    if (!isSettled && !probe) due = Math.min(due, Math.max(helloAt + SETTLED_MS, heardAt));
    if (queue.length) due = Math.min(due, tokensAt + ((1 - tokens) / rate) * 1000 + 1);
    for (const entry of waiting.values()) {
      const first = entry.sentAt + ANSWER_MS;
      const isPast = entry.isPatient && now() >= first;
      due = Math.min(due, isPast ? entry.sentAt + ANSWER_MOST_MS : first);
      if (!entry.isPatient) break; // Those behind it are due later, or are patient.
    }
    return due;
  }

  return {
    state,
    request,
    /** Connects for the first time. */
    start() { if (!socket) open(); },
    /** Something that often goes with a dead connection has happened: sleep, focus, a network. */
    wake() {
      const at = now();
      if (state.phase === "open") {
        if (at - heardAt > 1000) ask(WAKE_MS);
      } else if (state.phase === "waiting") {
        if (at >= attemptAt + ATTEMPT_GAP_MS && at >= notBefore) open();
      } else if (state.phase === "connecting" && at >= attemptAt + WAKE_MS) {
        open();
      }
      schedule();
    },
    /** The person asks for a connection. */
    reconnect() {
      if (state.phase === "open") return this.wake();
      state.failures = 0;
      open();
    },
    /** Goes on after a final close code, with a pause as after any other. */
    goOn() {
      if (state.phase !== "ended") return;
      enter("waiting", { retryAt: now() + pause(Math.max(1, state.failures)) });
      schedule();
    },
    /** The connection cannot be used any more, for a reason that the caller knows. */
    cut(reason) { if (state.phase === "open") ended(1006, reason); },
    stop() {
      detach(1000);
      Object.assign(state, { phase: "ended", retryAt: 0, code: 1000, reason: "" });
      failAll();
      on.phase(state);
      schedule();
    },
  };
}

/** The reason for people: that of 1012 is for programs. */
const readable = (code, reason) => (code === 1012 ? "" : reason || "");

/** After how long a server that starts again wants its clients back, at most a minute. */
function retryOf(reason) {
  try {
    const ms = JSON.parse(reason).retry_ms;
    return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 60_000) : 0;
  } catch {
    return 0;
  }
}
