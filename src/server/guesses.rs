//! How many wrong operator tokens, passwords or registrations each address may still try. Knows
//! addresses, not what is tried.
//!
//! The message rate alone would allow hundreds of guesses a second to all connections of one
//! address, and a client that is closed can connect again. The table has a fixed size, so that an
//! attacker cannot make it grow: addresses that share a place share its tries.

use super::Server;
use crate::carry::{Carrier, Damaged};
use crate::chat::Command;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use log::warn;
use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// Tries at once.
const BURST: u32 = 5;

/// Ticks after which another one is allowed: a minute.
const INTERVAL_TICKS: u32 = 600;

const PLACES: usize = 1024;

pub(super) struct Guesses {
    /// When all tries are available again, by place.
    restored: Vec<Tick>,
    /// Decides which addresses share a place.
    key: u64,
    /// Tries at once.
    burst: u32,
    /// Ticks after which another one is allowed.
    interval: u32,
}

impl Guesses {
    /// The places where tries were made.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.key)?;
        let places = self.restored.iter().zip(0_u16..);
        let tried = places.filter(|(at, _)| **at > Tick::default());
        let mut tried: Vec<(u16, Tick)> = tried.map(|(at, place)| (place, *at)).collect();
        carrier.field(&mut tried)?;
        for (place, at) in tried {
            let place = self.restored.get_mut(usize::from(place));
            *place.ok_or(Damaged("a try was made nowhere"))? = at;
        }
        Ok(())
    }

    /// For secrets that are guessed.
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, (BURST, INTERVAL_TICKS))
    }

    pub(super) fn with(seed: u64, (burst, interval): (u32, u32)) -> Self {
        Self {
            restored: vec![Tick::default(); PLACES],
            key: seed,
            burst,
            interval,
        }
    }

    /// Whether a try from this address is looked at. `None`: it comes from no address.
    pub(super) fn may_try(&self, address: Option<IpAddr>, now: Tick) -> bool {
        self.restored[self.place(address)] <= now + (self.burst - 1) * self.interval
    }

    /// A try from this address was wrong, or is not known yet to be right.
    pub(super) fn failed(&mut self, address: Option<IpAddr>, now: Tick) {
        let place = self.place(address);
        self.restored[place] = self.restored[place].max(now) + self.interval;
    }

    /// A try that counted as wrong was right.
    pub(super) fn succeeded(&mut self, address: Option<IpAddr>) {
        let place = self.place(address);
        let restored = &mut self.restored[place];
        *restored = Tick(restored.0.saturating_sub(self.interval));
    }

    fn place(&self, address: Option<IpAddr>) -> usize {
        let mut hasher = SipHasher13::new_with_keys(self.key, 1);
        address.hash(&mut hasher);
        hasher.finish() as usize % PLACES
    }
}

impl<N: Net> Server<N> {
    /// An operator token, which is not compared after too many wrong ones from the same address.
    /// False: it was over the member's rate.
    pub(super) fn take_token(&mut self, id: ConnId, token: &str, now: Tick) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return true;
        };
        let command = if self.guesses.may_try(connection.source.counted_for(), now) {
            Command::Op { token }
        } else {
            Command::OpTooOften
        };
        self.handle(id, None, command, now)
    }

    /// The token that came from a connection was wrong.
    pub(super) fn wrong_token(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let address = connection.source.counted_for();
        self.guesses.failed(address, now);
        let from = address.map_or_else(|| String::from("no address"), |ip| ip.to_string());
        warn!(target: "parlor::operator", "a wrong operator token from {from}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `tries` wrong tokens are looked at.
    fn looked_at(guesses: &mut Guesses, from: Option<IpAddr>, now: Tick, tries: u32) -> usize {
        let mut one = |_: &u32| {
            let may = guesses.may_try(from, now);
            if may {
                guesses.failed(from, now);
            }
            may
        };
        (0..tries).filter(|n| one(n)).count()
    }

    #[test]
    fn five_wrong_tokens_are_compared_at_once_and_then_one_a_minute() {
        let mut guesses = Guesses::new(7);
        let from = Some(IpAddr::from([203, 0, 113, 7]));
        let start = Tick(1_000);
        assert_eq!(looked_at(&mut guesses, from, start, 100), 5);
        assert_eq!(looked_at(&mut guesses, from, start + 599, 100), 0);
        assert_eq!(looked_at(&mut guesses, from, start + 600, 100), 1);
        assert_eq!(looked_at(&mut guesses, from, start + 1_799, 100), 1);
        assert_eq!(looked_at(&mut guesses, from, start + 100_000, 100), 5);
    }

    #[test]
    fn right_try_does_not_count() {
        let mut guesses = Guesses::new(7);
        let from = Some(IpAddr::from([203, 0, 113, 7]));
        for _ in 0..100 {
            assert!(guesses.may_try(from, Tick(0)));
            guesses.failed(from, Tick(0));
            guesses.succeeded(from);
        }
        assert_eq!(looked_at(&mut guesses, from, Tick(0), 100), 5);
    }

    #[test]
    fn guesses_of_one_address_lock_out_few_others() {
        let mut guesses = Guesses::new(7);
        let address = |n: u32| Some(IpAddr::from((0xCB00_7100_u32 + n).to_be_bytes()));
        looked_at(&mut guesses, address(0), Tick(0), 100);
        let others = (1..=1000).filter(|n| guesses.may_try(address(*n), Tick(0)));
        assert!(others.count() >= 990);
        assert!(guesses.may_try(None, Tick(0)));
    }
}
