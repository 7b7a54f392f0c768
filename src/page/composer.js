// The field that one writes in: its draft in each room, its height, what is too long, the message
// it replies to or corrects, until when nothing can be said, completion of names (Tab, @) and commands (/), and sending. Text leaves the field
// only when chat.js has taken it. Knows no socket.
import { commandsLike } from "./commands.js";
import { isHeard } from "./moderation.js";
import { foldRoom, signed } from "./names.js";
import { button, el, nickElement, shape, usageOf } from "./render.js";
import { isolated } from "./text.js";

const CHOICES_MAX = 8;
const TYPING_EVERY_MS = 3000;
// The bytes that are left are shown when so few are.
const LEFT_SHOWN = 2000;

export function createComposer(root, chat, t, { log, announce, search, order }) {
  const at = (id) => root.getElementById(id);
  const form = at("composer"), words = at("words"), send = at("send");
  const list = at("choices"), replyBar = at("reply"), problem = at("problem");
  const heldLabel = at("held"), leftLabel = at("left"), typingLabel = at("typing"), ownNick = at("own-nick");
  let state = null;
  let room = null;
  let choices = null; // { begin, end, items, chosen, isList }
  let typedAt = 0;
  let fitted = null; // The text that the field's height was measured for.
  let shownReply;
  let shownEdit = null; // `room/seq` of the message that is being corrected.
  let heldTimer = 0;

  function draw(next, changes) {
    state = next;
    const present = state.rooms.get(state.current) ?? null;
    if (present !== room) {
      room = present;
      shownEdit = null;
      put(room?.draft ?? "");
    }
    drawEdit();
    const isSilent = room && !isHeard(state, room);
    words.disabled = !room || room.phase === "refused" || Boolean(isSilent);
    const [sign, name] = signed(room?.name ?? "");
    if (isSilent) words.placeholder = t("composer.moderated");
    else words.placeholder = room ? t("composer.placeholder", { sign, room: name }) : t("composer.no-room");
    words.setAttribute("aria-label", words.placeholder);
    drawNick();
    drawReply();
    drawTyping();
    drawLeft();
    drawHeld();
  }

  function put(text) {
    words.value = text;
    closeChoices();
    say("");
    fit();
  }

  /** A message that is corrected is in the field instead of the draft. */
  function drawEdit() {
    const item = room?.editing != null ? room.bySeq.get(room.editing) : null;
    if (room?.editing != null && (!item || item.isDeleted)) {
      chat.setEditing(room.name, null);
      return;
    }
    const edit = item ? `${room.name}/${item.seq}` : null;
    if (edit === shownEdit) return;
    shownEdit = edit;
    put(item ? item.text : room?.draft ?? "");
    words.setSelectionRange(words.value.length, words.value.length);
    if (item) words.focus();
  }

  // For how long nothing can be said: beside the field, by the second.
  function drawHeld() {
    clearTimeout(heldTimer);
    const left = room?.held ? room.held.until - Date.now() : 0;
    heldLabel.hidden = !(left > 0);
    form.classList.toggle("held", left > 0);
    if (!(left > 0)) return;
    heldLabel.textContent = heldText(left);
    if (left < Infinity) heldTimer = setTimeout(drawHeld, Math.min(left, 1000));
  }

  function heldText(left) {
    const { code, until } = room.held;
    if (code === "slow_mode") return t("composer.slow", { count: Math.ceil(left / 1000) });
    return until < Infinity ? t("composer.muted-until", { time: t.short(until + state.offsetMs) }) : t("composer.muted");
  }

  function drawNick() {
    if (ownNick.dataset.nick === state.nick && ownNick.firstChild) return;
    ownNick.dataset.nick = state.nick ?? "";
    ownNick.replaceChildren(isolated(state.nick ?? ""));
    ownNick.hidden = !state.nick;
  }

  function drawReply() {
    const isEdit = room?.editing != null;
    const seq = room?.editing ?? room?.replyTo ?? null;
    const item = seq == null ? null : room.bySeq.get(seq);
    const shown = seq == null ? "" : `${room.name}/${seq}/${Boolean(item)}/${isEdit}/${t.language}`;
    if (shown === shownReply) return;
    shownReply = shown;
    replyBar.hidden = seq == null;
    if (seq == null) return replyBar.replaceChildren();
    const text = isolated((item?.text ?? "").slice(0, 200).replaceAll("\n", " "));
    const reply = () => (item?.nick ? t("composer.reply", { nick: nickElement(item.nick), text }) : t("composer.reply-earlier"));
    const quoted = el("span", "quoted", isEdit ? t("composer.edit", { text }) : reply());
    const cancel = button("icon", shape("close"), () => { leaveBar(); words.focus(); });
    const label = t(isEdit ? "composer.edit-cancel" : "composer.reply-cancel");
    cancel.setAttribute("aria-label", label);
    cancel.title = label;
    replyBar.replaceChildren(quoted, cancel);
  }

  function leaveBar() {
    if (room.editing != null) chat.setEditing(room.name, null);
    else chat.setReply(room.name, null);
  }

  function drawTyping() {
    const nicks = room ? [...room.typing.keys()] : [];
    const shown = nicks.slice(0, 3).join("\n") + nicks.length + t.language;
    if (typingLabel.dataset.shown === shown) return;
    typingLabel.dataset.shown = shown;
    if (!nicks.length) typingLabel.textContent = "";
    else if (nicks.length > 3) typingLabel.textContent = t("composer.typing-many");
    else typingLabel.replaceChildren(t("composer.typing", { count: nicks.length, names: t.list(nicks.map((nick) => isolated(nick))) }));
  }

  // Negative: the message is too long.
  function bytesLeft() {
    if (!room || !state.limits) return Infinity;
    const { bytes, max } = chat.measure(room.name, words.value, { replyTo: room.replyTo ?? undefined });
    return max - bytes;
  }

  function drawLeft() {
    const text = words.value;
    // Counting is cheap, but not for each key of a short text.
    const left = text.length * 6 < (state?.limits?.message_bytes ?? 0) - LEFT_SHOWN * 2 ? Infinity : bytesLeft();
    leftLabel.hidden = left > LEFT_SHOWN;
    leftLabel.classList.toggle("bad", left < 0);
    if (left <= LEFT_SHOWN) leftLabel.textContent = left < 0 ? t("composer.over", { count: -left }) : t("composer.left", { count: left });
    send.setAttribute("aria-disabled", String(!text.trim() || left < 0 || words.disabled));
  }

  function say(text) {
    problem.hidden = !text;
    problem.textContent = text;
  }

  function submit(event) {
    event?.preventDefault();
    const text = words.value;
    if (!room || !text.trim()) return;
    const left = bytesLeft();
    if (left < 0) return say(t("composer.too-long", { count: -left }));
    if (room.editing != null) return correct(text);
    const wait = room.held ? room.held.until - Date.now() : 0;
    const isCommand = /^\/[^/]/u.test(text);
    // Without an end it may have been lifted meanwhile: the server knows.
    if (wait > 0 && wait < Infinity && !isCommand) return say(heldText(wait));
    const { error, command } = chat.submit(room.name, text, { replyTo: room.replyTo ?? undefined });
    // What is refused stays in the field.
    if (error) return say(refusal(error));
    write("");
    say("");
    if (room.replyTo != null && !command) chat.setReply(room.name, null);
    log.toEnd();
    Promise.resolve(command).then((result) => {
      if (result?.action === "search") search(result.query);
      else if (result?.action === "edit") editLast();
      else if (result?.action) order.open(result);
    });
  }

  async function correct(text) {
    const { name, editing: seq } = room;
    say("");
    try {
      await chat.edit(name, seq, text);
      if (state.rooms.get(name)?.editing === seq) chat.setEditing(name, null);
      announce(t("composer.edited"));
    } catch (why) {
      if (room?.name === name) say(t.error(why));
    }
  }

  /** The last message of the person that can still be corrected. False: there is none. */
  function editLast() {
    const item = room?.items.findLast((one) => (one.kind === "message" || one.kind === "action") && order.isEditable(one));
    if (item) chat.setEditing(room.name, item.seq);
    return Boolean(item);
  }

  function refusal(error) {
    if (error.code === "unknown_command") return t("local.unknown_command", { name: `/${error.name}` });
    if (error.code === "incomplete") return t("local.incomplete", { usage: usageOf(t, error) });
    if (error.code === "too_long" && error.bytes) return t("composer.too-long", { count: error.bytes - error.max });
    return t.error(error);
  }

  function write(text) {
    words.value = text;
    keep();
    fit();
    drawLeft();
    closeChoices();
  }

  /** What is in the field is the room's draft, unless it corrects a message. */
  function keep() {
    if (room && room.editing == null) chat.setDraft(room.name, words.value);
  }

  function typed() {
    if (!room) return;
    say("");
    keep();
    grow();
    drawLeft();
    complete();
    const now = Date.now();
    if (words.value.trim() && room.editing == null && !words.value.startsWith("/") && now - typedAt > TYPING_EVERY_MS) {
      typedAt = now;
      chat.typing(room.name);
    }
  }

  // What is added at the end of a text for which there is place needs no measuring at each key.
  function grow() {
    const isAdded = words.value.startsWith(fitted ?? "\0") && words.scrollHeight <= words.clientHeight;
    if (isAdded) fitted = words.value;
    else fit();
  }

  // As high as what is in it, up to what the style allows.
  function fit() {
    fitted = words.value;
    // While it is measured the form keeps its height: the messages above would be moved.
    form.style.minHeight = `${form.offsetHeight}px`;
    words.style.height = "auto";
    words.style.height = `${words.scrollHeight}px`;
    form.style.minHeight = "";
  }

  // Completion. The word before the caret, with or without @, or a command at the begin.

  function wordBefore() {
    const end = words.selectionStart;
    if (end !== words.selectionEnd) return null;
    const text = words.value.slice(0, end);
    const word = /[^\s]*$/u.exec(text)[0];
    return { begin: end - word.length, end, word };
  }

  function complete() {
    const found = wordBefore();
    if (!found) return closeChoices();
    if (found.begin === 0 && found.word.startsWith("/")) return offer(found, commandsFor(found.word));
    if (found.word.startsWith("@")) return offer(found, nicksFor(found.word.slice(1)));
    closeChoices();
  }

  function commandsFor(word) {
    return commandsLike(word.slice(1), state, room).map((command) => ({
      insert: `/${command.name} `,
      shows: [el("span", "usage", usageOf(t, command)), el("span", "about", t(command.help))],
    }));
  }

  function nicksFor(start) {
    const wanted = foldRoom(start);
    // The members who spoke last come first.
    const recent = new Map();
    for (let index = room.items.length - 1; index >= 0 && recent.size < 20 && index > room.items.length - 300; index -= 1) {
      const { nick, kind } = room.items[index];
      if (nick && (kind === "message" || kind === "action") && !recent.has(nick)) recent.set(nick, recent.size);
    }
    const here = new Set(room.members.list);
    return [...new Set([...[...recent.keys()].filter((nick) => here.has(nick)), ...room.members.list])]
      .filter((nick) => nick !== state.nick && foldRoom(nick).startsWith(wanted))
      .slice(0, CHOICES_MAX)
      .map((nick) => ({ nick, insert: `@${nick} `, shows: [nickElement(nick)] }));
  }

  function offer({ begin, end }, items) {
    if (!items.length) return closeChoices();
    choices = { begin, end, items, chosen: 0, isList: true };
    list.replaceChildren(...items.map(({ shows }, index) => {
      const option = el("li", "", ...shows);
      option.id = `choice-${index}`;
      option.setAttribute("role", "option");
      option.addEventListener("pointerdown", (event) => { event.preventDefault(); take(index); });
      return option;
    }));
    list.hidden = false;
    words.setAttribute("aria-controls", "choices");
    choose(0);
  }

  function choose(index) {
    choices.chosen = (index + choices.items.length) % choices.items.length;
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === choices.chosen)));
    list.children[choices.chosen].scrollIntoView({ block: "nearest" });
    words.setAttribute("aria-activedescendant", `choice-${choices.chosen}`);
  }

  function take(index) {
    const { begin, end, items } = choices;
    replace(begin, end, items[index].insert);
    closeChoices();
  }

  function replace(begin, end, text) {
    words.setRangeText(text, begin, end, "end");
    keep();
    fit();
    drawLeft();
  }

  function closeChoices() {
    choices = null;
    list.hidden = true;
    words.removeAttribute("aria-activedescendant");
    words.removeAttribute("aria-controls");
  }

  // Tab goes through the names that begin so; without one it leaves the field, as everywhere.
  function tab(event) {
    if (choices?.isList) {
      event.preventDefault();
      return take(choices.chosen);
    }
    let turn = choices;
    if (!turn) {
      const found = wordBefore();
      if (!found?.word) return;
      const items = nicksFor(found.word.replace(/^@/u, ""));
      if (!items.length) return;
      turn = { ...found, items, chosen: -1, isList: false };
    }
    event.preventDefault();
    const step = event.shiftKey ? -1 : 1;
    const chosen = (turn.chosen + step + turn.items.length) % turn.items.length;
    const { nick } = turn.items[chosen];
    const text = turn.begin === 0 ? `${nick}: ` : `${nick} `;
    replace(turn.begin, turn.end, text);
    choices = { ...turn, chosen, end: turn.begin + text.length };
    announce(nick);
  }

  // Enter sends, but not while an input method is composing (229: Safari says so afterwards).
  function keyPressed(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Tab" && !event.ctrlKey && !event.altKey && !event.metaKey) return tab(event);
    if (choices?.isList) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        return choose(choices.chosen + (event.key === "ArrowDown" ? 1 : -1));
      }
      if (event.key === "Escape") {
        event.preventDefault();
        return closeChoices();
      }
      if (event.key === "Enter" && !event.shiftKey) {
        const { begin, end, items, chosen } = choices;
        // A command that is written out is sent; everything else is completed first.
        const isWhole = words.value.slice(begin, end) === items[chosen].insert.trim();
        if (!isWhole) {
          event.preventDefault();
          return take(chosen);
        }
      }
    } else if (choices && event.key !== "Shift") choices = null;
    if (event.key === "Escape" && (room?.replyTo != null || room?.editing != null)) {
      event.preventDefault();
      leaveBar();
    } else if (event.key === "ArrowUp" && !words.value) {
      event.preventDefault();
      // What is one's own is corrected; else up is the way to the messages.
      if (!editLast()) log.focusLast();
    } else if (event.key === "Enter" && !event.shiftKey) submit(event);
  }

  form.addEventListener("submit", submit);
  words.addEventListener("keydown", keyPressed);
  words.addEventListener("input", typed);
  words.addEventListener("blur", () => closeChoices());
  words.addEventListener("click", () => closeChoices());
  // The keyboard of a phone stays open.
  send.addEventListener("pointerdown", (event) => event.preventDefault());
  send.addEventListener("mousedown", (event) => event.preventDefault());
  new ResizeObserver(() => fit()).observe(form);

  return {
    draw,
    focus: () => words.focus(),
    takeBack(text) {
      if (words.value.trim()) return;
      write(text);
      words.focus();
    },
    // At the caret, as a word of its own.
    mention(nick) {
      const { selectionStart: begin, selectionEnd: end, value } = words;
      const space = begin > 0 && !/\s$/u.test(value.slice(0, begin)) ? " " : "";
      replace(begin, end, `${space}@${nick} `);
      words.focus();
    },
  };
}
