// One row of the list as DOM. In: a row of rows.js, the room and the state. Out: an element whose
// buttons call `act`. Text of others is only ever inserted as text. Knows neither positions nor
// which rows are in the view.
import { coloursOf } from "./colours.js";
import { SETTINGS } from "./moderation.js";
import { signed } from "./names.js";
import { timeOf } from "./rows.js";
import { isolated, renderText } from "./text.js";

/** Notices of what can be lifted, and what it is. */
const SANCTIONS = new Map([["banned", "ban"], ["muted", "mute"]]);
// Longer messages are cut, with a button; the height at which that happens is in style.css.
const TALL_CHARACTERS = 700;
const TALL_LINES = 12;
const LINES_FIRST = 24;
const LINES_STEP = 400;

/** Rows that are a line in small print. */
export const NOTICES = new Set([
  "presence", "renamed", "kicked", "banned", "unbanned", "muted", "unmuted", "topic", "role",
  "settings", "closed", "reported",
]);

export function el(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

export function shape(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#shape-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export function button(className, label, onClick) {
  const element = el("button", className, label);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

// How a command is written, in the words of the language.
export const usageOf = (t, { name, usage }) => (t.has(`usage_${name}`) ? t(`usage_${name}`) : usage);

export function nickElement(nick) {
  const element = isolated(nick, "nick");
  const { light, dark } = coloursOf(nick);
  element.style.setProperty("--nick-light", light);
  element.style.setProperty("--nick-dark", dark);
  return element;
}

// `lookup` answers of the present room: { nick(), room(), namesIn(text, isOwn), itemOf(seq),
// may(action) }. `act` is { jump(seq), join(room), retry(key), discard(key), fetch(item), older(),
// changed(), lift(kind, item) }.
export function createRender(t, lookup, act) {
  // What a row shows. The same values: the element need not be made again.
  function inputs(row) {
    const { item } = row;
    const room = lookup.room();
    const shows = [t.language, row.kind, row.isHead, row.isTail, row.isFirstOfDay,
      item.text, item.isEdited, item.isDeleted, item.nick, item.phase, item.why, item.time, item.from, item.to, item.isLost, item.isLoading, row.linesShown, row.isOpen, lookup.nick()];
    if (row.kind === "start") shows.push(room?.hasOlder, room?.isLoadingOlder, room?.phase, room?.name, room?.why);
    if (row.items) shows.push(row.items.length, row.items.at(-1));
    if (item.replyTo != null) {
      const quoted = lookup.itemOf(item.replyTo);
      shows.push(quoted, quoted?.text, quoted?.isDeleted);
    }
    if (SANCTIONS.has(row.kind)) shows.push(item.isLifted, lookup.may(SANCTIONS.get(row.kind)));
    return shows;
  }

  function render(row) {
    const { item } = row;
    const make = renderers[row.kind] ?? notice;
    const element = make(row);
    element.classList.add("row");
    element.tabIndex = -1;
    if (item.seq != null) element.dataset.seq = item.seq;
    if (row.isFirstOfDay) {
      element.prepend(el("div", "day", Object.assign(el("time", "", t.day(timeOf(item))), {
        dateTime: new Date(timeOf(item)).toISOString().slice(0, 10),
      })));
    }
    return element;
  }

  function timeElement(ms, text = t.time(ms)) {
    const element = el("time", "", text);
    element.dateTime = new Date(ms).toISOString();
    element.title = t.full(ms);
    return element;
  }

  function message(row) {
    const { item } = row;
    const content = el("div", "content");
    if (row.isHead) {
      content.append(el("div", "who", nickElement(item.nick ?? lookup.nick()), " ",
        timeElement(timeOf(item)), el("span", "unseen", ": ")));
    }
    if (item.replyTo != null) content.append(quote(item.replyTo));
    content.append(body(row, []));
    return said("message", row, content);
  }

  function action(row) {
    const { item } = row;
    const content = el("div", "content");
    if (item.replyTo != null) content.append(quote(item.replyTo));
    const before = [el("span", "star", "✱ "), nickElement(item.nick ?? lookup.nick()), " "];
    content.append(body(row, before));
    return said("action", row, content);
  }

  function said(kind, row, content) {
    const { item } = row;
    const element = el("div", kind, content);
    element.setAttribute("role", "article");
    element.classList.toggle("head", row.isHead);
    element.classList.toggle("tail", row.isTail);
    element.classList.toggle("own", isOwn(item));
    element.classList.toggle("for-me", Boolean(item.isMention));
    if (item.phase) {
      element.classList.add(item.phase);
      content.append(fate(item));
    }
    return element;
  }

  const isOwn = (item) => Boolean(item.phase || item.isOwn);

  // What became of a message that is not stored yet.
  function fate(item) {
    if (item.phase !== "failed") return el("div", "fate", t("log.sending"));
    return el("div", "fate failed", el("span", "", t("log.failed", { why: t.error(item.why) })),
      button("link", t("log.retry"), () => act.retry(item.key)),
      button("link", t("log.discard"), () => act.discard(item.key)));
  }

  function body(row, before) {
    const text = row.item.text ?? "";
    if (row.item.isDeleted) return el("div", "body gone", ...before, t("log.deleted"));
    const isTall = text.length > TALL_CHARACTERS || text.split("\n", TALL_LINES + 1).length > TALL_LINES;
    const linesMax = isTall ? row.linesShown ?? LINES_FIRST : Infinity;
    const drawn = renderText(text, { namesIn: (line) => lookup.namesIn(line, isOwn(row.item)), linesMax, before });
    const element = el("div", "body", drawn.body);
    row.isCut = drawn.isCut;
    if (row.item.isEdited) element.lastElementChild.append(" ", el("bdi", "edited", t("log.edited")));
    if (isTall && !row.isOpen) element.classList.add("tall");
    return element;
  }

  // After it is in the document: whether a tall message is higher than what is shown of it.
  function settle(row, element) {
    const text = element.querySelector(":scope > .content > .body");
    if (!text || element.querySelector(".more")) return;
    const isOver = text.classList.contains("tall") && text.scrollHeight > text.clientHeight + 8;
    if (isOver) text.classList.add("cut");
    if (!isOver && !row.isCut && !row.isOpen) return;
    const isAll = row.isOpen && !row.isCut;
    const toggle = button("more", t(isAll ? "log.less" : "log.more"), () => {
      row.linesShown = isAll ? undefined : (row.linesShown ?? LINES_FIRST) + LINES_STEP;
      row.isOpen = !isAll;
      act.changed(row);
    });
    toggle.setAttribute("aria-expanded", String(isAll));
    text.after(toggle);
  }

  function quote(seq) {
    const item = lookup.itemOf(seq);
    const element = button("quote", "", () => act.jump(seq));
    element.title = t("log.go-to-quoted");
    if (item) {
      const text = el("bdi", "text", (item.isDeleted ? t("log.deleted") : item.text ?? "").slice(0, 200).replaceAll("\n", " "));
      element.append(nickElement(item.nick ?? ""), el("span", "unseen", ": "), text);
    } else element.append(el("span", "text", t("log.quoted-earlier")));
    return element;
  }

  // A line in small print: who joined, was removed, is called otherwise.
  function notice(row) {
    const { item } = row;
    const text = noticeText(row);
    const content = el("div", "content", text);
    if (item.time) content.append(" ", timeElement(item.time));
    const sanction = SANCTIONS.get(row.kind);
    if (sanction && !item.isYou && !item.isLifted && !(item.until < Date.now()) && lookup.may(sanction)) {
      content.append(" ", button("link", t(`order.un${sanction}`), () => act.lift(sanction, item)));
    }
    if (row.kind === "reported") content.append(" ", button("link", t("order.go"), () => act.jump(item.of)));
    const element = el("div", "notice", content);
    if (item.isYou || row.kind === "reported") element.classList.add("alert");
    return element;
  }

  function noticeText({ item, kind, items }) {
    const nick = item.nick != null ? nickElement(item.nick) : "";
    switch (kind) {
      case "presence": return presence(items);
      case "renamed": {
        return t(item.isOwn ? "notice.renamed-you" : "notice.renamed", { old: nickElement(item.old), new: nick });
      }
      case "kicked": case "banned": case "unbanned": case "muted": case "unmuted": case "closed": case "reported": {
        const whom = item.account != null ? isolated(item.account, "nick") : nick;
        const text = t(`notice.${kind}${item.isYou ? "-you" : ""}`, { nick: whom, by: nickElement(item.by ?? "") });
        return whole(text, item.until && t("notice.until", { time: t.short(item.until) }), item.reason && t("notice.why", { why: isolated(item.reason) }));
      }
      case "topic": {
        const by = nickElement(item.by ?? "");
        return item.topic ? t("notice.topic", { by, topic: isolated(item.topic) }) : t("notice.no-topic", { by });
      }
      case "role": {
        const role = t.has(`role.${item.role}`) ? t(`role.${item.role}`) : item.role;
        return t("notice.role", { nick: isolated(item.account ?? "", "nick"), role, by: nickElement(item.by ?? "") });
      }
      case "settings": return whole(t("notice.settings", { by: nickElement(item.by ?? "") }), settingsText(item));
      default: return item.text != null ? isolated(item.text) : t("notice.unknown");
    }
  }

  function whole(...parts) {
    const text = document.createDocumentFragment();
    text.append(...parts.filter(Boolean));
    return text;
  }

  // What was changed of a room: `Slow mode: 30`, `Locked`.
  function settingsText(item) {
    const parts = SETTINGS.filter((name) => item[name] !== undefined).map((name) => {
      const value = item[name];
      return typeof value === "boolean" ? `${t(`order.set-${name}`)}: ${t(value ? "yes" : "no")}`
        : `${t(`order.set-${name}`)}${typeof value === "number" ? `: ${t.number(value)}` : ""}`;
    });
    return parts.length ? t("notice.why", { why: parts.join(" · ") }) : "";
  }

  // Who came and went, several in one line; of many only the number.
  function presence(items) {
    const counts = { joined: 0, left: 0 };
    const last = new Map();
    let isLost = false;
    for (const item of items) {
      if (item.kind === "presence") {
        counts.joined += item.joined ?? 0;
        counts.left += item.left ?? 0;
        isLost ||= Boolean(item.lost);
      } else {
        last.delete(item.nick);
        last.set(item.nick, item);
      }
    }
    const text = document.createDocumentFragment();
    const add = (part) => { if (text.hasChildNodes()) text.append(t("notice.and-then")); text.append(part); };
    for (const kind of ["joined", "left"]) {
      const some = [...last.values()].filter((item) => item.kind === kind);
      const count = some.length + counts[kind];
      if (!count) continue;
      if (some.length === 1 && count === 1) {
        const values = { nick: nickElement(some[0].nick), word: isolated(some[0].word ?? "") };
        add(t(some[0].word ? "notice.left-word" : `notice.${kind}`, values));
      } else if (!some.length) add(t(`notice.${kind}-count`, { count }));
      else {
        const names = some.slice(-4).map((item) => nickElement(item.nick));
        const others = count - names.length;
        if (others) names.push(document.createTextNode(t("notice.others", { count: others })));
        add(t(`notice.${kind}-list`, { names: t.list(names), count }));
      }
    }
    if (isLost && !text.hasChildNodes()) add(t("notice.presence-lost"));
    return text;
  }

  // The answer to a command, and what only this person sees.
  function local({ item }) {
    return el("div", "notice local", el("div", "content", ...localText(item)));
  }

  function localText({ key, values }) {
    const nicks = (list) => t.list(list.map(nickElement));
    const others = (more) => (more ? [t("local.more", { count: more })] : []);
    switch (key) {
      case "error": return [t.error(values)];
      case "announcement": return [t("local.announcement", { text: isolated(values.text) })];
      case "ignored": return [t("local.ignored", { nicks: nicks(values.nicks) })];
      case "unknown_command": return [t("local.unknown_command", { name: isolated(`/${values.name}`) })];
      case "incomplete": return [t("local.incomplete", { usage: isolated(usageOf(t, values)) })];
      case "help": {
        const list = el("dl");
        for (const command of values.commands) list.append(el("dt", "", usageOf(t, command)), el("dd", "", t(command.help)));
        return [t("local.help"), list];
      }
      case "who":
        return [t("local.who", { room: isolated(`#${values.room}`), names: nicks(values.members) }), ...others(values.more)];
      case "rooms": {
        const list = el("ul");
        for (const { room, count } of values.rooms) {
          list.append(el("li", "", button("link", isolated(`#${room}`), () => act.join(room)), " ", t("rooms.count", { count })));
        }
        return [t("local.rooms"), list, ...others(values.more)];
      }
      default: {
        const shown = {};
        for (const [name, value] of Object.entries(values ?? {})) shown[name] = isolated(String(value ?? ""));
        return [t(`local.${key}`, shown)];
      }
    }
  }

  function mark(...parts) {
    return el("div", "mark", el("div", "content", ...parts));
  }

  function gap({ item }) {
    const count = item.to != null && item.from != null ? item.to - item.from + 1 : 1;
    if (item.isLost) return mark(el("span", "", t("log.gap-gone", { count })));
    const { isLoading } = item;
    const load = button("", t(isLoading ? "log.loading" : "log.gap-load"), () => act.fetch(item));
    load.disabled = isLoading;
    return mark(el("span", "", t("log.gap", { count })), load);
  }

  function away({ item }) {
    if (item.reason === "unread") return el("div", "mark", el("div", "new", t("log.new")));
    return mark(el("span", "", t("log.away", { from: timeElement(item.from), to: timeElement(item.to) })));
  }

  const rewound = ({ item }) => mark(el("span", "", t("log.rewound", { count: item.count })));

  // Above the oldest message: whether there is more.
  function start() {
    const room = lookup.room();
    const content = el("div", "content");
    const [sign, name] = signed(room?.name ?? "");
    if (!room || room.phase === "joining" && !room.items.length) content.append(t("log.joining"));
    else if (room.phase === "refused") {
      content.append(el("strong", "", t("log.refused", { sign, room: isolated(name) })), t.error(room.why));
    } else if (room.hasOlder) {
      if (room.isLoadingOlder) content.append(t("log.loading"));
      else content.append(button("", t("log.older"), () => act.older()));
    } else {
      content.append(el("strong", "", t("log.start-title", { sign, room: isolated(name) })), t(room.isDirect ? "log.start-direct" : "log.start"));
    }
    return el("div", "start", content);
  }

  const renderers = { message, action, local, gap, away, rewound, start };
  return { inputs, render, settle, noticeText };
}
