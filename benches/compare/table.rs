//! Medians, ratios and the tables made of them. Knows samples and settings, no process.

use super::figures::{Goal, Measure, Setting};
use super::json::Json;
use super::servers::Server;
use std::fmt::Write as _;

/// One try of one server at one setting.
pub(crate) struct Outcome {
    pub(crate) setting: usize,
    pub(crate) server: Server,
    pub(crate) round: usize,
    /// One for each measure of the setting, or why there are none.
    pub(crate) values: Result<Vec<Option<f64>>, String>,
    pub(crate) blemishes: Vec<String>,
}

/// The middle one; of an even number the mean of the middle two.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// A number as people read it: groups of three before the point.
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

/// All results, asked in the ways a table needs.
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

    fn median(&self, setting: usize, server: Server, measure: usize) -> Option<f64> {
        let values = self.values(setting, server, measure);
        median(
            &values
                .into_iter()
                .map(|(_, value)| value)
                .collect::<Vec<f64>>(),
        )
    }

    /// How many times the other's value this one's is: of each round by itself, then the median.
    fn ratio(&self, setting: usize, server: Server, other: Server, measure: usize) -> Option<f64> {
        let others = self.values(setting, other, measure);
        let mut ratios = Vec::new();
        for (round, value) in self.values(setting, server, measure) {
            let pair = others.iter().find(|(theirs, _)| *theirs == round);
            ratios.extend(
                pair.filter(|(_, other)| *other > 0.0)
                    .map(|(_, other)| value / other),
            );
        }
        median(&ratios)
    }

    fn cell(&self, setting: usize, server: Server, measure: usize) -> String {
        let Measure { decimals, .. } = self.settings[setting].measures[measure];
        let values = self.values(setting, server, measure);
        let sorted: Vec<f64> = values.into_iter().map(|(_, value)| value).collect();
        let Some(middle) = median(&sorted) else {
            let outcomes: Vec<&Outcome> = self.of(setting, server).collect();
            let is_failed = outcomes.iter().any(|outcome| outcome.values.is_err());
            return String::from(if is_failed { "failed" } else { "–" });
        };
        let mut cell = grouped(middle, decimals);
        if sorted.len() > 1 {
            let least = sorted.iter().copied().fold(f64::INFINITY, f64::min);
            let most = sorted.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let (least, most) = (grouped(least, decimals), grouped(most, decimals));
            let _ = write!(cell, " ({least}–{most})");
        }
        let floor = self.settings[setting].floor;
        if let Some(ratio) = self
            .ratio(setting, server, floor, measure)
            .filter(|_| server != floor)
        {
            let _ = write!(cell, " ×{ratio:.2}");
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
        let (text, value, bound) = match goal {
            Goal::FloorTimes(bound) => (
                format!("≤ {bound} × floor"),
                self.ratio(setting, Server::Parlor, floor, measure)?,
                bound,
            ),
            Goal::BelowUws => (
                String::from("≤ uws"),
                self.ratio(setting, Server::Parlor, Server::Uws, measure)?,
                1.0,
            ),
            Goal::BelowPeers => {
                let peers = self.servers.iter().filter(|server| server.is_peer());
                let best = peers
                    .filter_map(|peer| self.ratio(setting, Server::Parlor, *peer, measure))
                    .reduce(f64::max)?;
                (String::from("≤ every peer"), best, 1.0)
            }
            Goal::AtMost(bound) => (
                format!("≤ {bound}"),
                self.median(setting, Server::Parlor, measure)?,
                bound,
            ),
        };
        let is_reached = if is_higher {
            value >= bound
        } else {
            value <= bound
        };
        let word = if is_reached { "reached" } else { "**missed**" };
        Some(format!("{text}: {word} ({value:.2})"))
    }

    /// Whether there is anything to show, be it a failure.
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
                let medians = rows
                    .iter()
                    .filter_map(|row| self.median(*row, *server, measure));
                let (least, most) = medians
                    .fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
                        (least.min(value), most.max(value))
                    });
                if least > 0.0 && least.is_finite() {
                    format!("{:.2}", most / least)
                } else {
                    String::from("–")
                }
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
            // Rows whose measures have the same names share the tables.
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

    /// Every value of every run.
    pub(crate) fn json(&self) -> Json {
        let outcomes = self.outcomes.iter().map(|outcome| {
            let setting = &self.settings[outcome.setting];
            let mut fields = vec![
                (String::from("figure"), Json::from(setting.figure)),
                (String::from("setting"), Json::from(setting.name.as_str())),
                (String::from("server"), Json::from(outcome.server.name())),
                (String::from("round"), Json::from(outcome.round as f64)),
            ];
            match &outcome.values {
                Ok(values) => {
                    let values = setting.measures.iter().zip(values).map(|(measure, value)| {
                        (
                            measure.name.to_owned(),
                            value.map_or(Json::Null, Json::from),
                        )
                    });
                    fields.push((String::from("values"), Json::Object(values.collect())));
                }
                Err(why) => fields.push((String::from("failed"), Json::from(why.as_str()))),
            }
            let blemishes = outcome
                .blemishes
                .iter()
                .map(|text| Json::from(text.as_str()));
            fields.push((String::from("blemishes"), Json::List(blemishes.collect())));
            Json::Object(fields)
        });
        Json::List(outcomes.collect())
    }
}
