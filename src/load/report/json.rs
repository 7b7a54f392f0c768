//! The figures for programs: one object, always with all its keys. What is unknown is null.

use super::{Outcome, Times, programs};
use crate::load::options::Pace;
use crate::load::tally::{Count, Time};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(in crate::load) fn json(outcome: &Outcome, broken: &[String]) -> Value {
    let of = |count: Count| outcome.of(count);
    let counts = &outcome.tally.counts;
    json!({
        "scenario": outcome.options.scenario.name(),
        "url": outcome.options.url.text,
        "connected": of(Count::Connected),
        "failed": counts.failed(),
        "failures": failures(outcome),
        "disconnects": counts.disconnected(),
        "disconnect_kinds": {
            "closed": by_number(&outcome.tally.codes),
            "ended": of(Count::Ended),
            "reset": of(Count::Broken),
            "garbled": of(Count::Garbled),
        },
        "connect_seconds": rounded(Some(outcome.connect_seconds())),
        "connects_per_second": rounded(outcome.connects_per_second()),
        "connect_server_cpu_us": rounded(outcome.connect_cpu_us()),
        "connect_latency_us": times(outcome.times(Time::Connecting)),
        "tls": {
            "handshakes": of(Count::Shaken),
            "resumed": of(Count::Resumed),
            "errors": outcome.tally.tls_errors,
        },
        "seconds": rounded(Some(outcome.seconds())),
        "sent": of(Count::Sent),
        "held_back": of(Count::HeldBack),
        "sender_gone": of(Count::SenderGone),
        "expected": of(Count::Expected),
        "deliveries": of(Count::Delivered),
        "deliveries_per_second": rounded(outcome.deliveries_per_second()),
        "lost": counts.lost(),
        "doubled": of(Count::Doubled),
        "reordered": of(Count::Late),
        "other": of(Count::Other),
        "latency_loop": outcome.options.scenario.talks().then(|| match outcome.options.pace() {
            Pace::Rate(_) => "open",
            Pace::Window(_) => "closed",
        }),
        "latency_us": times(outcome.times(Time::Latency)),
        "left": of(Count::Left),
        "not_let_go": of(Count::Ignored),
        "leave_latency_us": times(outcome.times(Time::Leaving)),
        "churn_steps_skipped": of(Count::StepsSkipped),
        "slow_members": of(Count::Slow),
        "slow_disconnects": of(Count::SlowGone),
        "program": programs::program(outcome),
        "resume": programs::resume(outcome),
        "history": programs::history(outcome),
        "server": server(outcome),
        "tester": tester(outcome),
        "points": points(outcome),
        "aborted": outcome.aborted,
        "broken": broken,
    })
}

fn failures(outcome: &Outcome) -> Value {
    let of = |count: Count| outcome.of(count);
    json!({
        "refused": of(Count::Refused),
        "timeout": of(Count::TimedOut),
        "reset": of(Count::Reset),
        "http": by_number(&outcome.tally.statuses),
        "no_descriptor": of(Count::Descriptors),
        "no_port": of(Count::Ports),
        "not_joined": of(Count::Unjoined),
        "tls": of(Count::Unsecured),
        "unfinished": of(Count::Unfinished),
        "not_begun": of(Count::NotBegun),
        "other": of(Count::Unanswered),
    })
}

fn by_number(counts: &BTreeMap<u16, u64>) -> Value {
    counts
        .iter()
        .map(|(number, count)| (number.to_string(), json!(count)))
        .collect()
}

/// Percentiles count what never arrived as later than everything else, so they are null where it
/// lies; the mean and the maximum are of what arrived.
pub(super) fn times(times: Times<'_>) -> Value {
    let at = |share: f64| times.at(share).micros();
    json!({
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p999": at(0.999),
        "max": times.max(),
        "mean": rounded(times.mean()),
        "missing": times.missing,
    })
}

fn server(outcome: &Outcome) -> Value {
    json!({
        "cpu_seconds": rounded(outcome.cpu_nanos.map(|nanos| nanos as f64 / 1e9)),
        "cpu_us_per_delivery": rounded(outcome.cpu_us_per_delivery()),
        "user_bytes_start": outcome.user_bytes_start,
        "user_bytes_peak": outcome.user_bytes_peak(),
        "user_bytes_end": outcome.user_bytes_end,
        "user_bytes_per_connection": rounded(outcome.user_bytes_per_connection()),
        "kernel_bytes_per_connection": rounded(outcome.kernel_bytes_per_connection()),
        "resident_bytes_peak": outcome.resident_bytes_peak,
        "descriptors": outcome.descriptors,
    })
}

fn tester(outcome: &Outcome) -> Value {
    json!({
        "processes": outcome.options.processes,
        "cpu_share": rounded(outcome.tester_cpu_share()),
        "busy_share": rounded(outcome.tester_busy_share()),
        "turn_us": times(outcome.times(Time::Turn)),
        "send_lag_us": times(outcome.times(Time::SendLag)),
        "connect_lag_us": times(outcome.times(Time::ConnectLag)),
        "warnings": outcome.warnings(),
    })
}

fn points(outcome: &Outcome) -> Value {
    let points = outcome.points.iter().map(|point| {
        json!({
            "connections": point.connections,
            "user_bytes": point.user_bytes,
            "kernel_bytes": point.kernel_bytes,
        })
    });
    points.collect()
}

/// Three decimals. JSON has no infinity and no NaN: they are null.
pub(super) fn rounded(value: Option<f64>) -> Option<f64> {
    let rounded = value.map(|value| (value * 1000.0).round() / 1000.0);
    rounded.filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::options::{Options, Scenario};

    #[test]
    fn run_in_which_nothing_happened_has_all_keys_and_nulls() {
        let json = json(&Outcome::new(Options::new(Scenario::Chat)), &[]);
        assert_eq!(json["sent"], 0);
        for unknown in [
            "/latency_us/p99",
            "/latency_us/mean",
            "/connects_per_second",
            "/server/user_bytes_end",
            "/tester/cpu_share",
            "/aborted",
        ] {
            assert_eq!(json.pointer(unknown), Some(&Value::Null), "{unknown}");
        }
    }

    #[test]
    fn latency_says_of_which_loop_it_is() {
        let of = |options: Options| json(&Outcome::new(options), &[])["latency_loop"].clone();
        let chat = || Options::new(Scenario::Chat);
        assert_eq!(of(chat()), "open");
        let window = Some(1);
        assert_eq!(of(Options { window, ..chat() }), "closed");
        assert_eq!(of(Options::new(Scenario::Idle)), Value::Null);
    }

    #[test]
    fn numbers_have_three_decimals_and_are_finite() {
        assert_eq!(rounded(Some(0.12345)), Some(0.123));
        assert_eq!(rounded(Some(f64::NAN)), None);
        assert_eq!(rounded(Some(f64::INFINITY)), None);
    }
}
