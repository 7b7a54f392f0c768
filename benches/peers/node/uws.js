// A chat over uWebSockets: every message is published to the topic of its path, also to its
// sender. Usage: node uws.js PORT [IDLE_TIMEOUT_SECONDS]
'use strict';
const uws = require('uwebsockets');

const port = Number(process.argv[2]);
// The library sends pings some seconds before this timeout.
const idleTimeout = Number(process.argv[3] || 120);

const app = uws.App();
app.ws('/*', {
  compression: uws.DISABLED,
  idleTimeout,
  // The default, stated because the largest measured message has this length.
  maxPayloadLength: 16 * 1024,
  upgrade: (response, request, context) => {
    response.upgrade(
      { topic: request.getUrl() },
      request.getHeader('sec-websocket-key'),
      request.getHeader('sec-websocket-protocol'),
      request.getHeader('sec-websocket-extensions'),
      context,
    );
  },
  open: (socket) => {
    socket.subscribe(socket.getUserData().topic);
  },
  message: (socket, message, isBinary) => {
    app.publish(socket.getUserData().topic, message, isBinary);
  },
});
app.listen('127.0.0.1', port, (listening) => {
  if (!listening) {
    console.error(`cannot listen on ${port}`);
    process.exit(1);
  }
  console.log(`listening on ${uws.us_socket_local_port(listening)}`);
});
