// A client of parlor.v1.json for a page: it comes back and loses or repeats nothing. `show` gets
// what the server sends, and {type: "forget", room, above}: remove what is shown above that number.
const FINAL = [1002, 1003, 1007, 1008, 1009]; // And all from 4000 on: do not come back.
export function connect(url, rooms, show, storage = globalThis.sessionStorage) {
  const positions = new Map(rooms.map((room) => [room, undefined])); // {epoch, seq} of each room.
  const unacknowledged = new Map(); // Messages without an answer, by their key.
  let socket, heard, probing, stopped, fresh, pause = 1000;
  const request = (object) => socket.readyState === 1 && socket.send(JSON.stringify(object));
  const keep = (secret) => storage?.setItem("parlor-session", secret);
  function open() {
    socket = new WebSocket(url, ["parlor.v1.json"]);
    socket.onmessage = ({ data }) => { heard = true; receive(JSON.parse(data)); };
    socket.onclose = ({ code, reason }) => ended(code >= 4000 || FINAL.includes(code), reason);
  }
  function ended(isFinal, reason) {
    clearInterval(probing);
    socket.onmessage = socket.onclose = null, socket.close();
    if ((stopped ||= isFinal)) return show({ type: "closed" });
    const asked = /^{"retry_ms":(\d+)}$/.exec(reason)?.[1] ?? 0; // 1012: the server starts again.
    setTimeout(open, +asked + pause * (0.5 + Math.random()));
    pause = Math.min(2 * pause, 60000);
  }
  function probe() { // Nothing since the last: the connection is dead, no close would be answered.
    if (!heard) return ended(false);
    heard = false;
    request({ type: "ping", id: "probe" });
  }
  function receive(event) {
    const at = positions.get(event.room), message = unacknowledged.get(event.re);
    if (event.type === "hello") {
      const session = storage?.getItem("parlor-session");
      fresh = event.session;
      if (session) request({ type: "resume", id: "resume", session }); else keep(fresh);
      for (const [room, since] of positions)
        request({ type: "join", id: "join", room, since, history: 50 });
      for (const message of unacknowledged.values()) request(message);
      probing = setInterval(probe, event.ping_after_ms);
    } else if (event.re === "resume") return keep(event.session ?? fresh);
    else if (event.type === "joined" || event.type === "rewound") {
      const { room, epoch, rewound = event.to, after = Math.min(event.to, at?.seq) } = event;
      if (rewound !== undefined) show({ type: "forget", room, above: rewound });
      positions.set(room, { epoch, seq: after }), pause = 1000;
    } else if (event.type === "gap") at.seq = event.to;
    else if (message && event.retry_ms) return setTimeout(request, event.retry_ms, message);
    else if (message) unacknowledged.delete(event.re);
    else if (event.re === "join") return ended(!event.retry_ms); // A room cannot be joined.
    else if (event.seq && event.seq !== at.seq++ + 1) return ended(false); // Must not happen.
    show(event);
  }
  open();
  return {
    close: () => ended(true),
    send(room, text) {
      const key = Math.random().toString(36);
      const message = { type: "send", id: key, key, room, text };
      unacknowledged.set(key, message); // Wait while limits.unacknowledged of them are in it.
      request(message);
    },
  };
}
