//! The whole server over a simulated network and clock. One seed decides everything: who comes,
//! how they behave, where every read and write is cut, what fails and when.
//!
//! After every turn the promises are checked; at the end everything must be empty. A failure
//! prints its seed. To play it again, with a trace of all that happened:
//!
//! ```sh
//! PARLOR_SEED=4711 cargo test --release --test simulation -- --nocapture
//! ```
//!
//! `PARLOR_SEEDS=100000` plays that many instead of the usual number.

mod chance;
mod client;
mod model;
mod net;
mod scene;

use chance::Chance;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Played by every test run; a few seconds in a release build, well under a minute in a debug one.
const SEEDS: u64 = if cfg!(debug_assertions) { 1_000 } else { 4_000 };

/// Seeds that once failed, and what they found.
const FOUND: [u64; 1] = [
    // Who had shut their side was sent what was said after their own unsent messages were dropped.
    53_184,
];

fn from_environment(name: &str) -> Option<u64> {
    std::env::vars()
        .find(|(key, _)| key == name)
        .and_then(|(_, value)| value.parse().ok())
}

#[test]
fn the_promises_hold_whatever_happens() {
    if let Some(seed) = from_environment("PARLOR_SEED") {
        let turns = model::play(seed, true);
        println!("seed {seed}: {turns} turns");
        return;
    }
    let seeds = from_environment("PARLOR_SEEDS").unwrap_or(SEEDS);
    let mut turns = 0;
    for seed in FOUND.into_iter().chain(0..seeds) {
        match catch_unwind(AssertUnwindSafe(|| model::play(seed, false))) {
            Ok(count) => turns += count,
            Err(panic) => {
                eprintln!(
                    "\nseed {seed} failed; play it again with a trace:\n\
                     PARLOR_SEED={seed} cargo test --release --test simulation -- --nocapture\n"
                );
                resume_unwind(panic);
            }
        }
        if seeds > SEEDS && seed % 10_000 == 9_999 {
            println!("{} seeds, {turns} turns", seed + 1);
        }
    }
    println!("{seeds} seeds, {turns} turns");
}

#[test]
fn the_same_seed_plays_the_same_game() {
    let mut chance = Chance::new(1);
    let seed = chance.next();
    assert_eq!(model::play(seed, false), model::play(seed, false));
}
