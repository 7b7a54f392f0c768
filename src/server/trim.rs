//! Returns memory to the system after a burst. The allocator would keep it, because the freed
//! blocks lie between blocks that are still in use. Knows when; `net` knows how.

use super::Server;
use crate::id::Tick;
use crate::net::Net;

/// Ticks from the first memory that was freed to giving it back: a burst is over by then, or is
/// given back in portions. Rare enough that the search through free memory costs nothing.
const TRIM_AFTER_TICKS: u32 = 50;

/// Whether there is memory to give back, and when.
#[derive(Debug, Default)]
pub(super) struct Trimming {
    due: Option<Tick>,
}

impl Trimming {
    /// Memory that a connection held for a while was freed. Memory that is freed in the turn in
    /// which it was allocated leaves no holes and is not reported here.
    pub(super) fn was_freed(&mut self, now: Tick) {
        self.due.get_or_insert(now + TRIM_AFTER_TICKS);
    }

    pub(super) fn due(&self) -> Option<Tick> {
        self.due
    }
}

impl<N: Net> Server<N> {
    pub(super) fn trim(&mut self, now: Tick) {
        if self.connections.lists.are_large() {
            self.trimming.was_freed(now);
        }
        if self.trimming.due.take_if(|due| *due <= now).is_some() {
            self.connections.lists.shrink();
            self.pauses.shrink();
            let has_slack = self.connections.has_slack();
            if has_slack {
                self.connections.shrink();
                self.addresses.shrink();
            }
            if has_slack || self.talk.chat().has_slack() {
                self.talk.shrink();
                self.batches.shrink();
            }
            self.net.trim_memory();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_portion_however_much_is_freed() {
        let mut trimming = Trimming::default();
        assert_eq!(trimming.due(), None);
        trimming.was_freed(Tick(100));
        trimming.was_freed(Tick(149));
        assert_eq!(trimming.due(), Some(Tick(150)));
    }
}
