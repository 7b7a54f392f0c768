//! How long everything may take, in ticks. The wheel knows when; `state.rs` knows what follows.

use super::Settings;
use crate::id::{Tick, ticks};
use crate::rate::Rate;

/// Pings a connection may send, a second and at once, before it is closed for a flood of them.
const PINGS_PER_SECOND: u32 = 10;
const PING_BURST: u32 = 100;

/// Neighbours in the table of connections that are pinged together. Their sockets are neighbours in
/// the kernel's memory too, and touching them one after the other costs far less than at random.
const PINGED_TOGETHER: u32 = 64;

/// Ticks after which a read or a write is tried again for which the system was short of memory.
pub const RETRY_TICKS: u32 = 2;

/// The lengths of all deadlines in ticks, the unit in which they are compared.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    pub(super) handshake: u32,
    pub(super) close: u32,
    pub(super) stall: u32,
    pub(super) message: u32,
    pub(super) ping_after: u32,
    pub(super) silent: u32,
    pub(super) pings: Rate,
}

impl Deadlines {
    pub fn new(settings: &Settings) -> Self {
        Self {
            handshake: ticks(settings.handshake_timeout),
            close: ticks(settings.close_timeout),
            stall: ticks(settings.stall_timeout),
            message: ticks(settings.message_timeout),
            ping_after: ticks(settings.ping_after),
            silent: ticks(settings.silent_timeout),
            pings: Rate::new(PINGS_PER_SECOND, PING_BURST),
        }
    }

    /// The same without a limit on pings.
    #[must_use]
    pub fn with_any_pings(self) -> Self {
        Self {
            pings: Rate::new(0, 1),
            ..self
        }
    }

    /// When the connection in a slot is pinged if nothing comes from it after `seen`. Spread over a
    /// quarter more, or connections that came back together would be pinged together for ever.
    pub(super) fn next_ping(&self, slot: u32, seen: Tick) -> Tick {
        let spread = (self.ping_after / 4).min(self.silent.saturating_sub(self.ping_after + 1));
        seen + self.ping_after + slot / PINGED_TOGETHER % (spread + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_spread_over_a_quarter_more() {
        let deadlines = Deadlines::new(&Settings::default());
        let mut pinged = vec![0; 63];
        for slot in 0..63 * 2 * PINGED_TOGETHER {
            let due = deadlines.next_ping(slot, Tick(100));
            pinged[due.0 as usize - 350] += 1;
        }
        assert_eq!(pinged, [2 * PINGED_TOGETHER; 63]);
    }

    #[test]
    fn neighbours_are_pinged_together() {
        let deadlines = Deadlines::new(&Settings::default());
        let due = |slot| deadlines.next_ping(slot, Tick(100));
        assert_eq!(due(128), due(191));
        assert_ne!(due(128), due(127));
    }

    #[test]
    fn a_ping_always_leaves_time_for_the_answer() {
        let settings = Settings {
            ping_after: std::time::Duration::from_millis(400),
            silent_timeout: std::time::Duration::from_millis(500),
            ..Settings::default()
        };
        let deadlines = Deadlines::new(&settings);
        for slot in 0..1000 {
            assert_eq!(deadlines.next_ping(slot, Tick(0)), Tick(4));
        }
    }
}
