//! The result of a run, as figures. The files below write them down: for programs, for a terminal,
//! and as a page.

mod json;
mod page;
mod programs;
mod table;
mod times;

pub(super) use json::json;
pub(super) use page::page;
pub(super) use table::table;

use super::measure;
use super::options::{Options, Protocol, Scenario};
use super::tally::{Count, Tally, Time};
use crate::net::dial::Micros;
use times::{Quantile, Times};

/// A tester that is busy for more of the time is the limit, unless the server is busy as well.
const BUSY_SHARE_MAX: f64 = 0.9;
/// A tester whose own lag is less does not matter.
const LAG_MICROS_MIN: u64 = 1000;
/// A tester's lag matters from this part of what was measured on.
const LAG_SHARE: u64 = 10;

/// Everything that is known of a run.
pub(super) struct Outcome {
    pub(super) options: Options,
    pub(super) tally: Tally,
    /// Why it ended before its time.
    pub(super) aborted: Option<&'static str>,
    /// The time in which connections were opened, without the pauses for measuring.
    pub(super) connect_micros: Micros,
    /// The server's CPU time in that time.
    pub(super) connect_cpu_nanos: Option<u64>,
    /// Connections that were open at the end of that time, or had been.
    pub(super) opened: u64,
    pub(super) counted_from: Micros,
    pub(super) counted_to: Micros,
    /// The server's CPU time while it was counted.
    pub(super) cpu_nanos: Option<u64>,
    pub(super) points: Vec<Point>,
    pub(super) samples: Vec<Sample>,
    pub(super) user_bytes_start: Option<u64>,
    pub(super) user_bytes_end: Option<u64>,
    /// By the kernel's count, since the server's start.
    pub(super) resident_bytes_peak: Option<u64>,
    pub(super) descriptors: Option<u64>,
}

/// Memory at a number of connections, measured when the server was quiet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) connections: u64,
    pub(super) user_bytes: Option<u64>,
    pub(super) kernel_bytes: Option<u64>,
}

/// The counts and the server at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Micros,
    pub(super) open: u64,
    pub(super) connected: u64,
    pub(super) arrivals: u64,
    pub(super) user_bytes: Option<u64>,
    pub(super) cpu_nanos: Option<u64>,
}

impl Outcome {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            tally: Tally::default(),
            aborted: None,
            connect_micros: 0,
            connect_cpu_nanos: None,
            opened: 0,
            counted_from: 0,
            counted_to: 0,
            cpu_nanos: None,
            points: Vec::new(),
            samples: Vec::new(),
            user_bytes_start: None,
            user_bytes_end: None,
            resident_bytes_peak: None,
            descriptors: None,
        }
    }

    fn of(&self, count: Count) -> u64 {
        self.tally.counts.of(count)
    }

    /// How long it was counted.
    fn seconds(&self) -> f64 {
        // Each process has counted for so long.
        self.of(Count::CountedMicros) as f64 / 1e6 / self.options.processes as f64
    }

    fn connect_seconds(&self) -> f64 {
        self.connect_micros as f64 / 1e6
    }

    fn connects_per_second(&self) -> Option<f64> {
        (self.connect_micros > 0).then(|| self.opened as f64 / self.connect_seconds())
    }

    fn connect_cpu_us(&self) -> Option<f64> {
        let nanos = self.connect_cpu_nanos.filter(|_| self.opened > 0)?;
        Some(nanos as f64 / 1000.0 / self.opened as f64)
    }

    /// Of all messages that arrived while it was counted, whenever they were sent.
    fn deliveries_per_second(&self) -> Option<f64> {
        (self.seconds() > 0.0).then(|| self.of(Count::Counted) as f64 / self.seconds())
    }

    fn cpu_us_per_delivery(&self) -> Option<f64> {
        let nanos = self.cpu_nanos.filter(|_| self.of(Count::Counted) > 0)?;
        Some(nanos as f64 / 1000.0 / self.of(Count::Counted) as f64)
    }

    fn user_bytes_peak(&self) -> Option<u64> {
        let samples = self.samples.iter().filter_map(|sample| sample.user_bytes);
        let points = self.points.iter().filter_map(|point| point.user_bytes);
        let ends = self.user_bytes_start.into_iter().chain(self.user_bytes_end);
        samples.chain(points).chain(ends).max()
    }

    fn user_bytes_per_connection(&self) -> Option<f64> {
        self.slope(|point| point.user_bytes)
    }

    fn kernel_bytes_per_connection(&self) -> Option<f64> {
        self.slope(|point| point.kernel_bytes)
    }

    fn slope(&self, bytes: impl Fn(&Point) -> Option<u64>) -> Option<f64> {
        let points: Option<Vec<(f64, f64)>> = self
            .points
            .iter()
            .map(|point| bytes(point).map(|bytes| (point.connections as f64, bytes as f64)))
            .collect();
        measure::slope(&points?)
    }

    /// All times of a kind. Deliveries that never happened belong to the latencies.
    fn times(&self, time: Time) -> Times<'_> {
        Times {
            histogram: self.tally.of(time),
            missing: match time {
                Time::Latency => self.tally.counts.missing(),
                Time::Ack if self.options.protocol == Protocol::Json => self.tally.counts.unacked(),
                Time::Return => self.not_live(),
                Time::Ack
                | Time::Page
                | Time::Connecting
                | Time::Leaving
                | Time::SendLag
                | Time::ConnectLag
                | Time::Turn => 0,
            },
        }
    }

    /// What `--expect-p99` is about.
    fn p99(&self) -> Quantile {
        let time = match self.options.scenario {
            Scenario::Chat | Scenario::Slow => Time::Latency,
            Scenario::Idle | Scenario::Churn => Time::Connecting,
            Scenario::Resume => Time::Return,
            Scenario::History => Time::Page,
        };
        self.times(time).at(0.99)
    }

    /// The share of one core that the tester's processes used on average.
    fn tester_cpu_share(&self) -> Option<f64> {
        let micros = self.of(Count::CountedMicros);
        (micros > 0).then(|| self.of(Count::OwnCpuNanos) as f64 / 1000.0 / micros as f64)
    }

    /// The share of the time in which the tester's processes did not wait for events.
    fn tester_busy_share(&self) -> Option<f64> {
        let micros = self.of(Count::CountedMicros);
        (micros > 0).then(|| self.of(Count::BusyMicros) as f64 / micros as f64)
    }

    fn server_cpu_share(&self) -> Option<f64> {
        let seconds = self.seconds();
        let nanos = self.cpu_nanos.filter(|_| seconds > 0.0)?;
        Some(nanos as f64 / 1e9 / seconds)
    }

    /// A sentence for each sign that the tester, not the server, is the limit.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let (lag, measured, did, what) = if self.options.scenario.talks() {
            (Time::SendLag, Time::Latency, "sent messages", "latency")
        } else {
            let connecting = Time::Connecting;
            let what = "time to connect";
            (Time::ConnectLag, connecting, "began connections", what)
        };
        let lag_p99 = self.times(lag).at(0.99).micros().unwrap_or(0);
        let measured_p99 = self.times(measured).at(0.99).micros();
        let matters = measured_p99.is_none_or(|measured| lag_p99 * LAG_SHARE > measured);
        if lag_p99 > LAG_MICROS_MIN && matters {
            warnings.push(format!(
                "the tester itself {did} late (p99 {}), which is part of the {what}: the tester, \
                 not the server, may be the limit; lower the rate, or add --processes",
                table::time(lag_p99)
            ));
        }
        let is_busy = |share: &f64| *share > BUSY_SHARE_MAX;
        let server = self.server_cpu_share();
        if let Some(busy) = self.tester_busy_share().filter(is_busy)
            && !server.as_ref().is_some_and(is_busy)
        {
            let server = server.map_or_else(String::new, |server| {
                format!(", the server {:.0} %", server * 100.0)
            });
            warnings.push(format!(
                "the tester was busy {:.0} % of the measured time{server}: the tester, not the \
                 server, is the limit; lower the load, or add --processes",
                busy * 100.0
            ));
        }
        warnings
    }

    /// A sentence for each expectation that does not hold.
    pub(super) fn broken(&self) -> Vec<String> {
        let counts = &self.tally.counts;
        let mut broken: Vec<String> = self.aborted.iter().map(|why| (*why).to_owned()).collect();
        let mut check = |limit: Option<u64>, found: Option<u64>, name: &str, what: &str| {
            let Some(limit) = limit else { return };
            match found {
                Some(found) if found <= limit => {}
                Some(found) => broken.push(format!("{what}: {found}, more than --{name} {limit}")),
                None => broken.push(format!("{what}: nothing was measured for --{name} {limit}")),
            }
        };
        let expect = &self.options.expect;
        let wrong = counts.lost() + counts.of(Count::Doubled) + counts.of(Count::Late);
        let is_json = self.options.protocol == Protocol::Json;
        let beside = if is_json {
            counts.unacked() + counts.faults()
        } else {
            0
        };
        check(
            expect.loss,
            Some(wrong + beside),
            "expect-loss",
            if is_json {
                "deliveries lost, doubled or reordered, messages not acknowledged and other faults"
            } else {
                "deliveries lost, doubled or reordered"
            },
        );
        let p99 = self.p99();
        check(
            expect.p99.map(|p99| p99.as_micros() as u64),
            p99.micros(),
            "expect-p99",
            if p99 == Quantile::Never {
                "p99 in microseconds: one delivery in a hundred or more never arrived"
            } else {
                "p99 in microseconds"
            },
        );
        check(
            expect.failures,
            Some(counts.failed()),
            "expect-failures",
            "connections that failed",
        );
        check(
            expect.disconnects,
            Some(counts.disconnected()),
            "expect-disconnects",
            "connections that the server ended",
        );
        check(
            expect.bytes_per_connection,
            self.user_bytes_per_connection()
                .map(|bytes| bytes.max(0.0).ceil() as u64),
            "expect-bytes-per-connection",
            "bytes for a connection",
        );
        broken.extend(self.wrong_for_programs());
        broken
    }

    fn is_idle(&self) -> bool {
        self.options.scenario == Scenario::Idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose messages were sent and received late by as much, in microseconds.
    fn run(lag: u64, latency: u64) -> Outcome {
        let mut outcome = Outcome::new(Options::new(Scenario::Chat));
        outcome.tally.record(Time::SendLag, lag);
        outcome.tally.record(Time::Latency, latency);
        outcome
    }

    #[test]
    fn tester_that_sends_late_warns_when_that_is_a_part_of_the_latency() {
        let warnings = run(20_000, 150_000).warnings();
        assert!(
            matches!(&warnings[..], [one] if one.contains("the tester itself sent messages late")),
            "{warnings:?}"
        );
        assert_eq!(run(20_000, 400_000).warnings(), [""; 0]);
        assert_eq!(run(LAG_MICROS_MIN, LAG_MICROS_MIN).warnings(), [""; 0]);
    }

    #[test]
    fn tester_that_sends_late_warns_when_no_message_arrived() {
        let mut outcome = Outcome::new(Options::new(Scenario::Chat));
        outcome.tally.record(Time::SendLag, 20_000);
        assert_eq!(outcome.warnings().len(), 1);
    }

    #[test]
    fn busy_tester_warns_unless_the_server_is_busy_too() {
        let busy = |server_nanos: u64| {
            let mut outcome = Outcome::new(Options::new(Scenario::Chat));
            outcome.counted_to = 1_000_000;
            outcome.cpu_nanos = Some(server_nanos);
            outcome.tally.counts.add(Count::CountedMicros, 1_000_000);
            outcome.tally.counts.add(Count::BusyMicros, 950_000);
            outcome.warnings()
        };
        let warnings = busy(200_000_000);
        assert!(
            matches!(&warnings[..], [one] if one.contains("busy 95 %") && one.contains("20 %")),
            "{warnings:?}"
        );
        assert_eq!(busy(990_000_000), [""; 0]);
    }
}
