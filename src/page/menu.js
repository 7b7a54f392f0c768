// One menu that opens beside a button: what can be done with a message, a member or a room. Owns its
// place and its keys. Knows nothing of what its items do.
import { button, el } from "./render.js";

const EDGE_PX = 8;

export function createMenu(root) {
  const menu = el("div");
  menu.id = "menu";
  menu.setAttribute("role", "menu");
  menu.hidden = true;
  let anchor = null;

  /** `items`: [{ text, run, isDanger? }], with null between groups. */
  function open(opener, label, items) {
    close();
    const some = items.filter((item, at) => item || (at > 0 && items[at - 1] && items.slice(at).some(Boolean)));
    if (!some.some(Boolean)) return;
    anchor = opener;
    anchor.setAttribute("aria-expanded", "true");
    menu.setAttribute("aria-label", label);
    menu.replaceChildren(...some.map((item) => {
      if (!item) return Object.assign(el("div", "line-between"), { role: "separator" });
      const entry = button(item.isDanger ? "danger" : "", item.text, () => {
        close(true);
        item.run();
      });
      entry.setAttribute("role", "menuitem");
      entry.tabIndex = -1;
      return entry;
    }));
    // In the landmark of its opener, which may be all that can be reached.
    (opener.closest("main, aside") ?? root.body).append(menu);
    menu.hidden = false;
    place();
    entries()[0].focus({ preventScroll: true });
  }

  const entries = () => [...menu.querySelectorAll("button")];

  /** Below the opener or above it, inside the window. */
  function place() {
    const { left, right, top, bottom } = anchor.getBoundingClientRect();
    const { width, height } = menu.getBoundingClientRect();
    const isRight = getComputedStyle(anchor).direction === "rtl" ? left : right - width;
    const x = Math.min(Math.max(EDGE_PX, isRight), innerWidth - width - EDGE_PX);
    const y = bottom + height + EDGE_PX <= innerHeight ? bottom + 2 : Math.max(EDGE_PX, top - height - 2);
    menu.style.left = `${x}px`;
    menu.style.top = `${y}px`;
  }

  function close(isFocusKept = false) {
    if (menu.hidden) return;
    const hadFocus = menu.contains(root.activeElement);
    menu.hidden = true;
    anchor.setAttribute("aria-expanded", "false");
    if (!hadFocus && !isFocusKept) return;
    // The opener may have been drawn again: the field is always there.
    if (anchor.isConnected) anchor.focus({ preventScroll: true });
    else root.getElementById("words").focus();
  }

  menu.addEventListener("keydown", (event) => {
    const all = entries();
    const at = all.indexOf(root.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      close();
    } else if (to !== undefined) {
      event.preventDefault();
      all.at(to % all.length).focus();
    } else if (event.key.length === 1 && event.key !== " ") {
      const start = event.key.toLowerCase();
      [...all.slice(at + 1), ...all].find((entry) => entry.textContent.toLowerCase().startsWith(start))?.focus();
    } else return;
    event.stopPropagation();
  });
  root.addEventListener("pointerdown", (event) => { if (!menu.contains(event.target)) close(); }, { capture: true });
  menu.addEventListener("focusout", (event) => { if (!menu.contains(event.relatedTarget)) close(); });
  addEventListener("resize", () => close());

  return { open, close };
}
