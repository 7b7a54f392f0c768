//! What a room's log keeps: entries, which are numbered, and drafts, which are not yet.
//! Knows no encoding, no tail and no store.

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

/// What an entry says. `T` is the text: owned in a [`Draft`], borrowed in an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<T> {
    /// A member said something. `reply_to` is the number of an earlier entry of the room.
    Said {
        manner: Manner,
        text: T,
        reply_to: Option<Seq>,
    },
    /// The member whose nick the entry has was removed from the room.
    Kicked { by: T, reason: T },
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
    /// The same with other texts.
    pub fn map<U>(self, text: impl Fn(T) -> U) -> Content<U> {
        match self {
            Self::Said {
                manner,
                text: said,
                reply_to,
            } => Content::Said {
                manner,
                text: text(said),
                reply_to,
            },
            Self::Kicked { by, reason } => Content::Kicked {
                by: text(by),
                reason: text(reason),
            },
        }
    }
}

impl<T: AsRef<str>> Content<T> {
    /// The length of its texts.
    pub fn text_bytes(&self) -> usize {
        match self.as_ref() {
            Content::Said { text, .. } => text.len(),
            Content::Kicked { by, reason } => by.len() + reason.len(),
        }
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> Content<&str> {
        match self {
            Self::Said {
                manner,
                text,
                reply_to,
            } => Content::Said {
                manner: *manner,
                text: text.as_ref(),
                reply_to: *reply_to,
            },
            Self::Kicked { by, reason } => Content::Kicked {
                by: by.as_ref(),
                reason: reason.as_ref(),
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
