// Entries that are asked for: older ones, those of a gap, those around a message, those with some
// words. What was corrected or deleted meanwhile is shown as it is at present. Knows no DOM.

import { isMentioned } from "./names.js";
import * as timeline from "./timeline.js";

/** Entries that are fetched at once: as a room is joined, and as a person reads back. */
export const HISTORY = 50;
const HISTORY_MOST = 100;
/** Pages that are read again after a rewind; only a server that fails makes one. */
const REVIEWED_PAGES_MAX = 10;

/** `ask(object)` resolves to the answer; `rejoin(room)`: the server does not count us as a member. */
export function createPast({ state, ask, changed, rejoin, isIgnored }) {
  async function entriesOf(room, range) {
    const { generation } = room.inner;
    const answer = await ask({ type: "history", room: room.name, ...range });
    if (generation !== room.inner.generation) throw { code: "rewound" };
    return { items: answer.entries.map((entry) => itemOf(room, entry)), more: answer.more };
  }

  function itemOf(room, entry) {
    const item = timeline.itemOf(entry);
    timeline.reviseLater(room, item);
    describe(item);
    if (item.of) revise(room, item);
    return item;
  }

  /** An entry changes another, whichever of them is read first. */
  function revise(room, item) {
    const target = timeline.revise(room, item);
    if (target) describe(target);
  }

  /** Whose a message is, and whether it is about the person. Returns whether it is a message. */
  function describe(item) {
    const isSpeech = item.kind === "message" || item.kind === "action";
    if (!isSpeech) return false;
    item.isOwn ||= item.nick === state.nick;
    item.isIgnored = !item.isOwn && isIgnored(item.nick);
    item.isMention = !item.isOwn && !item.isIgnored && isMentioned(item.text, state.nick);
    return true;
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

  /** After a rewind: what was corrected or deleted may be as it was before. */
  async function review(room) {
    if (!room.inner.isDoubted) return;
    const { generation } = room.inner;
    let doubted = room.items.filter((item) => item.isEdited || item.isDeleted).map(({ seq }) => seq);
    for (let pages = 0; doubted.length && pages < REVIEWED_PAGES_MAX; pages += 1) {
      const before = Math.max(...doubted) + 1;
      const range = { before, limit: HISTORY_MOST };
      const answer = await ask({ type: "history", room: room.name, ...range }).catch(() => null);
      // It is tried again when the room is joined again.
      if (!answer || generation !== room.inner.generation) return;
      for (const entry of answer.entries) present(room, entry);
      const first = answer.more ? answer.entries[0]?.seq ?? 0 : 0;
      doubted = doubted.filter((seq) => seq < first);
    }
    room.inner.isDoubted = false;
    changed(room, { log: true });
  }

  function present(room, entry) {
    const item = room.bySeq.get(entry.seq);
    if (item?.text === undefined) return;
    const { text, isEdited, isDeleted } = timeline.itemOf(entry);
    Object.assign(item, { text, isEdited, isDeleted });
    timeline.reviseLater(room, item);
    describe(item);
  }

  async function search(name, query, before) {
    const object = { type: "search", room: name, query, limit: HISTORY };
    const answer = await ask({ ...object, ...(before && { before }) });
    const room = state.rooms.get(name);
    const entries = answer.entries.map((entry) => (room ? itemOf(room, entry) : timeline.itemOf(entry)));
    return { entries: entries.filter(({ isDeleted }) => !isDeleted), more: answer.more };
  }

  return { describe, revise, older, fetch, around, review, search };
}
