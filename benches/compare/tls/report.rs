//! The table of `--tls`: one row for each figure, one column for what is in front of parlor.

use super::super::place::Place;
use super::super::statistics::{Figure, median};
use super::super::table::grouped;
use super::Setting;
use super::fronts::Front;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) struct Report<'s> {
    fronts: &'s [Front],
    settings: &'s [Setting],
    /// By setting, row and front: the values of the rounds.
    values: Vec<Vec<Vec<Vec<f64>>>>,
    notes: Vec<String>,
}

impl<'s> Report<'s> {
    pub(crate) fn new(fronts: &'s [Front], settings: &'s [Setting]) -> Self {
        let values = settings
            .iter()
            .map(|setting| vec![vec![Vec::new(); fronts.len()]; setting.rows.len()])
            .collect();
        Self {
            fronts,
            settings,
            values,
            notes: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        println!("{note}");
        self.notes.push(note);
    }

    /// Takes the answer of one run.
    pub(crate) fn take(
        &mut self,
        setting: usize,
        front: usize,
        round: usize,
        answer: Result<Value, String>,
    ) {
        let name = self.fronts[front].name();
        let of = &self.settings[setting];
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return self.note(format!("{}: {name}: {why}", of.rows[0].name)),
        };
        for (at, row) in of.rows.iter().enumerate() {
            if let Some(value) = of.read(at, &answer) {
                println!(
                    "{round} {}: {name}: {}",
                    row.name,
                    grouped(value, row.decimals)
                );
                self.values[setting][at][front].push(value);
            }
        }
        for wrong in ["failed", "disconnects", "lost", "doubled", "reordered"] {
            let count = answer.get(wrong).and_then(Value::as_u64).unwrap_or(0);
            if count > 0 {
                self.note(format!(
                    "{}: {name}, round {round}: {count} {wrong}",
                    of.rows[0].name
                ));
            }
        }
    }

    pub(crate) fn markdown(&self, place: &Place) -> String {
        let names: Vec<&str> = self.fronts.iter().map(|front| front.name()).collect();
        let mut out = format!(
            "# what TLS costs\n\n{}.\n\nplain is parlor without TLS, parlor has TLS of its own; \
             haproxy, nginx and caddy stand in front of parlor, with which their figures are added \
             up. TLS 1.3, ECDSA with P-256. Where rounds differ by more than a tenth the range is \
             shown; × is the ratio to plain.\n\n| figure | {} |\n| --- |{}\n",
            place.machine(false),
            names.join(" | "),
            " --- |".repeat(names.len()),
        );
        for (setting, rows) in self.settings.iter().zip(&self.values) {
            for (row, fronts) in setting.rows.iter().zip(rows) {
                let plain = self.fronts.iter().position(|front| *front == Front::None);
                let plain = plain.and_then(|at| median(&fronts[at]));
                let cells: Vec<String> = fronts
                    .iter()
                    .map(|values| cell(values, row.decimals, plain.filter(|_| row.is_ratio)))
                    .collect();
                let _ = writeln!(out, "| {} | {} |", row.name, cells.join(" | "));
            }
        }
        if !self.notes.is_empty() {
            let _ = writeln!(out, "\n- {}", self.notes.join("\n- "));
        }
        out
    }

    pub(crate) fn write(&self, place: &Place) -> Result<(), String> {
        let mut figures = Vec::new();
        for (setting, rows) in self.settings.iter().zip(&self.values) {
            for (row, fronts) in setting.rows.iter().zip(rows) {
                for (front, values) in self.fronts.iter().zip(fronts) {
                    figures.push(json!({
                        "figure": row.name,
                        "front": front.name(),
                        "rounds": values,
                    }));
                }
            }
        }
        let json = json!({ "figures": figures, "notes": self.notes });
        place.write("compare-tls", &self.markdown(place), &format!("{json}\n"))
    }
}

/// The figure of the rounds, and its ratio to another.
pub(crate) fn cell(values: &[f64], decimals: usize, to: Option<f64>) -> String {
    let Some(figure) = Figure::of(values) else {
        return String::from("–");
    };
    let text = figure.text(|value| grouped(value, decimals));
    match (median(values), to.filter(|to| *to > 0.0)) {
        (Some(value), Some(to)) => format!("{text} (× {:.2})", value / to),
        _ => text,
    }
}
