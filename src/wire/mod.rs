//! How members write what they ask and read what happened: text to [`Command`], [`Event`] to text.
//! One file per protocol. Knows no connection and no frame.

mod plain;

use crate::chat::{Command, Event, Nick, RoomName, WHO_MAX};

/// What a member says may be this many times as long when it is rendered as the longest message a
/// client may send: a protocol may write one byte as several, and each member of the room gets
/// them.
const RENDERED_PER_RECEIVED: usize = 2;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Lines for people, and for programs that know nothing of parlor: no subprotocol.
    Plain,
    /// Every message is sent back to its sender, which is no member. For conformance suites.
    Echo,
}

impl Protocol {
    /// Those of members, in the order of [`Protocol::index`].
    pub const ALL: [Self; Self::COUNT] = [Self::Plain];

    /// How many there are, for tables by [`Protocol::index`].
    pub const COUNT: usize = 1;

    pub const fn index(self) -> usize {
        match self {
            Self::Plain | Self::Echo => 0,
        }
    }

    /// What a member asks with a message. What would be longer than `said_bytes_max` when rendered,
    /// in whichever protocol, is [`Command::TooLong`]; see [`said_bytes_max`].
    pub fn parse(self, message: &str, said_bytes_max: usize) -> Command<'_> {
        let command = match self {
            Self::Plain | Self::Echo => plain::parse(message),
        };
        match command {
            Command::Say(words) | Command::Act(words) if said_bytes(words) > said_bytes_max => {
                Command::TooLong
            }
            command => command,
        }
    }

    /// Appends what a member is shown of an event.
    pub fn render(self, event: &Event, text: &mut String) {
        match self {
            Self::Plain | Self::Echo => plain::render(event, text),
        }
    }

    /// The length of what a member says as this protocol renders it, without what goes before it.
    fn said_bytes(self, words: &str) -> usize {
        match self {
            Self::Plain | Self::Echo => plain::said_bytes(words),
        }
    }
}

/// The length of what a member says in the protocol that takes most for it: the room may speak all.
fn said_bytes(words: &str) -> usize {
    let each = Protocol::ALL.map(|protocol| protocol.said_bytes(words));
    each.into_iter().max().unwrap_or(0)
}

/// The longest that what a member says may be when rendered, without the nick before it, where
/// messages have at most `message_bytes_max` bytes.
pub const fn said_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_mul(RENDERED_PER_RECEIVED)
}

/// The longest that any event is when rendered, for bounds on memory.
pub fn event_bytes_max(message_bytes_max: usize) -> usize {
    /// What is written around words, names and numbers, the help included.
    const PROSE_BYTES_MAX: usize = 1024;
    /// The longest list is that of the members of a room.
    const LISTED_BYTES_MAX: usize = WHO_MAX * (Nick::BYTES_MAX + ", ".len()) + RoomName::BYTES_MAX;
    let said = said_bytes_max(message_bytes_max) + Nick::BYTES_MAX;
    said.max(LISTED_BYTES_MAX) + PROSE_BYTES_MAX
}

#[cfg(test)]
mod tests;
