//! `parlor.v1.json` as a client writes and reads it: requests into text, objects of the server into
//! values. Panics at an object that the schema of the protocol does not have, in either direction.
//! Knows no state of a client.

use super::truth::{Mark, Said, What};
use crate::schema::Schema;
use serde_json::{Map, Value, json};

/// An entry of a room, as the server sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) room: String,
    pub(crate) seq: u32,
    pub(crate) time: u64,
    pub(crate) said: Said,
}

/// What a client must know of a `joined`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) room: String,
    pub(crate) epoch: String,
    pub(crate) seq: u32,
    /// The entries behind this one follow.
    pub(crate) after: u32,
    pub(crate) recovered: bool,
    pub(crate) rewound: Option<u32>,
    pub(crate) count: u32,
    pub(crate) members: Vec<String>,
}

/// An object of the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Object {
    Hello {
        nick: String,
        session: String,
        limits: Value,
    },
    Joined(Joined),
    Entry(Entry),
    Gap {
        room: String,
        from: u32,
        to: u32,
    },
    Rewound {
        room: String,
        epoch: String,
        to: u32,
    },
    /// The client was removed from a room.
    Removed {
        room: String,
    },
    /// A notice, with all its fields.
    Notice {
        room: String,
        is_lost: bool,
        all: Value,
    },
    History {
        room: String,
        entries: Vec<Entry>,
        more: bool,
    },
    /// What a search has found.
    Found {
        room: String,
        entries: Vec<Entry>,
        more: bool,
    },
    Ok(Value),
    Error {
        code: String,
        retry_ms: Option<u64>,
    },
    /// Another result of a request: the members of a room, the rooms.
    List(Value),
}

/// An object of the server, and the request that it answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) re: Option<u64>,
    pub(crate) object: Object,
}

fn string(object: &Value, field: &str) -> String {
    let value = object[field].as_str();
    value
        .unwrap_or_else(|| panic!("no text {field:?} in {object}"))
        .to_owned()
}

fn number(object: &Value, field: &str) -> u32 {
    let value = object[field].as_u64().and_then(|n| u32::try_from(n).ok());
    value.unwrap_or_else(|| panic!("no number {field:?} in {object}"))
}

fn entry(object: &Value) -> Option<Entry> {
    let text = || string(object, "text");
    let reply_to = object.get("reply_to").map(|_| number(object, "reply_to"));
    let what = match string(object, "type").as_str() {
        "message" => match object["kind"].as_str() {
            Some("message") | None => What::Message {
                text: text(),
                reply_to,
            },
            Some("action") => What::Action {
                text: text(),
                reply_to,
            },
            Some(other) => panic!("a message of the kind {other:?}: {object}"),
        },
        "edited" => What::Edited {
            of: number(object, "of"),
            text: object["text"].as_str().unwrap_or("").to_owned(),
        },
        "deleted" => What::Deleted {
            of: number(object, "of"),
        },
        "kicked" if object.get("seq").is_some() => What::Kicked {
            by: string(object, "by"),
            reason: object["reason"].as_str().unwrap_or("").to_owned(),
        },
        _ => return None,
    };
    Some(Entry {
        room: string(object, "room"),
        seq: number(object, "seq"),
        time: object["time"].as_u64().expect("an entry has a time"),
        said: Said {
            nick: string(
                object,
                match object["type"] == "deleted" {
                    true => "by",
                    false => "nick",
                },
            ),
            what,
            mark: match (object.get("edited"), object.get("deleted")) {
                (None, None) => Mark::AsSaid,
                (Some(_), _) => Mark::Edited,
                (None, Some(_)) => Mark::Deleted,
            },
        },
    })
}

fn entries(object: &Value) -> Vec<Entry> {
    let all = object["entries"].as_array().expect("entries");
    let parse = |object| entry(object).unwrap_or_else(|| panic!("not an entry: {object}"));
    all.iter().map(parse).collect()
}

thread_local! {
    static SCHEMA: Schema = Schema::new();
}

/// Holds a request to the schema.
pub(crate) fn check_request(text: &str) {
    SCHEMA.with(|schema| schema.check_request(text));
}

/// An object of the server, which the schema has.
pub(crate) fn check_sent(text: &str) -> Value {
    let object: Value =
        serde_json::from_str(text).unwrap_or_else(|why| panic!("{text:?} is no JSON: {why}"));
    if let Err(why) = SCHEMA.with(|schema| schema.find_in(&object, "sent")) {
        panic!("{why}");
    }
    object
}

/// Parses an object of the server.
pub(crate) fn parse(text: &str) -> Heard {
    let object = check_sent(text);
    let re = object.get("re").map(|re| {
        re.as_u64()
            .unwrap_or_else(|| panic!("an answer to a request that was not made: {object}"))
    });
    let first = text.trim_start_matches(['{', ' ']);
    assert!(
        first.starts_with("\"type\""),
        "the type is not first in {text}"
    );
    if let Some(entry) = entry(&object) {
        assert_eq!(re, None, "an entry answers nothing: {object}");
        return Heard {
            re,
            object: Object::Entry(entry),
        };
    }
    let object = match string(&object, "type").as_str() {
        "hello" => Object::Hello {
            nick: string(&object, "nick"),
            session: string(&object, "session"),
            limits: object["limits"].clone(),
        },
        "joined" => Object::Joined(Joined {
            room: string(&object, "room"),
            epoch: string(&object, "epoch"),
            seq: number(&object, "seq"),
            after: number(&object, "after"),
            recovered: object["recovered"].as_bool().expect("recovered or not"),
            rewound: object.get("rewound").map(|_| number(&object, "rewound")),
            count: number(&object, "count"),
            members: object["members"]
                .as_array()
                .expect("members")
                .iter()
                .map(|nick| nick.as_str().expect("a member has a nick").to_owned())
                .collect(),
        }),
        "gap" => Object::Gap {
            room: string(&object, "room"),
            from: number(&object, "from"),
            to: number(&object, "to"),
        },
        "rewound" => Object::Rewound {
            room: string(&object, "room"),
            epoch: string(&object, "epoch"),
            to: number(&object, "to"),
        },
        "member_joined" | "member_left" | "presence" | "nick_changed" | "typing" => {
            Object::Notice {
                room: string(&object, "room"),
                is_lost: object["lost"] == Value::Bool(true),
                all: object,
            }
        }
        "kicked" => {
            assert_eq!(object["you"], Value::Bool(true), "{object}");
            Object::Removed {
                room: string(&object, "room"),
            }
        }
        "history" => Object::History {
            room: string(&object, "room"),
            entries: entries(&object),
            more: object["more"].as_bool().expect("more"),
        },
        "found" => Object::Found {
            room: string(&object, "room"),
            entries: entries(&object),
            more: object["more"].as_bool().expect("more"),
        },
        "ok" => Object::Ok(object),
        "error" => Object::Error {
            code: string(&object, "code"),
            retry_ms: object["retry_ms"].as_u64(),
        },
        "members" | "rooms" => Object::List(object),
        _ => panic!("an object that the protocol does not know: {object}"),
    };
    Heard { re, object }
}

/// A request as text: the type first.
pub(crate) fn request(kind: &str, id: Option<u64>, fields: &[(&str, Value)]) -> String {
    let mut all = Map::new();
    if let Some(id) = id {
        all.insert(String::from("id"), json!(id));
    }
    for (name, value) in fields {
        all.insert((*name).to_owned(), value.clone());
    }
    let rest = Value::Object(all).to_string();
    match rest.strip_prefix('{') {
        Some("}") | None => format!("{{\"type\":\"{kind}\"}}"),
        Some(rest) => format!("{{\"type\":\"{kind}\",{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_its_type_first() {
        assert_eq!(request("ping", None, &[]), r#"{"type":"ping"}"#);
        let with_id = request("leave", Some(7), &[("room", json!("lobby"))]);
        assert_eq!(with_id, r#"{"type":"leave","id":7,"room":"lobby"}"#);
    }

    #[test]
    fn entry_is_parsed_with_all_that_it_says() {
        let heard = parse(
            r#"{"type":"message","room":"lobby","seq":3,"time":12,"nick":"ann","kind":"action",
               "text":"waves","reply_to":2}"#,
        );
        let Object::Entry(entry) = heard.object else {
            panic!("{heard:?}");
        };
        assert_eq!((entry.seq, entry.time), (3, 12));
        assert_eq!(entry.said.line(), "** ann waves");
    }

    #[test]
    #[should_panic(expected = "not in the schema")]
    fn object_of_an_unknown_type_is_found() {
        parse(r#"{"type":"surprise"}"#);
    }

    #[test]
    #[should_panic(expected = "not in the schema")]
    fn request_with_a_field_that_no_request_has_is_found() {
        check_request(&request("ping", Some(1), &[("room", json!("lobby"))]));
    }
}
