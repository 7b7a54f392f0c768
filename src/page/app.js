// The chat page. Talks the plain protocol: `nick: message` is what somebody said, a line that
// begins with `* ` is a notice. Whatever comes from outside is only ever inserted as text.
"use strict";

const LINES_MAX = 500;
const MESSAGE_BYTES_MAX = 16 * 1024;
const RETRY_FIRST_MS = 1000;
const RETRY_MOST_MS = 30000;
// Closed for good: asked for, thrown out, or not understood. Only the person may try again.
const FINAL_CODES = new Set([1000, 1002, 1003, 1007, 1008, 1009]);

const at = (id) => document.getElementById(id);
const log = at("log"), state = at("state"), words = at("words"), send = at("send");
const roomField = at("room"), nickField = at("nick"), newer = at("newer");

let socket = null;
let ownNick = "";
let retryMs = RETRY_FIRST_MS;
let retryTimer = 0;
let unread = 0;

// What is remembered

function recall(key) {
  try { return localStorage.getItem(`parlor.${key}`) || ""; } catch { return ""; }
}

function remember(key, value) {
  try { localStorage.setItem(`parlor.${key}`, value); } catch { /* private mode: then not */ }
}

function roomFromAddress() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

// The connection

function connect() {
  disconnect();
  const address = new URL(`ws/${encodeURIComponent(roomField.value)}`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.hash = "";
  address.search = nickField.value ? `?nick=${encodeURIComponent(nickField.value)}` : "";
  show("waiting", "connecting…");
  const mine = socket = new WebSocket(address);
  mine.onopen = () => { if (mine === socket) opened(); };
  mine.onmessage = (event) => { if (mine === socket) received(String(event.data)); };
  mine.onclose = (event) => { if (mine === socket) closed(event); };
}

function disconnect() {
  clearTimeout(retryTimer);
  const old = socket;
  socket = null;
  if (old) old.close(1000);
}

function opened() {
  retryMs = RETRY_FIRST_MS;
  show("open", "connected");
}

function closed(event) {
  socket = null;
  if (FINAL_CODES.has(event.code)) {
    show("ended", "not connected");
    addLine("local", `The connection was closed${event.reason ? `: ${event.reason}` : ""}. Go connects again.`);
    return;
  }
  // Spread, or everybody would come back in the same moment.
  const wait = retryMs * (0.5 + Math.random() / 2);
  retryMs = Math.min(retryMs * 2, RETRY_MOST_MS);
  show("lost", navigator.onLine ? "connection lost, trying again…" : "offline");
  retryTimer = setTimeout(connect, wait);
}

function retryNow() {
  if (state.dataset.state === "lost") connect();
}

function show(name, text) {
  state.dataset.state = name;
  state.textContent = text;
  send.disabled = name !== "open";
}

// What comes

function received(text) {
  if (text.startsWith("** ")) return addLine("notice", text.slice(1).replaceAll("\n  ", "\n"));
  if (!text.startsWith("* ")) return said(text);
  noticeNick(text);
  addLine("notice", text.slice(2).replaceAll("\n* ", "\n"));
}

function said(text) {
  const colon = text.indexOf(": ");
  if (colon < 1) return addLine("notice", text);
  const nick = text.slice(0, colon);
  // Further lines come indented by two spaces, which is for terminals.
  const message = text.slice(colon + 2).replaceAll("\n  ", "\n");
  addLine(nick === ownNick ? "own" : "said", message, nick);
}

// Our nick is what the server says it is.
function noticeNick(text) {
  const welcome = /^\* welcome to (\S+), (\S+)\. /.exec(text);
  if (welcome) return setNick(welcome[2]);
  const renamed = /^\* (\S+) is now known as (\S+)$/.exec(text);
  if (renamed && renamed[1] === ownNick) setNick(renamed[2]);
}

function setNick(nick) {
  ownNick = nick;
  // A made-up nick is not remembered: the next visit may get its own.
  if (!/^guest-[0-9a-f]+$/.test(nick)) {
    nickField.value = nick;
    remember("nick", nick);
  }
}

function addLine(kind, text, nick) {
  const follows = isAtEnd();
  const line = document.createElement("li");
  line.className = kind;
  const now = new Date();
  const time = document.createElement("time");
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const body = document.createElement("span");
  body.className = "body";
  if (nick) body.append(nickElement(nick));
  // On its own for the direction of writing, or right-to-left text would move the nick.
  const said = document.createElement("bdi");
  appendWords(said, text);
  body.append(said);
  line.append(time, body);
  log.append(line);
  while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
  if (follows) toEnd(); else newer.hidden = false;
  countUnread(kind);
}

function nickElement(nick) {
  const element = document.createElement("bdi");
  element.className = "nick";
  element.textContent = nick;
  let hue = 0;
  for (const character of nick) hue = (hue * 31 + character.codePointAt(0)) % 360;
  element.style.setProperty("--hue", hue);
  return element;
}

// Addresses become links; everything else stays text.
function appendWords(body, text) {
  for (const part of text.split(/(https?:\/\/[^\s<>"']+)/)) {
    if (!/^https?:\/\//.test(part)) { body.append(part); continue; }
    const link = document.createElement("a");
    link.href = part;
    link.textContent = part;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    body.append(link);
  }
}

function isAtEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

function toEnd() {
  log.scrollTop = log.scrollHeight;
  newer.hidden = true;
}

function countUnread(kind) {
  unread = document.hidden && kind === "said" ? unread + 1 : document.hidden ? unread : 0;
  showTitle();
}

function showTitle() {
  document.title = `${unread ? `(${unread}) ` : ""}${roomField.value || "parlor"} · parlor`;
}

// What the person does

function say(event) {
  event.preventDefault();
  const text = words.value;
  if (!text.trim() || !socket || socket.readyState !== WebSocket.OPEN) return;
  if (new TextEncoder().encode(text).length > MESSAGE_BYTES_MAX) {
    return addLine("local", "That message is too long.");
  }
  socket.send(text);
  words.value = "";
  fit();
  toEnd();
}

// Enter sends, but not while an input method is composing (229: Safari says so afterwards).
function keyPressed(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  say(event);
}

// As high as what is in it, up to what the style allows.
function fit() {
  words.style.height = "auto";
  words.style.height = `${words.scrollHeight + 2}px`;
}

function go(event) {
  event.preventDefault();
  roomField.value = roomField.value.trim() || "lobby";
  nickField.value = nickField.value.trim();
  remember("room", roomField.value);
  remember("nick", nickField.value);
  history.replaceState(null, "", `#${encodeURIComponent(roomField.value)}`);
  retryMs = RETRY_FIRST_MS;
  showTitle();
  connect();
  words.focus();
}

at("where").addEventListener("submit", go);
at("say").addEventListener("submit", say);
words.addEventListener("keydown", keyPressed);
words.addEventListener("input", fit);
newer.addEventListener("click", toEnd);
log.addEventListener("scroll", () => { if (isAtEnd()) newer.hidden = true; });
addEventListener("online", retryNow);
addEventListener("hashchange", () => { roomField.value = roomFromAddress() || "lobby"; showTitle(); connect(); });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  showTitle();
  retryNow();
});

roomField.value = roomFromAddress() || recall("room") || "lobby";
nickField.value = recall("nick");
showTitle();
connect();
words.focus();
