// Names of rooms and members: what is allowed, the nearest good name of a room, and whom a text
// mentions. The server decides; this only spares a round trip and finds a better name.

/** The longest name in characters. */
export const NAME_MAX = 32;

const ALLOWED = /^[\p{L}\p{M}\p{Nd}._-]+$/u;
const WORD = /[\p{L}\p{M}\p{Nd}_-]/u;
/** Scripts that are written without spaces between words. */
const UNSPACED = new RegExp(
  ["Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"]
    .map((script) => `\\p{Script=${script}}`).join("|"), "u");

/** What is wrong with a name: "empty", "long", "space", "character", "letter"; null: nothing. */
export function problemOf(name) {
  const text = name.trim().normalize("NFC");
  if (!text) return "empty";
  if (/\s/u.test(text)) return "space";
  if (!ALLOWED.test(text)) return "character";
  if (!/[\p{L}\p{Nd}]/u.test(text)) return "letter";
  return [...text].length > NAME_MAX ? "long" : null;
}

/** A conversation of two is a room with the name of the other: `@ann`. */
export const isDirect = (room) => room.startsWith("@");

/** A room's name in two parts, the sign and what follows it. */
export const signed = (room) => (isDirect(room) ? ["@", room.slice(1)] : ["#", room]);

/** As `problemOf`, of a room. */
export const problemOfRoom = (name) => problemOf(name.trim().replace(/^@/u, ""));

/** A room's name however it is typed: without case and joiners, in compatibility forms. */
export function foldRoom(name) {
  const plain = name.trim().replace(/[\u200c\u200d]/gu, "").normalize("NFKC");
  if (/^[ -~]*$/u.test(plain)) return plain.toLowerCase();
  return plain.replace(/[^ı]/gu, foldCase).normalize("NFC");
}

/** One character as Unicode folds it: ß is ss, ς is σ, ı has no other case, Cherokee is capital. */
const foldCase = (character) => (/\p{Script=Cherokee}/u.test(character)
  ? character.toUpperCase() : character.toLowerCase().toUpperCase().toLowerCase());

/** The nearest name that a room can have: `#General chat` is `general-chat`. null: none. */
export function nearestRoomName(text) {
  const name = foldRoom(text)
    .replace(/['’]/gu, "")
    // C++ and C#.
    .replace(/(?<=[\p{L}\p{Nd}][+#]*)[+#]/gu, (sign) => (sign === "+" ? "plus" : "sharp"))
    .replace(/-*[^\p{L}\p{M}\p{Nd}._-][^\p{L}\p{M}\p{Nd}._]*/gu, "-")
    .replace(/^[-._\p{M}]+/u, "");
  const short = [...name].slice(0, NAME_MAX).join("").replace(/[-._]+$/u, "");
  return problemOf(short) ? null : short;
}

/** Where a nick stands in a text as a word of its own: pairs of begin and end. */
export function mentionsOf(text, nick) {
  const found = [];
  if (!nick) return found;
  const [haystack, needle] = [lower(text), lower(nick)];
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    const end = at + needle.length;
    const before = haystack.slice(0, at).match(/.$/su)?.[0];
    const after = haystack.slice(end).match(/^./su)?.[0];
    if (isEdge(before, needle[0]) && isEdge(after, needle.at(-1))) found.push([at, end]);
  }
  return found;
}

export const isMentioned = (text, nick) => mentionsOf(text, nick).length > 0;

/** In lower case and of the same length, so that places in both are the same. */
const lower = (text) => text.replace(/\p{Lu}/gu, (letter) => {
  const small = letter.toLowerCase();
  return small.length === letter.length ? small : letter;
});

/** Between two letters of a script without spaces, or of different kinds, a word may end. */
function isEdge(beside, inside) {
  if (beside === undefined || !WORD.test(beside)) return true;
  return UNSPACED.test(beside) || UNSPACED.test(inside);
}

/** The order in which the server lists nicks: by code points. */
export function compareNames(a, b) {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [one, other] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (one !== other) return place(one) - place(other);
  }
  return a.length - b.length;
}

/** Halves of surrogate pairs stand for what comes behind all that is one unit. */
const place = (unit) => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);
