//! Bounds that hold for every protocol.

use super::*;
use crate::chat::{Author, Event, Manner, PRESENT_MAX, ROOMS_MAX, Refused};
use crate::id::{Millis, Seq};
use smol_str::SmolStr;

const MESSAGE_BYTES_MAX: usize = 12;

/// What a member says with a plain message; `None`: it is too long.
fn said(message: &str) -> Option<(Manner, String)> {
    let message = Protocol::Plain.read(message);
    match message.request(said_bytes_max(MESSAGE_BYTES_MAX)).ask {
        Ask::Send(Send { manner, text, .. }) => Some((manner, text.to_owned())),
        Ask::Chat(Command::TooLong) => None,
        other => panic!("{other:?}"),
    }
}

/// The length of what is shown, in the protocol that takes most for it.
fn rendered(shown: &Shown<'_>) -> usize {
    let lengths = Protocol::ALL.map(|protocol| {
        let mut text = String::new();
        assert_eq!(protocol.render(shown, &mut text), !text.is_empty());
        text.len()
    });
    lengths.into_iter().max().expect("there is a protocol")
}

/// The same of what a member said.
fn rendered_words(text: &str) -> usize {
    rendered(&Shown::Entry {
        room: "lobby",
        entry: &words(text),
    })
}

fn words(text: &str) -> Entry<'_> {
    Entry {
        seq: Seq(1),
        at: Millis(0),
        nick: "ann",
        content: Content::said(Manner::Message, text, None, Author::Unknown),
    }
}

fn nick(name: &str) -> Nick {
    Nick::parse(name).expect("a nick")
}

#[test]
fn words_of_twice_the_bytes_when_rendered_are_said_and_longer_ones_are_not() {
    // Six line feeds become eighteen bytes, seven become twenty-one.
    let fits = "\n\n\n\n\n\nabcdef";
    let as_message = |text: &str| Some((Manner::Message, text.to_owned()));
    assert_eq!(said(fits), as_message(fits));
    assert_eq!(said("\n\n\n\n\n\n\nabcde"), None);
    let action = Some((Manner::Action, String::from("a\nb\nc")));
    assert_eq!(said("/me \na\nb\nc"), action);
    let message = format!("/me a{}b", "\n".repeat(11));
    assert_eq!(said(&message), None);
}

#[test]
fn words_without_line_breaks_are_never_too_long() {
    for words in [
        "x".repeat(MESSAGE_BYTES_MAX),
        "\"".repeat(MESSAGE_BYTES_MAX),
        "\u{2028}".repeat(4),
        "\r".repeat(12),
    ] {
        assert_eq!(said(&words), Some((Manner::Message, words)));
    }
}

#[test]
fn no_message_is_shorter_when_rendered_than_it_was_counted() {
    let words = ["a", "\n", "\u{2028}", "\u{2029}", "é", "\"", "\\", "\t"];
    for protocol in Protocol::ALL {
        let rendered = |text: &str| {
            let mut rendered = String::new();
            let entry = &self::words(text);
            let room = "lobby";
            assert!(protocol.render(&Shown::Entry { room, entry }, &mut rendered));
            rendered.len()
        };
        let around = rendered("");
        for number in 0..words.len().pow(4) {
            let text: String = (0..4)
                .map(|place| words[number / words.len().pow(place) % words.len()])
                .collect();
            let counted = protocol.said_bytes(&text);
            assert_eq!(rendered(&text) - around, counted, "{text:?}");
            assert!(said_bytes(&text) >= counted);
        }
    }
}

#[test]
fn entries_are_within_their_bound() {
    let longest = "𠀀".repeat(32);
    let room = "r".repeat(RoomName::BYTES_MAX);
    for text in ["", "\0\u{1}\u{1f}", "\n\u{2028}\"\\", "𠀀"] {
        let text = text.repeat(100);
        let said = Content::said(
            Manner::Message,
            text.as_str(),
            Some(Seq(u32::MAX)),
            Author::Unknown,
        );
        let kicked = Content::Kicked {
            by: longest.as_str(),
            reason: text.as_str(),
        };
        for content in [said, kicked] {
            let entry = Entry {
                seq: Seq(u32::MAX),
                at: Millis(u64::MAX),
                nick: &longest,
                content,
            };
            let shown = Shown::Entry {
                room: &room,
                entry: &entry,
            };
            assert!(rendered(&shown) <= entry_bytes_max(&room, &entry));
        }
    }
}

#[test]
fn every_event_is_within_its_bound() {
    let longest = || nick(&"𠀀".repeat(32));
    assert_eq!(longest().as_str().len(), Nick::BYTES_MAX);
    let room = SmolStr::from("r".repeat(RoomName::BYTES_MAX));
    let remark = "𠀀".repeat(200);
    let bound = event_bytes_max(0);
    for event in [
        Event::Welcome {
            room: room.clone(),
            nick: longest(),
            present: vec![longest(); PRESENT_MAX],
            accounts: vec![longest(); PRESENT_MAX],
            more: u32::MAX,
        },
        Event::Who {
            room: room.clone(),
            members: vec![longest(); WHO_MAX],
            accounts: Vec::new(),
            more: u32::MAX,
        },
        // Only programs are shown which are accounts, and they ask for a page.
        Event::Who {
            room: room.clone(),
            members: vec![longest(); HISTORY_MAX as usize],
            accounts: vec![longest(); HISTORY_MAX as usize],
            more: u32::MAX,
        },
        Event::Rooms {
            rooms: vec![(room.clone(), u32::MAX); ROOMS_MAX],
            more: u32::MAX,
        },
        Event::YouWereKicked {
            room: room.clone(),
            by: longest().as_str().into(),
            reason: remark.clone(),
        },
        Event::Left {
            room: room.clone(),
            nick: longest(),
            word: remark,
        },
        Event::Renamed {
            room,
            old: longest(),
            new: longest(),
        },
        Event::Refused(Refused::NoSuchMember {
            nick: "𠀀".repeat(41),
        }),
        Event::Help,
    ] {
        let shown = Shown::Event(&event);
        assert!(
            rendered(&shown) <= bound,
            "{} bytes: {event:?}",
            rendered(&shown)
        );
    }
    // Large enough to be above every list.
    let message_bytes_max = 30_000;
    let text = ("\n".repeat(1000) + &"x".repeat(1000)).repeat(15);
    assert_eq!(said_bytes(&text), said_bytes_max(message_bytes_max));
    assert!(rendered_words(&text) <= event_bytes_max(message_bytes_max));
}
