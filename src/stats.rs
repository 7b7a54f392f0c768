//! Counters of what happened since the start. Knows nothing of how it happens.
//!
//! Each thing is counted once: the counters of how connections end do not overlap, and `closed` is
//! the number of all of them. The simulator checks every counter after every turn against what its
//! network saw.

use crate::carry::{Carrier, Carry, Damaged, carried};
use crate::histogram::Histogram;
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

carried!(struct Stats { accepted, turned_away, exhausted, upgraded, answered, refused, unproxied, messages, limited, paused, violations, silent, stalled, missed, closed });

/// What is counted besides, for the metrics alone: by kinds, and as histograms.
#[derive(Debug)]
pub struct Tallies {
    /// Requests that were turned away or refused, by [`crate::http::Refusal::label`]: together as
    /// many as the two counters in [`Stats`] say.
    pub refusals: Counted<&'static str>,
    /// WebSockets that the server closed, by the code of its close frame.
    pub closes: Counted<u16>,
    /// WebSockets that their client closed, by its code: those that are known, else 0.
    pub closed_by_client: Counted<u16>,
    /// Handshakes of TLS that were completed, by the version and whether a session was resumed.
    pub handshakes: Counted<&'static str>,
    /// Connections that could not go on in TLS, by the reason.
    pub tls_failures: Counted<&'static str>,
    /// Messages and notices of rooms, times the members for which they were queued. Counted once for
    /// each run that a room was sent.
    pub deliveries: u64,
    /// Times that a member fell behind and reads on from the log.
    pub catch_ups: u64,
    /// Gaps that members were informed of.
    pub gaps: u64,
    /// Microseconds from the end of a wait for events to the begin of the next: the work of a turn.
    pub turns: Histogram,
}

/// Microseconds. A turn of a calm server takes less than the first.
const TURN_BOUNDS: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000,
];

impl Tallies {
    /// All that can be counted is there from the start, since a monitor sees no
    /// increase in the first value of a series.
    pub fn new(refusals: &[&'static str], closes: &[u16], of_clients: &[u16]) -> Self {
        Self {
            refusals: Counted::new(refusals),
            closes: Counted::new(closes),
            closed_by_client: Counted::new(of_clients),
            handshakes: Counted::new(&[]),
            tls_failures: Counted::new(&[]),
            deliveries: 0,
            catch_ups: 0,
            gaps: 0,
            turns: Histogram::new(TURN_BOUNDS),
        }
    }
}

impl Tallies {
    /// The counts of an earlier image. Kinds that this one does not know are dropped.
    ///
    /// # Errors
    /// The bytes are not those of counts.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        self.refusals
            .carry(carrier, |name: &&str| String::from(*name))?;
        self.closes.carry(carrier, |code| *code)?;
        self.closed_by_client.carry(carrier, |code| *code)?;
        carrier.field(&mut self.deliveries)?;
        carrier.field(&mut self.catch_ups)?;
        carrier.field(&mut self.gaps)?;
        self.turns.carry(carrier)
    }
}

/// A count for each of a few kinds.
#[derive(Clone, Debug)]
pub struct Counted<K>(Vec<(K, u64)>);

impl<K: Copy + PartialEq> Counted<K> {
    pub fn new(kinds: &[K]) -> Self {
        Self(kinds.iter().map(|kind| (*kind, 0)).collect())
    }

    /// One more. A kind that is not known yet gets a count of its own.
    pub fn count(&mut self, kind: K) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.0.push((kind, 1)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> {
        self.0.iter().copied()
    }

    /// Of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl<K> Counted<K> {
    /// By what each kind is called.
    fn carry<Name: Carry + PartialEq>(
        &mut self,
        carrier: &mut Carrier<'_>,
        name: impl Fn(&K) -> Name,
    ) -> Result<(), Damaged> {
        let counts = self.0.iter().map(|(kind, count)| (name(kind), *count));
        let mut counts: Vec<(Name, u64)> = counts.collect();
        carrier.field(&mut counts)?;
        for (kind, count) in &mut self.0 {
            let known = counts.iter().find(|(known, _)| *known == name(kind));
            *count = known.map_or(*count, |(_, count)| *count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_count_from_the_start() {
        let mut counted = Counted::new(&[1000, 1001]);
        for kind in [1001, 1001, 4001] {
            counted.count(kind);
        }
        let counts: Vec<(u16, u64)> = counted.iter().collect();
        assert_eq!(counts, [(1000, 0), (1001, 2), (4001, 1)]);
        assert_eq!(counted.total(), 3);
    }
}
