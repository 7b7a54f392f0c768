//! What a user asks of the chat, already parsed. Knows no slash and no JSON.

use super::entry::Manner;
use crate::id::Seq;

/// One request of a user. Borrows from the message it came in. The room that it is about, if it is
/// about one, goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Say this to the room, or show the room what the member does: "/me waves".
    Say {
        manner: Manner,
        text: &'a str,
        /// The number of an earlier entry of the room.
        reply_to: Option<Seq>,
    },
    /// Give a message of the member this text. [`Seq`] 0: the newest of the member's.
    Edit { of: Seq, text: &'a str },
    /// Delete a message. [`Seq`] 0: the newest of the member's.
    Delete { of: Seq },
    /// Show the room that the member is writing something.
    Typing,
    /// Words that would be too long for the other members when rendered, as the wire found.
    TooLong,
    /// Take another nick.
    Nick(&'a str),
    /// List the members of the room: a page in the order of their nicks, or as many as a line
    /// takes.
    Who(Option<Page<'a>>),
    /// List the rooms: a page in the order of their names, or as many as a line takes.
    Rooms(Option<Page<'a>>),
    /// Explain the commands.
    Help,
    /// Leave every room and the server, perhaps with a last word.
    Quit(&'a str),
    /// Become an operator.
    Op { token: &'a str },
    /// The same, but the token is not compared: too many wrong ones came from the same address.
    OpTooOften,
    /// Remove another member from the room and close their connection.
    Kick { nick: &'a str, reason: &'a str },
    /// A command that does not exist.
    Unknown { name: &'a str },
    /// A command without an argument that it needs; `usage` is how it is written.
    Incomplete { usage: &'static str },
}

/// A part of a long list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// It begins behind this name, which need not be in the list; `None`: with the first.
    pub after: Option<&'a str>,
    /// It has at most so many names.
    pub limit: u32,
}
