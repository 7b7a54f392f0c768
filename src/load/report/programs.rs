//! The figures of clients of `parlor.v1.json`: acknowledgements, faults, returns and pages; and what
//! must not happen in the scenarios that only they have.

use super::json::{rounded, times};
use super::table::{Section, grouped, optional, percentiles};
use super::{Outcome, Times};
use crate::load::options::{Protocol, Scenario};
use crate::load::tally::{Count, Time};
use serde_json::{Value, json};

/// What no client may see: the count, its key, and what it is for people.
const FAULTS: [(Count, &str, &str); 9] = [
    (
        Count::Unreadable,
        "unreadable",
        "messages that the protocol does not have",
    ),
    (
        Count::Unordered,
        "out_of_sequence",
        "entries out of sequence",
    ),
    (Count::Gaps, "gaps", "gaps"),
    (Count::Rewound, "rewound", "rewinds"),
    (
        Count::Unresumed,
        "not_resumed",
        "sessions that were not resumed",
    ),
    (
        Count::Unrecovered,
        "not_recovered",
        "returns that did not go on from where they were",
    ),
    (
        Count::Altered,
        "altered",
        "entries that are not what was said",
    ),
    (
        Count::AckedAgain,
        "acked_again",
        "messages acknowledged again",
    ),
    (Count::WrongPages, "wrong_pages", "wrong pages"),
];

impl Outcome {
    /// The time from the first client that returned to the last that was live.
    fn return_seconds(&self) -> f64 {
        (self.counted_to - self.counted_from) as f64 / 1e6
    }

    fn cpu_us_per(&self, count: Count) -> Option<f64> {
        let nanos = self.cpu_nanos.filter(|_| self.of(count) > 0)?;
        Some(nanos as f64 / 1000.0 / self.of(count) as f64)
    }

    fn pages_per_second(&self) -> Option<f64> {
        (self.seconds() > 0.0).then(|| self.of(Count::Pages) as f64 / self.seconds())
    }

    /// Returns that never were complete.
    pub(super) fn not_live(&self) -> u64 {
        let away = self.of(Count::Vanished);
        away.saturating_sub(self.of(Count::Live))
    }

    /// A sentence for each thing that the scenarios of programs must not show.
    pub(super) fn wrong_for_programs(&self) -> Vec<String> {
        if !matches!(self.options.scenario, Scenario::Resume | Scenario::History) {
            return Vec::new();
        }
        let counts = &self.tally.counts;
        let others = [
            ("clients that are not live", self.not_live()),
            ("entries lost", counts.lost()),
            ("entries doubled", self.of(Count::Doubled)),
            ("entries reordered", self.of(Count::Late)),
            ("messages not acknowledged", counts.unacked()),
            ("connections that failed", counts.failed()),
            ("connections that the server ended", counts.disconnected()),
        ];
        let faults = FAULTS.map(|(count, _, what)| (what, self.of(count)));
        let wrong = others.into_iter().chain(faults);
        let wrong = wrong.filter(|(_, count)| *count > 0);
        let mut wrong: Vec<String> = wrong
            .map(|(what, count)| format!("{what}: {count}"))
            .collect();
        let is_nothing = self.options.scenario == Scenario::History && self.of(Count::Pages) == 0;
        if is_nothing && self.aborted.is_none() {
            wrong.push(String::from("no page was read"));
        }
        wrong
    }
}

pub(super) fn program(outcome: &Outcome) -> Value {
    if outcome.options.protocol == Protocol::Plain {
        return Value::Null;
    }
    let mut value = json!({
        "acked": outcome.of(Count::Acked),
        "not_acked": outcome.tally.counts.unacked(),
        "refused": outcome.of(Count::Unstored),
        "ack_latency_us": times(outcome.times(Time::Ack)),
    });
    for (count, key, _) in FAULTS {
        value[key] = json!(outcome.of(count));
    }
    value
}

pub(super) fn resume(outcome: &Outcome) -> Value {
    if outcome.options.scenario != Scenario::Resume {
        return Value::Null;
    }
    json!({
        "away": outcome.of(Count::Vanished),
        "missed": outcome.options.missed,
        "live": outcome.of(Count::Live),
        "seconds": rounded(Some(outcome.return_seconds())),
        "server_cpu_us": rounded(outcome.cpu_us_per(Count::Live)),
        "latency_us": times(outcome.times(Time::Return)),
    })
}

pub(super) fn history(outcome: &Outcome) -> Value {
    if outcome.options.scenario != Scenario::History {
        return Value::Null;
    }
    json!({
        "pages": outcome.of(Count::Pages),
        "entries": outcome.of(Count::PageEntries),
        "refused": outcome.of(Count::PagesRefused),
        "pages_per_second": rounded(outcome.pages_per_second()),
        "server_cpu_us": rounded(outcome.cpu_us_per(Count::Pages)),
        "latency_us": times(outcome.times(Time::Page)),
    })
}

/// The sections of a table, if the clients were programs.
pub(super) fn sections(outcome: &Outcome) -> Vec<Section> {
    let mut sections = Vec::new();
    match outcome.options.scenario {
        Scenario::Resume => sections.push(returns(outcome)),
        Scenario::History => sections.push(pages(outcome)),
        Scenario::Idle | Scenario::Chat | Scenario::Churn | Scenario::Slow => {}
    }
    if outcome.options.protocol == Protocol::Json {
        sections.push(protocol(outcome));
    }
    sections
}

fn returns(outcome: &Outcome) -> Section {
    let counts = &outcome.tally.counts;
    let cpu = optional(outcome.cpu_us_per(Count::Live), 2);
    let mut rows = vec![
        ("clients away", grouped(counts.of(Count::Vanished))),
        (
            "messages that each missed",
            grouped(outcome.options.missed as u64),
        ),
        (
            "live again",
            format!(
                "{} in {:.2} s",
                grouped(counts.of(Count::Live)),
                outcome.return_seconds()
            ),
        ),
        ("returning took", percentiles(outcome.times(Time::Return))),
        ("entries expected", grouped(counts.of(Count::Expected))),
        ("received", grouped(counts.of(Count::Delivered))),
        ("lost", grouped(counts.lost())),
        ("doubled", grouped(counts.of(Count::Doubled))),
        ("reordered", grouped(counts.of(Count::Late))),
    ];
    if !outcome.options.pids.is_empty() {
        rows.push(("server's CPU for a return", format!("{cpu} us")));
    }
    Section {
        title: "Returns",
        rows,
    }
}

fn pages(outcome: &Outcome) -> Section {
    let counts = &outcome.tally.counts;
    let cpu = optional(outcome.cpu_us_per(Count::Pages), 2);
    let mut rows = vec![
        ("pages", grouped(counts.of(Count::Pages))),
        ("entries", grouped(counts.of(Count::PageEntries))),
        ("pages a second", optional(outcome.pages_per_second(), 0)),
        ("a page took", percentiles(outcome.times(Time::Page))),
    ];
    if counts.of(Count::PagesRefused) > 0 {
        rows.push(("refused", grouped(counts.of(Count::PagesRefused))));
    }
    if !outcome.options.pids.is_empty() {
        rows.push(("server's CPU for a page", format!("{cpu} us")));
    }
    Section {
        title: "Pages of history",
        rows,
    }
}

fn protocol(outcome: &Outcome) -> Section {
    let counts = &outcome.tally.counts;
    let mut rows = vec![
        ("acknowledged", grouped(counts.of(Count::Acked))),
        ("not acknowledged", grouped(counts.unacked())),
    ];
    let times: Times<'_> = outcome.times(Time::Ack);
    if outcome.options.scenario.talks() {
        rows.push(("acknowledging took", percentiles(times)));
    }
    if counts.of(Count::Unstored) > 0 {
        rows.push(("messages refused", grouped(counts.of(Count::Unstored))));
    }
    let faults = FAULTS.into_iter();
    let faults = faults.filter(|(count, ..)| counts.of(*count) > 0);
    rows.extend(faults.map(|(count, _, what)| (what, grouped(counts.of(count)))));
    Section {
        title: "parlor.v1.json",
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::options::Options;

    #[test]
    fn every_fault_breaks_a_run_of_programs_and_is_named() {
        for scenario in [Scenario::Resume, Scenario::History] {
            for (count, key, what) in FAULTS {
                let mut outcome = Outcome::new(Options::new(scenario));
                outcome.tally.counts.add(Count::Pages, 1);
                assert_eq!(outcome.wrong_for_programs(), [""; 0]);
                outcome.tally.counts.add(count, 3);
                assert_eq!(outcome.wrong_for_programs(), [format!("{what}: 3")]);
                assert_eq!(program(&outcome)[key], 3);
            }
        }
    }

    #[test]
    fn client_that_is_not_live_breaks_the_run() {
        let mut outcome = Outcome::new(Options::new(Scenario::Resume));
        outcome.tally.counts.add(Count::Vanished, 2);
        outcome.tally.counts.add(Count::Live, 1);
        assert_eq!(
            outcome.wrong_for_programs(),
            ["clients that are not live: 1"]
        );
    }

    #[test]
    fn cost_of_a_return_is_of_those_that_are_live() {
        let mut outcome = Outcome::new(Options::new(Scenario::Resume));
        assert_eq!(resume(&outcome)["server_cpu_us"], Value::Null);
        outcome.cpu_nanos = Some(300_000);
        outcome.tally.counts.add(Count::Live, 4);
        assert_eq!(resume(&outcome)["server_cpu_us"], 75.0);
    }
}
