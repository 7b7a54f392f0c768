// A clock, a network, a server and pages on it, for the tests of the page's model.

import { createChat } from "../../src/page/chat.js";
import { createStorage } from "../../src/page/storage.js";
import { createClock, createNet, createRandom, createStore } from "./world.mjs";
import { createServer } from "./server.mjs";

export function createScene(seed = 1) {
  const chance = createRandom(seed);
  const clock = createClock();
  const net = createNet(clock, chance);
  const server = createServer(clock, chance);
  net.server = server;
  let tabs = 0;

  /** A tab with its storage; `load` opens the page in it, again after a reload. */
  function tab({ local = createStore(), session = createStore(), locks, channel } = {}) {
    const mine = createRandom(seed * 1000 + tabs++);
    const me = {
      local, session, chat: null, changes: [], diagnoses: 0,
      load(wishes = {}) {
        me.unload();
        let isGone = false;
        const guard = (action) => () => {
          clock.touch();
          if (!isGone) action();
        };
        const world = {
          WebSocket: net.WebSocket,
          now: clock.wall,
          setTimeout: (action, ms) => clock.setTimeout(guard(action), ms),
          clearTimeout: clock.clearTimeout,
          random: mine.random,
        };
        const storage = createStorage({ session, local, locks, channel, random: mine.random, setTimeout: world.setTimeout });
        me.storage = storage;
        const sockets = new Set();
        world.WebSocket = class extends net.WebSocket {
          constructor(...args) {
            super(...args);
            sockets.add(this);
          }
        };
        me.chat = createChat({
          world, storage,
          url: (nick) => `ws://server.test/ws?nick=${encodeURIComponent(nick)}`,
          onChange: (change) => me.changes.push(change),
          diagnose: async () => { me.diagnoses += 1; return "refused"; },
        });
        /** The page is gone without a word; the browser ends its sockets. */
        me.unload = () => {
          isGone = true;
          for (const socket of sockets) {
            socket.onmessage = socket.onclose = null;
            socket.close();
          }
          me.unload = () => {};
        };
        me.chat.start(wishes);
        return me.chat;
      },
      unload: () => {},
    };
    return me;
  }

  /** A page that is in a room. */
  async function page(nick, room = "den", options) {
    const me = tab(options);
    me.load({ room, nick });
    await clock.until(() => me.chat.state.rooms.get(room)?.phase === "joined");
    return me;
  }

  return { clock, net, server, chance, tab, page };
}

/** The texts that a log shows. */
export const texts = (chat, name = "den") =>
  chat.state.rooms.get(name).items.filter(({ text }) => text !== undefined).map(({ text }) => text);
export const room = (chat, name = "den") => chat.state.rooms.get(name);
export const kinds = (chat, name = "den") => room(chat, name).items.map(({ kind }) => kind);

/** What is wrong with the order of a log; null: nothing. */
export function disorder({ items, position, bySeq }) {
  let next = null;
  let numbered = 0;
  for (const item of items) {
    const [from, to] = item.seq ? [item.seq, item.seq] : item.kind === "gap" ? [item.from, item.to] : [];
    if (from === undefined) continue;
    if (next !== null && from !== next) return `${from} where ${next} was due`;
    if (to < from) return `an empty gap at ${from}`;
    next = to + 1;
    if (item.seq) {
      numbered += 1;
      if (bySeq.get(item.seq) !== item) return `${item.seq} is not found`;
    }
  }
  if (next !== null && next !== position + 1) return `the log ends before ${next}, the position is ${position}`;
  return bySeq.size === numbered ? null : "numbers without items";
}
