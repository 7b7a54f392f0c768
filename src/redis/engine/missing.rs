//! Entries that did not come are read from the stream, in small pages on the connection for commands,
//! and the newest numbers are compared so that none is missed unnoticed.

use super::super::link::Which;
use super::super::messages::{Found, timed};
use super::super::rooms::{Outcome, Stage};
use super::super::scripts::{self, Of, Range};
use super::{Ask, Engine, REFILL_BYTES, SUBSCRIBE_MAX, TOPS_MAX, TOPS_STEPS, by_name};
use crate::id::{RoomId, Seq};
use crate::log::EpochInfo;

impl Engine {
    pub(super) fn refill(&mut self, id: RoomId) {
        if !self.is_up {
            return;
        }
        while let Some(room) = self.rooms.get_mut(id) {
            let was_whole = room.is_whole();
            let Some((first, last)) = room.next_refill() else {
                return;
            };
            self.figures.refills += u64::from(was_whole);
            let generation = room.refill_gen;
            self.read_stream(id, generation, first, last, false);
        }
    }

    pub(super) fn read_stream(
        &mut self,
        id: RoomId,
        generation: u32,
        first: Seq,
        last: Seq,
        with_text: bool,
    ) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        let range = Range {
            first: first.0,
            last: last.0,
            entries_max: u32::MAX,
            bytes_max: REFILL_BYTES,
        };
        let ask = Ask::Refill {
            room: id,
            generation,
            first,
            last,
        };
        let link = &mut self.links[Which::Commands as usize];
        link.ask(ask, self.now, |out, loaded| {
            let of = Of::Room(&room.name);
            scripts::page(out, by_name(loaded, with_text), of, range);
        });
    }

    /// A page from the stream came. The entries come as they were numbered: what changed them since
    /// has numbers of its own.
    pub(super) fn refilled(
        &mut self,
        id: RoomId,
        generation: u32,
        (first, last): (Seq, Seq),
        found: Option<Found<'_>>,
    ) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        if room.refill_gen != generation || room.stage != Stage::Live {
            return;
        }
        let found = found.filter(|found| room.current() == Some(found.epoch));
        let Some(found) = found.filter(|found| found.head >= last) else {
            self.ask_again(id);
            return;
        };
        // A page that does not follow what came, for the one before it ended early.
        let follows = first.0 <= room.last.0.saturating_add(1);
        let mut entries = Vec::new();
        if follows {
            for (seq, bytes, _) in found.entries {
                let timed = timed(bytes);
                let ready = timed.and_then(|(at, bytes)| self.ready(id, seq, at, bytes));
                entries.push((seq, ready));
            }
        }
        self.figures.refilled += entries.len() as u64;
        self.with_room(id, |room, out| {
            let mut outcome = Outcome::default();
            if follows {
                let oldest = entries
                    .first()
                    .map_or_else(|| Seq(last.0.saturating_add(1)), |(seq, _)| *seq);
                // Nothing is kept of the page, or not its beginning.
                room.skip(oldest.max(found.oldest), &mut outcome, out);
            }
            for (seq, ready) in entries {
                room.skip(seq, &mut outcome, out);
                match ready {
                    Some(ready) => room.refilled(ready, &mut outcome, out),
                    None => room.skip(Seq(seq.0.saturating_add(1)), &mut outcome, out),
                }
            }
            room.refill_ends(&mut outcome, out);
            outcome
        });
    }

    pub(super) fn compare_tops(&mut self) {
        self.tell_again();
        if self.tops_asked {
            return;
        }
        let count = self
            .rooms
            .count
            .div_ceil(TOPS_STEPS)
            .clamp(SUBSCRIBE_MAX, TOPS_MAX);
        let (ids, next) = self.rooms.live_from(self.tops_next, count);
        self.tops_next = next;
        self.tops_asked = true;
        let rooms = ids.iter().filter_map(|id| self.rooms.get(*id));
        let names: Vec<&str> = rooms.map(|room| room.name.as_str()).collect();
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Tops(ids), self.now, |out, loaded| {
            scripts::tops(out, Some(loaded), names.into_iter());
        });
    }

    pub(super) fn top_came(&mut self, id: RoomId, top: Option<(EpochInfo, Seq)>) {
        let Some(room) = self
            .rooms
            .get_mut(id)
            .filter(|room| room.stage == Stage::Live)
        else {
            return;
        };
        match top {
            Some((epoch, head)) if room.current() == Some(epoch) => {
                if room.top_came(head) {
                    self.refill(id);
                }
            }
            _ => self.ask_again(id),
        }
    }
}
