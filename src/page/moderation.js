// What keeps a room civil: who may do what, and the requests for it. The server decides; what is
// not allowed here is only not offered. Knows no DOM.

/** From the lowest. */
const RANKS = ["member", "voiced", "moderator", "owner", "server_moderator", "admin"];
/** The lowest role that may do it. */
const LEAST = {
  kick: "moderator", mute: "moderator", ban: "moderator", purge: "moderator", delete: "moderator",
  topic: "moderator", sanctions: "moderator", audit: "moderator", settings: "moderator",
  "set-room": "owner", role: "owner", close: "owner", server: "server_moderator",
};
/** What can be set of a room. The password is not shown, only whether there is one. */
export const SETTINGS =
  ["slow_seconds", "moderated", "locked", "hidden", "has_password", "newcomers_read", "keep_days"];
const SERVER_ROLES = { moderator: "server_moderator", admin: "admin" };

const rankOf = (role) => Math.max(0, RANKS.indexOf(role));

/** The rank of the person in a room. */
function ownRank(state, room) {
  const server = (state.account?.roles ?? []).map((role) => rankOf(SERVER_ROLES[role]));
  const token = state.isOperator ? rankOf("admin") : 0; // An operator by a token.
  return Math.max(rankOf(room?.role), token, ...server);
}

/** Whether the person may do this in the room, as far as this page knows. */
export const may = (state, room, action) =>
  ownRank(state, room) >= rankOf(LEAST[action]);

/** Slow mode, and a room where only some are heard, do not hold for these. */
export const isExempt = (state, room) => ownRank(state, room) >= rankOf("moderator");

/** Whether a member can say something in a room that has a moderator's leave for it. */
export const isHeard = (state, room) =>
  !room.settings.moderated || ownRank(state, room) >= rankOf("voiced");

const filled = (object) => Object.fromEntries(
  Object.entries(object).filter(([, value]) => value !== undefined && value !== null && value !== ""));

/** What a person names: an account with a sign before it, an address, or a nick. */
export function targetOf(text) {
  const name = text.trim();
  if (name.startsWith("@")) return { account: name.slice(1) };
  const isAddress = /^\d{1,3}(\.\d{1,3}){3}(\/\d+)?$/.test(name) || /^[\da-f:]*:[\da-f:.]*(\/\d+)?$/i.test(name);
  return isAddress ? { address: name } : { nick: name };
}

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** `90`, `10m`, `2h`, `7d` in seconds; undefined: that is not a duration. */
export function secondsOf(text) {
  const found = /^(\d{1,9})([smhdw]?)$/.exec(text);
  const seconds = found ? Number(found[1]) * UNITS[found[2] || "s"] : 0;
  return seconds > 0 ? seconds : undefined;
}

/** The actions; each resolves to the answer of the server or rejects with its error. */
export function createModeration({ ask }) {
  const simple = (type, ...names) => (room, ...values) =>
    ask({ type, room, ...filled(Object.fromEntries(names.map((name, at) => [name, values[at]]))) });
  /** Without a room it holds on the whole server. */
  const sanction = (type) => ({ room, nick, account, address, seconds, reason }) =>
    ask({ type, ...filled({ room, nick, account, address, seconds, reason }) });
  return {
    kick: simple("kick", "nick", "reason"),
    report: simple("report", "seq", "reason"),
    purge: simple("purge", "nick", "seconds"),
    closeRoom: simple("close_room", "reason"),
    ban: sanction("ban"),
    unban: sanction("unban"),
    mute: sanction("mute"),
    unmute: sanction("unmute"),
    setTopic: (room, topic) => ask({ type: "topic", room, topic }),
    setRole: (room, account, role) =>
      ask({ type: "role", ...filled({ room, account: account.replace(/^@/u, ""), role }) }),
    settingsOf: (room) => ask({ type: "room", room }),
    changeSettings: (room, changes) => ask({ type: "room", room, ...changes }),
    sanctions: (room, after) => ask({ type: "sanctions", limit: 100, ...filled({ room, after }) }),
    audit: (room, before) => ask({ type: "audit", limit: 100, ...filled({ room, before }) }),
  };
}
