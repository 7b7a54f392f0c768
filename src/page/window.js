// A long list of which only the rows near the view are in the document. Owns the position of the
// reader: "at the end" is a state, and otherwise one row stays where it is, whatever changes above
// or below it, in engines with and without scroll anchoring. Heights are estimated until they are
// measured. Knows nothing of what a row shows: `render`, `inputs` and `settle` are the caller's.

const AHEAD_PX = 700;
// A selection keeps its rows in the document, up to so many.
const SELECTED_ROWS_MAX = 2000;
// The end counts as reached so near to it.
const END_PX = 8;
// Below the last row.
const FOOT_PX = 8;
const IDLE_MS = 150;
const UPWARDS = new Set(["ArrowUp", "PageUp", "Home"]);

export function createWindow(scroller, { render, inputs, settle, estimate, onMove }) {
  const space = () => Object.assign(document.createElement("div"), { className: "space" });
  const above = space();
  const below = space();
  const container = Object.assign(document.createElement("div"), { className: "window" });
  scroller.append(above, container, below);

  let rows = [];
  let ordered = []; // as they were before a change
  let tops = new Float64Array(1);
  let isAtEnd = true;
  let anchor = null; // { row, offset }: where its top is below the top of the view
  let origin = 0; // how far estimates have moved the first row; 0 when the reader rests
  let first = 0;
  let last = -1;
  let stamp = 0; // counts widths: a height that was measured at another one is an estimate
  let generation = 0;
  let width = 0;
  let height = 0;
  let writtenTop = 0;
  let scrolledAt = -Infinity;
  let idleTimer = 0;
  let isLayingOut = false;
  const mounted = new Map();

  const heightOf = (row) => row.height ?? (row.guess ??= estimate(row));

  function refreshTops(from = 0) {
    if (tops.length < rows.length + 1) {
      const former = tops;
      tops = new Float64Array(rows.length * 2 + 1);
      tops.set(former);
    }
    let top = from ? tops[from] : 0;
    for (let at = from; at < rows.length; at += 1) {
      tops[at] = top;
      top += heightOf(rows[at]);
    }
    tops[rows.length] = top;
  }

  // The last row whose top is at or above `y`, in coordinates of the first row.
  function rowAt(y) {
    let [low, high] = [0, rows.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (tops[middle] <= y) low = middle; else high = middle - 1;
    }
    return Math.max(low, 0);
  }

  // `from`: the first row that is another one than before, in the same array. The `generation` of
  // rows that are in it no longer is another one.
  function setRows(next, from = 0) {
    if (!from) generation += 1;
    for (let at = from; at < next.length; at += 1) next[at].generation = generation;
    if (anchor && anchor.row.generation !== generation) moveAnchor();
    ordered = from ? ordered : next.slice();
    rows = next;
    for (let at = from; at < next.length; at += 1) {
      next[at].at = at;
      ordered[at] = next[at];
    }
    ordered.length = next.length;
    refreshTops(from);
  }

  // The row that was kept in place is gone: the nearest one of those that were near stays instead,
  // by the order and the places that they had.
  function moveAnchor() {
    const from = anchor.row.at;
    for (let far = 1; far < ordered.length; far += 1) {
      for (const at of [from + far, from - far]) {
        if (ordered[at]?.generation === generation) {
          anchor = { row: ordered[at], offset: anchor.offset + tops[at] - tops[from] };
          return;
        }
      }
    }
    anchor = null;
    isAtEnd = true;
  }

  const isScrolling = () => performance.now() - scrolledAt < IDLE_MS;

  function readAnchor(top) {
    const at = rowAt(top - origin);
    anchor = rows.length ? { row: rows[at], offset: origin + tops[at] - top } : null;
  }

  // Draws what belongs into the view, and puts the view where the reader is. `keepsTop`: the reader
  // is scrolling, and what is drawn moves rather than the position.
  function layout(keepsTop = false) {
    if (isLayingOut || !scroller.clientHeight) return;
    isLayingOut = true;
    height = scroller.clientHeight;
    if (scroller.clientWidth !== width) {
      width = scroller.clientWidth;
      stamp += 1;
    }
    let top = 0;
    for (let pass = 0; pass < 8; pass += 1) {
      top = place(keepsTop);
      mount(top - origin);
      if (!measure()) break;
      refreshTops(first);
    }
    top = place(keepsTop && origin + tops[first] >= 0);
    above.style.height = `${Math.max(0, origin + tops[first])}px`;
    below.style.height = `${tops[rows.length] - tops[last + 1] + FOOT_PX}px`;
    if (!keepsTop || Math.abs(scroller.scrollTop - top) > 1) write(top);
    isLayingOut = false;
    if (!isAtEnd && !isScrolling() && distanceToEnd() <= 1) isAtEnd = true;
    onMove();
  }

  // Where the view belongs; sets `origin`.
  function place(keepsTop) {
    const most = Math.max(0, tops[rows.length] + FOOT_PX - height);
    if (isAtEnd || !anchor) {
      const isNear = keepsTop && Math.abs(scroller.scrollTop - most) <= END_PX;
      origin = 0;
      return isNear ? scroller.scrollTop : most;
    }
    const wanted = tops[anchor.row.at] - anchor.offset;
    if (keepsTop && first > 0) {
      origin = scroller.scrollTop - wanted;
      return scroller.scrollTop;
    }
    origin = 0;
    return Math.min(Math.max(0, wanted), most);
  }

  function write(top) {
    if (Math.abs(scroller.scrollTop - top) > 0.5) scroller.scrollTop = top;
    writtenTop = scroller.scrollTop;
  }

  function mount(top) {
    let from = rowAt(top - AHEAD_PX);
    let to = rowAt(top + height + AHEAD_PX);
    const selected = selectedRange();
    if (selected && Math.max(to, selected[1]) - Math.min(from, selected[0]) < SELECTED_ROWS_MAX) {
      from = Math.min(from, selected[0]);
      to = Math.max(to, selected[1]);
    }
    [first, last] = [from, Math.min(to, rows.length - 1)];
    for (const [row, element] of mounted) {
      if (row.generation === generation && row.at >= first && row.at <= last) continue;
      if (element.contains(document.activeElement)) scroller.focus({ preventScroll: true });
      mounted.delete(row);
      watcher.unobserve(element);
      element.remove();
    }
    let cursor = container.firstChild;
    for (let at = first; at <= last; at += 1) {
      const present = mounted.get(rows[at]);
      const element = drawn(rows[at]);
      if (cursor === present) cursor = element; // It was replaced in its place.
      if (element === cursor) cursor = cursor.nextSibling;
      else container.insertBefore(element, cursor);
    }
  }

  // The element of a row, made again if what it shows has changed.
  function drawn(row) {
    const present = mounted.get(row);
    const shows = inputs(row);
    if (present && shows.every((value, at) => value === row.shows[at])) return present;
    row.shows = shows;
    row.stamp = -1;
    const element = render(row);
    element.row = row;
    mounted.set(row, element);
    if (present) {
      const hadFocus = present.contains(document.activeElement);
      watcher.unobserve(present);
      present.replaceWith(element);
      if (hadFocus) element.focus({ preventScroll: true });
    }
    // Not in this frame: a new element that is watched at once would be reported as a loop.
    requestAnimationFrame(() => { if (mounted.get(row) === element) watcher.observe(element); });
    return element;
  }

  // Measures what was not; true if the heights differ from those that `tops` was made of.
  function measure() {
    let isChanged = false;
    const fresh = [...mounted].filter(([row]) => row.stamp !== stamp);
    for (const [row, element] of fresh) settle(row, element);
    for (const [row, element] of fresh) {
      const measured = element.getBoundingClientRect().height;
      if (Math.abs(measured - heightOf(row)) > 0.01) isChanged = true;
      row.height = measured;
      row.stamp = stamp;
    }
    return isChanged;
  }

  function selectedRange() {
    const selection = document.getSelection();
    if (!selection || selection.isCollapsed) return null;
    const ends = [selection.anchorNode, selection.focusNode].map(rowOf).filter(Boolean).map((row) => row.at);
    return ends.length ? [Math.min(...ends), Math.max(...ends)] : null;
  }

  // The row that a node of the document is in.
  function rowOf(node) {
    for (let at = node; at && at !== scroller; at = at.parentNode) {
      if (at.row) return at.row.generation === generation ? at.row : null;
    }
    return null;
  }

  const distanceToEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;

  // The reader moved the view. A size that has just changed moves it too; then the state decides.
  function scrolled() {
    const top = scroller.scrollTop;
    const movement = top - writtenTop;
    if (Math.abs(movement) <= 1) return;
    if (scroller.clientHeight !== height || scroller.clientWidth !== width) {
      layout();
      return;
    }
    writtenTop = top;
    scrolledAt = performance.now();
    isAtEnd = movement > 0 ? distanceToEnd() <= END_PX : distanceToEnd() <= 1;
    readAnchor(top);
    layout(true);
    clearTimeout(idleTimer);
    idleTimer = setTimeout(rest, IDLE_MS + 10);
  }

  function rest() {
    if (isScrolling()) idleTimer = setTimeout(rest, IDLE_MS);
    else layout();
  }

  // The reader begins to move up: the end lets go at once, also while messages pour in.
  function letGo() {
    if (!isAtEnd || scroller.scrollHeight <= scroller.clientHeight) return;
    scrolledAt = performance.now();
    isAtEnd = false;
    readAnchor(scroller.scrollTop);
    clearTimeout(idleTimer);
    idleTimer = setTimeout(rest, IDLE_MS + 10);
  }

  scroller.addEventListener("scroll", scrolled, { passive: true });
  scroller.addEventListener("wheel", (event) => { if (event.deltaY < 0) letGo(); }, { passive: true });
  scroller.addEventListener("keydown", (event) => { if (UPWARDS.has(event.key)) letGo(); });

  new ResizeObserver(() => layout()).observe(scroller);
  const watcher = new ResizeObserver(() => {
    let isChanged = false;
    for (const [row, element] of mounted) {
      if (Math.abs(element.getBoundingClientRect().height - row.height) < 0.5) continue;
      row.stamp = -1;
      isChanged = true;
    }
    if (isChanged) layout();
  });

  return {
    layout,
    setRows,
    rowOf,
    elementOf: (row) => mounted.get(row),
    get rows() { return rows; },
    get isAtEnd() { return isAtEnd; },
    distanceToEnd,
    toEnd() { isAtEnd = true; origin = 0; layout(); },
    // Puts the top of a row below the top of the view, by a share of its height.
    reveal(row, share = 0.3) {
      isAtEnd = false;
      scrolledAt = -Infinity;
      anchor = { row, offset: Math.round(scroller.clientHeight * share) };
      layout();
      readAnchor(scroller.scrollTop);
      return mounted.get(row);
    },
    // Moves as little as is needed to have all of a row in the view.
    uncover(row) {
      const top = tops[row.at] + origin - scroller.scrollTop;
      const room = height - heightOf(row);
      if (top >= 0 && top <= room) return mounted.get(row);
      isAtEnd = row.at === rows.length - 1;
      anchor = { row, offset: top < 0 ? 0 : Math.max(0, room) };
      layout();
      return mounted.get(row);
    },
    // For another room: where the reader is, to come back to.
    position: () => ({ isAtEnd, anchor }),
    restore(position) {
      scrolledAt = -Infinity;
      isAtEnd = position?.isAtEnd ?? true;
      anchor = position?.anchor ?? null;
      origin = 0;
      if (anchor && !isAtEnd && anchor.row.generation !== generation) isAtEnd = true;
    },
    // The whole list is of another room: nothing of the former one may be kept in place.
    clear() { anchor = null; rows = []; },
    viewHeight: () => height,
  };
}
