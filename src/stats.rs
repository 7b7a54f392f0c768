//! Counters of what happened since the start. Knows nothing of how it happens.
//!
//! Each thing is counted once: the counters of how connections end do not overlap, and `closed` is
//! the number of all of them. The simulator checks every counter after every turn against what its
//! network saw.

use std::fmt;

/// How often things happened. Written by SIGUSR1 and at the exit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections accepted from the listeners, whatever became of them.
    pub accepted: u64,
    /// Connections that got a 503 because of a limit: on connections, on those of one address, or
    /// on descriptors, in which case they are not among the accepted.
    pub turned_away: u64,
    /// Times in which the system had no descriptor or memory left for a new connection. One such
    /// time lasts from the first attempt to accept that failed to the next that succeeded.
    pub exhausted: u64,
    /// Requests that were answered with 101.
    pub upgraded: u64,
    /// Plain HTTP requests that were answered with what they asked for.
    pub answered: u64,
    /// Requests that were answered with an error, also for coming too late or while the server
    /// stops; those because of a limit are in `turned_away`.
    pub refused: u64,
    /// Connections that were closed without an answer because `--proxy-protocol` requires a header
    /// of the PROXY protocol: theirs was wrong or not complete in time, or they came from a peer that
    /// is no trusted proxy.
    pub unproxied: u64,
    /// Text messages that were received whole from members, whatever became of them.
    pub messages: u64,
    /// Requests that were refused because a connection or an address asks for that too often.
    pub limited: u64,
    /// Times that a WebSocket connection was not read for a while because the peer caused too much
    /// work.
    pub paused: u64,
    /// WebSocket connections closed because the peer broke a rule: 1002, 1003, 1007, 1009, and 1008
    /// but for kicks.
    pub violations: u64,
    /// WebSocket connections that ended because nothing came from the peer.
    pub silent: u64,
    /// WebSocket connections closed because the peer accepted nothing for too long: 1013.
    pub stalled: u64,
    /// Messages and notices that a member did not get because its outbox was full or, closed with
    /// 1013, still had them. All that members are informed of is in this count.
    pub missed: u64,
    /// Accepted connections that are gone, whatever the reason.
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
            unproxied,
            messages,
            limited,
            paused,
            violations,
            silent,
            stalled,
            missed,
            closed,
        } = self;
        write!(
            f,
            "accepted={accepted} turned_away={turned_away} exhausted={exhausted} \
             upgraded={upgraded} answered={answered} refused={refused} unproxied={unproxied} \
             messages={messages} limited={limited} paused={paused} violations={violations} \
             silent={silent} stalled={stalled} missed={missed} closed={closed}"
        )
    }
}
