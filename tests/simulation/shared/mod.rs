//! Several servers that share one engine: it numbers the entries elsewhere and later, its links are
//! lost, and so is what it has numbered.

mod accounts;
mod direct;
pub(super) mod engine;
mod game;
mod letters;
mod members;
mod nicks;
pub(super) mod program;
pub(super) mod scene;
mod scenes;

/// The games of a test run.
const SEEDS: u64 = 200;

#[test]
fn direct_messages_of_accounts_at_several_servers_are_shown_once_and_in_order() {
    super::plays_all(&[], SEEDS, letters::play);
}

#[test]
fn servers_that_share_an_engine_keep_one_history() {
    super::plays_all(&[], SEEDS, game::play);
}
