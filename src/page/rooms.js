// The list of rooms of this tab with what is unread in them, and the dialog to join another.
// A name that a room cannot have is not tried: the nearest good one is suggested. Knows no socket.
import { isDirect, nearestRoomName, problemOfRoom, signed } from "./names.js";
import { button, el, shape } from "./render.js";
import { isolated } from "./text.js";

const DIRECTORY_MAX = 200;

export function createRooms(root, chat, t, { opened, askPassword }) {
  const at = (id) => root.getElementById(id);
  const list = at("room-list"), elsewhere = at("elsewhere");
  const dialog = at("join-dialog"), field = at("room"), hint = at("join-hint"), directory = at("directory");
  const rows = new Map();
  let state = null;

  function draw(next) {
    state = next;
    for (const [name, row] of rows) {
      if (state.rooms.has(name)) continue;
      row.item.remove();
      rows.delete(name);
    }
    let others = { unread: 0, mentions: 0 };
    for (const room of state.rooms.values()) {
      const row = rows.get(room.name) ?? add(room.name);
      drawRow(row, room);
      if (room.name === state.current) continue;
      others.unread += room.unread;
      others.mentions += room.mentions;
    }
    drawBadge(elsewhere, others);
    if (dialog.open) drawDirectory();
  }

  function add(name) {
    const badge = el("span", "badge");
    const spoken = el("span", "unseen");
    const open = button("room", "", () => { chat.show(name); opened(); });
    open.append(isolated(signed(name)[1], isDirect(name) ? "name direct" : "name"), badge, spoken);
    const leave = button("icon leave", shape("close"), () => chat.leave(name));
    const row = { item: el("li", "", open, leave), open, leave, badge, spoken };
    rows.set(name, row);
    list.append(row.item);
    return row;
  }

  function drawRow({ item, open, leave, badge, spoken }, room) {
    item.classList.toggle("unread", room.unread > 0);
    item.classList.toggle("refused", room.phase === "refused" || room.phase === "left");
    if (room.name === state.current) open.setAttribute("aria-current", "page");
    else open.removeAttribute("aria-current");
    const label = t("rooms.leave", { room: room.name });
    if (leave.title !== label) {
      leave.title = label;
      leave.setAttribute("aria-label", label);
    }
    drawBadge(badge, room);
    const parts = [];
    if (room.unread) parts.push(t("rooms.unread", { count: room.unread }));
    if (room.mentions) parts.push(t("rooms.mentions", { count: room.mentions }));
    const text = parts.length ? `, ${parts.join(", ")}` : "";
    if (spoken.textContent !== text) spoken.textContent = text;
  }

  function drawBadge(badge, { unread, mentions }) {
    const text = unread > 99 ? "99+" : String(unread);
    badge.hidden = !unread;
    badge.setAttribute("aria-hidden", "true");
    badge.classList.toggle("mentions", mentions > 0);
    if (badge.textContent !== text) badge.textContent = text;
  }

  // The dialog

  function openDialog(name = "") {
    field.value = name;
    say("");
    drawDirectory();
    dialog.showModal();
    field.focus();
    Promise.resolve(chat.listRooms()).catch(() => {});
  }

  function drawDirectory() {
    const others = (state.directory ?? []).filter(({ room }) => !state.rooms.has(room));
    others.sort((a, b) => b.count - a.count);
    directory.replaceChildren(...others.slice(0, DIRECTORY_MAX).map(({ room, count }) => {
      const open = button("", isolated(room), () => join(room));
      open.append(el("span", "count", t("rooms.count", { count })));
      return el("li", "", open);
    }));
    if (!others.length) directory.replaceChildren(el("li", "hint", t(state.directory ? "join.none" : "log.loading")));
  }

  function say(text, isBad = false) {
    hint.classList.toggle("bad", isBad);
    hint.replaceChildren(text);
  }

  function suggest() {
    const name = field.value;
    const problem = name.trim() ? problemOfRoom(name) : null;
    if (!problem) return say("");
    const nearest = nearestRoomName(name);
    if (!nearest) return say(t(`join.bad-${problem}`), true);
    say(t("join.nearest", { room: isolated(nearest) }));
  }

  async function submit(event) {
    event.preventDefault();
    const problem = problemOfRoom(field.value);
    const name = problem ? nearestRoomName(field.value) : field.value.trim();
    if (!name) return say(t(`join.bad-${problem}`), true);
    join(name);
  }

  async function join(name) {
    say(t("log.joining"));
    try {
      await chat.join(name);
      dialog.close();
      opened();
    } catch (why) {
      if (!dialog.open) return;
      if (why.code !== "wrong_password") return say(t.error(why), true);
      dialog.close();
      askPassword(name);
    }
  }

  field.addEventListener("input", suggest);
  dialog.querySelector("form").addEventListener("submit", submit);
  at("join-open").addEventListener("click", () => openDialog());

  return { draw, openDialog };
}
