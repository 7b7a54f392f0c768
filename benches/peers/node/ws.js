// A chat over ws that broadcasts as in its README, to every open client of the room. The path
// names the room. Usage: node ws.js PORT [PING_SECONDS]
'use strict';
const { WebSocketServer, WebSocket } = require('ws');

const port = Number(process.argv[2]);
const pingSeconds = Number(process.argv[3] || 30);

const server = new WebSocketServer({
  host: '127.0.0.1',
  port,
  // Node's default is 511. For a crowd that connects at once, all servers have the same backlog.
  backlog: 4096,
  perMessageDeflate: false,
});
const rooms = new Map();

function heartbeat() {
  this.isAlive = true;
}

server.on('connection', (client, request) => {
  const path = request.url.split('?', 1)[0];
  let room = rooms.get(path);
  if (!room) {
    room = new Set();
    rooms.set(path, room);
  }
  room.add(client);
  client.isAlive = true;
  client.on('error', () => {});
  client.on('pong', heartbeat);
  client.on('message', (data, isBinary) => {
    for (const member of room) {
      if (member.readyState === WebSocket.OPEN) {
        member.send(data, { binary: isBinary });
      }
    }
  });
  client.on('close', () => {
    room.delete(client);
    if (room.size === 0) rooms.delete(path);
  });
});

// As in "How to detect and close broken connections" of the README.
setInterval(() => {
  for (const client of server.clients) {
    if (!client.isAlive) {
      client.terminate();
      continue;
    }
    client.isAlive = false;
    client.ping();
  }
}, pingSeconds * 1000);

server.on('listening', () => console.log(`listening on ${server.address().port}`));
