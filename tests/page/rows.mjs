// Which rows a room's items make: groups of one sender, days, presence in one line; and that rows
// made step by step are those made at once. Run by `node --test`.
import assert from "node:assert/strict";
import test from "node:test";
import { createRows } from "../../src/page/rows.js";

const DAY = 24 * 3600 * 1000;
const NOON = new Date(2026, 4, 4, 12).getTime();
let id = 0;
const message = (nick, time = NOON, more = {}) => ({ id: id += 1, kind: "message", seq: id, nick, time, text: "x", ...more });
const joined = (nick, time = NOON) => ({ id: id += 1, kind: "joined", nick, time });
const room = (items, outgoing = []) => ({ items, outgoing, version: items.length });
const shown = (rows) => rows.slice(1).map((row) => [row.kind, row.isHead, row.isTail, row.isFirstOfDay, row.items?.length]);

test("messages of one sender stand together for five minutes", () => {
  const items = [message("ann"), message("ann", NOON + 60_000), message("bob", NOON + 61_000), message("ann", NOON + 62_000), message("ann", NOON + 400_000)];
  const { rows } = createRows()(room(items));
  assert.deepEqual(rows.slice(1).map((row) => row.isHead), [true, false, true, true, true]);
  assert.deepEqual(rows.slice(1).map((row) => row.isTail), [false, true, true, true, true]);
});

test("a reply, an action and a new day begin anew", () => {
  const items = [message("ann"), message("ann", NOON, { replyTo: 1 }), message("ann", NOON, { kind: "action" }), message("ann"), message("ann", NOON + DAY)];
  const { rows } = createRows()(room(items));
  assert.deepEqual(rows.slice(1).map((row) => row.isHead), [true, true, true, true, true]);
  assert.deepEqual(rows.slice(1).map((row) => row.isFirstOfDay), [true, false, false, false, true]);
});

test("who joins and leaves is one line, a line each, or none", () => {
  const items = [joined("ann"), joined("bob"), message("ann"), joined("cat")];
  const kinds = (joins) => createRows()(room(items), { joins }).rows.slice(1).map((row) => row.items?.length ?? row.kind);
  assert.deepEqual(kinds("fold"), [2, "message", 1]);
  assert.deepEqual(kinds("each"), [1, 1, "message", 1]);
  assert.deepEqual(kinds("hide"), ["message"]);
});

test("an item keeps its row", () => {
  const rowsOf = createRows();
  const items = [message("ann"), message("bob")];
  const [, ann, bob] = rowsOf(room(items)).rows;
  const later = rowsOf(room([message("cat"), ...items])).rows;
  assert.ok(later[2] === ann && later[3] === bob);
});

test("rows that are made step by step are those that are made at once", () => {
  let seed = 7;
  const random = (below) => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return (seed >> 8) % below; };
  for (let round = 0; round < 200; round += 1) {
    const rowsOf = createRows();
    const present = { items: [], outgoing: [], version: 0 };
    const append = (item) => { present.items.push(item); present.version += 1; };
    let time = NOON;
    for (let step = 0; step < 30; step += 1) {
      time += random(3) ? 1000 : 400_000 * (1 + random(40));
      switch (random(8)) {
        case 0: append(joined("dora", time)); break;
        case 1: append({ id: id += 1, kind: "gap", from: 1, to: 2 }); break;
        case 2: present.items.unshift(message("old", NOON - DAY)); present.version += 1; break;
        case 3: if (present.items.length > 2) { present.items.splice(random(present.items.length), 1); present.version += 1; } break;
        case 4: present.outgoing = present.outgoing.length ? [] : [{ key: "k", text: "x", kind: "message", phase: "sending" }]; break;
        case 5: {
          const at = present.items.findIndex((item) => item.kind === "gap");
          if (at >= 0) { present.items.splice(at, 1, message("filled", time), message("filled", time)); present.version += 1; }
          break;
        }
        default: append(message(["ann", "bob"][random(2)], time));
      }
      const { rows, from } = rowsOf(present);
      const whole = createRows()(present).rows;
      assert.deepEqual(shown(rows), shown(whole), `round ${round}, step ${step}`);
      assert.deepEqual(rows.map((row) => row.item.id ?? row.item.key), whole.map((row) => row.item.id ?? row.item.key));
      assert.ok(from <= rows.length);
    }
  }
});
