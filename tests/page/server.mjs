// A small server of parlor.v1.json, written from docs/protocol.md and not from the real one. It
// can delay what it stores, lose what it has not stored, restart, and forget everything. Requests
// are answered late or in another order only as the protocol allows.

const KEYS_KEPT = 64;

export function createServer(clock, { random, below }) {
  const server = {
    limits: {
      message_bytes: 16384, rate: 10, burst: 20, history: 100, catch_up: 1000, rooms: 16,
      unacknowledged: 64, dedupe_ms: 120_000,
    },
    pingAfterMs: 25_000,
    rooms: new Map(),
    sessions: new Map(), // Token → { session, peer }
    keys: new Map(), // Session → [{ key, room, seq, at }], the newest last.
    peers: new Set(),
    /** From numbering to storing. */
    storeMs: () => 2 + random() * 30,
    /** An error for the next requests of a type: { send: [{ code, retry_ms }] }. */
    failures: {},
    /** A function that may return the error for a request. */
    refuse: null,
    /** A function that may close a new connection. */
    greet: null,
    start: 1,
    requests: [], // [{ at, nick, object }]
    tooFast: 0,
    isStalled: false,
    /** What hello says of accounts; null: nothing. */
    accounts: "open",
    passwords: new Map(), // Account → password
    serverRoles: new Map(), // Account → its roles on the whole server
    sanctions: [], // { kind, room, nick, seconds, reason, by }
    accept,
  };
  let serial = 1;
  const secret = () => Array.from({ length: 48 }, () => below(36).toString(36)).join("");

  function roomOf(name) {
    let room = server.rooms.get(name);
    if (!room) {
      room = { name, entries: [], stored: 0, epochs: [{ id: `${server.start}-${name}-${secret().slice(0, 8)}`, head: 0 }],
        members: new Map(), waiting: [], topic: "" };
      server.rooms.set(name, room);
    }
    return room;
  }

  const epochOf = (room) => room.epochs.at(-1).id;
  const isTaken = (nick, but) => [...server.peers].some((peer) => peer !== but && peer.nick === nick);
  const guest = () => `guest-${(serial++).toString(16).padStart(4, "0")}`;

  function accept(socket) {
    const peer = { socket, nick: "", session: serial++, token: secret(), rooms: new Set(), isEnded: false,
      tokens: server.limits.burst, tokensAt: clock.now(), heardAt: clock.now(), isFirst: true };
    const wanted = new URL(socket.target).searchParams.get("nick") ?? "";
    let error = null;
    if (wanted && isTaken(wanted)) error = { code: "nick_taken", message: `${wanted} is taken` };
    else if (wanted && !/^[\p{L}\p{M}\p{Nd}._-]{1,32}$/u.test(wanted)) error = { code: "bad_name", message: "a bad name" };
    peer.nick = wanted && !error ? wanted : guest();
    server.peers.add(peer);
    server.sessions.set(peer.token, { session: peer.session, peer });
    peer.send = (object) => { if (!peer.isEnded) socket.send(JSON.stringify(object)); };
    peer.close = (code, reason = "") => {
      if (peer.isEnded) return;
      end(peer);
      socket.close(code, reason);
    };
    watch(peer);
    if (server.greet?.(peer)) return { receive() {}, ended() { end(peer); } };
    peer.send({ type: "hello", server: "fake", nick: peer.nick, session: peer.token, limits: server.limits,
      ping_after_ms: server.pingAfterMs, time: clock.now(), ...(server.accounts && { accounts: server.accounts }) });
    if (error) peer.send({ type: "error", ...error });
    return {
      receive: (text) => { if (!peer.isEnded && !server.isStalled) receive(peer, text); },
      ended: () => end(peer),
    };
  }

  /** A silent connection is closed after a while, as a dead one is noticed. */
  function watch(peer) {
    clock.setTimeout(() => {
      if (peer.isEnded) return;
      if (clock.now() - peer.heardAt >= 85_000) return peer.close(1006);
      watch(peer);
    }, 10_000);
  }

  function end(peer) {
    if (peer.isEnded) return;
    for (const name of [...peer.rooms]) leave(peer, name);
    peer.isEnded = true;
    server.peers.delete(peer);
  }

  function leave(peer, name) {
    const room = roomOf(name);
    peer.rooms.delete(name);
    room.members.delete(peer);
    tell(room, { type: "member_left", room: name, nick: peer.nick });
  }

  function tell(room, object, except) {
    for (const member of room.members.keys()) if (member !== except) member.send(object);
  }

  function receive(peer, text) {
    peer.heardAt = clock.now();
    if (new TextEncoder().encode(text).length > server.limits.message_bytes) {
      return peer.close(1009, `at most ${server.limits.message_bytes} bytes`);
    }
    const object = JSON.parse(text);
    server.requests.push({ at: clock.now(), nick: peer.nick, peer, object });
    const answer = (result) => { if (object.id !== undefined) peer.send({ ...result, re: object.id }); };
    const fail = (code, more = {}) => answer({ type: "error", code, message: code, ...more });
    peer.tokens = Math.min(server.limits.burst,
      peer.tokens + ((clock.now() - peer.tokensAt) / 1000) * server.limits.rate);
    peer.tokensAt = clock.now();
    if (server.limits.rate && peer.tokens < 1) {
      server.tooFast += 1;
      return fail("too_fast", { retry_ms: 100 });
    }
    peer.tokens -= 1;
    const failure = server.failures[object.type]?.shift() || server.refuse?.(object);
    if (failure) return fail(failure.code, failure);
    const handler = handlers[object.type];
    if (!handler) return fail("unknown_type");
    handler(peer, object, answer, fail);
    peer.isFirst = false;
  }

  const handlers = {
    ping: (_, object, answer) => answer({ type: "ok" }),
    typing(peer, { room }, answer) {
      if (peer.rooms.has(room)) tell(roomOf(room), { type: "typing", room, nick: peer.nick }, peer);
      answer({ type: "ok" });
    },
    resume(peer, { session }, answer, fail) {
      if (!peer.isFirst) return fail("bad_request");
      const known = server.sessions.get(session);
      if (!known) return fail("no_such_session");
      const { peer: earlier } = known;
      if (!earlier.isEnded) {
        const { nick } = earlier;
        earlier.close(4001, "replaced");
        peer.nick = nick;
      }
      peer.session = known.session;
      peer.account = server.passwords.has(earlier.account) ? earlier.account : undefined;
      peer.token = secret();
      server.sessions.set(peer.token, { session: peer.session, peer });
      answer({ type: "ok", nick: peer.nick, session: peer.token, account: peer.account });
    },
    nick(peer, { nick }, answer, fail) {
      if (!/^[\p{L}\p{M}\p{Nd}._-]{1,32}$/u.test(nick)) return fail("bad_name");
      if (isTaken(nick, peer)) return fail("nick_taken");
      const old = peer.nick;
      peer.nick = nick;
      for (const name of peer.rooms) tell(roomOf(name), { type: "nick_changed", room: name, old, new: nick });
      answer({ type: "ok", nick });
    },
    join(peer, { room: typed, since, history }, answer, fail) {
      const name = typed.toLowerCase();
      if (!/^@?[\p{L}\p{M}\p{Nd}._-]{1,32}$/u.test(name)) return fail("bad_name");
      if (peer.rooms.has(name)) return fail("bad_request");
      if (peer.rooms.size >= server.limits.rooms) return fail("too_many");
      if (server.accounts === "required" && !peer.account) return fail("login_required");
      if (sanctionOf("ban", name, peer)) return fail("banned");
      const room = roomOf(name);
      const head = room.entries.length;
      let after = Math.max(0, head - (history ?? 0));
      let recovered = false;
      let rewound;
      if (since) {
        const at = room.epochs.findIndex((epoch) => epoch.id === since.epoch);
        if (at < 0) rewound = 0;
        else {
          const limit = Math.min(head, ...room.epochs.slice(at + 1).map((epoch) => epoch.head));
          if (since.seq > limit) rewound = limit;
          const from = Math.min(since.seq, limit);
          if (head - from <= server.limits.catch_up) {
            after = from;
            recovered = true;
          } else {
            after = Math.max(after, from);
          }
        }
      }
      const others = [...room.members.keys()].map(({ nick }) => nick);
      tell(room, { type: "member_joined", room: name, nick: peer.nick });
      room.members.set(peer, true);
      peer.rooms.add(name);
      answer({ type: "joined", room: name, epoch: epochOf(room), seq: head, after, recovered,
        ...(rewound !== undefined && { rewound }), topic: room.topic, count: room.members.size,
        members: others.slice(0, 20), role: room.roles?.[peer.account] ?? "member",
        ...(room.settings && { settings: room.settings }) });
      for (const entry of room.entries.slice(after)) peer.send(shownOf(room, entry));
    },
    leave(peer, { room: name }, answer, fail) {
      if (!peer.rooms.has(name)) return fail("not_a_member");
      leave(peer, name);
      answer({ type: "ok" });
    },
    send(peer, { room: name, text, kind, reply_to: replyTo, key }, answer, fail) {
      if (!peer.rooms.has(name)) return fail("not_a_member");
      if (!text.trim()) return fail("empty");
      if (text.includes("\n\n\n\n")) return fail("too_long");
      const room = roomOf(name);
      const mute = sanctionOf("mute", name, peer);
      if (mute) return fail("muted", mute.seconds && { retry_ms: mute.seconds * 1000 });
      const keys = server.keys.get(peer.session) ?? [];
      server.keys.set(peer.session, keys);
      const known = keys.find((one) => one.key === key && clock.now() - one.at < server.limits.dedupe_ms);
      if (known) {
        const entry = roomOf(known.room).entries[known.seq - 1];
        const sent = { type: "ok", room: known.room, seq: known.seq, time: entry.time, duplicate: true };
        return whenStored(roomOf(known.room), known.seq, () => answer(sent));
      }
      const entry = append(room, { type: "message", nick: peer.nick, kind: kind ?? "message", text, reply_to: replyTo });
      keys.push({ key, room: name, seq: entry.seq, at: clock.now() });
      if (keys.length > KEYS_KEPT) keys.shift();
      const sent = { type: "ok", room: name, seq: entry.seq, time: entry.time };
      whenStored(room, entry.seq, () => answer(sent), () => fail("store_unavailable", { retry_ms: 500 }));
    },
    history(peer, { room: name, before, after, limit = 50 }, answer, fail) {
      if (!peer.rooms.has(name)) return fail("not_a_member");
      const { entries, lostBelow = 0 } = roomOf(name);
      const kept = entries.slice(lostBelow);
      const most = Math.min(limit, 100);
      const matching = kept.filter(({ seq }) => (after === undefined ? seq < (before ?? Infinity) : seq > after));
      const page = after === undefined ? matching.slice(-most) : matching.slice(0, most);
      answer({ type: "history", room: name, entries: page.map((entry) => shownOf({ name }, entry)),
        more: matching.length > page.length });
    },
    search(peer, { room: name, query, before, limit = 50 }, answer, fail) {
      if (!peer.rooms.has(name)) return fail("not_a_member");
      const matching = roomOf(name).entries.filter(({ seq, text }) => text?.includes(query) && seq < (before ?? Infinity));
      const page = matching.slice(-limit);
      answer({ type: "found", room: name, entries: page.map((entry) => shownOf({ name }, entry)),
        more: matching.length > page.length });
    },
    who(peer, { room: name, after = "", limit = 50 }, answer, fail) {
      if (!peer.rooms.has(name)) return fail("not_a_member");
      const nicks = [...roomOf(name).members.keys()].map(({ nick }) => nick).sort().filter((nick) => nick > after);
      const page = nicks.slice(0, limit);
      answer({ type: "members", room: name, members: page, more: nicks.length - page.length });
    },
    rooms(_, object, answer) {
      const rooms = [...server.rooms.values()].filter(({ members }) => members.size)
        .map(({ name, members }) => ({ room: name, count: members.size }));
      answer({ type: "rooms", rooms, more: 0 });
    },
    register(peer, { account, password }, answer, fail) {
      if (server.accounts !== "open") return fail("not_allowed");
      if (server.passwords.has(account)) return fail("account_taken");
      server.passwords.set(account, password);
      enter(peer, account, answer);
    },
    login(peer, { account, password, token }, answer, fail) {
      if (token) return token === "signed for ann" ? enter(peer, "ann", answer) : fail("login_failed");
      if (server.passwords.get(account) !== password) return fail("login_failed");
      enter(peer, account, answer);
    },
    account(peer, _, answer) {
      const { account: name, roles } = accountOf(peer);
      answer({ type: "account", account: name, roles: [{ room: "den", role: "owner" }, ...roles.map((role) => ({ role }))] });
    },
    logout(peer, _, answer) {
      peer.account = undefined;
      answer({ type: "ok" });
    },
    password(peer, { password, new: next }, answer, fail) {
      if (server.passwords.get(peer.account) !== password) return fail("login_failed");
      server.passwords.set(peer.account, next);
      answer({ type: "ok" });
    },
    edit(peer, { room: name, seq, text }, answer, fail) {
      const target = roomOf(name).entries[seq - 1];
      if (target?.type !== "message" || target.deleted) return fail("no_such_message");
      if (target.nick !== peer.nick) return fail("not_allowed");
      const entry = server.revise(name, seq, { text, edited: true }, { type: "edited", nick: peer.nick, text });
      whenStored(roomOf(name), entry.seq, () => answer({ type: "ok", seq: entry.seq }));
    },
    delete(peer, { room: name, seq }, answer, fail) {
      const target = roomOf(name).entries[seq - 1];
      if (target?.type !== "message") return fail("no_such_message");
      const entry = server.revise(name, seq, { text: "", deleted: true }, { type: "deleted", by: peer.nick });
      whenStored(roomOf(name), entry.seq, () => answer({ type: "ok", seq: entry.seq }));
    },
    topic(peer, { room: name, topic }, answer) {
      roomOf(name).topic = topic;
      append(roomOf(name), { type: "topic", topic, by: peer.nick });
      answer({ type: "ok" });
    },
    room(peer, { room: name, id, type, ...changes }, answer) {
      const room = roomOf(name);
      if (!Object.keys(changes).length) return answer({ type: "settings", room: name, ...room.settings });
      room.settings = { ...room.settings, ...changes };
      append(room, { type: "settings", by: peer.nick, ...changes });
      answer({ type: "ok" });
    },
    ban: (peer, object, answer) => sanction("ban", peer, object, answer),
    mute: (peer, object, answer) => sanction("mute", peer, object, answer),
    unban: (peer, object, answer) => lift("ban", peer, object, answer),
    unmute: (peer, object, answer) => lift("mute", peer, object, answer),
    role(peer, { room: name, account, role }, answer) {
      append(roomOf(name), { type: "role", account, role, by: peer.nick });
      answer({ type: "ok" });
    },
    report(peer, { room: name, seq, reason }, answer, fail) {
      if (!roomOf(name).entries[seq - 1]) return fail("no_such_message");
      for (const member of roomOf(name).members.keys()) {
        if (member !== peer) member.send({ type: "reported", room: name, seq, by: peer.nick, reason });
      }
      answer({ type: "ok" });
    },
    ignore: (_, object, answer) => answer({ type: "ok" }),
    unignore: (_, object, answer) => answer({ type: "ok" }),
    kick(peer, { room: name, nick, reason }, answer, fail) {
      const kicked = [...roomOf(name).members.keys()].find((member) => member.nick === nick);
      if (!kicked) return fail("no_such_member");
      kicked.send({ type: "kicked", room: name, you: true, by: peer.nick, reason });
      kicked.rooms.delete(name);
      roomOf(name).members.delete(kicked);
      append(roomOf(name), { type: "kicked", nick, by: peer.nick, reason });
      answer({ type: "ok" });
    },
  };

  const accountOf = ({ account }) => (account ? { account, roles: server.serverRoles.get(account) ?? [] } : {});

  function enter(peer, account, answer) {
    peer.account = peer.nick = account;
    answer({ type: "ok", nick: account, ...accountOf(peer) });
  }

  const sanctionOf = (kind, room, { nick }) =>
    server.sanctions.find((one) => one.kind === kind && one.room === room && one.nick === nick);

  function sanction(kind, peer, { room: name, nick, seconds, reason }, answer) {
    server.sanctions.push({ kind, room: name, nick, seconds, reason, by: peer.nick });
    const room = roomOf(name);
    const until = seconds && clock.now() + seconds * 1000;
    const member = [...room.members.keys()].find((one) => one.nick === nick);
    if (kind === "ban" && member) {
      leave(member, name);
      member.send({ type: "banned", room: name, you: true, reason, until });
    }
    append(room, { type: kind === "ban" ? "banned" : "muted", nick, by: peer.nick, reason, until });
    answer({ type: "ok" });
  }

  function lift(kind, peer, { room: name, nick }, answer) {
    server.sanctions = server.sanctions.filter((one) => one.kind !== kind || one.room !== name || one.nick !== nick);
    append(roomOf(name), { type: kind === "ban" ? "unbanned" : "unmuted", nick, by: peer.nick });
    answer({ type: "ok" });
  }

  const shownOf = ({ name }, { type, seq, time, was, ...rest }) => ({ type, room: name, seq, time, ...rest });

  function append(room, fields) {
    const entry = { seq: room.entries.length + 1, time: clock.now(), ...fields };
    room.entries.push(entry);
    tell(room, shownOf(room, entry));
    const { start } = server;
    clock.setTimeout(() => {
      if (server.start !== start || room.entries[entry.seq - 1] !== entry || server.isStalled) return;
      room.stored = Math.max(room.stored, entry.seq);
      for (const wait of room.waiting.splice(0)) {
        if (wait.seq <= room.stored) wait.done();
        else room.waiting.push(wait);
      }
    }, server.storeMs());
    return entry;
  }

  function whenStored(room, seq, done, failed = () => {}) {
    if (seq <= room.stored) done();
    else room.waiting.push({ seq, done, failed });
  }

  /** What was numbered and not stored is gone. */
  function forget(room, id) {
    const lost = room.entries.splice(room.stored);
    for (const { of, was } of [...lost].reverse()) if (of) Object.assign(room.entries[of - 1] ?? {}, { edited: undefined, deleted: undefined, ...was });
    const waiting = room.waiting.splice(0);
    for (const [session, keys] of server.keys) {
      server.keys.set(session, keys.filter((one) => one.room !== room.name || one.seq <= room.stored));
    }
    room.epochs.push({ id, head: room.entries.length });
    return { lost, waiting };
  }

  Object.assign(server, {
    roomOf,
    append: (name, fields) => append(roomOf(name), fields),
    says: (name, nick, text) => append(roomOf(name), { type: "message", nick, kind: "message", text }),
    /** An entry that changes another; what was there before comes back if the entry is lost. */
    revise(name, of, now, fields) {
      const { entries } = roomOf(name);
      const target = entries[of - 1];
      const was = { text: target.text, edited: target.edited, deleted: target.deleted };
      for (const entry of entries) if (entry.type === "edited" && entry.of === of) delete entry.text;
      Object.assign(target, now);
      return append(roomOf(name), { ...fields, of, was });
    },
    tell: (name, object) => tell(roomOf(name), { room: name, ...object }),
    /** The server dies and starts again: what was not stored is lost. `wipe`: everything is. */
    restart({ code = 1006, reason = "", wipe = false, keepSessions = !wipe } = {}) {
      for (const peer of [...server.peers]) {
        peer.rooms.clear();
        peer.isEnded = true;
        peer.socket.close(code, reason);
      }
      server.peers.clear();
      server.start += 1;
      for (const room of server.rooms.values()) {
        room.members.clear();
        forget(room, `${server.start}-${room.name}-${secret().slice(0, 8)}`);
      }
      if (wipe) server.rooms.clear(), server.keys.clear();
      if (!keepSessions) server.sessions.clear(), server.keys.clear();
    },
    /** The store fails while everyone stays: a rewind is reported. */
    rewind(name) {
      const room = roomOf(name);
      const { waiting } = forget(room, `${server.start}-${serial++}-${secret().slice(0, 6)}`);
      tell(room, { type: "rewound", room: name, epoch: epochOf(room), to: room.stored });
      for (const wait of waiting) wait.failed();
    },
    texts: (name) => roomOf(name).entries.map(({ text }) => text),
    peerOf: (nick) => [...server.peers].find((peer) => peer.nick === nick),
  });
  return server;
}
