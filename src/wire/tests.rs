//! Bounds that hold for every protocol.

use super::*;
use crate::chat::{PRESENT_MAX, ROOMS_MAX, Refused};
use smol_str::SmolStr;

const MESSAGE_BYTES_MAX: usize = 12;

fn parse(message: &str) -> Command<'_> {
    Protocol::Plain.parse(message, said_bytes_max(MESSAGE_BYTES_MAX))
}

fn rendered(event: &Event) -> usize {
    let lengths = Protocol::ALL.map(|protocol| {
        let mut text = String::new();
        protocol.render(event, &mut text);
        text.len()
    });
    lengths.into_iter().max().expect("there is a protocol")
}

fn nick(name: &str) -> Nick {
    Nick::parse(name).expect("a nick")
}

#[test]
fn words_of_twice_the_bytes_when_rendered_are_said_and_longer_ones_are_not() {
    // Six line feeds become eighteen bytes, seven become twenty-one.
    let fits = "\n\n\n\n\n\nabcdef";
    assert_eq!(parse(fits), Command::Say(fits));
    assert_eq!(parse("\n\n\n\n\n\n\nabcde"), Command::TooLong);
    assert_eq!(parse("/me \na\nb\nc"), Command::Act("a\nb\nc"));
    let message = format!("/me a{}b", "\n".repeat(11));
    assert_eq!(parse(&message), Command::TooLong);
}

#[test]
fn words_without_line_breaks_are_never_too_long() {
    for words in [
        "x".repeat(MESSAGE_BYTES_MAX),
        "\u{2028}".repeat(4),
        "\r".repeat(12),
    ] {
        assert_eq!(parse(&words), Command::Say(&words));
    }
}

#[test]
fn no_message_is_shorter_when_rendered_than_it_was_counted() {
    let nick = nick("ann");
    let words = ["a", "\n", "\u{2028}", "\u{2029}", "é", "\"", "\\", "\t"];
    for number in 0..words.len().pow(4) {
        let text: String = (0..4)
            .map(|place| words[number / words.len().pow(place) % words.len()])
            .collect();
        let around = rendered(&Event::Said {
            nick: nick.clone(),
            text: String::new(),
        });
        let counted = said_bytes(&text);
        let event = Event::Said {
            nick: nick.clone(),
            text,
        };
        assert_eq!(rendered(&event) - around, counted, "{event:?}");
    }
}

#[test]
fn every_event_is_within_its_bound() {
    let longest = || nick(&"𠀀".repeat(32));
    assert_eq!(longest().as_str().len(), Nick::BYTES_MAX);
    let room = SmolStr::from("r".repeat(RoomName::BYTES_MAX));
    let text = "\n".repeat(1000) + &"x".repeat(1000);
    let remark = "𠀀".repeat(200);
    let bound = event_bytes_max(0);
    for event in [
        Event::Welcome {
            room: room.clone(),
            nick: longest(),
            present: vec![longest(); PRESENT_MAX],
            more: u32::MAX,
        },
        Event::Who {
            room: room.clone(),
            members: vec![longest(); WHO_MAX],
            more: u32::MAX,
        },
        Event::Rooms {
            rooms: vec![(room, u32::MAX); ROOMS_MAX],
            more: u32::MAX,
        },
        Event::Kicked {
            nick: longest(),
            by: longest(),
            reason: remark.clone(),
        },
        Event::Left {
            nick: longest(),
            word: remark,
        },
        Event::Renamed {
            old: longest(),
            new: longest(),
        },
        Event::Refused(Refused::NoSuchMember {
            nick: "𠀀".repeat(41),
        }),
        Event::Help,
    ] {
        assert!(
            rendered(&event) <= bound,
            "{} bytes: {event:?}",
            rendered(&event)
        );
    }
    // Large enough to be above every list.
    let message_bytes_max = 30_000;
    let text = text.repeat(15);
    assert_eq!(said_bytes(&text), said_bytes_max(message_bytes_max));
    let event = Event::Acted {
        nick: longest(),
        text,
    };
    assert!(rendered(&event) <= event_bytes_max(message_bytes_max));
}
