//! Pages that the log reads: what a room's stream has, in its present form.

use super::super::entry;
use super::super::link::Which;
use super::super::messages::{Found, timed};
use super::super::rooms::{Read, Stage};
use super::super::scripts::{self, Of, Range};
use super::{Ask, CLOSED, Engine, by_name};
use crate::id::{RoomId, Seq};
use crate::log::{Answer, Page};

impl Engine {
    pub(super) fn read(&mut self, id: RoomId, read: Read, with_text: bool) {
        let Some(room) = self.rooms.get_mut(id) else {
            self.answers.push(read_failed(id, read, CLOSED));
            return;
        };
        // A link that is down is no hole in a room: what is to be read is read when it is back.
        if !self.is_up || room.stage != Stage::Live {
            room.reads.push(read);
            return;
        }
        let range = Range {
            first: read.after.0.saturating_add(1),
            last: room.last.0,
            entries_max: read.entries_max.max(1),
            bytes_max: read.bytes_max,
        };
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Read(id, read), self.now, |out, loaded| {
            let of = Of::Room(&room.name);
            scripts::page(out, by_name(loaded, with_text), of, range);
        });
    }

    pub(super) fn was_read(&mut self, id: RoomId, read: Read, found: Option<Found<'_>>) {
        let Some(room) = self.rooms.get_mut(id) else {
            self.answers.push(read_failed(id, read, CLOSED));
            return;
        };
        let found = found.filter(|found| room.current() == Some(found.epoch));
        let Some(found) = found.filter(|_| room.stage == Stage::Live) else {
            room.reads.push(read);
            self.ask_again(id);
            return;
        };
        let page = page(read, room.last, found, self.node);
        self.answers.push(match page {
            Ok(page) => Answer::Page {
                room: id,
                log_gen: read.log_gen,
                page,
            },
            Err(why) => read_failed(id, read, why),
        });
    }
}

pub(super) fn read_failed(room: RoomId, read: Read, why: &str) -> Answer {
    Answer::ReadFailed {
        room,
        log_gen: read.log_gen,
        after: read.after,
        why: why.to_owned(),
    }
}

/// The entries of a page in their present form, up to the newest that the log has.
fn page(read: Read, last: Seq, found: Found<'_>, node: u64) -> Result<Page, &'static str> {
    let oldest = found.oldest;
    let mut page = Page {
        entries: Vec::new(),
        complete_to: read.after.max(Seq(oldest.0.saturating_sub(1))).min(last),
        oldest,
    };
    for (seq, bytes, change) in found.entries {
        if seq > last {
            break;
        }
        if page.complete_to.next() != Some(seq) {
            if !page.entries.is_empty() {
                break;
            }
            // Numbers that were given to no entry.
            page.oldest = seq;
        }
        let (at, bytes) = timed(bytes).ok_or("an entry has no time")?;
        let decoded = entry::decode(bytes, node).map_err(|damaged| damaged.0)?;
        let draft = decoded.draft;
        let entry = entry::present(seq, at, draft, change).map_err(|damaged| damaged.0)?;
        page.entries.push(entry);
        page.complete_to = seq;
    }
    Ok(page)
}
