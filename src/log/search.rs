//! Searches through the tail, where there is no store to search: in steps, the newest entries
//! first. Knows no room but its slot.

use super::amend::Amendment;
use super::store::{PageEntry, is_enough};
use super::tail::Tail;
use super::words::Words;
use crate::chat::Content;
use crate::id::{RoomId, Seq};
use std::collections::VecDeque;

/// Entries that are looked at in one turn: some half a millisecond.
const STEP_ENTRIES: usize = 500;

/// A search that is under way.
pub(super) struct Search {
    pub(super) tag: u64,
    pub(super) room: RoomId,
    pub(super) words: Words,
    /// Everything from here on was searched.
    pub(super) before: Seq,
    pub(super) entries_max: usize,
    pub(super) found: Vec<PageEntry>,
}

/// A search that has come to its end.
pub(super) struct Found {
    pub(super) tag: u64,
    pub(super) entries: Vec<PageEntry>,
    pub(super) more: bool,
}

/// Searches, each done before the next.
#[derive(Default)]
pub(super) struct Searches {
    queue: VecDeque<Search>,
}

impl Searches {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn push(&mut self, search: Search) {
        self.queue.push_back(search);
    }

    /// A message was changed: what searches have found of it is, too.
    pub(super) fn amend(&mut self, room: RoomId, amendment: &Amendment<'_>) {
        for search in self.queue.iter_mut().filter(|search| search.room == room) {
            let words = &mut search.words;
            search.found.retain_mut(|entry| {
                !amendment.apply(entry) || amendment.text.is_some_and(|text| words.are_in(text))
            });
        }
    }

    /// Goes on with the first search; returns it if it ends. `is_open` tells whether its room is
    /// still there.
    pub(super) fn step(&mut self, tail: &Tail, is_open: impl Fn(RoomId) -> bool) -> Option<Found> {
        let search = self.queue.front_mut()?;
        let mut steps = 0;
        let mut more = false;
        let mut goes_on = false;
        if is_open(search.room) {
            let slot = search.room.slot();
            tail.read_back(slot, search.before, &mut |entry| {
                if steps == STEP_ENTRIES {
                    goes_on = true;
                    return false;
                }
                steps += 1;
                search.before = entry.seq;
                let Content::Said { text, .. } = entry.content else {
                    return true;
                };
                if !search.words.are_in(text) {
                    return true;
                }
                if is_enough(&search.found, search.entries_max) {
                    more = true;
                    return false;
                }
                search.found.push(PageEntry::of(&entry));
                true
            });
        }
        if goes_on {
            return None;
        }
        let search = self.queue.pop_front()?;
        Some(Found {
            tag: search.tag,
            entries: search.found,
            more,
        })
    }
}
