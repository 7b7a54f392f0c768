//! Lines as clients send and read them.

use super::*;
use crate::chat::NickRefused;

fn nick(name: &str) -> Nick {
    Nick::parse(name).expect("a nick")
}

fn line(event: &Event) -> String {
    let mut text = String::new();
    render(event, &mut text);
    text
}

#[test]
fn a_message_without_a_slash_is_said_unchanged() {
    for words in ["hello", " /nick x", "", "a /nick b"] {
        assert_eq!(parse(words), Command::Say(words));
    }
}

#[test]
fn a_message_with_two_slashes_is_said_with_one() {
    assert_eq!(parse("//nick x"), Command::Say("/nick x"));
    assert_eq!(parse("//"), Command::Say("/"));
}

#[test]
fn commands_are_parsed_in_any_case_and_spacing() {
    assert_eq!(parse("/nick  ann "), Command::Nick("ann"));
    assert_eq!(parse("/NICK ann"), Command::Nick("ann"));
    assert_eq!(parse("/me waves to bob"), Command::Act("waves to bob"));
    assert_eq!(parse("/who"), Command::Who);
    assert_eq!(parse("/rooms\n"), Command::Rooms);
    assert_eq!(parse("/help me"), Command::Help);
    assert_eq!(parse("/quit"), Command::Quit(""));
    assert_eq!(parse("/quit good night"), Command::Quit("good night"));
    assert_eq!(parse("/op a b"), Command::Op { token: "a b" });
    assert_eq!(
        parse("/kick bob"),
        Command::Kick {
            nick: "bob",
            reason: ""
        }
    );
    assert_eq!(
        parse("/kick bob  too loud"),
        Command::Kick {
            nick: "bob",
            reason: "too loud"
        }
    );
}

#[test]
fn an_unknown_command_is_named() {
    assert_eq!(parse("/dance wildly"), Command::Unknown { name: "dance" });
    assert_eq!(parse("/"), Command::Unknown { name: "" });
}

#[test]
fn a_command_without_its_argument_is_answered_with_its_usage() {
    for (message, usage) in [
        ("/nick", NICK_USAGE),
        ("/me ", ME_USAGE),
        ("/op", OP_USAGE),
        ("/kick", KICK_USAGE),
    ] {
        assert_eq!(parse(message), Command::Incomplete { usage });
    }
}

#[test]
fn messages_follow_the_nick_and_other_lines_begin_with_a_star() {
    let ann = || nick("ann");
    for (event, expected) in [
        (
            Event::Said {
                nick: ann(),
                text: String::from("hi"),
            },
            "ann: hi",
        ),
        (
            Event::Acted {
                nick: ann(),
                text: String::from("waves"),
            },
            "** ann waves",
        ),
        (Event::Joined { nick: ann() }, "* ann joined"),
        (
            Event::Left {
                nick: ann(),
                word: String::new(),
            },
            "* ann left",
        ),
        (
            Event::Left {
                nick: ann(),
                word: String::from("bye"),
            },
            "* ann left (bye)",
        ),
        (
            Event::Summed {
                joined: 42,
                left: 3,
            },
            "* 42 joined, 3 left",
        ),
        (
            Event::Summed {
                joined: 42,
                left: 0,
            },
            "* 42 joined",
        ),
        (Event::Summed { joined: 0, left: 3 }, "* 3 left"),
        (
            Event::Renamed {
                old: ann(),
                new: nick("bob"),
            },
            "* ann is now known as bob",
        ),
        (Event::Missed { messages: 1 }, "* you missed 1 message"),
        (Event::Missed { messages: 12 }, "* you missed 12 messages"),
        (
            Event::Kicked {
                nick: nick("bob"),
                by: ann(),
                reason: String::from("loud"),
            },
            "* bob was kicked by ann (loud)",
        ),
        (
            Event::YouWereKicked {
                by: ann(),
                reason: String::new(),
            },
            "* you were kicked by ann",
        ),
        (
            Event::Welcome {
                room: "lobby".into(),
                nick: ann(),
                present: vec![],
                more: 0,
            },
            "* welcome to lobby, ann. Nobody else is here",
        ),
        (
            Event::Welcome {
                room: "lobby".into(),
                nick: ann(),
                present: vec![nick("bob"), nick("cat")],
                more: 3,
            },
            "* welcome to lobby, ann. Here: bob, cat and 3 more",
        ),
        (
            Event::Rooms {
                rooms: vec![("attic".into(), 1), ("lobby".into(), 2)],
                more: 0,
            },
            "* rooms: attic (1), lobby (2)",
        ),
        (
            Event::Refused(Refused::Nick {
                wanted: String::from("bob"),
                why: NickRefused::Taken,
                kept: ann(),
            }),
            "* you cannot be called bob: somebody has it, or one that looks like it. You are ann",
        ),
    ] {
        assert_eq!(line(&event), expected);
    }
}

#[test]
fn no_member_can_forge_the_line_of_another() {
    for words in ["hi\nbob: no", "hi\u{2028}bob: no"] {
        let event = Event::Said {
            nick: nick("ann"),
            text: String::from(words),
        };
        assert_eq!(line(&event), "ann: hi\n  bob: no");
    }
}

#[test]
fn every_line_of_the_help_begins_with_a_star() {
    assert!(
        line(&Event::Help)
            .lines()
            .all(|line| line.starts_with("* "))
    );
}
