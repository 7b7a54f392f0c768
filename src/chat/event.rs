//! What happened in a room, and what the server must do about it. Knows no encoding.

use super::nick::{Nick, NickRefused};
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;

/// Something that members see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first event that a new member sees.
    Welcome {
        room: SmolStr,
        nick: Nick,
        /// The members who were there before, at most [`super::PRESENT_MAX`] of them.
        present: Vec<Nick>,
        /// How many more were there.
        more: u32,
    },
    /// A member said something.
    Said { nick: Nick, text: String },
    /// A member did something: "/me waves".
    Acted { nick: Nick, text: String },
    /// A new member is in the room.
    Joined { nick: Nick },
    /// A member left, by `/quit` with an optional word, or because the connection ended.
    Left { nick: Nick, word: String },
    /// Joins and leaves that were counted instead of announced one by one.
    Summed { joined: u32, left: u32 },
    /// A member has another nick.
    Renamed { old: Nick, new: Nick },
    /// A member was removed by an operator, as the rest of the room sees it.
    Kicked {
        nick: Nick,
        by: Nick,
        reason: String,
    },
    /// The same as the removed member sees it: their last line.
    YouWereKicked { by: Nick, reason: String },
    /// The members of the room, to the member who asked; at most [`super::WHO_MAX`].
    Who {
        room: SmolStr,
        members: Vec<Nick>,
        more: u32,
    },
    /// The rooms and how many members each has, to the member who asked; at most
    /// [`super::ROOMS_MAX`].
    Rooms {
        rooms: Vec<(SmolStr, u32)>,
        more: u32,
    },
    /// How to use the chat, to the member who asked.
    Help,
    /// The member who sees this has become an operator.
    YouAreOperator,
    /// What a member asked for was not done; only that member sees it.
    Refused(Refused),
    /// So many messages were dropped because this connection did not read fast enough.
    Missed { messages: u32 },
}

/// Why a member did not get what they asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The nick is not allowed or taken; the member keeps `kept`, or was given it.
    Nick {
        wanted: String,
        why: NickRefused,
        kept: Nick,
    },
    UnknownCommand {
        name: String,
    },
    Incomplete {
        usage: &'static str,
    },
    /// Nothing was left of the message after control characters were removed.
    EmptyMessage,
    /// The message would be too long for the other members when rendered; it was not delivered.
    TooLong,
    /// Messages above the rate. Reported once; further ones are dropped until the member is within
    /// the rate again.
    TooFast {
        messages_per_second: u32,
    },
    /// Only an operator may do that.
    NotOperator,
    /// The operator token is wrong, or the server has none.
    WrongToken,
    /// Too many wrong tokens came from the address of this member; this one was not compared.
    TooManyTokens,
    /// No member of the room has that nick.
    NoSuchMember {
        nick: String,
    },
}

/// What the server must do. Effects are carried out in order, before the next command is handled,
/// so that "the members of the room" are those of this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Every member of the room sees the event.
    TellRoom { room: RoomId, event: Event },
    /// Every member of the room but one sees the event.
    TellOthers {
        room: RoomId,
        except: ConnId,
        event: Event,
    },
    /// One connection sees the event. It may no longer be a member's: the kicked member's last
    /// line.
    Tell { to: ConnId, event: Event },
    /// An operator token from this connection was wrong, which counts against its address.
    WrongToken { id: ConnId },
    /// Close the connection. The chat has removed its member already.
    Close { id: ConnId, why: Farewell },
}

/// Why the chat closes a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The member asked to leave.
    Quit,
    /// An operator removed the member; the reason as the operator gave it, perhaps empty.
    Kicked { reason: String },
}
