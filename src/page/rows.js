// What the list of a room shows, in order: one row a message, a notice or several, or a mark. In:
// items and outgoing messages of a room. Out: rows, the same object for the same item each time,
// since log.js keeps heights in them. Pure: knows no DOM.

// Messages of one sender within this time stand together under one name.
const TOGETHER_MS = 5 * 60 * 1000;
const PRESENCE = new Set(["joined", "left", "presence"]);
// Entries of later versions, and those that have changed another one.
const UNSEEN = new Set(["unknown", "edited", "deleted"]);

export function createRows() {
  const known = new WeakMap();
  const start = { kind: "start", item: { id: "start" } };

  const rowOf = (item, kind) => {
    let row = known.get(item);
    if (!row) known.set(item, row = { item });
    row.kind = kind;
    return row;
  };

  const rows = [];
  let done = null; // what `rows` was made of: { items, joins, count, version, first, last, length }
  let last, run, day, hasGap;

  function push(row) {
    row.day = dayOf(row);
    row.isFirstOfDay = Boolean(row.day) && row.day !== day;
    if (row.day) day = row.day;
    row.isHead = row.kind !== "message" || row.isFirstOfDay || !isTogether(last, row);
    row.isTail = true;
    if (!row.isHead) last.isTail = false;
    last = row;
    rows.push(row);
  }

  function add(item, joins) {
    if (UNSEEN.has(item.kind) || item.isIgnored) return;
    hasGap ||= item.kind === "gap";
    if (!PRESENCE.has(item.kind)) {
      run = null;
      push(rowOf(item, item.kind));
    } else if (run && joins === "fold" && dayOf({ item }) === run.day) {
      run.items.push(item);
    } else if (joins !== "hide") {
      const row = rowOf(item, "presence");
      row.items = [item];
      push(row);
      run = row;
    }
  }

  // Items were only appended, as far as can be seen: each changes the version by one. The items of a
  // gap take its place in the middle, so a list with gaps is made again each time.
  function isLonger({ items, version }, joins) {
    const { count } = done ?? {};
    return done?.items === items && done.joins === joins && count > 0 && !hasGap
      && items.length - count === version - done.version
      && items[0] === done.first && items[count - 1] === done.last;
  }

  // `joins` is "each", "fold" or "hide". The rows, in the same array each time, and from which one on
  // they are others than before.
  return function rowsOf(room, { joins = "fold" } = {}) {
    const { items, outgoing, version } = room;
    let from = 0;
    let at = 0;
    if (isLonger(room, joins)) {
      from = done.length;
      at = done.count;
      for (const row of rows.splice(from)) row.generation = -1;
      last = rows.at(-1);
      last.isTail = true;
      day = done.day;
    } else {
      for (const row of rows.splice(0)) row.generation = -1;
      rows.push(start);
      last = run = null;
      day = "";
      hasGap = false;
    }
    for (; at < items.length; at += 1) add(items[at], joins);
    done = { items, joins, version, count: items.length, first: items[0], last: items.at(-1), length: rows.length, day };
    for (const message of outgoing) push(rowOf(message, message.kind === "action" ? "action" : "message"));
    return { rows, from };
  };

  function dayOf(row) {
    const time = timeOf(row.item);
    if (!time) return "";
    if (row.dayTime !== time) {
      row.dayTime = time;
      row.dayName = new Date(time).toDateString();
    }
    return row.dayName;
  }
}

function isTogether(last, row) {
  return last?.kind === "message" && row.item.replyTo == null
    && isSameSender(last.item, row.item)
    && timeOf(row.item) - timeOf(last.item) < TOGETHER_MS;
}

// A message that is on its way has the nick that its sender had then, or none.
const isSameSender = (one, other) =>
  one.nick === other.nick || Boolean(other.phase && (one.phase || one.isOwn));

// A message that is on its way has the time by the reader's clock.
export const timeOf = (item) => item.time ?? item.createdAt ?? 0;
