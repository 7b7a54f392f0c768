// Processes that the tests start end with the tests, also where these end early.
import { spawn } from "node:child_process";

const running = new Set();
process.on("exit", () => { for (const child of running) child.kill("SIGKILL"); });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

export function own(child) {
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

export const start = (...args) => own(spawn(...args));
