//! Random numbers that clients may see: those in made-up nicks, for instance.
//! Knows no clock and asks no system: the seed is an argument.
//!
//! The generator keeps no secrets: enough of its numbers give away its state. So its state is not
//! the seed, from which the keys of hash tables are made, but a one-way hash of it.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// A generator of numbers for one purpose (xorshift64).
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The same seed and purpose give the same numbers; another purpose gives others.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = SipHasher13::new_with_keys(seed, 0);
        hasher.write(purpose.as_bytes());
        Self {
            // Zero would stay zero.
            state: hasher.finish() | 1,
        }
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: u64, purpose: &str) -> Vec<u64> {
        let mut chance = Chance::new(seed, purpose);
        (0..8).map(|_| chance.below(1000)).collect()
    }

    #[test]
    fn numbers_follow_from_the_seed_and_the_purpose() {
        assert_eq!(numbers(7, "nicks"), numbers(7, "nicks"));
        assert_ne!(numbers(7, "nicks"), numbers(8, "nicks"));
        assert_ne!(numbers(7, "nicks"), numbers(7, "pings"));
    }
}
