//! The promises about several servers on one Redis: engines over simulated connections to a
//! simulated Redis, which restarts with and without loss, is taken over by a replica that is
//! behind, fills up and forgets. Each entry has one place in its room and epoch, one that is sent
//! again is there once, every server that has a room open gets the same entries in order, and what
//! was lost is told.

mod game;
mod judge;
#[path = "../../redis/mod.rs"]
mod redis;
mod scenes;
mod world;

/// The games of a test run.
const SEEDS: u64 = 300;

/// Seeds that once failed.
const FOUND: [u64; 0] = [];

#[test]
fn servers_of_one_redis_agree_whatever_happens() {
    super::plays_all(&FOUND, SEEDS, game::play);
}
