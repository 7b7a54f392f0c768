//! One client of `parlor.v1.json` in its room, through all its connections: what it asks for when
//! it is connected, how it reads what the server sends, and the position that it keeps, as in
//! "Keeping up" of docs/protocol.md. Knows no socket and no other client.

use super::marker::{self, Marker};
use super::object::{Object, Text};
use serde_json::json;

/// The ids of requests; that of a `send` is the marker of its message.
const RESUME: &str = "resume";
const JOIN: &str = "join";
const PAGE: &str = "page";

#[derive(Clone, Debug, Default)]
pub(super) struct Seat {
    session: String,
    epoch: String,
    position: u32,
    /// It has joined its room, on this connection or an earlier one.
    is_member: bool,
    /// It was connected before and goes on as the same.
    is_returning: bool,
}

/// What an object is to the client that received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// `hello`, a notice, or an answer of which nothing is counted.
    Nothing,
    /// The answer to the join. A client that returned gets all since its position, or does not.
    Joined {
        is_recovered: bool,
    },
    NotJoined,
    /// The server does not take the client for the one that it was.
    NotResumed,
    /// `is_next`: it has the number after the position.
    Entry {
        seq: u32,
        is_next: bool,
        marker: Option<Marker>,
    },
    Gap,
    Rewound,
    Stored(Marker),
    NotStored,
    /// A page of history.
    Page,
    NoPage,
    /// An object that lacks a field without which it means nothing.
    Unreadable,
}

impl Seat {
    pub(super) const fn position(&self) -> u32 {
        self.position
    }

    pub(super) const fn is_member(&self) -> bool {
        self.is_member
    }

    /// The connection is lost; the next one goes on.
    pub(super) const fn leave(&mut self) {
        self.is_returning = self.is_member;
    }

    /// What is sent first on a connection.
    pub(super) fn greeting(&self, room: usize) -> Vec<String> {
        let room = room_name(room);
        if !self.is_returning {
            return vec![json!({"type": "join", "id": JOIN, "room": room}).to_string()];
        }
        let since = json!({"epoch": self.epoch, "seq": self.position});
        vec![
            json!({"type": "resume", "id": RESUME, "session": self.session}).to_string(),
            json!({"type": "join", "id": JOIN, "room": room, "since": since}).to_string(),
        ]
    }

    pub(super) fn take(&mut self, object: &Object<'_>) -> Meaning {
        match (object.kind.as_str(), object.re()) {
            ("hello", _) => self.take_session(object),
            ("ok", RESUME) => self.take_session(object),
            ("error", RESUME) => Meaning::NotResumed,
            ("joined", _) => self.join(object),
            ("error", JOIN) => Meaning::NotJoined,
            ("history", _) => Meaning::Page,
            ("error", PAGE) => Meaning::NoPage,
            ("error", "") => Meaning::Nothing,
            ("error", _) => Meaning::NotStored,
            ("ok", re) => match marker::find(re.as_bytes()) {
                Some(marker) => Meaning::Stored(marker),
                None => Meaning::Nothing,
            },
            ("gap", _) => self.take_gap(object),
            ("rewound", _) => self.rewind(object),
            _ => self.take_entry(object),
        }
    }

    fn take_session(&mut self, object: &Object<'_>) -> Meaning {
        let Some(session) = &object.session else {
            return Meaning::Unreadable;
        };
        // A returning client needs the one of its earlier connection until it has resumed.
        if !self.is_returning || object.is("ok") {
            session.as_str().clone_into(&mut self.session);
        }
        Meaning::Nothing
    }

    fn join(&mut self, object: &Object<'_>) -> Meaning {
        let (Some(epoch), Some(after), Some(_)) = (&object.epoch, object.after, object.seq) else {
            return Meaning::Unreadable;
        };
        // The epoch is another one if the server was started again meanwhile.
        let goes_on =
            object.recovered == Some(true) && object.rewound.is_none() && after == self.position;
        let is_recovered = !self.is_returning || goes_on;
        epoch.as_str().clone_into(&mut self.epoch);
        self.position = after;
        self.is_member = true;
        Meaning::Joined { is_recovered }
    }

    fn take_gap(&mut self, object: &Object<'_>) -> Meaning {
        let Some(to) = object.to else {
            return Meaning::Unreadable;
        };
        self.position = to;
        Meaning::Gap
    }

    fn rewind(&mut self, object: &Object<'_>) -> Meaning {
        let (Some(epoch), Some(to)) = (&object.epoch, object.to) else {
            return Meaning::Unreadable;
        };
        epoch.as_str().clone_into(&mut self.epoch);
        self.position = self.position.min(to);
        Meaning::Rewound
    }

    /// Whatever is numbered is an entry, also of a type that the tester does not know.
    fn take_entry(&mut self, object: &Object<'_>) -> Meaning {
        let Some(seq) = object.seq else {
            return Meaning::Nothing;
        };
        let is_next = seq == self.position.wrapping_add(1);
        self.position = self.position.max(seq);
        Meaning::Entry {
            seq,
            is_next,
            marker: said(object),
        }
    }
}

/// The marker of an entry's text.
pub(super) fn said(entry: &Object<'_>) -> Option<Marker> {
    marker::find(entry.text.as_ref().map_or("", Text::as_str).as_bytes())
}

/// As in URLs of the plain protocol.
fn room_name(room: usize) -> String {
    format!("load{room}")
}

/// A request to say a text, which begins with its marker; its id is the marker. Both need no
/// escapes.
pub(super) fn write_send(text: &[u8], room: usize, to: &mut Vec<u8>) {
    let marker = text.split_inclusive(|byte| *byte == b'~').take(2);
    to.clear();
    to.extend_from_slice(b"{\"type\":\"send\",\"id\":\"");
    marker.for_each(|part| to.extend_from_slice(part));
    to.extend_from_slice(b"\",\"room\":\"");
    to.extend_from_slice(room_name(room).as_bytes());
    to.extend_from_slice(b"\",\"text\":\"");
    to.extend_from_slice(text);
    to.extend_from_slice(b"\"}");
}

/// A request for the newest entries, or the newest below `before`.
pub(super) fn history(room: usize, before: Option<u32>, limit: usize) -> String {
    let room = room_name(room);
    let mut request = json!({"type": "history", "id": PAGE, "room": room, "limit": limit});
    if let Some(before) = before {
        request["before"] = json!(before);
    }
    request.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::object::decode;
    use super::*;
    use serde_json::Value;

    fn take(seat: &mut Seat, text: &str) -> Meaning {
        seat.take(&decode(text.as_bytes()).expect("an object"))
    }

    fn joined() -> Seat {
        let mut seat = Seat::default();
        take(&mut seat, r#"{"type":"hello","session":"secret"}"#);
        let answer = r#"{"type":"joined","re":"join","epoch":"1-a","seq":9,"after":9}"#;
        assert_eq!(
            take(&mut seat, answer),
            Meaning::Joined { is_recovered: true }
        );
        seat
    }

    fn entry(seat: &mut Seat, seq: u32) -> bool {
        let text = format!(r#"{{"type":"message","seq":{seq},"text":"~0.0.1.2~"}}"#);
        match take(seat, &text) {
            Meaning::Entry {
                is_next, marker, ..
            } => {
                assert_eq!(marker.map(|marker| marker.number), Some(1));
                is_next
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn position_moves_by_entries_and_a_repeated_or_skipped_one_is_noticed() {
        let mut seat = joined();
        let is_next = [10, 11, 11, 13, 12].map(|seq| entry(&mut seat, seq));
        assert_eq!(is_next, [true, true, false, false, false]);
        assert_eq!(seat.position(), 13);
    }

    #[test]
    fn position_moves_by_gaps_and_rewinds_and_not_by_acknowledgements() {
        let mut seat = joined();
        let gap = r#"{"type":"gap","from":10,"to":20}"#;
        assert_eq!(take(&mut seat, gap), Meaning::Gap);
        assert!(entry(&mut seat, 21));
        let ok = r#"{"type":"ok","re":"~0.0.2.5~","seq":22}"#;
        assert!(matches!(take(&mut seat, ok), Meaning::Stored(marker) if marker.number == 2));
        let rewound = r#"{"type":"rewound","epoch":"2-b","to":15}"#;
        assert_eq!(take(&mut seat, rewound), Meaning::Rewound);
        assert_eq!((seat.position(), seat.epoch.as_str()), (15, "2-b"));
    }

    #[test]
    fn client_returns_with_its_session_and_its_position() {
        let mut seat = joined();
        assert!(entry(&mut seat, 10));
        seat.leave();
        let requests: Vec<Value> = seat
            .greeting(3)
            .iter()
            .map(|text| text.parse().expect("JSON"))
            .collect();
        assert_eq!(requests[0]["session"], "secret");
        assert_eq!(requests[1]["room"], "load3");
        assert_eq!(requests[1]["since"], json!({"epoch": "1-a", "seq": 10}));
        // The session of the new connection does not count before that of the answer.
        take(&mut seat, r#"{"type":"hello","session":"other"}"#);
        assert_eq!(seat.session, "secret");
        take(&mut seat, r#"{"type":"ok","re":"resume","session":"next"}"#);
        assert_eq!(seat.session, "next");
    }

    #[test]
    fn return_to_another_position_is_not_recovered() {
        for (answer, expected) in [
            (r#""epoch":"1-a","seq":12,"after":9,"recovered":true"#, true),
            (
                r#""epoch":"1-a","seq":12,"after":9,"recovered":false"#,
                false,
            ),
            (r#""epoch":"1-a","seq":12,"after":9"#, false),
            (
                r#""epoch":"1-a","seq":12,"after":10,"recovered":true"#,
                false,
            ),
            (r#""epoch":"2-b","seq":12,"after":9,"recovered":true"#, true),
            (
                r#""epoch":"1-a","seq":12,"after":9,"recovered":true,"rewound":9"#,
                false,
            ),
        ] {
            let mut seat = joined();
            seat.leave();
            let meaning = take(&mut seat, &format!(r#"{{"type":"joined",{answer}}}"#));
            let is_recovered = expected;
            assert_eq!(meaning, Meaning::Joined { is_recovered }, "{answer}");
        }
    }

    #[test]
    fn object_without_a_field_that_it_needs_is_unreadable() {
        for text in [
            r#"{"type":"hello"}"#,
            r#"{"type":"joined","re":"join","epoch":"1-a","seq":9}"#,
            r#"{"type":"gap","from":1}"#,
            r#"{"type":"rewound","to":1}"#,
        ] {
            assert_eq!(take(&mut joined(), text), Meaning::Unreadable, "{text}");
        }
    }

    #[test]
    fn send_has_the_marker_of_its_text_as_id() {
        let mut request = Vec::new();
        write_send(b"~3.0.7.99~xxx", 3, &mut request);
        let request: Value = serde_json::from_slice(&request).expect("JSON");
        let expected = json!({
            "type": "send", "id": "~3.0.7.99~", "room": "load3", "text": "~3.0.7.99~xxx"
        });
        assert_eq!(request, expected);
    }

    #[test]
    fn page_is_asked_for_below_the_one_before() {
        let request: Value = history(1, Some(51), 50).parse().expect("JSON");
        let expected = json!({
            "type": "history", "id": "page", "room": "load1", "limit": 50, "before": 51
        });
        assert_eq!(request, expected);
        assert!(!history(1, None, 50).contains("before"));
    }
}
