// What the reader chooses: name, appearance, language, how joins are shown, notifications. Owns the
// values; `store` keeps them. Knows what they are, not what others do with them.
import { LANGUAGE_NAMES } from "./i18n.js";

const CHOICES = {
  theme: ["system", "light", "dark"],
  language: ["auto", "en", "zh"],
  joins: ["fold", "each", "hide"],
  notify: ["off", "mentions", "all"],
};
const DEFAULTS = { theme: "system", language: "auto", joins: "fold", notify: "off" };

// `given` are values of the page's address: they hold for this page and are not kept.
export function createSettings(store, given = {}) {
  const values = {};
  for (const [name, choices] of Object.entries(CHOICES)) {
    const wanted = [given[name], store.setting(name)].find((value) => choices.includes(value));
    values[name] = wanted ?? DEFAULTS[name];
  }
  const watchers = [];
  return {
    get: (name) => values[name],
    set(name, value) {
      if (!CHOICES[name].includes(value) || values[name] === value) return;
      values[name] = value;
      store.setSetting(name, value);
      watchers.forEach((changed) => changed(name));
    },
    onChange: (changed) => watchers.push(changed),
  };
}

export function createSettingsDialog(root, chat, t, { settings }) {
  const at = (id) => root.getElementById(id);
  const dialog = at("settings-dialog"), nick = at("nick"), nickHint = at("nick-hint"), notifyHint = at("notify-hint");
  let state = null;

  function draw(next) {
    state = next;
    if (root.activeElement !== nick) nick.value = state.nick ?? "";
  }

  function label() {
    for (const [name, choices] of Object.entries(CHOICES)) {
      const select = at(name);
      select.replaceChildren(...choices.map((value) => {
        const text = name === "language" && value !== "auto" ? LANGUAGE_NAMES[value] : t(`settings.${name}-${value}`);
        return new Option(text, value, false, value === settings.get(name));
      }));
      select.value = settings.get(name);
    }
    drawNotifyHint();
  }

  function drawNotifyHint() {
    const isWanted = settings.get("notify") !== "off";
    const permission = globalThis.Notification?.permission ?? "denied";
    notifyHint.textContent = isWanted && permission === "denied" ? t("settings.notify-denied") : "";
  }

  async function changed(name, value) {
    settings.set(name, value);
    if (name === "notify" && value !== "off" && globalThis.Notification?.permission === "default") {
      try { await Notification.requestPermission(); } catch { /* not in this browser */ }
    }
    drawNotifyHint();
  }

  for (const name of Object.keys(CHOICES)) at(name).addEventListener("change", () => changed(name, at(name).value));

  at("nick-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = nick.value.trim();
    if (!wanted) return;
    try {
      await chat.rename(wanted);
      nickHint.classList.remove("bad");
      nickHint.textContent = t("settings.renamed", { nick: state.nick });
    } catch (why) {
      nickHint.classList.add("bad");
      nickHint.textContent = t.error(why);
    }
  });

  function openDialog(field) {
    nick.value = state?.nick ?? "";
    nickHint.textContent = "";
    label();
    dialog.showModal();
    if (field === "nick") { nick.focus(); nick.select(); }
  }
  at("settings-open").addEventListener("click", () => openDialog());
  at("own-nick").addEventListener("click", () => openDialog("nick"));

  return { draw, label, openDialog };
}
