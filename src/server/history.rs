//! Requests for entries of the past: a page of the log, or a search in it. The store may have to be
//! asked; until it has answered the connection is held. Knows no encoding.

use super::Server;
use super::catch_up::Purpose;
use super::opening::Place;
use crate::chat::{Content, Entry};
use crate::conn::Wait;
use crate::id::{ConnId, RoomId, Seq, Tick};
use crate::log::{Amendment, PageEntry, Reading, Words};
use crate::net::Net;
use crate::wire::{Problem, Protocol, Range, RequestId, Shown};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of text after which a page ends; it has at least one entry.
const PAGE_BYTES_MAX: usize = 32 * 1024;

/// How a page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageForm {
    Entries,
    /// Lines with the numbers of messages.
    Numbers,
    /// Lines of a conversation.
    Letters,
}

/// A page that is being read.
#[derive(Debug)]
struct Asked {
    request: Option<RequestId>,
    room: RoomId,
    /// The last entry that was read.
    cursor: Seq,
    /// The last that is wanted.
    upto: Seq,
    range: Range,
    form: PageForm,
    entries: VecDeque<PageEntry>,
    /// Of the texts of `entries`.
    bytes: usize,
}

impl Asked {
    /// The page is full: older entries were read first, so only one of the oldest can be.
    fn is_full(&self) -> bool {
        matches!(self.range, Range::After(_)) && self.bytes >= PAGE_BYTES_MAX
    }

    /// Adds an entry. Of the newest ones, those that are too many are the oldest.
    fn take(&mut self, entry: &Entry<'_>) {
        let entry = PageEntry::of(entry);
        self.cursor = entry.seq;
        self.bytes += entry.text_bytes();
        self.entries.push_back(entry);
        while !matches!(self.range, Range::After(_))
            && self.bytes > PAGE_BYTES_MAX
            && self.entries.len() > 1
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.text_bytes();
        }
    }
}

/// A search that is under way.
#[derive(Debug)]
struct Searched {
    id: ConnId,
    request: Option<RequestId>,
    room: RoomId,
    /// To compare them with what was edited since the store found it.
    words: Words,
}

/// All requests that wait for the store: at most one of each connection.
#[derive(Default)]
pub(super) struct Readings {
    pages: BTreeMap<ConnId, Asked>,
    searches: BTreeMap<u64, Searched>,
    next_tag: u64,
}

impl Readings {
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty() && self.searches.is_empty()
    }

    /// A message was changed: what was read of it is, too.
    pub(super) fn amend(&mut self, room: RoomId, amendment: &Amendment<'_>) {
        for asked in self.pages.values_mut().filter(|asked| asked.room == room) {
            for entry in &mut asked.entries {
                let before = entry.text_bytes();
                if amendment.apply(entry) {
                    asked.bytes = asked.bytes - before + entry.text_bytes();
                }
            }
        }
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.pages.remove(&id);
        self.searches.retain(|_, search| search.id != id);
    }
}

impl<N: Net> Server<N> {
    /// Shows entries of a room. A client of lines gets them as its history.
    pub(super) fn show_history(
        &mut self,
        id: ConnId,
        protocol: Protocol,
        room: RoomId,
        (range, limit): (Range, u32),
        now: Tick,
    ) {
        let (head, oldest) = (self.log.head(room), self.oldest_for(id, room));
        let before_oldest = Seq(oldest.0.saturating_sub(1));
        let newest = |last: Seq| Seq(last.0.saturating_sub(limit)).max(before_oldest);
        let (cursor, upto) = match range {
            Range::Newest => (newest(head), head),
            Range::Before(before) => {
                let last = Seq(before.0.saturating_sub(1)).min(head);
                (newest(last), last)
            }
            Range::After(after) => {
                let after = after.max(before_oldest);
                (after, Seq(after.0.saturating_add(limit)).min(head))
            }
        };
        if protocol == Protocol::Plain {
            let place = Place {
                cursor,
                purpose: Purpose::History,
                recovered: false,
                rewound: None,
            };
            return self.read_past(id, room, &place, now);
        }
        let asked = Asked {
            request: self.asking.request.clone(),
            room,
            cursor,
            upto,
            range,
            form: PageForm::Entries,
            entries: VecDeque::new(),
            bytes: 0,
        };
        self.read_page(id, asked, now);
    }

    /// Shows the newest messages of a room with their numbers.
    pub(super) fn show_numbers(&mut self, id: ConnId, room: RoomId, limit: u32, now: Tick) {
        self.show_lines(id, room, (PageForm::Numbers, limit), now);
    }

    /// Shows the newest messages of a conversation.
    pub(super) fn show_letters(&mut self, id: ConnId, room: RoomId, limit: u32, now: Tick) {
        self.show_lines(id, room, (PageForm::Letters, limit), now);
    }

    fn show_lines(&mut self, id: ConnId, room: RoomId, (form, limit): (PageForm, u32), now: Tick) {
        let (head, oldest) = (self.log.head(room), self.oldest_for(id, room));
        let asked = Asked {
            request: None,
            room,
            cursor: Seq(head.0.saturating_sub(limit)).max(Seq(oldest.0.saturating_sub(1))),
            upto: head,
            range: Range::Newest,
            form,
            entries: VecDeque::new(),
            bytes: 0,
        };
        self.read_page(id, asked, now);
    }

    /// Searches a room.
    pub(super) fn search(
        &mut self,
        id: ConnId,
        room: RoomId,
        (words, before, limit): (&str, Option<Seq>, u32),
        now: Tick,
    ) {
        let tag = self.readings.next_tag;
        self.readings.next_tag += 1;
        let before = before.unwrap_or(Seq(u32::MAX));
        self.asking.is_answered = true;
        let request = self.asking.request.clone();
        if self.log.search(tag, room, words, before, limit).is_err() {
            return self.fail(id, request.as_ref(), Problem::Busy, now);
        }
        let search = Searched {
            id,
            request,
            room,
            words: Words::new(words),
        };
        self.readings.searches.insert(tag, search);
        self.hold(id, Wait::Page, now);
    }

    /// A page of a room has come from the store: requests that wait for it go on.
    pub(super) fn go_on_reading(&mut self, room: RoomId, now: Tick) {
        let waits = |(id, asked): (&ConnId, &Asked)| (asked.room == room).then_some(*id);
        let ids: Vec<ConnId> = self.readings.pages.iter().filter_map(waits).collect();
        for id in ids {
            if let Some(asked) = self.readings.pages.remove(&id) {
                self.read_page(id, asked, now);
                if !self.readings.pages.contains_key(&id) {
                    self.release(id, Wait::Page, now);
                }
            }
        }
    }

    /// What was read of a room so far may not be there any more: the requests for it fail.
    pub(super) fn stops_reading(&mut self, room: RoomId, now: Tick) {
        let pages = self.readings.pages.iter();
        let pages = pages.filter_map(|(id, asked)| (asked.room == room).then_some(*id));
        for id in pages.collect::<Vec<_>>() {
            self.reading_fails(id, now);
            self.release(id, Wait::Page, now);
        }
        self.stop_errands(room, now);
    }

    fn read_page(&mut self, id: ConnId, mut asked: Asked, now: Tick) {
        self.asking.is_answered = true;
        if !self.log.is_open(asked.room) {
            return self.fail(id, asked.request.as_ref(), Problem::NotAMember, now);
        }
        while asked.cursor < asked.upto && !asked.is_full() {
            let from = asked.cursor;
            let reading = self.log.read(asked.room, from, &mut |entry| {
                let takes = entry.seq <= asked.upto && !asked.is_full();
                if takes {
                    asked.take(&entry);
                }
                takes
            });
            match reading {
                Reading::Read { .. } => {}
                Reading::AtHead => break,
                // Kept, but the store cannot read it now: half a page would pass for a whole one.
                Reading::Gap { oldest } if oldest > self.log.oldest(asked.room) => {
                    let request = asked.request.as_ref();
                    return self.fail(id, request, Problem::StoreUnavailable, now);
                }
                Reading::Gap { oldest } => {
                    // Removed while they were read: the page begins behind them, without a hole.
                    asked.entries.clear();
                    asked.bytes = 0;
                    asked.cursor = Seq(oldest.0.saturating_sub(1)).max(Seq(from.0 + 1));
                }
                Reading::Wait => {
                    self.readings.pages.insert(id, asked);
                    return self.hold(id, Wait::Page, now);
                }
            }
        }
        self.show_page(id, &asked, now);
    }

    fn show_page(&mut self, id: ConnId, asked: &Asked, now: Tick) {
        let name = self.name_for(id, asked.room);
        let oldest = self.oldest_for(id, asked.room);
        let more = match asked.range {
            Range::After(_) => asked.cursor < self.log.head(asked.room),
            Range::Newest | Range::Before(_) => {
                let first = asked.entries.front();
                first.is_some_and(|first| first.seq > oldest)
            }
        };
        let entries: Vec<_> = asked.entries.iter().map(PageEntry::as_entry).collect();
        match asked.form {
            PageForm::Entries => {}
            PageForm::Numbers => {
                return self.show(id, &Shown::Numbers { entries: &entries }, now);
            }
            PageForm::Letters => {
                let (other, entries) = (&name[1..], &entries[..]);
                return self.show(id, &Shown::Letters { other, entries }, now);
            }
        }
        let shown = Shown::History {
            re: asked.request.as_ref(),
            room: &name,
            entries: &entries,
            more,
        };
        self.show(id, &shown, now);
    }

    /// A search has ended. `entries` begin with the newest and are shown in order.
    pub(super) fn found(
        &mut self,
        tag: u64,
        mut entries: Vec<PageEntry>,
        mut more: bool,
        now: Tick,
    ) {
        let Some(search) = self.readings.searches.remove(&tag) else {
            return;
        };
        let Searched {
            id,
            request,
            room,
            mut words,
        } = search;
        if self.log.is_open(room) {
            let name = self.name_for(id, room);
            if self.log.amend_entries(room, &mut entries) {
                entries.retain(|entry| match &entry.draft.content {
                    Content::Said { text, .. } => words.are_in(text),
                    _ => true,
                });
            }
            let oldest = self.oldest_for(id, room);
            more &= entries.last().is_none_or(|last| last.seq > oldest);
            entries.retain(|entry| entry.seq >= oldest);
            let entries: Vec<_> = entries.iter().rev().map(PageEntry::as_entry).collect();
            let shown = Shown::Found {
                re: request.as_ref(),
                room: &name,
                entries: &entries,
                more,
            };
            self.show(id, &shown, now);
        }
        self.release(id, Wait::Page, now);
    }

    /// A search has failed.
    pub(super) fn search_failed(&mut self, tag: u64, now: Tick) {
        if let Some(search) = self.readings.searches.remove(&tag) {
            let request = search.request.as_ref();
            self.fail(search.id, request, Problem::StoreUnavailable, now);
            self.release(search.id, Wait::Page, now);
        }
    }

    /// The store has not answered in time.
    pub(super) fn reading_fails(&mut self, id: ConnId, now: Tick) {
        let page = self.readings.pages.remove(&id);
        let tag = self.readings.searches.iter().find(|(_, s)| s.id == id);
        let tag = tag.map(|(tag, _)| *tag);
        let search = tag.and_then(|tag| self.readings.searches.remove(&tag));
        let request = match (page, search) {
            (Some(page), _) => page.request,
            (None, Some(search)) => search.request,
            (None, None) => return,
        };
        self.fail(id, request.as_ref(), Problem::StoreUnavailable, now);
    }
}
