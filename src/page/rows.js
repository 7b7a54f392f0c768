// What the list of a room shows, in order: one row a message, a notice or several, or a mark.
// In: items and outgoing messages of a room. Out: rows, the same object for the same item each time,
// since log.js keeps heights in them. Pure: knows no DOM.

// Messages of one sender within this time stand together under one name.
const TOGETHER_MS = 5 * 60 * 1000;
const PRESENCE = new Set(["joined", "left", "presence"]);

export function createRows() {
  const known = new WeakMap();
  const start = { kind: "start", item: { id: "start" } };

  const rowOf = (item, kind) => {
    let row = known.get(item);
    if (!row) known.set(item, row = { item });
    row.kind = kind;
    return row;
  };

  // `joins` is "each", "fold" or "hide".
  return function rowsOf(items, outgoing, { joins = "fold" } = {}) {
    const rows = [start];
    let last = null;
    let run = null;
    let day = "";
    const push = (row) => {
      row.day = dayOf(row);
      row.isFirstOfDay = Boolean(row.day) && row.day !== day;
      if (row.day) day = row.day;
      row.isHead = row.kind !== "message" || row.isFirstOfDay || !isTogether(last, row);
      row.isTail = true;
      if (!row.isHead) last.isTail = false;
      last = row;
      rows.push(row);
    };
    for (const item of items) {
      if (item.kind === "unknown") continue;
      if (!PRESENCE.has(item.kind)) {
        run = null;
        push(rowOf(item, item.kind));
      } else if (joins !== "hide") {
        if (run && joins === "fold" && dayOf({ item }) === run.day) {
          run.items.push(item);
          continue;
        }
        const row = rowOf(item, "presence");
        row.items = [item];
        push(row);
        run = row;
      }
    }
    for (const message of outgoing) push(rowOf(message, message.kind === "action" ? "action" : "message"));
    return rows;
  };

  function dayOf(row) {
    if (!row.item.time) return "";
    if (row.dayTime !== row.item.time) {
      row.dayTime = row.item.time;
      row.dayName = new Date(row.item.time).toDateString();
    }
    return row.dayName;
  }
}

function isTogether(last, row) {
  return last?.kind === "message" && row.item.replyTo == null
    && (last.item.nick ?? true) === (row.item.nick ?? true)
    && Boolean(last.item.phase) <= Boolean(row.item.phase)
    && (row.item.time ?? 0) - (last.item.time ?? 0) < TOGETHER_MS;
}
