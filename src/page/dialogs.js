// Dialogs that are made when they are needed: a question with fields, and a list that is fetched page
// by page. In: what to ask, and what to do with the answer. Knows nothing of the chat.
import { button, el, shape } from "./render.js";

let serial = 0;

/** Closes by its button, by a click beside it, and by Escape, in fields for searching too. */
export function closes(dialog) {
  dialog.querySelector("button[value=close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    event.stopPropagation();
    dialog.close();
  });
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target !== dialog) return;
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    if (x < left || x > right || y < top || y > bottom) dialog.close();
  });
}

export function createDialogs(root, t) {
  function frame(title) {
    const dialog = el("dialog", "made");
    const heading = el("h2", "", title);
    heading.id = `dialog-${serial += 1}`;
    dialog.setAttribute("aria-labelledby", heading.id);
    const close = button("icon", shape("close"), () => {});
    close.value = "close";
    close.title = t("close");
    close.setAttribute("aria-label", t("close"));
    dialog.append(el("div", "bar", heading, close));
    closes(dialog);
    const opener = root.activeElement;
    dialog.addEventListener("close", () => {
      dialog.remove();
      // What had the focus may have been drawn again meanwhile.
      if (!opener?.isConnected && !root.querySelector("dialog[open]")) root.getElementById("words").focus();
    });
    root.body.append(dialog);
    return dialog;
  }

  /**
   * A question. `fields`: [{ name, label, kind?, value?, options?, isRequired?, autocomplete?, hint?,
   * least? }], of kind "text", "password", "number", "select" (options: [value, text]) or "check".
   * `run(values)` may return a promise; if it rejects, the dialog stays and says why. `others`:
   * [{ text, run, isDanger? }], buttons for something else, which close the dialog. Returns the dialog.
   */
  function ask({ title, text, fields = [], submit, isDanger = false, run, others = [] }) {
    const dialog = frame(title);
    const form = el("form", "question");
    form.method = "dialog";
    const inputs = new Map();
    for (const field of fields) form.append(...rowOf(field, inputs));
    const hint = el("p", "hint");
    hint.setAttribute("role", "status");
    const go = el("button", isDanger ? "main danger" : "main", submit);
    const cancel = button("plain", t("cancel"), () => dialog.close());
    const more = others.map((other) => button(other.isDanger ? "danger" : "", other.text, () => {
      dialog.close();
      other.run();
    }));
    form.append(hint, el("div", "buttons", ...more, cancel, ...(submit ? [go] : [])));
    if (text) form.prepend(el("div", "about", ...[text].flat()));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!submit || go.disabled) return;
      go.disabled = true;
      hint.textContent = "";
      try {
        await run(valuesOf(inputs));
        dialog.close();
      } catch (why) {
        hint.classList.add("bad");
        hint.textContent = t.error(why);
        [...inputs.values()].find((input) => input.type === "password")?.select();
      } finally {
        go.disabled = false;
      }
    });
    dialog.append(form);
    dialog.showModal();
    const first = inputs.values().next().value ?? (isDanger || !submit ? cancel : go);
    first.focus();
    return dialog;
  }

  function rowOf({ name, label, kind = "text", value, options, isRequired, autocomplete, hint, least }, inputs) {
    const input = el(kind === "select" ? "select" : "input");
    inputs.set(name, input);
    input.id = `field-${serial += 1}`;
    input.name = name;
    if (kind === "select") for (const [of, text] of options) input.append(new Option(text, of, false, of === value));
    else input.type = kind === "check" ? "checkbox" : kind;
    if (kind === "check") input.checked = Boolean(value);
    else if (value != null) input.value = value;
    if (kind === "number") input.min = least ?? 0;
    if (kind === "text") input.dir = "auto";
    if (isRequired) input.required = true;
    if (autocomplete) input.autocomplete = autocomplete;
    if (autocomplete) input.setAttribute("autocapitalize", "none");
    if (autocomplete) input.spellcheck = false;
    const named = el("label", "", label);
    named.htmlFor = input.id;
    if (kind === "check") return [el("div", "check", input, named)];
    if (!hint) return [named, input];
    const about = el("p", "hint", hint);
    about.id = `${input.id}-hint`;
    input.setAttribute("aria-describedby", about.id);
    return [named, input, about];
  }

  function valuesOf(inputs) {
    const values = {};
    for (const [name, input] of inputs) {
      if (input.type === "checkbox") values[name] = input.checked;
      else if (input.type === "number") values[name] = input.value === "" ? undefined : Number(input.value);
      else values[name] = input.type === "password" ? input.value : input.value.trim();
    }
    return values;
  }

  /**
   * A list. `load(last)` resolves to { rows, more }, what comes behind the row `last`; `row(value,
   * remove)` returns the content of an item, and `remove()` takes it out.
   */
  function list({ title, empty, load, row }) {
    const dialog = frame(title);
    const items = el("ul", "lines");
    const hint = el("p", "hint");
    hint.setAttribute("role", "status");
    const more = button("wide", t("search.more"), () => add());
    let last;
    async function add() {
      more.disabled = true;
      hint.classList.remove("bad");
      hint.textContent = t("log.loading");
      try {
        const page = await load(last);
        for (const value of page.rows) {
          const item = el("li");
          item.append(...row(value, () => item.remove()));
          items.append(item);
        }
        last = page.rows.at(-1);
        more.hidden = !page.more || !last;
        hint.textContent = items.childElementCount ? "" : empty;
      } catch (why) {
        hint.classList.add("bad");
        hint.textContent = t.error(why);
      } finally {
        more.disabled = false;
      }
    }
    more.hidden = true;
    dialog.append(hint, items, more);
    dialog.showModal();
    add();
    return dialog;
  }

  return { ask, list };
}
