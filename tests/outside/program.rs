//! A program that speaks `parlor.v1.json` to the real server. Every object, in both directions, is
//! held to the schema.

use super::schema::Schema;
use super::support::{Client, Frame, Server, upgrade_request};
use serde_json::{Value, json};

pub(crate) struct Program {
    pub(crate) client: Client,
    schema: Schema,
    last_id: u64,
    pub(crate) hello: Value,
}

impl Program {
    pub(crate) fn connect(server: &Server, nick: &str) -> Self {
        Self::upgrade(server, nick, "")
    }

    /// As a trusted proxy connects for a client of this address.
    pub(crate) fn connect_from(server: &Server, address: &str) -> Self {
        Self::upgrade(server, "", &format!("X-Forwarded-For: {address}\r\n"))
    }

    fn upgrade(server: &Server, nick: &str, fields: &str) -> Self {
        let mut client = server.connect();
        let request = upgrade_request(&format!("/ws?nick={nick}"));
        let field = format!("Sec-WebSocket-Protocol: parlor.v1.json\r\n{fields}Host:");
        client.send(request.replace("Host:", &field).as_bytes());
        assert_eq!(client.response().status, 101);
        Self::greeted(client)
    }

    /// A client that has asked for the subprotocol and read the response.
    pub(crate) fn greeted(client: Client) -> Self {
        let mut program = Self {
            client,
            schema: Schema::new(),
            last_id: 0,
            hello: Value::Null,
        };
        program.hello = program.next();
        assert_eq!(program.hello["type"], "hello");
        program
    }

    /// Joined to a room.
    pub(crate) fn in_room(server: &Server, nick: &str, room: &str) -> Self {
        let mut program = Self::connect(server, nick);
        let joined = program.asks(json!({"type": "join", "room": room}));
        assert_eq!(joined["type"], "joined");
        program
    }

    /// The next object.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            match self.client.frame() {
                Frame::Text(text) => {
                    self.schema.check_sent(&text);
                    return serde_json::from_str(&text).expect("JSON");
                }
                Frame::Ping(_) | Frame::Pong(_) => {}
                frame @ (Frame::Close(..) | Frame::End) => panic!("{frame:?}"),
            }
        }
    }

    /// What comes before the close frame is left out.
    pub(crate) fn is_closed_with(&mut self, expected: u16) {
        loop {
            match self.client.frame() {
                Frame::Close(code, _) => return assert_eq!(code, Some(expected)),
                Frame::Text(_) | Frame::Ping(_) | Frame::Pong(_) => {}
                Frame::End => panic!("no close frame"),
            }
        }
    }

    /// The answer to a request. What comes before it is left out.
    pub(crate) fn asks(&mut self, mut request: Value) -> Value {
        self.last_id += 1;
        request["id"] = self.last_id.into();
        let text = request.to_string();
        self.schema.check_request(&text);
        self.client.says(&text);
        self.answer(&request["id"])
    }

    /// The answer to a request with this id. What comes before it is left out.
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        loop {
            let object = self.next();
            if object["re"] == *id {
                return object;
            }
        }
    }
}
