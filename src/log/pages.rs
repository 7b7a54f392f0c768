//! What was read from the store for members that are behind: a bounded cache of entries, in which
//! a page serves all cursors of its room that lie in it.

use super::amend::Amendment;
use super::store::{Page, PageEntry};
use crate::chat::{Content, Entry, Form};
use crate::id::{RoomId, Seq};
use std::collections::VecDeque;

/// Pages in the cache; beyond it, or beyond the bytes, the least recently used is dropped.
const PAGES_MAX: usize = 256;
pub(super) const PAGES_BYTES: usize = 2 * 1024 * 1024;

struct Cached {
    room: RoomId,
    log_gen: u64,
    entries: Vec<PageEntry>,
    bytes: usize,
}

impl Cached {
    /// Where an entry is.
    fn index(&self, seq: Seq) -> Option<usize> {
        let index = seq.0.checked_sub(self.entries.first()?.seq.0)? as usize;
        (index < self.entries.len()).then_some(index)
    }
}

/// The most recently used last.
#[derive(Default)]
pub(super) struct Pages {
    pages: VecDeque<Cached>,
    bytes: usize,
}

impl Pages {
    /// Takes over the entries of a page, which is not empty and has no gap.
    pub(super) fn insert(&mut self, room: RoomId, log_gen: u64, page: Page) {
        let bytes = page.entries.iter().map(memory).sum();
        self.bytes += bytes;
        self.pages.push_back(Cached {
            room,
            log_gen,
            entries: page.entries,
            bytes,
        });
        self.trim();
    }

    fn trim(&mut self) {
        while self.pages.len() > 1 && (self.pages.len() > PAGES_MAX || self.bytes > PAGES_BYTES) {
            self.remove(0);
        }
    }

    /// Passes the entries after `after` that are here to `each`, until it returns false: then it
    /// has not taken that entry. Returns the last that was taken, or `after`; `None` if the entry
    /// after `after` is not here.
    pub(super) fn read(
        &mut self,
        (room, log_gen): (RoomId, u64),
        after: Seq,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Option<(Seq, bool)> {
        let next = after.next()?;
        let has_next = |page: &Cached| {
            let (first, last) = (page.entries.first(), page.entries.last());
            page.room == room
                && page.log_gen == log_gen
                && first.is_some_and(|first| first.seq <= next)
                && last.is_some_and(|last| last.seq >= next)
        };
        let index = self.pages.iter().rposition(has_next)?;
        if index + 1 < self.pages.len() {
            let page = self.pages.remove(index)?;
            self.pages.push_back(page);
        }
        let page = self.pages.back()?;
        let from = (next.0 - page.entries.first()?.seq.0) as usize;
        let mut taken = after;
        for kept in &page.entries[from..] {
            if !each(kept.draft.numbered(kept.seq, kept.at)) {
                return Some((taken, false));
            }
            taken = kept.seq;
        }
        Some((taken, true))
    }

    /// The edit that has changed a message last, if the message is here.
    pub(super) fn edited_by(&self, room: RoomId, of: Seq) -> Option<Seq> {
        let mut pages = self.pages.iter().rev().filter(|page| page.room == room);
        let content = pages.find_map(|page| Some(&page.entries[page.index(of)?].draft.content));
        match content? {
            Content::Said {
                form: Form::Edited { by },
                ..
            } => Some(*by),
            _ => None,
        }
    }

    /// Brings the entries that a change is about into their present form.
    pub(super) fn amend(&mut self, room: RoomId, amendment: &Amendment<'_>) {
        for page in self.pages.iter_mut().filter(|page| page.room == room) {
            for seq in [Some(amendment.of), amendment.before].into_iter().flatten() {
                let Some(index) = page.index(seq) else {
                    continue;
                };
                let entry = &mut page.entries[index];
                let before = memory(entry);
                if amendment.apply(entry) {
                    let after = memory(entry);
                    page.bytes = page.bytes - before + after;
                    self.bytes = self.bytes - before + after;
                }
            }
        }
        self.trim();
    }

    /// Drops the pages of a room that was closed or changed.
    pub(super) fn drop_room(&mut self, room: RoomId) {
        let bytes = &mut self.bytes;
        self.pages.retain(|page| {
            let stays = page.room != room;
            *bytes -= if stays { 0 } else { page.bytes };
            stays
        });
    }

    /// Returns the memory, as after a quiet time.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn remove(&mut self, index: usize) {
        if let Some(page) = self.pages.remove(index) {
            self.bytes -= page.bytes;
        }
    }

    pub(super) fn check_invariants(&self) {
        let bytes: usize = self.pages.iter().map(|page| page.bytes).sum();
        assert_eq!(bytes, self.bytes);
        assert!(self.pages.len() <= PAGES_MAX);
        assert!(self.bytes <= PAGES_BYTES || self.pages.len() == 1);
    }
}

/// What an entry of a page takes, some bytes for each allocation included.
fn memory(entry: &PageEntry) -> usize {
    let texts = match &entry.draft.content {
        Content::Said { text, .. } | Content::Edited { text, .. } => 16 + text.capacity(),
        Content::Deleted { .. } => 0,
        Content::Kicked { by, reason } => 32 + by.capacity() + reason.capacity(),
        Content::Act { by, detail, .. } => 32 + by.capacity() + detail.capacity(),
    };
    size_of::<PageEntry>() + entry.draft.nick.len() + texts
}

/// Whether a page is an answer to what was asked for: entries without a gap, the first the one after
/// `after` or the oldest that is kept, and the last the one that it claims to reach. Without
/// entries, it must say that older ones were removed: that nothing follows is never believed.
pub(super) fn is_sound(page: &Page, after: Seq) -> bool {
    let Some(wanted) = after.next() else {
        return false;
    };
    if page.entries.is_empty() {
        return page.oldest > wanted;
    }
    let mut next = Some(wanted.max(page.oldest));
    for entry in &page.entries {
        if next != Some(entry.seq) {
            return false;
        }
        next = entry.seq.next();
    }
    let last = page.entries.last();
    last.is_some_and(|last| last.seq == page.complete_to)
}
