//! How clients write what they ask and read what happened: a message to a [`Request`], [`Shown`] to
//! text. One folder per protocol. Knows no connection and no frame, and of rooms only names.

mod json;
mod plain;
mod request;
mod secret;
mod shown;

use crate::carry::carried;
use crate::chat::{Command, Content, Entry, Nick, RoomName, WHO_MAX};

pub use request::{
    Ask, Code, HISTORY_MAX, KEY_BYTES_MAX, Position, Problem, Range, Request, RequestId, Send,
};
pub use shown::{Done, Hello, Joined, Limits, Shown};

/// What a member says may be this many times as long when it is rendered as the longest message a
/// client may send: a protocol may write one byte as several, and each member of the room gets
/// them.
const RENDERED_PER_RECEIVED: usize = 2;

/// The subprotocols of WebSockets that can be chosen; see [`Protocol::named`].
pub const SUBPROTOCOLS: &[&str] = &[json::NAME];

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Lines for people, and for programs that know nothing of parlor: no subprotocol.
    Plain,
    /// `parlor.v1.json`: an object per message, for programs.
    Json,
    /// Every message is sent back to its sender, which is no member. For conformance suites.
    Echo,
}

carried!(enum Protocol { 0 = Plain, 1 = Json, 2 = Echo });

impl Protocol {
    /// Those of members, in the order of [`Protocol::index`].
    pub const ALL: [Self; Self::COUNT] = [Self::Plain, Self::Json];

    /// How many there are, for tables by [`Protocol::index`].
    pub const COUNT: usize = 2;

    pub const fn index(self) -> usize {
        match self {
            Self::Plain | Self::Echo => 0,
            Self::Json => 1,
        }
    }

    /// The protocol of a connection whose subprotocol was chosen from [`SUBPROTOCOLS`]. `None`:
    /// none was.
    pub fn named(subprotocol: Option<&str>) -> Self {
        match subprotocol {
            Some(json::NAME) => Self::Json,
            _ => Self::Plain,
        }
    }

    /// Takes a message apart.
    pub fn read(self, message: &str) -> Message<'_> {
        Message(match self {
            Self::Plain | Self::Echo => Form::Plain(message),
            Self::Json => Form::Json(json::Message::read(message)),
        })
    }

    /// Appends what a client is shown. False: this protocol shows nothing of it, and nothing was
    /// appended.
    #[must_use = "an empty message would be sent"]
    pub fn render(self, shown: &Shown<'_>, text: &mut String) -> bool {
        match self {
            Self::Plain | Self::Echo => plain::render(shown, text),
            Self::Json => json::render(shown, text),
        }
    }

    /// The length of what a member says as this protocol renders it, without what goes before it.
    fn said_bytes(self, words: &str) -> usize {
        match self {
            Self::Plain | Self::Echo => plain::said_bytes(words),
            Self::Json => json::said_bytes(words),
        }
    }
}

/// A message of a client, taken apart. Requests borrow from it.
#[derive(Debug)]
pub struct Message<'a>(Form<'a>);

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for one call; an allocation would cost more"
)]
enum Form<'a> {
    Plain(&'a str),
    Json(json::Message<'a>),
}

impl Message<'_> {
    /// What the client asks. What would be longer than `said_bytes_max` when rendered, in whichever
    /// protocol, is [`Command::TooLong`]; see [`said_bytes_max`].
    pub fn request(&self, said_bytes_max: usize) -> Request<'_> {
        let mut request = match &self.0 {
            Form::Plain(message) => Request {
                id: None,
                room: None,
                ask: plain::parse(message),
            },
            Form::Json(message) => message.request(),
        };
        let words = match request.ask {
            Ask::Send(Send { text, .. })
            | Ask::Direct {
                send: Send { text, .. },
                ..
            }
            | Ask::Amend {
                command: Command::Edit { text, .. },
                ..
            } => text,
            _ => "",
        };
        if said_bytes(words) > said_bytes_max {
            request.ask = Ask::Chat(Command::TooLong);
        } else if secret::is_in(words) {
            request.ask = Ask::Secret;
        }
        request
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

/// What is written around words, names and numbers, the help and the longest id of a request
/// included.
const PROSE_BYTES_MAX: usize = 1024;

/// The longest that any event or entry is when rendered, for bounds on memory. [`Shown::History`]
/// and [`Shown::Found`] are longer: see [`entry_bytes_max`].
pub fn event_bytes_max(message_bytes_max: usize) -> usize {
    /// The longest list is that of the members of a room.
    const LISTED_BYTES_MAX: usize = WHO_MAX * (Nick::BYTES_MAX + ",''".len()) + RoomName::BYTES_MAX;
    let said = said_bytes_max(message_bytes_max) + Nick::BYTES_MAX + RoomName::BYTES_MAX;
    said.max(LISTED_BYTES_MAX) + PROSE_BYTES_MAX
}

/// An upper bound of what an entry adds to [`Shown::History`] and [`Shown::Found`] in any protocol.
pub fn entry_bytes_max(room: &str, entry: &Entry<'_>) -> usize {
    /// The names of the fields, and numbers.
    const AROUND_BYTES_MAX: usize = 176;
    /// A control character becomes six bytes. The chat keeps none but line feed and tab, but what a
    /// store returns may have been written by others.
    const ESCAPED_PER_BYTE: usize = 6;
    let (first, second) = match entry.content {
        Content::Said { text, .. } | Content::Edited { text, .. } => (text, ""),
        Content::Deleted { .. } => ("", ""),
        Content::Kicked { by, reason } => (by, reason),
        Content::Act { by, detail, .. } => (by, detail),
    };
    // The nick may be the name of an account as well.
    let strings = room.len() + 2 * entry.nick.len() + first.len() + second.len();
    AROUND_BYTES_MAX + strings * ESCAPED_PER_BYTE
}

#[cfg(test)]
mod tests;
