//! The protocol of clients that ask for no subprotocol, one text message a line or several: what a
//! member says is `nick: message`, what a member does is `** nick does`, and only lines of the
//! server begin with `* `, so that no member can imitate them. A message is said to the room unless
//! it begins with a slash, which makes it a command. Knows no connection and no frame.

mod arguments;
mod direct;
mod help;
mod moderation;

use super::request::{Ask, HISTORY_MAX, Range, Send};
use super::shown::{Done, Shown};
use crate::chat::registry::Scope;
use crate::chat::{AccountReport, Command, Content, Entry, Event, Form, Manner, Nick, Refused};
use crate::id::Seq;
use arguments::split_word;
use std::fmt::{self, Write};

const NICK_USAGE: &str = "/nick NAME";
const ME_USAGE: &str = "/me DOES SOMETHING";
const OP_USAGE: &str = "/op TOKEN";
const KICK_USAGE: &str = "/kick NICK [REASON]";
const HISTORY_USAGE: &str = "/history [NUMBER]";
const NUMBERS_USAGE: &str = "/numbers [NUMBER]";
const SEARCH_USAGE: &str = "/search WORDS";
const EDIT_USAGE: &str = "/edit [#NUMBER] TEXT";
const DELETE_USAGE: &str = "/delete [#NUMBER]";
const REGISTER_USAGE: &str = "/register NAME PASSWORD";
const LOGIN_USAGE: &str = "/login NAME PASSWORD";
const PASSWORD_USAGE: &str = "/password OLD NEW";
const UNREGISTER_USAGE: &str = "/unregister PASSWORD";

/// Entries that `/history` shows if it does not say how many.
const HISTORY_DEFAULT: u32 = 20;
/// Entries that `/search` shows.
const FOUND_MAX: u32 = 20;

const HELP: &str = "* what you write is said to the room; with a slash it is a command:
* /msg NICK WORDS - say something to one alone; /msgs [NICK [NUMBER]] shows what was said so
* /ignore NICK, /unignore NICK - take no such messages from somebody; /ignored lists them
* /nick NAME - be called something else
* /me DOES SOMETHING - tell what you do
* /who - who is here
* /rooms - which rooms there are
* /history [NUMBER] - what was said here before
* /search WORDS - what was said here with these words
* /edit [#NUMBER] TEXT - correct what you said last, or the message of that number
* /delete [#NUMBER] - delete what you said last, or the message of that number
* /numbers [NUMBER] - what was said here before, with the numbers of messages
* /register NAME PASSWORD - make NAME yours alone
* /login NAME PASSWORD - be NAME, which you registered
* /logout - be a guest again
* /password OLD NEW - change your password
* /account - what is kept about you
* /unregister PASSWORD - give your name up
* /quit [WORD] - leave
* /op TOKEN - become an operator
* /kick NICK [REASON] - throw somebody out (moderators)
* /ban, /mute, /unban, /unmute NICK - keep somebody out or silent; /sanctions lists them
* /role @ACCOUNT owner|moderator|voiced|member - give a role in the room (owners)
* /room [slow 10s|moderated|locked|hidden|newcomers on|off] - what the room is like; /close [REASON] ends it
* /room password WORD|off, /room keep DAYS|off - who joins it, and how long messages are kept (owners)
* /audit [NUMBER] - what was done to keep order (moderators)
* /topic [WORDS] - say what the room is about (moderators)
* /report NUMBER [REASON] - show a message to the moderators; /numbers has the numbers
* /purge NICK 10m|2h|7d - delete all that NICK said lately (moderators)
* /help COMMAND - more about a command
* //WORDS - say something that begins with a slash";

/// What a member asks with a message.
pub(super) fn parse(message: &str) -> Ask<'_> {
    let Some(command) = message.strip_prefix('/') else {
        return say(Manner::Message, message);
    };
    if command.starts_with('/') {
        return say(Manner::Message, command);
    }
    let (name, rest) = split_word(command);
    let Some(known) = help::known(name) else {
        return Ask::Chat(Command::Unknown { name });
    };
    let is = |name: &str| name == known;
    if is("me") {
        if rest.is_empty() {
            return Ask::Chat(Command::Incomplete { usage: ME_USAGE });
        }
        return say(Manner::Action, rest);
    }
    if is("history") {
        return history(rest);
    }
    if is("edit") {
        return edit(rest);
    }
    if is("delete") {
        return delete(rest);
    }
    if is("numbers") {
        return numbers(rest);
    }
    if is("search") {
        return search(rest);
    }
    if let Some(ask) = direct::parse(known, rest)
        .or_else(|| account(known, rest))
        .or_else(|| moderation::parse(known, rest))
    {
        return ask;
    }
    Ask::Chat(if is("nick") {
        needs(rest, NICK_USAGE, Command::Nick(rest))
    } else if is("who") {
        Command::Who(None)
    } else if is("rooms") {
        Command::Rooms(None)
    } else if is("help") {
        help_on(rest)
    } else if is("quit") {
        Command::Quit(rest)
    } else if is("op") {
        needs(rest, OP_USAGE, Command::Op { token: rest })
    } else if is("kick") {
        let (nick, reason) = split_word(rest);
        needs(nick, KICK_USAGE, Command::Kick { nick, reason })
    } else {
        Command::Unknown { name }
    })
}

/// `/help`, or about one command, with its slash or without.
fn help_on(rest: &str) -> Command<'_> {
    let name = split_word(rest).0;
    let name = name.strip_prefix('/').unwrap_or(name);
    match help::known(name) {
        _ if name.is_empty() => Command::Help,
        Some(command) => Command::HelpOn { command },
        None => Command::Unknown { name },
    }
}

/// Commands about accounts. A password is the rest of the line where it is the last word, and may
/// have spaces in it.
fn account<'a>(name: &str, rest: &'a str) -> Option<Ask<'a>> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let (first, second) = split_word(rest);
    let incomplete = |usage| Ask::Chat(Command::Incomplete { usage });
    Some(match (first, second) {
        _ if is("logout") => Ask::Logout,
        _ if is("account") => Ask::Account,
        ("", _) if is("login") => incomplete(LOGIN_USAGE),
        (password, "") if is("login") => Ask::Login {
            account: None,
            password,
        },
        (name, password) if is("login") => Ask::Login {
            account: Some(name),
            password,
        },
        (_, "") if is("register") => incomplete(REGISTER_USAGE),
        (account, password) if is("register") => Ask::Register { account, password },
        (_, "") if is("password") => incomplete(PASSWORD_USAGE),
        (old, new) if is("password") => Ask::Password { old, new },
        ("", _) if is("unregister") => incomplete(UNREGISTER_USAGE),
        _ if is("unregister") => Ask::Unregister { password: rest },
        _ => return None,
    })
}

const fn say(manner: Manner, text: &str) -> Ask<'_> {
    Ask::Send(Send {
        manner,
        text,
        reply_to: None,
        key: None,
    })
}

fn history(number: &str) -> Ask<'_> {
    match limit(number) {
        Some(limit) => Ask::History {
            range: Range::Newest,
            limit,
        },
        None => Ask::Chat(Command::Incomplete {
            usage: HISTORY_USAGE,
        }),
    }
}

fn edit(rest: &str) -> Ask<'_> {
    match numbered(rest) {
        Some((of, text)) if !text.is_empty() => amend(Command::Edit { of, text }),
        _ => Ask::Chat(Command::Incomplete { usage: EDIT_USAGE }),
    }
}

fn delete(rest: &str) -> Ask<'_> {
    match numbered(rest) {
        Some((of, "")) => amend(Command::Delete { of }),
        _ => Ask::Chat(Command::Incomplete {
            usage: DELETE_USAGE,
        }),
    }
}

const fn amend(command: Command<'_>) -> Ask<'_> {
    Ask::Amend { command, key: None }
}

fn numbers(number: &str) -> Ask<'_> {
    match limit(number) {
        Some(limit) => Ask::Numbers { limit },
        None => Ask::Chat(Command::Incomplete {
            usage: NUMBERS_USAGE,
        }),
    }
}

/// The number of a message before a text, as `#12`, and the text. Without one: 0. `None`: what
/// should be a number is none.
fn numbered(text: &str) -> Option<(Seq, &str)> {
    let (word, rest) = split_word(text);
    let Some(digits) = word.strip_prefix('#') else {
        return Some((Seq(0), text.trim()));
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // The first word of the text, as in "#welcome".
        return Some((Seq(0), text.trim()));
    }
    let seq = digits.parse().ok().filter(|seq| *seq > 0)?;
    Some((Seq(seq), rest))
}

/// How many entries are wanted, within the bounds.
fn limit(number: &str) -> Option<u32> {
    let limit = match number {
        "" => Some(HISTORY_DEFAULT),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().unwrap_or(u32::MAX))
        }
        _ => None,
    };
    limit
        .filter(|limit| *limit > 0)
        .map(|limit| limit.min(HISTORY_MAX))
}

const fn search(words: &str) -> Ask<'_> {
    if words.is_empty() {
        return Ask::Chat(Command::Incomplete {
            usage: SEARCH_USAGE,
        });
    }
    Ask::Search {
        query: words,
        before: None,
        limit: FOUND_MAX,
    }
}

fn needs<'a>(argument: &str, usage: &'static str, command: Command<'a>) -> Command<'a> {
    if argument.is_empty() {
        Command::Incomplete { usage }
    } else {
        command
    }
}

/// The length of what a member said as it is rendered, without the nick before it.
pub(super) fn said_bytes(words: &str) -> usize {
    let line_feeds = words.bytes().filter(|byte| *byte == b'\n').count();
    // The other breaks are as long as what they become.
    words.len() + line_feeds * (LINE_BREAK.len() - 1)
}

/// Appends the line, or lines, that a client is shown. False: there is none.
pub(super) fn render(shown: &Shown<'_>, text: &mut String) -> bool {
    let before = text.len();
    // Writing to a string cannot fail.
    let _ = write_shown(shown, text);
    text.len() > before
}

/// Appends the line of a refusal.
pub(super) fn refused(why: &Refused, text: &mut String) {
    // Writing to a string cannot fail.
    let _ = write_refused(why, text);
}

fn write_shown(shown: &Shown<'_>, text: &mut String) -> fmt::Result {
    match *shown {
        Shown::Event(event) | Shown::Reply { event, .. } => write_event(event, text),
        Shown::Entry { entry, .. } => write_entry(entry, text),
        Shown::Direct { other, entry } => direct::write(other, entry, text),
        Shown::Letters { other, entries } => direct::write_letters(other, entries, text),
        Shown::DirectsMissed { count } => direct::write_missed(count, text),
        Shown::Gap { from, to, .. } => {
            match u64::from(to.0) + 1 - u64::from(from.0).min(u64::from(to.0)) {
                1 => text.write_str("* you missed 1 message"),
                messages => write!(text, "* you missed {messages} messages"),
            }
        }
        Shown::Rewound { to, .. } => {
            write!(text, "* what was said after message {} was lost", to.0)
        }
        Shown::Link { is_up: true } => text.write_str(LINK_IS_BACK),
        Shown::Link { is_up: false } => text.write_str(LINK_IS_LOST),
        Shown::HistoryBegins => text.write_str(EARLIER),
        Shown::HistoryEnds => text.write_str(NOW),
        Shown::History { entries: [], .. } => text.write_str("* nothing was said here before"),
        Shown::History { entries, .. } => {
            text.write_str(EARLIER)?;
            write_entries(entries, text)
        }
        Shown::Numbers { entries } => {
            text.write_str(EARLIER)?;
            write_numbered(entries, text)
        }
        Shown::Found { entries: [], .. } => text.write_str("* nothing was found"),
        Shown::Found { entries, more, .. } => {
            text.write_str(if more {
                "* found, the newest:"
            } else {
                "* found:"
            })?;
            write_entries(entries, text)
        }
        Shown::Ok {
            done: Done::Nothing | Done::Sent { .. } | Done::Nick { .. } | Done::Resumed { .. },
            ..
        }
        | Shown::Hello(_)
        | Shown::Joined(_)
        | Shown::Lost { .. } => Ok(()),
        Shown::Announcement { text: words } => {
            write!(text, "* notice from the operator: {words}")
        }
        Shown::Error { why, .. } => write!(text, "* {why}"),
    }
}

/// What members are shown while the engine cannot be asked.
const LINK_IS_LOST: &str = "* the connection to the other servers is lost; what you say waits";
const LINK_IS_BACK: &str = "* the connection to the other servers is back";

/// What begins the history of a room.
const EARLIER: &str = "* earlier:";

/// What ends it.
const NOW: &str = "* now:";

/// Entries, each on a line of its own or several, and where they end.
fn write_entries(entries: &[Entry<'_>], text: &mut String) -> fmt::Result {
    for entry in entries {
        let before = text.len();
        text.push('\n');
        write_entry(entry, text)?;
        if text.len() == before + 1 {
            text.truncate(before);
        }
    }
    text.push('\n');
    text.write_str(NOW)
}

/// Messages with their numbers, and where they end. What else happened has its line elsewhere.
fn write_numbered(entries: &[Entry<'_>], text: &mut String) -> fmt::Result {
    for entry in entries {
        if let Content::Said { form, .. } = entry.content
            && form != Form::Deleted
        {
            write!(text, "\n#{} ", entry.seq.0)?;
            write_entry(entry, text)?;
        }
    }
    text.push('\n');
    text.write_str(NOW)
}

/// Nothing of a message that was deleted, and of an edit that another has replaced.
fn write_entry(entry: &Entry<'_>, text: &mut String) -> fmt::Result {
    let nick = entry.nick;
    match entry.content {
        Content::Said {
            form: Form::Deleted,
            ..
        }
        | Content::Edited { text: "", .. } => Ok(()),
        Content::Said {
            manner,
            text: words,
            ..
        } => {
            match manner {
                Manner::Message => write!(text, "{nick}: ")?,
                Manner::Action => write!(text, "** {nick} ")?,
            }
            write_words(words, text)
        }
        Content::Edited { of, text: words } => {
            write!(text, "* {nick} corrected message {}: ", of.0)?;
            write_words(words, text)
        }
        Content::Deleted { of } => write!(text, "* message {} was deleted by {nick}", of.0),
        Content::Kicked { by, reason } => {
            write!(text, "* {nick} was kicked by {by}")?;
            write_remark(reason, text)
        }
        Content::Act {
            act,
            by,
            detail,
            until,
        } => moderation::write_act((act, nick), (by, detail), until, text),
    }
}

fn write_event(event: &Event, text: &mut String) -> fmt::Result {
    match event {
        Event::Welcome {
            room,
            nick,
            present,
            more,
            ..
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
        Event::Joined { nick, .. } => write!(text, "* {nick} joined"),
        Event::Left { nick, word, .. } => {
            write!(text, "* {nick} left")?;
            write_remark(word, text)
        }
        // Only programs are shown that a member is writing.
        Event::Typing { .. } => Ok(()),
        Event::Summed {
            joined, left: 0, ..
        } => write!(text, "* {joined} joined"),
        Event::Summed {
            joined: 0, left, ..
        } => write!(text, "* {left} left"),
        Event::Summed { joined, left, .. } => write!(text, "* {joined} joined, {left} left"),
        Event::Renamed { old, new, .. } => write!(text, "* {old} is now known as {new}"),
        Event::YouWereKicked { by, reason, .. } => {
            write!(text, "* you were kicked by {by}")?;
            write_remark(reason, text)
        }
        Event::YouWereBanned { room, notice } => {
            moderation::write_banned(room.as_deref(), notice, text)
        }
        Event::Done(sentence) => write!(text, "* {sentence}"),
        Event::Sanctions {
            room,
            sanctions,
            more,
        } => moderation::write_sanctions(room.as_deref(), sanctions, *more, text),
        Event::Settings { room, rules } => moderation::write_settings(room, rules, text),
        Event::Audit { rows, more } => moderation::write_audit(rows, *more, text),
        Event::Purged {
            nick, count, more, ..
        } => moderation::write_purged(nick, *count, *more, text),
        Event::Reported(report) => moderation::write_reported(report, text),
        Event::ReportKept { moderators } => moderation::write_report_kept(*moderators, text),
        Event::Who {
            room,
            members,
            more,
            ..
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
        Event::HelpOn { command } => help::write(command, text),
        Event::YouAreOperator => text.write_str("* you are an operator now"),
        Event::LoggedIn {
            account,
            is_new: true,
            ..
        } => write!(
            text,
            "* {account} is yours from now on, and you are logged in"
        ),
        Event::LoggedIn { account, .. } => write!(text, "* you are logged in as {account}"),
        Event::LoggedOut { nick, .. } => write!(text, "* you are logged out, and called {nick}"),
        Event::PasswordChanged => {
            text.write_str("* your password is changed, and other sessions have ended")
        }
        Event::Unregistered => text.write_str("* your account is gone"),
        Event::Account(report) => write_account(report, text),
        Event::Conversations { list, is_new } => direct::write_list(list, *is_new, text),
        Event::Ignored { nicks } => direct::write_ignored(nicks, text),
        Event::Refused(why) => write_refused(why, text),
    }
}

fn write_account(report: &AccountReport, text: &mut String) -> fmt::Result {
    let AccountReport {
        name,
        created,
        has_password,
        token_subject,
        sessions,
        roles,
        conversations,
        ignored,
        connections,
    } = report;
    let seconds = created.unix_seconds();
    write!(text, "* account {name}, made at {seconds} (Unix time)")?;
    if !has_password {
        text.write_str(", without a password")?;
    }
    if let Some(subject) = token_subject {
        write!(text, ", called {subject} by tokens")?;
    }
    let sessions = sessions.len();
    write!(text, "; connections: {connections}, sessions: {sessions}")?;
    for (what, names) in [("has talked to", conversations), ("ignores", ignored)] {
        if !names.is_empty() {
            write!(text, "; {what} {}", names.join(", "))?;
        }
    }
    for (scope, role) in roles {
        let role = role.name();
        match scope {
            Scope::Server => write!(text, "; {role} of the server")?,
            Scope::Room(room) => write!(text, "; {role} of {room}")?,
        }
    }
    Ok(())
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
            )?;
            match help::nearest(name) {
                Some(nearest) => write!(text, "; is it /{nearest}?"),
                None => Ok(()),
            }
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
        Refused::NotAMember => text.write_str("* you are not in that room"),
        Refused::NotOperator => text.write_str("* only an operator may do that; see /op in /help"),
        Refused::NotTheAuthor => text.write_str("* that is not your message"),
        Refused::NoSuchMessage => {
            text.write_str("* there is no such message, or it was deleted; see /numbers")
        }
        Refused::TooLate => text.write_str("* it is too late to change that message"),
        Refused::WrongToken => text.write_str("* that is not the operator token"),
        Refused::TooManyTokens => text.write_str(
            "* too many wrong tokens came from your address; wait a minute and try again",
        ),
        Refused::NoSuchMember { nick } => write!(text, "* nobody called {nick} is in this room"),
        Refused::NotHere { .. }
        | Refused::NotAtThisServer { .. }
        | Refused::NotTaken { .. }
        | Refused::TooManyIgnored { .. } => direct::write_refused(why, text),
        Refused::IsLoggedIn { account } => {
            write!(text, "* you are logged in as {account}; /logout first")
        }
        Refused::NotLoggedIn => text.write_str("* you are not logged in; see /login in /help"),
        Refused::AccountTaken { name } => {
            write!(
                text,
                "* {name} is registered already, or a name that looks like it"
            )
        }
        Refused::TooManyAccounts => text.write_str("* this server takes no more accounts"),
        Refused::NickIsAccounts { account } => write!(
            text,
            "* you are logged in as {account}, and called so; /logout to be called something else"
        ),
        Refused::NotAllowed
        | Refused::Outranked { .. }
        | Refused::Oneself
        | Refused::OnlyOwner
        | Refused::Muted { .. }
        | Refused::Banned(_)
        | Refused::NoSuchAccount { .. }
        | Refused::NoSuchSanction
        | Refused::TooManySanctions
        | Refused::NoNick { .. }
        | Refused::Moderated
        | Refused::SlowMode { .. }
        | Refused::Filtered => moderation::write_refused(why, text),
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
