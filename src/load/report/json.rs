//! The figures for programs. One object, always with all its keys.

use super::Outcome;
use crate::load::tally::Count;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The whole object, on one line.
pub(in crate::load) fn json(outcome: &Outcome, broken: &[String]) -> String {
    let counts = &outcome.tally.counts;
    let mut all = Object::new();
    all.text("scenario", outcome.options.scenario.name());
    all.text("url", &outcome.options.url.text);
    all.number("connected", counts.of(Count::Connected));
    all.number("failed", counts.failed());
    all.raw("failures", &failures(outcome));
    all.number("disconnects", counts.disconnected());
    all.raw("disconnect_kinds", &disconnects(outcome));
    all.decimal("connect_seconds", Some(outcome.connect_seconds()));
    all.decimal("connects_per_second", outcome.connects_per_second());
    all.decimal("connect_server_cpu_us", outcome.connect_cpu_us());
    all.raw(
        "connect_latency_us",
        &percentiles(&outcome.tally.connecting),
    );
    all.decimal("seconds", Some(outcome.seconds()));
    all.number("sent", counts.of(Count::Sent));
    all.number("held_back", counts.of(Count::HeldBack));
    all.number("expected", counts.of(Count::Expected));
    all.number("deliveries", counts.of(Count::Delivered));
    all.decimal("deliveries_per_second", outcome.deliveries_per_second());
    all.number("lost", counts.lost());
    all.number("doubled", counts.of(Count::Doubled));
    all.number("reordered", counts.of(Count::Late));
    all.number("other", counts.of(Count::Other));
    all.raw("latency_us", &percentiles(&outcome.tally.latency));
    all.number("left", counts.of(Count::Left));
    all.number("not_let_go", counts.of(Count::Ignored));
    all.number("slow_members", counts.of(Count::Slow));
    all.number("slow_disconnects", counts.of(Count::SlowGone));
    all.raw("server", &server(outcome));
    all.raw("points", &points(outcome));
    match outcome.aborted {
        Some(why) => all.text("aborted", why),
        None => all.raw("aborted", "null"),
    }
    let sentences: Vec<String> = broken.iter().map(|sentence| quoted(sentence)).collect();
    all.raw("broken", &format!("[{}]", sentences.join(",")));
    all.end()
}

fn failures(outcome: &Outcome) -> String {
    let counts = &outcome.tally.counts;
    let mut object = Object::new();
    object.number("refused", counts.of(Count::Refused));
    object.number("timeout", counts.of(Count::TimedOut));
    object.number("reset", counts.of(Count::Reset));
    object.raw("http", &by_number(&outcome.tally.statuses));
    object.number("no_descriptor", counts.of(Count::Descriptors));
    object.number("no_port", counts.of(Count::Ports));
    object.number("other", counts.of(Count::Unanswered));
    object.end()
}

fn disconnects(outcome: &Outcome) -> String {
    let counts = &outcome.tally.counts;
    let mut object = Object::new();
    object.raw("closed", &by_number(&outcome.tally.codes));
    object.number("ended", counts.of(Count::Ended));
    object.number("reset", counts.of(Count::Broken));
    object.number("garbled", counts.of(Count::Garbled));
    object.end()
}

fn by_number(counts: &BTreeMap<u16, u64>) -> String {
    let mut object = Object::new();
    for (number, count) in counts {
        object.number(&number.to_string(), *count);
    }
    object.end()
}

fn percentiles(histogram: &Histogram<u64>) -> String {
    let mut object = Object::new();
    let is_empty = histogram.is_empty();
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
        let value = histogram.value_at_quantile(quantile);
        object.maybe_number(name, (!is_empty).then_some(value));
    }
    object.maybe_number("max", (!is_empty).then(|| histogram.max()));
    object.decimal("mean", (!is_empty).then(|| histogram.mean()));
    object.end()
}

fn server(outcome: &Outcome) -> String {
    let mut object = Object::new();
    let cpu_seconds = outcome.cpu_nanos.map(|nanos| nanos as f64 / 1e9);
    object.decimal("cpu_seconds", cpu_seconds);
    object.decimal("cpu_us_per_delivery", outcome.cpu_us_per_delivery());
    object.maybe_number("user_bytes_start", outcome.user_bytes_start);
    object.maybe_number("user_bytes_peak", outcome.user_bytes_peak());
    object.maybe_number("user_bytes_end", outcome.user_bytes_end);
    object.decimal(
        "user_bytes_per_connection",
        outcome.user_bytes_per_connection(),
    );
    object.decimal(
        "kernel_bytes_per_connection",
        outcome.kernel_bytes_per_connection(),
    );
    object.maybe_number("descriptors", outcome.descriptors);
    object.end()
}

fn points(outcome: &Outcome) -> String {
    let points = outcome.points.iter().map(|point| {
        let mut object = Object::new();
        object.number("connections", point.connections);
        object.maybe_number("user_bytes", point.user_bytes);
        object.maybe_number("kernel_bytes", point.kernel_bytes);
        object.end()
    });
    format!("[{}]", points.collect::<Vec<String>>().join(","))
}

/// An object being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self(String::from("{"))
    }

    /// `value` is JSON already.
    fn raw(&mut self, key: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let _ = write!(self.0, "{}:{value}", quoted(key));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &quoted(value));
    }

    fn number(&mut self, key: &str, value: u64) {
        self.raw(key, &value.to_string());
    }

    fn maybe_number(&mut self, key: &str, value: Option<u64>) {
        match value {
            Some(value) => self.number(key, value),
            None => self.raw(key, "null"),
        }
    }

    /// JSON knows no infinity and no NaN.
    fn decimal(&mut self, key: &str, value: Option<f64>) {
        match value.filter(|value| value.is_finite()) {
            Some(value) => self.raw(key, &format!("{value:.3}")),
            None => self.raw(key, "null"),
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A string as JSON writes it (RFC 8259 §7).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted("a\"b\\c\nd é"), r#""a\"b\\c\u000ad é""#);
    }

    #[test]
    fn what_is_unknown_is_null() {
        let mut object = Object::new();
        object.maybe_number("a", None);
        object.decimal("b", Some(f64::NAN));
        object.decimal("c", Some(0.5));
        object.text("d", "e");
        assert_eq!(object.end(), r#"{"a":null,"b":null,"c":0.500,"d":"e"}"#);
    }
}
