//! What operators do in a game of whole servers, and what must hold of it at the end. All servers
//! have the same bans, mutes and topic, and these are the ones in the log of the room. What was
//! acknowledged is there. Knows programs and entries, no server.

use super::super::history::json;
use super::super::shared::program::{OTHERS, Program, ROOM, word};
use super::redis::model::Redis;
use crate::chance::Chance;
use parlor::chat::{Act, Content};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How often each thing happened: acknowledged deeds by their types, and what followed for others.
pub(super) type Seen = BTreeMap<String, u64>;

/// What a keeper has asked.
struct Deed {
    kind: &'static str,
    /// The end of the [`word`] of its entry: no other deed of the same type has it. `None`: many have.
    detail: Option<String>,
    /// It is about a keeper, which is an operator: no order removes it.
    is_of_keeper: bool,
}

/// What the room is like in one respect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Respect {
    Banned(String),
    Muted(String),
    Topic,
    Hidden,
}

/// All that the keepers of a game have done.
#[derive(Default)]
pub(super) struct Keeping {
    asked: BTreeMap<u64, Deed>,
    /// Of a type, and with a detail of their own.
    acked: Vec<(&'static str, String)>,
    /// Lifted bans and mutes.
    lifted: BTreeMap<&'static str, usize>,
    pub(super) seen: Seen,
}

/// Whom a program is called by at first.
pub(super) fn wished(program: usize) -> String {
    format!("c{program}")
}

/// An entry as programs show it: the text of a message, or its [`word`].
pub(super) fn shown(nick: &str, content: &Content<String>) -> String {
    match content {
        Content::Said { text, .. } => text.clone(),
        Content::Kicked { reason, .. } => word("kicked", nick, reason),
        Content::Act { act, detail, .. } => word(act.name(), nick, detail),
        other => panic!("no program does {other:?}"),
    }
}

impl Keeping {
    /// The next thing that a keeper asks, about one of the first `others` programs or about the room.
    /// It also tries to remove one of the keepers, which are those behind, itself among them.
    pub(super) fn asks(&mut self, others: usize, keepers: usize, chance: &mut Chance) -> String {
        let count = self.asked.len();
        let id = OTHERS + count as u64;
        let mut nick = json!(wished(chance.below(others)));
        let about = |name, value| vec![("room", json!(ROOM)), (name, value)];
        let because = |nick| {
            let mut fields = about("nick", nick);
            fields.push(("reason", json!(format!("d{id}"))));
            (Some(format!("d{id}")), fields)
        };
        let which = chance.below(10);
        let is_of_keeper = which < 2 && count.is_multiple_of(3);
        if is_of_keeper {
            nick = json!(wished(others + count / 3 % keepers));
        }
        let (kind, (detail, fields)) = match which {
            0..2 => ("kick", because(nick)),
            2 => ("ban", because(nick)),
            3..5 => ("unban", (None, about("nick", nick))),
            5 => ("mute", because(nick)),
            6..8 => ("unmute", (None, about("nick", nick))),
            8 => {
                let topic = format!("d{id}");
                ("topic", (Some(topic.clone()), about("topic", json!(topic))))
            }
            _ => {
                let is_hidden = chance.percent(50);
                ("room", (None, about("hidden", json!(is_hidden))))
            }
        };
        let deed = Deed {
            kind,
            detail,
            is_of_keeper,
        };
        self.asked.insert(id, deed);
        json::request(kind, Some(id), &fields)
    }

    /// Takes the answers that programs were given.
    pub(super) fn hears(&mut self, program: &mut Program) {
        for answer in std::mem::take(&mut program.answers) {
            let id = answer["re"].as_u64().expect("a number");
            let deed = &self.asked[&id];
            if answer["type"] == "ok" {
                assert!(!deed.is_of_keeper, "an operator is removed: {answer}");
                *self.seen.entry(deed.kind.to_owned()).or_default() += 1;
                match &deed.detail {
                    Some(detail) => self.acked.push((deed.kind, detail.clone())),
                    None => *self.lifted.entry(deed.kind).or_default() += 1,
                }
            } else {
                let code = answer["code"].as_str().expect("a code");
                let codes = [
                    "store_unavailable",
                    "not_a_member",
                    "no_such_member",
                    "not_allowed",
                ];
                assert!(codes.contains(&code), "{} is answered {answer}", deed.kind);
                if deed.is_of_keeper && code == "not_allowed" {
                    *self.seen.entry(String::from("outranked")).or_default() += 1;
                }
            }
        }
    }

    /// What was acknowledged is in the log, unless it was lost with a Redis that had it.
    pub(super) fn is_kept(&self, truth: &BTreeMap<u64, String>, is_gone: impl Fn(&str) -> bool) {
        for (kind, detail) in &self.acked {
            let end = format!(" {detail}");
            assert!(
                truth.values().any(|shown| shown.ends_with(&end)) || is_gone(&end),
                "{kind} {detail} was acknowledged, and is not there"
            );
        }
    }

    /// Nothing was lost: each lifted ban and mute has its entry.
    pub(super) fn all_is_lifted(&self, truth: &BTreeMap<u64, String>) {
        for (kind, count) in &self.lifted {
            let kind = match *kind {
                "unban" => "unbanned",
                "unmute" => "unmuted",
                _ => "settings",
            };
            let entries = truth.values().filter(|shown| shown.starts_with(kind));
            assert!(entries.count() >= *count, "{kind} {count} times");
        }
    }
}

/// What a program said after it was shown that it is muted is there only after it was shown that it
/// is not any more. Nothing was lost.
pub(super) fn is_silent(program: &Program, truth: &BTreeMap<u64, String>) {
    for (text, (muted, nick)) in &program.while_muted {
        let Some(seq) = program.acked.get(text) else {
            continue;
        };
        let unmuted = word("unmuted", nick, "");
        let mut between = truth.range(muted..seq);
        assert!(
            between.any(|(_, shown)| *shown == unmuted),
            "{nick} was muted by {muted}, and said {text} as {seq}"
        );
    }
}

/// What the entries of a log say that holds at their end.
fn said(redis: &Redis) -> BTreeMap<Respect, String> {
    let mut said = BTreeMap::new();
    for entry in super::judge::kept(redis, ROOM).into_values() {
        let Content::Act { act, detail, .. } = entry.draft.content else {
            continue;
        };
        let nick = entry.draft.nick.to_string();
        let yes = String::from("true");
        match act {
            Act::Ban => said.insert(Respect::Banned(nick), yes),
            Act::Unban => said.insert(Respect::Banned(nick), String::from("false")),
            Act::Mute => said.insert(Respect::Muted(nick), yes),
            Act::Unmute => said.insert(Respect::Muted(nick), String::from("false")),
            Act::Topic => said.insert(Respect::Topic, detail),
            Act::Settings => said.insert(Respect::Hidden, detail.replace("hidden=", "")),
            other => panic!("no program does {other:?}"),
        };
    }
    said
}

/// What a server says that the room is like.
#[derive(Debug, PartialEq)]
pub(super) struct State {
    settings: Value,
    sanctions: Value,
}

impl State {
    /// The requests whose answers it is.
    pub(super) fn requests() -> [String; 2] {
        let of = |kind| json::request(kind, Some(OTHERS), &[("room", json!(ROOM))]);
        [of("room"), of("sanctions")]
    }

    /// From the objects that a program was sent.
    pub(super) fn of(program: &mut Program) -> Self {
        let last = |kind: &str| {
            let answers = program.answers.iter().rev();
            let mut answers = answers.filter(|object| object["type"] == kind);
            let answer = answers.next().unwrap_or_else(|| panic!("{kind} is asked"));
            answer.clone()
        };
        Self {
            settings: last("settings"),
            sanctions: last("sanctions")["sanctions"].clone(),
        }
    }

    fn rows(&self, kind: &str) -> impl Iterator<Item = &Value> {
        let rows = self.sanctions.as_array().into_iter().flatten();
        rows.filter(move |row| row["kind"] == kind)
    }

    /// Whether a program is banned, or muted, by its nick or its address.
    fn covers(&self, kind: &str, program: usize, nick: &str) -> bool {
        let address = json!(format!("192.0.2.{}", program + 1));
        let mut rows = self.rows(kind);
        rows.any(|row| row["nick"] == nick || row["address"] == address)
    }

    /// It is what the log says.
    pub(super) fn is_as_said(&self, redis: &Redis, others: usize) {
        for (respect, value) in said(redis) {
            let is = match &respect {
                Respect::Topic => self.settings["topic"].as_str().expect("text").to_owned(),
                Respect::Hidden => self.settings["hidden"].to_string(),
                Respect::Banned(nick) | Respect::Muted(nick) => {
                    let kind = match respect {
                        Respect::Banned(_) => "ban",
                        _ => "mute",
                    };
                    let number = (0..others).find(|number| wished(*number) == *nick);
                    let number = number.expect("one of the programs");
                    self.covers(kind, number, nick).to_string()
                }
            };
            assert_eq!(is, value, "{respect:?} is as the log says: {self:?}");
        }
    }

    /// A program is in if it may be, and its last message was said if it may speak.
    pub(super) fn fits(&self, program: &Program, may_be_banned: bool) {
        let (number, nick) = (program.number, program.nick.as_str());
        if may_be_banned && self.covers("ban", number, nick) {
            assert!(!program.is_member, "{number} is banned, and is in");
            assert_eq!(program.refused.as_deref(), Some("banned"), "{number}");
            return;
        }
        assert!(program.is_member, "{number} is out: {self:?}");
        let is_silenced = program.silenced.contains(&program.last());
        let is_muted = self.covers("mute", number, nick);
        assert_eq!(is_silenced, is_muted, "{number} is muted: {self:?}");
    }
}
