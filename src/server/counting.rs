//! The list of rooms over several servers: in which rooms this one has members, and how many, is told
//! once a second. Knows no key of the engine.

use super::Server;
use crate::chat::Counts;
use crate::id::Tick;
use crate::net::Net;
use std::collections::VecDeque;

/// What has changed is told after so long: a second. A room that came and went meanwhile is nothing.
const TELL_TICKS: u32 = 10;

/// Differences that are told in one tick at most, so that a server with many rooms leaves Redis time.
const TOLD_PER_TICK: usize = 8;

/// What is to be told of the rooms here.
#[derive(Default)]
pub(super) struct Counting {
    /// All rooms are to be named.
    pub(super) is_wanted: bool,
    /// Differences, in order.
    queue: VecDeque<Counts>,
    /// When what has changed is told; `None`: nothing has.
    due: Option<Tick>,
}

impl Counting {
    fn has_work(&self) -> bool {
        self.is_wanted || !self.queue.is_empty()
    }
}

impl<N: Net> Server<N> {
    /// When [`Server::step_counting`] has something to do.
    pub(super) fn counting_due(&self) -> Option<Tick> {
        let is_stale = self.talk.chat().has_stale_rooms();
        let due = || self.counting.due.filter(|_| !is_stale);
        (is_stale || self.has_counts()).then(|| due().unwrap_or(Tick(0)))
    }

    fn has_counts(&self) -> bool {
        self.counting.has_work() || self.talk.chat().has_counts()
    }

    /// A step of the turn: tells what is due, and removes a slice of the rooms that are gone.
    pub(super) fn step_counting(&mut self, now: Tick) {
        self.talk.chat_mut().sweep_rooms();
        if !self.has_counts() {
            return;
        }
        let wait = if self.counting.has_work() {
            1
        } else {
            TELL_TICKS
        };
        if *self.counting.due.get_or_insert(now + wait) <= now {
            self.tell_rooms();
            self.counting.due = self.counting.has_work().then_some(now + 1);
        }
    }

    fn tell_rooms(&mut self) {
        let chat = self.talk.chat_mut();
        let counting = &mut self.counting;
        if self.log.is_cut_off() {
            // All are wanted when the link is back.
            chat.take_counts();
            (counting.is_wanted, counting.queue) = (false, VecDeque::new());
            return;
        }
        if std::mem::take(&mut counting.is_wanted) {
            // What was to be told is among them.
            counting.queue = chat.all_counts().into();
        } else if counting.queue.is_empty() {
            counting.queue = chat.take_counts().into();
        }
        let count = counting.queue.len().min(TOLD_PER_TICK);
        for counts in counting.queue.drain(..count) {
            self.log.count(counts);
        }
    }
}
