//! How long everything may take, in ticks. The wheel knows when; `state.rs` knows what follows.

use super::Settings;
use crate::id::{Tick, ticks};
use crate::rate::Rate;

/// What the peer may cause besides its messages ([`super::state::Work`]): so much a second and at
/// once at least, and more where the message rate is higher.
const EXCESS_PER_SECOND_MIN: u32 = 10;
const EXCESS_AT_ONCE_MIN: u32 = 100;

/// Bursts of messages by which a member may exceed its rate before it is not read for a while.
const EXCESS_BURSTS: u32 = 10;

/// Neighbours in the table of connections that are pinged together. Their sockets are neighbours in
/// the kernel's memory too, and touching them one after the other costs far less than at random.
const PINGED_TOGETHER: u32 = 64;

/// Ticks after which a read or a write is tried again for which the system was short of memory.
pub const RETRY_TICKS: u32 = 2;

/// How long a request waits for the store before it is answered that the store is unavailable: 10 s.
/// A client that waits for an answer, or for what it said to appear, gives up about then.
const HOLD_TICKS: u32 = 100;

/// The lengths of all deadlines in ticks, the unit in which they are compared.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    pub(super) handshake: u32,
    pub(super) close: u32,
    pub(super) stall: u32,
    pub(super) message: u32,
    pub(super) hold: u32,
    pub(super) ping_after: u32,
    pub(super) silent: u32,
    pub(super) excess: Rate,
}

impl Deadlines {
    /// `messages`: what a member may say.
    pub fn new(settings: &Settings, messages: Rate) -> Self {
        Self {
            handshake: ticks(settings.handshake_timeout),
            close: ticks(settings.close_timeout),
            stall: ticks(settings.stall_timeout),
            message: ticks(settings.message_timeout),
            hold: HOLD_TICKS,
            ping_after: ticks(settings.ping_after),
            silent: ticks(settings.silent_timeout),
            excess: Rate::new(
                messages.per_second().max(EXCESS_PER_SECOND_MIN),
                (messages.burst() * EXCESS_BURSTS).max(EXCESS_AT_ONCE_MIN),
            ),
        }
    }

    /// How long an answer to our close frame is awaited.
    pub const fn close_ticks(&self) -> u32 {
        self.close
    }

    /// The same without a limit on what the peer may cause.
    #[must_use]
    pub fn with_any_excess(self) -> Self {
        Self {
            excess: Rate::new(0, 1),
            ..self
        }
    }

    /// Silence after which a ping is due.
    pub const fn ping_after_millis(&self) -> u64 {
        self.ping_after as u64 * Tick::MILLIS
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
        let deadlines = Deadlines::new(&Settings::default(), Rate::new(10, 20));
        let mut pinged = vec![0; 63];
        for slot in 0..63 * 2 * PINGED_TOGETHER {
            let due = deadlines.next_ping(slot, Tick(100));
            pinged[due.0 as usize - 350] += 1;
        }
        assert_eq!(pinged, [2 * PINGED_TOGETHER; 63]);
    }

    #[test]
    fn neighbours_are_pinged_together() {
        let deadlines = Deadlines::new(&Settings::default(), Rate::new(10, 20));
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
        let deadlines = Deadlines::new(&settings, Rate::new(10, 20));
        for slot in 0..1000 {
            assert_eq!(deadlines.next_ping(slot, Tick(0)), Tick(4));
        }
    }
}
