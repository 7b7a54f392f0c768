//! Two builds of parlor, or one with a store and without, under the same load, in turns or at the same time, and what the ratios of
//! the rounds say about the change. Ends by its time, whatever a server or the tester does.

use super::figures::{self, Load, Measure, Sample, Setting};
use super::now;
use super::options::{Options, PAIRED_ROUNDS_MIN};
use super::place::Place;
use super::servers::Server;
use super::statistics::{ACCEPTED, Figure, Ratio, Verdict};
use super::table::grouped;
use super::tester;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The values of one measure in every round in which both builds have one: the base's and the new
/// build's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pairs(pub(crate) Vec<(f64, f64)>);

impl Pairs {
    fn ratio(&self) -> Option<Ratio> {
        if self.0.len() < PAIRED_ROUNDS_MIN {
            return None;
        }
        let ratios: Vec<f64> = self.0.iter().map(|(base, new)| new / base).collect();
        Ratio::of(&ratios)
    }

    fn side(&self, side: fn(&(f64, f64)) -> f64, decimals: usize) -> String {
        let values: Vec<f64> = self.0.iter().map(side).collect();
        Figure::of(&values).map_or_else(
            || String::from("–"),
            |figure| figure.text(|value| grouped(value, decimals)),
        )
    }

    /// The cells of a table's row after its name: base, new, rounds, ratio with interval, verdict.
    pub(crate) fn cells(&self, measure: &Measure) -> [String; 5] {
        let ratio = self.ratio();
        let verdict = match Verdict::of(ratio) {
            Verdict::Within => "within 3 %",
            Verdict::Worse => measure.worse,
            Verdict::Inconclusive => "inconclusive",
        };
        let interval = ratio.map_or_else(
            || String::from("–"),
            |Ratio {
                 estimate,
                 low,
                 high,
             }| format!("{estimate:.3} ({low:.3}–{high:.3})"),
        );
        [
            self.side(|pair| pair.0, measure.decimals),
            self.side(|pair| pair.1, measure.decimals),
            self.0.len().to_string(),
            interval,
            verdict.to_owned(),
        ]
    }
}

/// One setting and what was measured so far.
struct Row {
    setting: Setting,
    /// For each measure of the setting.
    pairs: Vec<Pairs>,
}

struct Comparison {
    /// The base and the new build.
    sides: [Place; 2],
    /// Of the files of the result.
    name: &'static str,
    is_together: bool,
    rows: Vec<Row>,
    /// What went wrong, by round.
    notes: Vec<String>,
    end: Instant,
}

/// Runs the rounds and prints the table.
pub(crate) fn run(options: &Options, place: &Place, base: &Path) -> Result<(), String> {
    for program in [base, &place.parlor] {
        if !program.is_file() {
            return Err(format!("there is no program {}", program.display()));
        }
    }
    let settings = if options.store {
        figures::store_settings()
    } else {
        figures::paired_settings()
    };
    let rows = settings.into_iter().map(|setting| Row {
        pairs: vec![Pairs::default(); setting.measures.len()],
        setting,
    });
    let mut comparison = Comparison {
        sides: [
            Place {
                parlor: base.to_owned(),
                prefix: "base-",
                ..place.clone()
            },
            Place {
                prefix: "new-",
                is_storing: options.store,
                ..place.clone()
            },
        ],
        name: if options.store {
            "compare-store"
        } else {
            "compare-paired"
        },
        is_together: options.together,
        rows: rows.collect(),
        notes: Vec::new(),
        end: now() + Duration::from_secs(options.minutes() * 60),
    };
    let rounds = options.rounds();
    for round in 1..=rounds {
        if !comparison.round(round) {
            let note = format!("the time was up in round {round} of {rounds}");
            comparison.notes.push(note);
            break;
        }
        comparison.write()?;
    }
    comparison.write()?;
    println!("\n{}", comparison.markdown());
    let path = place.results.join(comparison.name);
    println!("written: {}.md", path.display());
    Ok(())
}

impl Comparison {
    /// False: the time is up.
    fn round(&mut self, round: usize) -> bool {
        for row in 0..self.rows.len() {
            if now() >= self.end {
                return false;
            }
            let results = if self.is_together {
                self.measure_together(row)
            } else {
                self.measure_in_turns(row, round)
            };
            let [base, new] = results.map(|result| result.map(Sample::without_slope));
            let name = &self.rows[row].setting.name;
            for (side, sample) in [("base", &base), ("new", &new)] {
                let wrong = match sample {
                    Ok(sample) => sample.blemishes(),
                    Err(why) => vec![why.clone()],
                };
                let notes = wrong.into_iter();
                self.notes
                    .extend(notes.map(|why| format!("{side}, {name}, round {round}: {why}")));
            }
            if let (Ok(base), Ok(new)) = (base, new) {
                self.take(row, round, &base, &new);
            }
        }
        true
    }

    /// The build that comes first changes with every round.
    fn measure_in_turns(&self, row: usize, round: usize) -> [Result<Value, String>; 2] {
        let load = &self.rows[row].setting.load;
        if round.is_multiple_of(2) {
            let new = self.measure(row, 1, load);
            [self.measure(row, 0, load), new]
        } else {
            [0, 1].map(|side| self.measure(row, side, load))
        }
    }

    fn measure_together(&self, row: usize) -> [Result<Value, String>; 2] {
        let load = &self.rows[row].setting.load.shared_by(2);
        thread::scope(|scope| {
            let runs = [0, 1].map(|side| scope.spawn(move || self.measure(row, side, load)));
            runs.map(|run| run.join().unwrap_or_else(|_| Err(String::from("a bug"))))
        })
    }

    fn measure(&self, row: usize, side: usize, load: &Load) -> Result<Value, String> {
        let place = &self.sides[side];
        let heartbeat = self.rows[row].setting.heartbeat;
        tester::run(place, Server::Parlor, load, heartbeat, None, Some(self.end))
    }

    fn take(&mut self, row: usize, round: usize, base: &Sample, new: &Sample) {
        let Row { setting, pairs } = &mut self.rows[row];
        for (measure, pairs) in setting.measures.iter().zip(pairs) {
            let read = |sample: &Sample| (measure.read)(sample).filter(|value| *value > 0.0);
            let (Some(base), Some(new)) = (read(base), read(new)) else {
                continue;
            };
            pairs.0.push((base, new));
            println!(
                "{round} {}: {}: base {}, new {}, ratio {:.3}",
                setting.name,
                measure.name,
                grouped(base, measure.decimals),
                grouped(new, measure.decimals),
                new / base,
            );
        }
    }

    fn markdown(&self) -> String {
        let of = |side: &Place| {
            let store = if side.is_storing {
                ", its history in a directory"
            } else {
                ""
            };
            format!("{}{store}", side.parlor.display())
        };
        let mut out = format!(
            "# two builds of parlor compared\n\n\
             base: {}\nnew: {}\n{}.\n\n\
             The ratio is new ÷ base with its 95 % interval (Wilcoxon signed-rank, of the ratios \
             within each round). Values that differ by more than a tenth between rounds are shown \
             as a range. A verdict needs {PAIRED_ROUNDS_MIN} rounds; the accepted ratio is \
             {ACCEPTED}.\n\n\
             | figure | base | new | rounds | ratio (95 % interval) | verdict |\n\
             | --- | --- | --- | --- | --- | --- |\n",
            of(&self.sides[0]),
            of(&self.sides[1]),
            self.sides[1].machine(self.is_together),
        );
        for Row { setting, pairs } in &self.rows {
            for (measure, pairs) in setting.measures.iter().zip(pairs) {
                let cells = pairs.cells(measure).join(" | ");
                let _ = writeln!(out, "| {}; {} | {cells} |", measure.name, setting.name);
            }
        }
        if !self.notes.is_empty() {
            let _ = writeln!(out, "\n- {}", self.notes.join("\n- "));
        }
        out
    }

    fn write(&self) -> Result<(), String> {
        let mut figures = Vec::new();
        for Row { setting, pairs } in &self.rows {
            for (measure, pairs) in setting.measures.iter().zip(pairs) {
                let ratio = pairs.ratio();
                figures.push(json!({
                    "figure": measure.name,
                    "setting": setting.name,
                    "rounds": pairs.0.iter().map(|(base, new)| json!([base, new])).collect::<Value>(),
                    "ratio": ratio.map(|ratio| ratio.estimate),
                    "interval": ratio.map(|ratio| [ratio.low, ratio.high]),
                    "verdict": pairs.cells(measure)[4],
                }));
            }
        }
        let json = json!({
            "base": self.sides[0].parlor.display().to_string(),
            "new": self.sides[1].parlor.display().to_string(),
            "figures": figures,
            "notes": self.notes,
        });
        self.sides[1].write(self.name, &self.markdown(), &format!("{json}\n"))
    }
}
