//! What one process has counted, how several are added up, and the lines in which one tells
//! another. Knows no connection.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What is counted. Gauges among them say how it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Commands obeyed, so that whoever gave them knows what the other counts tell.
    Obeyed,
    /// Gauge: connections that are to be opened and are not yet begun.
    Unopened,
    /// Gauge: connections between the first step and the upgrade.
    Pending,
    /// Gauge: upgraded, and neither side has said goodbye.
    Open,
    Connected,
    Refused,
    TimedOut,
    Reset,
    /// Answered with another status than 101; by status in [`Tally::statuses`].
    Turned,
    /// No descriptor of our own was left.
    Descriptors,
    /// No port of our own was left.
    Ports,
    /// Answered with something that is no handshake, or ended without an answer.
    Unanswered,
    /// The server sent a close frame; by code in [`Tally::codes`].
    Closed,
    /// The server ended the stream without one.
    Ended,
    Broken,
    /// The server sent what is no WebSocket frame.
    Garbled,
    /// Members that stop reading.
    Slow,
    SlowGone,
    /// Left because we wanted to, and the server agreed.
    Left,
    /// The server did not end the connection after our close frame.
    Ignored,
    Sent,
    /// Not sent because the server took nothing from the sender.
    HeldBack,
    Expected,
    Delivered,
    Doubled,
    Late,
    /// Messages without a marker of ours.
    Other,
    /// Frames of all kinds.
    Frames,
    /// First arrivals of all messages with a marker, also those that are not counted.
    Arrivals,
    /// Those while it was counted.
    Counted,
    CountedMicros,
}

impl Count {
    const LAST: Self = Self::CountedMicros;
    const LEN: usize = Self::LAST as usize + 1;
}

/// All counts of one process or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([u64; Count::LEN]);

impl Counts {
    pub(super) const fn of(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    pub(super) const fn add(&mut self, count: Count, more: u64) {
        self.0[count as usize] += more;
    }

    pub(super) const fn set(&mut self, count: Count, value: u64) {
        self.0[count as usize] = value;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    pub(super) const fn failed(&self) -> u64 {
        self.of(Count::Refused)
            + self.of(Count::TimedOut)
            + self.of(Count::Reset)
            + self.of(Count::Turned)
            + self.of(Count::Descriptors)
            + self.of(Count::Ports)
            + self.of(Count::Unanswered)
    }

    /// Connections that the server ended, and that were not asked to be slow.
    pub(super) const fn disconnected(&self) -> u64 {
        self.of(Count::Closed)
            + self.of(Count::Ended)
            + self.of(Count::Broken)
            + self.of(Count::Garbled)
    }

    pub(super) fn lost(&self) -> u64 {
        self.of(Count::Expected)
            .saturating_sub(self.of(Count::Delivered))
    }

    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        write!(to, "counts")?;
        for value in self.0 {
            write!(to, " {value}")?;
        }
        writeln!(to)
    }

    /// Understands what [`Counts::write`] wrote, without its first word.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut counts = Self::default();
        let mut words = text.split_ascii_whitespace();
        for value in &mut counts.0 {
            *value = words.next()?.parse().ok()?;
        }
        words.next().is_none().then_some(counts)
    }
}

/// Longer latencies count as this long.
const LATENCY_MICROS_MAX: u64 = 3_600_000_000;

/// All that is known at the end.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    /// HTTP statuses of refused upgrades.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Codes of the server's close frames; 0: none.
    pub(super) codes: BTreeMap<u16, u64>,
    /// From the intended moment of a message to its arrival, in microseconds.
    pub(super) latency: Histogram<u64>,
    /// From the first step of a connection to the upgrade, in microseconds.
    pub(super) connecting: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 3)
                .expect("the bounds of a histogram are in order")
        };
        Self {
            counts: Counts::default(),
            statuses: BTreeMap::new(),
            codes: BTreeMap::new(),
            latency: histogram(),
            connecting: histogram(),
        }
    }
}

impl Tally {
    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (code, count) in &other.codes {
            *self.codes.entry(*code).or_default() += count;
        }
        for (mine, theirs) in [
            (&mut self.latency, &other.latency),
            (&mut self.connecting, &other.connecting),
        ] {
            mine.add(theirs).expect("all have the same bounds");
        }
    }

    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        self.counts.write(to)?;
        for (status, count) in &self.statuses {
            writeln!(to, "status {status} {count}")?;
        }
        for (code, count) in &self.codes {
            writeln!(to, "code {code} {count}")?;
        }
        for (name, histogram) in [("latency", &self.latency), ("connecting", &self.connecting)] {
            for step in histogram.iter_recorded() {
                let micros = step.value_iterated_to();
                writeln!(to, "{name} {micros} {}", step.count_at_value())?;
            }
        }
        Ok(())
    }

    /// Takes one line of what [`Tally::write`] wrote. False: it is none.
    pub(super) fn take_line(&mut self, line: &str) -> bool {
        self.try_line(line).is_some()
    }

    fn try_line(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_once(' ')?;
        if name == "counts" {
            self.counts = Counts::parse(rest)?;
            return Some(());
        }
        let (key, count) = rest.split_once(' ')?;
        let count: u64 = count.parse().ok()?;
        match name {
            "status" => *self.statuses.entry(key.parse().ok()?).or_default() += count,
            "code" => *self.codes.entry(key.parse().ok()?).or_default() += count,
            "latency" => self.latency.saturating_record_n(key.parse().ok()?, count),
            "connecting" => self
                .connecting
                .saturating_record_n(key.parse().ok()?, count),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(factor: u64) -> Tally {
        let mut tally = Tally::default();
        tally.counts.add(Count::Sent, 3 * factor);
        tally.counts.add(Count::CountedMicros, factor);
        tally.statuses.insert(503, factor);
        tally.codes.insert(0, 2);
        for micros in [0, 1, 50, 1_000, 77_777, 9_000_000] {
            tally.latency.saturating_record_n(micros * factor, factor);
        }
        tally.connecting.saturating_record(200);
        tally
    }

    fn told(tally: &Tally) -> Tally {
        let mut lines = Vec::new();
        tally.write(&mut lines).unwrap();
        let mut copy = Tally::default();
        for line in String::from_utf8(lines).unwrap().lines() {
            assert!(copy.take_line(line), "{line}");
        }
        copy
    }

    fn assert_same(one: &Tally, other: &Tally) {
        assert_eq!(one.counts, other.counts);
        assert_eq!(one.statuses, other.statuses);
        assert_eq!(one.codes, other.codes);
        assert_eq!(one.latency, other.latency);
        assert_eq!(one.connecting, other.connecting);
    }

    #[test]
    fn what_is_told_is_what_was_counted() {
        assert_same(&told(&sample(7)), &sample(7));
    }

    #[test]
    fn two_are_added_up_as_if_one_had_counted_all() {
        let mut sum = sample(1);
        sum.merge(&told(&sample(2)));
        assert_eq!(sum.counts.of(Count::Sent), 9);
        assert_eq!(sum.statuses[&503], 3);
        assert_eq!(sum.latency.len(), 6 + 12);
        assert_eq!(sum.connecting.len(), 2);
    }

    #[test]
    fn other_lines_are_not_taken() {
        let mut tally = Tally::default();
        for line in ["", "counts 1 2", "latency x 1", "hello 1 2", "status 1"] {
            assert!(!tally.take_line(line), "{line}");
        }
        assert_same(&tally, &Tally::default());
    }
}
