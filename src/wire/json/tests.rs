//! Objects as clients send and read them.

#[path = "../../../tests/schema/mod.rs"]
mod schema;

use super::*;
use crate::chat::registry::Rules;
use crate::chat::{
    Author, Command, Content, Entry, Event, Manner, Nick, NickRefused, Page, Refused, RoomChange,
};
use crate::id::{Millis, Seq};
use crate::wire::request::{Ask, Code, Position, Problem, Range, RequestId, Send};
use crate::wire::shown::{Done, Hello, Joined, Limits, Shown};
use schema::Schema;
use serde_json::{Value, json};
use smol_str::SmolStr;

/// What a message asks: its id as JSON, its room, and the rest as debug text, which has no
/// lifetime.
fn read(message: &str) -> (Option<String>, Option<String>, String) {
    let message = Message::read(message);
    let request = message.request();
    (
        request.id.map(|id| id.to_string()),
        request.room.map(str::to_owned),
        format!("{:?}", request.ask),
    )
}

#[track_caller]
fn asks(message: &str, expected: Ask<'_>) {
    assert_eq!(read(message).2, format!("{expected:?}"), "{message}");
}

#[track_caller]
fn is_bad(message: &str, why: Problem<'_>) {
    asks(message, Ask::Bad(why));
}

#[test]
fn requests_are_read_in_any_order_of_their_fields() {
    let epoch = "7-5f3a9c01";
    let say = |manner, text, reply_to, key| {
        Ask::Send(Send {
            manner,
            text,
            reply_to,
            key,
        })
    };
    let join = |since, history| Ask::Join {
        room: "den",
        since,
        password: None,
        history,
    };
    let history = |range, limit| Ask::History { range, limit };
    for (message, expected) in [
        (r#"{"type":"ping"}"#, Ask::Ping),
        (
            r#"{"type":"send","room":"den","text":"hi"}"#,
            say(Manner::Message, "hi", None, None),
        ),
        (
            r#" {"text" : "hi" , "room":"den","type":"send","kind":"message"} "#,
            say(Manner::Message, "hi", None, None),
        ),
        (
            r#"{"type":"send","room":"den","kind":"action","text":"waves","reply_to":12,"key":"k1"}"#,
            say(Manner::Action, "waves", Some(Seq(12)), Some("k1")),
        ),
        (
            r#"{"type":"send","room":"den","text":"","key":null,"reply_to":null}"#,
            say(Manner::Message, "", None, None),
        ),
        (r#"{"type":"join","room":"den"}"#, join(None, None)),
        (
            r#"{"type":"join","room":"den","password":"sesame"}"#,
            Ask::Join {
                room: "den",
                since: None,
                password: Some("sesame"),
                history: None,
            },
        ),
        (
            r#"{"type":"room","room":"den","password":"sesame","newcomers_read":false,"keep_days":7}"#,
            Ask::RoomPassword {
                change: RoomChange {
                    newcomers_read: Some(false),
                    keep_days: Some(7),
                    ..RoomChange::default()
                },
                password: "sesame",
            },
        ),
        (
            r#"{"type":"room","room":"den","password":""}"#,
            Ask::Chat(Command::Room {
                change: RoomChange::default(),
                password: Some(""),
            }),
        ),
        (
            r#"{"type":"join","room":"den","history":0}"#,
            join(None, Some(0)),
        ),
        (
            r#"{"since":{"seq":0,"epoch":"7-5f3a9c01"},"type":"join","room":"den"}"#,
            join(Some(Position { epoch, seq: Seq(0) }), None),
        ),
        (
            r#"{"type":"join","room":"den","since":{"epoch":"elsewhere","seq":5,"x":[]},"history":9}"#,
            join(
                Some(Position {
                    epoch: "elsewhere",
                    seq: Seq(5),
                }),
                Some(9),
            ),
        ),
        (r#"{"type":"leave","room":"den"}"#, Ask::Leave),
        (
            r#"{"type":"resume","session":"abc"}"#,
            Ask::Resume { session: "abc" },
        ),
        (
            r#"{"type":"history","room":"den"}"#,
            history(Range::Newest, 50),
        ),
        (
            r#"{"type":"history","room":"den","before":10,"limit":5}"#,
            history(Range::Before(Seq(10)), 5),
        ),
        (
            r#"{"type":"history","room":"den","after":0,"limit":1000}"#,
            history(Range::After(Seq(0)), 100),
        ),
        (
            r#"{"type":"search","room":"den","query":"two words","before":9}"#,
            Ask::Search {
                query: "two words",
                before: Some(Seq(9)),
                limit: 50,
            },
        ),
        (
            r#"{"type":"nick","nick":"ann"}"#,
            Ask::Chat(Command::Nick("ann")),
        ),
        (
            r#"{"type":"op","token":"sesame"}"#,
            Ask::Chat(Command::Op { token: "sesame" }),
        ),
        (
            r#"{"type":"kick","room":"den","nick":"bob","reason":"loud"}"#,
            Ask::Chat(Command::Kick {
                nick: "bob",
                reason: "loud",
            }),
        ),
        (
            r#"{"type":"kick","room":"den","nick":"bob"}"#,
            Ask::Chat(Command::Kick {
                nick: "bob",
                reason: "",
            }),
        ),
        (
            r#"{"type":"who","room":"den"}"#,
            Ask::Chat(Command::Who(Some(Page {
                after: None,
                limit: 50,
            }))),
        ),
        (
            r#"{"type":"rooms","after":"den","limit":7}"#,
            Ask::Chat(Command::Rooms(Some(Page {
                after: Some("den"),
                limit: 7,
            }))),
        ),
        (
            r#"{"type":"typing","room":"den"}"#,
            Ask::Chat(Command::Typing),
        ),
    ] {
        asks(message, expected);
    }
}

#[test]
fn room_of_a_request_is_returned_with_it() {
    let (_, room, _) = read(r#"{"type":"send","room":"den","text":"hi"}"#);
    assert_eq!(room.as_deref(), Some("den"));
    assert_eq!(read(r#"{"type":"ping"}"#).1, None);
}

#[test]
fn strings_without_escapes_are_borrowed_and_others_decoded() {
    for (text, decoded) in [
        ("héllo 👋", "héllo 👋"),
        (r"a\nb\t\u0000\/\\", "a\nb\t\0/\\"),
        (r"\ud83d\udc4b", "👋"),
        (r"\u2028", "\u{2028}"),
    ] {
        let message = format!(r#"{{"type":"send","room":"den","text":"{text}"}}"#);
        let message = Message::read(&message);
        let Ask::Send(send) = message.request().ask else {
            panic!("{text}");
        };
        assert_eq!(send.text, decoded);
    }
}

#[test]
fn names_of_fields_may_have_escapes() {
    asks(r#"{"ty\u0070e":"ping"}"#, Ask::Ping);
}

#[test]
fn id_is_returned_as_it_was() {
    let longest = format!("\"{}\"", "x".repeat(RequestId::BYTES_MAX));
    for id in [
        "0",
        "7",
        "-7",
        "18446744073709551615",
        "-9223372036854775808",
        r#""""#,
        r#""a""#,
        r#""a\"\\\n\u0001é""#,
        &longest,
    ] {
        let (read, ..) = read(&format!(r#"{{"type":"ping","id":{id}}}"#));
        assert_eq!(read.as_deref(), Some(id));
    }
    assert_eq!(read(r#"{"type":"ping","id":null}"#).0, None);
}

#[test]
fn other_ids_are_refused() {
    let long = format!("\"{}\"", "x".repeat(RequestId::BYTES_MAX + 1));
    for id in [
        "1.5",
        "1e3",
        "-0",
        "18446744073709551616",
        "-9223372036854775809",
        "true",
        "[1]",
        r#"{"a":1}"#,
        &long,
    ] {
        let message = format!(r#"{{"type":"ping","id":{id}}}"#);
        is_bad(
            &message,
            Problem::Wrong {
                field: "id",
                expected: "a string of at most 64 bytes, or an integer",
            },
        );
        assert_eq!(read(&message).0, None);
    }
}

#[test]
fn what_is_no_json_object_is_bad() {
    for message in [
        "",
        " ",
        "hello",
        "/who",
        "{",
        r#"{"type":"ping""#,
        r#"{"type":"ping"}}"#,
        r#"{"type":"ping"}{"type":"ping"}"#,
        r#"{"type":"ping",}"#,
        r#"{'type':'ping'}"#,
        r#"{type:"ping"}"#,
        r#"{"type":"send","room":"den","text":"\ud800"}"#,
        "{\"type\":\"send\",\"room\":\"den\",\"text\":\"a\nb\"}",
        r#"{"type":"ping","x":01}"#,
        "[",
        "\u{feff}{\"type\":\"ping\"}",
    ] {
        is_bad(message, Problem::NotJson);
    }
    for message in [
        "[]",
        r#"[{"type":"ping"}]"#,
        "1",
        "\"ping\"",
        "null",
        " true ",
    ] {
        is_bad(message, Problem::NotAnObject);
    }
}

#[test]
fn bad_request_has_its_id_where_it_was_read() {
    for message in [
        r#"{"type":"send","id":7,"room":5,"text":"hi"}"#,
        r#"{"room":5,"text":"hi","type":"send","id":7}"#,
        r#"{"id":7}"#,
        r#"{"id":7,"type":"dance"}"#,
        r#"{"id":7,"type":"send","room":"den","text":"\ud800"}"#,
    ] {
        let (id, _, ask) = read(message);
        assert_eq!(id.as_deref(), Some("7"), "{message}");
        assert!(ask.starts_with("Bad("), "{ask}");
    }
}

#[test]
fn field_that_is_missing_or_wrong_is_named() {
    let missing = |field| Problem::Missing { field };
    let wrong = |field, expected| Problem::Wrong { field, expected };
    for (message, why) in [
        ("{}", missing("type")),
        (r#"{"type":null}"#, missing("type")),
        (r#"{"type":5}"#, wrong("type", "a string")),
        (r#"{"type":"join"}"#, missing("room")),
        (r#"{"type":"send","text":"hi"}"#, missing("room")),
        (r#"{"type":"send","room":"den"}"#, missing("text")),
        (
            r#"{"type":"send","room":["den"],"text":"hi"}"#,
            wrong("room", "a string"),
        ),
        (
            r#"{"type":"send","room":"den","text":"hi","kind":"shout"}"#,
            wrong("kind", "message or action"),
        ),
        (
            r#"{"type":"send","room":"den","text":"hi","reply_to":0}"#,
            wrong("reply_to", "the number of an entry"),
        ),
        (
            r#"{"type":"send","room":"den","text":"hi","key":""}"#,
            wrong("key", "a string of 1 to 64 bytes"),
        ),
        (
            r#"{"type":"join","room":"den","since":"7-5f3a9c01"}"#,
            wrong("since", "an object with epoch and seq"),
        ),
        (
            r#"{"type":"join","room":"den","since":5}"#,
            wrong("since", "an object with epoch and seq"),
        ),
        (
            r#"{"type":"join","room":"den","since":[{}]}"#,
            wrong("since", "an object with epoch and seq"),
        ),
        (
            r#"{"type":"join","room":"den","since":{"seq":1}}"#,
            missing("since.epoch"),
        ),
        (
            r#"{"type":"join","room":"den","since":{"epoch":"a"}}"#,
            missing("since.seq"),
        ),
        (
            r#"{"type":"join","room":"den","since":{"epoch":"a","seq":4294967296}}"#,
            wrong("since.seq", "the number of an entry, or 0"),
        ),
        (
            r#"{"type":"join","room":"den","history":-1}"#,
            wrong("history", "an integer, not negative"),
        ),
        (
            r#"{"type":"history","room":"den","limit":0}"#,
            wrong("limit", "an integer from 1 to 100"),
        ),
        (
            r#"{"type":"history","room":"den","before":1.5}"#,
            wrong("before", "the number of an entry"),
        ),
        (
            r#"{"type":"history","room":"den","before":5,"after":1}"#,
            Problem::Both {
                field: "before",
                other: "after",
            },
        ),
        (r#"{"type":"resume"}"#, missing("session")),
        (r#"{"type":"search","room":"den"}"#, missing("query")),
        (r#"{"type":"nick"}"#, missing("nick")),
        (
            r#"{"type":"join","since.epoch":"a","since":{},"room":"den"}"#,
            missing("since.epoch"),
        ),
    ] {
        is_bad(message, why);
    }
}

#[test]
fn field_that_is_there_twice_is_named_and_an_unknown_one_is_not() {
    is_bad(
        r#"{"type":"send","room":"den","text":"a","text":"b"}"#,
        Problem::Twice { field: "text" },
    );
    is_bad(
        r#"{"type":"ping","id":1,"id":2}"#,
        Problem::Twice { field: "id" },
    );
    is_bad(
        r#"{"type":"join","room":"den","since":{"seq":1,"seq":2,"epoch":"a"}}"#,
        Problem::Twice { field: "since.seq" },
    );
    asks(
        r#"{"type":"ping","x":1,"x":[{"type":2}],"y":1e999}"#,
        Ask::Ping,
    );
}

#[test]
fn requests_that_are_not_there_yet_are_unknown() {
    for name in ["dance", "ok", "message", ""] {
        let message = format!(r#"{{"type":"{name}","room":"den","seq":1,"text":"a"}}"#);
        is_bad(&message, Problem::UnknownType { name });
    }
}

#[test]
fn depth_costs_no_stack() {
    for field in ["x", "text", "since", "id"] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = open.repeat(100_000) + "1" + &close.repeat(100_000);
            let message = format!(r#"{{"type":"ping","{field}":{deep}}}"#);
            let (_, _, ask) = read(&message);
            assert!(ask == "Ping" || ask.starts_with("Bad("), "{ask}");
        }
    }
}

/// What is shown, read back by serde_json, which finds every error of form. The schema has it.
#[track_caller]
fn object(shown: &Shown<'_>) -> Value {
    let mut text = String::new();
    assert!(render(shown, &mut text), "{shown:?}");
    assert!(text.starts_with("{\"type\":\""), "{text}");
    Schema::new().check_sent(&text);
    serde_json::from_str(&text).expect("JSON")
}

fn nick(name: &str) -> Nick {
    Nick::parse(name).expect("a nick")
}

fn entry(content: Content<&str>) -> Entry<'_> {
    Entry {
        seq: Seq(17),
        at: Millis(1_764_115_200_000),
        nick: "ann",
        content,
    }
}

fn said(text: &str) -> Content<&str> {
    Content::said(Manner::Message, text, None, Author::Unknown)
}

#[test]
fn entries_have_room_number_and_time() {
    let shown = |content| {
        object(&Shown::Entry {
            room: "den",
            entry: &entry(content),
        })
    };
    assert_eq!(
        shown(said("a\"b\\c\nd\u{2028}\0👋")),
        json!({"type": "message", "room": "den", "seq": 17, "time": 1_764_115_200_000_u64,
               "nick": "ann", "kind": "message", "text": "a\"b\\c\nd\u{2028}\0👋"})
    );
    let action = Content::said(Manner::Action, "waves", Some(Seq(3)), Author::Unknown);
    assert_eq!(
        shown(action),
        json!({"type": "message", "room": "den", "seq": 17, "time": 1_764_115_200_000_u64,
               "nick": "ann", "kind": "action", "text": "waves", "reply_to": 3})
    );
    let kicked = |reason| Content::Kicked { by: "bob", reason };
    assert_eq!(
        shown(kicked("loud")),
        json!({"type": "kicked", "room": "den", "seq": 17, "time": 1_764_115_200_000_u64,
               "nick": "ann", "by": "bob", "reason": "loud"})
    );
    assert!(shown(kicked("")).get("reason").is_none());
}

#[test]
fn pages_have_their_entries_as_they_are_sent_by_themselves() {
    let entries = [entry(said("a")), entry(said("b"))];
    let id = RequestId::new("\"q\"");
    let one = |text| {
        json!({"type": "message", "room": "den", "seq": 17, "nick": "ann",
        "time": 1_764_115_200_000_u64, "kind": "message", "text": text})
    };
    assert_eq!(
        object(&Shown::History {
            re: Some(&id),
            room: "den",
            entries: &entries,
            more: true
        }),
        json!({"type": "history", "re": "q", "room": "den", "entries": [one("a"), one("b")],
               "more": true})
    );
    assert_eq!(
        object(&Shown::Found {
            re: None,
            room: "den",
            entries: &[],
            more: false
        }),
        json!({"type": "found", "room": "den", "entries": [], "more": false})
    );
}

#[test]
fn reports_are_objects() {
    let epoch = "7-00000001";
    let id = RequestId::new("5");
    assert_eq!(
        object(&Shown::Hello(Hello {
            accounts: "open",
            account: None,
            server: "parlor 0.1.0",
            nick: "ann",
            session: "abc",
            limits: Limits {
                message_bytes: 16384,
                rate: 10,
                burst: 20,
                history: 100,
                catch_up: 1000,
                rooms: 16,
                unacknowledged: 64,
                dedupe_millis: 60_000,
                edit_window_millis: 900_000,
            },
            ping_after_millis: 20_000,
            time: Millis(1),
        })),
        json!({"type": "hello", "server": "parlor 0.1.0", "nick": "ann", "session": "abc",
               "accounts": "open", "limits": {"message_bytes": 16384, "rate": 10, "burst": 20, "history": 100,
                          "catch_up": 1000, "rooms": 16, "unacknowledged": 64,
                          "dedupe_ms": 60_000, "edit_window_ms": 900_000},
               "ping_after_ms": 20_000, "time": 1})
    );
    let joined = Joined {
        re: Some(&id),
        room: "den",
        epoch,
        seq: Seq(9),
        after: Seq(4),
        recovered: false,
        rewound: Some(Seq(4)),
        topic: "",
        count: 3,
        members: &[nick("bob"), nick("cat")],
        accounts: &[nick("cat")],
        role: "member",
        settings: None,
    };
    assert_eq!(
        object(&Shown::Joined(joined)),
        json!({"type": "joined", "re": 5, "room": "den", "epoch": "7-00000001", "seq": 9,
               "after": 4, "recovered": false, "rewound": 4, "topic": "", "count": 3,
               "members": ["bob", "cat"], "accounts": ["cat"], "role": "member"})
    );
    for (rules, settings) in [
        (Rules::default(), None),
        (
            Rules {
                topic: "tea".into(),
                ..Rules::default()
            },
            None,
        ),
        (
            Rules {
                slow_seconds: 30,
                is_hidden: true,
                password: Some("$argon2id$".into()),
                newcomers_read: false,
                keep_days: Some(7),
                ..Rules::default()
            },
            Some(
                json!({"slow_seconds": 30, "hidden": true, "has_password": true, "newcomers_read": false, "keep_days": 7}),
            ),
        ),
    ] {
        let joined = Joined {
            accounts: &[],
            settings: Some(&rules),
            ..joined
        };
        let object = object(&Shown::Joined(joined));
        assert_eq!(object.get("settings"), settings.as_ref());
        assert!(object.get("accounts").is_none());
    }
    assert_eq!(
        object(&Shown::Gap {
            room: "den",
            from: Seq(2),
            to: Seq(5)
        }),
        json!({"type": "gap", "room": "den", "from": 2, "to": 5})
    );
    assert_eq!(
        object(&Shown::Rewound {
            room: "den",
            epoch,
            to: Seq(5)
        }),
        json!({"type": "rewound", "room": "den", "epoch": "7-00000001", "to": 5})
    );
    assert_eq!(
        object(&Shown::Lost { room: "den" }),
        json!({"type": "presence", "room": "den", "lost": true})
    );
    assert!(!render(&Shown::HistoryBegins, &mut String::new()));
    assert!(!render(&Shown::HistoryEnds, &mut String::new()));
}

#[test]
fn requests_are_answered_with_their_id() {
    let id = RequestId::new("-5");
    let ok = |done| {
        object(&Shown::Ok {
            re: Some(&id),
            done,
        })
    };
    assert_eq!(ok(Done::Nothing), json!({"type": "ok", "re": -5}));
    assert_eq!(
        ok(Done::Nick { nick: "ann" }),
        json!({"type": "ok", "re": -5, "nick": "ann"})
    );
    assert_eq!(
        ok(Done::Resumed {
            account: None,
            nick: "ann",
            session: "abc"
        }),
        json!({"type": "ok", "re": -5, "nick": "ann", "session": "abc"})
    );
    let sent = |is_duplicate| Done::Sent {
        room: "den",
        seq: Seq(8),
        time: Millis(2),
        is_duplicate,
    };
    assert_eq!(
        ok(sent(false)),
        json!({"type": "ok", "re": -5, "room": "den", "seq": 8, "time": 2})
    );
    assert_eq!(ok(sent(true))["duplicate"], json!(true));
    assert_eq!(
        object(&Shown::Error {
            re: Some(&id),
            why: Problem::Busy
        }),
        json!({"type": "error", "re": -5, "code": "busy", "retry_ms": 1000,
               "message": "the server is busy at the moment; try again later"})
    );
    assert_eq!(
        object(&Shown::Error {
            re: None,
            why: Problem::UnknownType { name: "da\"nce" }
        }),
        json!({"type": "error", "code": "unknown_type",
               "message": "there is no request of the type da\"nce"})
    );
}

#[test]
fn a_nick_that_is_refused_comes_with_the_one_that_the_client_has() {
    let why = Refused::Nick {
        wanted: String::from("bob"),
        why: NickRefused::Taken,
        kept: nick("ann"),
    };
    let refused = object(&Shown::Event(&Event::Refused(why)));
    assert_eq!(refused["nick"], "ann");
}

#[test]
fn refusals_of_the_chat_have_stable_codes() {
    let nick_refused = |why| Refused::Nick {
        wanted: String::from("bob"),
        why,
        kept: nick("ann"),
    };
    for (why, code, retry_millis) in [
        (nick_refused(NickRefused::Taken), "nick_taken", None),
        (nick_refused(NickRefused::Empty), "bad_name", None),
        (Refused::EmptyMessage, "empty", None),
        (Refused::TooLong, "too_long", None),
        (
            Refused::TooFast {
                messages_per_second: 10,
            },
            "too_fast",
            Some(100),
        ),
        (Refused::NotOperator, "not_allowed", None),
    ] {
        let event = Event::Refused(why);
        let object = object(&Shown::Reply {
            re: None,
            event: &event,
        });
        assert_eq!(object["type"], "error");
        assert_eq!(object["code"], code);
        assert_eq!(object.get("retry_ms").and_then(Value::as_u64), retry_millis);
        let message = object["message"].as_str().expect("a message");
        assert!(!message.starts_with('*'), "{message}");
    }
}

#[test]
fn notices_name_their_room() {
    let room = || SmolStr::from("den");
    let [ann, bob] = ["ann", "bob"].map(nick);
    for (event, expected) in [
        (
            Event::Joined {
                room: room(),
                nick: ann.clone(),
                has_account: false,
            },
            json!({"type": "member_joined", "room": "den", "nick": "ann"}),
        ),
        (
            Event::Left {
                room: room(),
                nick: ann.clone(),
                word: String::new(),
            },
            json!({"type": "member_left", "room": "den", "nick": "ann"}),
        ),
        (
            Event::Left {
                room: room(),
                nick: ann.clone(),
                word: String::from("bye"),
            },
            json!({"type": "member_left", "room": "den", "nick": "ann", "word": "bye"}),
        ),
        (
            Event::Summed {
                room: room(),
                joined: 42,
                left: 0,
            },
            json!({"type": "presence", "room": "den", "joined": 42, "left": 0}),
        ),
        (
            Event::Renamed {
                room: room(),
                old: ann,
                new: bob,
            },
            json!({"type": "nick_changed", "room": "den", "old": "ann", "new": "bob"}),
        ),
        (
            Event::YouWereKicked {
                room: room(),
                by: "bob".into(),
                reason: String::new(),
            },
            json!({"type": "kicked", "room": "den", "you": true, "by": "bob"}),
        ),
    ] {
        assert_eq!(object(&Shown::Event(&event)), expected);
    }
}

#[test]
fn lists_say_how_many_more_there_are() {
    let id = RequestId::new("1");
    let reply = |event: Event| {
        object(&Shown::Reply {
            re: Some(&id),
            event: &event,
        })
    };
    assert_eq!(
        reply(Event::Who {
            room: "den".into(),
            members: vec![nick("ann"), nick("bob")],
            accounts: vec![nick("bob")],
            more: 3,
        }),
        json!({"type": "members", "re": 1, "room": "den", "members": ["ann", "bob"],
               "accounts": ["bob"], "more": 3})
    );
    assert_eq!(
        reply(Event::Rooms {
            rooms: vec![("den".into(), 2)],
            more: 0,
        }),
        json!({"type": "rooms", "re": 1, "rooms": [{"room": "den", "count": 2}], "more": 0})
    );
}

#[test]
fn examples_of_the_documentation_are_in_the_schema_and_requests_are_understood() {
    let schema = Schema::new();
    for (is_request, example) in schema::examples() {
        if !is_request {
            schema.check_sent(example);
            continue;
        }
        schema.check_request(example);
        let (_, _, ask) = read(example);
        assert!(!ask.starts_with("Bad("), "{ask}: {example}");
    }
}

#[test]
fn every_object_of_the_schema_has_an_example() {
    let schema: Value = serde_json::from_str(include_str!("../../../docs/protocol.schema.json"))
        .expect("the schema is JSON");
    let examples: Vec<(bool, Value)> = schema::examples()
        .into_iter()
        .map(|(is_request, text)| (is_request, serde_json::from_str(text).expect("JSON")))
        .collect();
    for (definition, is_request) in [("request", true), ("sent", false)] {
        let objects = schema["$defs"][definition]["oneOf"].as_array();
        for object in objects.expect("a list") {
            let fits = |(example_is_request, example): &(bool, Value)| {
                *example_is_request == is_request && Schema::new().validate(example, object).is_ok()
            };
            assert!(examples.iter().any(fits), "{object} has no example");
        }
    }
}

#[test]
fn codes_are_those_of_the_schema_and_of_the_documentation() {
    let schema: Value = serde_json::from_str(include_str!("../../../docs/protocol.schema.json"))
        .expect("the schema is JSON");
    let page = include_str!("../../../docs/protocol.md");
    let codes = Code::ALL.map(Code::as_str);
    assert_eq!(schema["$defs"]["code"]["enum"], json!(codes));
    for code in codes {
        assert!(page.contains(&format!("| `{code}` |")), "{code}");
    }
}

#[test]
fn other_objects_are_not_in_the_schema() {
    let schema = Schema::new();
    for message in [
        r#"{"type":"dance"}"#,
        r#"{"type":"gap","room":"den","from":1}"#,
        r#"{"type":"gap","room":"den","from":1,"to":0}"#,
        r#"{"type":"gap","room":"den","from":1,"to":2.5}"#,
        r#"{"type":"gap","room":"","from":1,"to":2}"#,
        r#"{"type":"gap","room":"den","from":1,"to":2,"x":1}"#,
        r#"{"type":"member_joined","room":"den","nick":5}"#,
        r#"{"type":"history","room":"den","entries":[{"type":"gap"}],"more":true}"#,
        r#"{"type":"presence","room":"den","lost":false}"#,
        "[]",
    ] {
        let value: Value = serde_json::from_str(message).expect("JSON");
        let sent = json!({"$ref": "#/$defs/sent"});
        assert!(schema.validate(&value, &sent).is_err(), "{message}");
    }
}
