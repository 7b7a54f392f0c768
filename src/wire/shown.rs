//! Everything that a client can be shown. Borrows from where it lies. A protocol may show nothing of
//! some of it; see [`super::Protocol::render`].

use super::request::{Problem, RequestId};
use crate::chat::registry::Rules;
use crate::chat::{Entry, Event, Nick};
use crate::id::{Millis, Seq};

/// What a client is shown. `re` is the id of the request that it answers.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// What the chat reports unasked.
    Event(&'a Event),
    /// What the chat answers: a list, a refusal.
    Reply {
        re: Option<&'a RequestId>,
        event: &'a Event,
    },
    /// A numbered entry of a room's log.
    Entry { room: &'a str, entry: &'a Entry<'a> },
    /// What is said to a client of the plain protocol alone, or what it has said to this other one.
    Direct {
        other: &'a str,
        entry: &'a Entry<'a>,
    },
    /// The newest of a conversation, for the same.
    Letters {
        other: &'a str,
        entries: &'a [Entry<'a>],
    },
    /// So much was said to the client alone that it was not shown.
    DirectsMissed { count: u32 },
    /// The first that is shown.
    Hello(Hello<'a>),
    /// The client is a member of a room. What it missed follows.
    Joined(Joined<'a>),
    /// Entries that will not be sent by themselves.
    Gap { room: &'a str, from: Seq, to: Seq },
    /// Entries above `to` that the client may have seen were never stored: forget them.
    Rewound {
        room: &'a str,
        epoch: &'a str,
        to: Seq,
    },
    /// The newest entries of the room follow, one by one: for a newcomer of the plain protocol.
    HistoryBegins,
    /// What follows happens now.
    HistoryEnds,
    /// Entries of a room that were asked for, in order, and whether there are more beyond.
    History {
        re: Option<&'a RequestId>,
        room: &'a str,
        entries: &'a [Entry<'a>],
        more: bool,
    },
    /// The newest entries of a room, with their numbers: for a client of the plain protocol.
    Numbers { entries: &'a [Entry<'a>] },
    /// Entries of a room with the words that were searched for, in order, and whether older ones
    /// may have them, too.
    Found {
        re: Option<&'a RequestId>,
        room: &'a str,
        entries: &'a [Entry<'a>],
        more: bool,
    },
    /// Members came and left unseen while the client was behind.
    Lost { room: &'a str },
    /// The link to the engine that several servers share is lost, or is back.
    Link { is_up: bool },
    /// The operator of the server says something to all.
    Announcement { text: &'a str },
    /// A request was carried out.
    Ok {
        re: Option<&'a RequestId>,
        done: Done<'a>,
    },
    /// A request was not carried out.
    Error {
        re: Option<&'a RequestId>,
        why: Problem<'a>,
    },
}

/// What there is to say about a request that was carried out.
#[derive(Clone, Copy, Debug)]
pub enum Done<'a> {
    /// Nothing.
    Nothing,
    /// A message is stored.
    Sent {
        room: &'a str,
        seq: Seq,
        time: Millis,
        /// It was stored before with the same key.
        is_duplicate: bool,
    },
    /// The client has this nick.
    Nick { nick: &'a str },
    /// The session goes on: its nick, the secret to resume with next time, and the account that it
    /// is logged in to.
    Resumed {
        nick: &'a str,
        session: &'a str,
        account: Option<&'a str>,
    },
}

/// The first that a client is shown.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// Name and version.
    pub server: &'a str,
    pub nick: &'a str,
    /// The secret to resume with.
    pub session: &'a str,
    /// Whether accounts can be registered, and must be: `open`, `closed` or `required`.
    pub accounts: &'a str,
    /// The account that the client is logged in to already.
    pub account: Option<&'a str>,
    pub limits: Limits,
    /// A client that has sent nothing for so long should send a ping.
    pub ping_after_millis: u64,
    pub time: Millis,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message of the client, in bytes of JSON.
    pub message_bytes: usize,
    /// Requests a second; 0: no limit.
    pub rate: u32,
    /// Requests at once before the rate counts.
    pub burst: u32,
    /// Entries that one `history` returns.
    pub history: u32,
    /// Entries that are sent by themselves to a client that is behind.
    pub catch_up: u32,
    /// Rooms of one connection.
    pub rooms: u32,
    /// Sends without an answer.
    pub unacknowledged: u32,
    /// For how long the key of a message is known at least.
    pub dedupe_millis: u64,
    /// For how long the client may change what it said; 0: never.
    pub edit_window_millis: u64,
}

/// The client is a member of a room.
#[derive(Clone, Copy, Debug)]
pub struct Joined<'a> {
    pub re: Option<&'a RequestId>,
    pub room: &'a str,
    pub epoch: &'a str,
    /// The newest entry.
    pub seq: Seq,
    /// The entries behind this one follow by themselves: the client's position in the room.
    pub after: Seq,
    /// Everything since the client's position follows.
    pub recovered: bool,
    /// Entries above this one that the client may have seen were never stored.
    pub rewound: Option<Seq>,
    pub topic: &'a str,
    /// Members, this one included.
    pub count: u32,
    /// Some of the others, at most [`crate::chat::PRESENT_MAX`].
    pub members: &'a [Nick],
    /// Those of them whose nick is the name of their account.
    pub accounts: &'a [Nick],
    /// What the client is in the room: the name of its role.
    pub role: &'a str,
    /// What the room is like, if it is not as rooms usually are.
    pub settings: Option<&'a Rules>,
}
