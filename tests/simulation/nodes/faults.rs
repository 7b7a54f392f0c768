//! What may fail between servers and Redis in a game, and how often.

use crate::chance::Chance;

/// What may happen, in per mille of turns.
pub(super) struct Faults {
    pub(super) drops: u32,
    pub(super) freezes: u32,
    pub(super) cuts: u32,
    pub(super) restarts: u32,
    pub(super) failovers: u32,
    pub(super) flushes: u32,
    pub(super) fills: u32,
    pub(super) forgets: u32,
    pub(super) loses: u32,
    /// A crash may keep half of a script.
    pub(super) halves: bool,
}

impl Faults {
    pub(super) fn new(chance: &mut Chance) -> Self {
        let mut some = |most: usize| {
            if chance.percent(50) {
                chance.below(most) as u32
            } else {
                0
            }
        };
        Self {
            drops: some(30),
            freezes: some(20),
            cuts: some(10),
            restarts: some(15),
            failovers: some(10),
            flushes: some(6),
            fills: some(20),
            forgets: some(10),
            loses: some(20),
            halves: some(2) == 1,
        }
    }
}
