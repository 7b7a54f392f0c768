// What can be done with a message, a member or a room, in menus, and the dialogs that ask for the
// details and for confirmation; lists of bans and mutes, the audit log, the settings of a room. What
// the person's role does not allow is not offered. Knows no socket.
import { may, targetOf } from "./moderation.js";
import { el, nickElement } from "./render.js";
import { isolated } from "./text.js";

const HOUR = 3600, DAY = 24 * HOUR, WEEK = 7 * DAY;
const BAN_TIMES = [10 * 60, HOUR, DAY, WEEK, 0];
const PURGE_TIMES = [10 * 60, HOUR, DAY, WEEK];
const EXCERPT = 200;
/** Settings that are the owner's; the others are the moderators' too. */
const OF_OWNER = new Set(["hidden", "newcomers_read", "keep_days", "has_password"]);

export function createOrder(root, chat, t, { menu, dialogs, announce, reply, copyLink, mention, openAccount }) {
  let state = null;
  const draw = (next) => { state = next; };
  const roomOf = (name) => state?.rooms.get(name);

  // What was tried and is not known here is not offered again.
  const knows = (type) => !state.unknown.has(type);

  // Menus

  /** Whether the person may correct a message: it is one's own, and not too old. */
  function isEditable(item) {
    const most = state?.limits.edit_window_ms ?? 0;
    const isYoung = Date.now() + state.offsetMs - item.time < most;
    return Boolean(item.isOwn && !item.isOfOther && item.seq && !item.isDeleted && isYoung);
  }

  function ofMessage(anchor, name, item) {
    const room = roomOf(name);
    if (!room) return;
    const own = isEditable(item);
    const items = item.isDeleted ? [] : [
      { text: t("log.reply"), run: () => reply(name, item.seq) },
      { text: t("log.copy-link"), run: () => copyLink(name, item.seq) },
      null,
      own && { text: t("order.edit"), run: () => chat.setEditing(name, item.seq) },
      (own || may(state, room, "delete")) && { text: t("order.delete"), isDanger: true, run: () => remove(name, item) },
      !item.isOwn && knows("report") && { text: t("order.report"), run: () => report(name, item) },
      null,
    ];
    const others = item.isOwn ? [] : ofNick(room, item.nick);
    menu.open(anchor, t("order.message"), [...items, ...others].filter((entry) => entry !== false));
  }

  function ofMember(anchor, name, nick) {
    const room = roomOf(name);
    if (!room) return;
    const items = nick === state.nick ? [] : ofNick(room, nick);
    menu.open(anchor, nick, [{ text: t("members.mention", { nick }), run: () => mention(nick) }, ...items]);
  }

  function ofNick(room, nick) {
    const isIgnored = chat.isIgnored(nick);
    const can = (action) => !room.isDirect && may(state, room, action);
    return [
      !room.isDirect && knows("direct") && { text: t("order.write", { nick }), run: () => write(nick) },
      { text: t(isIgnored ? "order.unignore" : "order.ignore", { nick }), run: () => ignore(nick, !isIgnored) },
      null,
      can("mute") && { text: t("order.mute"), run: () => sanction("mute", room.name, nick) },
      can("kick") && { text: t("order.kick"), isDanger: true, run: () => kick(room.name, nick) },
      can("ban") && { text: t("order.ban"), isDanger: true, run: () => sanction("ban", room.name, nick) },
      can("purge") && knows("purge") && { text: t("order.purge"), isDanger: true, run: () => purge(room.name, nick) },
    ].filter((item) => item !== false);
  }

  /** What is in the menu of the room; empty: it has none. */
  function itemsOfRoom(name) {
    const room = roomOf(name);
    if (!room || room.phase !== "joined") return [];
    if (room.isDirect) return ofNick(room, name.slice(1)).filter(Boolean);
    const can = (action) => may(state, room, action);
    const items = [
      can("topic") && { text: t("order.topic"), run: () => topic(name) },
      can("settings") && { text: t("order.settings"), run: () => settings(name) },
      can("role") && { text: t("order.role"), run: () => role(name) },
      null,
      can("sanctions") && { text: t("order.sanctions"), run: () => sanctions(name) },
      can("server") && { text: t("order.sanctions-server"), run: () => sanctions() },
      can("audit") && { text: t("order.audit"), run: () => audit(name) },
      null,
      can("close") && { text: t("order.close"), isDanger: true, run: () => close(name) },
    ].filter((item) => item !== false);
    return items.some(Boolean) ? items : [];
  }

  const ofRoom = (anchor, name) => menu.open(anchor, t("order.room"), itemsOfRoom(name));

  // What is done at once

  const said = (promise, text) => promise.then(() => { if (text) announce(text, true); }, (why) => announce(t.error(why), true));

  const write = (nick) => said(chat.writeTo(nick));

  function ignore(nick, isOn) {
    // A server that does not know of it: it holds in this page.
    const done = chat[isOn ? "ignore" : "unignore"](nick).catch((why) => { if (why.code !== "unknown_type") throw why; });
    said(done, t(isOn ? "local.ignored" : "local.unignored", { nick, nicks: nick }));
  }

  /** Lifts a ban or a mute. */
  function lift(kind, target) {
    const { room, account, address, nick } = target;
    const whom = ["account", "address", "nick"].find((name) => target[name]);
    return chat[kind === "mute" ? "unmute" : "unban"]({ room, [whom]: account ?? address ?? nick });
  }

  // Questions

  const reasonField = () => ({ name: "reason", label: t("order.reason") });
  const timeField = (name, label, times) => ({
    name, label, kind: "select", value: String(times[1]), options: times.map((seconds) => [String(seconds), duration(seconds)]),
  });

  function duration(seconds) {
    if (!seconds) return t("order.for-good");
    const [unit, one] = [["week", WEEK], ["day", DAY], ["hour", HOUR], ["minute", 60]].find(([, size]) => seconds % size === 0);
    return t(`order.${unit}s`, { count: seconds / one });
  }

  function remove(name, item) {
    dialogs.ask({
      title: t("order.delete-title"), isDanger: true, submit: t("order.delete"),
      text: el("blockquote", "", item.isOwn ? "" : nickElement(item.nick), " ", isolated(item.text.slice(0, EXCERPT))),
      run: () => chat.remove(name, item.seq),
    });
  }

  function report(name, item) {
    dialogs.ask({
      title: t("order.report-title"), submit: t("order.report"), fields: [reasonField()],
      text: t("order.report-about", { nick: nickElement(item.nick) }),
      run: async ({ reason }) => {
        await chat.report(name, item.seq, reason);
        announce(t("local.reported"), true);
      },
    });
  }

  function kick(name, nick) {
    dialogs.ask({
      title: t("order.kick-title", { nick }), isDanger: true, submit: t("order.kick"), fields: [reasonField()],
      run: ({ reason }) => chat.kick(name, nick, reason),
    });
  }

  /** A ban or a mute, of a member or, without one, of whomever is named. */
  function sanction(kind, name, nick) {
    const isBan = kind === "ban";
    const onServer = may(state, roomOf(name), "server");
    dialogs.ask({
      title: nick ? t(`order.${kind}-title`, { nick }) : t(`order.${kind}`), isDanger: true, submit: t(`order.${kind}`),
      fields: [
        ...(nick ? [] : [{ name: "target", label: t("order.target"), hint: t("order.target-hint"), isRequired: true, autocomplete: "off" }]),
        reasonField(), timeField("seconds", t("order.how-long"), BAN_TIMES),
        ...(isBan && nick && knows("purge") ? [{ name: "purge", label: t("order.purge-too"), kind: "check" }] : []),
        ...(onServer ? [{ name: "everywhere", label: t("order.everywhere"), kind: "check" }] : []),
      ],
      run: async ({ target, seconds, reason, purge: isPurged, everywhere }) => {
        const whom = nick ? { nick } : targetOf(target);
        await chat[kind]({ ...(everywhere ? {} : { room: name }), ...whom, seconds: Number(seconds) || undefined, reason });
        if (isPurged) await chat.purge(name, nick, DAY).catch((why) => announce(t.error(why), true));
        announce(t(`order.${kind}-done`, { nick: nick ?? target }), true);
      },
    });
  }

  function purge(name, nick) {
    dialogs.ask({
      title: t("order.purge-title", { nick }), isDanger: true, submit: t("order.purge"), text: t("order.no-undo"),
      fields: [timeField("seconds", t("order.purge-last"), PURGE_TIMES)],
      run: async ({ seconds }) => {
        const { count } = await chat.purge(name, nick, Number(seconds));
        announce(t("local.purged", { count: count ?? 0, nick }), true);
      },
    });
  }

  function topic(name) {
    dialogs.ask({
      title: t("order.topic"), submit: t("order.save"),
      fields: [{ name: "topic", label: t("order.topic-label"), value: roomOf(name)?.topic ?? "" }],
      run: (values) => chat.setTopic(name, values.topic),
    });
  }

  function role(name) {
    const roles = ["owner", "moderator", "voiced", "member"].map((one) => [one, t(`role.${one}`)]);
    dialogs.ask({
      title: t("order.role"), submit: t("order.save"),
      fields: [
        { name: "account", label: t("account.name"), isRequired: true, autocomplete: "off" },
        { name: "role", label: t("order.role-label"), kind: "select", value: "moderator", options: roles },
      ],
      run: (values) => chat.setRole(name, values.account, values.role),
    });
  }

  function close(name, reason = "") {
    dialogs.ask({
      title: t("order.close-title", { room: name }), isDanger: true, submit: t("order.close"), text: t("order.close-about"),
      fields: [{ ...reasonField(), value: reason }],
      run: (values) => chat.closeRoom(name, values.reason),
    });
  }

  async function settings(name) {
    let now;
    try { now = await chat.settingsOf(name); } catch (why) { return announce(t.error(why), true); }
    const isOwner = may(state, roomOf(name), "set-room");
    // What the server does not name it does not have.
    const has = (of) => of in now && (isOwner || !OF_OWNER.has(of));
    const check = (of) => ({ name: of, label: t(`order.set-${of}`), kind: "check", value: now[of] });
    const number = (of, hint) => ({ name: of, label: t(`order.set-${of}`), kind: "number", value: now[of] ?? "", hint });
    dialogs.ask({
      title: t("order.settings"), submit: t("order.save"),
      fields: [
        number("slow_seconds", t("order.set-slow-hint")),
        ...["moderated", "locked", "hidden", "newcomers_read"].filter(has).map(check),
        ...(has("keep_days") ? [number("keep_days", t("order.set-keep-hint"))] : []),
        ...(has("has_password") ? passwordFields(now) : []),
      ],
      run: ({ password, open, ...values }) => {
        const changes = Object.fromEntries(Object.entries(values).filter(([of, value]) => value !== undefined && value !== now[of]));
        if (open) changes.password = "";
        else if (password) changes.password = password;
        return Object.keys(changes).length ? chat.changeSettings(name, changes) : undefined;
      },
    });
  }

  const passwordFields = (now) => [
    { name: "password", label: t("order.set-password"), kind: "password", autocomplete: "new-password", hint: t(now.has_password ? "order.set-password-kept" : "order.set-password-hint") },
    ...(now.has_password ? [{ name: "open", label: t("order.set-open"), kind: "check" }] : []),
  ];

  // Lists

  const untilOf = (until) => (until ? t("notice.until", { time: t.short(until) }) : "");
  const whyOf = (reason) => (reason ? t("notice.why", { why: isolated(reason) }) : "");
  const whomOf = ({ nick, account, address }) => (nick ? nickElement(nick) : el("b", "", isolated(account ?? address ?? "?")));

  function sanctions(name) {
    const dialog = dialogs.list({
      title: name ? t("order.sanctions") : t("order.sanctions-server"), empty: t("order.none"),
      load: async (last) => {
        const { sanctions: rows, more } = await chat.sanctions(name, last?.at);
        return { rows, more };
      },
      row: (one, gone) => {
        const hint = el("p", "hint");
        const undo = el("button", "", t(one.kind === "mute" ? "order.unmute" : "order.unban"));
        undo.type = "button";
        undo.addEventListener("click", async () => {
          undo.disabled = true;
          try {
            await lift(one.kind, { ...one, room: one.room ?? name });
            gone();
            announce(t("order.lifted"), true);
          } catch (why) {
            undo.disabled = false;
            hint.textContent = t.error(why);
          }
        });
        const what = t(one.kind === "mute" ? "notice.muted" : "notice.banned", { nick: whomOf(one), by: nickElement(one.by ?? "") });
        return [el("div", "what", what, untilOf(one.until), whyOf(one.reason), " ", timeOf(one.at)), undo, hint];
      },
    });
    dialog.append(el("div", "buttons", ...["ban", "mute"].filter((kind) => name && may(state, roomOf(name), kind)).map((kind) => {
      const add = el("button", "", t(`order.${kind}`));
      add.type = "button";
      add.addEventListener("click", () => { dialog.close(); sanction(kind, name); });
      return add;
    })));
  }

  function timeOf(ms) {
    const time = el("time", "", ms ? t.short(ms) : "");
    if (ms) time.dateTime = new Date(ms).toISOString();
    return time;
  }

  function audit(name) {
    dialogs.list({
      title: t("order.audit"), empty: t("order.none"),
      load: (last) => chat.audit(name, last?.number),
      row: ({ at, by, action, target, detail, until }) => [el("div", "what",
        timeOf(at), " ", nickElement(by ?? ""), " ", el("b", "", t.has(`audit.${action}`) ? t(`audit.${action}`) : action),
        ...(target ? [" ", isolated(target)] : []), untilOf(until), whyOf(detail))],
    });
  }

  /** What a command opens. */
  function open({ action, dialog, room, reason }) {
    const name = room ?? state.current;
    if (action === "close") close(name, reason);
    else if (dialog === "account") openAccount();
    else ({ sanctions, audit, room: settings })[dialog]?.(name);
  }

  return { draw, ofMessage, ofMember, ofRoom, itemsOfRoom, isEditable, lift, open };
}
