//! What one process has counted, how the counts of several are added up, and the lines in which
//! one process reports its counts to another. Knows no connection.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What is counted. The gauges among them are current values, the others only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Commands that were obeyed: the other counts contain their effect.
    Obeyed,
    /// Gauge: connections that are to be opened and have not been begun.
    Unopened,
    /// Gauge: connections that are begun and not upgraded.
    Pending,
    /// Gauge: upgraded connections on which neither side has sent a close frame.
    Open,
    Connected,
    Refused,
    TimedOut,
    Reset,
    /// Answered with another status than 101; by status in [`Tally::statuses`].
    Turned,
    /// The tester had no descriptor left.
    Descriptors,
    /// The tester had no port left.
    Ports,
    /// Answered with something that is no handshake, or ended without an answer.
    Unanswered,
    /// The handshake of TLS failed; by reason in [`Tally::tls_errors`].
    Unsecured,
    /// Neither upgraded nor failed when the tester left.
    Unfinished,
    /// Handshakes of TLS that succeeded, and those with the session of an earlier one.
    Shaken,
    Resumed,
    /// Never begun, because the time to open all connections was up.
    NotBegun,
    /// The server sent a close frame; by code in [`Tally::codes`].
    Closed,
    /// The server ended the stream without a close frame.
    Ended,
    Broken,
    /// The server sent bytes that are no WebSocket frame.
    Garbled,
    /// Members that stop reading.
    Slow,
    SlowGone,
    /// The tester sent a close frame, and the server ended the connection.
    Left,
    /// The server did not end the connection after the tester's close frame.
    Ignored,
    /// Churn steps for which there was no connection to close and no free place for another.
    StepsSkipped,
    Sent,
    /// Messages not sent because the server accepted no more bytes from the sender.
    HeldBack,
    /// Messages not sent because the sender's connection was gone.
    SenderGone,
    /// Deliveries that these two kinds of messages would have been.
    Unsent,
    Expected,
    Delivered,
    Doubled,
    Late,
    /// Messages without a marker of this run.
    Other,
    /// With `parlor.v1.json`: the join was refused, or the connection closed before its answer.
    Unjoined,
    /// Messages of the server that are no object as the protocol describes it.
    Unreadable,
    /// Entries without the number after the one before, by receiver.
    Unordered,
    /// Reports that entries are missing, or are not there any more.
    Gaps,
    Rewound,
    /// Returning clients that the server took for others, or did not let go on where they were.
    Unresumed,
    Unrecovered,
    /// Entries that are not what was said, or were not said.
    Altered,
    /// Counted messages that the server acknowledged, did so again, and refused.
    Acked,
    AckedAgain,
    Unstored,
    /// Clients that lost their connection on purpose, and those that then got all that they missed.
    Vanished,
    Live,
    /// Pages of history in the measured time, their entries, those with a fault at any time, and
    /// those that the server refused.
    Pages,
    PageEntries,
    WrongPages,
    PagesRefused,
    /// Frames of all kinds.
    Frames,
    /// First arrivals of messages with a marker, those that are not counted included.
    Arrivals,
    /// Arrivals in the measured time.
    Counted,
    /// How long was measured, and what the tester's own process did in that time: the wall time
    /// in which it did not wait for events, and its CPU time.
    CountedMicros,
    BusyMicros,
    OwnCpuNanos,
}

impl Count {
    const LAST: Self = Self::OwnCpuNanos;
    const LEN: usize = Self::LAST as usize + 1;
}

/// All counts of one process or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts([u64; Count::LEN]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; Count::LEN])
    }
}

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
            + self.of(Count::Unsecured)
            + self.of(Count::Unjoined)
            + self.of(Count::Unfinished)
            + self.of(Count::NotBegun)
    }

    /// Connections that the server ended, those of slow members excluded.
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

    /// Counted messages without an acknowledgement, with `parlor.v1.json`.
    pub(super) fn unacked(&self) -> u64 {
        self.of(Count::Sent).saturating_sub(self.of(Count::Acked))
    }

    /// What no client of `parlor.v1.json` may see.
    pub(super) const fn faults(&self) -> u64 {
        self.of(Count::Unreadable)
            + self.of(Count::Unordered)
            + self.of(Count::Gaps)
            + self.of(Count::Rewound)
            + self.of(Count::Unresumed)
            + self.of(Count::Unrecovered)
            + self.of(Count::Altered)
            + self.of(Count::AckedAgain)
            + self.of(Count::WrongPages)
    }

    /// Deliveries that were due and never happened, whatever the reason.
    pub(super) fn missing(&self) -> u64 {
        self.lost() + self.of(Count::Unsent)
    }

    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        write!(to, "counts")?;
        for value in self.0 {
            write!(to, " {value}")?;
        }
        writeln!(to)
    }

    /// Parses what [`Counts::write`] wrote, without its first word.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut counts = Self::default();
        let mut words = text.split_ascii_whitespace();
        for value in &mut counts.0 {
            *value = words.next()?.parse().ok()?;
        }
        words.next().is_none().then_some(counts)
    }
}

/// Different reasons for which TLS fails.
const TLS_ERRORS_MAX: usize = 8;
/// Longer times count as this long.
const MICROS_MAX: u64 = 3_600_000_000;

/// What is measured in microseconds, each time by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// From the moment at which a message was due to its arrival at a member; with a window,
    /// from the moment at which it was sent.
    Latency,
    /// From the moment at which a connection was due to the upgrade, with `parlor.v1.json` to the
    /// answer to the join, or to the end of the tester's patience.
    Connecting,
    /// From the moment at which a message was due to its acknowledgement, with `parlor.v1.json`.
    Ack,
    /// From the moment at which a client was due to return to the last message that it missed.
    Return,
    /// From the request for a page of history to the page.
    Page,
    /// From the moment at which a churn step was due to the end of the connection.
    Leaving,
    /// How late the tester itself sent a message that was due.
    SendLag,
    /// How late the tester itself began a connection that was due.
    ConnectLag,
    /// From one wait for events to the next.
    Turn,
}

impl Time {
    const NAMES: [(Self, &'static str); 9] = [
        (Self::Latency, "latency"),
        (Self::Connecting, "connecting"),
        (Self::Ack, "ack"),
        (Self::Return, "return"),
        (Self::Page, "page"),
        (Self::Leaving, "leaving"),
        (Self::SendLag, "send-lag"),
        (Self::ConnectLag, "connect-lag"),
        (Self::Turn, "turn"),
    ];
}

/// Everything that one process has counted and measured.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    /// HTTP statuses of refused upgrades.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Codes of the server's close frames; 0: no code.
    pub(super) codes: BTreeMap<u16, u64>,
    /// What was wrong with the TLS of connections, as a sentence.
    pub(super) tls_errors: BTreeMap<String, u64>,
    times: [Histogram<u64>; Time::NAMES.len()],
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, MICROS_MAX, 3)
                .expect("the bounds of a histogram are in order")
        };
        Self {
            counts: Counts::default(),
            statuses: BTreeMap::new(),
            codes: BTreeMap::new(),
            tls_errors: BTreeMap::new(),
            times: Time::NAMES.map(|_| histogram()),
        }
    }
}

impl Tally {
    pub(super) fn of(&self, time: Time) -> &Histogram<u64> {
        &self.times[time as usize]
    }

    pub(super) fn record(&mut self, time: Time, micros: u64) {
        self.times[time as usize].saturating_record(micros);
    }

    /// Counts a reason. Those of a server that finds ever new ones are counted as one.
    pub(super) fn add_tls_error(&mut self, error: &str, count: u64) {
        let is_new = !self.tls_errors.contains_key(error);
        let error = if is_new && self.tls_errors.len() >= TLS_ERRORS_MAX {
            "others"
        } else {
            error
        };
        *self.tls_errors.entry(error.to_owned()).or_default() += count;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (code, count) in &other.codes {
            *self.codes.entry(*code).or_default() += count;
        }
        for (error, count) in &other.tls_errors {
            self.add_tls_error(error, *count);
        }
        for (mine, theirs) in self.times.iter_mut().zip(&other.times) {
            mine.add(theirs)
                .expect("all histograms have the same bounds");
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
        for (error, count) in &self.tls_errors {
            writeln!(to, "tls {count} {error}")?;
        }
        for (time, name) in Time::NAMES {
            for step in self.of(time).iter_recorded() {
                let micros = step.value_iterated_to();
                writeln!(to, "{name} {micros} {}", step.count_at_value())?;
            }
        }
        Ok(())
    }

    /// Takes one line that [`Tally::write`] wrote. False: the line is none.
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
        if name == "tls" {
            self.add_tls_error(count, key.parse().ok()?);
            return Some(());
        }
        let count: u64 = count.parse().ok()?;
        match name {
            "status" => *self.statuses.entry(key.parse().ok()?).or_default() += count,
            "code" => *self.codes.entry(key.parse().ok()?).or_default() += count,
            name => {
                let (time, _) = Time::NAMES.iter().find(|(_, theirs)| *theirs == name)?;
                self.times[*time as usize].saturating_record_n(key.parse().ok()?, count);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
