//! What a client is shown, as an object each. The fields of every type are in docs/protocol.md.

use super::moderation;
use super::write::{self, Object};
use crate::chat::registry::Scope;
use crate::chat::{
    AccountReport, Author, Content, Entry, Event, Form, Manner, Nick, NickRefused, Refused,
};
use crate::id::Seq;
use crate::wire::plain;
use crate::wire::request::{Code, RequestId};
use crate::wire::shown::{Done, Hello, Joined, Shown};

/// Appends the object. False: there is none.
pub(in super::super) fn render(shown: &Shown<'_>, text: &mut String) -> bool {
    match *shown {
        Shown::Event(event) => return self::event(None, event, text),
        Shown::Reply { re, event } => return self::event(re, event, text),
        Shown::Entry { room, entry } => self::entry(room, entry, text),
        Shown::Hello(ref hello) => self::hello(hello, text),
        Shown::Joined(ref joined) => self::joined(joined, text),
        Shown::Gap { room, from, to } => Object::of_type("gap", text)
            .string("room", room)
            .number("from", from.0)
            .number("to", to.0)
            .end(),
        Shown::Rewound { room, epoch, to } => Object::of_type("rewound", text)
            .string("room", room)
            .string("epoch", epoch)
            .number("to", to.0)
            .end(),
        // The numbers of the entries say what is old.
        Shown::HistoryBegins
        | Shown::HistoryEnds
        | Shown::Numbers { .. }
        // Programs are members of conversations.
        | Shown::Direct { .. }
        | Shown::Letters { .. }
        | Shown::DirectsMissed { .. } => return false,
        Shown::History {
            re,
            room,
            entries,
            more,
        } => page("history", re, room, entries, more, text),
        Shown::Found {
            re,
            room,
            entries,
            more,
        } => page("found", re, room, entries, more, text),
        Shown::Lost { room } => Object::of_type("presence", text)
            .string("room", room)
            .bool("lost", true)
            .end(),
        Shown::Link { is_up } => Object::of_type("link", text).bool("up", is_up).end(),
        Shown::Announcement { text: words } => Object::of_type("announcement", text)
            .string("text", words)
            .end(),
        Shown::Ok { re, done } => ok(re, done, text),
        Shown::Error { re, why } => {
            let about = (why.retry_millis(), why.suggestion());
            error(re, why.code(), &why.to_string(), about, text);
        }
    }
    true
}

impl Object<'_> {
    /// The id of the request that is answered.
    fn re(self, re: Option<&RequestId>) -> Self {
        match re {
            Some(id) => self.value("re", |text| text.push_str(id.as_json())),
            None => self,
        }
    }

    fn seq(self, name: &str, seq: Option<Seq>) -> Self {
        match seq {
            Some(seq) => self.number(name, seq.0),
            None => self,
        }
    }

    /// A list of nicks that is left out where it is empty.
    fn nicks(self, name: &str, nicks: &[Nick]) -> Self {
        if nicks.is_empty() {
            self
        } else {
            self.list(name, nicks, nick)
        }
    }

    /// Whether a message was changed.
    fn form(self, form: Form) -> Self {
        match form {
            Form::Original => self,
            Form::Edited { .. } => self.bool("edited", true),
            Form::Deleted => self.bool("deleted", true),
        }
    }

    /// A string that is left out where it is empty.
    pub(super) fn some(self, name: &str, value: &str) -> Self {
        if value.is_empty() {
            self
        } else {
            self.string(name, value)
        }
    }
}

fn entry(room: &str, entry: &Entry<'_>, text: &mut String) {
    let numbered = |kind: &str, text| {
        Object::of_type(kind, text)
            .string("room", room)
            .number("seq", entry.seq.0)
            .number("time", entry.at.0)
    };
    let begin = |kind: &str, text| numbered(kind, text).string("nick", entry.nick);
    match entry.content {
        Content::Said {
            manner,
            text: words,
            reply_to,
            form,
            author,
        } => {
            let kind = match manner {
                Manner::Message => "message",
                Manner::Action => "action",
            };
            // While it spoke, its nick was its account's name.
            let account = match author {
                Author::Account(_) => entry.nick,
                Author::Unknown | Author::Connection(_) | Author::Session(_) => "",
            };
            begin("message", text)
                .some("account", account)
                .string("kind", kind)
                .string("text", words)
                .seq("reply_to", reply_to)
                .form(form)
                .end();
        }
        Content::Edited { of, text: words } => begin("edited", text)
            .number("of", of.0)
            .some("text", words)
            .end(),
        Content::Deleted { of } => numbered("deleted", text)
            .number("of", of.0)
            .string("by", entry.nick)
            .end(),
        Content::Kicked { by, reason } => begin("kicked", text)
            .string("by", by)
            .some("reason", reason)
            .end(),
        Content::Act {
            act,
            by,
            detail,
            until,
        } => moderation::act(
            begin(act.name(), text),
            (act, entry.nick),
            (by, detail),
            until,
        ),
    }
}

fn page(
    kind: &str,
    re: Option<&RequestId>,
    room: &str,
    entries: &[Entry<'_>],
    more: bool,
    text: &mut String,
) {
    Object::of_type(kind, text)
        .re(re)
        .string("room", room)
        .list("entries", entries, |entry, text| {
            self::entry(room, entry, text);
        })
        .bool("more", more)
        .end();
}

fn hello(hello: &Hello<'_>, text: &mut String) {
    let limits = &hello.limits;
    let numbers = [
        ("message_bytes", limits.message_bytes as u64),
        ("rate", limits.rate.into()),
        ("burst", limits.burst.into()),
        ("history", limits.history.into()),
        ("catch_up", limits.catch_up.into()),
        ("rooms", limits.rooms.into()),
        ("unacknowledged", limits.unacknowledged.into()),
        ("dedupe_ms", limits.dedupe_millis),
        ("edit_window_ms", limits.edit_window_millis),
    ];
    Object::of_type("hello", text)
        .string("server", hello.server)
        .string("nick", hello.nick)
        .string("session", hello.session)
        .string("accounts", hello.accounts)
        .some("account", hello.account.unwrap_or_default())
        .value("limits", |text| {
            for (index, (name, value)) in numbers.into_iter().enumerate() {
                text.push_str(if index == 0 { "{\"" } else { ",\"" });
                text.push_str(name);
                text.push_str("\":");
                write::number(value, text);
            }
            text.push('}');
        })
        .number("ping_after_ms", hello.ping_after_millis)
        .number("time", hello.time.0)
        .end();
}

fn joined(joined: &Joined<'_>, text: &mut String) {
    Object::of_type("joined", text)
        .re(joined.re)
        .string("room", joined.room)
        .string("epoch", joined.epoch)
        .number("seq", joined.seq.0)
        .number("after", joined.after.0)
        .bool("recovered", joined.recovered)
        .seq("rewound", joined.rewound)
        .string("topic", joined.topic)
        .number("count", joined.count)
        .list("members", joined.members, nick)
        .nicks("accounts", joined.accounts)
        .string("role", joined.role)
        .settings(joined.settings)
        .end();
}

fn nick(nick: &Nick, text: &mut String) {
    write::string(nick.as_str(), text);
}

fn ok(re: Option<&RequestId>, done: Done<'_>, text: &mut String) {
    let ok = Object::of_type("ok", text).re(re);
    match done {
        Done::Nothing => ok,
        Done::Sent {
            room,
            seq,
            time,
            is_duplicate,
        } => {
            let ok = ok
                .string("room", room)
                .number("seq", seq.0)
                .number("time", time.0);
            if is_duplicate {
                ok.bool("duplicate", true)
            } else {
                ok
            }
        }
        Done::Nick { nick } => ok.string("nick", nick),
        Done::Resumed {
            nick,
            session,
            account,
        } => ok
            .string("nick", nick)
            .string("session", session)
            .some("account", account.unwrap_or_default()),
    }
    .end();
}

fn error(
    re: Option<&RequestId>,
    code: Code,
    message: &str,
    (retry_millis, suggestion): (Option<u32>, Option<&str>),
    text: &mut String,
) {
    let error = Object::of_type("error", text)
        .re(re)
        .string("code", code.as_str())
        .string("message", message)
        .some("suggestion", suggestion.unwrap_or_default());
    retry(error, retry_millis).end();
}

fn retry(error: Object<'_>, retry_millis: Option<u32>) -> Object<'_> {
    match retry_millis {
        Some(millis) => error.number("retry_ms", millis),
        None => error,
    }
}

fn refused(re: Option<&RequestId>, why: &Refused, text: &mut String) {
    let (code, retry_millis) = code(why);
    // The plain protocol has the words.
    let mut line = String::new();
    plain::refused(why, &mut line);
    let message = line.strip_prefix("* ").unwrap_or(&line);
    let error = Object::of_type("error", text)
        .re(re)
        .string("code", code.as_str())
        .string("message", message);
    let error = match why {
        Refused::Nick { kept, .. } => error.string("nick", kept.as_str()),
        _ => error,
    };
    retry(error, retry_millis).end();
}

fn code(why: &Refused) -> (Code, Option<u32>) {
    match why {
        Refused::Nick {
            why: NickRefused::Taken | NickRefused::Reserved | NickRefused::Unclaimed,
            ..
        } => (Code::NickTaken, None),
        Refused::Nick { .. } => (Code::BadName, None),
        Refused::UnknownCommand { .. } => (Code::UnknownType, None),
        Refused::Incomplete { .. } => (Code::BadRequest, None),
        Refused::EmptyMessage => (Code::Empty, None),
        Refused::TooLong => (Code::TooLong, None),
        Refused::TooFast {
            messages_per_second,
        } => (Code::TooFast, Some(1000 / (*messages_per_second).max(1))),
        Refused::NotAMember => (Code::NotAMember, None),
        Refused::NotOperator | Refused::NotTheAuthor => (Code::NotAllowed, None),
        Refused::NoSuchMessage => (Code::NoSuchMessage, None),
        Refused::TooLate => (Code::TooLate, None),
        Refused::WrongToken => (Code::LoginFailed, None),
        Refused::TooManyTokens => (Code::TooFast, Some(60_000)),
        Refused::IsLoggedIn { .. } | Refused::NickIsAccounts { .. } => (Code::NotAllowed, None),
        Refused::NotLoggedIn => (Code::LoginRequired, None),
        Refused::AccountTaken { .. } => (Code::AccountTaken, None),
        Refused::TooManyAccounts => (Code::TooMany, None),
        Refused::NoSuchMember { .. }
        | Refused::NotHere { .. }
        | Refused::NotAtThisServer { .. }
        | Refused::NoSuchSanction => (Code::NoSuchMember, None),
        Refused::NotTaken { .. } => (Code::NotAllowed, None),
        Refused::TooManyIgnored { .. } => (Code::TooMany, None),
        Refused::NotAllowed | Refused::Outranked { .. } | Refused::Oneself | Refused::OnlyOwner => {
            (Code::NotAllowed, None)
        }
        Refused::Muted { millis, .. } => {
            let millis = millis.map(|millis| u32::try_from(millis.max(1)).unwrap_or(u32::MAX));
            (Code::Muted, millis)
        }
        Refused::Banned(_) => (Code::Banned, None),
        Refused::NoSuchAccount { .. } => (Code::NoSuchAccount, None),
        Refused::TooManySanctions => (Code::TooMany, None),
        Refused::NoNick { .. } => (Code::BadName, None),
        Refused::Filtered => (Code::Filtered, None),
        Refused::Moderated => (Code::NotAllowed, None),
        Refused::SlowMode { millis } => {
            let millis = u32::try_from((*millis).max(1)).unwrap_or(u32::MAX);
            (Code::SlowMode, Some(millis))
        }
    }
}

fn account(re: Option<&RequestId>, report: &AccountReport, text: &mut String) {
    Object::of_type("account", text)
        .re(re)
        .string("account", &report.name)
        .number("created", report.created.0)
        .bool("has_password", report.has_password)
        .some(
            "token_subject",
            report.token_subject.as_deref().unwrap_or_default(),
        )
        .list("sessions", &report.sessions, |seen, text| {
            text.push_str("{\"seen\":");
            write::number(seen.0, text);
            text.push('}');
        })
        .list("roles", &report.roles, |(scope, role), text| {
            text.push('{');
            if let Scope::Room(room) = scope {
                text.push_str("\"room\":");
                write::string(room, text);
                text.push(',');
            }
            text.push_str("\"role\":");
            write::string(role.name(), text);
            text.push('}');
        })
        .list("conversations", &report.conversations, |name, text| {
            write::string(name, text);
        })
        .list("ignored", &report.ignored, |name, text| {
            write::string(name, text);
        })
        .number("connections", report.connections)
        .end();
}

fn event(re: Option<&RequestId>, event: &Event, text: &mut String) -> bool {
    match event {
        Event::Who {
            room,
            members,
            accounts,
            more,
        } => Object::of_type("members", text)
            .re(re)
            .string("room", room)
            .list("members", members, nick)
            .nicks("accounts", accounts)
            .number("more", *more)
            .end(),
        Event::Rooms { rooms, more } => Object::of_type("rooms", text)
            .re(re)
            .list("rooms", rooms, |(room, count), text| {
                text.push_str("{\"room\":");
                write::string(room, text);
                text.push_str(",\"count\":");
                write::number((*count).into(), text);
                text.push('}');
            })
            .number("more", *more)
            .end(),
        Event::Refused(why) => refused(re, why, text),
        Event::Joined {
            room,
            nick,
            has_account,
        } => Object::of_type("member_joined", text)
            .string("room", room)
            .string("nick", nick.as_str())
            .some("account", if *has_account { nick.as_str() } else { "" })
            .end(),
        Event::Left { room, nick, word } => Object::of_type("member_left", text)
            .string("room", room)
            .string("nick", nick.as_str())
            .some("word", word)
            .end(),
        Event::Summed { room, joined, left } => Object::of_type("presence", text)
            .string("room", room)
            .number("joined", *joined)
            .number("left", *left)
            .end(),
        Event::Typing { room, nick } => Object::of_type("typing", text)
            .string("room", room)
            .string("nick", nick.as_str())
            .end(),
        Event::Renamed { room, old, new } => Object::of_type("nick_changed", text)
            .string("room", room)
            .string("old", old.as_str())
            .string("new", new.as_str())
            .end(),
        // Without a number: what the room sees of it is an entry.
        Event::YouWereKicked { room, by, reason } => Object::of_type("kicked", text)
            .string("room", room)
            .bool("you", true)
            .string("by", by)
            .some("reason", reason)
            .end(),
        Event::YouWereBanned { room, notice } => {
            moderation::banned(room.as_deref(), notice, text);
        }
        Event::Sanctions {
            room,
            sanctions,
            more,
        } => {
            let list = Object::of_type("sanctions", text).re(re);
            moderation::sanctions(list, room.as_deref(), sanctions, *more);
        }
        Event::Settings { room, rules } => {
            let object = Object::of_type("settings", text).re(re);
            moderation::settings(object, room, rules);
        }
        Event::Reported(report) => moderation::reported(report, text),
        Event::Purged { count, more, .. } if re.is_some() => {
            let ok = Object::of_type("ok", text).re(re).number("count", *count);
            if *more { ok.bool("more", true) } else { ok }.end();
        }
        Event::ReportKept { moderators } if re.is_some() => Object::of_type("ok", text)
            .re(re)
            .number("moderators", *moderators)
            .end(),
        Event::Audit { rows, more } => {
            let list = Object::of_type("audit", text).re(re);
            moderation::audit(list, rows, *more);
        }
        // An `ok` says nothing but which request it answers.
        Event::YouAreOperator | Event::Done(_) if re.is_some() => {
            Object::of_type("ok", text).re(re).end()
        }
        Event::LoggedIn {
            account,
            nick,
            roles,
            session,
            ..
        } => Object::of_type("ok", text)
            .re(re)
            .string("account", account)
            .string("nick", nick)
            .list("roles", roles, |role, text| {
                write::string(role.name(), text)
            })
            .some("session", session.as_deref().unwrap_or_default())
            .end(),
        Event::LoggedOut { nick, session } => Object::of_type("ok", text)
            .re(re)
            .string("nick", nick.as_str())
            .some("session", session.as_deref().unwrap_or_default())
            .end(),
        Event::Account(report) => account(re, report, text),
        Event::Conversations { list, .. } => Object::of_type("conversations", text)
            .re(re)
            .list("conversations", list, |recent, text| {
                text.push_str("{\"room\":");
                write::string(&recent.room, text);
                text.push_str(",\"time\":");
                write::number(recent.at.0, text);
                if recent.unseen > Seq(0) {
                    text.push_str(",\"unseen\":");
                    write::number(recent.unseen.0.into(), text);
                }
                text.push('}');
            })
            .end(),
        Event::Ignored { nicks } => Object::of_type("ignored", text)
            .re(re)
            .list("nicks", nicks, |nick, text| write::string(nick, text))
            .end(),
        Event::PasswordChanged | Event::Unregistered if re.is_some() => {
            Object::of_type("ok", text).re(re).end();
        }
        // These have forms of their own, or answer what only the plain protocol can ask.
        Event::Welcome { .. }
        | Event::Help
        | Event::HelpOn { .. }
        | Event::YouAreOperator
        | Event::Done(_)
        | Event::Purged { .. }
        | Event::ReportKept { .. }
        | Event::PasswordChanged
        | Event::Unregistered => return false,
    }
    true
}
