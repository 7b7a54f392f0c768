//! One run from the first connection to the last: the order of the phases, and the longest time
//! each may take. Watches the server meanwhile. Every wait here has a bound.

mod programs;

use super::crew::Crew;
use super::measure;
use super::options::{Options, Protocol, Scenario};
use super::report::{Outcome, Point, Sample};
use super::screen::{Progress, Screen};
use super::tally::{Count, Counts};
use super::worker::{self, Command};
use crate::net::dial::Micros;
use std::ffi::OsString;
use std::io;
use std::time::Duration;

/// One step of watching while nothing has to be exact.
const STEP_MICROS: Micros = 50_000;
/// One step while connections are opened, for that is timed.
const OPENING_STEP_MICROS: Micros = 5_000;
/// How long a quiet server must be quiet.
const QUIET_MICROS: Micros = 300_000;
/// A quiet server uses less than this part of a core.
const QUIET_CPU_SHARE: f64 = 0.05;
/// The longest wait for a quiet server.
const SETTLE_MICROS_MAX: Micros = 3_000_000;
/// The longest wait for the last messages.
const DRAIN_MICROS_MAX: Micros = 10_000_000;
/// Without a message for so long, no more will come.
const DRAIN_QUIET_MICROS: Micros = 2_000_000;
/// The longest time to close all connections; what is left then is dropped.
pub(super) const LEAVE_MICROS_MAX: Micros = 30_000_000;
/// How much longer than at the connect rate it may take to open the connections.
const OPENING_SLACK_MICROS: Micros = 2 * worker::CONNECT_MICROS_MAX;
/// The longest wait for pending connections after a churn: each is upgraded or has failed by then.
const PENDING_MICROS_MAX: Micros = worker::CONNECT_MICROS_MAX + 1_000_000;
/// How often the server is sampled, besides the slope's points.
const SAMPLE_MICROS_MIN: Micros = 250_000;
const SAMPLES: Micros = 400;
/// Steps from the first to the last point of the slope.
const SLOPE_STEPS: usize = 8;

/// Runs the scenario of the options. Helper processes are started with the same `arguments`.
///
/// # Errors
/// The run cannot begin, or a helper process fails.
pub(super) fn conduct(
    options: &Options,
    arguments: &[OsString],
    screen: &mut Screen<'_>,
) -> io::Result<Outcome> {
    let crew = Crew::hire(options, arguments)?;
    let mut conductor = Conductor::new(options, crew, screen);
    conductor.run()?;
    conductor.finish()
}

struct Conductor<'o, 's, 'w> {
    options: &'o Options,
    crew: Crew,
    screen: &'s mut Screen<'w>,
    /// The server's processes; another first one after a restart.
    pids: Vec<u32>,
    progress: Progress,
    outcome: Outcome,
    sample_due: Micros,
    sample_every: Micros,
}

impl<'o, 's, 'w> Conductor<'o, 's, 'w> {
    fn new(options: &'o Options, crew: Crew, screen: &'s mut Screen<'w>) -> Self {
        let lasts = micros(options.duration + options.warmup + options.rest);
        let opens = options.total() as u64 * 1_000_000 / u64::from(options.connect_rate);
        let mut outcome = Outcome::new(options.clone());
        outcome.user_bytes_start = measure::sum(&options.pids, measure::user_bytes);
        Self {
            options,
            crew,
            pids: options.pids.clone(),
            progress: Progress::new(screen.is_terminal),
            screen,
            outcome,
            sample_due: 0,
            sample_every: ((lasts + opens) / SAMPLES).max(SAMPLE_MICROS_MIN),
        }
    }

    fn run(&mut self) -> io::Result<()> {
        if self.options.scenario == Scenario::History {
            self.fill()?;
            if self.outcome.aborted.is_some() {
                return Ok(());
            }
        }
        self.open_all()?;
        let counts = self.crew.counts();
        if counts.of(Count::Open) == 0 {
            self.outcome.aborted = Some(if counts.of(Count::Connected) == 0 {
                "no connection was made"
            } else {
                "the server ended all connections"
            });
            return Ok(());
        }
        self.settle()?;
        match self.options.scenario {
            Scenario::Idle => self.measured("holding")?,
            Scenario::Resume => self.resume()?,
            Scenario::Churn => self.warm_and_measured("churning")?,
            Scenario::History => self.warm_and_measured("paging")?,
            Scenario::Chat | Scenario::Slow => self.warm_and_measured("talking")?,
        }
        if self.options.scenario.talks() {
            self.drain()?;
        }
        if self.options.scenario == Scenario::Churn {
            self.finish_connects()?;
        }
        if self.options.scenario != Scenario::Idle {
            self.rest()?;
        }
        self.outcome.user_bytes_end = measure::sum(&self.pids, measure::user_bytes);
        self.outcome.resident_bytes_peak = measure::sum(&self.pids, measure::resident_bytes_peak);
        self.outcome.descriptors = measure::sum(&self.pids, measure::descriptors);
        if self.options.scenario == Scenario::Slow {
            self.crew.command(Command::Wake)?;
            self.settle()?;
        }
        Ok(())
    }

    fn warm_and_measured(&mut self, phase: &str) -> io::Result<()> {
        self.crew.command(Command::Begin)?;
        self.pass(micros(self.options.warmup), "warm-up")?;
        self.measured(phase)
    }

    /// The phase in which is counted.
    fn measured(&mut self, phase: &str) -> io::Result<()> {
        self.crew.command(Command::Count)?;
        let before = self.server_cpu();
        self.outcome.counted_from = self.crew.now();
        self.pass(micros(self.options.duration), phase)?;
        let after = self.server_cpu();
        self.outcome.counted_to = self.crew.now();
        self.crew.command(Command::Stop)?;
        self.outcome.cpu_nanos = after.zip(before).map(|(after, before)| after - before);
        Ok(())
    }

    fn server_cpu(&self) -> Option<u64> {
        measure::sum(&self.pids, measure::cpu_nanos)
    }

    // Opening.

    fn open_all(&mut self) -> io::Result<()> {
        let total = self.options.total();
        for point in self.slope_points() {
            self.open_until(point)?;
            self.settle()?;
            self.measure_point();
        }
        self.open_until(total)
    }

    /// The numbers of connections at which memory is measured.
    fn slope_points(&self) -> Vec<usize> {
        if self.options.scenario != Scenario::Idle || self.options.pids.is_empty() {
            return Vec::new();
        }
        let total = self.options.total();
        let from = self.options.slope_from.unwrap_or(total / 10);
        let mut points: Vec<usize> = (0..=SLOPE_STEPS)
            .map(|step| from + (total - from) * step / SLOPE_STEPS)
            .collect();
        points.dedup();
        points
    }

    fn open_until(&mut self, total: usize) -> io::Result<()> {
        let cpu_before = self.server_cpu();
        let begun = self.crew.now();
        self.crew.command(Command::Open(total))?;
        let unopened = self.crew.counts().of(Count::Unopened);
        let lasts = unopened * 1_000_000 / u64::from(self.options.connect_rate);
        let deadline = begun + 2 * lasts + OPENING_SLACK_MICROS;
        let mut now = begun;
        while now < deadline {
            let counts = self.crew.counts();
            if counts.of(Count::Unopened) == 0 && counts.of(Count::Pending) == 0 {
                break;
            }
            self.step(now + OPENING_STEP_MICROS)?;
            now = self.crew.now();
            let done = counts.of(Count::Connected) as f64 / self.options.total() as f64;
            self.show("opening", done);
        }
        self.outcome.connect_micros += now - begun;
        if let (Some(after), Some(before)) = (self.server_cpu(), cpu_before) {
            let sum = self.outcome.connect_cpu_nanos.get_or_insert(0);
            *sum += after - before;
        }
        self.outcome.opened = self.crew.counts().of(Count::Connected);
        Ok(())
    }

    /// Waits until no frame arrives any more and the server has nothing left to do.
    fn settle(&mut self) -> io::Result<()> {
        let deadline = self.crew.now() + SETTLE_MICROS_MAX;
        while self.crew.now() < deadline {
            let frames = self.crew.counts().of(Count::Frames);
            let cpu = self.server_cpu();
            let since = self.crew.now();
            self.step(since + QUIET_MICROS)?;
            let is_quiet = match (self.server_cpu(), cpu) {
                (Some(after), Some(before)) => {
                    let used = (after - before) as f64 / 1000.0;
                    used < QUIET_CPU_SHARE * (self.crew.now() - since) as f64
                }
                // Without its process only the frames of a server show that it works.
                _ => self.crew.counts().of(Count::Frames) == frames,
            };
            if is_quiet {
                break;
            }
        }
        Ok(())
    }

    fn measure_point(&mut self) {
        self.outcome.points.push(Point {
            connections: self.crew.counts().of(Count::Open),
            user_bytes: measure::sum(&self.pids, measure::user_bytes),
            kernel_bytes: measure::kernel_bytes(),
        });
    }

    // Waiting.

    /// Lets so much time pass; ends early when no connection is left.
    fn pass(&mut self, lasts: Micros, phase: &str) -> io::Result<()> {
        let begun = self.crew.now();
        let until = begun + lasts;
        loop {
            let now = self.crew.now();
            if now >= until || self.outcome.aborted.is_some() {
                return Ok(());
            }
            self.step(until.min(now + STEP_MICROS))?;
            self.show(phase, (now - begun) as f64 / lasts as f64);
            let counts = self.crew.counts();
            if counts.of(Count::Open) == 0 && self.options.scenario != Scenario::Churn {
                self.outcome.aborted = Some("the server ended all connections");
            }
        }
    }

    /// Waits until every connection that was begun is upgraded or has failed.
    fn finish_connects(&mut self) -> io::Result<()> {
        let deadline = self.crew.now() + PENDING_MICROS_MAX;
        while self.crew.counts().of(Count::Pending) > 0 && self.crew.now() < deadline {
            self.step(self.crew.now() + STEP_MICROS)?;
            self.show("waiting", 1.0);
        }
        Ok(())
    }

    /// Waits for the messages that are still in flight.
    fn drain(&mut self) -> io::Result<()> {
        let deadline = self.crew.now() + DRAIN_MICROS_MAX;
        let mut arrivals = 0;
        let mut changed = self.crew.now();
        loop {
            let counts = self.crew.counts();
            let now = self.crew.now();
            let arrived = counts.of(Count::Arrivals) + counts.of(Count::Acked);
            if arrived != arrivals {
                arrivals = arrived;
                changed = now;
            }
            let is_acked = self.options.protocol == Protocol::Plain || counts.unacked() == 0;
            let is_all_there = counts.lost() == 0 && is_acked;
            let is_over = is_all_there || counts.of(Count::Open) == 0;
            if is_over || now > deadline || now > changed + DRAIN_QUIET_MICROS {
                // A second copy may arrive a little later.
                return self.step(now + STEP_MICROS);
            }
            self.step(now + STEP_MICROS)?;
            self.show("waiting", 1.0);
        }
    }

    fn step(&mut self, until: Micros) -> io::Result<()> {
        self.crew.advance(until)?;
        let now = self.crew.now();
        if now >= self.sample_due {
            self.sample_due = now + self.sample_every;
            let reading = measure::read(&self.pids);
            let counts = self.crew.counts();
            self.outcome.samples.push(Sample {
                at: now,
                open: counts.of(Count::Open),
                connected: counts.of(Count::Connected),
                arrivals: counts.of(Count::Arrivals),
                user_bytes: reading.user_bytes,
                cpu_nanos: reading.cpu_nanos,
            });
        }
        Ok(())
    }

    fn show(&mut self, phase: &str, part: f64) {
        let now = self.crew.now();
        if !self.progress.is_due(now) {
            return;
        }
        let text = summary(&self.crew.counts(), self.options.scenario);
        self.progress
            .show(now, phase, part, &text, self.screen.errors);
    }

    fn finish(mut self) -> io::Result<Outcome> {
        self.progress.clear(self.screen.errors);
        self.outcome.tally = self.crew.dismiss(LEAVE_MICROS_MAX)?;
        Ok(self.outcome)
    }
}

fn summary(counts: &Counts, scenario: Scenario) -> String {
    let mut text = format!(
        "{} open, {} failed, {} disconnected",
        counts.of(Count::Open),
        counts.failed(),
        counts.disconnected()
    );
    if scenario.talks() {
        text += &format!(
            ", {} sent, {} delivered, {} in flight",
            counts.of(Count::Sent),
            counts.of(Count::Delivered),
            counts.lost()
        );
    }
    if scenario == Scenario::Resume {
        text += &format!(", {} live", counts.of(Count::Live));
    }
    if scenario == Scenario::History {
        text += &format!(", {} pages", counts.of(Count::Arrivals));
    }
    if scenario == Scenario::Churn {
        text += &format!(", {} left", counts.of(Count::Left));
    }
    text
}

fn micros(length: Duration) -> Micros {
    length.as_micros() as Micros
}
