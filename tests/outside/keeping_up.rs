//! A client that is a program: it speaks `parlor.v1.json`, has several requests under way, and keeps
//! for each room what a person would see of it. It asserts the rules of docs/protocol.md for both.
//! Every object, in both directions, is held to the schema. Knows no server process and no store.

use super::schema::Schema;
use super::support::{Client, Frame, PATIENCE, frame, now, upgrade_request};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// One connection of a program.
pub(crate) struct Program {
    client: Client,
    schema: Schema,
    /// Read while the answer to a request was waited for.
    pending: VecDeque<Value>,
    next_id: u64,
    /// With what it can resume.
    pub(crate) session: String,
}

impl Program {
    pub(crate) fn connect(address: SocketAddr, nick: &str) -> Self {
        Self::try_connect(address, nick).expect("it can be connected to")
    }

    /// `None`: nothing listens there, or it ended before it had said `hello`.
    pub(crate) fn try_connect(address: SocketAddr, nick: &str) -> Option<Self> {
        let mut client = Client::try_connect(address)?;
        let request = upgrade_request(&format!("/ws?nick={nick}"));
        let field = "Sec-WebSocket-Protocol: parlor.v1.json\r\n\r\n";
        client.try_send(
            request
                .replace("\r\n\r\n", &format!("\r\n{field}"))
                .as_bytes(),
        );
        if !client.is_upgraded() {
            return None;
        }
        let mut program = Self {
            client,
            schema: Schema::new(),
            pending: VecDeque::new(),
            next_id: 1,
            session: String::new(),
        };
        let hello = program.try_event()?;
        assert_eq!(hello["type"], "hello", "{hello}");
        program.session = text(&hello["session"]).to_owned();
        Some(program)
    }

    /// A member of a room that has its answer.
    pub(crate) fn join(address: SocketAddr, nick: &str, room: &str) -> Self {
        let mut program = Self::connect(address, nick);
        let joined = program.ask(json!({"type": "join", "room": room}));
        assert_eq!(joined["type"], "joined", "{joined}");
        program
    }

    /// The next object that is no answer to [`Program::ask`].
    pub(crate) fn event(&mut self) -> Value {
        self.try_event().expect("the connection goes on")
    }

    /// `None`: the connection has ended.
    pub(crate) fn try_event(&mut self) -> Option<Value> {
        self.event_or_close().ok()
    }

    /// The next object, or with what the server closes.
    pub(crate) fn event_or_close(&mut self) -> Result<Value, (Option<u16>, String)> {
        match self.pending.pop_front() {
            Some(event) => Ok(event),
            None => self.read_or_close_by(now() + 2 * PATIENCE),
        }
    }

    fn read_by(&mut self, deadline: Instant) -> Option<Value> {
        self.read_or_close_by(deadline).ok()
    }

    fn read_or_close_by(&mut self, deadline: Instant) -> Result<Value, (Option<u16>, String)> {
        loop {
            match self.client.frame_or_cut_by(deadline) {
                Frame::Text(text) => {
                    self.schema.check_sent(&text);
                    return Ok(serde_json::from_str(&text).expect("an object"));
                }
                Frame::Ping(payload) => self.client.try_send(&frame(0x8A, &payload)),
                Frame::Pong(_) => {}
                Frame::Close(code, reason) => return Err((code, reason)),
                Frame::End => return Err((None, String::new())),
            }
        }
    }

    /// The code and the reason with which the server closes, behind all that it sends before.
    pub(crate) fn is_closed(&mut self) -> (Option<u16>, String) {
        let deadline = now() + 2 * PATIENCE;
        loop {
            match self.client.frame_or_cut_by(deadline) {
                Frame::Close(code, reason) => return (code, reason),
                Frame::End => panic!("the connection ended without a close frame"),
                Frame::Text(_) | Frame::Ping(_) | Frame::Pong(_) => {}
            }
        }
    }

    /// Sends a request, whose `id` is returned.
    pub(crate) fn request(&mut self, mut request: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        request["id"] = id.into();
        let text = request.to_string();
        self.schema.check_request(&text);
        self.client.try_send(&frame(0x81, text.as_bytes()));
        id
    }

    /// Sends a request and returns its answer; what comes before it is kept.
    pub(crate) fn ask(&mut self, request: Value) -> Value {
        let id = self.request(request);
        self.answer(id)
    }

    /// The answer to a request that was sent; what comes before it is kept.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.answer_by(id, now() + 2 * PATIENCE)
    }

    /// The same where it may take longer.
    pub(crate) fn answer_by(&mut self, id: u64, deadline: Instant) -> Value {
        let is_it = |event: &Value| event["re"] == id;
        if let Some(at) = self.pending.iter().position(is_it) {
            return self.pending.remove(at).expect("it is there");
        }
        loop {
            let event = self.read_by(deadline).expect("the connection goes on");
            if is_it(&event) {
                return event;
            }
            self.pending.push_back(event);
        }
    }

    /// Whether the answer to a request has come: all that was sent so far is read.
    pub(crate) fn has_answer(&mut self, id: u64) -> bool {
        let probe = self.request(json!({"type": "ping"}));
        let pong = self.answer(probe);
        assert_eq!(pong["type"], "ok", "{pong}");
        self.pending.iter().any(|event| event["re"] == id)
    }

    pub(crate) fn send(&mut self, room: &str, text: &str) -> u64 {
        self.request(json!({"type": "send", "room": room, "text": text}))
    }

    /// Says something that is stored, and returns its number.
    pub(crate) fn says(&mut self, room: &str, text: &str) -> u64 {
        let id = self.send(room, text);
        seq_of(&self.answer(id))
    }

    /// Reads on until this message comes, and returns its number. Answers that come before it are
    /// kept.
    pub(crate) fn hears(&mut self, text: &str) -> u64 {
        let mut answers = VecDeque::new();
        loop {
            let event = self.event();
            if event["type"] == "message" && event["text"] == text {
                answers.append(&mut self.pending);
                self.pending = answers;
                return event["seq"].as_u64().expect("a number");
            }
            if event.get("re").is_some() {
                answers.push_back(event);
            }
        }
    }

    /// Discards what was read and not asked for.
    pub(crate) fn forgets(&mut self) {
        self.pending.clear();
    }

    /// Ends without a word.
    pub(crate) fn breaks_off(self) {
        drop(self.client);
    }
}

/// The number in the answer to a message.
#[track_caller]
pub(crate) fn seq_of(answer: &Value) -> u64 {
    assert_eq!(answer["type"], "ok", "{answer}");
    answer["seq"].as_u64().expect("a number")
}

/// The message cannot be stored, and may be sent again later.
#[track_caller]
pub(crate) fn is_refused(answer: &Value) {
    assert_eq!(answer["code"], "store_unavailable", "{answer}");
    assert!(answer["retry_ms"].is_u64(), "{answer}");
}

#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// In the place of a text that the program did not get.
pub(crate) const UNKNOWN: &str = "?";

/// What a program has of a room, by the rules of "Keeping up".
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Epoch and number, once it has joined.
    position: Option<(String, u64)>,
    /// The texts of the entries from 1 on: the room had 100 at most when it joined first.
    pub(crate) texts: Vec<String>,
    /// How often it had to forget something.
    pub(crate) rewound: usize,
}

impl View {
    /// A request to join, with all that is known.
    pub(crate) fn join(&self, room: &str) -> Value {
        let mut request = json!({"type": "join", "room": room, "history": 100});
        if let Some((epoch, seq)) = &self.position {
            request["since"] = json!({"epoch": epoch, "seq": seq});
        }
        request
    }

    /// Takes an object that is about this room.
    pub(crate) fn take(&mut self, event: &Value) {
        let number = |field: &str| event[field].as_u64().expect("a number");
        match text(&event["type"]) {
            "joined" => {
                if event.get("rewound").is_some() {
                    self.forget(number("rewound"));
                }
                // Of a room that is not the one it knew it gets the newest entries alone.
                let is_another = event["rewound"] == 0 && event["recovered"] == false;
                if is_another {
                    self.texts
                        .resize(number("after") as usize, UNKNOWN.to_owned());
                }
                assert_eq!(number("after"), self.texts.len() as u64, "{event}");
                let is_all = self.texts.is_empty() || event["recovered"] == true || is_another;
                assert!(is_all, "{event} at {:?}", self.position);
                self.position = Some((text(&event["epoch"]).to_owned(), number("after")));
            }
            "rewound" => {
                if number("to") < self.texts.len() as u64 {
                    self.forget(number("to"));
                }
                let epoch = text(&event["epoch"]).to_owned();
                self.position = Some((epoch, self.texts.len() as u64));
            }
            "gap" => {
                let (_, seq) = self.position.as_mut().expect("it has joined");
                *seq = number("to");
                self.texts.resize(number("to") as usize, UNKNOWN.to_owned());
            }
            "message" => {
                let (_, seq) = self.position.as_mut().expect("it has joined");
                *seq += 1;
                assert_eq!(number("seq"), *seq, "{event} after {:?}", self.texts.last());
                self.texts.push(text(&event["text"]).to_owned());
            }
            "member_joined" | "member_left" | "presence" | "ok" => {}
            _ => panic!("{event}"),
        }
    }

    fn forget(&mut self, above: u64) {
        assert!(above < self.texts.len() as u64, "nothing to forget");
        self.texts.truncate(above as usize);
        self.rewound += 1;
    }
}
