//! What happens to peers that cause more work than their messages do: they are not read for a while
//! and, at the third time within a minute, closed. What costs how much is in `conn/state.rs`.
//!
//! Knows which connections were paused and when, at no cost to those that never are.

use super::Server;
use crate::carry::carried;
use crate::conn::state::Work;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::ws::CloseReason;
use std::collections::HashMap;

/// The pause of this number within [`WINDOW_TICKS`] is the end instead.
const PAUSES_MAX: usize = 3;

/// A minute.
const WINDOW_TICKS: u32 = 600;

/// When connections were paused: at most one entry for each that is open.
#[derive(Debug, Default)]
pub(super) struct Pauses(HashMap<ConnId, [Option<Tick>; PAUSES_MAX - 1]>);

carried!(struct Pauses(last));

impl Pauses {
    /// Notes a pause. False: the connection had too many within a minute.
    #[must_use]
    fn add(&mut self, id: ConnId, now: Tick) -> bool {
        let last = self.0.entry(id).or_default();
        let is_recent = |at: &Option<Tick>| at.is_some_and(|at| now.since(at) < WINDOW_TICKS);
        if last.iter().all(is_recent) {
            return false;
        }
        // The oldest goes.
        last.rotate_left(1);
        last[PAUSES_MAX - 2] = Some(now);
        true
    }

    /// The connection is gone.
    pub(super) fn remove(&mut self, id: ConnId) {
        self.0.remove(&id);
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<N: Net> Server<N> {
    /// A peer has caused work. Beyond its limit the connection is paused or closed.
    pub(super) fn charge(&mut self, id: ConnId, work: Work, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.state.charge(work, &self.deadlines, now) {
            return;
        }
        if self.pauses.add(id, now) {
            self.stats.paused += 1;
            connection.state.pause(now);
            self.log_connection(id, format_args!("is paused: it causes too much work"));
            self.rearm(id);
        } else {
            self.stats.violations += 1;
            self.part(id, &CloseReason::Flood, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_pause_within_a_minute_is_the_end() {
        let mut pauses = Pauses::default();
        let id = ConnId::new(7, 1);
        assert!(pauses.add(id, Tick(100)));
        assert!(pauses.add(id, Tick(650)));
        assert!(!pauses.add(id, Tick(699)));
        assert!(
            pauses.add(ConnId::new(7, 2), Tick(699)),
            "another connection"
        );
    }

    #[test]
    fn minute_begins_at_each_pause_and_not_only_at_the_first() {
        let mut pauses = Pauses::default();
        let id = ConnId::new(7, 1);
        assert!(pauses.add(id, Tick(0)));
        assert!(pauses.add(id, Tick(590)));
        assert!(pauses.add(id, Tick(600)), "the first is a minute ago");
        assert!(!pauses.add(id, Tick(620)), "the third since 590");
    }

    #[test]
    fn connection_that_is_gone_is_forgotten() {
        let mut pauses = Pauses::default();
        let id = ConnId::new(7, 1);
        assert!(pauses.add(id, Tick(0)));
        pauses.remove(id);
        assert_eq!(pauses.len(), 0);
    }
}
