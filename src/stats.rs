//! Plain counters of what happened since the start. Knows nothing.

use std::fmt;

/// How often things happened. Written by SIGUSR1 and at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections taken from the listeners.
    pub accepted: u64,
    /// Connections turned away because of a limit, before their request was read.
    pub turned_away: u64,
    /// How often accepting paused because the system had no descriptor or memory left.
    pub exhausted: u64,
    /// Requests that became WebSocket connections.
    pub upgraded: u64,
    /// Plain HTTP requests that were answered.
    pub answered: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Messages that came in whole.
    pub messages: u64,
    /// WebSocket connections ended because the peer broke a rule.
    pub violations: u64,
    /// Connections given up because of silence.
    pub silent: u64,
    /// Connections closed because they took nothing for too long.
    pub stalled: u64,
    /// Frames dropped because a queue was full.
    pub missed: u64,
    /// Connections that ended, whatever the reason.
    pub closed: u64,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            turned_away,
            exhausted,
            upgraded,
            answered,
            refused,
            messages,
            violations,
            silent,
            stalled,
            missed,
            closed,
        } = self;
        write!(
            f,
            "accepted={accepted} turned_away={turned_away} exhausted={exhausted} \
             upgraded={upgraded} answered={answered} refused={refused} messages={messages} \
             violations={violations} silent={silent} stalled={stalled} missed={missed} \
             closed={closed}"
        )
    }
}
