// Members whose words the person does not want to see: kept in this browser, and asked of the
// server, which does not deliver their direct messages then. Knows no DOM.

import { foldRoom } from "./names.js";

const IGNORED_MAX = 200;

export function createIgnoring({ state, storage, ask, refresh }) {
  state.ignored = new Map(storage.ignored.map((nick) => [foldRoom(nick), nick]));

  function keep() {
    storage.ignored = [...state.ignored.values()];
    refresh();
  }

  return {
    actions: {
      isIgnored: (nick) => state.ignored.size > 0 && nick != null && state.ignored.has(foldRoom(nick)),
      async ignore(nick) {
        if (state.ignored.size >= IGNORED_MAX) throw { code: "too_many" };
        state.ignored.set(foldRoom(nick), nick.trim());
        keep();
        await ask({ type: "ignore", nick: nick.trim() });
      },
      async unignore(nick) {
        if (!state.ignored.delete(foldRoom(nick))) throw { code: "not_ignored" };
        keep();
        await ask({ type: "unignore", nick: nick.trim() });
      },
    },
  };
}
