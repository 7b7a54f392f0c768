// The list of specs. A spec is one behaviour, named as a sentence; it runs in Chromium, and with
// `everywhere` in all three engines.
export const specs = [];

export function spec(name, run, { engines = ["chromium"] } = {}) {
  specs.push({ name, run, engines });
}

export function everywhere(name, run) {
  spec(name, run, { engines: ["chromium", "firefox", "webkit"] });
}

export function equal(found, expected, what = "") {
  const [f, e] = [JSON.stringify(found), JSON.stringify(expected)];
  if (f !== e) throw new Error(`${what ? `${what}: ` : ""}expected ${e}, found ${f}`);
}

export function ok(holds, what) {
  if (!holds) throw new Error(what);
}
