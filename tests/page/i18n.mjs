// Both languages have the same keys, the same placeholders and the plural forms that they need; and
// every key that the page uses is there. Run by `node --test`.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { COMMANDS } from "../../src/page/commands.js";
import { chooseLanguage, createText, TABLES } from "../../src/page/i18n.js";

const forms = (value) => (typeof value === "string" ? { other: value } : value);
const placeholders = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

test("all tables have the same keys in the same order", () => {
  assert.deepEqual(Object.keys(TABLES.zh), Object.keys(TABLES.en));
});

test("all forms of a text have the same placeholders", () => {
  for (const key of Object.keys(TABLES.en)) {
    const expected = placeholders(forms(TABLES.en[key]).other);
    for (const [language, table] of Object.entries(TABLES)) {
      for (const [form, text] of Object.entries(forms(table[key]))) {
        assert.deepEqual(placeholders(text), expected, `${language} ${key} ${form}`);
      }
    }
  }
});

test("a text with plural forms has those of its language", () => {
  for (const [language, table] of Object.entries(TABLES)) {
    const needed = new Intl.PluralRules(language).resolvedOptions().pluralCategories.sort();
    for (const [key, value] of Object.entries(table)) {
      if (typeof value === "object") assert.deepEqual(Object.keys(value).sort(), needed, `${language} ${key}`);
    }
  }
});

test("every key that a view or the page names is in the tables, and every key is named", () => {
  const folder = new URL("../../src/page/", import.meta.url);
  const sources = readdirSync(folder).filter((name) => /\.(js|html)$/.test(name) && !TABLES[name.slice(0, 2)])
    .map((name) => readFileSync(new URL(name, folder), "utf8")).join("\n");
  const named = [...sources.matchAll(/\bt(?:\.has)?\("([^"]+)"|data-t(?:-\w+)?="([^"]+)"/g)].map(([, code, markup]) => code ?? markup);
  assert.ok(named.length > 80);
  for (const key of named) assert.ok(Object.hasOwn(TABLES.en, key), `no text for ${key}`);
  // The others are put together: t(`error.${code}`), t(isAll ? "log.less" : "log.more").
  const prefixes = [...sources.matchAll(/`([a-z]+[._](?:[a-z-]+)?)\$\{/g)].map(([, prefix]) => prefix);
  for (const key of Object.keys(TABLES.en)) {
    const isUsed = sources.includes(`"${key}"`) || prefixes.some((prefix) => key.startsWith(prefix));
    assert.ok(isUsed || key.startsWith("help_"), `${key} is not used`);
  }
});

test("every command has its help", () => {
  for (const { help } of COMMANDS) assert.ok(Object.hasOwn(TABLES.en, help), help);
});

test("the language is the chosen one, else the first of the browser's that there is", () => {
  assert.equal(chooseLanguage("zh", ["en"]), "zh");
  assert.equal(chooseLanguage("auto", ["fr-FR", "zh-Hans-CN", "en"]), "zh");
  assert.equal(chooseLanguage("auto", ["EN_gb"]), "en");
  assert.equal(chooseLanguage("auto", ["fr"]), "en");
  assert.equal(chooseLanguage(undefined, undefined), "en");
  assert.equal(chooseLanguage("constructor", []), "en");
});

test("a value is put in as it is, and counts choose the form", () => {
  const t = createText("en", ["en"]);
  assert.equal(t("rooms.leave", { room: "{count} <b>" }), "Leave {count} <b>");
  assert.equal(t("members.count", { count: 1 }), "1 member");
  assert.equal(t("members.count", { count: 2345 }), "2,345 members");
  t.use("zh");
  assert.equal(t("members.count", { count: 1 }), "1 位成员");
});
