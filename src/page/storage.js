// What the page remembers. In sessionStorage what belongs to this tab: the session's secret, the
// rooms that were joined and the messages whose storing is not confirmed. In localStorage what
// belongs to the person: the nick, drafts, settings. Finds out whether this tab is a copy of
// another, which must not use the secret of the original. Knows no server.

const TAB = "parlor.tab";
/** An older page still holds its name for a moment after a reload. */
const HANDOVER_MS = 1500;
const QUESTION_MS = 300;

/**
 * `session` and `local` are Storage or null; `locks` is navigator.locks, `channel` makes a
 * BroadcastChannel; either may be missing.
 */
export function createStorage({ session, local, locks, channel, random, setTimeout }) {
  const kept = read(session, TAB);
  const tab = typeof kept === "object" ? kept : {};
  tab.id ??= newId(random);
  if (!Array.isArray(tab.rooms)) tab.rooms = [];
  const me = newId(random);
  const line = channel?.("parlor.tabs");
  const questions = new Set(); // { field, value, resolve } that other tabs may answer.
  if (line) line.onmessage = ({ data }) => heard(data);

  const storage = {
    /** The nick that the server confirmed to this tab. */
    ownNick: "",
    /**
     * { id, secret, label, nick, confirmed, current,
     * rooms: [{ name, isWanted, readSeq, outgoing }] };
     * `label` names the session across its secrets. Call `save` after a change.
     */
    tab,
    /** False: it could not be kept. */
    save: () => write(session, TAB, tab),

    /**
     * Resolves when this tab may use what it remembers. The browser copies it with a tab; the copy
     * keeps the rooms and begins a session of its own.
     */
    async claim() {
      if (await isCopy()) {
        tab.id = newId(random);
        tab.secret = tab.label = tab.nick = tab.confirmed = undefined;
        for (const room of tab.rooms) room.outgoing = [];
        await hold(tab.id);
      }
      write(session, TAB, tab);
    },

    /** Whether another tab of this person has this nick. */
    isNickElsewhere: (nick) => ask("ownNick", nick),

    get nick() { return read(local, "parlor.nick") ?? ""; },
    set nick(nick) { write(local, "parlor.nick", nick || undefined); },
    get ignored() {
      const nicks = read(local, "parlor.ignored");
      return Array.isArray(nicks) ? nicks.filter((nick) => typeof nick === "string") : [];
    },
    set ignored(nicks) { write(local, "parlor.ignored", nicks.length ? nicks : undefined); },
    draft: (room) => read(local, `parlor.draft.${room}`) ?? "",
    setDraft: (room, text) => write(local, `parlor.draft.${room}`, text || undefined),
    setting: (name) => read(local, `parlor.setting.${name}`),
    setSetting: (name, value) => write(local, `parlor.setting.${name}`, value),
  };
  return storage;

  async function isCopy() {
    // Only secure pages have locks. Without them the original answers, unless it is suspended.
    return locks ? !(await hold(tab.id)) : ask("id", tab.id);
  }

  /** Holds a lock of this name for as long as the page lives. False: another page has it. */
  function hold(name) {
    if (!locks) return Promise.resolve(true);
    return new Promise((resolve) => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), HANDOVER_MS);
      locks.request(`parlor.tab.${name}`, { signal: abort.signal }, () => {
        resolve(true);
        return new Promise(() => {});
      }).catch((error) => resolve(error?.name !== "AbortError"));
    });
  }

  /** Resolves to whether another tab says that a field of it has this value. */
  function ask(field, value) {
    if (!line) return Promise.resolve(false);
    return new Promise((resolve) => {
      const question = { field, value, resolve };
      questions.add(question);
      line.postMessage({ me, field, value, isQuestion: true });
      setTimeout(() => {
        questions.delete(question);
        resolve(false);
      }, QUESTION_MS);
    });
  }

  function heard({ me: other, field, value, isQuestion }) {
    if (other === me) return;
    if (!isQuestion) {
      for (const question of questions) {
        if (question.field === field && question.value === value) question.resolve(true);
      }
    } else if (value === (field === "id" ? tab.id : storage.ownNick)) {
      line.postMessage({ me, field, value });
    }
  }
}

const newId = (random) => Math.floor(random() * 2 ** 52).toString(36).padStart(11, "0");

function read(store, key) {
  try { return JSON.parse(store.getItem(key)) ?? undefined; } catch { return undefined; }
}

function write(store, key, value) {
  try {
    if (value === undefined) store.removeItem(key);
    else store.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false; // A private window, or it is full: then it is not remembered.
  }
}
