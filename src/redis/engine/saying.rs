//! Entries that are to be numbered, and those that were.

use super::super::entry;
use super::super::link::Which;
use super::super::messages::Said;
use super::super::rooms::Outcome;
use super::super::scripts::{self, Incarnation, Sent};
use super::{Ask, Engine, by_name};
use crate::log::{Answer, RefusedWhy, Unnumbered};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

impl Engine {
    pub(super) fn say(&mut self, asked: Box<Unnumbered>, with_text: bool) {
        if !self.is_up {
            return; // The log hands it over again.
        }
        if self
            .rooms
            .get(asked.room)
            .is_none_or(|room| !room.is_told())
        {
            self.answers.push(Answer::Refused {
                room: asked.room,
                tag: asked.tag,
                why: RefusedWhy::NotOpen,
            });
            return;
        }
        let salt = self.new_salt();
        let link = &mut self.links[Which::Commands as usize];
        let run = link.server.run.clone();
        let known = Incarnation {
            run: &run,
            salt,
            epoch_max: self.epoch_max,
        };
        let (node, keep) = (self.node, self.settings.keep);
        let payload = entry::encode(&asked.draft, asked.judged.by, node);
        let mut bytes = Vec::new();
        let names = by_name(&link.loaded, with_text);
        let sent = Sent {
            node,
            link: link.number,
            deadline: link.deadline(self.now),
        };
        scripts::say(&mut bytes, names, &asked, &payload, known, sent, keep);
        link.ask(Ask::Say(asked), self.now, |out, _| {
            out.extend_from_slice(&bytes)
        });
    }

    pub(super) fn was_said(&mut self, asked: Box<Unnumbered>, said: Said) {
        let id = asked.room;
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        room.said(asked, said);
        self.with_room(id, |room, out| {
            let mut outcome = Outcome::default();
            room.settle(&mut outcome, out);
            outcome
        });
    }

    /// For an epoch that may begin: 32 bits of the run id, a secret and a number.
    pub(super) fn new_salt(&mut self) -> u32 {
        self.salts_given += 1;
        let mut hasher = SipHasher13::new_with_keys(self.salts.0, self.salts.1);
        let link = &self.links[Which::Commands as usize];
        hasher.write(link.server.run.as_bytes());
        hasher.write_u64(self.salts_given);
        hasher.finish() as u32
    }
}
