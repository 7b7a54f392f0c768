//! The promises about the history of rooms: a server over a simulated network and a simulated
//! store, which crash and start again, and programs and people that come back. Each entry has one
//! number and one content, an acknowledged message survives, and each client gets what it missed,
//! once and in order.

mod accounts;
mod alone;
mod amendments;
pub(crate) mod disk;
mod follower;
mod game;
pub(crate) mod json;
mod program;
mod purges;
mod reader;
mod refusals;
pub(crate) mod store;
mod truth;

/// The rooms. The first `WITNESSED` have a witness each.
pub(crate) const ROOMS: [&str; 4] = ["lobby", "attic", "cellar", "garden"];
pub(crate) const WITNESSED: usize = 2;

/// The games of a test run.
const SEEDS: u64 = 300;

#[test]
fn what_was_said_is_kept_and_comes_once_and_in_order() {
    super::plays_all(&[], SEEDS, game::play);
}

/// The games about accounts.
const ACCOUNT_SEEDS: u64 = 100;

#[test]
fn accounts_are_kept_and_their_nicks_and_sessions_are_their_owners() {
    super::plays_all(&[], ACCOUNT_SEEDS, accounts::play);
}
