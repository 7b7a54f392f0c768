//! The text in which metrics are exposed: OpenMetrics 1.0. Families come in, lines go out. Knows no
//! server. Names, units and labels are the caller's; that each family has one name and each sample
//! its own labels is checked by a parser in the tests.
//!
//! An encoder of our own: `prometheus-client` counts with atomics in a registry of its own, a second
//! place beside the counters that the loop has, and brings locks and procedural macros for that.

use crate::histogram::Histogram;
use std::fmt::{Display, Write};

/// The type of the response (OpenMetrics 1.0, "Text format").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the numbers of a family mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Info,
    Histogram,
    /// The buckets are what is at this moment, and may fall.
    GaugeHistogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Info => "info",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
        }
    }
}

/// Units that a name may end with, which the format then demands to be declared.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// A text that grows by families.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// One number that only grows. `name` without `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(Kind::Counter, name, help);
        self.sample((name, "_total"), &[], value);
    }

    /// One number for each value of a label.
    pub fn counters<'v, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, V)>,
    ) {
        self.head(Kind::Counter, name, help);
        for (label_value, value) in values {
            self.sample((name, "_total"), &[(label, label_value)], value);
        }
    }

    /// One number that rises and falls.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(Kind::Gauge, name, help);
        self.sample((name, ""), &[], value);
    }

    /// The same where it is known; else nothing.
    pub fn known_gauge(&mut self, name: &str, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.gauge(name, help, value);
        }
    }

    /// One for each value of a label.
    pub fn gauges<'v, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, V)>,
    ) {
        self.head(Kind::Gauge, name, help);
        for (label_value, value) in values {
            self.sample((name, ""), &[(label, label_value)], value);
        }
    }

    /// Which of these states is the present one: 1, and 0 for the others.
    pub fn state(&mut self, name: &str, help: &str, states: &[&str], present: &str) {
        let values = states
            .iter()
            .map(|state| (*state, u8::from(*state == present)));
        self.gauges(name, help, "state", values);
    }

    /// Facts as labels. `name` without `_info`.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.head(Kind::Info, name, help);
        self.sample((name, "_info"), labels, 1);
    }

    /// What has happened so far. `per_unit`: of the recorded values in one unit of the name.
    pub fn histogram(&mut self, name: &str, help: &str, values: &Histogram, per_unit: f64) {
        self.buckets(Kind::Histogram, name, help, values, per_unit);
    }

    /// What is at this moment.
    pub fn gauge_histogram(&mut self, name: &str, help: &str, values: &Histogram) {
        self.buckets(Kind::GaugeHistogram, name, help, values, 1.0);
    }

    fn buckets(&mut self, kind: Kind, name: &str, help: &str, values: &Histogram, per_unit: f64) {
        self.head(kind, name, help);
        let total = values.count();
        for (bound, count) in values.cumulative() {
            let bound = format!("{:?}", bound as f64 / per_unit);
            self.sample((name, "_bucket"), &[("le", &bound)], count);
        }
        self.sample((name, "_bucket"), &[("le", "+Inf")], total);
        let (count, sum) = match kind {
            Kind::GaugeHistogram => ("_gcount", "_gsum"),
            Kind::Counter | Kind::Gauge | Kind::Info | Kind::Histogram => ("_count", "_sum"),
        };
        self.sample((name, count), &[], total);
        self.sample((name, sum), &[], values.sum() as f64 / per_unit);
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }

    fn head(&mut self, kind: Kind, name: &str, help: &str) {
        let mut line = |word: &str, value: &str| {
            for part in ["# ", word, " ", name, " ", value, "\n"] {
                self.text.push_str(part);
            }
        };
        line("TYPE", kind.name());
        let unit = name.rsplit_once('_').map(|(_, unit)| unit);
        if let Some(unit) = unit.filter(|unit| UNITS.contains(unit)) {
            line("UNIT", unit);
        }
        line("HELP", &escaped(help));
    }

    fn sample(
        &mut self,
        (name, suffix): (&str, &str),
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut before = '{';
        for (label, label_value) in labels {
            let label_value = escaped(label_value);
            let _ = write!(self.text, "{before}{label}=\"{label_value}\"");
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        // Writing to a String does not fail.
        let _ = writeln!(self.text, " {value}");
    }
}

/// OpenMetrics 1.0, "escaped-string".
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_with_their_type_unit_and_help() {
        let mut page = Exposition::default();
        page.counter("a_messages", "What came.", 7);
        page.gauges("a_open", "How many.", "phase", [("one", 1), ("two", 2)]);
        page.known_gauge("a_free_bytes", "Free.", Some(5));
        page.known_gauge("a_lost_bytes", "Lost.", None::<u64>);
        page.state("a_store", "How it is.", &["ok", "full"], "full");
        page.info("a_build", "Which.", &[("version", "1\"\\\n")]);
        let mut values = Histogram::new(&[500, 2000]);
        values.record(600);
        values.record(6000);
        page.histogram("a_turn_seconds", "How long.", &values, 1000.0);
        page.gauge_histogram("a_queue", "How many.", &values);
        assert_eq!(
            page.finish(),
            r#"# TYPE a_messages counter
# HELP a_messages What came.
a_messages_total 7
# TYPE a_open gauge
# HELP a_open How many.
a_open{phase="one"} 1
a_open{phase="two"} 2
# TYPE a_free_bytes gauge
# UNIT a_free_bytes bytes
# HELP a_free_bytes Free.
a_free_bytes 5
# TYPE a_store gauge
# HELP a_store How it is.
a_store{state="ok"} 0
a_store{state="full"} 1
# TYPE a_build info
# HELP a_build Which.
a_build_info{version="1\"\\\n"} 1
# TYPE a_turn_seconds histogram
# UNIT a_turn_seconds seconds
# HELP a_turn_seconds How long.
a_turn_seconds_bucket{le="0.5"} 0
a_turn_seconds_bucket{le="2.0"} 1
a_turn_seconds_bucket{le="+Inf"} 2
a_turn_seconds_count 2
a_turn_seconds_sum 6.6
# TYPE a_queue gaugehistogram
# HELP a_queue How many.
a_queue_bucket{le="500.0"} 0
a_queue_bucket{le="2000.0"} 1
a_queue_bucket{le="+Inf"} 2
a_queue_gcount 2
a_queue_gsum 6600
# EOF
"#
        );
    }
}
