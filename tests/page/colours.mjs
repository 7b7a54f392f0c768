// Colours can be read: nicks of every hue on every background of a message, and what style.css
// names for text, borders of fields and placeholders. Run by `node --test`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { BACKGROUNDS, coloursOf, contrast, hueOf, readable } from "../../src/page/colours.js";

const style = readFileSync(new URL("../../src/page/style.css", import.meta.url), "utf8");

// `--name: light-dark(#light, #dark)`: [light, dark].
function colour(name) {
  const found = new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(style);
  assert.ok(found, `style.css has no --${name}`);
  return found.slice(1, 3);
}

test("a nick of any hue can be read on every background", () => {
  for (const theme of ["light", "dark"]) {
    for (let hue = 0; hue < 360; hue += 0.25) {
      const nick = readable(hue, theme);
      for (const background of BACKGROUNDS[theme]) {
        assert.ok(contrast(nick, background) >= 4.5, `${theme} ${hue}: ${nick} on ${background}`);
      }
    }
  }
});

test("nicks are not all black or white", () => {
  for (let hue = 0; hue < 360; hue += 1) {
    assert.ok(contrast(readable(hue, "light"), "#000000") > 2.5, `light ${hue}`);
    assert.ok(contrast(readable(hue, "dark"), "#ffffff") > 1.7, `dark ${hue}`);
  }
});

test("the backgrounds are those of the style", () => {
  ["card", "own", "mention"].forEach((name, at) => {
    const [light, dark] = colour(name);
    assert.deepEqual([BACKGROUNDS.light[at], BACKGROUNDS.dark[at]], [light, dark], name);
  });
});

test("guests that differ in the last digit have hues that can be told apart", () => {
  const apart = (a, b) => Math.min(Math.abs(a - b), 360 - Math.abs(a - b));
  for (const prefix of ["guest-a1f", "guest-000", "guest-"]) {
    const hues = [..."0123456789abcdef"].map((digit) => hueOf(prefix + digit));
    hues.forEach((hue, at) => hues.slice(at + 1).forEach((other, ahead) => {
      assert.ok(apart(hue, other) >= 22, `${prefix}: ${at}, ${at + 1 + ahead}`);
    }));
    hues.slice(1).forEach((hue, at) => assert.ok(apart(hue, hues[at]) > 100, `${prefix}: ${at}`));
  }
});

test("a nick has the same colour in every case", () => {
  assert.deepEqual(coloursOf("Ann"), coloursOf("ann"));
});

test("text, links, borders of fields and placeholders have the contrast of WCAG", () => {
  const wanted = [
    ["ink", 7, ["page", "card", "own", "mention", "raised"]],
    ["quiet", 4.5, ["page", "card", "own", "mention", "raised"]],
    ["accent", 4.5, ["page", "card", "own", "mention", "raised"]],
    ["on-accent", 4.5, ["accent"]],
    ["bad", 4.5, ["page", "card", "own", "mention", "bad-ground"]],
    ["good", 3, ["page", "card"]],
    ["edge", 3, ["page", "card", "raised"]],
    ["ink", 7, ["bad-ground", "wait-ground", "chosen"]],
    ["quiet", 4.5, ["chosen"]],
    ["accent", 4.5, ["chosen"]],
    ["on-alert", 4.5, ["alert"]],
  ];
  for (const [name, least, backgrounds] of wanted) {
    for (const background of backgrounds) {
      [0, 1].forEach((theme) => {
        const ratio = contrast(colour(name)[theme], colour(background)[theme]);
        assert.ok(ratio >= least, `${name} on ${background}, theme ${theme}: ${ratio.toFixed(2)}`);
      });
    }
  }
});
