//! The promises about order in rooms: people with roles, accounts and grudges, over a simulated
//! network and a simulated store, which crash and start again. Nobody who is banned is in, nobody who
//! is muted was heard, nobody does what the role does not allow, the audit log has every action once,
//! a reserved nick is worn by its owner alone, nobody is in a room whose password it has not shown, and
//! no member reads an entry below its floor. What is purged is shown nowhere, nothing else is gone, and
//! reports are shown to those alone who keep order.

mod deed;
mod game;
mod model;
pub(super) mod passwords;
mod person;
mod purged;
mod seats;

/// The games of a test run.
const SEEDS: u64 = 300;

#[test]
fn order_is_kept_whatever_happens() {
    super::plays_all(&[], SEEDS, game::play);
}
