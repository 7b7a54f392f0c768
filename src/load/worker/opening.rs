//! Begins connections: the first ones at a rate, others when a churn step wants them. A
//! connection's time to connect counts from the moment at which it was due, so a late tester or a
//! slow server cannot hide in it.

use super::super::client::{Client, Phase};
use super::super::options::Share;
use super::super::request::Request;
use super::super::schedule::Schedule;
use super::super::tally::{Count, Time};
use super::super::url;
use super::{STEPS_PER_TURN, Worker};
use crate::id::ConnId;
use crate::net::dial::{DialError, Micros};
use std::net::{IpAddr, Ipv4Addr};

/// The kernel's receive buffer of a slow member, so that the server notices it early.
const SLOW_RECEIVE_BYTES: usize = 4096;

/// Which connections are still to be begun, and when.
pub(super) struct Opening {
    schedule: Schedule,
    next: usize,
    until: usize,
}

impl Opening {
    pub(super) fn none() -> Self {
        Self {
            schedule: Schedule::new(0, 1.0),
            next: 0,
            until: 0,
        }
    }

    /// Goes on to `until` connections, from now on at this rate.
    fn go_on(&mut self, until: usize, now: Micros, per_second: f64) {
        self.schedule = Schedule::new(now, per_second);
        self.until = until;
    }

    /// Begins anew from this slot on.
    fn again(&mut self, from: usize, until: usize, now: Micros, per_second: f64) {
        self.next = from;
        self.go_on(until, now, per_second);
    }

    /// When the next connection is due.
    pub(super) fn due(&self) -> Option<Micros> {
        (self.next < self.until).then(|| self.schedule.due())
    }

    /// A slot whose connection is due, and since when.
    fn take(&mut self, now: Micros) -> Option<(usize, Micros)> {
        self.due()?;
        let due = self.schedule.take(now)?;
        let slot = self.next;
        self.next += 1;
        Some((slot, due))
    }

    const fn unopened(&self) -> usize {
        self.until.saturating_sub(self.next)
    }
}

impl Worker {
    /// Opens connections until all processes together have begun `total`.
    pub(super) fn open_until(&mut self, total: usize, now: Micros) {
        // The parts of all processes must add up to the total.
        let all = self.options.total();
        let share = self.options.share.unwrap_or(Share { index: 0, of: 1 });
        let at = |index: usize| total.min(all) * index / share.of;
        let part = if total >= all {
            self.slots.len()
        } else {
            at(share.index + 1) - at(share.index)
        };
        let until = part.min(self.slots.len());
        let per_second = self.per_second(self.options.connect_rate);
        self.opening.go_on(until, now, per_second);
        self.note_unopened();
    }

    /// Opens the connections of all that vanished.
    pub(super) fn open_again(&mut self, now: Micros) {
        let per_second = self.per_second(self.options.return_rate);
        let (from, until) = (self.options.speakers(), self.slots.len());
        self.opening.again(from, until, now, per_second);
        self.note_unopened();
    }

    /// What has not been begun will not be begun, and has failed.
    pub(super) fn give_up_opening(&mut self) {
        let unopened = self.opening.unopened();
        self.tally.counts.add(Count::NotBegun, unopened as u64);
        self.opening = Opening::none();
        self.note_unopened();
    }

    fn note_unopened(&mut self) {
        let unopened = self.opening.unopened();
        self.tally.counts.set(Count::Unopened, unopened as u64);
    }

    pub(super) fn open_due(&mut self, now: Micros) {
        for _ in 0..STEPS_PER_TURN {
            let Some((slot, due)) = self.opening.take(now) else {
                return;
            };
            self.note_unopened();
            if self.slots.at(slot).is_none() {
                self.dial(slot, due);
            }
        }
    }

    /// Begins the connection of an empty slot, which was due at this moment.
    pub(super) fn dial(&mut self, slot: usize, due: Micros) {
        let now = self.now();
        self.tally.record(Time::ConnectLag, now.saturating_sub(due));
        let number = self.ours.start + slot;
        let from = (self.options.sources > 1).then(|| {
            let last = 1 + (number % self.options.sources as usize) as u8;
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
        });
        let receive_bytes = self.is_slow(slot).then_some(SLOW_RECEIVE_BYTES);
        let id = self.slots.next_id(slot);
        match self.dialer.connect(&self.target, from, receive_bytes, id) {
            Ok(stream) => {
                let request = Request::new(&self.options, self.room_of(slot), number);
                self.slots.put(id, Client::new(stream, due, request));
                self.connects.start(now, id);
                self.change(Count::Pending, 1);
                self.begin_tls(id);
            }
            Err(why) => self.tally.counts.add(failure(why), 1),
        }
    }

    /// True: the system has connected, and the request is on its way.
    pub(super) fn take_connected(&mut self, id: ConnId) -> bool {
        let Some(client) = self.slots.get_mut(id) else {
            return false;
        };
        match self.dialer.connected(&client.stream) {
            Ok(false) => false,
            Ok(true) => {
                client.phase = Phase::Upgrading;
                self.flush(id);
                true
            }
            Err(why) => {
                self.fail(id, failure(why));
                false
            }
        }
    }

    pub(super) fn take_upgraded(&mut self, id: ConnId, now: Micros) {
        if self.programs.is_some() {
            return self.greet(id);
        }
        self.take_open(id, now);
        if let Some(join) = &self.options.join {
            let slot = Self::slot(id);
            let text = url::fill(join, self.room_of(slot), self.ours.start + slot);
            self.send_text(id, text.as_bytes());
        }
    }

    /// The client is in its room.
    pub(super) fn take_open(&mut self, id: ConnId, now: Micros) {
        let Some(client) = self.slots.get_mut(id) else {
            return;
        };
        client.phase = Phase::Open;
        let took = now.saturating_sub(client.due);
        self.tally.record(Time::Connecting, took);
        self.change(Count::Pending, -1);
        self.change(Count::Open, 1);
        self.tally.counts.add(Count::Connected, 1);
        let slot = Self::slot(id);
        if self.is_slow(slot) {
            self.tally.counts.add(Count::Slow, 1);
        } else if let Some(talk) = &mut self.talk {
            talk.joined(slot);
        }
    }

    /// The server has not upgraded the connection in time. It counts with the time that it was
    /// waited for, or the slowest connections would be missing from the percentiles.
    pub(super) fn give_up_connect(&mut self, id: ConnId, now: Micros) {
        let pending = self
            .slots
            .get(id)
            .filter(|client| client.phase.is_pending());
        if let Some(client) = pending {
            let waited = now.saturating_sub(client.due);
            self.tally.record(Time::Connecting, waited);
            self.fail(id, Count::TimedOut);
        }
    }
}

const fn failure(why: DialError) -> Count {
    match why {
        DialError::Refused => Count::Refused,
        DialError::Reset => Count::Reset,
        DialError::TimedOut => Count::TimedOut,
        DialError::Descriptors => Count::Descriptors,
        DialError::Ports => Count::Ports,
        DialError::Other => Count::Unanswered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_due_at_the_rate_and_in_order() {
        let mut opening = Opening::none();
        assert_eq!(opening.due(), None);
        opening.go_on(3, 1_000, 1_000.0);
        assert_eq!(opening.unopened(), 3);
        let taken: Vec<_> = std::iter::from_fn(|| opening.take(2_500)).collect();
        assert_eq!(taken, [(0, 1_000), (1, 2_000)]);
        assert_eq!((opening.due(), opening.unopened()), (Some(3_000), 1));
        assert_eq!(opening.take(9_000), Some((2, 3_000)));
        assert_eq!((opening.take(9_000), opening.due()), (None, None));
    }

    #[test]
    fn second_stretch_goes_on_where_the_first_ended() {
        let mut opening = Opening::none();
        opening.go_on(1, 0, 1_000.0);
        assert_eq!(opening.take(50_000), Some((0, 0)));
        opening.go_on(2, 70_000, 1_000.0);
        assert_eq!(opening.take(80_000), Some((1, 70_000)));
    }
}
