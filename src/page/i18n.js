// The texts of the page in one language. In: a key of en.js and zh.js and values for its
// placeholders. Out: text, or with DOM values a fragment whose parts are isolated from each other.
// Knows no view; `apply` fills in what index.html names with `data-t`.
import en from "./en.js";
import zh from "./zh.js";

export const TABLES = { en, zh };
// Each in its own language and script, for a reader who cannot read the present one.
export const LANGUAGE_NAMES = { en: "English", zh: "中文" };

// The chosen language, or the first of the browser's that there is a table for.
export function chooseLanguage(choice, wanted) {
  if (Object.hasOwn(TABLES, choice)) return choice;
  const base = (tag) => String(tag).toLowerCase().split(/[-_]/)[0];
  return (wanted ?? []).map(base).find((tag) => Object.hasOwn(TABLES, tag)) ?? "en";
}

export function createText(choice = "auto", wanted = globalThis.navigator?.languages ?? ["en"]) {
  let language, locale, table, plural, formats;

  function use(choice) {
    language = chooseLanguage(choice, wanted);
    // The reader's own region, where it has this language, decides how times are written.
    locale = wanted.find((tag) => tag.toLowerCase().split("-")[0] === language) ?? language;
    table = TABLES[language];
    plural = new Intl.PluralRules(language);
    const format = (options) => new Intl.DateTimeFormat(locale, options);
    formats = {
      time: format({ hour: "2-digit", minute: "2-digit" }),
      day: format({ weekday: "long", year: "numeric", month: "long", day: "numeric" }),
      full: format({ dateStyle: "full", timeStyle: "medium" }),
      short: format({ dateStyle: "medium", timeStyle: "short" }),
      number: new Intl.NumberFormat(locale),
      list: new Intl.ListFormat(language, { style: "long", type: "conjunction" }),
    };
  }

  function t(key, values = {}) {
    const parts = formOf(key, values).split(/\{(\w+)\}/);
    const hasNodes = Object.values(values).some((value) => typeof value === "object" && value);
    if (!hasNodes) {
      return parts.map((part, at) => (at % 2 ? shown(values[part]) : part)).join("");
    }
    const fragment = document.createDocumentFragment();
    parts.forEach((part, at) => fragment.append(at % 2 ? isolate(values[part]) : part));
    return fragment;
  }

  function formOf(key, values) {
    const form = table[key] ?? key;
    return typeof form === "string" ? form : form[plural.select(values.count)] ?? form.other;
  }

  const shown = (value) => (typeof value === "number" ? formats.number.format(value) : String(value ?? ""));

  function isolate(value) {
    if (typeof value === "object") return value;
    const element = document.createElement("bdi");
    element.textContent = shown(value);
    return element;
  }

  t.has = (key) => Object.hasOwn(table, key);
  t.use = use;
  t.time = (ms) => formats.time.format(ms);
  t.day = (ms) => formats.day.format(ms);
  t.full = (ms) => formats.full.format(ms);
  t.short = (ms) => formats.short.format(ms);
  t.number = (number) => formats.number.format(number);
  // The nodes as a list in words: "ann, bob and cat".
  t.list = (nodes) => {
    const fragment = document.createDocumentFragment();
    const parts = formats.list.formatToParts(nodes.map((_, at) => String(at)));
    for (const { type, value } of parts) fragment.append(type === "element" ? nodes[Number(value)] : value);
    return fragment;
  };
  // What is wrong, by the code of protocol.md where there is a text for it.
  t.error = (why) => (t.has(`error.${why?.code}`) ? t(`error.${why.code}`) : why?.message || t("error.unknown"));
  t.apply = (root) => {
    root.documentElement.lang = language === "zh" ? "zh-Hans" : language;
    for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
    for (const [data, attribute] of [["tLabel", "aria-label"], ["tTitle", "title"], ["tPlaceholder", "placeholder"]]) {
      const name = data.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      for (const element of root.querySelectorAll(`[data-${name}]`)) {
        element.setAttribute(attribute, t(element.dataset[data]));
        // What an icon does is shown to the eye as well.
        if (data === "tLabel" && element.localName === "button") element.title = t(element.dataset[data]);
      }
    }
  };
  Object.defineProperty(t, "language", { get: () => language });

  use(choice);
  return t;
}
