// The rooms of this tab: joining them with what is known of them, meeting the position that the
// server gives, leaving and showing them. Only `joined` makes a room one's own. Knows no DOM and
// nothing of what is said.

import { foldRoom, isDirect, nearestRoomName, problemOfRoom } from "./names.js";
import { HISTORY } from "./past.js";
import * as timeline from "./timeline.js";

/** A shorter absence needs no mark. */
const AWAY_MS = 10_000;

/**
 * `isReady()`: the session is settled, and rooms can be joined. `note(room, kind, fields)`: an item
 * without a number. `ask(object)` resolves to an answer. `review(room)`: entries may have lost what
 * had changed them.
 */
export function createJoining({
  world, connection, state, storage, presence, outgoing, attention,
  isReady, ask, note, review, changed, save, onChange,
}) {
  const { now, setTimeout, clearTimeout } = world;
  let lostAt = 0; // When the last connection ended, until the next one stands.

  function roomOf(name) {
    const known = state.rooms.get(name);
    if (known) return known;
    const room = {
      name, phase: "joining", why: null, epoch: "", position: 0, topic: "", count: 0,
      role: "member", settings: {}, isDirect: isDirect(name), held: null, editing: null,
      items: [], bySeq: new Map(), version: 0, hasOlder: false, isLoadingOlder: false,
      members: { list: [], more: 0, isStale: true }, typing: new Map(), outgoing: [],
      unread: 0, mentions: 0, readSeq: 0, isAtEnd: true, draft: storage.draft(name), replyTo: null,
      /** What only chat.js and the files beside it know. */
      inner: {
        queue: [], inFlight: null, lastOkSeq: 0, pumpTimer: 0,
        isConfirmed: false, isPlaced: false, join: null, joinTimer: 0, joinTries: 0, waiters: [],
        generation: 0, headSeq: 0, keptRead: undefined, awayMark: null,
        revisions: new Map(), isDoubted: false, isWatched: false, refresh: 0, typingTimer: 0, typingSentAt: 0,
      },
    };
    state.rooms.set(name, room);
    return room;
  }

  /** The person wants to be in a room. Resolves to the room when the server has confirmed it. */
  function joinNamed(text, { show: isShown = true, password } = {}) {
    const name = foldRoom(text);
    const problem = problemOfRoom(name);
    if (problem) {
      return Promise.reject({ code: "bad_name", problem, suggestion: nearestRoomName(text) });
    }
    const room = roomOf(name);
    if (password !== undefined) room.inner.password = password; // Of the room; for this page only.
    if (isShown && !state.current) state.current = name;
    if (room.phase === "joined") {
      if (isShown) show(name);
      return Promise.resolve(room);
    }
    if (room.phase !== "joining") Object.assign(room, { phase: "joining", why: null });
    onChange({ rooms: true });
    const promise = new Promise((resolve, reject) => room.inner.waiters.push({ resolve, reject }));
    if (isReady() && !room.inner.join) join(room);
    return promise.then((joined) => {
      if (isShown) show(joined.name);
      return joined;
    });
  }

  function join(room) {
    const { inner } = room;
    clearTimeout(inner.joinTimer);
    room.phase = "joining";
    const since = inner.isPlaced ? { epoch: room.epoch, seq: room.position } : undefined;
    const object = {
      type: "join", room: room.name, ...(since && { since }), history: HISTORY,
      ...(inner.password && { password: inner.password }),
    };
    const mine = inner.join = {};
    connection.request(object, (answer) => {
      if (inner.join !== mine) return;
      inner.join = null;
      if (answer.type === "joined") return joined(room, answer);
      if (answer.code === "lost" || answer.code === "offline") return;
      if (answer.retry_ms) {
        room.why = { code: answer.code, message: answer.message };
        const wait = answer.retry_ms * 2 ** Math.min(inner.joinTries++, 4) * (1 + world.random());
        inner.joinTimer = setTimeout(() => {
          if (isReady() && room.phase === "joining") join(room);
        }, wait);
        return onChange({ rooms: true });
      }
      joinRefused(room, answer);
    }, { isPatient: true });
  }

  function joinRefused(room, { code, message, suggestion }) {
    const { inner } = room;
    const why = { code, message, ...(suggestion && { suggestion }) };
    Object.assign(room, { phase: "refused", why });
    inner.isConfirmed = false; // It is not remembered.
    outgoing.failAll(room, why);
    for (const { reject } of inner.waiters.splice(0)) reject(why);
    save();
    onChange({ rooms: true });
  }

  function joined(room, answer) {
    room = settleName(room, answer.room);
    const { inner } = room;
    Object.assign(room, { phase: "joined", why: null, topic: answer.topic, role: answer.role });
    room.settings = answer.settings ?? {};
    Object.assign(inner, { isConfirmed: true, joinTries: 0 });
    placeAt(room, answer);
    // Changes that were seen in pages of history alone may be among what the server lost.
    if (room.epoch && room.epoch !== answer.epoch) inner.isDoubted = true;
    room.epoch = answer.epoch;
    room.position = answer.after;
    inner.headSeq = answer.seq;
    lostAt = 0;
    presence.joined(room, answer);
    review(room);
    outgoing.passed(room);
    outgoing.pump(room);
    for (const { resolve } of inner.waiters.splice(0)) resolve(room);
    save();
    onChange({ rooms: true });
    changed(room, { log: true });
  }

  /** The server has made the person a member of a conversation, in which another has just spoken. */
  function taken(answer) {
    const room = roomOf(answer.room);
    // Another one with the same name, or the same one in another life.
    if (room.inner.isPlaced && room.epoch !== answer.epoch) rewind(room, 0);
    joined(room, answer);
  }

  /** The server has folded the name of the room, perhaps to that of one in the list. */
  function settleName(room, name) {
    if (room.name === name) return room;
    const known = state.rooms.get(name);
    state.rooms.delete(room.name);
    if (state.current === room.name) state.current = name;
    if (known) {
      known.inner.queue.push(...room.inner.queue);
      known.inner.waiters.push(...room.inner.waiters);
      return known;
    }
    room.name = name;
    room.draft ||= storage.draft(name);
    state.rooms.set(name, room);
    return room;
  }

  /** What is shown meets the position that the server gives: what is gone, missed or away. */
  function placeAt(room, { after, seq, rewound: to, recovered }) {
    const { inner } = room;
    if (!inner.isPlaced) {
      inner.isPlaced = true;
      room.hasOlder = after > 0;
      const { keptRead } = inner;
      room.readSeq = Math.min(keptRead ?? seq, seq);
      room.position = after;
      // Entries between what was read and what is fetched are not counted one by one.
      if (after > room.readSeq && !attention.isAttended(room)) attention.count(room, after - room.readSeq);
      return;
    }
    if (to !== undefined || after < room.position) {
      rewind(room, Math.min(to ?? after, room.position));
    }
    if (after > room.position) {
      if (room.items.some((item) => item.seq || item.kind === "gap")) {
        timeline.append(room, timeline.newItem("gap", { from: room.position + 1, to: after }));
        if (!attention.isAttended(room)) attention.count(room, after - room.position);
      } else room.hasOlder = true;
    }
    const isLong = now() - lostAt >= AWAY_MS;
    if (lostAt && (seq > after ? isLong : !recovered) && !(room.unread && inner.awayMark)) {
      attention.mark(room, { reason: "offline", from: lostAt + state.offsetMs, to: now() + state.offsetMs });
    }
  }

  function rewind(room, to) {
    const removed = timeline.cutAbove(room, to);
    room.position = Math.min(room.position, to);
    room.readSeq = Math.min(room.readSeq, to);
    room.inner.generation += 1;
    // What has changed others may be among what is lost.
    room.inner.revisions.clear();
    room.inner.isDoubted = true;
    outgoing.rewound(room, to);
    if (removed) note(room, "rewound", { to, count: removed });
    changed(room, { log: true });
  }

  /** The server does not count this client as a member, which it was. */
  function rejoin(room) {
    if (isReady() && room.phase === "joined") join(room);
  }

  function leave(name) {
    const room = state.rooms.get(name);
    if (!room) return Promise.resolve();
    const wasIn = room.phase === "joined";
    room.phase = "left";
    clearTimeout(room.inner.joinTimer);
    outgoing.lost(room);
    presence.lost(room);
    state.rooms.delete(name);
    for (const { reject } of room.inner.waiters.splice(0)) reject({ code: "left" });
    if (state.current === name) {
      const next = [...state.rooms.keys()].at(-1) ?? null;
      state.current = null;
      if (next) show(next);
    }
    save();
    onChange({ rooms: true });
    if (!wasIn || !isReady()) return Promise.resolve();
    return ask({ type: "leave", room: name }).then(() => {}, () => {});
  }

  /** Shows a room that is in the list. */
  function show(name) {
    const room = state.rooms.get(name);
    if (!room || state.current === name) return;
    const before = state.rooms.get(state.current);
    if (before) presence.watch(before, false);
    state.current = name;
    if (before) attention.forgetMark(before);
    if (before && timeline.trim(before, timeline.ITEMS_ELSEWHERE_MAX)) {
      changed(before, { log: true });
    }
    attention.read(room);
    save();
    onChange({ rooms: true });
  }

  /** The connection is gone. */
  function lost(heardAt) {
    lostAt ||= heardAt;
    for (const room of state.rooms.values()) {
      room.isLoadingOlder = false;
      if (room.phase === "joined") room.phase = "joining";
      clearTimeout(room.inner.joinTimer);
      outgoing.lost(room);
      presence.lost(room);
    }
  }

  /** The session is settled: all rooms that the person wants are joined. */
  function joinAll() {
    for (const room of state.rooms.values()) if (room.phase === "joining" && !room.inner.join) join(room);
  }

  /** The server has removed the person from the room. */
  function removed(room, kind, { by, reason, until }) {
    Object.assign(room, { phase: "left", why: { code: kind, by, reason, until } });
    note(room, kind, { isYou: true, by, reason, until });
    outgoing.failAll(room, room.why);
    presence.lost(room);
    save();
    onChange({ rooms: true });
  }

  return { roomOf, joinNamed, joinAll, taken, settleName, rejoin, leave, show, rewind, removed, lost };
}

export const isWanted = (phase) => phase === "joining" || phase === "joined";
