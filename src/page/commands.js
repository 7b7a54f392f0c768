// The slash commands: one table, from which help and completion are made too. A command changes
// nothing by itself; it calls the actions of the chat. `help` is the key of its text in i18n.

const word = (text) => /^(\S*)\s*([\s\S]*)$/u.exec(text.trim()).slice(1);

/**
 * `needs`: how many arguments cannot be left out. `kind`: what follows is said as this kind.
 * `run` returns (a promise of) a result: an item of kind "local", or { action, … } for the view.
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
  { name: "kick", usage: "/kick NICK [REASON]", help: "help_kick", needs: 1,
    run: (chat, room, { first, rest }) => chat.kick(room, first, rest) },
  { name: "help", usage: "/help", help: "help_help", needs: 0,
    run: (chat, room) => chat.say("help", { commands: COMMANDS }, room) },
];

const BY_NAME = new Map(COMMANDS.map((command) => [command.name, command]));
/** What people are used to from other chats. */
const OTHER_NAMES = { part: "leave", names: "who", list: "rooms", h: "help", "?": "help" };
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
  const problem = command.needs && !first ? "incomplete" : null;
  return { command, args: { text: text.trim(), first, rest }, problem };
}

/** Commands whose name begins so, for completion. */
export const commandsLike = (start) =>
  COMMANDS.filter(({ name }) => name.startsWith(start.toLowerCase()));
