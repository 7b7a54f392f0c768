// All views of the page and what they do for each other: the one place that knows every view. In:
// the document, the chat, what keeps settings, and what the address of the page asks for. Out: one
// `draw(state, changes)`. Knows no socket.
import { createComposer } from "./composer.js";
import { closes, createDialogs } from "./dialogs.js";
import { createHeader } from "./header.js";
import { createText } from "./i18n.js";
import { createLog } from "./log.js";
import { createLogin } from "./login.js";
import { createMembers } from "./members.js";
import { createMenu } from "./menu.js";
import { mentionsOf } from "./names.js";
import { createNotify } from "./notify.js";
import { createOrder } from "./order.js";
import { createRooms } from "./rooms.js";
import { createSearch } from "./search.js";
import { createSettings, createSettingsDialog } from "./settings.js";

const MEMBER = /@([\p{L}\p{M}\p{Nd}._-]*[\p{L}\p{M}\p{Nd}_-])/gu;

// `given`: { theme?, language?, compact? } of the page's address. `linkTo(room, seq)`: the address of
// a message.
export function createViews(root, chat, { storage, given = {}, linkTo }) {
  const settings = createSettings(storage, given);
  const t = createText(settings.get("language"));
  const page = root.documentElement;
  let drawn = null;

  const show = (room, seq) => {
    header.closePanels();
    if (seq) log.show(room, seq);
    else chat.show(room);
  };
  const notify = createNotify(root, chat, t, { settings, show });
  const { announce } = notify;
  const dialogs = createDialogs(root, t);
  const reply = (room, seq) => {
    chat.setReply(room, seq);
    composer.focus();
  };
  const mention = (nick) => {
    header.closePanels();
    composer.mention(nick);
  };
  const login = createLogin(root, chat, t, { dialogs, announce });
  const order = createOrder(root, chat, t, {
    menu: createMenu(root), dialogs, announce, reply, mention,
    copyLink: (room, seq) => log.copyLink(room, seq),
    openAccount: () => login.open(),
  });
  const log = createLog(root, chat, t, {
    settings, namesIn, linkTo, announce, reply, order,
    takeBack: (text) => composer.takeBack(text),
  });
  const composer = createComposer(root, chat, t, { log, announce, order, search: (query) => search.openDialog(query) });
  const rooms = createRooms(root, chat, t, {
    askPassword,
    opened: () => {
      header.closePanels();
      if (matchMedia("(hover: hover)").matches) composer.focus();
    },
  });
  const members = createMembers(root, chat, t, { mention, openMenu: order.ofMember });
  const search = createSearch(root, chat, t, { show });
  const dialog = createSettingsDialog(root, chat, t, { settings });
  const header = createHeader(root, chat, t, {
    order, openJoin: () => rooms.openDialog(), openAccount: () => login.open(), askPassword,
  });
  const views = [order, header, rooms, members, log, composer, search, dialog, notify, login];

  /** A room has a password, which is kept for as long as the page. */
  function askPassword(name) {
    dialogs.ask({
      title: t("state.password"), submit: t("join.do"),
      fields: [{ name: "password", label: t("account.password"), kind: "password", isRequired: true, autocomplete: "off" }],
      run: ({ password }) => chat.join(name, { password }),
    });
  }

  // Own nicks, and members after an @.
  function namesIn(text, state, room) {
    const found = mentionsOf(text, state.nick)
      .map(([begin, end]) => [text[begin - 1] === "@" ? begin - 1 : begin, end, "own"]);
    for (const { 0: word, 1: nick, index } of text.matchAll(MEMBER)) {
      if (nick !== state.nick && room.members.list.includes(nick)) found.push([index, index + word.length, "member"]);
    }
    return found.sort(([a], [b]) => a - b);
  }

  function applyTheme() {
    const theme = settings.get("theme");
    if (theme === "system") delete page.dataset.theme;
    else page.dataset.theme = theme;
  }

  function applyLanguage() {
    t.use(settings.get("language"));
    t.apply(root);
    dialog.label();
  }

  settings.onChange((name) => {
    if (name === "theme") applyTheme();
    if (name === "language") applyLanguage();
    if (drawn) draw(drawn, []);
  });

  function draw(state, changes) {
    drawn = state;
    for (const view of views) view.draw(state, changes);
  }

  applyTheme();
  applyLanguage();
  if (given.compact) page.dataset.compact = "";

  for (const element of root.querySelectorAll("dialog")) closes(element);

  // A link to a message of this chat is followed without loading the page again.
  root.getElementById("log").addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const url = link && new URL(link.href);
    const isHere = url && url.origin === location.origin && url.pathname === location.pathname;
    const room = isHere && url.searchParams.get("room");
    if (!room || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    chat.join(room).then((joined) => show(joined.name, Number(url.hash.slice(1)) || 0), () => {});
  });

  // What is typed while nothing else wants it goes into the field.
  root.addEventListener("keydown", (event) => {
    const isText = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
    const at = root.activeElement;
    const isFree = at === root.body || at?.id === "log" || at?.classList.contains("row");
    if (isText && isFree && !event.isComposing && !root.querySelector("dialog[open]")) composer.focus();
  });

  // iOS draws its keyboard over the page instead of making the page smaller.
  const { visualViewport } = globalThis;
  visualViewport?.addEventListener("resize", () => {
    const isKeyboard = visualViewport.scale === 1 && visualViewport.height < innerHeight - 1;
    if (isKeyboard) page.style.setProperty("--height", `${visualViewport.height}px`);
    else page.style.removeProperty("--height");
    scrollTo(0, 0);
  });

  return { draw, show, focus: () => composer.focus() };
}
