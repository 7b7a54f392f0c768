// The WebSocket of the tests: ws, and each text message of both sides as a line of the file that
// PARLOR_RECORDING names, which tests/outside/traffic.rs holds to the schema. Knows no protocol.

import { appendFileSync } from "node:fs";
import ws from "ws";

const recording = process.env.PARLOR_RECORDING;
const record = (side, text) => {
  if (recording) appendFileSync(recording, `${side} ${JSON.stringify(String(text))}\n`);
};

export class WebSocket extends ws {
  constructor(...args) {
    super(...args);
    this.on("message", (data) => record("sent", data));
  }
  send(data, ...more) {
    record("request", data);
    super.send(data, ...more);
  }
}
