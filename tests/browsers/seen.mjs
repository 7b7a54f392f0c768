// What is seen of a page, judged inside it: which elements are visible, their roles and names, where
// a text stands. This function is sent into the page as text, so it uses nothing from outside.
export function seen() {
  const IMPLIED = {
    A: (e) => (e.hasAttribute("href") ? "link" : ""), BUTTON: () => "button", TEXTAREA: () => "textbox",
    SELECT: () => "combobox", DIALOG: () => "dialog", NAV: () => "navigation", MAIN: () => "main",
    UL: () => "list", OL: () => "list", LI: () => "listitem", OPTION: () => "option",
    H1: () => "heading", H2: () => "heading", H3: () => "heading",
    INPUT: (e) => ({ checkbox: "checkbox", radio: "radio", button: "button", submit: "button",
      search: "searchbox", range: "slider" })[e.type] ?? "textbox",
  };
  const role = (e) => e.getAttribute("role") || (IMPLIED[e.tagName]?.(e) ?? "");

  function name(e) {
    const by = e.getAttribute("aria-labelledby");
    if (by) return by.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
    const label = e.getAttribute("aria-label");
    if (label) return label.trim();
    const text = e.labels?.length ? [...e.labels].map((l) => l.textContent).join(" ") : "";
    return (text || (/^(INPUT|TEXTAREA|SELECT)$/.test(e.tagName) ? e.placeholder : e.textContent)
      || e.title || "").replace(/\s+/g, " ").trim();
  }

  function isVisible(e) {
    if (!e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    const { width, height } = e.getBoundingClientRect();
    if (width <= 1 || height <= 1) return false;
    // Text for screen readers alone is clipped away.
    for (let up = e; up; up = up.parentElement) {
      if (getComputedStyle(up).clipPath === "inset(50%)") return false;
    }
    return true;
  }

  const matches = (pattern, text) => (typeof pattern === "string"
    ? text.toLowerCase() === pattern.toLowerCase()
    : new RegExp(pattern.source, pattern.flags).test(text));

  /** The visible elements that a target names: a CSS selector, or { role, name, in, text }. */
  function all(target) {
    if (typeof target === "string") return [...document.querySelectorAll(target)].filter(isVisible);
    const roots = target.in ? all(target.in) : [document];
    const found = roots.flatMap((root) => [...root.querySelectorAll(target.css ?? "*")]).filter((e) =>
      (target.role === undefined || role(e) === target.role)
      && (target.name === undefined || matches(target.name, name(e)))
      && (target.text === undefined || matches(target.text, e.innerText ?? ""))
      && isVisible(e));
    // Of nested elements with the same text, the innermost.
    return target.text === undefined ? found : found.filter((e) => !found.some((f) => f !== e && e.contains(f)));
  }

  function one(target) {
    const found = all(target);
    if (found.length === 0) throw new Error(`nothing visible is ${JSON.stringify(target)}`);
    return found[0];
  }

  const box = (r) => ({ x: r.x, y: r.y, width: r.width, height: r.height, left: r.left, top: r.top,
    right: r.right, bottom: r.bottom });
  const rect = (target) => box(one(target).getBoundingClientRect());

  /** The range of a text inside an element; the text may cross elements. */
  function rangeOf(root, text, which = 0) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    let whole = "";
    for (let node; (node = walker.nextNode());) {
      nodes.push([node, whole.length]);
      whole += node.data;
    }
    let at = whole.indexOf(text);
    for (let n = 0; n < which && at >= 0; n += 1) at = whole.indexOf(text, at + 1);
    if (at < 0) throw new Error(`${JSON.stringify(text)} is not in ${JSON.stringify(whole.slice(0, 300))}`);
    const range = document.createRange();
    const place = (offset, isEnd) => {
      const [node, start] = nodes.findLast(([, s]) => (isEnd ? s < offset : s <= offset));
      return [node, offset - start];
    };
    range.setStart(...place(at, false));
    range.setEnd(...place(at + text.length, true));
    return range;
  }
  const rectOfText = (target, text, which) => box(rangeOf(one(target), text, which).getBoundingClientRect());

  /** The part of a rectangle that the window shows is not covered by another element. */
  function isOnTop(e) {
    const { left, right, top, bottom } = e.getBoundingClientRect();
    const x = (Math.max(left, 0) + Math.min(right, innerWidth)) / 2;
    const y = (Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2;
    const hit = document.elementFromPoint(x, y);
    return !!hit && (e === hit || e.contains(hit) || hit.contains(e) || [...(e.labels ?? [])].some((l) => l.contains(hit)));
  }

  /** Where to click: the middle of what the window shows of it, or of the text inside it. */
  function spot(target, text) {
    const e = one(target);
    if (text === undefined) {
      let r = e.getBoundingClientRect();
      if (r.bottom <= 0 || r.top >= innerHeight || r.right <= 0 || r.left >= innerWidth) {
        e.scrollIntoView({ block: "nearest", behavior: "instant" });
        r = e.getBoundingClientRect();
      }
      if (!isOnTop(e)) throw new Error(`${JSON.stringify(target)} is covered`);
      return [(Math.max(r.left, 0) + Math.min(r.right, innerWidth)) / 2,
        (Math.max(r.top, 0) + Math.min(r.bottom, innerHeight)) / 2];
    }
    const r = rangeOf(e, text).getClientRects()[0];
    return [r.left + r.width / 2, r.top + r.height / 2];
  }

  return { all, one, role, name, isVisible, isOnTop, rect, rectOfText, rangeOf, spot, box };
}
