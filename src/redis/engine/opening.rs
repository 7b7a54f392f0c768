//! Rooms are subscribed to, asked for, and step on as something comes of them.

use super::super::entry::{self, Decoded, Ready};
use super::super::link::Which;
use super::super::messages::{Published, State, written};
use super::super::report::Report;
use super::super::rooms::{Outcome, Room, Stage};
use super::super::scripts::{self, Incarnation, Of};
use super::{Ask, Engine, SUBSCRIBE_MAX, by_name};
use crate::id::{Millis, RoomId, Seq};
use crate::log::{Answer, EpochInfo};
use smol_str::SmolStr;
use std::mem;

impl Engine {
    /// Subscribes to the rooms that are to be, in one command, and asks what is kept of each behind it.
    pub(super) fn subscribe(&mut self) {
        let is_due = self.is_up && self.wanted_from <= self.now && !self.wanted.is_empty();
        if !is_due || (self.opening > 0 && self.opening + self.wanted.len() > SUBSCRIBE_MAX) {
            return;
        }
        let count = self.wanted.len().min(SUBSCRIBE_MAX);
        let ids: Vec<RoomId> = self.wanted.drain(..count).collect();
        let names = ids.iter().filter_map(|id| self.rooms.get(*id));
        let both = |name: &str| [scripts::channel(name), scripts::members_channel(name)];
        let channels: Vec<SmolStr> = names.flat_map(|room| both(&room.name)).collect();
        if channels.is_empty() {
            return;
        }
        let words = channels.iter().map(|channel| channel.as_bytes());
        let words: Vec<&[u8]> = std::iter::once(&b"SUBSCRIBE"[..]).chain(words).collect();
        self.link(Which::Subscriptions).tell(&words);
        for id in ids {
            let was_open = self.rooms.get(id).is_some_and(Room::is_told);
            self.see_all(id);
            self.open(id, None, false);
            if was_open {
                self.wants_members(id);
            }
        }
        if !self.wanted.is_empty() {
            // So that servers that come back together do not keep step.
            self.wanted_from = self.now + self.chance.below(2) as u32;
        }
    }

    /// Asks what is kept of a room that is subscribed to. `after`: an epoch that must not stay the
    /// current one.
    pub(super) fn open(&mut self, id: RoomId, after: Option<EpochInfo>, with_text: bool) {
        let salt = self.new_salt();
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        room.ask();
        self.opening += 1;
        let link = &mut self.links[Which::Subscriptions as usize];
        let run = link.server.run.clone();
        let known = Incarnation {
            run: &run,
            salt,
            epoch_max: self.epoch_max,
        };
        let epoch = after.or_else(|| room.current());
        let epoch = epoch.map(written).unwrap_or_default();
        // More than there can be: the script begins another epoch.
        let seen = after.map_or(room.last.0, |_| u32::MAX);
        let seen = (epoch.as_str(), seen);
        link.ask(Ask::Open(id), self.now, |out, loaded| {
            let of = Of::Room(&room.name);
            scripts::open(out, by_name(loaded, with_text), of, known, seen);
        });
    }

    /// Asks again what is kept of a live room: something does not fit what is known of it.
    pub(super) fn ask_again(&mut self, id: RoomId) {
        if self.is_up
            && self
                .rooms
                .get(id)
                .is_some_and(|room| room.stage == Stage::Live)
        {
            self.open(id, None, false);
        }
    }

    pub(super) fn opened(&mut self, id: RoomId, state: State) {
        self.note_epoch(&state);
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        if room.stage != Stage::Asked {
            return;
        }
        if room.is_seeing() {
            return room.awaits_members();
        }
        if let Some(epoch) = self.is_too_low(id, &state) {
            self.open(id, Some(epoch), false);
            return;
        }
        self.with_room(id, |room, out| room.answer_came(state, out));
        let reads = self
            .rooms
            .get_mut(id)
            .map(|room| mem::take(&mut room.reads));
        for read in reads.unwrap_or_default() {
            self.read(id, read, false);
        }
    }

    /// The current epoch of Redis, if its number is not above those that this server knows of the
    /// room: Redis had lost the room, and was asked by a server that knew less.
    pub(super) fn is_too_low(&self, id: RoomId, state: &State) -> Option<EpochInfo> {
        let room = self.rooms.get(id)?;
        let newest = state.turns.last()?.epoch;
        let is_new = room.current() != Some(newest);
        (is_new && newest.epoch <= room.highest()).then_some(newest)
    }

    pub(super) fn note_epoch(&mut self, state: &State) {
        for turn in &state.turns {
            self.epoch_max = self.epoch_max.max(turn.epoch.epoch);
        }
    }

    /// One step of a room, and what follows from it.
    pub(super) fn with_room(
        &mut self,
        id: RoomId,
        step: impl FnOnce(&mut Room, &mut Vec<Answer>) -> Outcome,
    ) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        let outcome = step(room, &mut self.answers);
        if outcome.epochs > 0 {
            self.answers.push(Answer::MembersWanted { room: id });
        }
        self.figures.epochs += outcome.epochs;
        self.figures.missed += outcome.missed;
        if let Some((kept_to, seen)) = outcome.lost
            && let Some(epoch) = room.current()
        {
            self.figures.losses += 1;
            self.reports.push(Report::Lost {
                room: room.name.clone(),
                kept_to,
                seen,
                epoch,
            });
        }
        if outcome.missed > 0 {
            self.reports.push(Report::Missed {
                room: room.name.clone(),
                oldest: Seq(room.last.0.saturating_add(1)),
            });
        }
        if outcome.has_removed {
            self.looks_later(id);
        }
        for asked in outcome.again {
            self.say(Box::new(asked), false);
        }
        if self.rooms.get(id).is_some_and(Room::is_ahead) {
            self.ask_again(id);
        } else {
            self.refill(id);
        }
    }

    pub(super) fn published(&mut self, id: RoomId, published: Published<'_>) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        if room.current() != Some(published.epoch) {
            self.ask_again(id);
            return;
        }
        let Published { seq, at, entry, .. } = published;
        let decoded = entry::decode(entry, self.node);
        self.with_room(id, |room, out| {
            let mut outcome = Outcome::default();
            match decoded {
                Ok(Decoded { draft, by }) => {
                    let ready = Ready { seq, at, draft, by };
                    room.published(ready, &mut outcome, out);
                }
                // The stream has it, where it is skipped when it is its turn.
                Err(_) => room.is_there(seq),
            }
            outcome
        });
    }

    /// An entry as the log takes it. `None`: it cannot be read, which is reported.
    pub(super) fn ready(
        &mut self,
        id: RoomId,
        seq: Seq,
        at: Millis,
        bytes: &[u8],
    ) -> Option<Ready> {
        match entry::decode(bytes, self.node) {
            Ok(Decoded { draft, by }) => Some(Ready { seq, at, draft, by }),
            Err(damaged) => {
                let room = self.rooms.get(id)?.name.clone();
                self.reports.push(Report::Unreadable {
                    room,
                    seq,
                    why: damaged.0,
                });
                None
            }
        }
    }
}
