// The npm packages of the tests, which tests/clients/install.sh puts into target/clients.
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);
export const path = (name) => fileURLToPath(new URL(name, root));

if (!existsSync(path("target/clients/node_modules"))) {
  throw new Error("target/clients/node_modules is missing: run tests/clients/install.sh first");
}

export const need = createRequire(new URL("target/clients/", root));
export const source = (name) => readFileSync(need.resolve(name), "utf8");
