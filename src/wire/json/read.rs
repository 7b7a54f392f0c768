//! An object to a request. Fields are collected first, whatever their order, and judged then, so
//! that an error can name the id of its request. Unknown fields are skipped, without recursion
//! (serde_json's `ignore_value`), so depth costs no stack.

use super::write;
use crate::chat::{Command, Manner, Page};
use crate::id::Seq;
use crate::wire::request::{
    Ask, HISTORY_MAX, KEY_BYTES_MAX, Position, Problem, Range, Request, RequestId, Send,
};
use serde_core::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::borrow::Cow;
use std::fmt;

/// Entries that `history` and `search` return if the client does not say how many.
const LIMIT_DEFAULT: u32 = 50;

/// A field of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Type,
    Id,
    Room,
    Text,
    Kind,
    ReplyTo,
    Key,
    Since,
    History,
    Before,
    After,
    Limit,
    Session,
    Nick,
    Query,
    Reason,
    Token,
    /// `seq`.
    Entry,
    Account,
    Password,
    New,
    Topic,
    Address,
    Seconds,
    PurgeSeconds,
    Role,
    SlowSeconds,
    Moderated,
    Locked,
    Hidden,
    NewcomersRead,
    KeepDays,
    /// Of [`Field::Since`].
    Epoch,
    Seq,
}

impl Field {
    const ALL: [Self; 34] = [
        Self::Type,
        Self::Id,
        Self::Room,
        Self::Text,
        Self::Kind,
        Self::ReplyTo,
        Self::Key,
        Self::Since,
        Self::History,
        Self::Before,
        Self::After,
        Self::Limit,
        Self::Session,
        Self::Nick,
        Self::Query,
        Self::Reason,
        Self::Token,
        Self::Entry,
        Self::Account,
        Self::Password,
        Self::New,
        Self::Topic,
        Self::Address,
        Self::Seconds,
        Self::PurgeSeconds,
        Self::Role,
        Self::SlowSeconds,
        Self::Moderated,
        Self::Locked,
        Self::Hidden,
        Self::NewcomersRead,
        Self::KeepDays,
        Self::Epoch,
        Self::Seq,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Id => "id",
            Self::Room => "room",
            Self::Text => "text",
            Self::Kind => "kind",
            Self::ReplyTo => "reply_to",
            Self::Key => "key",
            Self::Since => "since",
            Self::History => "history",
            Self::Before => "before",
            Self::After => "after",
            Self::Limit => "limit",
            Self::Session => "session",
            Self::Nick => "nick",
            Self::Query => "query",
            Self::Reason => "reason",
            Self::Token => "token",
            Self::Entry => "seq",
            Self::Account => "account",
            Self::Password => "password",
            Self::New => "new",
            Self::Topic => "topic",
            Self::Address => "address",
            Self::Seconds => "seconds",
            Self::PurgeSeconds => "purge_seconds",
            Self::Role => "role",
            Self::SlowSeconds => "slow_seconds",
            Self::Moderated => "moderated",
            Self::Locked => "locked",
            Self::Hidden => "hidden",
            Self::NewcomersRead => "newcomers_read",
            Self::KeepDays => "keep_days",
            Self::Epoch => "since.epoch",
            Self::Seq => "since.seq",
        }
    }

    /// Of an object, or of the `since` in it.
    fn named(name: &str, in_since: bool) -> Option<Self> {
        match (in_since, name) {
            (true, "epoch") => return Some(Self::Epoch),
            (true, "seq") => return Some(Self::Seq),
            (true, _) => return None,
            (false, _) => {}
        }
        Self::ALL
            .into_iter()
            .find(|field| field.name() == name)
            // The names of those have a full stop, to be read by people.
            .filter(|field| !matches!(field, Self::Epoch | Self::Seq))
    }
}

/// The value of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// The field is missing, or null.
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Natural(u64),
    Negative(i64),
    Truth(bool),
    /// The `since` of a join.
    Object,
    /// Of a type that no field has.
    Other,
}

/// A message, taken apart.
#[derive(Debug)]
pub(in super::super) struct Message<'a> {
    values: [Value<'a>; Field::ALL.len()],
    /// What is wrong with the message as a whole.
    problem: Option<Problem<'static>>,
}

impl<'a> Message<'a> {
    pub(in super::super) fn read(text: &'a str) -> Self {
        let mut message = Self {
            values: std::array::from_fn(|_| Value::Missing),
            problem: None,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        if text.trim_start().starts_with('{') {
            let all = Fields {
                message: &mut message,
                in_since: false,
            };
            if all.deserialize(&mut json).and_then(|_| json.end()).is_err() {
                message.problem = Some(Problem::NotJson);
            }
        } else {
            let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
            message.problem = Some(if is_json {
                Problem::NotAnObject
            } else {
                Problem::NotJson
            });
        }
        message
    }

    pub(in super::super) fn request(&self) -> Request<'_> {
        // The id of a message that is broken behind it is of use to its sender, too.
        let (id, ask) = match self.id() {
            Ok(id) => (id, self.problem.map_or_else(|| self.ask(), Err)),
            Err(problem) => (None, Err(self.problem.unwrap_or(problem))),
        };
        Request {
            id,
            room: self.text(Field::Room).unwrap_or_default(),
            ask: ask.unwrap_or_else(Ask::Bad),
        }
    }

    fn id(&self) -> Result<Option<RequestId>, Problem<'static>> {
        let mut json = String::new();
        match self.value(Field::Id) {
            Value::Missing => return Ok(None),
            Value::Text(id) if id.len() <= RequestId::BYTES_MAX => write::string(id, &mut json),
            Value::Natural(id) => write::number(*id, &mut json),
            Value::Negative(id) => json = id.to_string(),
            Value::Text(_) | Value::Truth(_) | Value::Object | Value::Other => {
                return Err(Problem::Wrong {
                    field: Field::Id.name(),
                    expected: "a string of at most 64 bytes, or an integer",
                });
            }
        }
        Ok(Some(RequestId::new(json)))
    }

    fn ask(&self) -> Result<Ask<'_>, Problem<'_>> {
        let kind = self.needs(Field::Type)?;
        Ok(match kind {
            "send" => {
                let room = self.needs(Field::Room)?;
                let send = self.send()?;
                match room.strip_prefix('@') {
                    Some(nick) => Ask::Direct { nick, send },
                    None => Ask::Send(send),
                }
            }
            "ping" => Ask::Ping,
            "join" => Ask::Join {
                room: self.needs(Field::Room)?,
                since: self.since()?,
                password: self.text(Field::Password)?,
                history: self.number(Field::History, 0, "an integer, not negative")?,
            },
            "leave" => {
                self.needs(Field::Room)?;
                Ask::Leave
            }
            "resume" => Ask::Resume {
                session: self.needs(Field::Session)?,
            },
            "history" => {
                self.needs(Field::Room)?;
                Ask::History {
                    range: self.range()?,
                    limit: self.limit()?,
                }
            }
            "search" => {
                self.needs(Field::Room)?;
                Ask::Search {
                    query: self.needs(Field::Query)?,
                    before: self.seq(Field::Before)?,
                    limit: self.limit()?,
                }
            }
            "nick" => Ask::Chat(Command::Nick(self.needs(Field::Nick)?)),
            "who" => {
                self.needs(Field::Room)?;
                Ask::Chat(Command::Who(Some(self.page()?)))
            }
            "ignore" => Ask::Chat(Command::Ignore {
                nick: self.needs(Field::Nick)?,
            }),
            "unignore" => Ask::Chat(Command::Unignore {
                nick: self.needs(Field::Nick)?,
            }),
            "ignored" => Ask::Chat(Command::Ignored),
            "conversations" => Ask::Chat(Command::Conversations),
            "rooms" => Ask::Chat(Command::Rooms(Some(self.page()?))),
            "edit" => {
                self.needs(Field::Room)?;
                Ask::Amend {
                    command: Command::Edit {
                        of: self.needs_entry()?,
                        text: self.needs(Field::Text)?,
                    },
                    key: self.key()?,
                }
            }
            "delete" => {
                self.needs(Field::Room)?;
                Ask::Amend {
                    command: Command::Delete {
                        of: self.needs_entry()?,
                    },
                    key: self.key()?,
                }
            }
            "typing" => {
                self.needs(Field::Room)?;
                Ask::Chat(Command::Typing)
            }
            "kick" => {
                self.needs(Field::Room)?;
                Ask::Chat(Command::Kick {
                    nick: self.needs(Field::Nick)?,
                    reason: self.text(Field::Reason)?.unwrap_or_default(),
                })
            }
            "op" => Ask::Chat(Command::Op {
                token: self.needs(Field::Token)?,
            }),
            "register" => Ask::Register {
                account: self.needs(Field::Account)?,
                password: self.needs(Field::Password)?,
            },
            "login" => self.login()?,
            "logout" => Ask::Logout,
            "password" => Ask::Password {
                old: self.needs(Field::Password)?,
                new: self.needs(Field::New)?,
            },
            "unregister" => Ask::Unregister {
                password: self.needs(Field::Password)?,
            },
            "account" => Ask::Account,
            "room" => self.room()?,
            name => return self.moderation(name),
        })
    }

    fn send(&self) -> Result<Send<'_>, Problem<'static>> {
        let manner = match self.text(Field::Kind)? {
            None | Some("message") => Manner::Message,
            Some("action") => Manner::Action,
            Some(_) => {
                return Err(Problem::Wrong {
                    field: Field::Kind.name(),
                    expected: "message or action",
                });
            }
        };
        Ok(Send {
            manner,
            text: self.needs(Field::Text)?,
            reply_to: self.seq(Field::ReplyTo)?,
            key: self.key()?,
        })
    }

    fn key(&self) -> Result<Option<&str>, Problem<'static>> {
        let key = self.text(Field::Key)?;
        if key.is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            return Err(Problem::Wrong {
                field: Field::Key.name(),
                expected: "a string of 1 to 64 bytes",
            });
        }
        Ok(key)
    }

    fn login(&self) -> Result<Ask<'_>, Problem<'static>> {
        match (self.text(Field::Password)?, self.text(Field::Token)?) {
            (Some(_), Some(_)) => Err(Problem::Both {
                field: Field::Password.name(),
                other: Field::Token.name(),
            }),
            (None, Some(token)) => Ok(Ask::LoginByToken { token }),
            (_, None) => Ok(Ask::Login {
                account: self.text(Field::Account)?,
                password: self.needs(Field::Password)?,
            }),
        }
    }

    fn since(&self) -> Result<Option<Position<'_>>, Problem<'static>> {
        match self.value(Field::Since) {
            Value::Missing => return Ok(None),
            Value::Object => {}
            Value::Text(_)
            | Value::Natural(_)
            | Value::Negative(_)
            | Value::Truth(_)
            | Value::Other => {
                return Err(Problem::Wrong {
                    field: Field::Since.name(),
                    expected: "an object with epoch and seq",
                });
            }
        }
        let epoch = self.needs(Field::Epoch)?;
        match self.number(Field::Seq, 0, "the number of an entry, or 0")? {
            Some(seq) => Ok(Some(Position {
                epoch,
                seq: Seq(seq),
            })),
            None => Err(Problem::Missing {
                field: Field::Seq.name(),
            }),
        }
    }

    fn range(&self) -> Result<Range, Problem<'static>> {
        match (
            self.seq(Field::Before)?,
            self.number(Field::After, 0, "the number of an entry, or 0")?,
        ) {
            (None, None) => Ok(Range::Newest),
            (Some(before), None) => Ok(Range::Before(before)),
            (None, Some(after)) => Ok(Range::After(Seq(after))),
            (Some(_), Some(_)) => Err(Problem::Both {
                field: Field::Before.name(),
                other: Field::After.name(),
            }),
        }
    }

    /// A part of a list of names.
    fn page(&self) -> Result<Page<'_>, Problem<'static>> {
        Ok(Page {
            after: self.text(Field::After)?,
            limit: self.limit()?,
        })
    }

    pub(super) fn limit(&self) -> Result<u32, Problem<'static>> {
        let limit = self.number(Field::Limit, 1, "an integer from 1 to 100")?;
        Ok(limit.unwrap_or(LIMIT_DEFAULT).min(HISTORY_MAX))
    }

    pub(super) fn seq(&self, field: Field) -> Result<Option<Seq>, Problem<'static>> {
        let seq = self.number(field, 1, "the number of an entry")?;
        Ok(seq.map(Seq))
    }

    /// The number of the entry that the request is about.
    pub(super) fn needs_entry(&self) -> Result<Seq, Problem<'static>> {
        self.seq(Field::Entry)?.ok_or(Problem::Missing {
            field: Field::Entry.name(),
        })
    }

    pub(super) const fn value(&self, field: Field) -> &Value<'a> {
        &self.values[field as usize]
    }

    pub(super) fn text(&self, field: Field) -> Result<Option<&str>, Problem<'static>> {
        match self.value(field) {
            Value::Missing => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Natural(_)
            | Value::Negative(_)
            | Value::Truth(_)
            | Value::Object
            | Value::Other => Err(Problem::Wrong {
                field: field.name(),
                expected: "a string",
            }),
        }
    }

    pub(super) fn needs(&self, field: Field) -> Result<&str, Problem<'static>> {
        self.text(field)?.ok_or_else(|| Problem::Missing {
            field: field.name(),
        })
    }

    pub(super) fn number(
        &self,
        field: Field,
        min: u32,
        expected: &'static str,
    ) -> Result<Option<u32>, Problem<'static>> {
        let wrong = Problem::Wrong {
            field: field.name(),
            expected,
        };
        match self.value(field) {
            Value::Missing => Ok(None),
            Value::Natural(number) => match u32::try_from(*number) {
                Ok(number) if number >= min => Ok(Some(number)),
                Ok(_) | Err(_) => Err(wrong),
            },
            Value::Text(_)
            | Value::Negative(_)
            | Value::Truth(_)
            | Value::Object
            | Value::Other => Err(wrong),
        }
    }
}

/// Puts the fields of an object into a message.
struct Fields<'m, 'a> {
    message: &'m mut Message<'a>,
    in_since: bool,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, 'de> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, 'de> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while let Some(field) = map.next_key_seed(Name {
            in_since: self.in_since,
        })? {
            let Some(field) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = if field == Field::Since {
                map.next_value_seed(Fields {
                    message: self.message,
                    in_since: true,
                })?
            } else {
                map.next_value_seed(Simple)?
            };
            let place = &mut self.message.values[field as usize];
            if *place != Value::Missing {
                let field = field.name();
                self.message.problem.get_or_insert(Problem::Twice { field });
            }
            *place = value;
        }
        Ok(Value::Object)
    }

    // A `since` that is no object.

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Missing)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Simple.visit_str(text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        Simple.visit_u64(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'de>, E> {
        Simple.visit_i64(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value<'de>, E> {
        Simple.visit_f64(number)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value<'de>, E> {
        Simple.visit_bool(truth)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Value<'de>, A::Error> {
        Simple.visit_seq(list)
    }
}

/// The name of a field; `None`: it is unknown.
struct Name {
    in_since: bool,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<Field>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<Field>, E> {
        Ok(Field::named(name, self.in_since))
    }
}

/// The value of a field, of whatever type.
struct Simple;

impl<'de> DeserializeSeed<'de> for Simple {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Simple {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Natural(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(u64::try_from(number).map_or(Value::Negative(number), Value::Natural))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value<'de>, E> {
        Ok(Value::Truth(truth))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}
