//! The protocol of clients that ask for no subprotocol, one text message a line or several: what a
//! member says is `nick: message`, what a member does is `** nick does`, and only lines of the
//! server begin with `* `, so that no member can imitate them. A message is said to the room unless
//! it begins with a slash, which makes it a command. Knows no connection and no frame.

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

/// What a member asks with a message.
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

/// The length of what a member said as it is rendered, without the nick before it.
pub(super) fn said_bytes(words: &str) -> usize {
    let line_feeds = words.bytes().filter(|byte| *byte == b'\n').count();
    // The other breaks are as long as what they become.
    words.len() + line_feeds * (LINE_BREAK.len() - 1)
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
            // Not by `write!`, which is slower: every newcomer gets this line, and it is long.
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
        Refused::TooLong => text.write_str(
            "* that message was not delivered: it has too many line breaks for its length; \
             send it in parts",
        ),
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

/// What begins a line after the first: indented, because in a terminal the line could otherwise
/// pass for one of another member.
const LINE_BREAK: &str = "\n  ";

/// What a member said. Only its first line begins at the margin.
fn write_words(words: &str, text: &mut String) -> fmt::Result {
    const BREAKS: [char; 3] = ['\n', '\u{2028}', '\u{2029}'];
    for (index, line) in words.split(BREAKS).enumerate() {
        if index > 0 {
            text.push_str(LINE_BREAK);
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
mod tests;
