//! Direct messages in a game of whole servers: what one person with an account says to others, with
//! keys and again after a cut, and what it is shown of each conversation. At the end this is what
//! Redis has. Objects of a server in, requests out; knows no connection.

use super::super::history::json;
use super::facts::{Facts, NAMES};
use super::judge;
use super::redis::model::Redis;
use parlor::chat::{Content, Pair};
use parlor::id::AccountId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of requests from here on are those of direct messages.
pub(super) const FIRST: u64 = 1 << 20;
/// Requests that wait for their answers: fewer than may.
const OPEN_MAX: usize = 20;

/// What is shown of the conversation with one other.
#[derive(Default)]
struct View {
    /// The last number. `None`: it is in no such conversation.
    at: Option<u64>,
    shown: BTreeMap<u64, String>,
}

/// The letters of one person.
#[derive(Default)]
pub(super) struct Letters {
    /// By the places of the others among [`NAMES`].
    views: BTreeMap<usize, View>,
    /// Not answered: to whom, and what.
    open: BTreeMap<u64, (usize, String)>,
    acked: Vec<(usize, u64, String)>,
    next: u64,
}

impl Letters {
    /// The connection has ended; with another one it goes on by its session.
    pub(super) fn has_left(&mut self) {
        self.views.clear();
    }

    /// It has another session, by which what it said is not known.
    pub(super) fn forgets(&mut self) {
        self.open.clear();
    }

    pub(super) fn may_write(&self) -> bool {
        self.open.len() < OPEN_MAX
    }

    /// The request by which a person says the next thing to another one.
    pub(super) fn writes(&mut self, person: usize, to: usize) -> String {
        let id = FIRST + self.next;
        self.next += 1;
        let text = format!("{person} says {}", self.next);
        let request = said(id, to, &text);
        self.open.insert(id, (to, text));
        request
    }

    /// It is back with its session.
    pub(super) fn writes_again(&self) -> Vec<String> {
        let open = self.open.iter();
        open.map(|(id, (to, text))| said(*id, *to, text)).collect()
    }

    /// Whether an object is about letters alone.
    pub(super) fn hears(&mut self, object: &Value) -> bool {
        let room = object["room"].as_str().unwrap_or_default();
        let other = room.strip_prefix('@');
        let other = other.and_then(|name| NAMES.iter().position(|one| *one == name));
        if object["re"].as_u64().is_some_and(|re| re >= FIRST) {
            self.answered(object);
            return true;
        }
        if let Some(other) = other {
            self.shown(other, object);
        }
        room.starts_with('@')
    }

    fn answered(&mut self, object: &Value) {
        let id = object["re"].as_u64().expect("a number");
        // It was answered to a connection before, perhaps, or said in another session.
        let Some((to, text)) = self.open.remove(&id) else {
            return;
        };
        match object["code"].as_str() {
            None => {
                let seq = object["seq"].as_u64().expect("a number");
                self.acked.push((to, seq, text));
            }
            // There is no such account yet, or its loss was noticed here.
            Some("store_unavailable" | "no_such_member" | "busy") => {}
            Some(_) => panic!("{text:?} is answered {object}"),
        }
    }

    fn shown(&mut self, other: usize, object: &Value) {
        let number = |name: &str| object[name].as_u64().expect("a number");
        let view = self.views.entry(other).or_default();
        match object["type"].as_str().expect("a type") {
            "joined" => {
                view.at = Some(number("after"));
                view.shown
                    .retain(|seq, _| *seq <= object["after"].as_u64().unwrap_or(0));
            }
            "message" => {
                let seq = number("seq");
                assert_eq!(
                    view.at,
                    Some(seq - 1),
                    "the next one, or a gap before it: {object}"
                );
                view.at = Some(seq);
                let text = object["text"].as_str().expect("a text").to_owned();
                view.shown.insert(seq, text);
            }
            "gap" => view.at = Some(number("to")),
            "rewound" => {
                let to = number("to");
                view.at = view.at.map(|at| at.min(to));
                view.shown.retain(|seq, _| *seq <= to);
            }
            "member_left" => *view = View::default(),
            _ => {}
        }
    }

    /// The end: what is shown and was acknowledged is what Redis has. `has_lost`: acknowledged
    /// messages may be lost.
    pub(super) fn judge(&self, own: usize, has_lost: bool, redis: &Redis) {
        assert_eq!(self.open.len(), 0, "{} waits: {:?}", NAMES[own], self.open);
        let facts = Facts::of(redis);
        let id = |place| facts.account(place).map(|account| account.id);
        for other in (0..NAMES.len()).filter(|other| *other != own) {
            let (Some(one), Some(two)) = (id(own), id(other)) else {
                continue;
            };
            let truth = texts(redis, [one, two]);
            let what = format!("{} with {}", NAMES[own], NAMES[other]);
            let once: BTreeSet<&String> = truth.values().collect();
            assert_eq!(once.len(), truth.len(), "a message is there twice: {what}");
            let view = self.views.get(&other);
            let view = view.unwrap_or_else(|| panic!("{what}: it is shown nothing"));
            let (oldest, head) = match (truth.keys().next(), truth.keys().next_back()) {
                (Some(oldest), Some(head)) => (*oldest, *head),
                _ => panic!("{what}: nothing was said"),
            };
            assert_eq!(view.at, Some(head), "{what}: it is shown all");
            for (seq, text) in view.shown.range(oldest..) {
                assert_eq!(truth.get(seq), Some(text), "{what}: {seq} is shown");
            }
            for (_, seq, text) in self.acked.iter().filter(|(to, ..)| *to == other) {
                let is_there = *seq < oldest || truth.get(seq) == Some(text);
                assert!(
                    is_there || has_lost,
                    "{what}: {text} was acknowledged as {seq}"
                );
            }
        }
    }
}

/// What two accounts have said to each other.
fn texts(redis: &Redis, accounts: [AccountId; 2]) -> BTreeMap<u64, String> {
    let pair = Pair::of_accounts(accounts).expect("they are two");
    let all = judge::kept(redis, &pair.name()).into_iter();
    let text = |content| match content {
        Content::Said { text, .. } => text,
        other => panic!("no person does {other:?}"),
    };
    all.map(|(seq, entry)| (u64::from(seq), text(entry.draft.content)))
        .collect()
}

fn said(id: u64, to: usize, text: &str) -> String {
    let fields = [
        ("room", json!(format!("@{}", NAMES[to]))),
        ("text", json!(text)),
        ("key", json!(format!("k{id}"))),
    ];
    json::request("send", Some(id), &fields)
}
