//! How long Redis takes for its scripts, those of all servers together: asked with each beat, for
//! metrics. Redis counts it since its own start.

use super::super::link::Which;
use super::super::resp::{Value, command};
use super::{Ask, Engine};

impl Engine {
    pub(super) fn ask_times(&mut self) {
        let now = self.now;
        self.link(Which::Commands).ask(Ask::Times, now, |out, _| {
            command(out, &[b"INFO", b"commandstats"]);
        });
    }

    pub(super) fn times_came(&mut self, value: Value<'_>) {
        let text = value.text().unwrap_or_default();
        let (calls, micros) = read(&String::from_utf8_lossy(text));
        self.figures.script_calls = calls;
        self.figures.script_micros = micros;
    }
}

/// How many scripts were run, and the microseconds that they took.
fn read(stats: &str) -> (u64, u64) {
    let lines = stats.lines().filter_map(|line| line.split_once(':'));
    let scripts = lines.filter(|(name, _)| matches!(*name, "cmdstat_evalsha" | "cmdstat_eval"));
    scripts.fold((0, 0), |(calls, micros), (_, fields)| {
        let field = |name: &str| {
            let mut pairs = fields.split(',').filter_map(|field| field.split_once('='));
            let (_, value) = pairs.find(|(field, _)| *field == name)?;
            value.parse::<u64>().ok()
        };
        let (more_calls, more_micros) = (field("calls"), field("usec"));
        (
            calls.saturating_add(more_calls.unwrap_or(0)),
            micros.saturating_add(more_micros.unwrap_or(0)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_scripts_are_those_by_name_and_by_text() {
        let stats = "# Commandstats\r\n\
            cmdstat_evalsha:calls=120,usec=4800,usec_per_call=40.00,rejected_calls=0,failed_calls=2\r\n\
            cmdstat_time:calls=7,usec=9,usec_per_call=1.29,rejected_calls=0,failed_calls=0\r\n\
            cmdstat_eval:calls=3,usec=400,usec_per_call=133.33,rejected_calls=0,failed_calls=0\r\n";
        assert_eq!(read(stats), (123, 5_200));
    }

    #[test]
    fn what_is_no_statistic_counts_nothing() {
        for stats in ["", "OK", "cmdstat_eval", "cmdstat_eval:calls=many,usec=-1"] {
            assert_eq!(read(stats), (0, 0), "{stats}");
        }
    }
}
