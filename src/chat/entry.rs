//! What a room's log keeps: entries, which are numbered, and drafts, which are not yet.
//! Knows no encoding, no tail and no store.

use super::author::Author;
use crate::id::{Millis, Seq};
use smol_str::SmolStr;

/// How something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A message: `ann: hello`.
    Message,
    /// An action: `** ann waves`.
    Action,
}

/// Whether a message is as it was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Original,
    /// It has the text of this later entry, which is [`Content::Edited`].
    Edited { by: Seq },
    /// It was deleted, and its text is empty.
    Deleted,
}

impl Form {
    /// The edit that has changed it last.
    pub const fn edit(self) -> Option<Seq> {
        match self {
            Self::Edited { by } => Some(by),
            Self::Original | Self::Deleted => None,
        }
    }
}

/// What an entry says. `T` is the text: owned in a [`Draft`], borrowed in an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<T> {
    /// A member said something. `reply_to` is the number of an earlier entry of the room. The text
    /// is the present one: later entries may have changed it.
    Said {
        manner: Manner,
        text: T,
        reply_to: Option<Seq>,
        author: Author,
        form: Form,
    },
    /// The author, whose nick the entry has, has changed the text of a message. The text is empty
    /// where the message was changed again since, or deleted.
    Edited { of: Seq, text: T },
    /// The member whose nick the entry has has deleted a message.
    Deleted { of: Seq },
    /// The member whose nick the entry has was removed from the room.
    Kicked { by: T, reason: T },
    /// What else is done to keep order. The nick of the entry is the one that it was done to, or
    /// the name of an account; where it was done to the room, it is the actor's.
    Act {
        act: Act,
        by: T,
        /// Why, or to what value.
        detail: T,
        /// When it ends by itself, in seconds since 1970.
        until: Option<u32>,
    },
}

/// What is done to keep order in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Ban,
    BanAccount,
    Unban,
    UnbanAccount,
    Mute,
    MuteAccount,
    Unmute,
    UnmuteAccount,
    Topic,
    Role,
    Settings,
}

impl Act {
    /// All of them, by their numbers.
    pub const ALL: [Self; 11] = [
        Self::Ban,
        Self::BanAccount,
        Self::Unban,
        Self::UnbanAccount,
        Self::Mute,
        Self::MuteAccount,
        Self::Unmute,
        Self::UnmuteAccount,
        Self::Topic,
        Self::Role,
        Self::Settings,
    ];

    /// As a store and a tail write it.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The other way; `None`: no act has this number.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The type of the entry for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ban | Self::BanAccount => "banned",
            Self::Unban | Self::UnbanAccount => "unbanned",
            Self::Mute | Self::MuteAccount => "muted",
            Self::Unmute | Self::UnmuteAccount => "unmuted",
            Self::Topic => "topic",
            Self::Role => "role",
            Self::Settings => "settings",
        }
    }

    /// Whether the nick of its entry is the name of an account.
    pub const fn is_of_account(self) -> bool {
        matches!(
            self,
            Self::BanAccount
                | Self::UnbanAccount
                | Self::MuteAccount
                | Self::UnmuteAccount
                | Self::Role
        )
    }
}

/// What is to become an entry, before the log has numbered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Whom it is about: the sender, or the member that was removed.
    pub nick: SmolStr,
    pub content: Content<String>,
}

/// A numbered entry of a room's log. Borrows from the tail, from a page of the store, or from the
/// draft that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place in the room: 1, 2, 3 and so on, without a gap.
    pub seq: Seq,
    /// When it was numbered. Never less than that of the entry before it.
    pub at: Millis,
    pub nick: &'a str,
    pub content: Content<&'a str>,
}

impl<T> Content<T> {
    /// A message as its author says it.
    pub const fn said(manner: Manner, text: T, reply_to: Option<Seq>, author: Author) -> Self {
        Self::Said {
            manner,
            text,
            reply_to,
            author,
            form: Form::Original,
        }
    }

    /// The message that the entry changes.
    pub const fn amends(&self) -> Option<Seq> {
        match self {
            Self::Edited { of, .. } | Self::Deleted { of } => Some(*of),
            Self::Said { .. } | Self::Kicked { .. } | Self::Act { .. } => None,
        }
    }

    /// The same with other texts.
    pub fn map<U>(self, text: impl Fn(T) -> U) -> Content<U> {
        match self {
            Self::Said {
                manner,
                text: said,
                reply_to,
                author,
                form,
            } => Content::Said {
                manner,
                text: text(said),
                reply_to,
                author,
                form,
            },
            Self::Edited { of, text: said } => Content::Edited {
                of,
                text: text(said),
            },
            Self::Deleted { of } => Content::Deleted { of },
            Self::Kicked { by, reason } => Content::Kicked {
                by: text(by),
                reason: text(reason),
            },
            Self::Act {
                act,
                by,
                detail,
                until,
            } => Content::Act {
                act,
                by: text(by),
                detail: text(detail),
                until,
            },
        }
    }
}

impl<T: AsRef<str>> Content<T> {
    /// The length of its texts.
    pub fn text_bytes(&self) -> usize {
        match self.as_ref() {
            Content::Said { text, .. } | Content::Edited { text, .. } => text.len(),
            Content::Deleted { .. } => 0,
            Content::Kicked { by, reason } => by.len() + reason.len(),
            Content::Act { by, detail, .. } => by.len() + detail.len(),
        }
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> Content<&str> {
        match self {
            Self::Said {
                manner,
                text,
                reply_to,
                author,
                form,
            } => Content::Said {
                manner: *manner,
                text: text.as_ref(),
                reply_to: *reply_to,
                author: *author,
                form: *form,
            },
            Self::Edited { of, text } => Content::Edited {
                of: *of,
                text: text.as_ref(),
            },
            Self::Deleted { of } => Content::Deleted { of: *of },
            Self::Kicked { by, reason } => Content::Kicked {
                by: by.as_ref(),
                reason: reason.as_ref(),
            },
            Self::Act {
                act,
                by,
                detail,
                until,
            } => Content::Act {
                act: *act,
                by: by.as_ref(),
                detail: detail.as_ref(),
                until: *until,
            },
        }
    }
}

impl Draft {
    /// The entry that it becomes.
    pub fn numbered(&self, seq: Seq, at: Millis) -> Entry<'_> {
        Entry {
            seq,
            at,
            nick: &self.nick,
            content: self.content.as_ref(),
        }
    }
}
