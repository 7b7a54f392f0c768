// The list of messages of the present room: where the reader is in each room, the button to the
// end, older messages near the top, the keys, what is copied, and the way to a message. Rows come
// from rows.js, their elements from render.js; window.js keeps the position.
import { NOTICES, button, createRender, el, shape } from "./render.js";
import { may } from "./moderation.js";
import { createRows } from "./rows.js";
import { createWindow } from "./window.js";

// Older messages are asked for when so many screens are left above.
const OLDER_SCREENS = 2;
const JUMP_MS = 15_000;

export function createLog(root, chat, t, { settings, namesIn, reply, announce, linkTo, takeBack, order }) {
  const log = root.getElementById("log");
  const newer = root.getElementById("newer");
  const views = new Map(); // of each room: its rows, and where the reader is
  let state = null;
  let room = null;
  let jump = null; // { room, seq, until }: a message that is to be shown when it is there
  let found = null;
  let isAllSelected = false;

  const act = {
    older: () => older(true),
    jump: (seq) => show(room.name, seq),
    retry: (key) => chat.retry(room.name, key),
    join: (name) => chat.join(name).catch(() => {}),
    // Its text goes back into the field, if that is empty.
    discard: (key) => { const message = chat.discard(room.name, key); if (message) takeBack(message.text); },
    fetch: fetchGap,
    changed: () => list.layout(),
    lift: (kind, item) => order.lift(kind, { ...item, room: room.name }).catch((why) => announce(t.error(why), true)),
  };
  const lookup = {
    nick: () => state?.nick ?? "",
    room: () => room,
    // Of one's own name in one's own words there is nothing to be seen.
    namesIn: (text, isOwn) => namesIn(text, state, room).filter(([, , kind]) => !(isOwn && kind === "own")),
    itemOf: (seq) => room?.bySeq.get(seq),
    may: (action) => Boolean(room) && may(state, room, action),
  };
  const { inputs, render, settle, noticeText } = createRender(t, lookup, act);
  const list = createWindow(log, { render, inputs, settle, estimate, onMove: moved });

  function estimate(row) {
    const text = row.item.text ?? "";
    const lines = Math.min(20, text.split("\n", 20).length + Math.ceil(text.length / 70) - 1);
    return (row.isHead ? 36 : 4) + 24 * Math.max(1, lines) + (row.isFirstOfDay ? 36 : 0);
  }

  function viewOf(room) {
    let view = views.get(room.name);
    if (!view) views.set(room.name, view = { rowsOf: createRows(), position: null });
    return view;
  }

  function draw(next, changes) {
    state = next;
    const present = state.rooms.get(state.current) ?? null;
    const isOther = present !== room;
    if (isOther) {
      if (room && state.rooms.get(room.name) === room) viewOf(room).position = list.position();
      for (const name of views.keys()) if (!state.rooms.has(name)) views.delete(name);
      room = present;
      list.clear();
    }
    if (!room) {
      list.setRows([]);
      list.layout();
      newer.hidden = true;
      return;
    }
    const view = viewOf(room);
    const { rows, from } = view.rowsOf(room, { joins: settings.get("joins") });
    list.setRows(rows, isOther ? 0 : from);
    if (isOther) list.restore(view.position);
    list.layout();
    if (isOther) chat.setAtEnd(room.name, list.isAtEnd);
    tryJump();
    showNewer();
    older();
  }

  async function fetchGap(item) {
    item.isLoading = true;
    act.changed();
    try {
      await chat.fetch(room.name, item.from, item.to);
    } catch (why) {
      announce(t.error(why), true);
    } finally {
      item.isLoading = false;
      act.changed();
    }
  }

  let wasAtEnd = true;
  function moved() {
    if (!room) return;
    if (list.isAtEnd !== wasAtEnd) {
      wasAtEnd = list.isAtEnd;
      chat.setAtEnd(room.name, wasAtEnd);
    }
    showNewer();
    older();
  }

  function showNewer() {
    const unread = room?.unread ?? 0;
    const isWanted = Boolean(room) && !list.isAtEnd && (unread > 0 || list.distanceToEnd() > list.viewHeight() / 2);
    if (isWanted) newer.textContent = unread > 0 ? t("log.newer", { count: unread }) : t("log.to-end");
    newer.classList.toggle("unread", unread > 0);
    newer.hidden = !isWanted;
  }

  function older(isAsked = false) {
    if (!room?.hasOlder || room.isLoadingOlder || room.phase !== "joined") return;
    if (isAsked || log.scrollTop < list.viewHeight() * OLDER_SCREENS) chat.older(room.name).catch(() => {});
  }

  function toEnd() {
    list.toEnd();
    newer.hidden = true;
  }

  // The way to a message

  async function show(name, seq) {
    jump = { room: name, seq, until: Date.now() + JUMP_MS };
    if (state.current !== name) chat.show(name);
    if (tryJump()) return;
    try {
      await chat.around(name, seq);
    } catch { /* said below */ }
    // The items are drawn in the next frame.
    setTimeout(() => {
      if (jump?.seq !== seq || tryJump()) return;
      jump = null;
      announce(t("log.not-found"), true);
    }, 300);
  }

  function tryJump() {
    if (!jump || jump.room !== room?.name) return false;
    if (Date.now() > jump.until) jump = null;
    const named = jump && room.bySeq.get(jump.seq);
    const item = named?.of ? room.bySeq.get(named.of) : named; // A correction is where its message is.
    const row = item && list.rows.find((row) => row.item === item);
    if (!row) return false;
    jump = null;
    const element = list.reveal(row);
    found?.classList.remove("found");
    found = element;
    element?.classList.add("found");
    element?.focus({ preventScroll: true });
    return true;
  }

  // What can be done with a message: shown where the pointer or the focus is.

  const actions = el("div", "");
  actions.id = "row-actions";
  const actionTime = el("time");
  const replyButton = button("plain", shape("reply"), () => withRow((row) => reply(room.name, row.item.seq)));
  const linkButton = button("plain", shape("link"), () => withRow((row) => copyLink(room.name, row.item.seq)));
  const moreButton = button("plain", shape("more"), () => withRow((row) => order.ofMessage(moreButton, room.name, row.item)));
  moreButton.setAttribute("aria-haspopup", "menu");
  actions.append(" ", actionTime, replyButton, linkButton, moreButton);

  const withRow = (use) => { const row = list.rowOf(actions); if (row) use(row); };

  function offer(row) {
    const element = row && list.elementOf(row);
    if (!element || row.item.seq == null || !["message", "action"].includes(row.kind)) {
      if (!actions.contains(root.activeElement)) actions.remove();
      return;
    }
    if (actions.parentNode === element) return;
    const { isDeleted } = row.item;
    const labels = [[replyButton, "log.reply"], [linkButton, "log.copy-link"], [moreButton, "order.more"]];
    for (const [one, key] of labels) {
      one.title = t(key);
      one.setAttribute("aria-label", t(key));
      one.hidden = isDeleted && one !== moreButton;
    }
    moreButton.hidden = isDeleted && row.item.isOwn;
    actionTime.textContent = t.time(row.item.time);
    actionTime.title = t.full(row.item.time);
    actionTime.hidden = row.isHead && row.kind === "message";
    element.append(actions);
  }

  async function copyLink(name, seq) {
    const link = linkTo(name, seq);
    try {
      await navigator.clipboard.writeText(link);
      announce(t("log.link-copied"), true);
    } catch {
      prompt(t("log.copy-link"), link);
    }
  }

  log.addEventListener("pointerover", (event) => { if (event.pointerType !== "touch") offer(list.rowOf(event.target)); });
  log.addEventListener("pointerleave", () => offer(list.rowOf(root.activeElement)));
  log.addEventListener("focusin", (event) => {
    const row = list.rowOf(event.target);
    if (row && event.target === list.elementOf(row)) event.target.setAttribute("aria-label", spoken(row));
    offer(row);
  });
  log.addEventListener("click", (event) => {
    if (event.target.closest("a, button") || !document.getSelection().isCollapsed) return;
    const row = list.rowOf(event.target);
    if (row) offer(row);
  });

  function spoken(row) {
    const text = lineOf(row);
    return text.length > 600 ? `${text.slice(0, 600)}…` : text;
  }

  // Keys: up and down go from message to message, Enter replies, Escape goes back to the field.

  log.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() === "a") selectAll(event);
      return;
    }
    if (event.altKey) return;
    const row = list.rowOf(root.activeElement);
    const isOnRow = row && root.activeElement === list.elementOf(row);
    if (isOnRow && actions.parentNode === root.activeElement && (event.key === "ContextMenu" || event.key === "F10" && event.shiftKey)) {
      event.preventDefault();
      return moreButton.click();
    }
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      focusBeside(row, event.key === "ArrowUp" ? -1 : 1);
    } else if (event.key === "End") {
      event.preventDefault();
      toEnd();
      focusRow(list.rows.at(-1));
    } else if (event.key === "Escape") {
      event.preventDefault();
      toEnd();
      root.getElementById("words").focus();
    } else if (event.key === "Enter" && isOnRow && row.item.seq != null && !row.item.isDeleted) {
      event.preventDefault();
      reply(room.name, row.item.seq);
    }
  });

  function focusBeside(row, step) {
    if (row) return focusRow(list.rows[row.at + step]);
    // From the list itself: the last message that is wholly in the view, or the first.
    const bottom = log.getBoundingClientRect().bottom;
    const inView = [...log.querySelectorAll(".row")].filter((element) => element.getBoundingClientRect().bottom <= bottom + 1);
    return focusRow(list.rowOf(step < 0 ? inView.at(-1) : inView.find((element) => element.getBoundingClientRect().top >= log.getBoundingClientRect().top - 1)));
  }

  function focusRow(row) {
    if (row) list.uncover(row)?.focus({ preventScroll: true });
  }

  // Copying: one line a message, with the time and the nick.

  function lineOf(row, text = row.item.text ?? "") {
    const { item, kind } = row;
    const time = item.time ? `[${t.time(item.time)}] ` : "";
    const nick = item.nick ?? lookup.nick();
    if (item.isDeleted) return `${time}${nick}: ${t("log.deleted")}`;
    if (kind === "message") return `${time}${nick}: ${text}`;
    if (kind === "action") return `${time}* ${nick} ${text}`;
    if (NOTICES.has(kind)) {
      const shown = noticeText(row);
      return `${time}${shown.textContent ?? shown}`;
    }
    return list.elementOf(row)?.querySelector(".content")?.innerText ?? text;
  }

  function selectAll(event) {
    event.preventDefault();
    document.getSelection().selectAllChildren(log);
    isAllSelected = true;
  }

  root.addEventListener("selectionchange", () => {
    // The event of our own selection comes after it was made.
    if (isAllSelected && !document.getSelection().containsNode(log, true)) isAllSelected = false;
    if (document.getSelection().isCollapsed) isAllSelected = false;
  });

  root.addEventListener("copy", (event) => {
    const selection = document.getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return;
    const range = selection.getRangeAt(0);
    if (!range.intersectsNode(log) || !event.clipboardData) return;
    const rows = isAllSelected
      ? list.rows.filter((row) => row.kind !== "start")
      : list.rows.filter((row) => list.elementOf(row) && range.intersectsNode(list.elementOf(row)) && selectedText(row, range));
    // Words of one message are copied as they are.
    if (!rows.length || rows.length === 1 && !range.intersectsNode(list.elementOf(rows[0]).querySelector(".who") ?? root.head)) return;
    const lines = rows.map((row) => (isAllSelected ? lineOf(row) : lineOf(row, selectedText(row, range))));
    event.clipboardData.setData("text/plain", lines.join("\n"));
    event.preventDefault();
  });

  // The part of a message that is selected; all of it if all that is shown of it is.
  function selectedText(row, range) {
    const body = list.elementOf(row).querySelector(".body");
    if (!body) return range.intersectsNode(list.elementOf(row)) ? row.item.text || " " : "";
    const whole = document.createRange();
    whole.selectNodeContents(body);
    const starts = range.compareBoundaryPoints(Range.START_TO_START, whole) <= 0;
    const ends = range.compareBoundaryPoints(Range.END_TO_END, whole) >= 0;
    if (starts && ends) return row.item.text;
    const lines = [...body.querySelectorAll(".line")].filter((line) => range.intersectsNode(line)).map((line) => {
      const part = document.createRange();
      part.selectNodeContents(line);
      if (range.compareBoundaryPoints(Range.START_TO_START, part) > 0) part.setStart(range.startContainer, range.startOffset);
      if (range.compareBoundaryPoints(Range.END_TO_END, part) < 0) part.setEnd(range.endContainer, range.endOffset);
      return part.toString();
    });
    return lines.join("\n");
  }

  newer.type = "button";
  // The field that one writes in keeps the focus.
  newer.addEventListener("pointerdown", (event) => event.preventDefault());
  newer.addEventListener("mousedown", (event) => event.preventDefault());
  newer.addEventListener("click", () => {
    const hadFocus = root.activeElement === newer;
    toEnd();
    if (hadFocus) log.focus({ preventScroll: true });
  });

  return { draw, show, toEnd, copyLink, focusLast: () => focusBeside(null, -1) };
}
