//! The slash commands of direct messages, and the lines that are shown of them: `[from ann] hello`,
//! `[to bob] hello`. No line of a room begins so.

use super::arguments::split_word;
use super::{EARLIER, NOW, limit, write_entry, write_words};
use crate::chat::{Command, Content, Entry, Form, Manner, Recent, Refused};
use crate::id::Seq;
use crate::wire::request::{Ask, Send};
use smol_str::SmolStr;
use std::fmt::{self, Write};

const MSG_USAGE: &str = "/msg NICK WORDS";
const MSGS_USAGE: &str = "/msgs [NICK [NUMBER]]";
const IGNORE_USAGE: &str = "/ignore NICK";
const UNIGNORE_USAGE: &str = "/unignore NICK";

/// The command of this name. `None`: it is none of those here.
pub(super) fn parse<'a>(name: &str, rest: &'a str) -> Option<Ask<'a>> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let (nick, words) = split_word(rest);
    let nick = nick.strip_prefix('@').unwrap_or(nick);
    let incomplete = |usage| Ask::Chat(Command::Incomplete { usage });
    Some(match (nick, words) {
        ("", _) | (_, "") if is("msg") => incomplete(MSG_USAGE),
        _ if is("msg") => Ask::Direct {
            nick,
            send: Send {
                manner: Manner::Message,
                text: words,
                reply_to: None,
                key: None,
            },
        },
        ("", _) if is("msgs") => Ask::Chat(Command::Conversations),
        _ if is("msgs") => match limit(words) {
            Some(limit) => Ask::Letters { nick, limit },
            None => incomplete(MSGS_USAGE),
        },
        ("", _) if is("ignore") => incomplete(IGNORE_USAGE),
        _ if is("ignore") => Ask::Chat(Command::Ignore { nick }),
        ("", _) if is("unignore") => incomplete(UNIGNORE_USAGE),
        _ if is("unignore") => Ask::Chat(Command::Unignore { nick }),
        _ if is("ignored") => Ask::Chat(Command::Ignored),
        _ => return None,
    })
}

/// The line of an entry of the conversation with another one.
pub(super) fn write(other: &str, entry: &Entry<'_>, text: &mut String) -> fmt::Result {
    if let Content::Said {
        form: Form::Deleted,
        ..
    }
    | Content::Edited { text: "", .. } = entry.content
    {
        return Ok(());
    }
    let way = if entry.nick == other { "from" } else { "to" };
    write!(text, "[{way} {other}] ")?;
    match entry.content {
        Content::Said {
            manner: Manner::Message,
            text: words,
            ..
        } => write_words(words, text),
        _ => write_entry(entry, text),
    }
}

/// Earlier entries of the conversation with another one, and where they end.
pub(super) fn write_letters(other: &str, entries: &[Entry<'_>], text: &mut String) -> fmt::Result {
    let is_said = |entry: &&Entry<'_>| matches!(entry.content, Content::Said { .. });
    let mut is_empty = true;
    for entry in entries.iter().filter(is_said) {
        let before = text.len();
        text.push_str(if is_empty { EARLIER } else { "" });
        text.push('\n');
        let begin = text.len();
        write(other, entry, text)?;
        if text.len() == begin {
            text.truncate(before);
        } else {
            is_empty = false;
        }
    }
    if is_empty {
        return write!(text, "* nothing was said between you and {other}");
    }
    text.push('\n');
    text.write_str(NOW)
}

/// The conversations of an account; those that came while it was away where they are new.
pub(super) fn write_list(list: &[Recent], is_new: bool, text: &mut String) -> fmt::Result {
    let is_wanted = |recent: &&Recent| !is_new || recent.unseen > Seq(0);
    let mut names = list
        .iter()
        .filter(is_wanted)
        .map(|recent| &recent.room[1..]);
    let Some(first) = names.next() else {
        if is_new {
            return Ok(());
        }
        return text.write_str("* no conversation is kept");
    };
    text.write_str(if is_new {
        "* messages came while you were away, from "
    } else {
        "* you have talked to "
    })?;
    text.write_str(first)?;
    for name in names {
        write!(text, ", {name}")?;
    }
    write!(text, "; /msgs {first} shows them")
}

pub(super) fn write_ignored(nicks: &[SmolStr], text: &mut String) -> fmt::Result {
    if nicks.is_empty() {
        return text.write_str("* you take messages from all");
    }
    write!(text, "* you take no messages from {}", nicks.join(", "))
}

pub(super) fn write_missed(count: u32, text: &mut String) -> fmt::Result {
    match count {
        1 => text.write_str("* you missed 1 direct message"),
        count => write!(text, "* you missed {count} direct messages"),
    }
}

/// The line of a refusal that has to do with direct messages.
pub(super) fn write_refused(why: &Refused, text: &mut String) -> fmt::Result {
    match why {
        Refused::NotHere { nick } => write!(
            text,
            "* {nick} is not here; messages wait only for members with an account"
        ),
        Refused::NotAtThisServer { nick } => write!(
            text,
            "* {nick} is not at this server, and a guest writes, and is written to, at its own \
             server alone"
        ),
        Refused::NotTaken { nick } => write!(text, "* {nick} does not take messages from you"),
        Refused::TooManyIgnored { most } => {
            write!(
                text,
                "* you ignore {most} members, the most; /unignore one first"
            )
        }
        _ => Ok(()),
    }
}
