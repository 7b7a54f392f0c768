//! Clients that read their rooms page by page: each asks for the next page when it has one. What is
//! a right page is for `pages` to say.

use super::super::object::Object;
use super::super::seat;
use super::super::tally::{Count, Time};
use super::Worker;
use crate::id::ConnId;
use crate::net::dial::Micros;

impl Worker {
    /// All clients begin to read.
    pub(super) fn begin_paging(&mut self) {
        let Some(programs) = &mut self.programs else {
            return;
        };
        programs.is_paging = true;
        for slot in 0..self.slots.len() {
            if let Some(id) = self.open_at(slot) {
                self.ask_page(id);
            }
        }
    }

    pub(super) fn stop_paging(&mut self) {
        if let Some(programs) = &mut self.programs {
            programs.is_paging = false;
        }
    }

    fn ask_page(&mut self, id: ConnId) {
        let (slot, now) = (Self::slot(id), self.now());
        let Some(programs) = &mut self.programs else {
            return;
        };
        if !programs.is_paging {
            return;
        }
        let position = programs.seats[slot].position();
        let before = programs.pages.ask(slot, position, now);
        let request = seat::history(self.room_of(slot), before, self.options.page);
        self.send_text(id, request.as_bytes());
    }

    pub(super) fn take_page(&mut self, id: ConnId, page: &Object<'_>, now: Micros) {
        let slot = Self::slot(id);
        let room = self.room_of(slot);
        let said = self.options.said() as u32;
        let Some(programs) = &mut self.programs else {
            return;
        };
        let base = programs.bases[room];
        // What the speaker said must be there as it was said; what was there before may be anything.
        let is_as_said = |entry: &Object<'_>| {
            let (Some(seq), Some(base)) = (entry.seq, base) else {
                return entry.seq.is_some();
            };
            let is_said = seq > base && seq - base <= said;
            !is_said
                || seat::said(entry).is_some_and(|marker| programs.is_as_said(room, seq, marker))
        };
        let entries = page.entries.as_deref().unwrap_or_default();
        let are_as_said = page.entries.is_some() && entries.iter().all(is_as_said);
        let numbers: Vec<u32> = entries.iter().filter_map(|entry| entry.seq).collect();
        let oldest = base.filter(|base| *base == 0).map(|_| 1);
        let answer = programs.pages.take(slot, &numbers, page.more, oldest);
        let counts = &mut self.tally.counts;
        let is_right = are_as_said && answer.is_some_and(|answer| answer.is_right);
        counts.add(Count::WrongPages, u64::from(!is_right));
        counts.add(Count::Arrivals, 1);
        let Some(answer) = answer else { return };
        if self.counting.is_some() {
            counts.add(Count::Pages, 1);
            counts.add(Count::PageEntries, numbers.len() as u64);
            let took = now.saturating_sub(answer.asked_at);
            self.tally.record(Time::Page, took);
        }
        self.ask_page(id);
    }

    pub(super) fn retry_page(&mut self, id: ConnId, now: Micros) {
        self.tally.counts.add(Count::PagesRefused, 1);
        if let Some(programs) = &mut self.programs {
            programs.pages.give_up(Self::slot(id));
            programs.retries.start(now, id);
        }
    }

    /// Asks again for pages that were refused a moment ago. To be called now and then.
    pub(super) fn ask_again(&mut self, now: Micros) {
        while let Some(programs) = &mut self.programs
            && let Some(id) = programs.retries.expired(now)
        {
            if self.open_at(Self::slot(id)) == Some(id) {
                self.ask_page(id);
            }
        }
    }
}
