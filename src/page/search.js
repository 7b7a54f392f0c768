// The dialog that searches the present room, and shows where in it a message is. Knows no socket.
import { button, el, nickElement } from "./render.js";

const BEFORE_MAX = 60;

export function createSearch(root, chat, t, { show }) {
  const at = (id) => root.getElementById(id);
  const dialog = at("search-dialog"), field = at("query"), label = at("search-state");
  const list = at("found"), more = at("search-more");
  let state = null;
  let asked = null; // { room, query, before }

  function draw(next) {
    state = next;
    if (asked && asked.room !== state.current) clear();
  }

  function clear() {
    asked = null;
    list.replaceChildren();
    label.textContent = "";
    more.hidden = true;
  }

  async function search(query, before) {
    const mine = asked = { room: state.current, query, before };
    label.classList.remove("bad");
    label.textContent = t("search.under-way");
    more.disabled = true;
    try {
      const answer = await chat.search(mine.room, query, before);
      if (mine !== asked) return;
      if (before == null) list.replaceChildren();
      const entries = [...answer.entries].reverse();
      list.append(...entries.map((entry) => result(mine.room, entry, query)));
      asked.before = entries.at(-1)?.seq ?? before;
      more.hidden = !answer.more || !entries.length;
      label.textContent = list.childElementCount ? t("search.count", { count: list.childElementCount }) : t("search.none");
    } catch (why) {
      if (mine !== asked) return;
      label.classList.add("bad");
      label.textContent = t.error(why);
    } finally {
      more.disabled = false;
    }
  }

  function result(room, entry, query) {
    const time = el("time", "", t.short(entry.time));
    time.dateTime = new Date(entry.time).toISOString();
    time.title = t.full(entry.time);
    const open = button("", "", () => {
      dialog.close();
      show(room, entry.seq);
    });
    open.append(nickElement(entry.nick), ": ", time, highlighted(entry.text, query));
    return el("li", "", open);
  }

  // From shortly before the first word that was found, with all of them marked.
  function highlighted(text, query) {
    const words = query.trim().split(/\s+/u).map((word) => word.replace(/[.*+?^${}()|[\]\\]/gu, "\\$&"));
    const parts = text.split(new RegExp(`(${words.join("|")})`, "giu"));
    if (parts.length > 1 && parts[0].length > BEFORE_MAX) parts[0] = `…${parts[0].slice(-BEFORE_MAX)}`;
    return el("bdi", "text", ...parts.slice(0, 40).map((part, at) => (at % 2 ? el("mark", "", part) : part)));
  }

  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim() && state.current) search(field.value, undefined);
  });
  more.addEventListener("click", () => search(asked.query, asked.before));

  function openDialog(query = "") {
    if (query) field.value = query;
    dialog.showModal();
    field.focus();
    field.select();
    if (query) search(query, undefined);
  }
  at("search-open").addEventListener("click", () => openDialog());

  return { draw, openDialog };
}
