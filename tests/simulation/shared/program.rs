//! A program of a game of several servers: it keeps its position, sends with keys, comes back with its
//! session, and sends again what was not answered. Objects of a server in, requests out; knows no
//! connection and no server.

use super::super::client::Ear;
use super::super::history::json;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ROOM: &str = "lobby";
/// The token of operators.
pub(crate) const TOKEN: &str = "secret";
/// Requests with this number and larger ones say nothing: their answers are those of
/// [`Program::answers`].
pub(crate) const OTHERS: u64 = 1 << 30;
/// The entries of a room.
const ENTRIES: [&str; 9] = [
    "message", "kicked", "banned", "unbanned", "muted", "unmuted", "topic", "role", "settings",
];

/// A program: it keeps its position, sends with keys, and sends again what was not answered.
pub(crate) struct Program {
    pub(crate) number: usize,
    pub(crate) node: usize,
    /// `None`: it is not connected.
    pub(crate) socket: Option<usize>,
    pub(crate) ear: Ear,
    /// The secret of its first session.
    pub(crate) session: Option<String>,
    pub(crate) is_member: bool,
    pub(crate) epoch: String,
    pub(crate) position: u64,
    /// What it shows: texts, and [`word`]s of other entries, by numbers.
    pub(crate) shown: BTreeMap<u64, String>,
    /// What was not answered, by the number of the request.
    pub(crate) open: BTreeMap<u64, String>,
    /// Requests that were refused: the messages may be there all the same.
    pub(crate) acked: BTreeMap<String, u64>,
    pub(crate) next: u64,
    pub(crate) is_up: bool,
    pub(crate) nick: String,
    /// The last answer to the request `who`.
    pub(crate) members: Option<Value>,
    /// It becomes an operator whenever it comes.
    pub(crate) is_operator: bool,
    pub(crate) answers: Vec<Value>,
    /// Why it was not let in when it asked last.
    pub(crate) refused: Option<String>,
    /// It was removed and is connected still.
    pub(crate) is_removed: bool,
    pub(crate) removals: u32,
    /// What it said that was refused as it is muted.
    pub(crate) silenced: BTreeSet<String>,
    /// The entry by which it was muted, as far as it was shown while it is a member.
    muted: Option<u64>,
    /// What it said after that, and by which entry it was muted, and under which nick.
    pub(crate) while_muted: BTreeMap<String, (u64, String)>,
}

/// What a program shows of an entry that is no message: its type, whom it is about, and what it has
/// to say.
pub(crate) fn word(kind: &str, nick: &str, detail: &str) -> String {
    format!("{kind} {nick} {detail}")
}

impl Program {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            node: 0,
            socket: None,
            ear: Ear::default(),
            session: None,
            is_member: false,
            epoch: String::new(),
            position: 0,
            shown: BTreeMap::new(),
            open: BTreeMap::new(),
            acked: BTreeMap::new(),
            next: 1,
            is_up: true,
            nick: String::new(),
            members: None,
            is_operator: false,
            answers: Vec::new(),
            refused: None,
            is_removed: false,
            removals: 0,
            silenced: BTreeSet::new(),
            muted: None,
            while_muted: BTreeMap::new(),
        }
    }

    pub(crate) fn has_left(&mut self) {
        self.socket = None;
        self.is_member = false;
        self.is_removed = false;
        self.muted = None;
    }

    fn forgets(&mut self, above: u64) {
        self.shown.retain(|seq, _| *seq <= above);
        self.position = self.position.min(above);
        self.muted = None;
    }

    /// Takes an object of the server. Returns the requests that follow from it.
    pub(crate) fn hears(&mut self, object: &Value) -> Vec<String> {
        let number = |name: &str| object[name].as_u64();
        match object["type"].as_str().expect("a type") {
            "hello" => return self.greeted(object),
            "joined" => {
                if let Some(rewound) = number("rewound") {
                    self.forgets(rewound);
                }
                self.is_member = true;
                self.is_removed = false;
                self.refused = None;
                self.epoch = object["epoch"].as_str().expect("an epoch").to_owned();
                self.position = number("after").expect("a number");
                return self.says_again();
            }
            "rewound" => {
                let to = number("to").expect("a number");
                self.epoch = object["epoch"].as_str().expect("an epoch").to_owned();
                self.forgets(to);
            }
            "gap" => self.position = number("to").expect("a number"),
            "kicked" | "banned" if object["you"] == true => {
                self.is_member = false;
                self.is_removed = true;
                self.muted = None;
                self.removals += 1;
            }
            kind if number("seq").is_some() && ENTRIES.contains(&kind) => {
                self.entry(kind, object);
            }
            "settings" | "sanctions" => self.answers.push(object.clone()),
            "nick_changed" if object["old"] == self.nick.as_str() => {
                self.nick = object["new"].as_str().expect("a nick").to_owned();
                self.muted = None;
            }
            "members" => self.members = Some(object.clone()),
            "link" => self.is_up = object["up"] == true,
            "ok" | "error" => self.answered(object),
            _ => {}
        }
        Vec::new()
    }

    fn entry(&mut self, kind: &str, object: &Value) {
        let seq = object["seq"].as_u64().expect("a number");
        assert_eq!(seq, self.position + 1, "{}: {object}", self.number);
        self.position = seq;
        let text = |name: &str| object[name].as_str().unwrap_or_default();
        let nick = text("nick");
        let shown = match kind {
            "message" => text("text").to_owned(),
            "topic" => word(kind, nick, text("topic")),
            "role" => word(kind, nick, text("role")),
            "settings" => word(kind, nick, &format!("hidden={}", object["hidden"])),
            _ => word(kind, nick, text("reason")),
        };
        self.shown.insert(seq, shown);
        if nick == self.nick {
            match kind {
                "muted" => self.muted = Some(seq),
                "unmuted" => self.muted = None,
                _ => {}
            }
        }
    }

    fn greeted(&mut self, object: &Value) -> Vec<String> {
        self.is_up = true;
        self.nick = object["nick"].as_str().expect("a nick").to_owned();
        let fresh = object["session"].as_str().expect("a secret").to_owned();
        let mut requests = Vec::new();
        if let Some(session) = &self.session {
            requests.push(json::request(
                "resume",
                None,
                &[("session", json!(session))],
            ));
        }
        self.session.get_or_insert(fresh);
        if self.is_operator {
            requests.push(json::request("op", None, &[("token", json!(TOKEN))]));
        }
        requests.push(self.joins());
        requests
    }

    pub(crate) fn joins(&self) -> String {
        let mut join = vec![("room", json!(ROOM))];
        if !self.epoch.is_empty() {
            join.push(("since", json!({"epoch": self.epoch, "seq": self.position})));
        }
        json::request("join", Some(0), &join)
    }

    fn says_again(&mut self) -> Vec<String> {
        // The mute is of the nick that it had then.
        self.while_muted.retain(|text, (_, nick)| {
            *nick == self.nick || !self.open.values().any(|open| open == text)
        });
        let open = self.open.iter();
        open.map(|(id, text)| said(*id, text)).collect()
    }

    /// It is there at the end, nothing waits, and it shows what is kept.
    pub(crate) fn check_end(&self, truth: &BTreeMap<u64, String>, head: u64) {
        let number = self.number;
        assert!(self.is_member, "{number} is there at the end");
        assert!(self.is_up, "{number} was shown that the link is back");
        assert_eq!(self.open.len(), 0, "{number} waits: {:?}", self.open);
        assert_eq!(self.position, head, "{number} is at the head");
        let oldest = truth.keys().next().copied().unwrap_or(u64::MAX);
        for (seq, text) in self.shown.range(oldest..) {
            assert_eq!(truth.get(seq), Some(text), "{number} shows {seq}");
        }
    }

    /// Fewer wait for an answer than may.
    pub(crate) fn may_say_more(&self) -> bool {
        self.is_member && self.open.len() < 60
    }

    pub(crate) fn says(&mut self) -> String {
        let id = self.next;
        self.next += 1;
        let text = format!("{} {id}", self.number);
        if let Some(seq) = self.muted {
            let nick = self.nick.clone();
            self.while_muted.insert(text.clone(), (seq, nick));
        }
        self.open.insert(id, text.clone());
        said(id, &text)
    }

    /// What it said last.
    pub(crate) fn last(&self) -> String {
        format!("{} {}", self.number, self.next - 1)
    }

    fn answered(&mut self, object: &Value) {
        if let Some(nick) = object["nick"].as_str() {
            self.nick = nick.to_owned();
        }
        let code = object["code"].as_str();
        let id = match object["re"].as_u64() {
            Some(0) => {
                self.refused = code.map(str::to_owned);
                return;
            }
            Some(OTHERS..) => return self.answers.push(object.clone()),
            Some(id) => id,
            None => return,
        };
        // In a room that it could not join it is not a member: it is sent again.
        if code == Some("not_a_member") {
            return;
        }
        let text = self.open.remove(&id);
        let text = text.unwrap_or_else(|| panic!("{} was answered twice: {object}", self.number));
        if object["type"] == "ok" {
            let seq = object["seq"].as_u64().expect("a number");
            self.acked.insert(text, seq);
        } else if code == Some("muted") {
            self.silenced.insert(text);
        } else {
            assert_eq!(code, Some("store_unavailable"), "{object}");
        }
    }
}

fn said(id: u64, text: &str) -> String {
    let fields = [
        ("room", json!(ROOM)),
        ("text", json!(text)),
        ("key", json!(format!("k{id}"))),
    ];
    json::request("send", Some(id), &fields)
}
