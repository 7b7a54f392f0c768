// The nick: what the person asked for, what the server gave, and how the second becomes the first.
// A nick that another has is asked for again, for a while, since the other may be an earlier
// connection of this very tab. Knows no room and no DOM.

import { problemOf } from "./names.js";

/** When a nick that another connection has is asked for again: it may be one's own, half dead. */
const NICK_RETRIES_MS = [5_000, 15_000, 30_000, 60_000];

/** `isReady()`: the session is settled. `say(key, values)`: for the person alone. */
export function createNaming({ world, connection, storage, state, save, onChange, say, isReady }) {
  const { setTimeout, clearTimeout } = world;
  const { tab } = storage;
  let greeting = null; // Of this connection: { nick, refused }.
  let chosen = ""; // That the person asked for; it is remembered when it is confirmed.
  const asked = []; // Whose answer is under way: the server may have given them already.
  let timer = 0, tries = 0;
  let saidTaken = null; // The nick of which was said that another has it.
  let bad = null; // The nick that the address asks for and that cannot be one.

  /** What the address of the page asks for. */
  function wish(nick) {
    if (nick && !problemOf(nick)) tab.nick = chosen = nick.trim().normalize("NFC");
    else if (nick) bad = nick;
    tab.nick ||= storage.nick;
  }

  function greeted({ nick }) {
    greeting = { nick, refused: null };
  }

  /** The session is settled, and this is its nick. */
  function settled(nick) {
    state.nick = storage.ownNick = nick;
    if (!tab.nick) tab.nick = nick;
    // An error that says why may still be on its way.
    if (tab.nick === nick) is(nick);
    else if (greeting.refused) refused(greeting.refused);
    if (bad) say("nick_refused", { nick: bad, own: nick });
    bad = null;
  }

  /** A session that was resumed has the nick that it had. */
  function resumed(nick) {
    if (tab.nick !== nick && !greeting.refused) askFor(tab.nick);
  }

  /** Whether an error that answers no request is about the nick of the address. */
  function isAbout({ code, message }) {
    if (!greeting || greeting.refused || (code !== "nick_taken" && code !== "bad_name")) return false;
    greeting.refused = { code, message };
    // With a session that is resumed, it may be one's own connection that has the nick.
    if (isReady() && tab.nick !== state.nick) refused(greeting.refused);
    return true;
  }

  /** Whether the server has given this nick in the place of one that a user of another server has now.
   * That of the greeting is no such one. */
  function isLost(nick) {
    return Boolean(nick) && isReady() && nick !== state.nick && nick !== greeting?.nick;
  }

  /** The nick that is wanted could not be had. It is asked for again if only another has it. */
  function refused(why) {
    const wanted = tab.nick;
    if (why.code !== "nick_taken") {
      if (storage.nick === wanted) storage.nick = "";
      tab.nick = state.nick;
      return say("nick_refused", { nick: wanted, own: state.nick, ...why });
    }
    storage.isNickElsewhere(wanted).then((isElsewhere) => {
      if (!isReady() || tab.nick !== wanted || state.nick === wanted) return;
      if (isElsewhere) return askForSimilar(wanted, 2);
      // A tab that had it before has most likely met its own half-dead connection.
      const isPatient = tab.confirmed === wanted && tries < NICK_RETRIES_MS.length;
      if (saidTaken !== wanted && !isPatient) {
        saidTaken = wanted;
        say("nick_taken", { nick: wanted, own: state.nick });
      }
      askForLater(wanted);
    });
  }

  function request(nick, answered) {
    asked.push(nick);
    connection.request({ type: "nick", nick }, (answer) => {
      asked.splice(asked.indexOf(nick), 1);
      answered(answer);
    });
  }

  function askFor(wanted) {
    request(wanted, (answer) => {
      if (tab.nick !== wanted) return;
      if (answer.type === "ok") is(answer.nick);
      else if (answer.code === "nick_taken" || answer.code === "bad_name") refused(answer);
    });
  }

  function askForLater(wanted) {
    clearTimeout(timer);
    if (tries >= NICK_RETRIES_MS.length) return;
    timer = setTimeout(() => askFor(wanted), NICK_RETRIES_MS[tries++]);
  }

  /** The person has this nick in another tab: here it becomes `ann-2`. */
  function askForSimilar(wanted, number) {
    request(`${wanted}-${number}`, (answer) => {
      if (answer.type === "ok") return is(answer.nick);
      if (answer.code === "nick_taken" && number < 9) askForSimilar(wanted, number + 1);
    });
  }

  /** The server has given this nick, and it is the one that is wanted from here on. */
  function is(nick) {
    state.nick = tab.nick = tab.confirmed = storage.ownNick = nick;
    if (nick === chosen) storage.nick = nick;
    tries = 0;
    saidTaken = null;
    clearTimeout(timer);
    save();
    onChange({ connection: true });
  }

  function rename(nick) {
    return new Promise((resolve, reject) => {
      request(nick.trim(), (answer) => {
        if (answer.type === "error") return reject(answer);
        chosen = answer.nick;
        is(answer.nick);
        resolve(answer.nick);
      });
    });
  }

  return {
    wish, greeted, settled, resumed, isAbout, isLost, is, rename,
    lost: () => clearTimeout(timer),
    /** Those that the next entry of this person may have. */
    possible: () => [state.nick, ...asked],
  };
}
