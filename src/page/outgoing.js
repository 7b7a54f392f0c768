// What was written and is not known to be stored: one queue per room, sent in order, one message of
// a room at a time, so that no refusal can change the order. A message stays in its queue until the
// room's log has come to its number. After a lost connection it is sent again with its key where
// the server still knows keys of that age, else the log is searched for it first; so it is neither
// lost nor doubled. Knows the state of rooms, and no DOM.

/** Messages that may wait in one room. */
const QUEUE_MAX = 200;
/** Others that may be sent while one is in doubt: the server knows the newest 64 keys. */
const OTHERS_MAX = 60;
/** Of the time for which the server knows a key, clocks and travel being what they are. */
const DEDUPE_SHARE = 0.8;
/** For how long a message that can be sent again later is tried before the person is asked. */
const PATIENCE_MS = 60_000;
/** Pages of history that are searched for a message in doubt. */
const SEARCH_PAGES_MAX = 10;

/**
 * `nicks()` are those that the next entry may have, `isReady()` says whether the session is settled,
 * `changed(room, what)` and `save()` are called after changes, `rejoin(room)` if the server does not
 * know the client as a member; `isExempt(room)`: slow mode is not for the person.
 */
export function createOutgoing({
  world, connection, state, tab, nicks, isReady, isExempt, changed, save, rejoin,
}) {
  const { now, setTimeout, clearTimeout } = world;
  let serial = 0;

  /** A new message at the end of the room's queue. */
  function add(room, text, { kind = "message", replyTo } = {}) {
    const key = `${tab.id}-${now().toString(36)}-${serial++}`;
    const message = { key, text, kind, replyTo, phase: "sending", why: null, createdAt: now() };
    room.inner.queue.push(message);
    update(room);
    pump(room);
    return message;
  }

  const isFull = (room) => room.inner.queue.length >= QUEUE_MAX;

  const requestOf = (room, { text, kind, replyTo, key }) => ({
    type: "send",
    room: room.name,
    text,
    ...(kind === "action" && { kind }),
    ...(replyTo && { reply_to: replyTo }),
    key,
  });

  /** The queue has changed: what is shown of it follows, and it is kept. */
  function update(room) {
    room.outgoing = room.inner.queue.filter((message) => !message.shownSeq);
    save();
    changed(room, { outgoing: true });
  }

  /** Sends what comes next in a room, if it is time. */
  function pump(room) {
    const { inner } = room;
    if (room.phase !== "joined" || inner.inFlight || !isReady()) return;
    const message = inner.queue.find((one) => one.phase === "sending" && !one.seq);
    if (!message) return;
    const wait = message.notBefore - now();
    if (wait > 0 && wait < PATIENCE_MS) return pumpLater(room, wait); // More: the clock was set.
    if (bytesOf(requestOf(room, message)) > state.limits.message_bytes) {
      return fail(room, message, { code: "too_long" });
    }
    if (message.isInDoubt && !isKeyKnown(message)) return search(room, message);
    if (!message.isInDoubt && isHeldBack()) return;
    transmit(room, message);
  }

  function pumpAll() {
    for (const room of state.rooms.values()) pump(room);
  }

  function pumpLater(room, wait) {
    clearTimeout(room.inner.pumpTimer);
    room.inner.pumpTimer = setTimeout(() => pump(room), wait);
  }

  /** Whether the server still compares this message's key with those that it stored. */
  function isKeyKnown(message) {
    const age = now() - message.sentAt; // Below zero the clock was set, and says nothing.
    return message.label === tab.label && message.others <= OTHERS_MAX &&
      age >= 0 && age < state.limits.dedupe_ms * DEDUPE_SHARE;
  }

  function* inDoubt() {
    for (const { inner } of state.rooms.values()) {
      for (const message of inner.queue) if (message.isInDoubt && !message.seq) yield message;
    }
  }

  /** One more would make the server forget the key of a message that is still to be sent again. */
  function isHeldBack() {
    for (const message of inDoubt()) {
      const isNext = message.phase === "sending" && message.others >= OTHERS_MAX;
      if (isNext && isKeyKnown({ ...message, others: 0 })) return true;
    }
    return false;
  }

  function transmit(room, message) {
    const { inner } = room;
    const isFirst = !message.isInDoubt;
    if (isFirst) {
      for (const other of inDoubt()) other.others += 1;
      Object.assign(message, {
        isInDoubt: true, others: 0, label: tab.label, sentAt: now(), nicks: [],
        base: Math.max(room.position, inner.lastOkSeq),
      });
    }
    // Sent again it may be stored under another name.
    for (const nick of nicks()) if (!message.nicks.includes(nick)) message.nicks.push(nick);
    inner.inFlight = message;
    save();
    const answered = (answer) => {
      if (inner.inFlight === message) inner.inFlight = null;
      if (answer.type === "ok") return confirm(room, message, answer.seq);
      const isAway = answer.code === "lost" || answer.code === "offline";
      // An error says that this request stored nothing; an earlier one of the same key may have.
      if (isFirst && (!isAway || !answer.wasSent)) message.isInDoubt = false;
      if (isAway) {
        message.refusedAt = undefined;
        return update(room);
      }
      refused(room, message, answer);
    };
    connection.request(requestOf(room, message), answered, { isPatient: true });
  }

  function refused(room, message, { code, message: words, retry_ms: retryMs }) {
    message.why = { code, message: words };
    if (code === "not_a_member") {
      update(room);
      return rejoin(room);
    }
    hold(room, code, retryMs);
    message.refusedAt ??= now();
    if (!retryMs || code === "muted" || retryMs > PATIENCE_MS || now() - message.refusedAt > PATIENCE_MS) {
      return fail(room, message, message.why);
    }
    message.notBefore = now() + retryMs * (1 + world.random());
    update(room);
    pump(room);
  }

  /** For some time nothing can be said in the room: `room.held` says why and until when. */
  function hold(room, code, ms) {
    if (code !== "muted" && code !== "slow_mode") return;
    room.held = { code, until: ms ? now() + ms : Infinity };
    changed(room, { held: true });
  }

  /** The server has stored the message under this number. */
  function confirm(room, message, seq) {
    const slow = room.settings.slow_seconds;
    if (slow && !isExempt(room)) hold(room, "slow_mode", slow * 1000);
    else room.held = null;
    Object.assign(message, { seq, isInDoubt: false, phase: "sending", why: null });
    room.inner.lastOkSeq = Math.max(room.inner.lastOkSeq, seq);
    passed(room);
    update(room);
    pumpAll(); // Others may have been held back.
  }

  /** Looks in the log for a message whose key the server may have forgotten. */
  function search(room, message) {
    const { inner } = room;
    inner.inFlight = message;
    const done = () => { if (inner.inFlight === message) inner.inFlight = null; };
    const giveUp = () => { done(); fail(room, message, { code: "unknown" }); };
    const look = (after, pages) => {
      if (pages === 0) return giveUp();
      connection.request({ type: "history", room: room.name, after, limit: 100 }, (answer) => {
        if (answer.type !== "history") {
          done();
          if (answer.code === "lost" || answer.code === "offline") return;
          if (answer.code === "not_a_member") return rejoin(room);
          if (answer.code !== "timeout" && !answer.retry_ms) return giveUp();
          return pumpLater(room, answer.retry_ms ?? 1000);
        }
        const found = answer.entries.find((entry) => isSame(entry, message));
        const last = answer.entries.at(-1)?.seq;
        if (!found && answer.more && last) return look(last, pages - 1);
        done();
        if (found) return confirm(room, message, found.seq);
        message.isInDoubt = false;
        pump(room);
      });
    };
    look(message.base, SEARCH_PAGES_MAX);
  }

  const isSame = (entry, message) =>
    entry.type === "message" && entry.seq > message.base && message.nicks.includes(entry.nick) &&
    entry.text === message.text && (entry.kind === "action") === (message.kind === "action");

  /** An entry is shown: a message that it surely is needs no place of its own any more. */
  function shown(room, entry) {
    const message = room.inner.queue.find((one) => one.isInDoubt && one.phase === "sending");
    if (!message || message.shownSeq || !isSame(entry, message)) return;
    message.shownSeq = entry.seq;
    update(room);
  }

  /** The room's log has come further. */
  function passed(room) {
    const { inner } = room;
    const rest = inner.queue.filter((message) => !(message.seq <= room.position));
    if (rest.length === inner.queue.length) return;
    inner.queue = rest;
    update(room);
  }

  /** Entries above a number are no more. */
  function rewound(room, to) {
    const { inner } = room;
    inner.lastOkSeq = Math.min(inner.lastOkSeq, to);
    for (const message of inner.queue) {
      if (message.base > to) message.base = to;
      if (message.shownSeq > to) message.shownSeq = undefined;
      // It was confirmed by a server that could not keep what it promised.
      if (message.seq > to) {
        Object.assign(message, { seq: undefined, phase: "failed", why: { code: "lost" } });
      }
    }
    if (inner.queue.length) update(room);
  }

  function fail(room, message, why) {
    Object.assign(message, { phase: "failed", why, shownSeq: undefined });
    update(room);
    pumpAll();
  }

  /** The room cannot be had: nothing of it will be sent by itself. */
  function failAll(room, why) {
    for (const message of room.inner.queue) {
      if (message.phase === "sending" && !message.seq) {
        Object.assign(message, { phase: "failed", why, shownSeq: undefined });
      }
    }
    if (room.inner.queue.length) update(room);
    pumpAll();
  }

  /** A message of the client was too long for the server, which ended the connection for it. */
  function failLongest(why) {
    let longest = null;
    for (const room of state.rooms.values()) {
      const message = room.inner.queue.find((one) => one.isInDoubt && one.phase === "sending");
      const length = message?.text.length ?? 0;
      if (length > (longest?.message.text.length ?? 0)) longest = { room, message };
    }
    if (!longest) return false;
    longest.message.isInDoubt = false;
    fail(longest.room, longest.message, why);
    return true;
  }

  function retry(room, key) {
    const message = room.inner.queue.find((one) => one.key === key);
    if (message?.phase !== "failed") return;
    Object.assign(message, { phase: "sending", why: null, notBefore: 0, refusedAt: undefined });
    update(room);
    pump(room);
  }

  /** The person does not want the message any more. Returns it. */
  function discard(room, key) {
    const message = room.inner.queue.find((one) => one.key === key);
    if (!message || message === room.inner.inFlight) return null;
    if (message.phase !== "failed" && (message.isInDoubt || message.seq)) return null;
    room.inner.queue = room.inner.queue.filter((one) => one !== message);
    update(room);
    return message;
  }

  /** The connection is gone. */
  function lost(room) {
    room.inner.inFlight = null;
    clearTimeout(room.inner.pumpTimer);
  }

  return {
    add, isFull, pump, pumpAll, shown, passed, rewound, failAll, failLongest, retry, discard, lost,
    bytesOf: (room, text, options = {}) =>
      bytesOf(requestOf(room, { text, kind: "message", ...options, key: "x".repeat(32) })),
  };
}

const encoder = new TextEncoder();
/** As it is sent, with room for an id. */
const bytesOf = (object) => encoder.encode(JSON.stringify(object)).length + 16;
