//! Edits and deletions: what a message that is to be changed is, and the change itself, wherever in
//! memory the message lies. Knows no user and no right: whether a message may be changed is asked
//! of others, before the change is appended.
//!
//! The store follows behind. What it reads meanwhile is in an older form: the changes that it has
//! not stored are applied to its pages when they come.

use super::store::PageEntry;
use super::{Log, Reading};
use crate::chat::{Author, Content, Form};
use crate::id::{Millis, RoomId, Seq};
use std::collections::{BTreeMap, VecDeque};

/// How far back the newest message of an author is looked for.
const LOOK_BACK_ENTRIES: usize = 1_000;

/// A message, as far as it matters to its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    pub author: Author,
    pub at: Millis,
    pub form: Form,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Here(Original),
    /// There is no such message, or it is not kept any more.
    Missing,
    /// It is kept, and the store cannot read it.
    Unreadable,
    /// The store was asked: [`super::Notification::Page`] or
    /// [`super::Notification::ReadFailed`] follows, then ask again.
    Wait,
}

/// What an entry has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amendment<'a> {
    /// The message.
    pub of: Seq,
    /// The entry.
    pub by: Seq,
    /// The present text; `None`: the message is deleted.
    pub text: Option<&'a str>,
    /// The edit that had changed the message before; its text is not kept.
    pub before: Option<Seq>,
}

impl Amendment<'_> {
    /// Brings an entry into its present form. False: the change is not about it.
    pub fn apply(&self, entry: &mut PageEntry) -> bool {
        match &mut entry.draft.content {
            Content::Said { text, form, .. } if entry.seq == self.of => {
                *text = String::from(self.text.unwrap_or_default());
                *form = match self.text {
                    Some(_) => Form::Edited { by: self.by },
                    None => Form::Deleted,
                };
            }
            Content::Edited { text, .. } if Some(entry.seq) == self.before => {
                *text = String::new();
            }
            _ => return false,
        }
        true
    }
}

/// The changes that are not stored, in order. The entries themselves are in the tail.
#[derive(Default)]
pub(super) struct Unstored {
    rooms: BTreeMap<RoomId, VecDeque<Pending>>,
}

#[derive(Clone, Copy)]
struct Pending {
    of: Seq,
    by: Seq,
    before: Option<Seq>,
}

impl Unstored {
    fn push(&mut self, room: RoomId, pending: Pending) {
        self.rooms.entry(room).or_default().push_back(pending);
    }

    /// The room is stored up to `upto`.
    pub(super) fn were_stored(&mut self, room: RoomId, upto: Seq) {
        if let Some(pending) = self.rooms.get_mut(&room) {
            while pending
                .front()
                .is_some_and(|amendment| amendment.by <= upto)
            {
                pending.pop_front();
            }
            if pending.is_empty() {
                self.rooms.remove(&room);
            }
        }
    }

    /// The room was dropped.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }
}

impl Log {
    /// What is known of the message `of` of a room.
    pub fn original(&mut self, room: RoomId, of: Seq) -> Known {
        let Some(before) = of.0.checked_sub(1) else {
            return Known::Missing;
        };
        let mut found = Known::Missing;
        let reading = self.read(room, Seq(before), &mut |entry| {
            if entry.seq == of
                && let Content::Said { author, form, .. } = entry.content
                && form != Form::Deleted
            {
                found = Known::Here(Original {
                    author,
                    at: entry.at,
                    form,
                });
            }
            entry.seq == of
        });
        match reading {
            Reading::Read { .. } | Reading::AtHead => found,
            Reading::Gap { oldest } if oldest > self.oldest(room) => Known::Unreadable,
            Reading::Gap { .. } => Known::Missing,
            Reading::Wait => Known::Wait,
        }
    }

    /// The newest message of an author that is in memory, and not too far back.
    pub fn newest_of(&self, room: RoomId, is_it: &dyn Fn(Author) -> bool) -> Option<Seq> {
        let mut newest = None;
        let mut steps = 0;
        let end = Seq(u32::MAX);
        self.tail.read_back(room.slot(), end, &mut |entry| {
            steps += 1;
            if let Content::Said { author, form, .. } = entry.content
                && form != Form::Deleted
                && is_it(author)
            {
                newest = Some(entry.seq);
            }
            newest.is_none() && steps < LOOK_BACK_ENTRIES
        });
        newest
    }

    /// The edit that has last changed the message that is to be changed.
    pub(super) fn edit_before(&self, room: RoomId, content: &Content<&str>) -> Option<Seq> {
        let of = content.amends()?;
        match self.tail.content(room.slot(), of) {
            Some(Content::Said {
                form: Form::Edited { by },
                ..
            }) => Some(by),
            Some(_) => None,
            None => self.pages.edited_by(room, of),
        }
    }

    /// The entry `by`, the newest of the room, changes a message: in the tail, in pages and in what
    /// searches have found.
    pub(super) fn amend(
        &mut self,
        room: RoomId,
        by: Seq,
        content: &Content<&str>,
        before: Option<Seq>,
    ) {
        let (of, text) = match *content {
            Content::Edited { of, text } => (of, Some(text)),
            Content::Deleted { of } => (of, None),
            Content::Said { .. } | Content::Kicked { .. } | Content::Act { .. } => return,
        };
        let slot = room.slot();
        self.tail.amend(slot, of, by);
        if let Some(edit) = before {
            self.tail.erase(slot, edit);
        }
        let amendment = Amendment {
            of,
            by,
            text,
            before,
        };
        self.pages.amend(room, &amendment);
        self.searches.amend(room, &amendment);
        if !self.room(room).is_in_memory && !self.is_shared() {
            self.unstored.push(room, Pending { of, by, before });
        }
    }

    /// Applies to entries of a room, which came from the store, the changes that are not stored.
    /// False: none of them has changed.
    pub fn amend_entries(&self, room: RoomId, entries: &mut [PageEntry]) -> bool {
        let Some(pending) = self.unstored.rooms.get(&room) else {
            return false;
        };
        let mut has_changed = false;
        for pending in pending {
            let text = match self.tail.content(room.slot(), pending.by) {
                Some(Content::Edited { text, .. }) => Some(text),
                Some(_) => None,
                // The store has given the room up, and the tail has not kept the entry.
                None => continue,
            };
            let amendment = Amendment {
                of: pending.of,
                by: pending.by,
                text,
                before: pending.before,
            };
            for entry in &mut *entries {
                has_changed |= amendment.apply(entry);
            }
        }
        has_changed
    }
}
