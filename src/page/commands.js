// The slash commands: one table, from which help and completion are made too. A command changes
// nothing by itself; it calls the actions of the chat. `help` is the key of its text in i18n.

import { may, secondsOf, targetOf } from "./moderation.js";

const word = (text) => /^(\S*)\s*([\s\S]*)$/u.exec(text.trim()).slice(1);

/**
 * `needs`: how many arguments cannot be left out. `kind`: what follows is said as this kind.
 * `run` returns (a promise of) a result: an item of kind "local", or { action, … } for the view.
 * `least`: what one must be allowed to do for the command to be offered (moderation.js).
 */
export const COMMANDS = [
  { name: "me", usage: "/me TEXT", help: "help_me", needs: 1, kind: "action" },
  { name: "nick", usage: "/nick NAME", help: "help_nick", needs: 1,
    run: async (chat, room, { text }) => {
      const nick = await chat.rename(text);
      return chat.say("you_are", { nick }, room);
    } },
  { name: "join", usage: "/join ROOM", help: "help_join", needs: 1,
    run: async (chat, _, { text }) => ({ action: "joined", room: (await chat.join(text)).name }) },
  { name: "leave", usage: "/leave [ROOM]", help: "help_leave", needs: 0,
    run: (chat, room, { text }) => chat.leave(text || room) },
  { name: "who", usage: "/who", help: "help_who", needs: 0,
    run: async (chat, room) => {
      const { list, more } = await chat.who(room);
      return chat.say("who", { room, members: [...list], more }, room);
    } },
  { name: "rooms", usage: "/rooms", help: "help_rooms", needs: 0,
    run: async (chat, room) => chat.say("rooms", await chat.listRooms(), room) },
  { name: "history", usage: "/history", help: "help_history", needs: 0,
    run: (chat, room) => chat.older(room).then((more) => ({ action: "history", more })) },
  { name: "search", usage: "/search WORDS", help: "help_search", needs: 1,
    run: (_, room, { text }) => ({ action: "search", room, query: text }) },
  { name: "op", usage: "/op TOKEN", help: "help_op", needs: 1,
    run: async (chat, room, { text }) => {
      await chat.op(text);
      return chat.say("you_are_operator", {}, room);
    } },
  { name: "edit", usage: "/edit", help: "help_edit", needs: 0, run: () => ({ action: "edit" }) },
  { name: "msg", usage: "/msg NICK [TEXT]", help: "help_msg", needs: 1,
    run: async (chat, _, { first, rest }) => {
      const { name } = await chat.writeTo(first);
      const { error } = rest ? chat.send(name, rest) : {};
      if (error) throw error;
      return { action: "joined", room: name };
    } },
  { name: "login", usage: "/login [NAME PASSWORD]", help: "help_login", needs: 0,
    run: (chat, room, { first, rest }) => enter(chat, room, "login", first, rest) },
  { name: "register", usage: "/register [NAME PASSWORD]", help: "help_register", needs: 0,
    run: (chat, room, { first, rest }) => enter(chat, room, "register", first, rest) },
  { name: "logout", usage: "/logout", help: "help_logout", needs: 0,
    run: async (chat, room) => {
      await chat.logout();
      return chat.say("logged_out", {}, room);
    } },
  { name: "password", usage: "/password", help: "help_password", needs: 0, run: () => opens("account") },
  { name: "ignore", usage: "/ignore [NICK]", help: "help_ignore", needs: 0,
    run: async (chat, room, { first }) => {
      if (first) await chat.ignore(first).catch(unlessUnknown);
      const nicks = [...chat.state.ignored.values()];
      return chat.say(nicks.length ? "ignored" : "ignored_none", { nicks }, room);
    } },
  { name: "unignore", usage: "/unignore NICK", help: "help_unignore", needs: 1,
    run: async (chat, room, { first }) => {
      await chat.unignore(first).catch(unlessUnknown);
      return chat.say("unignored", { nick: first }, room);
    } },
  { name: "report", usage: "/report NUMBER [REASON]", help: "help_report", needs: 1,
    run: async (chat, room, { first, rest }) => {
      await chat.report(room, Number(first), rest);
      return chat.say("reported", {}, room);
    } },
  { name: "topic", usage: "/topic [TEXT]", help: "help_topic", needs: 0, least: "topic",
    run: (chat, room, { text }) => chat.setTopic(room, text).then(quietly) },
  { name: "kick", usage: "/kick NICK [REASON]", help: "help_kick", needs: 1, least: "kick",
    run: (chat, room, { first, rest }) => chat.kick(room, first, rest).then(quietly) },
  { name: "ban", usage: "/ban NICK [TIME] [REASON]", help: "help_ban", needs: 1, least: "ban",
    run: (chat, room, args) => chat.ban({ room, ...withTime(args) }).then(quietly) },
  { name: "unban", usage: "/unban NICK", help: "help_unban", needs: 1, least: "ban",
    run: (chat, room, { first }) => chat.unban({ room, ...targetOf(first) }).then(quietly) },
  { name: "mute", usage: "/mute NICK [TIME] [REASON]", help: "help_mute", needs: 1, least: "mute",
    run: (chat, room, args) => chat.mute({ room, ...withTime(args) }).then(quietly) },
  { name: "unmute", usage: "/unmute NICK", help: "help_unmute", needs: 1, least: "mute",
    run: (chat, room, { first }) => chat.unmute({ room, ...targetOf(first) }).then(quietly) },
  { name: "purge", usage: "/purge NICK TIME", help: "help_purge", needs: 2, least: "purge",
    run: async (chat, room, { first, rest }) => {
      const seconds = secondsOf(rest);
      if (!seconds) throw { code: "bad_time" };
      const { count } = await chat.purge(room, first, seconds);
      return chat.say("purged", { nick: first, count: count ?? 0 }, room);
    } },
  { name: "sanctions", usage: "/sanctions", help: "help_sanctions", needs: 0, least: "sanctions",
    run: () => opens("sanctions") },
  { name: "audit", usage: "/audit", help: "help_audit", needs: 0, least: "audit", run: () => opens("audit") },
  { name: "role", usage: "/role ACCOUNT ROLE", help: "help_role", needs: 2, least: "role",
    run: (chat, room, { first, rest }) => chat.setRole(room, first, rest).then(quietly) },
  { name: "room", usage: "/room", help: "help_room", needs: 0, least: "settings", run: () => opens("room") },
  { name: "close", usage: "/close [REASON]", help: "help_close", needs: 0, least: "close",
    run: (_, room, { text }) => ({ action: "close", room, reason: text }) },
  { name: "help", usage: "/help [COMMAND]", help: "help_help", needs: 0,
    run: (chat, room, { first }) => {
      const one = BY_NAME.get(first.replace(/^\//u, "").toLowerCase());
      const { state } = chat;
      return chat.say("help", { commands: one ? [one] : offered(state, state.rooms.get(room)) }, room);
    } },
];

/** A dialog of the page. */
const opens = (dialog) => ({ action: "open", dialog });
/** What was done is seen in the room. */
const quietly = () => ({});
const unlessUnknown = (error) => { if (error.code !== "unknown_type") throw error; };

async function enter(chat, room, way, name, password) {
  if (!password) return opens("account");
  const { name: account } = await chat[way](name, password);
  return chat.say("logged_in", { account }, room);
}

/** `NICK [TIME] [REASON]`. */
function withTime({ first, rest }) {
  const [time, reason] = word(rest);
  const seconds = secondsOf(time);
  return { ...targetOf(first), seconds, reason: seconds ? reason : rest };
}

/** The commands that the person may use in a room. */
const offered = (state, room) => COMMANDS.filter(({ least }) => !least || !state || may(state, room, least));

/** What begins so may go on with a password: it is not kept as a draft. */
export const isSecret = (text) => /^\s*\/?\s*(login|register|password)\b/iu.test(text);

/** A login that is not written as a command, with a space before it or without the slash. */
export const looksLikeLogin = (text) =>
  /^(\s+\/|\/\s+)(login|register|password)\s+\S/iu.test(text) || /^\s*(login|register)\s+\S+\s+\S+\s*$/iu.test(text);

const BY_NAME = new Map(COMMANDS.map((command) => [command.name, command]));
/** What people are used to from other chats. */
const OTHER_NAMES = {
  part: "leave", names: "who", list: "rooms", h: "help", "?": "help", query: "msg", bans: "sanctions", settings: "room",
};
for (const [other, name] of Object.entries(OTHER_NAMES)) BY_NAME.set(other, BY_NAME.get(name));

/**
 * The command of a line that begins with a slash: { command, args: { text, first, rest } }; with
 * `problem` "unknown" (then `command` is its name) or "incomplete".
 */
export function commandOf(line) {
  const [name, text] = word(line.slice(1));
  const command = BY_NAME.get(name.toLowerCase());
  if (!command) return { command: name, problem: "unknown" };
  const [first, rest] = word(text);
  const isShort = command.needs > 0 && !first || command.needs > 1 && !rest;
  const problem = isShort ? "incomplete" : null;
  return { command, args: { text: text.trim(), first, rest }, problem };
}

/** Commands whose name begins so, for completion. */
export const commandsLike = (start, state, room) =>
  offered(state, room).filter(({ name }) => name.startsWith(start.toLowerCase()));
