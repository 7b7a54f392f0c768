//! What a run has shown, in figures. How they look is for the files below: for programs, for a
//! terminal, as a page.

mod json;
mod page;
mod plot;
mod table;

pub(super) use json::json;
pub(super) use page::page;
pub(super) use table::table;

use super::measure;
use super::options::{Options, Scenario};
use super::tally::{Count, Tally};
use crate::net::dial::Micros;

/// All that is known of a run.
pub(super) struct Outcome {
    pub(super) options: Options,
    pub(super) tally: Tally,
    /// Why it ended before its time.
    pub(super) aborted: Option<&'static str>,
    /// The time in which connections were opened, without the pauses for measuring.
    pub(super) connect_micros: Micros,
    /// What the server's processor did in that time.
    pub(super) connect_cpu_nanos: Option<u64>,
    /// Connections that were open then, or had been.
    pub(super) opened: u64,
    pub(super) counted_from: Micros,
    pub(super) counted_to: Micros,
    /// What the server's processor did while it was counted.
    pub(super) cpu_nanos: Option<u64>,
    pub(super) points: Vec<Point>,
    pub(super) samples: Vec<Sample>,
    pub(super) user_bytes_start: Option<u64>,
    pub(super) user_bytes_end: Option<u64>,
    pub(super) descriptors: Option<u64>,
}

/// Memory at a number of connections, measured when all was quiet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) connections: u64,
    pub(super) user_bytes: Option<u64>,
    pub(super) kernel_bytes: Option<u64>,
}

/// A look at a moment, whatever was going on.
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

    /// All that arrived while it was counted, whenever it was sent.
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

    /// What was measured for `--expect-p99`.
    fn p99_micros(&self) -> Option<u64> {
        let histogram = if self.options.scenario.talks() {
            &self.tally.latency
        } else {
            &self.tally.connecting
        };
        (!histogram.is_empty()).then(|| histogram.value_at_quantile(0.99))
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
        check(
            expect.loss,
            Some(wrong),
            "expect-loss",
            "deliveries lost, doubled or reordered",
        );
        check(
            expect.p99.map(|p99| p99.as_micros() as u64),
            self.p99_micros(),
            "expect-p99",
            "p99 in microseconds",
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
        broken
    }

    fn is_idle(&self) -> bool {
        self.options.scenario == Scenario::Idle
    }
}
