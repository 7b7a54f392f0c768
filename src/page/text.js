// The text of one message as DOM. In: text of a stranger. Out: one element a line, each with a
// direction of its own, links and names isolated; only ever inserted as text. Knows no message,
// room or state: the caller says where names are.

// A link begins with its scheme and ends before white space, quotation marks, brackets of East Asian
// text, controls of direction, and closing punctuation.
const LINK = /https?:\/\/[^\s<>"'\x60\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u3000-\u3003\u3008-\u3011\u3014-\u301b\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f\uff5b\uff5d\uff61-\uff64\u201c\u201d\u2018\u2019\u2026]+/giu;
// Controls that turn the text around a link. They are not shown in a line with a link.
const TURNING = /[\u202a-\u202e]/gu;
const CLOSING = /[.,;:!?*_~'"]$/u;
const PAIRS = { ")": "(", "]": "[", "}": "{" };

// Without closing punctuation and brackets that were not opened in it.
function trimLink(link) {
  for (;;) {
    const last = link.at(-1);
    const opening = PAIRS[last];
    const isUnbalanced = opening && link.split(last).length > link.split(opening).length;
    if (!isUnbalanced && !CLOSING.test(link)) return link;
    link = link.slice(0, -1);
  }
}

// `namesIn(text)` returns [begin, end, "own" | "member"] of each name in it, in order.
// The parts of one line: { kind: "text" | "link" | "own" | "member", text, href?, host? }.
// `host` is there where the text of the link does not plainly show the host that it opens.
export function partsOf(line, namesIn = () => []) {
  const parts = [];
  let at = 0;
  if (line.search(LINK) >= 0) line = line.replace(TURNING, "");
  for (const found of line.matchAll(LINK)) {
    const text = trimLink(found[0]);
    const link = linkOf(text);
    if (!link || found.index < at) continue;
    addNames(parts, line.slice(at, found.index), namesIn);
    parts.push(link);
    at = found.index + text.length;
  }
  addNames(parts, line.slice(at), namesIn);
  return parts;
}

function linkOf(text) {
  let url;
  try { url = new URL(text); } catch { return null; }
  if (!url.hostname || !/^https?:$/.test(url.protocol)) return null;
  const shown = text.slice(text.indexOf("//") + 2).split(/[/?#\\]/u, 1)[0];
  const isPlain = shown.toLowerCase() === url.host
    || shown.toLowerCase() === `${url.host}:${url.protocol === "https:" ? 443 : 80}`;
  return { kind: "link", text, href: url.href, ...(isPlain ? {} : { host: url.host }) };
}

function addNames(parts, text, namesIn) {
  let at = 0;
  for (const [begin, end, kind] of namesIn(text)) {
    if (begin < at) continue;
    if (begin > at) parts.push({ kind: "text", text: text.slice(at, begin) });
    parts.push({ kind, text: text.slice(begin, end) });
    at = end;
  }
  if (at < text.length) parts.push({ kind: "text", text: text.slice(at) });
}

// The lines of a text, at most `max`, and whether there are more.
export function linesOf(text, max = Infinity) {
  const lines = text.split("\n", max === Infinity ? undefined : max + 1);
  if (lines.length <= max) return { lines, isCut: false };
  return { lines: lines.slice(0, max), isCut: true };
}

// One element a line. `before` is put at the begin of the first one.
export function renderText(text, { namesIn, linesMax, before = [] } = {}) {
  const body = document.createDocumentFragment();
  const { lines, isCut } = linesOf(text, linesMax);
  lines.forEach((line, at) => {
    const element = document.createElement("div");
    element.className = "line";
    element.dir = "auto";
    if (at === 0) element.append(...before);
    for (const part of partsOf(line, namesIn)) element.append(renderPart(part));
    if (!line && !(at === 0 && before.length)) element.append(document.createElement("br"));
    body.append(element);
  });
  return { body, isCut };
}

function renderPart({ kind, text, href, host }) {
  if (kind === "text") return document.createTextNode(text);
  if (kind !== "link") {
    const name = document.createElement(kind === "own" ? "mark" : "b");
    name.className = "named";
    name.append(isolated(text));
    return name;
  }
  const link = document.createElement("a");
  link.href = href;
  // `dir` isolates it as well.
  link.dir = "ltr";
  link.textContent = text;
  if (href.split("#", 1)[0] !== location.href.split("#", 1)[0]) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  if (!host) return link;
  const both = document.createDocumentFragment();
  const real = document.createElement("span");
  real.className = "host";
  real.dir = "ltr";
  real.textContent = `[${host}]`;
  both.append(link, " ", real);
  return both;
}

export function isolated(text, className) {
  const element = document.createElement("bdi");
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
