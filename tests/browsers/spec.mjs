// The list of specs. A spec is one behaviour, named as a sentence; it runs in Chromium, and with
// `everywhere` in all three engines.
export const specs = [];

export function spec(name, run, { engines = ["chromium"], minutes = 2 } = {}) {
  specs.push({ name, run, engines, minutes });
}

export function everywhere(name, run) {
  spec(name, run, { engines: ["chromium", "firefox", "webkit"] });
}

/** Objects are compared without the order of their keys, which engines do not keep. */
const canonical = (value) => JSON.stringify(value, (_, inner) => (inner && typeof inner === "object" && !Array.isArray(inner)
  ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner));

export function equal(found, expected, what = "") {
  const [f, e] = [canonical(found), canonical(expected)];
  if (f !== e) throw new Error(`${what ? `${what}: ` : ""}expected ${e}, found ${f}`);
}

export function ok(holds, what) {
  if (!holds) throw new Error(what);
}
