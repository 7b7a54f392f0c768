//! The promises about several servers on one Redis: engines over simulated connections to a
//! simulated Redis, which restarts with and without loss, is taken over by a replica that is
//! behind, fills up and forgets. Each entry has one place in its room and epoch, one that is sent
//! again is there once, every server that has a room open gets the same entries in order, and what
//! was lost is told.

mod faults;
mod game;
mod judge;
mod leases;
mod members;
mod nicks;
mod programs;
#[path = "../../redis/mod.rs"]
mod redis;
mod scenes;
mod servers;
mod world;

/// The games of a test run.
const SEEDS: u64 = 300;

/// Seeds that once failed, and the fault that each found.
const FOUND: [u64; 4] = [
    // Where Redis was emptied and asked by a server that knew less, numbers of epochs fell.
    116,
    // An entry of a lost epoch was not answered where the new epoch was published and not asked for.
    4_308,
    // A room was closed before its log knew that the link was back: Redis kept its members.
    15, // A server died whose lease a server never saw that had read its members.
    487,
];

#[test]
fn servers_of_one_redis_agree_whatever_happens() {
    super::plays_all(&FOUND, SEEDS, game::play);
}

/// The games of a test run with whole servers.
const SERVER_SEEDS: u64 = 60;

/// Seeds that once failed, and the fault that each found.
const SERVERS_FOUND: [u64; 4] = [
    // Members of a server stayed whose lease had ended before that of the one that saw them began.
    63,
    // Members that were told before the lease of their server were removed and not told again.
    122,
    // So were those of a server whose lease was over and not ended before it was extended.
    621, // A client that lost its nick was not told which one it has.
    2_585,
];

#[test]
fn programs_have_one_history_whatever_happens_to_servers_and_redis() {
    super::plays_all(&SERVERS_FOUND, SERVER_SEEDS, programs::play);
}
