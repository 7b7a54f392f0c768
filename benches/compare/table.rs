//! The tables of the comparison. Knows settings and what was measured, no process.

use super::figures::{Goal, Measure, Setting};
use super::servers::Server;
use super::statistics::Figure;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// One measurement of one server at one setting.
pub(crate) struct Outcome {
    pub(crate) setting: usize,
    pub(crate) server: Server,
    pub(crate) round: usize,
    /// A value for each measure of the setting, or why there is none.
    pub(crate) values: Result<Vec<Option<f64>>, String>,
    pub(crate) blemishes: Vec<String>,
}

/// A number with commas between groups of three digits before the point.
pub(crate) fn grouped(number: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", number.abs());
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (text.as_str(), String::new()),
    };
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if number < 0.0 && !is_zero { "-" } else { "" };
    format!("{sign}{grouped}{fraction}")
}

/// All measurements, and what a table needs of them.
pub(crate) struct Results<'a> {
    pub(crate) settings: &'a [Setting],
    pub(crate) servers: &'a [Server],
    pub(crate) outcomes: &'a [Outcome],
}

impl Results<'_> {
    fn of(&self, setting: usize, server: Server) -> impl Iterator<Item = &Outcome> {
        self.outcomes
            .iter()
            .filter(move |outcome| outcome.setting == setting && outcome.server == server)
    }

    /// By round.
    fn values(&self, setting: usize, server: Server, measure: usize) -> Vec<(usize, f64)> {
        self.of(setting, server)
            .filter_map(|outcome| {
                let values = outcome.values.as_ref().ok()?;
                Some((outcome.round, (*values.get(measure)?)?))
            })
            .collect()
    }

    fn figure(&self, setting: usize, server: Server, measure: usize) -> Option<Figure> {
        let values = self.values(setting, server, measure).into_iter();
        Figure::of(&values.map(|(_, value)| value).collect::<Vec<f64>>())
    }

    /// How many times the other server's value this server's value is, in each round in which
    /// both were measured.
    fn ratio(
        &self,
        setting: usize,
        server: Server,
        other: Server,
        measure: usize,
    ) -> Option<Figure> {
        let others = self.values(setting, other, measure);
        let mut ratios = Vec::new();
        for (round, value) in self.values(setting, server, measure) {
            let pair = others.iter().find(|(theirs, _)| *theirs == round);
            ratios.extend(
                pair.filter(|(_, other)| *other > 0.0)
                    .map(|(_, other)| value / other),
            );
        }
        Figure::of(&ratios)
    }

    /// How many times the smallest value of the rows the largest one is, in each round.
    fn flatness(&self, rows: &[usize], server: Server, measure: usize) -> Option<Figure> {
        let rounds = self.outcomes.iter().map(|outcome| outcome.round).max()?;
        let flatness = (1..=rounds).filter_map(|round| {
            let mut least = f64::INFINITY;
            let mut most = 0.0_f64;
            for row in rows {
                let values = self.values(*row, server, measure);
                let (_, value) = values.into_iter().find(|(theirs, _)| *theirs == round)?;
                least = least.min(value);
                most = most.max(value);
            }
            (least > 0.0).then(|| most / least)
        });
        Figure::of(&flatness.collect::<Vec<f64>>())
    }

    fn cell(&self, setting: usize, server: Server, measure: usize) -> String {
        let Measure { decimals, .. } = self.settings[setting].measures[measure];
        let Some(figure) = self.figure(setting, server, measure) else {
            let outcomes: Vec<&Outcome> = self.of(setting, server).collect();
            let is_failed = outcomes.iter().any(|outcome| outcome.values.is_err());
            return String::from(if is_failed { "failed" } else { "–" });
        };
        let mut cell = figure.text(|value| grouped(value, decimals));
        let floor = self.settings[setting].floor;
        if let Some(ratio) = self
            .ratio(setting, server, floor, measure)
            .filter(|_| server != floor)
        {
            let _ = write!(cell, " ×{}", ratio.text(|value| format!("{value:.2}")));
        }
        if self
            .of(setting, server)
            .any(|outcome| !outcome.blemishes.is_empty())
        {
            cell.push_str(" †");
        }
        cell
    }

    fn reaches(&self, setting: usize, measure: usize, goal: Goal) -> Option<String> {
        let is_higher = self.settings[setting].measures[measure].higher_is_better;
        let floor = self.settings[setting].floor;
        let ratio = |other: Server| self.ratio(setting, Server::Parlor, other, measure);
        // Every figure must be within the bound.
        let (text, figures, bound) = match goal {
            Goal::FloorTimes(bound) => (format!("≤ {bound} × floor"), vec![ratio(floor)?], bound),
            Goal::BelowUws => (String::from("≤ uws"), vec![ratio(Server::Uws)?], 1.0),
            Goal::BelowPeers => {
                let peers = self.servers.iter().filter(|server| server.is_peer());
                let ratios = peers.filter_map(|peer| ratio(*peer)).collect();
                (String::from("≤ every peer"), ratios, 1.0)
            }
            Goal::AtMost(bound) => (
                format!("≤ {bound}"),
                vec![self.figure(setting, Server::Parlor, measure)?],
                bound,
            ),
        };
        let is_reached = |value: f64| {
            if is_higher {
                value >= bound
            } else {
                value <= bound
            }
        };
        let verdicts: Vec<Option<bool>> = figures
            .iter()
            .map(|figure| figure.satisfies(is_reached))
            .collect();
        let word = if verdicts.contains(&Some(false)) {
            "**missed**"
        } else if verdicts.contains(&None) {
            "**undecided**"
        } else {
            "reached"
        };
        let highest = |figure: &Figure| match *figure {
            Figure::Agreed(value) | Figure::Range(_, value) => value,
        };
        let decisive = figures
            .iter()
            .max_by(|one, other| highest(one).total_cmp(&highest(other)))?;
        let value = decisive.text(|value| format!("{value:.2}"));
        Some(format!("{text}: {word} ({value})"))
    }

    /// Whether there is anything to show, which may be a failure.
    fn has_any(&self, rows: &[usize], measure: usize) -> bool {
        let is_shown = |outcome: &Outcome| match &outcome.values {
            Ok(values) => values.get(measure).is_some_and(Option::is_some),
            Err(_) => true,
        };
        let mut outcomes = self.outcomes.iter();
        outcomes.any(|outcome| rows.contains(&outcome.setting) && is_shown(outcome))
    }

    fn table(&self, rows: &[usize], measure: usize, out: &mut String) {
        let about = &self.settings[rows[0]].measures[measure];
        let has_any = |server: &Server| {
            rows.iter()
                .any(|row| self.of(*row, *server).next().is_some())
        };
        let servers: Vec<Server> = self.servers.iter().copied().filter(has_any).collect();
        let names: Vec<&str> = servers.iter().map(|server| server.name()).collect();
        let has_goal = rows
            .iter()
            .any(|row| !self.settings[*row].measures[measure].goals.is_empty());
        let _ = writeln!(
            out,
            "\n| {} | {} |{}",
            about.name,
            names.join(" | "),
            if has_goal { " parlor's goal |" } else { "" }
        );
        let columns = servers.len() + usize::from(has_goal);
        let _ = writeln!(out, "| --- |{}", " --- |".repeat(columns));
        for row in rows {
            let setting = &self.settings[*row];
            let cells: Vec<String> = servers
                .iter()
                .map(|server| self.cell(*row, *server, measure))
                .collect();
            let _ = write!(out, "| {} | {} |", setting.name, cells.join(" | "));
            if has_goal {
                let goals: Vec<String> = setting.measures[measure]
                    .goals
                    .iter()
                    .filter_map(|goal| self.reaches(*row, measure, *goal))
                    .collect();
                let _ = write!(out, " {} |", goals.join("; "));
            }
            out.push('\n');
        }
        if about.flatness {
            let flatness = servers.iter().map(|server| {
                let flatness = self.flatness(rows, *server, measure);
                flatness.map_or_else(
                    || String::from("–"),
                    |figure| figure.text(|value| format!("{value:.2}")),
                )
            });
            let flatness: Vec<String> = flatness.collect();
            let goal = if has_goal { " |" } else { "" };
            let _ = writeln!(
                out,
                "| largest ÷ smallest | {} |{goal}",
                flatness.join(" | ")
            );
        }
    }

    /// All tables, one after the other.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let mut figures: Vec<&str> = Vec::new();
        for setting in self.settings {
            if !figures.contains(&setting.figure) {
                figures.push(setting.figure);
            }
        }
        for figure in figures {
            let _ = writeln!(out, "\n## {figure}");
            let rows: Vec<usize> = (0..self.settings.len())
                .filter(|row| self.settings[*row].figure == figure)
                .collect();
            // Rows whose measures have the same names share their tables.
            let mut done: Vec<usize> = Vec::new();
            for row in &rows {
                if done.contains(row) {
                    continue;
                }
                let names = |row: usize| self.settings[row].measures.iter().map(|m| m.name);
                let alike: Vec<usize> = rows
                    .iter()
                    .copied()
                    .filter(|other| names(*other).eq(names(*row)))
                    .collect();
                for measure in 0..self.settings[*row].measures.len() {
                    if self.has_any(&alike, measure) {
                        self.table(&alike, measure, &mut out);
                    }
                }
                done.extend(alike);
            }
        }
        self.notes(&mut out);
        out
    }

    fn notes(&self, out: &mut String) {
        let mut notes = Vec::new();
        for outcome in self.outcomes {
            let what = match &outcome.values {
                Err(why) => format!("failed: {why}"),
                Ok(_) if outcome.blemishes.is_empty() => continue,
                Ok(_) => outcome.blemishes.join(", "),
            };
            notes.push(format!(
                "- {}, {}, round {}: {what}",
                outcome.server.name(),
                self.settings[outcome.setting].name,
                outcome.round,
            ));
        }
        if !notes.is_empty() {
            let _ = writeln!(out, "\n## † what went wrong\n\n{}", notes.join("\n"));
        }
    }

    /// Every value of every measurement.
    pub(crate) fn json(&self) -> Value {
        let outcomes = self.outcomes.iter().map(|outcome| {
            let setting = &self.settings[outcome.setting];
            let mut object = json!({
                "figure": setting.figure,
                "setting": setting.name,
                "server": outcome.server.name(),
                "round": outcome.round,
                "blemishes": outcome.blemishes,
            });
            match &outcome.values {
                Ok(values) => {
                    let pairs = setting.measures.iter().zip(values);
                    let values: Map<String, Value> = pairs
                        .map(|(measure, value)| (measure.name.to_owned(), json!(value)))
                        .collect();
                    object["values"] = Value::Object(values);
                }
                Err(why) => object["failed"] = json!(why),
            }
            object
        });
        outcomes.collect()
    }
}
