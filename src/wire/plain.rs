//! The protocol without a name: what is said is `nick: message`, what somebody does is `** nick
//! does`, and only what the server says begins with `* `, so that nobody can act it out.
//! What a member sends is said, unless it begins with a slash.

use crate::chat::{Command, Event, Nick, Refused};
use std::fmt::{self, Write};

const NICK_USAGE: &str = "/nick NAME";
const ME_USAGE: &str = "/me DOES SOMETHING";
const OP_USAGE: &str = "/op TOKEN";
const KICK_USAGE: &str = "/kick NICK [REASON]";

const HELP: &str = "* what you write is said to the room; with a slash it is a command:
* /nick NAME - be called something else
* /me DOES SOMETHING - tell what you do
* /who - who is here
* /rooms - which rooms there are
* /quit [WORD] - leave
* /op TOKEN - become an operator
* /kick NICK [REASON] - throw somebody out (operators)
* //WORDS - say something that begins with a slash";

/// Understands one message.
pub(super) fn parse(message: &str) -> Command<'_> {
    let Some(command) = message.strip_prefix('/') else {
        return Command::Say(message);
    };
    if command.starts_with('/') {
        return Command::Say(command);
    }
    let (name, rest) = split_word(command);
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("nick") {
        needs(rest, NICK_USAGE, Command::Nick(rest))
    } else if is("me") {
        needs(rest, ME_USAGE, Command::Act(rest))
    } else if is("who") {
        Command::Who
    } else if is("rooms") {
        Command::Rooms
    } else if is("help") {
        Command::Help
    } else if is("quit") {
        Command::Quit(rest)
    } else if is("op") {
        needs(rest, OP_USAGE, Command::Op { token: rest })
    } else if is("kick") {
        let (nick, reason) = split_word(rest);
        needs(nick, KICK_USAGE, Command::Kick { nick, reason })
    } else {
        Command::Unknown { name }
    }
}

fn needs<'a>(argument: &str, usage: &'static str, command: Command<'a>) -> Command<'a> {
    if argument.is_empty() {
        Command::Incomplete { usage }
    } else {
        command
    }
}

/// The first word, and the rest without the space around it.
fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// Appends the line, or lines, that an event is.
pub(super) fn render(event: &Event, text: &mut String) {
    // Writing to a string cannot fail.
    let _ = write_event(event, text);
}

fn write_event(event: &Event, text: &mut String) -> fmt::Result {
    match event {
        Event::Welcome {
            room,
            nick,
            present,
            more,
        } => {
            // Not by `write!`: this is said to everybody who comes, and long.
            for part in ["* welcome to ", room, ", ", nick.as_str(), ". "] {
                text.push_str(part);
            }
            if present.is_empty() {
                return text.write_str("Nobody else is here");
            }
            text.write_str("Here: ")?;
            write_names(present, *more, text)
        }
        Event::Said { nick, text: words } => {
            write!(text, "{nick}: ")?;
            write_words(words, text)
        }
        Event::Acted { nick, text: words } => {
            write!(text, "** {nick} ")?;
            write_words(words, text)
        }
        Event::Joined { nick } => write!(text, "* {nick} joined"),
        Event::Left { nick, word } => {
            write!(text, "* {nick} left")?;
            write_remark(word, text)
        }
        Event::Summed { joined, left: 0 } => write!(text, "* {joined} joined"),
        Event::Summed { joined: 0, left } => write!(text, "* {left} left"),
        Event::Summed { joined, left } => write!(text, "* {joined} joined, {left} left"),
        Event::Renamed { old, new } => write!(text, "* {old} is now known as {new}"),
        Event::Kicked { nick, by, reason } => {
            write!(text, "* {nick} was kicked by {by}")?;
            write_remark(reason, text)
        }
        Event::YouWereKicked { by, reason } => {
            write!(text, "* you were kicked by {by}")?;
            write_remark(reason, text)
        }
        Event::Who {
            room,
            members,
            more,
        } => {
            write!(text, "* in {room}: ")?;
            write_names(members, *more, text)
        }
        Event::Rooms { rooms, more } => {
            text.write_str("* rooms: ")?;
            for (index, (room, members)) in rooms.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                write!(text, "{comma}{room} ({members})")?;
            }
            write_more(*more, text)
        }
        Event::Help => text.write_str(HELP),
        Event::YouAreOperator => text.write_str("* you are an operator now"),
        Event::Refused(why) => write_refused(why, text),
        Event::Missed { messages: 1 } => text.write_str("* you missed 1 message"),
        Event::Missed { messages } => write!(text, "* you missed {messages} messages"),
    }
}

fn write_refused(why: &Refused, text: &mut String) -> fmt::Result {
    match why {
        Refused::Nick { wanted, why, kept } => {
            write!(
                text,
                "* you cannot be called {wanted}: {why}. You are {kept}"
            )
        }
        Refused::UnknownCommand { name } => {
            write!(
                text,
                "* there is no command /{name}; /help lists them, // says a slash"
            )
        }
        Refused::Incomplete { usage } => write!(text, "* something is missing: {usage}"),
        Refused::EmptyMessage => text.write_str("* there was nothing in that message to be said"),
        Refused::TooFast {
            messages_per_second,
        } => write!(
            text,
            "* that was too fast: at most {messages_per_second} messages a second; \
             the rest is dropped until you slow down"
        ),
        Refused::NotOperator => text.write_str("* only an operator may do that; see /op in /help"),
        Refused::WrongToken => text.write_str("* that is not the operator token"),
        Refused::TooManyTokens => text.write_str(
            "* too many wrong tokens came from your address; wait a minute and try again",
        ),
        Refused::NoSuchMember { nick } => write!(text, "* nobody called {nick} is in this room"),
    }
}

/// What somebody said, in which only the first line begins at the margin: in a terminal, further
/// lines could otherwise pass for what somebody else said.
fn write_words(words: &str, text: &mut String) -> fmt::Result {
    const BREAKS: [char; 3] = ['\n', '\u{2028}', '\u{2029}'];
    for (index, line) in words.split(BREAKS).enumerate() {
        if index > 0 {
            text.push_str("\n  ");
        }
        text.push_str(line);
    }
    Ok(())
}

fn write_remark(remark: &str, text: &mut String) -> fmt::Result {
    if remark.is_empty() {
        Ok(())
    } else {
        write!(text, " ({remark})")
    }
}

fn write_names(names: &[Nick], more: u32, text: &mut String) -> fmt::Result {
    for (index, name) in names.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        text.push_str(name.as_str());
    }
    write_more(more, text)
}

fn write_more(more: u32, text: &mut String) -> fmt::Result {
    if more == 0 {
        Ok(())
    } else {
        write!(text, " and {more} more")
    }
}

#[cfg(test)]
mod tests {
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
    fn what_begins_with_no_slash_is_said_as_it_is() {
        for words in ["hello", " /nick x", "", "a /nick b"] {
            assert_eq!(parse(words), Command::Say(words));
        }
    }

    #[test]
    fn two_slashes_say_one() {
        assert_eq!(parse("//nick x"), Command::Say("/nick x"));
        assert_eq!(parse("//"), Command::Say("/"));
    }

    #[test]
    fn commands_are_understood_in_any_case_and_spacing() {
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
    fn what_is_no_command_is_named() {
        assert_eq!(parse("/dance wildly"), Command::Unknown { name: "dance" });
        assert_eq!(parse("/"), Command::Unknown { name: "" });
    }

    #[test]
    fn a_command_without_what_it_needs_is_explained() {
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
    fn what_is_said_follows_the_nick_and_the_rest_begins_with_a_star() {
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
    fn nobody_can_forge_anothers_line() {
        for words in ["hi\nbob: no", "hi\u{2028}bob: no"] {
            let event = Event::Said {
                nick: nick("ann"),
                text: String::from(words),
            };
            assert_eq!(line(&event), "ann: hi\n  bob: no");
        }
    }

    #[test]
    fn every_line_of_the_help_is_ours() {
        assert!(
            line(&Event::Help)
                .lines()
                .all(|line| line.starts_with("* "))
        );
    }
}
