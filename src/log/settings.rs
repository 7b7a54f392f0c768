//! What an operator sets about the part of the log that is in memory.

/// How much is kept in memory, and how far back a member is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the newest entries of all rooms together.
    pub tail_bytes: usize,
    /// A member that is further behind than so many entries gets a gap.
    pub catch_up_max: u32,
    /// The newest entries that a newcomer who speaks plain text gets, unless it says how many.
    pub history_lines: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tail_bytes: 4 << 20,
            catch_up_max: 1000,
            history_lines: 20,
        }
    }
}
