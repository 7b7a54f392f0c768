// The colours of nicks: a hue from the nick, and for both themes the lightness at which that hue is
// readable on every background of a message. In: a nick. Out: two colours as `#rrggbb`.
// The backgrounds are those of style.css (a test compares them). Knows no DOM.

// Backgrounds of messages: plain, own, mentions the reader.
export const BACKGROUNDS = {
  light: ["#ffffff", "#edf3fa", "#fdf4dc"],
  dark: ["#1a1e23", "#202c39", "#352f20"],
};

// WCAG 2.2, 1.4.3 asks for 4.5; a little more is left for rounding to eight bits.
const CONTRAST_MIN = 4.6;
const SATURATION = 0.62;

export function hueOf(nick) {
  // Made-up nicks differ in their last characters. Half of a circle and a bit for each step of the
  // last one: neighbours get opposite hues, and sixteen in a row all differ.
  const characters = [...nick.toLowerCase()];
  const last = parseInt(characters.at(-1), 36);
  if (Number.isNaN(last)) return mix(characters) % 360;
  const turn = last * 157.5 + (last > 15 ? 11.25 : 0);
  return (mix(characters.slice(0, -1)) % 360 + turn) % 360;
}

// FNV-1a with a final mix, so that one bit of the nick changes all bits of the hue.
function mix(characters) {
  let hash = 0x811c9dc5;
  for (const character of characters) {
    hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const known = new Map();
const KNOWN_MAX = 2000;

export function coloursOf(nick) {
  let colours = known.get(nick);
  if (!colours) {
    if (known.size >= KNOWN_MAX) known.clear();
    const hue = hueOf(nick);
    colours = { light: readable(hue, "light"), dark: readable(hue, "dark") };
    known.set(nick, colours);
  }
  return colours;
}

// The colour of this hue that is as light (dark theme: as dark) as the contrast allows, so that all
// nicks are equally strong.
export function readable(hue, theme) {
  const isReadable = (lightness) => {
    const colour = hex(hsl(hue, SATURATION, lightness));
    return BACKGROUNDS[theme].every((background) => contrast(colour, background) >= CONTRAST_MIN);
  };
  let [good, bad] = theme === "light" ? [0, 1] : [1, 0];
  for (let step = 0; step < 9; step += 1) {
    const middle = (good + bad) / 2;
    if (isReadable(middle)) good = middle; else bad = middle;
  }
  return hex(hsl(hue, SATURATION, good));
}

// WCAG 2.2, "contrast ratio" and "relative luminance".
export function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function hsl(hue, saturation, lightness) {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((n) => {
    const k = (n + hue / 30) % 12;
    return lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  });
}

const hex = (parts) =>
  `#${parts.map((part) => Math.round(part * 255).toString(16).padStart(2, "0")).join("")}`;
