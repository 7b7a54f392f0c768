//! What a client asks with one message, in whichever protocol. Knows no slash and no JSON, no room
//! and no connection: names are as the client wrote them.

use crate::carry::carried;
use crate::chat::{Command, Manner, RoomChange};
use crate::id::{Millis, Seq};
use smol_str::SmolStr;
use std::borrow::Cow;
use std::fmt;

/// One request. Borrows from the [`super::Message`] that it is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// A request with an id is answered exactly once, by something that repeats it.
    pub id: Option<RequestId>,
    /// The room that it is about. `None`: it names none. Plain requests never do; they are about
    /// the one room of their connection.
    pub room: Option<&'a str>,
    pub ask: Ask<'a>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask<'a> {
    /// What the chat answers.
    Chat(Command<'a>),
    /// Say something in the room.
    Send(Send<'a>),
    /// Say something to the one of this nick alone.
    Direct { nick: &'a str, send: Send<'a> },
    /// Show the newest messages of the conversation with the one of this nick: for a client of the
    /// plain protocol.
    Letters { nick: &'a str, limit: u32 },
    /// Edit or delete a message of the room. `key` as that of something that is said.
    Amend {
        command: Command<'a>,
        key: Option<&'a str>,
    },
    /// Become a member of the room.
    Join {
        room: &'a str,
        /// What the client has of the room's log already.
        since: Option<Position<'a>>,
        /// That of the room.
        password: Option<&'a str>,
        /// How many of the newest entries are wanted. `None`: the client does not say.
        history: Option<u32>,
    },
    /// Leave the room, and stay connected.
    Leave,
    /// Go on as an earlier connection.
    Resume { session: &'a str },
    /// Show entries of the room's log. At least 1, at most [`HISTORY_MAX`] of them.
    History { range: Range, limit: u32 },
    /// Show the newest messages of the room's log with their numbers.
    Numbers { limit: u32 },
    /// Find entries of the room's log with these words, the newest below `before` first.
    Search {
        query: &'a str,
        before: Option<Seq>,
        limit: u32,
    },
    /// Make an account with this name, and log in to it.
    Register { account: &'a str, password: &'a str },
    /// Log in. Without a name: to the account whose nick the client asked for when it connected.
    Login {
        account: Option<&'a str>,
        password: &'a str,
    },
    /// Log in with a signed token.
    LoginByToken { token: &'a str },
    /// Go on as a guest.
    Logout,
    /// Change the password of one's account.
    Password { old: &'a str, new: &'a str },
    /// Remove one's account.
    Unregister { password: &'a str },
    /// Show all that is kept of one's account.
    Account,
    /// Give the room a password, and change what else it is like.
    RoomPassword {
        change: RoomChange,
        password: &'a str,
    },
    /// What was to be said looks like a command with a password that was typed wrongly.
    Secret,
    /// Answer at once.
    Ping,
    /// The message is no request. To be answered with an error.
    Bad(Problem<'a>),
}

/// What a room is to be like. A new password must be hashed before the chat is asked.
pub(super) const fn room(change: RoomChange, password: Option<&str>) -> Ask<'_> {
    match password {
        Some(password) if !password.is_empty() => Ask::RoomPassword { change, password },
        password => Ask::Chat(Command::Room { change, password }),
    }
}

/// The last entry of a room that a client has, and the epoch of the room in which it has it, which
/// clients only compare and return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    pub epoch: &'a str,
    pub seq: Seq,
}

/// Something to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send<'a> {
    pub manner: Manner,
    pub text: &'a str,
    /// The number of an earlier entry of the room.
    pub reply_to: Option<Seq>,
    /// By which the client tells a message that it sends again: 1 to [`KEY_BYTES_MAX`] bytes.
    pub key: Option<&'a str>,
}

/// Which entries of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest.
    Newest,
    /// The newest of those below a number.
    Before(Seq),
    /// The oldest of those above a number.
    After(Seq),
}

/// Entries that a client may ask for at once, with `history` or `search`.
pub const HISTORY_MAX: u32 = 100;

/// The longest key of a message, in bytes.
pub const KEY_BYTES_MAX: usize = 64;

/// What a client calls its request: a string or an integer, kept as the JSON that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(SmolStr);

carried!(struct RequestId(json));

impl RequestId {
    /// The longest string, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// `json` is one JSON string or integer.
    pub(super) fn new(json: impl Into<SmolStr>) -> Self {
        Self(json.into())
    }

    /// As JSON.
    pub(super) fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a request, or why it cannot be done: what the chat's [`crate::chat::Refused`] does
/// not
/// know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem<'a> {
    /// The message is not JSON.
    NotJson,
    /// The message is JSON, but no object.
    NotAnObject,
    /// A field that the request needs is missing.
    Missing { field: &'static str },
    /// A field is there twice.
    Twice { field: &'static str },
    /// A field is not what it must be.
    Wrong {
        field: &'static str,
        expected: &'static str,
    },
    /// Two fields contradict each other.
    Both {
        field: &'static str,
        other: &'static str,
    },
    /// No request has this type.
    UnknownType { name: &'a str },
    /// A room cannot have this name.
    RoomName {
        why: &'a str,
        /// A name that it can have.
        nearest: Option<&'a str>,
    },
    /// There is no such room, or none that this client may know.
    NoSuchRoom,
    /// The client is not a member of the room.
    NotAMember,
    /// The client is a member of the room already.
    IsAMember,
    /// The client is in as many rooms as it may be.
    TooManyRooms { max: u32 },
    /// There are as many rooms as there may be.
    NoMoreRooms,
    /// `resume` was not the first request of its connection.
    NotFirst,
    /// The session is not one of this server, or it is too old.
    NoSuchSession,
    /// New entries cannot be kept at the moment.
    StoreUnavailable,
    /// The client is above its rate, and was asked to slow down before.
    TooFast,
    /// The client, or its address, asks for that too often.
    TooOften { retry_millis: u32 },
    /// Too much is under way at the moment.
    Busy,
    /// The room has as many entries as a room can have.
    RoomIsFull,
    /// There is no such account, or the password or the token is wrong.
    LoginFailed,
    /// The signed token has expired.
    TokenExpired,
    /// The server accepts no signed tokens.
    NoTokens,
    /// Too many logins from the client's address failed.
    TooManyLogins,
    /// Too many accounts were registered from the client's address.
    TooManyRegistrations,
    /// The password is too easy to guess; why.
    WeakPassword { why: &'a str },
    /// Accounts are made by operators alone.
    AccountsClosed,
    /// That is not offered where several servers share an engine.
    NotOffered,
    /// Only a logged-in user may do that.
    LoginRequired,
    /// The signed token allows other rooms.
    RoomNotAllowed,
    /// What was to be said looks like a password.
    LooksSecret,
    /// Only accounts join the room.
    Locked,
    /// The room has a password, which the client has not shown.
    PasswordNeeded,
    /// The password of the room is another one.
    WrongPassword,
    /// Too many passwords of rooms that came from the client's address were wrong.
    TooManyPasswords,
    /// The client is banned from the room; `reason` is perhaps empty.
    Banned {
        until: Option<Millis>,
        reason: &'a str,
    },
}

/// The stable name of an error for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BadRequest,
    UnknownType,
    NoSuchRoom,
    BadName,
    NickTaken,
    NotAMember,
    NotAllowed,
    TooFast,
    TooLong,
    TooMany,
    Empty,
    NoSuchMember,
    NoSuchSession,
    StoreUnavailable,
    Busy,
    LoginFailed,
    NoSuchMessage,
    TooLate,
    LoginRequired,
    AccountTaken,
    WeakPassword,
    Muted,
    Banned,
    NoSuchAccount,
    Filtered,
    SlowMode,
    Locked,
    WrongPassword,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::BadRequest,
        Self::UnknownType,
        Self::NoSuchRoom,
        Self::BadName,
        Self::NickTaken,
        Self::NotAMember,
        Self::NotAllowed,
        Self::TooFast,
        Self::TooLong,
        Self::TooMany,
        Self::Empty,
        Self::NoSuchMember,
        Self::NoSuchSession,
        Self::StoreUnavailable,
        Self::Busy,
        Self::LoginFailed,
        Self::NoSuchMessage,
        Self::TooLate,
        Self::LoginRequired,
        Self::AccountTaken,
        Self::WeakPassword,
        Self::Muted,
        Self::Banned,
        Self::NoSuchAccount,
        Self::Filtered,
        Self::SlowMode,
        Self::Locked,
        Self::WrongPassword,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::UnknownType => "unknown_type",
            Self::NoSuchRoom => "no_such_room",
            Self::BadName => "bad_name",
            Self::NickTaken => "nick_taken",
            Self::NotAMember => "not_a_member",
            Self::NotAllowed => "not_allowed",
            Self::TooFast => "too_fast",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
            Self::Empty => "empty",
            Self::NoSuchMember => "no_such_member",
            Self::NoSuchSession => "no_such_session",
            Self::StoreUnavailable => "store_unavailable",
            Self::Busy => "busy",
            Self::LoginFailed => "login_failed",
            Self::NoSuchMessage => "no_such_message",
            Self::TooLate => "too_late",
            Self::LoginRequired => "login_required",
            Self::AccountTaken => "account_taken",
            Self::WeakPassword => "weak_password",
            Self::Muted => "muted",
            Self::Banned => "banned",
            Self::NoSuchAccount => "no_such_account",
            Self::Filtered => "filtered",
            Self::SlowMode => "slow_mode",
            Self::Locked => "locked",
            Self::WrongPassword => "wrong_password",
        }
    }
}

/// How long a client should wait before it tries again what the store could not take.
const STORE_RETRY_MILLIS: u32 = 5_000;

/// The same where too much was under way.
const BUSY_RETRY_MILLIS: u32 = 1_000;
/// The same after too many logins failed: one more is allowed each minute.
const LOGIN_RETRY_MILLIS: u32 = 60_000;
/// The same for registrations, of which one more is allowed each quarter of an hour.
const REGISTRATION_RETRY_MILLIS: u32 = 900_000;

impl Problem<'_> {
    pub const fn code(self) -> Code {
        match self {
            Self::NotJson
            | Self::NotAnObject
            | Self::Missing { .. }
            | Self::Twice { .. }
            | Self::Wrong { .. }
            | Self::Both { .. }
            | Self::IsAMember
            | Self::NotFirst => Code::BadRequest,
            Self::UnknownType { .. } => Code::UnknownType,
            Self::RoomName { .. } => Code::BadName,
            Self::NoSuchRoom => Code::NoSuchRoom,
            Self::NotAMember => Code::NotAMember,
            Self::TooManyRooms { .. } | Self::NoMoreRooms | Self::RoomIsFull => Code::TooMany,
            Self::NoSuchSession => Code::NoSuchSession,
            Self::StoreUnavailable => Code::StoreUnavailable,
            Self::TooFast
            | Self::TooOften { .. }
            | Self::TooManyLogins
            | Self::TooManyPasswords
            | Self::TooManyRegistrations => Code::TooFast,
            Self::Busy => Code::Busy,
            Self::LoginFailed | Self::TokenExpired => Code::LoginFailed,
            Self::NoTokens
            | Self::AccountsClosed
            | Self::NotOffered
            | Self::RoomNotAllowed
            | Self::LooksSecret => Code::NotAllowed,
            Self::WeakPassword { .. } => Code::WeakPassword,
            Self::LoginRequired => Code::LoginRequired,
            Self::Locked => Code::Locked,
            Self::PasswordNeeded | Self::WrongPassword => Code::WrongPassword,
            Self::Banned { .. } => Code::Banned,
        }
    }

    /// What the client could ask for instead.
    pub const fn suggestion(&self) -> Option<&str> {
        match self {
            Self::RoomName { nearest, .. } => *nearest,
            _ => None,
        }
    }

    /// After how many milliseconds trying again can help; `None`: it cannot.
    pub const fn retry_millis(self) -> Option<u32> {
        match self {
            Self::StoreUnavailable => Some(STORE_RETRY_MILLIS),
            Self::TooFast | Self::Busy => Some(BUSY_RETRY_MILLIS),
            Self::TooOften { retry_millis } => Some(retry_millis),
            Self::TooManyLogins | Self::TooManyPasswords => Some(LOGIN_RETRY_MILLIS),
            Self::TooManyRegistrations => Some(REGISTRATION_RETRY_MILLIS),
            Self::NotJson
            | Self::NotAnObject
            | Self::Missing { .. }
            | Self::Twice { .. }
            | Self::Wrong { .. }
            | Self::Both { .. }
            | Self::UnknownType { .. }
            | Self::RoomName { .. }
            | Self::NoSuchRoom
            | Self::NotAMember
            | Self::IsAMember
            | Self::TooManyRooms { .. }
            | Self::NoMoreRooms
            | Self::NotFirst
            | Self::NoSuchSession
            | Self::RoomIsFull
            | Self::LoginFailed
            | Self::TokenExpired
            | Self::NoTokens
            | Self::WeakPassword { .. }
            | Self::AccountsClosed
            | Self::NotOffered
            | Self::LoginRequired
            | Self::RoomNotAllowed
            | Self::LooksSecret
            | Self::Locked
            | Self::PasswordNeeded
            | Self::WrongPassword
            | Self::Banned { .. } => None,
        }
    }
}

/// What was wrong, for people: a clause in lower case, without a full stop.
impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the message is not JSON: send one JSON object"),
            Self::NotAnObject => f.write_str("the message is not a JSON object"),
            Self::Missing { field } => write!(f, "the field {field} is missing"),
            Self::Twice { field } => write!(f, "the field {field} is there twice"),
            Self::Wrong { field, expected } => write!(f, "the field {field} must be {expected}"),
            Self::Both { field, other } => {
                write!(f, "the fields {field} and {other} exclude each other")
            }
            Self::UnknownType { name } => {
                write!(f, "there is no request of the type {}", excerpt(name))
            }
            Self::RoomName { why, nearest: None } => {
                write!(f, "a room cannot have this name: {why}")
            }
            Self::RoomName {
                why,
                nearest: Some(nearest),
            } => write!(f, "a room cannot have this name: {why}; try {nearest}"),
            Self::NoSuchRoom => f.write_str("there is no such room"),
            Self::NotAMember => f.write_str("you are not a member of this room; join it first"),
            Self::IsAMember => f.write_str("you are a member of this room already"),
            Self::TooManyRooms { max } => {
                write!(f, "you are in {max} rooms, the most; leave one first")
            }
            Self::NoMoreRooms => {
                f.write_str("there are as many rooms here as there may be; join one of them")
            }
            Self::NotFirst => f.write_str("resume must be the first request of a connection"),
            Self::NoSuchSession => {
                f.write_str("this session is unknown here or has ended; go on without it")
            }
            Self::StoreUnavailable => {
                f.write_str("messages cannot be stored at the moment; try again later")
            }
            Self::TooFast => f.write_str("that was too fast; slow down"),
            Self::TooOften { retry_millis } => {
                let seconds = retry_millis.div_ceil(1000);
                write!(f, "that was too often; try again in {seconds} s")
            }
            Self::Busy => f.write_str("the server is busy at the moment; try again later"),
            Self::RoomIsFull => f.write_str("this room takes no further message; use another"),
            Self::LoginFailed => f.write_str("the name, the password or the token is wrong"),
            Self::TokenExpired => f.write_str("the token has expired; get a new one"),
            Self::NoTokens => f.write_str("this server takes no tokens"),
            Self::TooManyLogins => {
                f.write_str("too many logins from your address failed; wait a minute and try again")
            }
            Self::TooManyRegistrations => f.write_str(
                "too many accounts were registered from your address; try again in an hour",
            ),
            Self::WeakPassword { why } => write!(f, "this password is too weak: {why}"),
            Self::AccountsClosed => f.write_str("accounts are made by operators here"),
            Self::NotOffered => f.write_str(
                "this server shares its rooms with others, and that is not offered there yet",
            ),
            Self::LoginRequired => f.write_str("log in first"),
            Self::RoomNotAllowed => f.write_str("your token is for other rooms"),
            Self::LooksSecret => f.write_str(
                "that was not said, for it looks like a password; a command begins with a slash, \
                 without a space before it",
            ),
            Self::Locked => f.write_str("this room admits accounts only; log in first"),
            Self::PasswordNeeded => f.write_str("this room has a password; join it with that"),
            Self::WrongPassword => f.write_str("that is not the password of this room"),
            Self::TooManyPasswords => f.write_str(
                "too many passwords from your address were wrong; wait a minute and try again",
            ),
            Self::Banned { until, reason } => {
                f.write_str("you are banned from this room")?;
                if let Some(until) = until {
                    write!(f, " until {until}")?;
                }
                if reason.is_empty() {
                    return Ok(());
                }
                write!(f, ": {reason}")
            }
        }
    }
}

/// What a client wrote, as it is shown in a refusal to the same client: short.
fn excerpt(word: &str) -> Cow<'_, str> {
    const CHARS_MAX: usize = 40;
    match word.char_indices().nth(CHARS_MAX) {
        None => Cow::Borrowed(word),
        Some((end, _)) => Cow::Owned(format!("{}…", &word[..end])),
    }
}
