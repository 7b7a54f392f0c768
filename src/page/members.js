// The members of the present room. Of a long list only the members near the view are in the
// document, and further pages are asked for when the reader comes near their end. Knows no socket.
import { button, el, shape } from "./render.js";
import { isolated } from "./text.js";

const AHEAD = 10;

export function createMembers(root, chat, t, { mention, openMenu }) {
  const at = (id) => root.getElementById(id);
  const scroller = at("member-list"), title = at("members-title"), count = at("members-count");
  const above = el("div"), list = el("ul"), below = el("div"), note = el("p", "note");
  scroller.append(above, list, below, note);
  let state = null;
  let room = null;
  let height = 36;
  let drawn = "";
  let isAsking = false;

  function draw(next) {
    state = next;
    const present = state.rooms.get(state.current) ?? null;
    if (present !== room) {
      room = present;
      scroller.scrollTop = 0;
      isAsking = false;
    }
    const members = room?.phase === "joined" ? room.count ?? room.members.list.length : 0;
    count.textContent = members ? t.number(members) : "";
    const label = t("members.count", { count: members });
    at("members-open").setAttribute("aria-label", label);
    at("members-open").title = label;
    title.textContent = members ? label : t("members.title");
    drawList();
  }

  function drawList() {
    const nicks = room?.phase === "joined" ? room.members.list : [];
    const from = Math.max(0, Math.floor(scroller.scrollTop / height) - AHEAD);
    const to = Math.min(nicks.length, from + Math.ceil(scroller.clientHeight / height) + 2 * AHEAD);
    above.style.height = `${from * height}px`;
    below.style.height = `${(nicks.length - to) * height}px`;
    const shown = nicks.slice(from, to);
    const signature = `${t.language}\n${state?.nick}\n${from}\n${nicks.length}\n${shown.join("\n")}`;
    if (signature !== drawn) {
      drawn = signature;
      redraw(shown, from, nicks.length + (room?.members.more ?? 0));
    }
    const more = room?.phase === "joined" ? room.members.more : 0;
    note.textContent = more ? t("members.more", { count: more }) : "";
    note.hidden = !more;
    if (more && to >= nicks.length - AHEAD) ask();
  }

  function redraw(shown, from, size) {
    const focused = list.contains(root.activeElement) ? root.activeElement.dataset.nick : null;
    list.replaceChildren(...shown.map((nick, index) => {
      const member = button("", isolated(nick), () => mention(nick));
      member.dataset.nick = nick;
      member.tabIndex = -1;
      if (nick === state.nick) member.append(el("small", "", t("members.you")));
      else member.title = t("members.mention", { nick });
      const item = el("li", "", member);
      if (nick !== state.nick) {
        const more = button("icon more", shape("more"), () => openMenu(more, room.name, nick));
        more.tabIndex = -1;
        more.title = t("members.more-of", { nick });
        more.setAttribute("aria-label", more.title);
        more.setAttribute("aria-haspopup", "menu");
        item.append(more);
      }
      item.setAttribute("aria-setsize", String(size));
      item.setAttribute("aria-posinset", String(from + index + 1));
      return item;
    }));
    if (focused != null) {
      const same = [...list.querySelectorAll("[data-nick]")].find((member) => member.dataset.nick === focused);
      (same ?? scroller).focus({ preventScroll: true });
    }
    const measured = list.firstElementChild?.getBoundingClientRect().height;
    if (measured && Math.abs(measured - height) > 0.5) {
      height = measured;
      drawn = "";
      drawList();
    }
  }

  async function ask() {
    if (isAsking || !scroller.clientHeight) return;
    isAsking = true;
    const { name, members } = room;
    try { await chat.who(name, members.list.at(-1)); } catch { /* the next scroll asks again */ }
    isAsking = false;
  }

  scroller.addEventListener("scroll", drawList, { passive: true });
  new ResizeObserver(() => { if (state) drawList(); }).observe(scroller);
  // One stop of Tab; up and down go through the members, to the side is what can be done with one.
  scroller.addEventListener("keydown", (event) => {
    const item = root.activeElement.closest("#member-list li");
    const isMenuKey = event.key === "ContextMenu" || event.key === "F10" && event.shiftKey;
    if (item && (isMenuKey || event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      event.preventDefault();
      const isBack = root.activeElement.matches(".more");
      (isBack ? item.firstChild : item.querySelector(".more"))?.focus();
      if (isMenuKey) item.querySelector(".more")?.click();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const members = [...list.querySelectorAll("[data-nick]")];
    const present = members.indexOf(item?.firstChild);
    const next = present < 0 ? members[Math.ceil((scroller.scrollTop - above.offsetHeight) / height)] : members[present + step];
    next?.focus();
  });

  return { draw };
}
