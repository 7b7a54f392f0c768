// What the log of a room shows, as a list: entries in the order of their numbers, between them
// notices and marks. Every number between the first and the last is there: as an entry, or within
// a `gap` (which can be fetched, or with `isLost` is kept no more). What corrects or deletes an
// earlier entry has a number of its own and changes that entry. Knows no server and no DOM.

/** Items kept of the room that is shown, and of others; the rest can be fetched again. */
export const ITEMS_MAX = 10_000;
export const ITEMS_ELSEWHERE_MAX = 2_000;
/** Removed in one go, so that it happens rarely. */
const TRIM_STEP = 500;
/** Corrections that are remembered for entries which are fetched later. */
const REVISIONS_MAX = 500;
/** Entries that change the room or who is in it, and are shown as a line in small print. */
const NOTICES = new Set([
  "kicked", "banned", "unbanned", "muted", "unmuted", "topic", "role", "settings", "closed",
]);

let nextId = 1;

/** An item with an id that no other has. */
export const newItem = (kind, fields) => ({ id: nextId++, kind, ...fields });

/** The item of an entry as the server sends it. One of a type that is not known counts too. */
export function itemOf(entry) {
  const { type, seq, time, nick } = entry;
  if (type === "message") {
    const kind = entry.kind === "action" ? "action" : "message";
    const item = newItem(kind, { seq, time, nick, text: entry.text, replyTo: entry.reply_to });
    if (entry.edited) item.isEdited = true;
    return entry.deleted ? Object.assign(item, GONE) : item;
  }
  if (type === "edited" || type === "deleted") {
    return newItem(type, { seq, time, nick, of: entry.of, text: entry.text, by: entry.by });
  }
  if (!NOTICES.has(type)) return newItem("unknown", { seq, time, nick, entry });
  const { type: kind, room: _, re: __, ...fields } = entry;
  return newItem(kind, fields);
}

const GONE = { text: "", isDeleted: true };

/**
 * An entry of kind `edited` or `deleted` changes the item of an earlier one, if that is here and has
 * no later form. Returns the item that is changed.
 */
export function revise(room, item) {
  const { revisions } = room.inner;
  const { seq, of, text } = item;
  if (revisions.get(of)?.seq > seq) return null;
  // Without a text it was changed again since, and what is here has the later form already.
  const now = item.kind === "deleted" ? GONE : { ...(text !== undefined && { text }), isEdited: true };
  revisions.delete(of);
  revisions.set(of, { seq, now });
  if (revisions.size > REVISIONS_MAX) revisions.delete(revisions.keys().next().value);
  const target = room.bySeq.get(of);
  return target ? Object.assign(target, now) : null;
}

/** An entry that was asked for may have been read before it was revised. */
export function reviseLater(room, item) {
  if (item.text !== undefined && room.inner.revisions.has(item.seq)) {
    Object.assign(item, room.inner.revisions.get(item.seq).now);
  }
}

/** A ban or a mute holds no more: what is shown of it says so. */
export function lifted(room, { kind, nick, account }) {
  const former = { unbanned: "banned", unmuted: "muted" }[kind];
  for (const item of room.items) {
    if (item.kind === former && item.nick === nick && item.account === account) item.isLifted = true;
  }
}

export function append(room, item) {
  room.items.push(item);
  if (item.seq) room.bySeq.set(item.seq, item);
  room.version += 1;
}

export function remove(room, item) {
  const index = room.items.indexOf(item);
  if (index >= 0) splice(room, index, 1, []);
}

/** The lowest number that the list covers. */
export function firstSeq(room) {
  for (const item of room.items) {
    if (item.seq) return item.seq;
    if (item.kind === "gap") return item.from;
  }
  return room.position + 1;
}

/** Entries below the first: all there are from the first of `items` on. */
export function prepend(room, items) {
  const to = firstSeq(room) - 1;
  if (items.length) splice(room, 0, 0, laidOut(items, { from: items[0].seq, to }, true, true));
  else room.version += 1;
}

/** What a number that is not shown is part of: a gap, or all that is below the first item. */
export function missingAround(room, seq) {
  const gap = room.items.find((item) => item.kind === "gap" && item.from <= seq && seq <= item.to);
  if (gap) return gap;
  const first = firstSeq(room);
  return seq >= 1 && seq < first ? { from: 1, to: first - 1, isBelow: true } : null;
}

/**
 * Entries from the middle of what is missing: all there are from the first of `items` to `upTo`,
 * and from the beginning of what is missing if `isFromStart`.
 */
export function fill(room, missing, items, upTo, isFromStart) {
  const inside = items.filter(({ seq }) => missing.from <= seq && seq <= missing.to);
  const whole = { from: missing.from, to: missing.to };
  const laid = laidOut(inside, whole, isFromStart, upTo >= missing.to);
  if (missing.isBelow) {
    if (laid[0]?.kind === "gap" && laid[0].from === 1) laid.shift(); // That is `hasOlder`.
    return splice(room, 0, 0, laid);
  }
  const index = room.items.indexOf(missing);
  if (index >= 0) splice(room, index, 1, laid);
}

/** Items with gaps for all numbers of `whole` that they do not have. */
function laidOut(items, whole, isFromStart, isToEnd) {
  const list = [];
  let next = whole.from;
  const gap = (to, isLost) => {
    if (to >= next) list.push(newItem("gap", { from: next, to, isLost }));
  };
  items.forEach((item, index) => {
    gap(item.seq - 1, index > 0 || isFromStart);
    list.push(item);
    next = item.seq + 1;
  });
  gap(whole.to, items.length ? isToEnd : isFromStart && isToEnd);
  return list;
}

/** Removes the entries above a number, and returns how many. */
export function cutAbove(room, to) {
  let removed = 0;
  const items = [];
  for (const item of room.items) {
    if (item.seq > to) {
      removed += 1;
      room.bySeq.delete(item.seq);
    } else if (item.kind === "gap" && item.to > to) {
      if (item.from <= to) items.push(Object.assign(item, { to }));
    } else {
      items.push(item);
    }
  }
  room.items = items;
  room.version += 1;
  return removed;
}

/** Forgets the oldest items if there are too many. True: it did. */
export function trim(room, most) {
  if (room.items.length < most + TRIM_STEP) return false;
  let count = room.items.length - most;
  const isStart = (item) => item.seq || (item.kind === "gap" && item.from > 1);
  while (count < room.items.length && !isStart(room.items[count])) count += 1;
  const hadOlder = room.items.slice(0, count).some((item) => item.seq || item.kind === "gap");
  splice(room, 0, count, []);
  if (hadOlder) room.hasOlder = true;
  return true;
}

function splice(room, index, count, items) {
  for (const item of room.items.splice(index, count, ...items)) {
    if (item.seq && room.bySeq.get(item.seq) === item) room.bySeq.delete(item.seq);
  }
  for (const item of items) if (item.seq) room.bySeq.set(item.seq, item);
  room.version += 1;
}
