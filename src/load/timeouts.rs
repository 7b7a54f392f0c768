//! Connections that are given up when something takes too long. All waits of one queue are equally
//! long, so they end in the order in which they began.

use crate::id::ConnId;
use crate::net::dial::Micros;
use std::collections::VecDeque;

/// Waits of one kind. An entry is not removed when its wait is over: the caller checks whether the
/// connection is still in the state that was waited for.
pub(super) struct Timeouts {
    lasts: Micros,
    waits: VecDeque<(Micros, ConnId)>,
}

impl Timeouts {
    pub(super) const fn new(lasts: Micros) -> Self {
        Self {
            lasts,
            waits: VecDeque::new(),
        }
    }

    pub(super) fn start(&mut self, now: Micros, id: ConnId) {
        self.waits.push_back((now + self.lasts, id));
    }

    /// A connection whose wait has ended; to be called until there is none.
    pub(super) fn expired(&mut self, now: Micros) -> Option<ConnId> {
        let (due, id) = *self.waits.front()?;
        if due > now {
            return None;
        }
        self.waits.pop_front();
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_in_their_order_and_not_before_their_time() {
        let mut timeouts = Timeouts::new(100);
        let ids = [1, 2, 3].map(|slot| ConnId::new(slot, 0));
        for (id, now) in ids.into_iter().zip([0, 10, 10]) {
            timeouts.start(now, id);
        }
        assert_eq!(timeouts.expired(99), None);
        assert_eq!(timeouts.expired(100), Some(ids[0]));
        assert_eq!(timeouts.expired(109), None);
        assert_eq!(timeouts.expired(1_000), Some(ids[1]));
        assert_eq!(timeouts.expired(1_000), Some(ids[2]));
        assert_eq!(timeouts.expired(1_000), None);
    }
}
