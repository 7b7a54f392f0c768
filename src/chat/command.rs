//! What a user asks of the chat, already parsed. Knows no slash and no JSON.

use super::entry::Manner;
use super::registry::{Prefix, SanctionKind};
use super::role::Role;
use crate::id::{Millis, Seq, Tick};
use std::net::IpAddr;

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
    Edit {
        of: Seq,
        text: &'a str,
    },
    /// Delete a message. [`Seq`] 0: the newest of the member's.
    Delete {
        of: Seq,
    },
    /// Delete all that the one with this nick said in the last so many seconds.
    Purge {
        nick: &'a str,
        seconds: u32,
    },
    /// Show a message to the moderators.
    Report {
        of: Seq,
        reason: &'a str,
    },
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
    /// Take no messages from another user, or take them again.
    Ignore {
        nick: &'a str,
    },
    Unignore {
        nick: &'a str,
    },
    /// List whom the user ignores.
    Ignored,
    /// List the user's conversations.
    Conversations,
    /// Explain the commands.
    Help,
    /// Explain one, which has this name in a protocol of people.
    HelpOn {
        command: &'static str,
    },
    /// Leave every room and the server, perhaps with a last word.
    Quit(&'a str),
    /// Become an operator.
    Op {
        token: &'a str,
    },
    /// The same, but the token is not compared: too many wrong ones came from the same address.
    OpTooOften,
    /// Remove another member from the room and close their connection.
    Kick {
        nick: &'a str,
        reason: &'a str,
    },
    /// Give the room another topic; an empty one: none.
    Topic(&'a str),
    /// Ban or mute.
    Sanction(Order<'a>),
    /// Lift a ban or a mute.
    Lift {
        kind: SanctionKind,
        reach: Reach,
        whom: Whom<'a>,
    },
    /// Give an account a role.
    Role {
        reach: Reach,
        account: &'a str,
        role: Role,
    },
    /// Change what the room is like, or ask for it. `password` is what is kept of a new one, for
    /// the chat hashes nothing; empty: the room has none from here on.
    Room {
        change: RoomChange,
        password: Option<&'a str>,
    },
    /// Close the room.
    CloseRoom {
        reason: &'a str,
    },
    /// List the bans and mutes, or as many as a line takes.
    Sanctions {
        reach: Reach,
        part: Option<Part>,
    },
    /// Show the newest rows of the audit log below a number.
    Audit {
        reach: Reach,
        before: u64,
        limit: u32,
    },
    /// A command that does not exist.
    Unknown {
        name: &'a str,
    },
    /// A command without an argument that it needs; `usage` is how it is written.
    Incomplete {
        usage: &'static str,
    },
}

impl Command<'_> {
    /// Whether it changes what a store keeps beside entries.
    pub const fn changes_registry(&self) -> bool {
        matches!(
            self,
            Self::Kick { .. }
                | Self::Ignore { .. }
                | Self::Unignore { .. }
                | Self::Purge { .. }
                | Self::Report { .. }
                | Self::Topic(_)
                | Self::Sanction(_)
                | Self::Lift { .. }
                | Self::Role { .. }
                | Self::Room { .. }
                | Self::CloseRoom { .. }
        )
    }
}

impl Command<'_> {
    /// Whether it keeps order: such a command may come from the command line as well.
    pub const fn keeps_order(&self) -> bool {
        matches!(
            self,
            Self::Kick { .. }
                | Self::Delete { .. }
                | Self::Purge { .. }
                | Self::Topic(_)
                | Self::Sanction(_)
                | Self::Lift { .. }
                | Self::Sanctions { .. }
                | Self::Role { .. }
                | Self::Room { .. }
                | Self::CloseRoom { .. }
        )
    }
}

/// What is to be different in a room, but for its password; nothing: the user asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomChange {
    pub slow_seconds: Option<u32>,
    pub moderated: Option<bool>,
    pub locked: Option<bool>,
    pub hidden: Option<bool>,
    pub newcomers_read: Option<bool>,
    /// 0: as long as the server's settings say.
    pub keep_days: Option<u32>,
}

/// Where something is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In the room that the command is about.
    Room,
    /// On the whole server.
    Server,
}

impl Reach {
    /// The role of this name there.
    pub fn role_named(self, name: &str) -> Option<Role> {
        match (self, name) {
            (_, "member") => Some(Role::Member),
            (Self::Room, "voiced") => Some(Role::Voiced),
            (Self::Room, "moderator") => Some(Role::Moderator),
            (Self::Room, "owner") => Some(Role::Owner),
            (Self::Server, "moderator") => Some(Role::ServerModerator),
            (Self::Server, "admin") => Some(Role::Admin),
            _ => None,
        }
    }
}

/// Whom a ban or a mute is about, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom<'a> {
    Nick(&'a str),
    /// Its name.
    Account(&'a str),
    Address(Prefix),
}

impl<'a> Whom<'a> {
    /// `NICK`, `@ACCOUNT`, `ADDRESS` or `ADDRESS/BITS`, as people write it. What can be read as an
    /// address is one.
    pub fn parse(word: &'a str) -> Option<Self> {
        if let Some(account) = word.strip_prefix('@') {
            return (!account.is_empty()).then_some(Self::Account(account));
        }
        if let Ok(prefix) = word.parse::<Prefix>() {
            return Some(Self::Address(prefix));
        }
        (!word.is_empty()).then_some(Self::Nick(word))
    }
}

/// A ban or a mute to be imposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    pub kind: SanctionKind,
    pub reach: Reach,
    pub whom: Whom<'a>,
    /// The address of the connection that has the nick, which only the server knows.
    pub address: Option<IpAddr>,
    /// For how long; `None`: until it is lifted.
    pub seconds: Option<u32>,
    /// What was said in the last so many seconds is to be deleted, in the room of the ban.
    pub purge_seconds: Option<u32>,
    pub reason: &'a str,
}

/// When a command comes, and from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub tick: Tick,
    pub wall: Millis,
    /// What the connection counts for: of IPv6 the first half. `None`: for no address.
    pub address: Option<IpAddr>,
}

impl From<Tick> for Now {
    /// Where neither the time of day nor an address is known, as in tests.
    fn from(tick: Tick) -> Self {
        Self {
            tick,
            ..Self::default()
        }
    }
}

/// A part of a long list in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// It begins behind what has this number; 0: with the first.
    pub after: u64,
    /// It has at most so many.
    pub limit: u32,
}

/// A part of a long list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// It begins behind this name, which need not be in the list; `None`: with the first.
    pub after: Option<&'a str>,
    /// It has at most so many names.
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_names_a_nick_an_account_or_an_address() {
        let prefix = |text: &str| Some(Whom::Address(text.parse().expect("an address")));
        assert_eq!(Whom::parse("bob"), Some(Whom::Nick("bob")));
        assert_eq!(Whom::parse("@bob"), Some(Whom::Account("bob")));
        for text in ["192.0.2.1", "192.0.2.0/24", "2001:db8::/32"] {
            assert_eq!(Whom::parse(text), prefix(text), "{text}");
        }
        assert_eq!(Whom::parse("1.2.3"), Some(Whom::Nick("1.2.3")));
        assert_eq!(Whom::parse(""), None);
        assert_eq!(Whom::parse("@"), None);
    }
}
