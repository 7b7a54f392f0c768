//! Ends connections: one after a close frame of either side, or all of them. Every connection that
//! ends is counted once, with the reason.

use super::super::client::Phase;
use super::super::tally::{Count, Time};
use super::{LEAVE_MICROS_MAX, Worker};
use crate::frame::Frame;
use crate::id::ConnId;
use crate::net::dial::Micros;

/// Unanswered close frames at the same time when all connections are closed: a server that informs
/// the others of every one needs the time for it.
const LEAVING_MAX: usize = 256;

/// How far the closing of all connections is.
#[derive(Default)]
pub(super) struct Leaving {
    /// All are to be closed; from this slot on none is yet.
    from: Option<usize>,
    /// Connections with an unanswered close frame of ours.
    unanswered: usize,
}

impl Leaving {
    pub(super) const fn begin(&mut self) {
        self.from = Some(0);
    }

    /// More connections are to be closed now.
    pub(super) const fn is_more_allowed(&self) -> bool {
        self.from.is_some() && self.unanswered < LEAVING_MAX
    }

    /// The next slot of `slots` whose connection is to be closed now.
    fn next(&mut self, slots: usize) -> Option<usize> {
        if !self.is_more_allowed() {
            return None;
        }
        let slot = self.from?;
        self.from = (slot < slots).then_some(slot + 1);
        self.from.map(|_| slot)
    }
}

impl Worker {
    /// The connection is over; `how` is counted if it is the server's doing.
    pub(super) fn end(&mut self, id: ConnId, how: Count) {
        let Some(client) = self.slots.get(id) else {
            return;
        };
        match client.phase {
            Phase::Dialing | Phase::Upgrading | Phase::Joining => {
                let why = match how {
                    Count::Broken => Count::Reset,
                    _ => Count::Unanswered,
                };
                return self.fail(id, why);
            }
            Phase::Open => {
                self.change(Count::Open, -1);
                self.blame(id, how);
                self.absent(id);
            }
            Phase::Leaving { since } => {
                self.tally.counts.add(Count::Left, 1);
                if let Some(since) = since {
                    let took = self.now().saturating_sub(since);
                    self.tally.record(Time::Leaving, took);
                }
            }
            Phase::Dismissed => {}
        }
        self.forget(id);
    }

    /// Counts that the server has ended a connection. It may do so with a slow one.
    pub(super) fn blame(&mut self, id: ConnId, how: Count) {
        let slot = Self::slot(id);
        if self.is_excused(slot) {
            return;
        }
        let how = if self.is_slow(slot) {
            Count::SlowGone
        } else {
            how
        };
        self.tally.counts.add(how, 1);
    }

    /// A pending connection has failed.
    pub(super) fn fail(&mut self, id: ConnId, why: Count) {
        self.tally.counts.add(why, 1);
        self.change(Count::Pending, -1);
        self.forget(id);
    }

    /// Drops the connection. While churn goes on, another takes the place of one that was closed,
    /// and is due now.
    fn forget(&mut self, id: ConnId) {
        let client = self.slots.take(id);
        let Some(Phase::Leaving { .. }) = client.map(|client| client.phase) else {
            return;
        };
        self.leaving.unanswered -= 1;
        if self.churn.as_ref().is_some_and(|churn| churn.is_going_on()) {
            self.dial(Self::slot(id), self.now());
        }
    }

    /// No message is expected to reach this member any more.
    pub(super) fn absent(&mut self, id: ConnId) {
        let slot = Self::slot(id);
        if !self.is_slow(slot)
            && let Some(talk) = &mut self.talk
        {
            talk.left(slot);
        }
    }

    /// Closes a connection; a pending one is dropped, and counts as unfinished. `since`: when a
    /// churn step was due.
    pub(super) fn leave(&mut self, id: ConnId, since: Option<Micros>) {
        let Some(client) = self.slots.get_mut(id) else {
            return;
        };
        match client.phase {
            Phase::Open => {}
            Phase::Dialing | Phase::Upgrading | Phase::Joining => {
                return self.fail(id, Count::Unfinished);
            }
            Phase::Leaving { .. } | Phase::Dismissed => return,
        }
        client.phase = Phase::Leaving { since };
        self.leaving.unanswered += 1;
        self.change(Count::Open, -1);
        self.absent(id);
        let frame = Frame::client_close(Some(1000), self.masks.next());
        self.send(id, frame.bytes());
        self.await_end(id);
    }

    pub(super) fn await_end(&mut self, id: ConnId) {
        let now = self.now();
        self.farewells.start(now, id);
    }

    /// The server has not ended the connection in time. It counts with the time that it was waited
    /// for.
    pub(super) fn give_up_farewell(&mut self, id: ConnId, now: Micros) {
        let Some(client) = self.slots.get(id).filter(|client| client.phase.is_ending()) else {
            return;
        };
        if let Phase::Leaving { since: Some(since) } = client.phase {
            self.tally.record(Time::Leaving, now.saturating_sub(since));
        }
        self.tally.counts.add(Count::Ignored, 1);
        self.forget(id);
    }

    pub(super) fn leave_due(&mut self) {
        while let Some(slot) = self.leaving.next(self.slots.len()) {
            if let Some((id, _)) = self.slots.at(slot) {
                self.leave(id, None);
            }
        }
    }

    /// All connections have ended, and there will be no others.
    pub(in crate::load) fn is_empty(&self) -> bool {
        self.leaving.from.is_none() && self.slots.iter().next().is_none()
    }

    /// Drops what is left when the patience for closing is over.
    pub(in crate::load) fn abandon(&mut self) {
        let ids: Vec<ConnId> = self.slots.iter().map(|(id, _)| id).collect();
        for id in ids {
            // Not asked yet: the server took too long with the others.
            self.leave(id, None);
            self.give_up_farewell(id, self.now() + LEAVE_MICROS_MAX);
        }
        self.leaving.from = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_slots_are_closed_in_order_and_no_more_than_allowed_at_a_time() {
        let mut leaving = Leaving::default();
        assert_eq!(leaving.next(2), None);
        leaving.begin();
        leaving.unanswered = LEAVING_MAX;
        assert_eq!(leaving.next(2), None);
        leaving.unanswered = LEAVING_MAX - 1;
        assert_eq!([0; 3].map(|_| leaving.next(2)), [Some(0), Some(1), None]);
        assert_eq!(leaving.from, None);
    }
}
