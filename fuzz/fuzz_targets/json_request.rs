//! Any text as a message of `parlor.v1.json`: it becomes one request, which agrees with what
//! serde_json makes of the text, and whatever it has of strings is written as JSON that serde_json
//! reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::chat::{Author, Command, Content, Entry, Manner};
use parlor::id::{Millis, Seq};
use parlor::wire::{self, Ask, Done, Problem, Protocol, RequestId, Shown};
use serde_json::Value;

const MESSAGE_BYTES_MAX: usize = 1_000;

/// What is shown, which must be one object on one line.
fn object(shown: &Shown<'_>) -> Value {
    let mut text = String::new();
    assert!(Protocol::Json.render(shown, &mut text));
    assert!(!text.contains(['\n', '\r', '\u{2028}', '\u{2029}']));
    // No object of ours is a request, and none is broken.
    let message = Protocol::Json.read(&text);
    let ask = message.request(usize::MAX).ask;
    let is_broken = matches!(ask, Ask::Bad(Problem::NotJson | Problem::NotAnObject));
    assert!(!is_broken, "{text}");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert!(value.is_object());
    value
}

/// An id is repeated as it was.
fn check_id(id: &RequestId, message: Option<&Value>) {
    let done = Done::Nothing;
    let answer = object(&Shown::Ok { re: Some(id), done });
    assert!(answer["re"].is_string() || answer["re"].is_u64() || answer["re"].is_i64());
    if let Some(message) = message {
        assert_eq!(answer["re"], message["id"]);
    }
}

/// What a member says and a room's name, in an entry.
fn check_entry(room: &str, text: &str) {
    let content = Content::said(Manner::Message, text, None, Author::Unknown);
    let entry = &Entry {
        seq: Seq(1),
        at: Millis(u64::MAX),
        nick: room,
        content,
    };
    let written = object(&Shown::Entry { room, entry });
    assert_eq!(written["text"], *text);
    assert_eq!(written["room"], *room);
    assert_eq!(written["time"], u64::MAX);
    let page = object(&Shown::History {
        re: None,
        room,
        entries: &[*entry],
        more: false,
    });
    assert_eq!(page["entries"][0], written);
    let mut line = String::new();
    assert!(Protocol::Json.render(&Shown::Entry { room, entry }, &mut line));
    assert!(line.len() <= wire::entry_bytes_max(room, entry));
}

fuzz_target!(|text: &str| {
    let message = Protocol::Json.read(text);
    let request = message.request(wire::said_bytes_max(MESSAGE_BYTES_MAX));
    let value: Option<Value> = serde_json::from_str(text).ok();
    if let Some(id) = &request.id {
        check_id(id, value.as_ref().filter(|value| value.is_object()));
    }
    match (&request.ask, &value) {
        (Ask::Bad(Problem::NotJson), value) => assert!(value.is_none(), "this is JSON: {text}"),
        (Ask::Bad(Problem::NotAnObject), Some(value)) => assert!(!value.is_object()),
        (Ask::Bad(_), _) => {}
        // Unknown fields are skipped, also repeated ones and those with numbers out of range.
        (ask, Some(value)) => assert!(value["type"].is_string(), "{ask:?}"),
        (_, None) => {}
    }
    match request.ask {
        Ask::Bad(why) => {
            let re = request.id.as_ref();
            let error = object(&Shown::Error { re, why });
            assert!(error["message"].is_string() && error["code"].is_string());
        }
        Ask::Send(send) => {
            let room = request.room.expect("a message has a room");
            check_entry(room, send.text);
            if let Some(value) = value {
                assert_eq!(
                    (value["text"].as_str(), value["room"].as_str()),
                    (Some(send.text), Some(room))
                );
            }
        }
        Ask::Amend {
            command: Command::Edit { text, .. },
            ..
        } => check_entry("", text),
        Ask::Chat(Command::Nick(text)) | Ask::Resume { session: text } => check_entry("", text),
        Ask::Join { room, .. } => check_entry(room, ""),
        _ => {}
    }
});
