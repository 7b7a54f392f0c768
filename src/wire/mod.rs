//! How members write what they ask and read what happened: text to [`Command`], [`Event`] to text.
//! One file per protocol. Knows no connection and no frame.

mod plain;

use crate::chat::{Command, Event};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Lines for people and for programs that know nothing of us: no subprotocol.
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

    /// What a member asks with a message.
    pub fn parse(self, message: &str) -> Command<'_> {
        match self {
            Self::Plain | Self::Echo => plain::parse(message),
        }
    }

    /// Appends what a member is shown of an event.
    pub fn render(self, event: &Event, text: &mut String) {
        match self {
            Self::Plain | Self::Echo => plain::render(event, text),
        }
    }
}
