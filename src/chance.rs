//! What is left to chance and may be seen from outside: made-up nicks.
//! Knows no clock and asks no system: the seed is given.
//!
//! The generator is no secret keeper; whoever sees enough of its numbers knows the next. So it does
//! not begin with the seed, of which the keys of hash tables are made, but with a hash of it, from
//! which there is no way back.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// A generator of its own for one purpose (xorshift64).
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = SipHasher13::new_with_keys(seed, 0);
        hasher.write(purpose.as_bytes());
        Self {
            // Any state but zero will do.
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
    fn a_seed_decides_all_and_each_purpose_has_its_own_numbers() {
        assert_eq!(numbers(7, "nicks"), numbers(7, "nicks"));
        assert_ne!(numbers(7, "nicks"), numbers(8, "nicks"));
        assert_ne!(numbers(7, "nicks"), numbers(7, "pings"));
    }
}
