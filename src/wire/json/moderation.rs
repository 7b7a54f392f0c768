//! The requests of moderators, and what they and others are shown of it. The fields of
//! every type are in docs/protocol.md.

use super::read::{Field, Message, Value};
use super::write::{self, Object};
use crate::chat::registry::{AuditRow, Prefix, Rules, SanctionKind};
use crate::chat::{
    Act, BanNotice, Command, Listed, Order, PURGE_SECONDS_MAX, Part, Reach, Report, RoomChange,
    Whom,
};
use crate::id::Millis;
use crate::wire::request::{Ask, Problem, room};
use smol_str::{SmolStr, format_smolstr};

impl Message<'_> {
    /// What a request of this type asks.
    pub(super) fn moderation<'m>(&'m self, kind: &'m str) -> Result<Ask<'m>, Problem<'m>> {
        Ok(Ask::Chat(match kind {
            "topic" => {
                self.needs(Field::Room)?;
                Command::Topic(self.needs(Field::Topic)?)
            }
            "ban" => Command::Sanction(self.order(SanctionKind::Ban)?),
            "mute" => Command::Sanction(self.order(SanctionKind::Mute)?),
            "unban" => self.lift(SanctionKind::Ban)?,
            "unmute" => self.lift(SanctionKind::Mute)?,
            "purge" => {
                self.needs(Field::Room)?;
                let nick = self.needs(Field::Nick)?;
                let seconds = self.reach_back(Field::Seconds)?;
                let seconds = seconds.ok_or(Problem::Missing {
                    field: Field::Seconds.name(),
                })?;
                Command::Purge { nick, seconds }
            }
            "report" => {
                self.needs(Field::Room)?;
                Command::Report {
                    of: self.needs_entry()?,
                    reason: self.text(Field::Reason)?.unwrap_or_default(),
                }
            }
            "sanctions" => Command::Sanctions {
                reach: self.reach()?,
                part: Some(Part {
                    after: self
                        .moment(Field::After, "the at of a row, or 0")?
                        .unwrap_or(0),
                    limit: self.limit()?,
                }),
            },
            "role" => {
                let reach = self.reach()?;
                let role = reach.role_named(self.needs(Field::Role)?);
                Command::Role {
                    reach,
                    account: self.needs(Field::Account)?,
                    role: role.ok_or(Problem::Wrong {
                        field: Field::Role.name(),
                        expected: "owner, moderator, voiced or member in a room, or admin, \
                                   moderator or member on the server",
                    })?,
                }
            }
            "close_room" => {
                self.needs(Field::Room)?;
                Command::CloseRoom {
                    reason: self.text(Field::Reason)?.unwrap_or_default(),
                }
            }
            "audit" => Command::Audit {
                reach: self.reach()?,
                before: self
                    .moment(Field::Before, "the number of a row")?
                    .unwrap_or(u64::MAX),
                limit: self.limit()?,
            },
            name => return Err(Problem::UnknownType { name }),
        }))
    }

    /// What a room is to be like, or the question what it is like.
    pub(super) fn room(&self) -> Result<Ask<'_>, Problem<'static>> {
        self.needs(Field::Room)?;
        let change = RoomChange {
            slow_seconds: self.number(Field::SlowSeconds, 0, "a number of seconds")?,
            moderated: self.truth(Field::Moderated)?,
            locked: self.truth(Field::Locked)?,
            hidden: self.truth(Field::Hidden)?,
            newcomers_read: self.truth(Field::NewcomersRead)?,
            keep_days: self.number(Field::KeepDays, 0, "a number of days")?,
        };
        Ok(room(change, self.text(Field::Password)?))
    }

    /// Without a room it is about the server.
    fn reach(&self) -> Result<Reach, Problem<'static>> {
        let room = self.text(Field::Room)?;
        Ok(room.map_or(Reach::Server, |_| Reach::Room))
    }

    fn order(&self, kind: SanctionKind) -> Result<Order<'_>, Problem<'static>> {
        let (reach, whom) = (self.reach()?, self.whom()?);
        let purge_seconds = match kind {
            SanctionKind::Ban => self.reach_back(Field::PurgeSeconds)?,
            SanctionKind::Mute => None,
        };
        if purge_seconds.is_some() && reach == Reach::Server {
            return Err(Problem::Missing {
                field: Field::Room.name(),
            });
        }
        if purge_seconds.is_some() && matches!(whom, Whom::Address(_)) {
            return Err(Problem::Both {
                field: Field::Address.name(),
                other: Field::PurgeSeconds.name(),
            });
        }
        Ok(Order {
            kind,
            reach,
            whom,
            address: None,
            seconds: self.number(Field::Seconds, 1, "a number of seconds")?,
            purge_seconds,
            reason: self.text(Field::Reason)?.unwrap_or_default(),
        })
    }

    /// The seconds that a purge reaches back.
    fn reach_back(&self, field: Field) -> Result<Option<u32>, Problem<'static>> {
        const EXPECTED: &str = "a number of seconds, at most 604800, a week";
        match self.number(field, 1, EXPECTED)? {
            Some(seconds) if seconds > PURGE_SECONDS_MAX => Err(Problem::Wrong {
                field: field.name(),
                expected: EXPECTED,
            }),
            seconds => Ok(seconds),
        }
    }

    fn lift(&self, kind: SanctionKind) -> Result<Command<'_>, Problem<'static>> {
        Ok(Command::Lift {
            kind,
            reach: self.reach()?,
            whom: self.whom()?,
        })
    }

    fn whom(&self) -> Result<Whom<'_>, Problem<'static>> {
        let both = |field: Field, other: Field| Problem::Both {
            field: field.name(),
            other: other.name(),
        };
        let nick = self.text(Field::Nick)?;
        let account = self.text(Field::Account)?;
        let address = self.text(Field::Address)?;
        match (nick, account, address) {
            (Some(nick), None, None) => Ok(Whom::Nick(nick)),
            (None, Some(account), None) => Ok(Whom::Account(account)),
            (None, None, Some(address)) => {
                let prefix: Result<Prefix, _> = address.parse();
                prefix.map(Whom::Address).map_err(|_| Problem::Wrong {
                    field: Field::Address.name(),
                    expected: "an address, or one with the number of its first bits: 192.0.2.0/24",
                })
            }
            (None, None, None) => Err(Problem::Missing {
                field: Field::Nick.name(),
            }),
            (Some(_), Some(_), _) => Err(both(Field::Nick, Field::Account)),
            (Some(_), None, Some(_)) => Err(both(Field::Nick, Field::Address)),
            (None, Some(_), Some(_)) => Err(both(Field::Account, Field::Address)),
        }
    }

    fn truth(&self, field: Field) -> Result<Option<bool>, Problem<'static>> {
        match self.value(field) {
            Value::Missing => Ok(None),
            Value::Truth(truth) => Ok(Some(*truth)),
            Value::Text(_)
            | Value::Natural(_)
            | Value::Negative(_)
            | Value::Object
            | Value::Other => Err(Problem::Wrong {
                field: field.name(),
                expected: "true or false",
            }),
        }
    }

    /// A number of any size.
    fn moment(
        &self,
        field: Field,
        expected: &'static str,
    ) -> Result<Option<u64>, Problem<'static>> {
        match self.value(field) {
            Value::Missing => Ok(None),
            Value::Natural(number) => Ok(Some(*number)),
            Value::Text(_)
            | Value::Negative(_)
            | Value::Truth(_)
            | Value::Object
            | Value::Other => Err(Problem::Wrong {
                field: field.name(),
                expected,
            }),
        }
    }
}

/// Ends an entry about an act.
pub(super) fn act(
    entry: Object<'_>,
    (act, nick): (Act, &str),
    (by, detail): (&str, &str),
    until: Option<u32>,
) {
    let entry = if act.is_of_account() {
        entry.string("account", nick)
    } else {
        entry
    };
    let entry = match act {
        Act::Topic => entry.string("topic", detail),
        Act::Role => entry.string("role", detail),
        Act::Settings => {
            // As the chat writes them: the names of fields, and numbers or truths.
            let fields = detail.split(' ').filter_map(|field| field.split_once('='));
            fields.fold(entry, |entry, (name, value)| {
                entry.value(name, |text| text.push_str(value))
            })
        }
        _ => entry,
    };
    let entry = entry.string("by", by);
    let entry = match act {
        Act::Topic | Act::Role | Act::Settings => entry,
        _ => entry.some("reason", detail),
    };
    let until = until.map(|until| Millis(u64::from(until) * 1000));
    entry.until(until).end();
}

/// The user who sees this is banned.
pub(super) fn banned(room: Option<&str>, notice: &BanNotice, text: &mut String) {
    let banned = Object::of_type("banned", text);
    let banned = match room {
        Some(room) => banned.string("room", room),
        None => banned,
    };
    banned
        .bool("you", true)
        .some("reason", &notice.reason)
        .until(notice.until)
        .end();
}

/// A message was reported, to a moderator.
pub(super) fn reported(report: &Report, text: &mut String) {
    Object::of_type("reported", text)
        .string("room", &report.room)
        .number("seq", report.seq.0)
        .string("by", &report.by)
        .string("nick", &report.nick)
        .string("text", &report.text)
        .some("reason", &report.reason)
        .end();
}

/// The rows of a list of bans and mutes.
pub(super) fn sanctions(list: Object<'_>, room: Option<&str>, sanctions: &[Listed], more: bool) {
    let list = match room {
        Some(room) => list.string("room", room),
        None => list,
    };
    list.list("sanctions", sanctions, row)
        .bool("more", more)
        .end();
}

/// What a room is like.
pub(super) fn settings(object: Object<'_>, room: &str, rules: &Rules) {
    let object = object.string("room", room).string("topic", &rules.topic);
    let fields = fields(rules).into_iter();
    fields
        .fold(object, |object, (name, value)| {
            object.value(name, |text| text.push_str(&value))
        })
        .end();
}

/// The settings of a room but for its topic, each with its value as JSON.
fn fields(rules: &Rules) -> [(&'static str, SmolStr); 7] {
    let truth = |is: bool| SmolStr::new_static(if is { "true" } else { "false" });
    [
        ("slow_seconds", format_smolstr!("{}", rules.slow_seconds)),
        ("moderated", truth(rules.is_moderated)),
        ("locked", truth(rules.is_locked)),
        ("hidden", truth(rules.is_hidden)),
        ("has_password", truth(rules.password.is_some())),
        ("newcomers_read", truth(rules.newcomers_read)),
        (
            "keep_days",
            format_smolstr!("{}", rules.keep_days.unwrap_or(0)),
        ),
    ]
}

/// Rows of the audit log.
pub(super) fn audit(list: Object<'_>, rows: &[AuditRow], more: bool) {
    list.list("rows", rows, |row, text| {
        let audit = &row.audit;
        text.push_str("{\"number\":");
        write::number(row.number, text);
        text.push_str(",\"at\":");
        write::number(row.at.0, text);
        for (name, value) in [
            ("by", Some(&audit.by)),
            ("action", Some(&audit.action)),
            ("room", audit.room.as_ref()),
            ("target", Some(&audit.target)),
            ("detail", Some(&audit.detail)),
        ] {
            field(name, value.map(SmolStr::as_str), text);
        }
        if let Some(until) = audit.until {
            text.push_str(",\"until\":");
            write::number(until.0, text);
        }
        text.push('}');
    })
    .bool("more", more)
    .end();
}

fn field(name: &str, value: Option<&str>, text: &mut String) {
    if let Some(value) = value {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        write::string(value, text);
    }
}

fn row(listed: &Listed, text: &mut String) {
    text.push_str("{\"kind\":");
    text.push_str(match listed.kind {
        SanctionKind::Ban => "\"ban\"",
        SanctionKind::Mute => "\"mute\"",
    });
    let address = listed.address.map(|address| address.to_string());
    for (name, value) in [
        ("nick", listed.nick.as_deref()),
        ("account", listed.account.as_deref()),
        ("address", address.as_deref()),
        ("by", Some(listed.by.as_str())),
        ("reason", Some(listed.reason.as_str())),
    ] {
        field(name, value, text);
    }
    for (name, value) in [("at", Some(listed.at)), ("until", listed.until)] {
        if let Some(value) = value {
            text.push_str(",\"");
            text.push_str(name);
            text.push_str("\":");
            write::number(value.0, text);
        }
    }
    text.push('}');
}

impl Object<'_> {
    /// The settings of a room that are not the usual ones; nothing where all of them are.
    pub(super) fn settings(self, rules: Option<&Rules>) -> Self {
        let Some(rules) = rules else {
            return self;
        };
        let usual = fields(&Rules::default());
        let mut unusual = fields(rules).into_iter().zip(usual);
        let mut unusual = unusual.by_ref().filter(|(field, usual)| field != usual);
        let Some(((first, value), _)) = unusual.next() else {
            return self;
        };
        self.value("settings", |text| {
            text.push_str("{\"");
            text.push_str(first);
            text.push_str("\":");
            text.push_str(&value);
            for ((name, value), _) in unusual {
                text.push_str(",\"");
                text.push_str(name);
                text.push_str("\":");
                text.push_str(&value);
            }
            text.push('}');
        })
    }

    /// When something ends by itself.
    pub(super) fn until(self, until: Option<Millis>) -> Self {
        match until {
            Some(until) => self.number("until", until.0),
            None => self,
        }
    }
}
