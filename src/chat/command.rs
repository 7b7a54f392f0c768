//! What a member asks of the chat, already parsed. Knows no slash and no JSON.

/// One request of a member. Borrows from the message it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Say this to the room.
    Say(&'a str),
    /// Show the room what the member does: "/me waves".
    Act(&'a str),
    /// Words that would be too long for the other members when rendered, as the wire found.
    TooLong,
    /// Take another nick.
    Nick(&'a str),
    /// List the members of the room.
    Who,
    /// List the rooms.
    Rooms,
    /// Explain the commands.
    Help,
    /// Leave the room and the server, perhaps with a last word.
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
