// Creates the chat and the views and connects them with each other and with the browser. The only
// file that knows all of them; none of them knows this one.

import { createChat } from "./chat.js";
import { createStorage } from "./storage.js";
import { createViews } from "./views.js";

const quietly = (open) => { try { return open() ?? null; } catch { return null; } };

const world = {
  WebSocket: globalThis.WebSocket,
  now: () => Date.now(),
  setTimeout: (action, ms) => setTimeout(action, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  random: Math.random,
};

const storage = createStorage({
  session: quietly(() => sessionStorage),
  local: quietly(() => localStorage),
  locks: quietly(() => navigator.locks),
  channel: quietly(() => BroadcastChannel && ((name) => new BroadcastChannel(name))),
  random: world.random,
  setTimeout: world.setTimeout,
});

/** Where to connect: beside the page, whatever its path. */
function url(nick) {
  const address = new URL("ws", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.hash = "";
  address.search = nick ? `?nick=${encodeURIComponent(nick)}` : "";
  return address.href;
}

/** A browser hides why a WebSocket was refused; a plain request says whether there is a server. */
async function diagnose() {
  if (navigator.onLine === false) return "offline";
  try {
    const signal = AbortSignal.timeout?.(5000);
    const response = await fetch("healthz", { cache: "no-store", signal });
    return response.ok ? "refused" : "unreachable";
  } catch {
    return "unreachable";
  }
}

const changes = new Map(); // By room: the flags of all changes since the views were drawn.
let frame = 0, timer = 0, pace = 0;
let drawnAt = -Infinity;
const views = [];

/** What others say is drawn so often at most: in a flood the person's keys come in between. */
const PACE_MS = 100;
const OF_OTHERS = new Set(["room", "log", "members", "typing", "unread"]);
const isOfOthers = (change) => Object.keys(change).every((flag) => OF_OTHERS.has(flag));

/** Draws in the next frame or, of what others do, in the first one after a pause. */
function onChange(change) {
  changes.set(change.room, { ...changes.get(change.room), ...change });
  const wait = isOfOthers(change) ? drawnAt + PACE_MS - performance.now() : 0;
  if (wait <= 0) frame ||= requestAnimationFrame(draw);
  else pace ||= setTimeout(() => { frame ||= requestAnimationFrame(draw); }, wait);
  // A hidden page has no frames, but a title.
  timer ||= setTimeout(draw, 250);
}

function draw() {
  cancelAnimationFrame(frame);
  clearTimeout(timer);
  clearTimeout(pace);
  frame = timer = pace = 0;
  drawnAt = performance.now();
  const drawn = [...changes.values()];
  changes.clear();
  for (const view of views) view.draw(chat.state, drawn);
  keepAddress();
}

const chat = createChat({ world, storage, url, onChange, diagnose });

/**
 * What the address of the page asks for: `?room=den&nick=ann#119`, or `#den` as it used to be;
 * `token` logs in a user of the site.
 */
function wishes() {
  const query = new URLSearchParams(location.search);
  const hash = quietly(() => decodeURIComponent(location.hash.slice(1))) ?? "";
  const seq = /^\d+$/.test(hash) ? Number(hash) : 0;
  const room = query.get("room") || (seq ? "" : hash);
  return { room, nick: query.get("nick") ?? "", token: query.get("token"), seq };
}

/** How the page is to look, for a site that embeds it: `?theme=dark&language=zh&compact`. */
function look() {
  const query = new URLSearchParams(location.search);
  const isFramed = quietly(() => window.top !== window) ?? true;
  return {
    theme: query.get("theme"), language: query.get("language"),
    compact: isFramed || query.has("compact"),
  };
}

/** The address of a message, or of a room. */
function linkTo(room, seq) {
  const address = new URL(location.pathname, location.href);
  address.search = `?${new URLSearchParams({ room })}`;
  address.hash = seq ?? "";
  return address.href;
}

/** The address names the room that is shown, so that it can be copied; it has no nick. */
function keepAddress() {
  const { current, rooms } = chat.state;
  if (!current || rooms.get(current)?.phase !== "joined") return;
  const query = new URLSearchParams(location.search);
  const isSame = query.get("room") === current;
  if (isSame && !query.has("nick")) return;
  query.set("room", current);
  query.delete("nick");
  history.replaceState(null, "", `?${query}${isSame ? location.hash : ""}`);
}

/** It is a secret: it stays neither in the address nor in the history of the browser. */
function forgetToken() {
  const query = new URLSearchParams(location.search);
  query.delete("token");
  history.replaceState(null, "", `?${query}${location.hash}`);
}

function attend() {
  chat.setAttention({ visible: !document.hidden, focused: document.hasFocus() });
  if (!document.hidden) chat.wake();
}

/** Another address of this page: a link to a message that was followed, or typed. */
addEventListener("hashchange", () => {
  const { room, seq } = wishes();
  const name = room || chat.state.current;
  if (name) chat.join(name).then((joined) => page.show(joined.name, seq), () => {});
});

const page = createViews(document, chat, { storage, given: look(), linkTo });
views.push(page);
await storage.claim();
chat.setAttention({ visible: !document.hidden, focused: document.hasFocus() });
const { room, nick, token, seq } = wishes();
if (token) forgetToken();
chat.start({ room: room || (storage.tab.rooms.length ? "" : "lobby"), nick, token });
if (seq && room) chat.join(room).then((joined) => page.show(joined.name, seq), () => {});
onChange({ rooms: true });
page.focus();

// After the start: before it there is no connection to look after.
for (const name of ["focus", "blur", "pageshow"]) addEventListener(name, attend);
document.addEventListener("visibilitychange", attend);
document.addEventListener("resume", attend);
addEventListener("online", () => chat.wake());
navigator.connection?.addEventListener?.("change", () => chat.wake());
addEventListener("pagehide", () => chat.flush());
