//! Members of several servers: what those of this one do is told once in 100 ms, and what is known
//! of the others becomes notices. Knows no key of the engine.

use super::Server;
use crate::chat::{Moves, Sighting};
use crate::id::{RoomId, Tick};
use crate::net::Net;
use std::collections::{BTreeSet, VecDeque};

/// What is told in one tick at most, so that a crowd that comes back leaves Redis time: a
/// difference counts as some members do.
const TOLD_PER_TICK: usize = 4_096;
const DIFFERENCE_COSTS: usize = 4;

/// What is to be told of the members here.
#[derive(Default)]
pub(super) struct Telling {
    /// Rooms of which all members are to be named.
    wanted: BTreeSet<RoomId>,
    /// Differences, in order.
    queue: VecDeque<(RoomId, Moves)>,
    /// Nothing is told before this.
    from: Tick,
}

impl Telling {
    fn has_work(&self) -> bool {
        !self.wanted.is_empty() || !self.queue.is_empty()
    }
}

impl<N: Net> Server<N> {
    /// Something is known of the members that other servers have.
    pub(super) fn members_sighted(&mut self, room: RoomId, what: Sighting, now: Tick) {
        self.chat_step(now, |chat, effects| chat.sighted(room, what, now, effects));
    }

    /// Servers are gone, and their members with them: they are removed in slices.
    pub(super) fn servers_died(&mut self, dead: &[u64]) {
        for node in dead {
            self.talk.chat_mut().server_died(*node);
        }
    }

    /// The engine wants to know which members are here.
    pub(super) fn members_wanted(&mut self, room: RoomId) {
        self.telling.wanted.insert(room);
    }

    /// When [`Server::step_presence`] has something to do.
    pub(super) fn presence_due(&self) -> Option<Tick> {
        if self.talk.chat().has_stale_members() {
            return Some(Tick(0));
        }
        let has_work = self.telling.has_work() || self.talk.chat().has_moves();
        has_work.then_some(self.telling.from)
    }

    /// A step of the turn: tells what is due, and removes a slice of the members that are gone.
    pub(super) fn step_presence(&mut self, now: Tick) {
        let Some(due) = self.presence_due() else {
            return;
        };
        if self.talk.chat().has_stale_members() {
            self.chat_step(now, |chat, effects| chat.sweep_members(now, effects));
        }
        if due <= now && self.telling.from <= now {
            self.telling.from = now + 1;
            self.tell_members();
        }
    }

    fn tell_members(&mut self) {
        let chat = self.talk.chat_mut();
        let mut left = TOLD_PER_TICK;
        if self.log.is_cut_off() {
            // All are wanted when the link is back.
            while chat.take_moves().is_some() {}
            self.telling = Telling {
                from: self.telling.from,
                ..Telling::default()
            };
            return;
        }
        loop {
            if let Some((room, moves)) = self.telling.queue.pop_front() {
                let cost = DIFFERENCE_COSTS + moves.came.len() + moves.left.len();
                self.log.present(room, moves);
                left = left.saturating_sub(cost);
                if left == 0 {
                    return;
                }
            } else if let Some(room) = self.telling.wanted.pop_first() {
                let all = chat.all_moves(room).into_iter();
                self.telling.queue.extend(all.map(|moves| (room, moves)));
            } else if let Some((room, moves)) = chat.take_moves() {
                let moves = moves.into_iter();
                self.telling.queue.extend(moves.map(|moves| (room, moves)));
            } else {
                return;
            }
        }
    }
}
