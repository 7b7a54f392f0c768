// The one owner of the page's state: rooms with their logs, the nick, the connection's phase. What
// the server sends comes in from connection.js and changes the state; the actions of the person go
// out as requests. Views read the state and are notified of changes; only the files beside this
// one (timeline, presence, outgoing) write to it. No DOM.
//
// Only what the server confirmed counts: a room by `joined`, a nick by `hello`, an answer or a
// notice, a message by its `ok` or its entry.
//
// Items of a room's log, by kind (timeline.js), with `time` by the clock of the server:
// - message, action { seq, nick, text, replyTo?, isOwn, isMention };
//   kicked { seq, nick, by, reason? }; unknown { seq, entry }: of a later version, not to be drawn.
// - joined, left { nick, word? }; renamed { old, nick, isOwn }; presence { joined, left };
//   kicked { isYou, by, reason? }: without numbers.
// - gap { from, to, isLost? }: not here; `fetch` has it, unless it is lost for good.
//   rewound { to, count }: so many entries above `to` were delivered and never stored.
//   away { reason: "offline", from, to } or { reason: "unread", from }: what follows is new.
// - local { key, values }: for this person alone. Keys: error { code, message?, problem?,
//   suggestion? }, unknown_command { name }, incomplete { usage }, nick_taken and nick_refused
//   { nick, own, message? }, you_are { nick }, you_are_operator, who { room, members, more },
//   rooms { rooms: [{ room, count }], more }, help { commands }.

import { createConnection } from "./connection.js";
import { createOutgoing } from "./outgoing.js";
import { createPresence } from "./presence.js";
import { commandOf } from "./commands.js";
import { foldRoom, isMentioned, nearestRoomName, problemOf } from "./names.js";
import * as timeline from "./timeline.js";

/** Entries that are fetched at once: as a room is joined, and as a person reads back. */
const HISTORY = 50;
const HISTORY_MOST = 100;
/** How often the others in a room are notified that the person is writing. */
const TYPING_MS = 3_000;
/** When a nick that another connection has is asked for again: it may be one's own, half dead. */
const NICK_RETRIES_MS = [5_000, 15_000, 30_000, 60_000];
/** What was read is written down after a while, what was written at once. */
const SAVE_MS = 1_000;
/** A shorter absence needs no mark. */
const AWAY_MS = 10_000;
/** Attempts without an answer before it is tried out what is wrong. */
const DIAGNOSE_AFTER = 2;

/**
 * `world`: { WebSocket, now, setTimeout, clearTimeout, random }. `storage`: of storage.js.
 * `url(nick)`: where to connect. `onChange(change)`: `{connection}`, `{rooms}`, `{notice}`, or
 * `{room, log|members|typing|outgoing|unread}`. `diagnose()` resolves to what is wrong if the
 * server cannot be reached by WebSocket: "offline", "unreachable" or "refused".
 */
export function createChat({ world, storage, url, onChange, diagnose }) {
  const { now, setTimeout, clearTimeout } = world;
  const { tab } = storage;
  const state = {
    connection: { phase: "waiting", retryAt: 0, code: 0, reason: "", failures: 0, problem: null },
    nick: "",
    limits: { message_bytes: 16_384, rate: 10, burst: 20, rooms: 16, dedupe_ms: 60_000 },
    offsetMs: 0,
    rooms: new Map(),
    current: null,
    directory: null,
    /** What is to be said where there is no room: an item of kind "local". */
    notice: null,
    /** Whether the person sees the page: `visible` and `focused`. */
    attention: { visible: true, focused: true },
  };
  let isReady = false; // The session is settled: rooms can be joined and messages sent again.
  let lostAt = 0; // When the last connection ended, until the next one stands.
  let greeting = null; // Of this connection: { nick, refused }.
  let chosenNick = ""; // That the person asked for; it is remembered when it is confirmed.
  const askedNicks = []; // Whose answer is under way: the server may have given them already.
  let nickTimer = 0, nickTries = 0;
  let saidTaken = null; // The nick of which was said that another has it.
  let badNick = null; // The nick that the address asks for and that cannot be one.
  let saveTimer = 0;

  const changed = (room, what) => onChange({ room: room.name, ...what });
  const connection = createConnection({
    world,
    url: () => url(tab.nick ?? ""),
    on: { phase, hello, event, lost },
  });
  const presence = createPresence({ world, connection, state, changed });
  const outgoing = createOutgoing({
    world, connection, state, tab, changed, save, rejoin,
    nicks: () => [state.nick, ...askedNicks], isReady: () => isReady,
  });

  // What is remembered

  function save() {
    clearTimeout(saveTimer);
    saveTimer = 0;
    tab.current = state.current;
    tab.rooms = [...state.rooms.values()]
      .filter(({ inner }) => inner.isConfirmed || inner.queue.length)
      .map(({ name, phase, readSeq, inner }) =>
        ({
          name, isWanted: isWanted(phase),
          readSeq: inner.isPlaced ? readSeq : inner.keptRead, outgoing: inner.queue,
        }));
    storage.save();
  }

  function saveSoon() {
    saveTimer ||= setTimeout(save, SAVE_MS);
  }

  const isWanted = (phase) => phase === "joining" || phase === "joined";

  function restore() {
    for (const kept of tab.rooms) {
      const room = roomOf(kept.name);
      room.inner.isConfirmed = true;
      room.inner.keptRead = kept.readSeq;
      room.inner.queue = kept.outgoing ?? [];
      for (const message of room.inner.queue) message.shownSeq = undefined;
      room.outgoing = [...room.inner.queue];
      if (kept.isWanted === false) room.phase = "left";
    }
    if (state.rooms.has(tab.current)) state.current = tab.current;
  }

  // The connection

  function phase({ phase, retryAt, code, reason, failures }) {
    const { problem } = state.connection;
    Object.assign(state.connection, { phase, retryAt, code, reason, failures });
    if (phase === "open") state.connection.problem = null;
    // With another code a close frame came through: then there is nothing to guess.
    const isSilent = code === 1006;
    if (!isSilent) state.connection.problem = null;
    if (phase === "waiting" && isSilent && failures >= DIAGNOSE_AFTER && !problem) {
      diagnose?.().then((found) => {
        if (state.connection.phase === "open") return;
        state.connection.problem = found;
        onChange({ connection: true });
      }, () => {});
    }
    onChange({ connection: true });
  }

  function hello(hello) {
    state.limits = { ...state.limits, ...hello.limits };
    state.offsetMs = hello.time - now();
    greeting = { nick: hello.nick, refused: null };
    if (!tab.secret) return begun(hello);
    connection.request({ type: "resume", session: tab.secret }, (answer) => {
      if (answer.type === "ok") {
        tab.secret = answer.session;
        ready(answer.nick);
        if (tab.nick !== answer.nick && !greeting.refused) nickRefused(null);
        return undefined;
      }
      if (answer.code !== "lost") begun(hello);
    }, { isPatient: true });
  }

  /** A session of its own: keys of earlier ones are not known in it. */
  function begun(hello) {
    tab.secret = hello.session;
    tab.label = `${tab.id}-${now().toString(36)}`;
    ready(hello.nick);
  }

  function ready(nick) {
    isReady = true;
    state.nick = storage.ownNick = nick;
    if (!tab.nick) tab.nick = nick;
    // An error that says why may still be on its way.
    if (tab.nick === nick) nickIs(nick);
    else if (greeting.refused) nickRefused(greeting.refused);
    if (badNick) say("nick_refused", { nick: badNick, own: nick });
    badNick = null;
    for (const room of state.rooms.values()) if (isWanted(room.phase)) join(room);
    save();
    onChange({ connection: true, rooms: true });
  }

  function lost({ code, reason, heardAt }) {
    isReady = false;
    lostAt ||= heardAt;
    clearTimeout(nickTimer);
    for (const room of state.rooms.values()) {
      room.isLoadingOlder = false;
      if (room.phase === "joined") room.phase = "joining";
      clearTimeout(room.inner.joinTimer);
      outgoing.lost(room);
      presence.lost(room);
    }
    // What was too long is given back to the person; the rest goes on.
    const why = { code: "too_long", message: reason };
    if (code === 1009 && outgoing.failLongest(why)) connection.goOn();
    if (code === 4001) tab.secret = undefined; // Another tab goes on with this session.
    save();
    onChange({ rooms: true });
  }

  // The nick

  /** The nick that is wanted could not be had. It is asked for again if only another has it. */
  function nickRefused(why) {
    const wanted = tab.nick;
    if (!why) return askForNick(wanted); // The session had another.
    if (why.code !== "nick_taken") {
      if (storage.nick === wanted) storage.nick = "";
      tab.nick = state.nick;
      return say("nick_refused", { nick: wanted, own: state.nick, ...why });
    }
    storage.isNickElsewhere(wanted).then((isElsewhere) => {
      if (!isReady || tab.nick !== wanted || state.nick === wanted) return;
      if (isElsewhere) return askForSimilar(wanted, 2);
      // A tab that had it before has most likely met its own half-dead connection.
      const isPatient = tab.confirmed === wanted && nickTries < NICK_RETRIES_MS.length;
      if (saidTaken !== wanted && !isPatient) {
        saidTaken = wanted;
        say("nick_taken", { nick: wanted, own: state.nick });
      }
      askForNickLater(wanted);
    });
  }

  function requestNick(nick, answered) {
    askedNicks.push(nick);
    connection.request({ type: "nick", nick }, (answer) => {
      askedNicks.splice(askedNicks.indexOf(nick), 1);
      answered(answer);
    });
  }

  function askForNick(wanted) {
    requestNick(wanted, (answer) => {
      if (tab.nick !== wanted) return;
      if (answer.type === "ok") nickIs(answer.nick);
      else if (answer.code === "nick_taken" || answer.code === "bad_name") nickRefused(answer);
    });
  }

  function askForNickLater(wanted) {
    clearTimeout(nickTimer);
    if (nickTries >= NICK_RETRIES_MS.length) return;
    nickTimer = setTimeout(() => askForNick(wanted), NICK_RETRIES_MS[nickTries++]);
  }

  /** The person has this nick in another tab: here it becomes `ann-2`. */
  function askForSimilar(wanted, number) {
    requestNick(`${wanted}-${number}`, (answer) => {
      if (answer.type === "ok") return nickIs(answer.nick);
      if (answer.code === "nick_taken" && number < 9) askForSimilar(wanted, number + 1);
    });
  }

  function nickIs(nick) {
    state.nick = tab.nick = tab.confirmed = storage.ownNick = nick;
    if (nick === chosenNick) storage.nick = nick;
    nickTries = 0;
    saidTaken = null;
    clearTimeout(nickTimer);
    save();
    onChange({ connection: true });
  }

  function rename(nick) {
    return new Promise((resolve, reject) => {
      requestNick(nick.trim(), (answer) => {
        if (answer.type === "error") return reject(answer);
        chosenNick = answer.nick;
        nickIs(answer.nick);
        resolve(answer.nick);
      });
    });
  }

  // Rooms

  function roomOf(name) {
    const known = state.rooms.get(name);
    if (known) return known;
    const room = {
      name, phase: "joining", why: null, epoch: "", position: 0, topic: "", count: 0,
      role: "member",
      items: [], bySeq: new Map(), version: 0, hasOlder: false, isLoadingOlder: false,
      members: { list: [], more: 0, isStale: true }, typing: new Map(), outgoing: [],
      unread: 0, mentions: 0, readSeq: 0, isAtEnd: true, draft: storage.draft(name), replyTo: null,
      /** What only chat.js and the files beside it know. */
      inner: {
        queue: [], inFlight: null, lastOkSeq: 0, pumpTimer: 0,
        isConfirmed: false, isPlaced: false, join: null, joinTimer: 0, joinTries: 0, waiters: [],
        generation: 0, headSeq: 0, keptRead: undefined, awayMark: null,
        isWatched: false, refresh: 0, typingTimer: 0, typingSentAt: 0,
      },
    };
    state.rooms.set(name, room);
    return room;
  }

  /** The person wants to be in a room. Resolves to the room when the server has confirmed it. */
  function joinNamed(text, { show: isShown = true } = {}) {
    const name = foldRoom(text);
    const problem = problemOf(name);
    if (problem) {
      return Promise.reject({ code: "bad_name", problem, suggestion: nearestRoomName(text) });
    }
    const room = roomOf(name);
    if (isShown && !state.current) state.current = name;
    if (room.phase === "joined") {
      if (isShown) show(name);
      return Promise.resolve(room);
    }
    if (room.phase !== "joining") Object.assign(room, { phase: "joining", why: null });
    onChange({ rooms: true });
    const promise = new Promise((resolve, reject) => room.inner.waiters.push({ resolve, reject }));
    if (isReady && !room.inner.join) join(room);
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
    const object = { type: "join", room: room.name, ...(since && { since }), history: HISTORY };
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
          if (isReady && room.phase === "joining") join(room);
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
    Object.assign(inner, { isConfirmed: true, joinTries: 0 });
    placeAt(room, answer);
    room.epoch = answer.epoch;
    room.position = answer.after;
    inner.headSeq = answer.seq;
    lostAt = 0;
    presence.joined(room, answer);
    outgoing.passed(room);
    outgoing.pump(room);
    for (const { resolve } of inner.waiters.splice(0)) resolve(room);
    save();
    onChange({ rooms: true });
    changed(room, { log: true });
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
      if (after > room.readSeq && !isAttended(room)) countUnread(room, after - room.readSeq);
      return;
    }
    if (to !== undefined || after < room.position) {
      rewind(room, Math.min(to ?? after, room.position));
    }
    if (after > room.position) {
      if (room.items.some((item) => item.seq || item.kind === "gap")) {
        timeline.append(room, timeline.newItem("gap", { from: room.position + 1, to: after }));
        if (!isAttended(room)) countUnread(room, after - room.position);
      } else room.hasOlder = true;
    }
    const isLong = now() - lostAt >= AWAY_MS;
    if (lostAt && (seq > after ? isLong : !recovered) && !(room.unread && inner.awayMark)) {
      mark(room, { reason: "offline", from: lostAt + state.offsetMs, to: now() + state.offsetMs });
    }
  }

  function rewind(room, to) {
    const removed = timeline.cutAbove(room, to);
    room.position = Math.min(room.position, to);
    room.readSeq = Math.min(room.readSeq, to);
    room.inner.generation += 1;
    outgoing.rewound(room, to);
    if (removed) note(room, "rewound", { to, count: removed });
    changed(room, { log: true });
  }

  /** Where the person, or the connection, was away. One mark a room. */
  function mark(room, fields) {
    const { inner } = room;
    if (inner.awayMark) timeline.remove(room, inner.awayMark);
    inner.awayMark = timeline.newItem("away", fields);
    append(room, inner.awayMark);
  }

  /** The server does not count this client as a member, which it was. */
  function rejoin(room) {
    if (isReady && room.phase === "joined") join(room);
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
    if (!wasIn || !isReady) return Promise.resolve();
    return ask({ type: "leave", room: name }).then(() => {}, () => {});
  }

  /** Shows a room that is in the list. */
  function show(name) {
    const room = state.rooms.get(name);
    if (!room || state.current === name) return;
    const before = state.rooms.get(state.current);
    if (before) presence.watch(before, false);
    state.current = name;
    if (before && !before.unread && before.inner.awayMark) forgetMark(before);
    if (before && timeline.trim(before, timeline.ITEMS_ELSEWHERE_MAX)) {
      changed(before, { log: true });
    }
    read(room);
    save();
    onChange({ rooms: true });
  }

  // What the server sends by itself

  function event(object) {
    if (object.type === "error") return errorWithoutRequest(object);
    const room = state.rooms.get(object.room);
    if (!room || room.phase !== "joined") return; // Left meanwhile.
    if (object.seq !== undefined) return entry(room, object);
    switch (object.type) {
      case "member_joined":
        if (object.nick === state.nick) return;
        note(room, "joined", { nick: object.nick });
        return presence.entered(room, object.nick);
      case "member_left":
        note(room, "left", { nick: object.nick, word: object.word });
        return presence.left(room, object.nick);
      case "nick_changed":
        return renamed(room, object);
      case "presence":
        if (object.lost) return presence.summed(room, {});
        note(room, "presence", { joined: object.joined ?? 0, left: object.left ?? 0 });
        return presence.summed(room, object);
      case "typing":
        return presence.writes(room, object.nick);
      case "gap":
        return gap(room, object);
      case "rewound":
        rewind(room, object.to);
        room.epoch = object.epoch;
        return saveSoon();
      case "kicked":
        return object.you ? kicked(room, object) : undefined;
      default: // A notice of a later version.
    }
  }

  function errorWithoutRequest({ code, message }) {
    if (greeting && !greeting.refused && (code === "nick_taken" || code === "bad_name")) {
      greeting.refused = { code, message };
      // With a session that is resumed, it may be one's own connection that has the nick.
      if (isReady && tab.nick !== state.nick) nickRefused(greeting.refused);
      return;
    }
    say("error", { code, message });
  }

  function entry(room, object) {
    if (object.seq !== room.position + 1) return connection.cut("an entry was out of order");
    room.position = object.seq;
    const item = timeline.itemOf(object);
    const isSpeech = item.kind === "message" || item.kind === "action";
    item.isOwn = isSpeech && item.nick === state.nick;
    item.isMention = isSpeech && !item.isOwn && isMentioned(item.text, state.nick);
    outgoing.shown(room, object);
    outgoing.passed(room);
    if (isAttended(room) || (item.isOwn && !room.unread)) {
      room.readSeq = Math.max(room.readSeq, item.seq);
    } else if (isSpeech && !item.isOwn && item.seq > room.readSeq) {
      if (!room.unread && !room.inner.awayMark) mark(room, { reason: "unread", from: item.time });
      countUnread(room, 1, item.isMention ? 1 : 0);
    }
    append(room, item);
    if (item.nick) presence.stopTyping(room, item.nick);
    if (item.kind === "kicked" && item.seq > room.inner.headSeq) presence.left(room, item.nick);
    saveSoon();
  }

  /** Something without a number happened in the room. */
  function note(room, kind, fields) {
    append(room, timeline.newItem(kind, { ...fields, time: serverNow() }));
  }

  function append(room, item) {
    timeline.append(room, item);
    const isRead = room.name === state.current && room.isAtEnd;
    const most = room.name === state.current ? timeline.ITEMS_MAX : timeline.ITEMS_ELSEWHERE_MAX;
    // A person who reads back keeps what is on the screen for longer, but not for ever.
    const isTrimmed = timeline.trim(room, isRead || room.name !== state.current ? most : 2 * most);
    if (isTrimmed && !room.items.includes(room.inner.awayMark)) room.inner.awayMark = null;
    changed(room, { log: true });
  }

  function gap(room, { from, to }) {
    if (to <= room.position) return;
    append(room, timeline.newItem("gap", { from: Math.min(from, room.position + 1), to }));
    if (!isAttended(room)) countUnread(room, to - room.position);
    room.position = to;
    outgoing.passed(room);
    saveSoon();
  }

  function renamed(room, { old, new: nick }) {
    note(room, "renamed", { old, nick, isOwn: old === state.nick });
    if (old === state.nick) nickIs(nick);
    presence.renamed(room, old, nick);
  }

  function kicked(room, { by, reason }) {
    Object.assign(room, { phase: "left", why: { code: "kicked", by, reason } });
    note(room, "kicked", { isYou: true, by, reason });
    outgoing.failAll(room, room.why);
    presence.lost(room);
    save();
    onChange({ rooms: true });
  }

  // What is read

  const serverNow = () => now() + state.offsetMs;

  function isAttended(room) {
    const { visible, focused } = state.attention;
    return visible && focused && room.name === state.current && room.isAtEnd;
  }

  function countUnread(room, messages, mentions = 0) {
    room.unread += messages;
    room.mentions += mentions;
    changed(room, { unread: true });
  }

  function read(room) {
    if (!isAttended(room)) return;
    room.readSeq = room.position;
    if (!room.unread && !room.mentions) return;
    room.unread = room.mentions = 0;
    saveSoon();
    changed(room, { unread: true });
  }

  /** The person leaves: what comes from here on is behind a new mark. */
  function away() {
    for (const room of state.rooms.values()) {
      if (!room.unread && room.inner.awayMark) forgetMark(room);
    }
  }

  function forgetMark(room) {
    timeline.remove(room, room.inner.awayMark);
    room.inner.awayMark = null;
    changed(room, { log: true });
  }

  function setAttention(attention) {
    const was = state.attention.visible && state.attention.focused;
    Object.assign(state.attention, attention);
    const is = state.attention.visible && state.attention.focused;
    if (was && !is) away();
    const room = state.rooms.get(state.current);
    if (is && room) read(room);
  }

  // The past

  /** Requests that are answered by one object. Rejects with the error. */
  function ask(object) {
    return new Promise((resolve, reject) => {
      connection.request(object, (answer) => {
        if (answer.type === "error") reject(answer);
        else resolve(answer);
      });
    });
  }

  async function entriesOf(room, range) {
    const { generation } = room.inner;
    const answer = await ask({ type: "history", room: room.name, ...range });
    if (generation !== room.inner.generation) throw { code: "rewound" };
    return { items: answer.entries.map(itemOfPast), more: answer.more };
  }

  function itemOfPast(object) {
    const item = timeline.itemOf(object);
    item.isOwn = item.nick === state.nick && (item.kind === "message" || item.kind === "action");
    item.isMention = Boolean(item.text) && !item.isOwn && isMentioned(item.text, state.nick);
    return item;
  }

  /** Entries above what is shown. Resolves to whether there may be more. */
  async function older(name) {
    const room = state.rooms.get(name);
    if (!room?.hasOlder) return false;
    if (room.isLoadingOlder || room.phase !== "joined") return true;
    room.isLoadingOlder = true;
    changed(room, { log: true });
    const first = timeline.firstSeq(room);
    try {
      const { items, more } = await entriesOf(room, { before: first, limit: HISTORY });
      if (timeline.firstSeq(room) === first) {
        timeline.prepend(room, items);
        room.hasOlder = more && items.length > 0;
      }
    } catch (error) {
      if (error.code === "not_a_member") rejoin(room); // Else it is asked again by scrolling.
    } finally {
      room.isLoadingOlder = false;
      changed(room, { log: true });
    }
    return room.hasOlder;
  }

  /** Entries of a gap: the newest of them first. Resolves to whether some of it is left. */
  async function fetch(name, from, to) {
    const room = state.rooms.get(name);
    const missing = room && timeline.missingAround(room, to);
    if (!missing || missing.from > from) return false;
    const { items, more } = await entriesOf(room, { before: missing.to + 1, limit: HISTORY_MOST });
    const isFromStart = !more || items[0]?.seq <= missing.from;
    timeline.fill(room, missing, items, missing.to, isFromStart);
    changed(room, { log: true });
    return !isFromStart;
  }

  /** The item of a number, fetched with its neighbours if it is not there; null: it is not kept. */
  async function around(name, seq) {
    const room = state.rooms.get(name);
    if (!room) return null;
    if (!room.bySeq.has(seq) && seq >= 1 && seq <= room.position) {
      const { items, more } = await entriesOf(room, { before: seq + HISTORY, limit: HISTORY_MOST });
      const missing = timeline.missingAround(room, seq);
      if (missing) {
        const isFromStart = !more || items[0]?.seq <= missing.from;
        timeline.fill(room, missing, items, seq + HISTORY - 1, isFromStart);
        if (missing.isBelow) room.hasOlder = more;
        changed(room, { log: true });
      }
    }
    return room.bySeq.get(seq) ?? null;
  }

  async function search(name, query, before) {
    const object = { type: "search", room: name, query, limit: HISTORY };
    const answer = await ask({ ...object, ...(before && { before }) });
    return { entries: answer.entries.map(itemOfPast), more: answer.more };
  }

  async function listRooms(after) {
    const { rooms, more } = await ask({ type: "rooms", ...(after && { after }) });
    state.directory = after ? [...(state.directory ?? []), ...rooms] : rooms;
    onChange({ directory: true });
    return { rooms, more };
  }

  // What the person does

  /**
   * Says something in a room. Returns { message }, or { error: { code, bytes, max } }: then nothing
   * was taken and the text stays the person's.
   */
  function send(name, text, { kind, replyTo } = {}) {
    const room = state.rooms.get(name);
    if (!room || !isWanted(room.phase)) return { error: room?.why ?? { code: "not_a_member" } };
    const clean = withoutControls(text);
    if (!clean.trim()) return { error: { code: "empty" } };
    const { bytes, max } = measure(name, clean, { kind, replyTo });
    if (bytes > max) return { error: { code: "too_long", bytes, max } };
    if (outgoing.isFull(room)) return { error: { code: "too_many" } };
    return { message: outgoing.add(room, clean, { kind, replyTo }) };
  }

  /** How long a message would be as it is sent, and how long it may be. */
  function measure(name, text, options) {
    const bytes = outgoing.bytesOf({ name: name ?? "" }, text, options);
    return { bytes, max: state.limits.message_bytes };
  }

  /**
   * What the person wrote: a command, or something to say. A second slash or a space before it
   * makes a text of it. Returns what `send` returns, or { command } with a promise of its result.
   */
  function submit(name, text, { replyTo } = {}) {
    if (text.startsWith("//")) return send(name, text.slice(1), { replyTo });
    if (!text.startsWith("/")) return send(name, text, { replyTo });
    const { command, args, problem } = commandOf(text);
    if (problem === "unknown") return { error: { code: "unknown_command", name: command } };
    if (problem) return { error: { code: "incomplete", usage: command.usage, name: command.name } };
    if (command.kind) return send(name, args.text, { kind: command.kind, replyTo });
    const result = Promise.resolve().then(() => command.run(chat, name, args));
    return { command: result.catch((error) => say("error", error, name)) };
  }

  /** As `submit`; what went wrong is said in the log. Resolves to the result of the command. */
  async function run(name, line) {
    const { error, message, command } = submit(name, line);
    if (!error) return message ?? command;
    const isOfLine = error.code === "unknown_command" || error.code === "incomplete";
    return say(isOfLine ? error.code : "error", error, name);
  }

  function typing(name) {
    const room = state.rooms.get(name);
    if (room?.phase !== "joined" || !isReady || now() - room.inner.typingSentAt < TYPING_MS) return;
    room.inner.typingSentAt = now();
    connection.request({ type: "typing", room: name });
  }

  /** Something for the person alone, in the room that is shown: `key` and `values` for i18n. */
  function say(key, values, name = state.current) {
    const item = timeline.newItem("local", { key, values, time: serverNow() });
    const room = state.rooms.get(name);
    if (room) append(room, item);
    else {
      state.notice = item;
      onChange({ notice: true });
    }
    return item;
  }

  const chat = {
    state,
    /** Begins with what the tab remembers, and with what the address of the page asks for. */
    start({ room, nick } = {}) {
      if (nick && !problemOf(nick)) tab.nick = chosenNick = nick.trim().normalize("NFC");
      else if (nick) badNick = nick;
      tab.nick ||= storage.nick;
      restore();
      if (room) {
        joinNamed(room).catch((error) => {
          if (error.problem) say("error", error);
        });
      }
      connection.start();
    },
    join: joinNamed,
    leave,
    show,
    send,
    submit,
    run,
    measure,
    retry: (name, key) => withRoom(name, (room) => outgoing.retry(room, key)),
    /** Returns the message, so that its text can go back into the field. */
    discard: (name, key) => withRoom(name, (room) => outgoing.discard(room, key)) ?? null,
    rename,
    older,
    fetch,
    around,
    search,
    who: async (name, after) => {
      const room = state.rooms.get(name);
      if (!room) throw { code: "not_a_member" };
      return presence.ask(room, after);
    },
    /** The list of members is on the screen: it is kept up to date. */
    watchMembers: (name, isWatched) => withRoom(name, (room) => presence.watch(room, isWatched)),
    listRooms,
    typing,
    setDraft: (name, text) => withRoom(name, (room) => {
      room.draft = text;
      storage.setDraft(name, text);
    }),
    setReply: (name, seq) => withRoom(name, (room) => {
      room.replyTo = seq;
      changed(room, { reply: true });
    }),
    setAtEnd: (name, isAtEnd) => withRoom(name, (room) => {
      room.isAtEnd = isAtEnd;
      read(room);
    }),
    setAttention,
    kick: (name, nick, reason) =>
      ask({ type: "kick", room: name, nick, ...(reason && { reason }) }),
    op: (token) => ask({ type: "op", token }),
    say,
    reconnect: () => connection.reconnect(),
    wake: () => connection.wake(),
    /** Writes down what was not yet: the page may be gone the next moment. */
    flush: save,
    stop: () => connection.stop(),
  };

  function withRoom(name, action) {
    const room = state.rooms.get(name);
    return room && action(room);
  }

  return chat;
}

/** As the server does it: control characters but line feed and tab are removed. */
export const withoutControls = (text) =>
  text.replace(/\p{Cc}/gu, (character) => ("\n\t".includes(character) ? character : ""));
