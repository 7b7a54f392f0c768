//! The whole server over a simulated network and clock. One seed decides everything: which clients
//! come, how they behave, where every read and write is cut, what fails and when.
//!
//! After every turn the promises are checked; at the end everything must be empty. A game that
//! fails prints its seed and the last lines of its trace. To play it again with the whole trace:
//!
//! ```sh
//! PARLOR_SEED=4711 cargo test --release --test simulation promises -- --nocapture
//! ```
//!
//! For longer runs, `PARLOR_SEEDS=100000` sets the number of games, `PARLOR_TURNS=10000000` plays
//! games until they have this many turns together, and `PARLOR_FROM=5000` sets the first seed.

mod account;
mod chance;
mod client;
mod drains;
#[path = "../framing/mod.rs"]
mod framing;
mod game;
mod history;
mod judge;
mod ledger;
mod limits;
mod net;
mod nodes;
mod order;
mod person;
mod reload;
mod scene;
#[path = "../schema/mod.rs"]
mod schema;
mod shared;
mod tally;
mod tls;
mod trace;
#[path = "../trusting/mod.rs"]
mod trusting;
mod upgrade;

use chance::Chance;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use trace::Trace;

/// The games of a test run; they take well under a minute in a debug build, too.
const SEEDS: u64 = 3_000;

/// Seeds that once failed, and the fault that each found. A change to the simulator changes the
/// game of a seed, so each fault has a scene of its own as well.
const FOUND: [u64; 7] = [
    // A client that had shut its side was sent messages that came after its backlog was dropped.
    53_184,
    // After the process was stopped for long, all members were removed as silent without a ping.
    3,
    // After the same pause, members with queued frames were closed as stalled without a new write.
    61, // A stalled connection was sent a close frame without the response before it.
    998,
    // A client whose response was blocked, and which was then refused, was not read any further.
    3_479,
    // A write that failed in the middle of a frame, at a deadline, was tried again for ever.
    3_831,
    // A client closed as stalled was sent messages that came after its backlog was dropped.
    782,
];

fn from_environment(name: &str) -> Option<u64> {
    std::env::vars()
        .find(|(key, _)| key == name)
        .and_then(|(_, value)| value.parse().ok())
}

/// Plays one game; if it fails, prints how to play it again and the last lines of its trace.
fn plays_one(seed: u64, game: fn(u64, Trace) -> u64) -> u64 {
    let panic = match catch_unwind(|| game(seed, Trace::Off)) {
        Ok(turns) => return turns,
        Err(panic) => panic,
    };
    // The same game again, with a trace. It ends with the same panic.
    let again = catch_unwind(AssertUnwindSafe(|| game(seed, Trace::last())));
    println!(
        "\nseed {seed} failed; this plays it again with the whole trace:\n\
         PARLOR_SEED={seed} cargo test --release --test simulation -- --nocapture {}\n",
        std::thread::current().name().unwrap_or_default(),
    );
    resume_unwind(again.err().unwrap_or(panic))
}

/// Plays the seeds that once failed, and then so many, or those that the environment names.
fn plays_all(found: &[u64], seeds: u64, game: fn(u64, Trace) -> u64) {
    if let Some(seed) = from_environment("PARLOR_SEED") {
        let turns = game(seed, Trace::All);
        println!("seed {seed}: {turns} turns");
        return;
    }
    let from = from_environment("PARLOR_FROM").unwrap_or(0);
    let turns_wanted = from_environment("PARLOR_TURNS");
    let seeds = match (from_environment("PARLOR_SEEDS"), turns_wanted) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX - from,
        (None, None) => seeds,
    };
    let (mut games, mut turns) = (0, 0);
    for seed in found.iter().copied().chain(from..from + seeds) {
        turns += plays_one(seed, game);
        games += 1;
        if turns_wanted.is_some_and(|wanted| turns >= wanted) {
            break;
        }
        if games % 10_000 == 0 {
            println!("{games} games, {turns} turns");
        }
    }
    println!("{games} games, {turns} turns");
}

#[test]
fn the_promises_hold_whatever_happens() {
    plays_all(&FOUND, SEEDS, game::play);
}

#[test]
fn the_same_seed_plays_the_same_game() {
    let seed = Chance::new(1).next();
    assert_eq!(game::play(seed, Trace::Off), game::play(seed, Trace::Off));
}
