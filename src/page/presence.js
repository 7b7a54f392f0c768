// The members of a room, and those that are writing: lists that notices keep up to date, and that
// are asked for again where notices were summed up or lost. Knows no DOM and nothing of what is
// said.

import { compareNames } from "./names.js";

/** Nicks of one answer. */
const PAGE = 100;
/** Pages that are asked for again by themselves; a person who scrolls asks for more. */
const REFRESH_PAGES_MAX = 5;
/** A list that is out of date is asked for again not before, spread over as long again. */
const REFRESH_MS = 4_000;
/** For how long a member that wrote last is shown as writing. */
const TYPING_MS = 6_000;
const TYPING_MAX = 50;

export function createPresence({ world, connection, state, changed }) {
  const { now, setTimeout, clearTimeout, random } = world;

  /** The room was joined: `joined` names some of the others. */
  function joined(room, answer) {
    const known = sorted([...new Set([...answer.members, state.nick])]);
    room.count = answer.count;
    const more = Math.max(0, answer.count - known.length);
    room.members = { list: known, more, isStale: more > 0 };
    room.typing.clear();
    if (more > 0) refreshSoon(room);
    changed(room, { members: true, typing: true });
  }

  function entered(room, nick) {
    room.count += 1;
    const { members } = room;
    // Of a list that ends somewhere, only what belongs before its end is known.
    if (members.more > 0 && !(compareNames(nick, members.list.at(-1) ?? "") < 0)) members.more += 1;
    else insert(members.list, nick);
    changed(room, { members: true });
  }

  function left(room, nick) {
    room.count = Math.max(0, room.count - 1);
    const index = room.members.list.indexOf(nick);
    if (index >= 0) room.members.list.splice(index, 1);
    else room.members.more = Math.max(0, room.members.more - 1);
    stopTyping(room, nick);
    changed(room, { members: true });
  }

  function renamed(room, old, nick) {
    const { list } = room.members;
    const index = list.indexOf(old);
    if (index >= 0) {
      list.splice(index, 1);
      insert(list, nick);
    }
    stopTyping(room, old);
    changed(room, { members: true });
  }

  /** Joins and leaves were summed up, or notices lost. */
  function summed(room, { joined = 0, left = 0 }) {
    room.count = Math.max(1, room.count + joined - left);
    room.members.more = Math.max(0, room.count - room.members.list.length);
    room.members.isStale = true;
    refreshSoon(room);
    changed(room, { members: true });
  }

  /** At most once in a while, and not by all clients of a room at once. */
  function refreshSoon(room) {
    const { inner } = room;
    if (inner.refresh) return;
    const wait = REFRESH_MS * (1 + random()) * (inner.isWatched ? 1 : 3);
    inner.refresh = setTimeout(() => {
      inner.refresh = 0;
      if (room.phase === "joined" && room.members.isStale) refresh(room);
    }, wait);
  }

  async function refresh(room) {
    if (!room.inner.isWatched) return count(room);
    const pages = Math.min(Math.ceil(room.members.list.length / PAGE), REFRESH_PAGES_MAX) || 1;
    let after;
    for (let page = 0; page < pages; page += 1) {
      const answer = await ask(room, after).catch(() => null);
      if (!answer || answer.more === 0) return;
      after = room.members.list.at(-1);
    }
  }

  /** How many there are, without their names. */
  function count(room) {
    connection.request({ type: "who", room: room.name, limit: 1 }, (answer) => {
      if (answer.type !== "members" || room.phase !== "joined") return;
      room.count = answer.members.length + answer.more;
      room.members.more = Math.max(0, room.count - room.members.list.length);
      changed(room, { members: true });
    });
  }

  /** Asks for the first page of the list, or for the one behind a nick. */
  function ask(room, after) {
    return new Promise((resolve, reject) => {
      const object = { type: "who", room: room.name, limit: PAGE, ...(after && { after }) };
      connection.request(object, (answer) => {
        if (answer.type !== "members") return reject(answer);
        if (room.phase !== "joined") return reject({ code: "not_a_member" });
        // What was in the list before and behind `after` has had its time.
        const isBefore = (nick) => after && compareNames(nick, after) <= 0;
        const list = [...room.members.list.filter(isBefore), ...answer.members];
        room.members = { list, more: answer.more, isStale: false };
        room.count = Math.max(1, list.length + answer.more);
        changed(room, { members: true });
        resolve(room.members);
      });
    });
  }

  function watch(room, isWatched) {
    if (room.inner.isWatched === isWatched) return;
    room.inner.isWatched = isWatched;
    if (isWatched && room.members.isStale && room.phase === "joined") refresh(room);
  }

  function writes(room, nick) {
    if (nick === state.nick || (!room.typing.has(nick) && room.typing.size >= TYPING_MAX)) return;
    room.typing.set(nick, now() + TYPING_MS);
    expireTyping(room);
    changed(room, { typing: true });
  }

  function stopTyping(room, nick) {
    if (room.typing.delete(nick)) changed(room, { typing: true });
  }

  function expireTyping(room) {
    clearTimeout(room.inner.typingTimer);
    if (!room.typing.size) return;
    const due = Math.min(...room.typing.values());
    room.inner.typingTimer = setTimeout(() => {
      for (const [nick, until] of room.typing) if (until <= now()) room.typing.delete(nick);
      changed(room, { typing: true });
      expireTyping(room);
    }, Math.max(0, due - now()) + 10);
  }

  /** The connection is gone: what is known of others is old. */
  function lost(room) {
    room.members.isStale = true;
    clearTimeout(room.inner.refresh);
    room.inner.refresh = 0;
    room.typing.clear();
    changed(room, { members: true, typing: true });
  }

  return { joined, entered, left, renamed, summed, ask, watch, writes, stopTyping, lost };
}

const sorted = (nicks) => nicks.sort(compareNames);

function insert(list, nick) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = compareNames(list[middle], nick);
    if (order === 0) return;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, nick);
}
