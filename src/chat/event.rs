//! What happened in a room, and what the server must do about it. Knows no encoding.

use super::nick::{Nick, NickRefused};
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;

/// Something that members see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first thing a newcomer sees.
    Welcome {
        room: SmolStr,
        nick: Nick,
        /// Who was there before, at most [`super::PRESENT_MAX`] of them.
        present: Vec<Nick>,
        /// How many more were there.
        more: u32,
    },
    /// Somebody said something.
    Said { nick: Nick, text: String },
    /// Somebody did something: "/me waves".
    Acted { nick: Nick, text: String },
    /// Somebody came.
    Joined { nick: Nick },
    /// Somebody went, of their own will or because the connection was lost.
    Left { nick: Nick, word: String },
    /// Many came and went: one line instead of one each.
    Summed { joined: u32, left: u32 },
    /// Somebody has another nick.
    Renamed { old: Nick, new: Nick },
    /// Somebody was thrown out; the room sees it.
    Kicked {
        nick: Nick,
        by: Nick,
        reason: String,
    },
    /// The member who sees this was thrown out. Their last line.
    YouWereKicked { by: Nick, reason: String },
    /// The members of the room, to the one who asked; at most [`super::WHO_MAX`].
    Who {
        room: SmolStr,
        members: Vec<Nick>,
        more: u32,
    },
    /// The rooms and how many are in each, to the one who asked; at most [`super::ROOMS_MAX`].
    Rooms {
        rooms: Vec<(SmolStr, u32)>,
        more: u32,
    },
    /// How to use the chat, to the one who asked.
    Help,
    /// The member is an operator from here on.
    YouAreOperator,
    /// What a member asked for was not done; only they see it.
    Refused(Refused),
    /// So many frames were dropped because this connection did not keep up.
    Missed { messages: u32 },
}

/// Why a member did not get what they asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The nick cannot be had; they keep (or were given) `kept`.
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
    /// More messages than the limit; told once, the rest is dropped until they slow down.
    TooFast {
        messages_per_second: u32,
    },
    /// Only an operator may do that.
    NotOperator,
    /// The operator token is wrong, or the server has none.
    WrongToken,
    /// Too many wrong tokens came from where this member is; theirs was not looked at.
    TooManyTokens,
    /// Nobody of that nick is in the room.
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
    /// One connection sees the event. It may just have ceased to be a member.
    Tell { to: ConnId, event: Event },
    /// An operator token from this connection was wrong, which counts against its address.
    WrongToken { id: ConnId },
    /// Close the connection; the chat has already forgotten it.
    Close { id: ConnId, why: Farewell },
}

/// Why the chat parts with somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// They asked to go.
    Quit,
    /// They were kicked; the reason as the operator gave it, perhaps empty.
    Kicked { reason: String },
}
