//! The slash commands of moderators, and the lines that they and others are shown of it.

use super::arguments::{seconds, split_seconds, split_word};
use crate::chat::registry::{AuditRow, Rules, SanctionKind};
use crate::chat::{
    Act, BanNotice, Command, Listed, Order, PURGE_SECONDS_MAX, Reach, Refused, Report, RoomChange,
    Whom,
};
use crate::id::{Millis, Seq};
use crate::wire::request::{self, Ask};
use std::fmt::{self, Write};

const BAN_USAGE: &str = "/ban [-s] NICK|@ACCOUNT|ADDRESS[/BITS] [10m|2h|7d] [purge 1h] [REASON]";
const MUTE_USAGE: &str = "/mute [-s] NICK|@ACCOUNT|ADDRESS[/BITS] [10m|2h|7d] [REASON]";
const UNBAN_USAGE: &str = "/unban [-s] NICK|@ACCOUNT|ADDRESS[/BITS]";
const UNMUTE_USAGE: &str = "/unmute [-s] NICK|@ACCOUNT|ADDRESS[/BITS]";

const PURGE_USAGE: &str = "/purge NICK 10m|2h|7d, of the last 7 days at most";
const REPORT_USAGE: &str = "/report NUMBER [REASON]; see /numbers";
const ROLE_USAGE: &str = "/role [-s] @ACCOUNT owner|moderator|voiced|member";
const ROOM_USAGE: &str = "/room [slow 10s|off] [moderated|locked|hidden|newcomers on|off] \
                          [password WORD|off] [keep DAYS|off]";

/// Rows that `/audit` shows.
const ROWS: u32 = 20;

/// The command of this name. `None`: it is none of those here.
pub(super) fn parse<'a>(name: &str, rest: &'a str) -> Option<Ask<'a>> {
    if name.eq_ignore_ascii_case("room") {
        return Some(room(rest));
    }
    command(name, rest).map(Ask::Chat)
}

fn command<'a>(name: &str, rest: &'a str) -> Option<Command<'a>> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    Some(if is("topic") {
        Command::Topic(rest)
    } else if is("ban") {
        order(SanctionKind::Ban, rest, BAN_USAGE)
    } else if is("mute") {
        order(SanctionKind::Mute, rest, MUTE_USAGE)
    } else if is("unban") {
        lift(SanctionKind::Ban, rest, UNBAN_USAGE)
    } else if is("unmute") {
        lift(SanctionKind::Mute, rest, UNMUTE_USAGE)
    } else if is("purge") {
        purge(rest)
    } else if is("report") {
        report(rest)
    } else if is("sanctions") {
        Command::Sanctions {
            reach: reach(rest).0,
            part: None,
        }
    } else if is("role") {
        role(rest)
    } else if is("close") || is("close_room") {
        Command::CloseRoom { reason: rest }
    } else if is("audit") {
        let (reach, rest) = reach(rest);
        Command::Audit {
            reach,
            before: rest.trim().parse().unwrap_or(u64::MAX),
            limit: ROWS,
        }
    } else {
        return None;
    })
}

fn purge(rest: &str) -> Command<'_> {
    let (nick, time) = split_word(rest);
    let nick = nick.strip_prefix('@').unwrap_or(nick);
    match reach_back(time) {
        Some(seconds) if !nick.is_empty() => Command::Purge { nick, seconds },
        Some(_) | None => Command::Incomplete { usage: PURGE_USAGE },
    }
}

/// The seconds that a purge reaches back.
fn reach_back(word: &str) -> Option<u32> {
    seconds(word).filter(|seconds| (1..=PURGE_SECONDS_MAX).contains(seconds))
}

fn report(rest: &str) -> Command<'_> {
    let (number, reason) = split_word(rest);
    let digits = number.strip_prefix('#').unwrap_or(number);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(of) if is_number && of > 0 => Command::Report {
            of: Seq(of),
            reason,
        },
        Ok(_) | Err(_) => Command::Incomplete {
            usage: REPORT_USAGE,
        },
    }
}

fn role(rest: &str) -> Command<'_> {
    let (reach, rest) = reach(rest);
    let (account, rest) = split_word(rest);
    let account = account.strip_prefix('@').unwrap_or(account);
    match reach.role_named(split_word(rest).0) {
        Some(role) if !account.is_empty() => Command::Role {
            reach,
            account,
            role,
        },
        Some(_) | None => Command::Incomplete { usage: ROLE_USAGE },
    }
}

fn room(rest: &str) -> Ask<'_> {
    let mut change = RoomChange::default();
    let incomplete = Ask::Chat(Command::Incomplete { usage: ROOM_USAGE });
    let (name, value) = split_word(rest);
    let switch = match value {
        "on" | "" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    match (name, switch) {
        ("", _) => {}
        ("slow", Some(false)) => change.slow_seconds = Some(0),
        ("slow", _) => match seconds(value) {
            Some(seconds) => change.slow_seconds = Some(seconds),
            None => return incomplete,
        },
        ("password", Some(false)) => return request::room(change, Some("")),
        ("password", _) if !value.is_empty() => return request::room(change, Some(value)),
        ("newcomers", Some(may)) => change.newcomers_read = Some(may),
        ("keep", Some(false)) => change.keep_days = Some(0),
        ("keep", _) => match value.trim_end_matches('d').parse() {
            Ok(days) => change.keep_days = Some(days),
            Err(_) => return incomplete,
        },
        ("moderated", Some(is)) => change.moderated = Some(is),
        ("locked", Some(is)) => change.locked = Some(is),
        ("hidden", Some(is)) => change.hidden = Some(is),
        _ => return incomplete,
    }
    request::room(change, None)
}

/// `-s` means the whole server.
fn reach(rest: &str) -> (Reach, &str) {
    match split_word(rest) {
        ("-s", rest) => (Reach::Server, rest),
        _ => (Reach::Room, rest),
    }
}

fn order<'a>(kind: SanctionKind, rest: &'a str, usage: &'static str) -> Command<'a> {
    let (reach, rest) = reach(rest);
    let (word, rest) = split_word(rest);
    let (seconds, reason) = split_seconds(rest);
    let (purge_seconds, reason) = match kind {
        SanctionKind::Ban => split_purge(reason),
        SanctionKind::Mute => (None, reason),
    };
    let whom = Whom::parse(word);
    // What an address said is not known, and a ban from the server is about no room.
    let is_purge = reach == Reach::Room && !matches!(whom, Some(Whom::Address(_)));
    match whom {
        Some(whom) if seconds != Some(0) && (is_purge || purge_seconds.is_none()) => {
            Command::Sanction(Order {
                kind,
                reach,
                whom,
                address: None,
                seconds,
                purge_seconds,
                reason,
            })
        }
        Some(_) | None => Command::Incomplete { usage },
    }
}

/// `purge TIME` before the reason.
fn split_purge(text: &str) -> (Option<u32>, &str) {
    let (word, rest) = split_word(text);
    let (time, reason) = split_word(rest);
    match reach_back(time) {
        Some(seconds) if word.eq_ignore_ascii_case("purge") => (Some(seconds), reason),
        Some(_) | None => (None, text),
    }
}

fn lift<'a>(kind: SanctionKind, rest: &'a str, usage: &'static str) -> Command<'a> {
    let (reach, rest) = reach(rest);
    match Whom::parse(split_word(rest).0) {
        Some(whom) => Command::Lift { kind, reach, whom },
        None => Command::Incomplete { usage },
    }
}

/// The line of an entry about an act.
pub(super) fn write_act(
    (act, nick): (Act, &str),
    (by, detail): (&str, &str),
    until: Option<u32>,
    text: &mut String,
) -> fmt::Result {
    let at = if act.is_of_account() { "@" } else { "" };
    match act {
        Act::Topic if detail.is_empty() => return write!(text, "* {by} removed the topic"),
        Act::Topic => return write!(text, "* {by} changed the topic: {detail}"),
        Act::Role => return write!(text, "* {by} made {at}{nick} {detail}"),
        Act::Settings => return write!(text, "* {by} changed the room: {detail}"),
        Act::Ban | Act::BanAccount => write!(text, "* {at}{nick} was banned by {by}")?,
        Act::Mute | Act::MuteAccount => write!(text, "* {at}{nick} was muted by {by}")?,
        Act::Unban | Act::UnbanAccount => {
            return write!(text, "* {at}{nick} is not banned any more, says {by}");
        }
        Act::Unmute | Act::UnmuteAccount => {
            return write!(text, "* {at}{nick} is not muted any more, says {by}");
        }
    }
    let until = until.map(|until| Millis(u64::from(until) * 1000));
    write_end(until, detail, text)
}

/// Until when, and why.
fn write_end(until: Option<Millis>, reason: &str, text: &mut String) -> fmt::Result {
    if let Some(until) = until {
        write!(text, " until {until}")?;
    }
    if reason.is_empty() {
        return Ok(());
    }
    write!(text, " ({reason})")
}

pub(super) fn write_banned(
    room: Option<&str>,
    notice: &BanNotice,
    text: &mut String,
) -> fmt::Result {
    match room {
        Some(room) => write!(text, "* you are banned from {room}")?,
        None => text.write_str("* you are banned from this server")?,
    }
    write_end(notice.until, &notice.reason, text)
}

pub(super) fn write_purged(nick: &str, count: u32, more: bool, text: &mut String) -> fmt::Result {
    match count {
        1 => write!(text, "* 1 message of {nick} was deleted")?,
        count => write!(text, "* {count} messages of {nick} were deleted")?,
    }
    if more {
        text.write_str("; there may be more: say that again")?;
    }
    Ok(())
}

pub(super) fn write_reported(report: &Report, text: &mut String) -> fmt::Result {
    let Report {
        seq,
        by,
        nick,
        text: words,
        reason,
        ..
    } = report;
    write!(text, "* {by} reports message {} of {nick}", seq.0)?;
    write_end(None, reason, text)?;
    write!(text, ": {words}")
}

pub(super) fn write_report_kept(moderators: u32, text: &mut String) -> fmt::Result {
    match moderators {
        0 => text.write_str("* no moderator is here; your report is kept for them"),
        1 => text.write_str("* a moderator sees your report"),
        _ => write!(text, "* {moderators} moderators see your report"),
    }
}

pub(super) fn write_sanctions(
    room: Option<&str>,
    sanctions: &[Listed],
    more: bool,
    text: &mut String,
) -> fmt::Result {
    let place = room.unwrap_or("this server");
    if sanctions.is_empty() {
        return write!(text, "* there are no bans and mutes in {place}");
    }
    write!(text, "* bans and mutes in {place}:")?;
    for listed in sanctions {
        text.push_str(match listed.kind {
            SanctionKind::Ban => "\n* ban:",
            SanctionKind::Mute => "\n* mute:",
        });
        if let Some(nick) = &listed.nick {
            write!(text, " {nick}")?;
        }
        if let Some(account) = &listed.account {
            write!(text, " @{account}")?;
        }
        if let Some(address) = listed.address {
            write!(text, " {address}")?;
        }
        write_end(listed.until, &listed.reason, text)?;
        write!(text, ", by {} at {}", listed.by, listed.at)?;
    }
    if more {
        text.write_str("\n* and more")?;
    }
    Ok(())
}

pub(super) fn write_settings(room: &str, rules: &Rules, text: &mut String) -> fmt::Result {
    write!(text, "* {room}:")?;
    if !rules.topic.is_empty() {
        write!(text, " the topic is {};", rules.topic)?;
    }
    match rules.slow_seconds {
        0 => text.write_str(" not slow")?,
        seconds => write!(text, " a message in {seconds} s")?,
    }
    for (is, name) in [
        (rules.is_moderated, "moderated"),
        (rules.is_locked, "locked"),
        (rules.is_hidden, "hidden"),
    ] {
        write!(text, ", {}{name}", if is { "" } else { "not " })?;
    }
    if rules.password.is_some() {
        text.write_str(", with a password")?;
    }
    if !rules.newcomers_read {
        text.write_str(", newcomers see nothing of before")?;
    }
    match rules.keep_days {
        Some(days) => write!(text, ", messages are kept for {days} days"),
        None => Ok(()),
    }
}

pub(super) fn write_audit(rows: &[AuditRow], more: bool, text: &mut String) -> fmt::Result {
    if rows.is_empty() {
        return text.write_str("* nothing was done to keep order");
    }
    text.write_str("* what was done, the newest first:")?;
    for row in rows {
        let audit = &row.audit;
        write!(
            text,
            "\n* {} {}: {} {}",
            row.number, row.at, audit.by, audit.action
        )?;
        if !audit.target.is_empty() {
            write!(text, " {}", audit.target)?;
        }
        if let Some(room) = &audit.room {
            write!(text, " in {room}")?;
        }
        write_end(audit.until, &audit.detail, text)?;
    }
    match rows.last() {
        Some(last) if more => write!(text, "\n* and more: /audit {}", last.number),
        _ => Ok(()),
    }
}

/// The line of a refusal that has to do with order.
pub(super) fn write_refused(why: &Refused, text: &mut String) -> fmt::Result {
    match why {
        Refused::NotAllowed => text.write_str("* you may not do that here"),
        Refused::Outranked { nick } => {
            write!(
                text,
                "* you may not do that to {nick}, who has as much to say here as you"
            )
        }
        Refused::Oneself => text.write_str("* that would be done to yourself"),
        Refused::OnlyOwner => {
            text.write_str("* that is the room's only owner; give it another one first")
        }
        Refused::Muted { millis, reason } => {
            text.write_str("* you are muted")?;
            if let Some(millis) = millis {
                write!(text, " for {}", Length(*millis))?;
            }
            write_end(None, reason, text)
        }
        Refused::Banned(notice) => {
            text.write_str("* that is banned")?;
            write_end(notice.until, &notice.reason, text)
        }
        Refused::NoSuchAccount { name } => write!(text, "* there is no account {name}"),
        Refused::NoSuchSanction => text.write_str("* there is nothing of the kind to be lifted"),
        Refused::TooManySanctions => {
            text.write_str("* there are too many bans and mutes; lift some first")
        }
        Refused::NoNick { nick, why } => write!(text, "* nobody can be called {nick}: {why}"),
        Refused::Moderated => text.write_str("* only voiced members speak in this room"),
        Refused::SlowMode { millis } => {
            write!(text, "* this room is slow; wait for {}", Length(*millis))
        }
        Refused::Filtered => {
            text.write_str("* that message was not delivered: it has a word that is not said here")
        }
        _ => Ok(()),
    }
}

/// A length of time in its largest unit, rounded up.
struct Length(u64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_ceil(1000);
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds.div_ceil(60)),
            7_200..172_800 => write!(f, "{} h", seconds.div_ceil(3_600)),
            _ => write!(f, "{} days", seconds.div_ceil(86_400)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ban_names_whom_for_how_long_and_why() {
        let order = |reach, whom, seconds, reason| {
            Some(Command::Sanction(Order {
                kind: SanctionKind::Ban,
                reach,
                whom,
                address: None,
                seconds,
                purge_seconds: None,
                reason,
            }))
        };
        for (rest, expected) in [
            ("bob", order(Reach::Room, Whom::Nick("bob"), None, "")),
            (
                "-s @bob 7d too loud",
                order(
                    Reach::Server,
                    Whom::Account("bob"),
                    Some(604_800),
                    "too loud",
                ),
            ),
            (
                "bob too loud",
                order(Reach::Room, Whom::Nick("bob"), None, "too loud"),
            ),
            (
                "192.0.2.0/24 2h",
                order(
                    Reach::Room,
                    Whom::Address("192.0.2.0/24".parse().expect("a prefix")),
                    Some(7_200),
                    "",
                ),
            ),
        ] {
            assert_eq!(command("BAN", rest), expected, "{rest}");
        }
        for rest in ["", "-s", "@", "bob 0m"] {
            let incomplete = Some(Command::Incomplete { usage: BAN_USAGE });
            assert_eq!(command("ban", rest), incomplete, "{rest}");
        }
    }

    #[test]
    fn room_is_changed_setting_by_setting_and_a_password_is_no_command_of_the_chat() {
        let change = |change| request::room(change, None);
        for (rest, expected) in [
            ("", change(RoomChange::default())),
            (
                "newcomers off",
                change(RoomChange {
                    newcomers_read: Some(false),
                    ..RoomChange::default()
                }),
            ),
            (
                "keep 7d",
                change(RoomChange {
                    keep_days: Some(7),
                    ..RoomChange::default()
                }),
            ),
            (
                "password open sesame",
                Ask::RoomPassword {
                    change: RoomChange::default(),
                    password: "open sesame",
                },
            ),
            (
                "password off",
                request::room(RoomChange::default(), Some("")),
            ),
        ] {
            assert_eq!(parse("Room", rest), Some(expected), "{rest}");
        }
        for rest in ["password", "keep", "keep long", "newcomers perhaps", "loud"] {
            let incomplete = Ask::Chat(Command::Incomplete { usage: ROOM_USAGE });
            assert_eq!(parse("room", rest), Some(incomplete), "{rest}");
        }
    }

    #[test]
    fn ban_may_say_what_is_to_be_deleted_with_it() {
        let purge = |rest: &'static str| match command("ban", rest) {
            Some(Command::Sanction(order)) => {
                Some((order.seconds, order.purge_seconds, order.reason))
            }
            _ => None,
        };
        for (rest, expected) in [
            ("bob purge 1h", Some((None, Some(3_600), ""))),
            (
                "bob 2h purge 10m too loud",
                Some((Some(7_200), Some(600), "too loud")),
            ),
            ("@bob purge 7d", Some((None, Some(604_800), ""))),
            ("bob purge", Some((None, None, "purge"))),
            ("bob purge 8d", Some((None, None, "purge 8d"))),
            ("bob purge them all", Some((None, None, "purge them all"))),
            ("-s bob purge 1h", None),
            ("192.0.2.7 purge 1h", None),
        ] {
            assert_eq!(purge(rest), expected, "{rest}");
        }
    }

    #[test]
    fn purge_names_whom_and_how_far_back() {
        let purge = |nick, seconds| Some(Command::Purge { nick, seconds });
        assert_eq!(command("purge", "bob 10m"), purge("bob", 600));
        assert_eq!(command("PURGE", "@bob 7d"), purge("bob", 604_800));
        for rest in ["", "bob", "bob 0s", "bob 8d", "bob 10", "bob 1h more"] {
            let incomplete = Some(Command::Incomplete { usage: PURGE_USAGE });
            assert_eq!(command("purge", rest), incomplete, "{rest}");
        }
    }

    #[test]
    fn report_names_a_message_and_perhaps_why() {
        let report = |of, reason| {
            Some(Command::Report {
                of: Seq(of),
                reason,
            })
        };
        assert_eq!(command("report", "12"), report(12, ""));
        assert_eq!(
            command("report", "#12 it is rude"),
            report(12, "it is rude")
        );
        for rest in ["", "0", "+1", "twelve", "#", "4294967296"] {
            let usage = REPORT_USAGE;
            assert_eq!(
                command("report", rest),
                Some(Command::Incomplete { usage }),
                "{rest}"
            );
        }
    }

    #[test]
    fn acts_are_lines_that_say_what_until_when_and_why() {
        for (act, detail, until, expected) in [
            (Act::Ban, "", None, "* bob was banned by ann"),
            (
                Act::BanAccount,
                "loud",
                Some(1_795_676_645),
                "* @bob was banned by ann until 2026-11-26 07:04 UTC (loud)",
            ),
            (
                Act::Unmute,
                "",
                None,
                "* bob is not muted any more, says ann",
            ),
            (Act::Topic, "tea", None, "* ann changed the topic: tea"),
            (Act::Topic, "", None, "* ann removed the topic"),
            (Act::Role, "moderator", None, "* ann made @bob moderator"),
        ] {
            let mut text = String::new();
            write_act((act, "bob"), ("ann", detail), until, &mut text).expect("a string");
            assert_eq!(text, expected);
        }
    }
}
