// The one owner of the page's state: rooms with their logs, the nick, the connection's phase. What
// the server sends comes in from connection.js and changes the state; the actions of the person go
// out as requests. Views read the state and are notified of changes; only the files beside this
// one write to it: naming (who one is), account, joining (rooms), presence (members), timeline (the
// log), past (older entries), outgoing (one's own messages), attention (what is read), moderation,
// ignoring. No DOM.
//
// Only what the server confirmed counts: a room by `joined`, a nick by `hello`, an answer or a
// notice, a message by its `ok` or its entry.
//
// Items of a room's log, by kind (timeline.js), with `time` by the clock of the server:
// - message, action { seq, nick, text, replyTo?, isOwn, isMention, isIgnored, isEdited?, isDeleted? };
//   kicked, banned, unbanned, muted, unmuted { seq, nick | account, by, reason?, until? };
//   topic { seq, topic, by }; role { seq, account, role, by }; settings { seq, by, … }.
//   edited { seq, of, text }, deleted { seq, of }: not drawn; they have changed another item.
//   unknown { seq, entry }: of a later version, not to be drawn.
// - joined, left { nick, word? }; renamed { old, nick, isOwn }; presence { joined, left };
//   kicked, banned { isYou, by, reason?, until? }; reported { of, nick, by, reason? }: without numbers.
// - gap { from, to, isLost? }: not here; `fetch` has it, unless it is lost for good.
//   rewound { to, count }: so many entries above `to` were delivered and never stored.
//   away { reason: "offline", from, to } or { reason: "unread", from }: what follows is new.
// - local { key, values }: for this person alone. Keys: error { code, message?, problem?,
//   suggestion? }, unknown_command { name }, incomplete { usage }, nick_taken and nick_refused
//   { nick, own, message? }, you_are { nick }, you_are_operator, who { room, members, more },
//   rooms { rooms: [{ room, count }], more }, help { commands }, done { what, … } and others of
//   commands.js.

import { createAccount } from "./account.js";
import { createAttention } from "./attention.js";
import { commandOf, isSecret, looksLikeLogin } from "./commands.js";
import { createConnection } from "./connection.js";
import { createIgnoring } from "./ignoring.js";
import { createJoining, isWanted } from "./joining.js";
import { SETTINGS, createModeration, isExempt } from "./moderation.js";
import { createNaming } from "./naming.js";
import { createOutgoing } from "./outgoing.js";
import { createPast } from "./past.js";
import { createPresence } from "./presence.js";
import { isDirect } from "./names.js";
import * as timeline from "./timeline.js";

/** How often the others in a room are notified that the person is writing. */
const TYPING_MS = 3_000;
/** What was read is written down after a while, what was written at once. */
const SAVE_MS = 1_000;
/** Attempts without an answer before it is tried out what is wrong. */
const DIAGNOSE_AFTER = 2;

/** What the server has not yet: what is found to be missing besides is added for the connection. */
const MISSING = [];

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
    connection: { phase: "waiting", retryAt: 0, code: 0, reason: "", failures: 0, problem: null, isCutOff: false },
    nick: "",
    limits: { message_bytes: 16_384, rate: 10, burst: 20, rooms: 16, dedupe_ms: 60_000 },
    offsetMs: 0,
    rooms: new Map(),
    current: null,
    directory: null,
    /** Of hello: "open", "closed" or "required"; null: the server has no accounts. */
    accounts: null,
    /** { name, roles } of the person; null: a guest. */
    account: null,
    /** Types of requests that this server does not know, and is not asked for. */
    unknown: new Set(MISSING),
    /** Nothing can be done here without an account. */
    isLoginNeeded: false,
    /** The token of an operator was accepted on this connection. */
    isOperator: false,
    /** What is to be said where there is no room: an item of kind "local". */
    notice: null,
    /** Whether the person sees the page: `visible` and `focused`. */
    attention: { visible: true, focused: true },
  };
  let isReady = false; // The session is settled: rooms can be joined and messages sent again.
  let saveTimer = 0;

  const changed = (room, what) => onChange({ room: room.name, ...what });
  const ready = () => isReady;
  const connection = createConnection({
    world,
    url: () => url(tab.nick ?? ""),
    on: { phase, hello, event, lost },
  });
  const presence = createPresence({ world, connection, state, changed });
  const naming = createNaming({ world, connection, storage, state, save, onChange, say, isReady: ready });
  const outgoing = createOutgoing({
    world, connection, state, tab, changed, save, isReady: ready, nicks: naming.possible,
    rejoin: (room) => joining.rejoin(room), isExempt: (room) => isExempt(state, room),
  });
  const attention = createAttention({ state, append, changed, saveSoon });
  const joining = createJoining({
    world, connection, state, storage, presence, outgoing, attention, isReady: ready,
    ask, note, changed, save, onChange, review: (room) => past.review(room),
  });
  const ignoring = createIgnoring({ state, storage, ask, refresh: ignoredChanged });
  const past = createPast({
    state, ask, changed, rejoin: joining.rejoin, isIgnored: ignoring.actions.isIgnored,
  });
  const account = createAccount({
    connection, state, tab, ask, save, onChange, admitted, isReady: ready, nickIs: naming.is,
    failed: (error) => say("error", error),
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

  function restore() {
    for (const kept of tab.rooms) {
      const room = joining.roomOf(kept.name);
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
    if (phase === "ended") account.ended({ code, reason });
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
    state.connection.isCutOff = false;
    state.limits = { ...state.limits, ...hello.limits };
    state.offsetMs = hello.time - now();
    state.isOperator = false;
    state.unknown = new Set(MISSING);
    account.greeted(hello);
    naming.greeted(hello);
    if (!tab.secret) return begun(hello);
    connection.request({ type: "resume", session: tab.secret }, (answer) => {
      if (answer.type === "ok") {
        tab.secret = answer.session;
        account.is(answer);
        settled(answer.nick);
        return naming.resumed(answer.nick);
      }
      if (answer.code !== "lost") begun(hello);
    }, { isPatient: true });
  }

  /** A session of its own: keys of earlier ones are not known in it. */
  function begun(hello) {
    tab.secret = hello.session;
    tab.label = `${tab.id}-${now().toString(36)}`;
    settled(hello.nick);
  }

  function settled(nick) {
    isReady = true;
    naming.settled(nick);
    account.settled();
    if (!account.isMissing()) joining.joinAll();
    save();
    onChange({ connection: true, rooms: true });
  }

  /** The person has logged in: what could not be joined without it is tried again. */
  function admitted() {
    for (const room of state.rooms.values()) {
      if (room.phase === "refused" && room.why?.code === "login_required") room.phase = "joining";
    }
    joining.joinAll();
    onChange({ connection: true, rooms: true });
  }

  function lost({ code, reason, heardAt }) {
    isReady = false;
    naming.lost();
    joining.lost(heardAt);
    // What was too long is given back to the person; the rest goes on.
    const why = { code: "too_long", message: reason };
    if (code === 1009 && outgoing.failLongest(why)) connection.goOn();
    if (code === 4001) tab.secret = undefined; // Another tab goes on with this session.
    save();
    onChange({ rooms: true });
  }

  // What the server sends by itself

  function event(object) {
    if (object.type === "error") return errorWithoutRequest(object);
    if (object.type === "link") {
      state.connection.isCutOff = !object.up;
      return onChange({ connection: true });
    }
    if (object.type === "announcement") return say("announcement", { text: object.text });
    if (object.type === "joined") return ignoring.actions.isIgnored(object.room.slice(1)) || joining.taken(object);
    if (object.type === "conversations") return object.conversations.forEach(remembered);
    const room = state.rooms.get(object.room);
    if (!room && object.type === "message" && isDirect(object.room)) return written(object);
    if (!room || room.phase !== "joined") return; // Left meanwhile.
    // It names an entry, and is none.
    if (object.type === "reported") return reported(room, object);
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
        if (ignoring.actions.isIgnored(object.nick)) return;
        return presence.writes(room, object.nick);
      case "gap":
        return gap(room, object);
      case "rewound":
        joining.rewind(room, object.to);
        room.epoch = object.epoch;
        past.review(room);
        return saveSoon();
      case "kicked":
      case "banned":
        return object.you ? joining.removed(room, object.type, object) : undefined;
      default: // A notice of a later version.
    }
  }

  function errorWithoutRequest({ code, message, nick }) {
    const isLost = naming.isLost(nick);
    if (isLost) naming.is(nick);
    if (isLost || !naming.isAbout({ code, message })) say("error", { code, message });
  }

  /** Another has begun to talk to the person alone. */
  function written({ room: name, nick }) {
    if (!ignoring.actions.isIgnored(nick)) joining.joinNamed(name, { show: false }).catch(() => {});
  }

  /** What came while the account was away. */
  function remembered({ room: name, unseen }) {
    if (!unseen || ignoring.actions.isIgnored(name.slice(1))) return;
    if (!state.rooms.has(name)) joining.roomOf(name).inner.keptRead = unseen - 1;
    joining.joinNamed(name, { show: false }).catch(() => {});
  }

  function reported(room, { seq, nick, by, reason }) {
    note(room, "reported", { of: seq, nick, by, reason });
    attention.count(room, 1);
    attention.read(room);
  }

  function entry(room, object) {
    if (object.seq !== room.position + 1) return connection.cut("an entry was out of order");
    room.position = object.seq;
    const item = timeline.itemOf(object);
    const isSpeech = past.describe(item);
    outgoing.shown(room, object);
    outgoing.passed(room);
    attention.arrived(room, item, isSpeech && !item.isIgnored);
    append(room, item);
    if (item.nick) presence.stopTyping(room, item.nick);
    happened(room, item);
    saveSoon();
  }

  /** What an entry changes besides being in the log. Those of the past have been counted in. */
  function happened(room, item) {
    const { kind } = item;
    if (item.of) past.revise(room, item);
    if (item.seq <= room.inner.headSeq) return;
    if (kind === "kicked" && item.nick) presence.left(room, item.nick);
    if (kind === "muted" && isMe(item)) room.held = { code: "muted", until: item.until ? item.until - state.offsetMs : Infinity };
    if (kind === "unmuted" && isMe(item)) room.held = null;
    if (kind === "unbanned" || kind === "unmuted") timeline.lifted(room, item);
    if (kind === "topic") room.topic = item.topic ?? "";
    if (kind === "role" && item.account === state.account?.name) room.role = item.role;
    if (kind === "settings") {
      for (const name of SETTINGS) if (item[name] !== undefined) room.settings[name] = item[name];
    }
    if (kind === "topic" || kind === "role" || kind === "settings") onChange({ rooms: true });
  }

  const isMe = ({ nick, account: name }) =>
    (nick != null ? nick === state.nick : name != null && name === state.account?.name);

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
    if (!attention.isAttended(room)) attention.count(room, to - room.position);
    room.position = to;
    outgoing.passed(room);
    saveSoon();
  }

  function renamed(room, { old, new: nick }) {
    note(room, "renamed", { old, nick, isOwn: old === state.nick });
    if (old === state.nick) naming.is(nick);
    presence.renamed(room, old, nick);
    // A conversation has the name of the other.
    if (room.name === `@${old}`) joining.settleName(room, `@${nick}`);
    onChange({ rooms: true });
  }

  /** Who is ignored has changed: so has what is shown. */
  function ignoredChanged() {
    for (const room of state.rooms.values()) {
      for (const item of room.items) if (item.text !== undefined) past.describe(item);
      room.version += 1;
      changed(room, { log: true });
    }
    onChange({ ignored: true });
  }

  const serverNow = () => now() + state.offsetMs;

  /** Requests that are answered by one object. Rejects with the error. */
  function ask(object) {
    return new Promise((resolve, reject) => {
      connection.request(object, (answer) => {
        if (answer.type !== "error") return resolve(answer);
        if (answer.code === "unknown_type") state.unknown.add(object.type);
        reject(answer);
      });
    });
  }

  // What the person does

  /** Joins the conversation with one other. Who cannot be written to is not left in the list. */
  function writeTo(nick) {
    const name = `@${nick.replace(/^@/u, "")}`;
    return joining.joinNamed(name).catch((error) => {
      joining.leave(name);
      if (error.code !== "bad_name") throw error;
      state.unknown.add("direct"); // A server without conversations takes it for a bad name.
      throw { code: "unknown_type" };
    });
  }

  async function listRooms(after) {
    const { rooms, more } = await ask({ type: "rooms", ...(after && { after }) });
    state.directory = after ? [...(state.directory ?? []), ...rooms] : rooms;
    onChange({ directory: true });
    return { rooms, more };
  }

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
    if (looksLikeLogin(text)) return { error: { code: "secret" } };
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

  /** The person corrects a message: resolves when it is stored. An empty text is refused. */
  async function edit(name, seq, text) {
    const clean = withoutControls(text);
    if (!clean.trim()) throw { code: "empty" };
    const item = state.rooms.get(name)?.bySeq.get(seq);
    if (item && item.text === clean) return;
    await askOfAuthor(item, { type: "edit", room: name, seq, text: clean });
  }

  /** Who had this nick in another session is another author: then it is not offered again. */
  async function askOfAuthor(item, object) {
    try {
      await ask(object);
    } catch (error) {
      if (item && error.code === "not_allowed") item.isOfOther = true;
      throw error;
    }
  }

  /** Which message the field corrects; null: none. */
  function setEditing(name, seq) {
    withRoom(name, (room) => {
      room.editing = seq;
      if (seq != null) room.replyTo = null;
      changed(room, { reply: true });
    });
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
    start({ room, nick, token } = {}) {
      naming.wish(nick);
      if (token) account.present(token);
      restore();
      if (room) {
        joining.joinNamed(room).catch((error) => {
          if (error.problem) say("error", error);
        });
      }
      connection.start();
    },
    join: joining.joinNamed,
    leave: joining.leave,
    writeTo,
    show: joining.show,
    send,
    submit,
    run,
    measure,
    retry: (name, key) => withRoom(name, (room) => outgoing.retry(room, key)),
    /** Returns the message, so that its text can go back into the field. */
    discard: (name, key) => withRoom(name, (room) => outgoing.discard(room, key)) ?? null,
    edit,
    setEditing,
    remove: (room, seq) =>
      askOfAuthor(state.rooms.get(room)?.bySeq.get(seq), { type: "delete", room, seq }),
    rename: naming.rename,
    older: past.older,
    fetch: past.fetch,
    around: past.around,
    search: past.search,
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
      // What begins so may go on with a password.
      storage.setDraft(name, isSecret(text) ? "" : text);
    }),
    setReply: (name, seq) => withRoom(name, (room) => {
      room.replyTo = seq;
      if (seq != null) room.editing = null;
      changed(room, { reply: true });
    }),
    setAtEnd: (name, isAtEnd) => withRoom(name, (room) => {
      room.isAtEnd = isAtEnd;
      attention.read(room);
    }),
    setAttention: attention.set,
    ...createModeration({ ask }),
    ...account.actions,
    ...ignoring.actions,
    op: (token) => ask({ type: "op", token }).then((answer) => {
      state.isOperator = true;
      onChange({ connection: true });
      return answer;
    }),
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
