//! The figures for people, as a table.

use super::times::{Quantile, Times};
use super::{Outcome, programs};
use crate::load::options::{Pace, Scenario};
use crate::load::tally::{Count, Time};
use std::collections::BTreeMap;

/// A title and the rows below it.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) rows: Vec<(&'static str, String)>,
}

/// The figures of a run that mean something for its scenario, section by section.
pub(super) fn sections(outcome: &Outcome) -> Vec<Section> {
    let mut sections = vec![connections(outcome)];
    if outcome.options.scenario.talks() {
        sections.push(messages(outcome));
    }
    if outcome.options.scenario == Scenario::Churn {
        sections.push(churn(outcome));
    }
    sections.extend(programs::sections(outcome));
    if !outcome.options.pids.is_empty() {
        sections.push(server(outcome));
    }
    sections.push(tester(outcome));
    sections
}

/// The table as text.
pub(in crate::load) fn table(outcome: &Outcome) -> String {
    let mut text = String::new();
    for section in sections(outcome) {
        text += section.title;
        text.push('\n');
        for (name, value) in section.rows {
            text += &format!("  {name:<28} {value}\n");
        }
    }
    text
}

fn connections(outcome: &Outcome) -> Section {
    let counts = &outcome.tally.counts;
    let mut rows = vec![
        ("connected", grouped(counts.of(Count::Connected))),
        (
            "in",
            format!(
                "{:.2} s, {} a second",
                outcome.connect_seconds(),
                optional(outcome.connects_per_second(), 0)
            ),
        ),
        (
            "connecting took",
            percentiles(outcome.times(Time::Connecting)),
        ),
        ("failed", grouped(counts.failed())),
    ];
    for (name, count) in [
        ("  refused", Count::Refused),
        ("  timed out", Count::TimedOut),
        ("  reset", Count::Reset),
        ("  no descriptor left here", Count::Descriptors),
        ("  no port left here", Count::Ports),
        ("  no handshake", Count::Unanswered),
        ("  no TLS", Count::Unsecured),
        ("  not joined", Count::Unjoined),
        ("  unfinished at the end", Count::Unfinished),
        ("  not begun in time", Count::NotBegun),
    ] {
        if counts.of(count) > 0 {
            rows.push((name, grouped(counts.of(count))));
        }
    }
    if !outcome.tally.statuses.is_empty() {
        rows.push(("  refused with", by_number(&outcome.tally.statuses)));
    }
    for (error, count) in &outcome.tally.tls_errors {
        rows.push(("  TLS failed", format!("{}: {error}", grouped(*count))));
    }
    if counts.of(Count::Shaken) > 0 {
        let resumed = grouped(counts.of(Count::Resumed));
        let all = grouped(counts.of(Count::Shaken));
        rows.push((
            "TLS handshakes",
            format!("{all}, {resumed} of them resumed"),
        ));
    }
    rows.push(("ended by the server", grouped(counts.disconnected())));
    if !outcome.tally.codes.is_empty() {
        rows.push(("  closed with", by_number(&outcome.tally.codes)));
    }
    for (name, count) in [
        ("  without a close frame", Count::Ended),
        ("  reset", Count::Broken),
        ("  sent no WebSocket frame", Count::Garbled),
    ] {
        if counts.of(count) > 0 {
            rows.push((name, grouped(counts.of(count))));
        }
    }
    if counts.of(Count::Ignored) > 0 {
        rows.push((
            "did not end after our close",
            grouped(counts.of(Count::Ignored)),
        ));
    }
    Section {
        title: "Connections",
        rows,
    }
}

fn messages(outcome: &Outcome) -> Section {
    let counts = &outcome.tally.counts;
    let mut rows = vec![
        (
            "sent",
            format!(
                "{} in {:.2} s",
                grouped(counts.of(Count::Sent)),
                outcome.seconds()
            ),
        ),
        ("deliveries expected", grouped(counts.of(Count::Expected))),
        ("delivered", grouped(counts.of(Count::Delivered))),
        ("a second", optional(outcome.deliveries_per_second(), 0)),
        ("lost", grouped(counts.lost())),
        ("doubled", grouped(counts.of(Count::Doubled))),
        ("reordered", grouped(counts.of(Count::Late))),
        ("other messages", grouped(counts.of(Count::Other))),
        (
            latency_name(outcome),
            percentiles(outcome.times(Time::Latency)),
        ),
    ];
    for (name, count) in [
        ("held back, not sent", Count::HeldBack),
        ("sender gone, not sent", Count::SenderGone),
    ] {
        if counts.of(count) > 0 {
            rows.push((name, grouped(counts.of(count))));
        }
    }
    if counts.of(Count::Slow) > 0 {
        let gone = grouped(counts.of(Count::SlowGone));
        rows.push((
            "slow members",
            format!("{}, {gone} of them ended", grouped(counts.of(Count::Slow))),
        ));
    }
    Section {
        title: "Messages",
        rows,
    }
}

/// With a window the next message waits for the ones before, so a slow server slows the senders
/// down and the latency hides what an open loop would show.
fn latency_name(outcome: &Outcome) -> &'static str {
    match outcome.options.pace() {
        Pace::Rate(_) => "latency, open loop",
        Pace::Window(_) => "latency, closed loop",
    }
}

fn churn(outcome: &Outcome) -> Section {
    let mut rows = vec![
        ("left", grouped(outcome.of(Count::Left))),
        ("leaving took", percentiles(outcome.times(Time::Leaving))),
    ];
    let skipped = outcome.of(Count::StepsSkipped);
    if skipped > 0 {
        rows.push((
            "steps skipped",
            format!("{}: all places were busy", grouped(skipped)),
        ));
    }
    Section {
        title: "Leaves and joins",
        rows,
    }
}

fn tester(outcome: &Outcome) -> Section {
    let share = |share: Option<f64>| match share {
        Some(share) => format!("{:.0} %", share * 100.0),
        None => String::from("unknown"),
    };
    let mut rows = vec![
        ("CPU, of one core", share(outcome.tester_cpu_share())),
        ("busy, of the time", share(outcome.tester_busy_share())),
        (
            "a turn of its loop took",
            percentiles(outcome.times(Time::Turn)),
        ),
        (
            "connects begun late by",
            percentiles(outcome.times(Time::ConnectLag)),
        ),
    ];
    if outcome.options.scenario.talks() && matches!(outcome.options.pace(), Pace::Rate(_)) {
        rows.push((
            "messages sent late by",
            percentiles(outcome.times(Time::SendLag)),
        ));
    }
    rows.extend(outcome.warnings().into_iter().map(|text| ("warning", text)));
    Section {
        title: "Tester",
        rows,
    }
}

fn server(outcome: &Outcome) -> Section {
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| String::from("unknown"), size);
    let mut rows = vec![
        (
            "CPU for a connect",
            format!("{} us", optional(outcome.connect_cpu_us(), 2)),
        ),
        (
            "CPU while counting",
            format!(
                "{} s of {:.2} s",
                optional(outcome.cpu_nanos.map(|nanos| nanos as f64 / 1e9), 3),
                outcome.seconds()
            ),
        ),
        (
            "memory at start, peak, end",
            format!(
                "{}, {}, {}",
                bytes(outcome.user_bytes_start),
                bytes(outcome.user_bytes_peak()),
                bytes(outcome.user_bytes_end)
            ),
        ),
        ("resident at most", bytes(outcome.resident_bytes_peak)),
    ];
    if outcome.options.scenario.talks() {
        rows.push((
            "CPU for a delivery",
            format!("{} us", optional(outcome.cpu_us_per_delivery(), 3)),
        ));
    }
    if outcome.is_idle() {
        rows.push((
            "bytes for a connection",
            optional(outcome.user_bytes_per_connection(), 0),
        ));
        rows.push((
            "kernel bytes, both ends",
            optional(outcome.kernel_bytes_per_connection(), 0),
        ));
    }
    if let Some(count) = outcome.descriptors {
        rows.push(("descriptors", grouped(count)));
    }
    Section {
        title: "Server",
        rows,
    }
}

pub(super) fn percentiles(times: Times<'_>) -> String {
    let parts =
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)].map(|(name, share)| {
            match times.at(share) {
                Quantile::Known(micros) => format!("{name} {}", time(micros)),
                Quantile::Never => format!("{name} never"),
                Quantile::Unknown => String::new(),
            }
        });
    if times.at(0.0) == Quantile::Unknown {
        return String::from("unknown");
    }
    let mut text = parts.join(", ");
    if let Some(max) = times.max() {
        text += &format!(", max {}", time(max));
    }
    if times.missing > 0 {
        text += &format!("; {} never arrived", grouped(times.missing));
    }
    text
}

fn by_number(counts: &BTreeMap<u16, u64>) -> String {
    let parts = counts.iter().map(|(number, count)| match number {
        0 => format!("no code: {}", grouped(*count)),
        number => format!("{number}: {}", grouped(*count)),
    });
    parts.collect::<Vec<String>>().join(", ")
}

/// Microseconds, in the unit that needs the fewest digits.
pub(super) fn time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.2} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// Bytes, in the largest fitting unit.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{:.0} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0),
    }
}

pub(super) fn optional(value: Option<f64>, digits: usize) -> String {
    match value {
        Some(value) if value >= 10_000.0 && digits == 0 => grouped(value.round() as u64),
        Some(value) => format!("{value:.digits$}"),
        None => String::from("unknown"),
    }
}

/// A number with commas.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::load::options::Options;

    #[test]
    fn latency_counts_what_never_arrived_and_names_its_loop() {
        let mut outcome = Outcome::new(Options::new(Scenario::Chat));
        for _ in 0..95 {
            outcome.tally.record(Time::Latency, 200);
        }
        outcome.tally.counts.add(Count::Expected, 98);
        outcome.tally.counts.add(Count::Delivered, 95);
        outcome.tally.counts.add(Count::Unsent, 2);
        let row = "latency, open loop           p50 200 us, p90 200 us, p99 never, p99.9 never, \
                   max 200 us; 5 never arrived\n";
        let text = table(&outcome);
        assert!(text.contains(row), "{text}");
        outcome.options.window = Some(1);
        let text = table(&outcome);
        assert!(text.contains("latency, closed loop "), "{text}");
        assert!(!text.contains("messages sent late by"), "{text}");
    }

    #[test]
    fn numbers_are_grouped_in_threes() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn units_fit_the_figure() {
        assert_eq!(time(999), "999 us");
        assert_eq!(time(1_500), "1.50 ms");
        assert_eq!(time(2_000_000), "2.00 s");
        assert_eq!(size(300), "300 B");
        assert_eq!(size(1 << 20), "1024 KiB");
        assert_eq!(size(50 << 20), "50.0 MiB");
    }
}
