//! Several servers that share one engine: it numbers the entries elsewhere and later, its links are
//! lost, and so is what it has numbered.

mod accounts;
mod direct;
mod engine;
mod game;
mod members;
mod nicks;
pub(super) mod program;
pub(super) mod scene;
mod scenes;

/// The games of a test run.
const SEEDS: u64 = 200;

#[test]
fn servers_that_share_an_engine_keep_one_history() {
    super::plays_all(&[], SEEDS, game::play);
}
