//! Lines as clients send and read them.

use super::*;
use crate::chat::{Author, NickRefused};
use crate::id::{Millis, Seq};
use crate::wire::Problem;

fn nick(name: &str) -> Nick {
    Nick::parse(name).expect("a nick")
}

fn line(event: &Event) -> String {
    let mut text = String::new();
    render(&Shown::Event(event), &mut text);
    text
}

/// What a message says to the room.
fn says(text: &str) -> Ask<'_> {
    say(Manner::Message, text)
}

/// What a message asks of the chat.
fn command(message: &str) -> Command<'_> {
    match parse(message) {
        Ask::Chat(command) => command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_without_a_slash_is_said_unchanged() {
    for words in ["hello", " /nick x", "", "a /nick b"] {
        assert_eq!(parse(words), says(words));
    }
}

#[test]
fn a_message_with_two_slashes_is_said_with_one() {
    assert_eq!(parse("//nick x"), says("/nick x"));
    assert_eq!(parse("//"), says("/"));
}

#[test]
fn commands_are_parsed_in_any_case_and_spacing() {
    assert_eq!(command("/nick  ann "), Command::Nick("ann"));
    assert_eq!(command("/NICK ann"), Command::Nick("ann"));
    assert_eq!(
        parse("/me waves to bob"),
        say(Manner::Action, "waves to bob")
    );
    assert_eq!(command("/who"), Command::Who(None));
    assert_eq!(command("/rooms\n"), Command::Rooms(None));
    assert_eq!(command("/help"), Command::Help);
    assert_eq!(command("/help me"), Command::HelpOn { command: "me" });
    assert_eq!(command("/help /ME"), Command::HelpOn { command: "me" });
    assert_eq!(command("/quit"), Command::Quit(""));
    assert_eq!(command("/quit good night"), Command::Quit("good night"));
    assert_eq!(command("/op a b"), Command::Op { token: "a b" });
    assert_eq!(
        command("/kick bob"),
        Command::Kick {
            nick: "bob",
            reason: ""
        }
    );
    assert_eq!(
        command("/kick bob  too loud"),
        Command::Kick {
            nick: "bob",
            reason: "too loud"
        }
    );
}

#[test]
fn an_unknown_command_is_named() {
    assert_eq!(command("/dance wildly"), Command::Unknown { name: "dance" });
    assert_eq!(command("/"), Command::Unknown { name: "" });
}

#[test]
fn a_command_without_its_argument_is_answered_with_its_usage() {
    for (message, usage) in [
        ("/nick", NICK_USAGE),
        ("/me ", ME_USAGE),
        ("/op", OP_USAGE),
        ("/kick", KICK_USAGE),
        ("/search ", SEARCH_USAGE),
        ("/history all", HISTORY_USAGE),
        ("/history 0", HISTORY_USAGE),
        ("/history -1", HISTORY_USAGE),
    ] {
        assert_eq!(command(message), Command::Incomplete { usage });
    }
}

#[test]
fn history_and_search_have_bounds() {
    let newest = |limit| Ask::History {
        range: Range::Newest,
        limit,
    };
    for (message, limit) in [
        ("/history", 20),
        ("/HISTORY 5 ", 5),
        ("/history 101", 100),
        ("/history 99999999999999999999", 100),
    ] {
        assert_eq!(parse(message), newest(limit));
    }
    let search = Ask::Search {
        query: "two words",
        before: None,
        limit: FOUND_MAX,
    };
    assert_eq!(parse("/search  two words "), search);
}

#[test]
fn lines_of_the_server_begin_with_a_star() {
    let ann = || nick("ann");
    let lobby = || "lobby".into();
    for (event, expected) in [
        (
            Event::Joined {
                room: lobby(),
                nick: ann(),
                has_account: false,
            },
            "* ann joined",
        ),
        (
            Event::Left {
                room: lobby(),
                nick: ann(),
                word: String::new(),
            },
            "* ann left",
        ),
        (
            Event::Left {
                room: lobby(),
                nick: ann(),
                word: String::from("bye"),
            },
            "* ann left (bye)",
        ),
        (
            Event::Summed {
                room: lobby(),
                joined: 42,
                left: 3,
            },
            "* 42 joined, 3 left",
        ),
        (
            Event::Summed {
                room: lobby(),
                joined: 42,
                left: 0,
            },
            "* 42 joined",
        ),
        (
            Event::Summed {
                room: lobby(),
                joined: 0,
                left: 3,
            },
            "* 3 left",
        ),
        (
            Event::Renamed {
                room: lobby(),
                old: ann(),
                new: nick("bob"),
            },
            "* ann is now known as bob",
        ),
        (
            Event::YouWereKicked {
                room: lobby(),
                by: "ann".into(),
                reason: String::new(),
            },
            "* you were kicked by ann",
        ),
        (
            Event::Welcome {
                room: "lobby".into(),
                nick: ann(),
                present: vec![],
                accounts: vec![],
                more: 0,
            },
            "* welcome to lobby, ann. Nobody else is here",
        ),
        (
            Event::Welcome {
                room: "lobby".into(),
                nick: ann(),
                present: vec![nick("bob"), nick("cat")],
                accounts: vec![],
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
        let content = Content::said(Manner::Message, words, None, Author::Unknown);
        let entry = Entry {
            seq: Seq(1),
            at: Millis(0),
            nick: "ann",
            content,
        };
        let line = shown(&Shown::Entry {
            room: "lobby",
            entry: &entry,
        });
        assert_eq!(line, "ann: hi\n  bob: no");
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

fn shown(shown: &Shown<'_>) -> String {
    let mut text = String::new();
    assert_eq!(render(shown, &mut text), !text.is_empty());
    text
}

/// What ann said in two lines, what bob did, and that bob was removed.
fn entries() -> [Entry<'static>; 3] {
    let said = |manner, text| Content::said(manner, text, None, Author::Unknown);
    let contents = [
        ("ann", said(Manner::Message, "hi\nthere")),
        ("bob", said(Manner::Action, "waves")),
        (
            "bob",
            Content::Kicked {
                by: "ann",
                reason: "loud",
            },
        ),
    ];
    let mut seq = 0;
    contents.map(|(nick, content)| {
        seq += 1;
        Entry {
            seq: Seq(seq),
            at: Millis(0),
            nick,
            content,
        }
    })
}

#[test]
fn messages_follow_the_nick_and_other_entries_begin_with_a_star() {
    let lines = entries().map(|entry| {
        shown(&Shown::Entry {
            room: "lobby",
            entry: &entry,
        })
    });
    assert_eq!(
        lines,
        [
            "ann: hi\n  there",
            "** bob waves",
            "* bob was kicked by ann (loud)"
        ]
    );
}

#[test]
fn history_stands_between_two_marks() {
    assert_eq!(shown(&Shown::HistoryBegins), "* earlier:");
    assert_eq!(shown(&Shown::HistoryEnds), "* now:");
    let history = |entries| Shown::History {
        re: None,
        room: "lobby",
        entries,
        more: true,
    };
    let entries = entries();
    let expected = "* earlier:\nann: hi\n  there\n** bob waves\n\
        * bob was kicked by ann (loud)\n* now:";
    assert_eq!(shown(&history(&entries)), expected);
    assert_eq!(shown(&history(&[])), "* nothing was said here before");
}

#[test]
fn what_was_found_stands_between_two_marks() {
    let found = |entries, more| Shown::Found {
        re: None,
        room: "lobby",
        entries,
        more,
    };
    let entries = &entries()[1..2];
    assert_eq!(
        shown(&found(entries, false)),
        "* found:\n** bob waves\n* now:"
    );
    assert_eq!(
        shown(&found(entries, true)),
        "* found, the newest:\n** bob waves\n* now:"
    );
    assert_eq!(shown(&found(&[], false)), "* nothing was found");
}

#[test]
fn gap_is_a_number_of_messages() {
    let gap = |from, to| {
        shown(&Shown::Gap {
            room: "lobby",
            from: Seq(from),
            to: Seq(to),
        })
    };
    assert_eq!(gap(5, 5), "* you missed 1 message");
    assert_eq!(gap(1, 12), "* you missed 12 messages");
    assert_eq!(gap(1, u32::MAX), "* you missed 4294967295 messages");
}

#[test]
fn problem_of_the_server_is_a_line() {
    let why = Problem::StoreUnavailable;
    assert_eq!(
        shown(&Shown::Error { re: None, why }),
        "* messages cannot be stored at the moment; try again later"
    );
}

#[test]
fn what_an_engine_of_several_servers_does_is_a_line() {
    let rewound = Shown::Rewound {
        room: "lobby",
        epoch: "1-5f3a9c01",
        to: Seq(12),
    };
    for (event, line) in [
        (rewound, "* what was said after message 12 was lost"),
        (
            Shown::Link { is_up: false },
            "* the connection to the other servers is lost; what you say waits",
        ),
        (
            Shown::Link { is_up: true },
            "* the connection to the other servers is back",
        ),
    ] {
        assert_eq!(shown(&event), line);
    }
}

#[test]
fn what_only_programs_need_is_no_line() {
    for shown in [
        Shown::Ok {
            re: None,
            done: Done::Nothing,
        },
        Shown::Lost { room: "lobby" },
    ] {
        assert!(!render(&shown, &mut String::new()), "{shown:?}");
    }
}
