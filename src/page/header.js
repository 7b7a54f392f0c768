// Above the messages: the room's name and topic, what happens with the connection or with the room
// and what can be done about it; and the columns at the sides, which come over the room where there
// is no place for them beside it. Knows no socket.
import { signed } from "./names.js";
import { isolated } from "./text.js";

const SECOND_MS = 1000;

export function createHeader(root, chat, t, { openJoin, openAccount, askPassword, order }) {
  const at = (id) => root.getElementById(id);
  const app = at("app"), bar = at("connection"), label = at("state"), wait = at("wait"), act = at("reconnect");
  const roomMenu = at("room-menu-open");
  let state = null;
  let action = null;
  let timer = 0;
  let said = "";

  function draw(next) {
    state = next;
    const room = state.rooms.get(state.current);
    const name = room ? signed(room.name).join("") : "parlor";
    if (at("room-name").textContent !== name) at("room-name").textContent = name;
    const topic = room?.topic ?? "";
    if (at("topic").textContent !== topic) at("topic").replaceChildren(...(topic ? [isolated(topic)] : []));
    roomMenu.hidden = !room || !order.itemsOfRoom(room.name).length;
    at("search-open").disabled = room?.phase !== "joined";
    app.classList.toggle("is-open", state.connection.phase === "open");
    drawState(room);
    if (isMembersShown !== null && room && state.current !== watched) watch();
  }

  function drawState(room) {
    const { phase, failures, code, reason } = state.connection;
    clearTimeout(timer);
    wait.textContent = "";
    if (phase === "ended") return say("ended", ...ended(state.connection));
    if (phase !== "open") {
      const isFirst = phase === "connecting" && !failures && !room?.items.length;
      // What the browser or this page found out by itself has the code 1006.
      const why = code !== 1006 && reason;
      const again = why ? t("state.waiting-why", { why }) : t(`state.${state.connection.problem ?? "lost"}`);
      const text = isFirst ? t("state.connecting") : again;
      say("waiting", text, ...(phase === "waiting" ? [t("state.now"), () => chat.reconnect()] : []));
      if (phase === "waiting") count();
      return undefined;
    }
    if (room?.phase === "refused" || room?.phase === "left") return say("ended", ...refused(room));
    if (room?.phase === "joining" && room.why) return say("waiting", t.error(room.why));
    if (state.connection.isCutOff) return say("waiting", t("state.cut-off"));
    if (!room && state.notice) return say("ended", ...noticed(state.notice));
    if (!room) return say("waiting", t("state.no-room"), t("rooms.join"), openJoin);
    return say("open", t("state.open"));
  }

  function ended({ code, reason }) {
    const again = [t("state.again"), () => chat.reconnect()];
    if (code === 4001) return [t("state.elsewhere"), t("state.here"), () => chat.reconnect()];
    if (code === 4004 || code === 4005) return [t(code === 4004 ? "state.login" : "state.expired"), t("account.login"), openAccount];
    if (code === 4002) return [t("state.banned", { why: reason || "" }), ...again];
    if (code === 1009) return [t("state.too-long"), ...again];
    return [reason ? t("state.ended-why", { why: reason }) : t("state.ended", { code: String(code) }), ...again];
  }

  function refused({ name, phase, why }) {
    const again = () => chat.join(name).catch(() => {});
    if (why?.code === "kicked" || why?.code === "banned" && !why.message) {
      const until = why.until ? t("notice.until", { time: t.short(why.until) }) : "";
      const reason = why.reason ? t("notice.why", { why: why.reason }) : "";
      return [`${t(`notice.${why.code}-you`, { by: why.by ?? "" })}${until}${reason}`, t("state.join-again"), again];
    }
    if (why?.code === "banned") return [`${t.error(why)} (${why.message})`, t("state.join-again"), again];
    if (why?.code === "login_required") return [t.error(why), t("account.login"), openAccount];
    if (why?.code === "wrong_password") return [t.error(why), t("state.password"), () => askPassword(name)];
    if (phase === "left") return [t("state.left"), t("state.join-again"), again];
    const { suggestion } = why ?? {};
    if (suggestion && suggestion !== name) {
      return [`${t.error(why)} ${t("state.suggest")}`, `#${suggestion}`, () => {
        chat.leave(name);
        chat.join(suggestion).catch(() => {});
      }];
    }
    return [t.error(why), t("state.join-again"), again];
  }

  function noticed(notice) {
    const { suggestion } = notice.values ?? {};
    if (!suggestion) return [localText(notice), t("rooms.join"), openJoin];
    return [`${localText(notice)} ${t("state.suggest")}`, `#${suggestion}`, () => chat.join(suggestion).catch(() => {})];
  }

  const localText = ({ key, values }) => (key === "error" ? t.error(values) : t(`local.${key}`, values));

  function say(kind, text, actText = "", doIt = null) {
    bar.className = kind;
    action = doIt;
    act.hidden = !doIt;
    if (act.textContent !== actText) act.textContent = actText;
    // The same words again would be announced again.
    if (text === said) return;
    said = text;
    label.textContent = text;
  }

  // Beside the status, since a screen reader need not hear each second.
  function count() {
    const left = Math.ceil((state.connection.retryAt - Date.now()) / SECOND_MS);
    wait.textContent = left > 0 ? t("state.wait", { count: left }) : "";
    if (left > 0) timer = setTimeout(count, SECOND_MS);
  }

  roomMenu.addEventListener("click", () => order.ofRoom(roomMenu, state.current));
  act.addEventListener("click", () => action?.());

  // The columns at the sides

  let isMembersShown = null;
  let watched = null;
  const isNarrow = () => matchMedia("(max-width: 44rem)").matches;
  const isOver = (name) => (name === "rooms" ? isNarrow() : matchMedia("(max-width: 62rem)").matches);
  const panels = {
    rooms: { opener: at("rooms-open"), shown: "with-rooms", focus: () => at("room-list").querySelector("[aria-current]") ?? at("join-open") },
    members: { opener: at("members-open"), shown: "with-members", focus: () => at("members-close") },
  };

  function setPanel(name, isShown, { keepsFocus = false } = {}) {
    const { opener, shown, focus } = panels[name];
    const was = app.classList.contains(shown);
    app.classList.toggle(shown, isShown);
    opener.setAttribute("aria-expanded", String(isShown));
    const covers = Object.keys(panels).find((panel) => isOver(panel) && app.classList.contains(panels[panel].shown));
    at("shade").hidden = !covers;
    root.querySelector("main").inert = Boolean(covers);
    at("rooms").inert = covers === "members" || isNarrow() && !app.classList.contains("with-rooms");
    if (name === "members") {
      isMembersShown = isShown;
      watch();
    }
    if (was === isShown || keepsFocus) return;
    if (isShown) focus().focus();
    else opener.focus();
  }

  function watch() {
    if (watched && watched !== state?.current) chat.watchMembers(watched, false);
    watched = state?.current ?? null;
    if (watched) chat.watchMembers(watched, Boolean(isMembersShown));
  }

  const close = (options) => {
    if (app.classList.contains("with-rooms")) setPanel("rooms", false, options);
    if (isOver("members") && app.classList.contains("with-members")) setPanel("members", false, options);
  };
  for (const [name, { opener, shown }] of Object.entries(panels)) {
    opener.addEventListener("click", () => setPanel(name, !app.classList.contains(shown)));
    at(`${name}-close`).addEventListener("click", () => setPanel(name, false));
  }
  at("shade").addEventListener("click", () => close());
  app.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || at("shade").hidden) return;
    event.preventDefault();
    close();
  });
  // What is over the room on a narrow window is beside it on a wide one.
  let wasOver = null;
  function arrange() {
    const over = `${isOver("rooms")}${isOver("members")}`;
    if (over === wasOver) return;
    wasOver = over;
    const options = { keepsFocus: true };
    setPanel("rooms", false, options);
    setPanel("members", !isOver("members"), options);
  }
  addEventListener("resize", arrange);
  arrange();

  return { draw, closePanels: () => close({ keepsFocus: true }) };
}
