// What a reader notices without looking at the page: the count in the title and on the icon,
// notifications of the browser by choice, and what a screen reader announces, few words at a time.
// Knows what is unread from the state, and no socket.

import { signed } from "./names.js";

// Older messages were caught up with, and are not news.
const NEWS_MS = 30_000;
const ANNOUNCE_EVERY_MS = 1200;
const ANNOUNCED_MAX = 3;
const SPOKEN_MAX = 240;

export function createNotify(root, chat, t, { settings, show }) {
  const region = root.getElementById("announce");
  const icon = root.getElementById("favicon");
  const lastIds = new Map(); // of each room: the newest item that was seen here
  let queue = [];
  let timer = 0;
  let shownCount = -1;

  function draw(state) {
    let unread = 0;
    for (const room of state.rooms.values()) {
      unread += room.unread;
      news(state, room);
    }
    for (const name of lastIds.keys()) if (!state.rooms.has(name)) lastIds.delete(name);
    const count = unread ? `(${unread > 999 ? "999+" : unread}) ` : "";
    const title = `${count}${state.current ? `${signed(state.current).join("")} · ` : ""}parlor`;
    if (root.title !== title) root.title = title;
    const href = unread ? "icon-unread.svg" : "icon.svg";
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
    if (unread !== shownCount) {
      shownCount = unread;
      const badge = unread ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.();
      badge?.catch?.(() => {});
    }
  }

  // Messages of others that have just come.
  function news(state, room) {
    const seen = lastIds.get(room.name) ?? -1;
    const now = Date.now() + state.offsetMs;
    const fresh = [];
    for (let at = room.items.length - 1; at >= 0 && room.items[at].id > seen; at -= 1) {
      const item = room.items[at];
      const isSpeech = item.kind === "message" || item.kind === "action";
      if (item.kind === "reported" && now - item.time < NEWS_MS) announce(t("notify.reported", { nick: item.by ?? "" }), true);
      if (isSpeech && !item.isOwn && !item.isIgnored && now - item.time < NEWS_MS) fresh.unshift(item);
    }
    lastIds.set(room.name, Math.max(seen, room.items.at(-1)?.id ?? -1));
    const { visible, focused } = state.attention;
    for (const item of fresh) {
      const isHere = visible && focused && room.name === state.current;
      if (isHere) announce(spoken(item));
      else if (visible && focused) {
        if (item.isMention || room.isDirect) announce(t("notify.mention", { nick: item.nick, room: room.name }));
      } else notify(room, item);
    }
  }

  const spoken = ({ kind, nick, text }) => {
    const short = text.length > SPOKEN_MAX ? `${text.slice(0, SPOKEN_MAX)}…` : text;
    return kind === "action" ? `${nick} ${short}` : `${nick}: ${short}`;
  };

  function notify(room, item) {
    const wanted = settings.get("notify");
    if (wanted === "off" || wanted === "mentions" && !item.isMention && !room.isDirect) return;
    if (globalThis.Notification?.permission !== "granted") return;
    try {
      const shown = new Notification(t("notify.title", { nick: item.nick, room: signed(room.name).join("") }), {
        body: item.text.slice(0, SPOKEN_MAX), tag: `parlor/${room.name}`, icon: "icon-192.png",
      });
      shown.onclick = () => {
        window.focus();
        show(room.name, item.seq);
        shown.close();
      };
    } catch { /* some phones have notifications for service workers only */ }
  }

  // A few messages are read out; of many at once only how many they are.
  function announce(text, isUrgent = false) {
    queue.push(text);
    if (isUrgent) say();
    else timer ||= setTimeout(say, ANNOUNCE_EVERY_MS);
  }

  function say() {
    clearTimeout(timer);
    timer = 0;
    const texts = queue.length > ANNOUNCED_MAX ? [t("notify.many", { count: queue.length })] : queue;
    queue = [];
    region.replaceChildren(...texts.map((text) => {
      const line = document.createElement("p");
      line.textContent = text;
      return line;
    }));
  }

  return { draw, announce };
}
