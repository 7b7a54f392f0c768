//! What a member asks of the chat, already understood. Knows no slash and no JSON.

/// One request of a member. Borrows from the message it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Say this to the room.
    Say(&'a str),
    /// Tell the room what the member does: "/me waves".
    Act(&'a str),
    /// Take another nick.
    Nick(&'a str),
    /// List the members of the room.
    Who,
    /// List the rooms.
    Rooms,
    /// Explain the commands.
    Help,
    /// Leave, perhaps with a word.
    Quit(&'a str),
    /// Become an operator.
    Op { token: &'a str },
    /// The same, after so many wrong tokens from the same place that this one is not looked at.
    OpTooOften,
    /// Throw somebody out of the room.
    Kick { nick: &'a str, reason: &'a str },
    /// No such command; only its sender is told.
    Unknown { name: &'a str },
    /// A command without what it needs; only its sender is told how it is used.
    Incomplete { usage: &'static str },
}
