//! Plots as SVG: lines and dots over two axes. The page has the colours.

use super::table::grouped;
use super::{Outcome, measure};
use crate::load::tally::Time;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// A plot and its title.
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) svg: String,
}

/// The plots that a run has the figures for.
pub(super) fn plots(outcome: &Outcome) -> Vec<Plot> {
    [
        memory_by_connections(outcome),
        percentiles(latency_title(outcome), outcome.tally.of(Time::Latency)),
        rate(outcome),
        percentiles("Time to connect", outcome.tally.of(Time::Connecting)),
        connections(outcome),
        memory_by_time(outcome),
        cpu(outcome),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const fn latency_title(outcome: &Outcome) -> &'static str {
    match outcome.options.window {
        None => "Latency of messages, open loop",
        Some(_) => "Latency of messages, closed loop",
    }
}

type Line = Vec<(f64, f64)>;

fn memory_by_connections(outcome: &Outcome) -> Option<Plot> {
    let mut points: Line = outcome
        .points
        .iter()
        .filter_map(|point| Some((point.connections as f64, point.user_bytes? as f64)))
        .collect();
    let mut fit = Line::new();
    if let Some(slope) = measure::slope(&points) {
        let count = points.len() as f64;
        let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
        let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
        let at = |x: f64| (x, mean_y + slope * (x - mean_x));
        fit.extend([at(points[0].0), at(points[points.len() - 1].0)]);
    } else {
        // Scenarios without points at rest have samples.
        let samples = outcome.samples.iter();
        points = samples
            .filter_map(|sample| Some((sample.open as f64, sample.user_bytes? as f64)))
            .collect();
    }
    let axes = Axes::of_bytes(&[&points, &fit])?;
    let mut drawing = Drawing::new(&axes, count_label, bytes_label);
    drawing.line(&fit, "two", "least squares");
    drawing.dots(&points, "one", "measured");
    drawing.end("Server's memory against connections", "connections")
}

/// Percentiles over a logarithmic axis of the share that is slower, so that the tail is visible.
fn percentiles(title: &'static str, histogram: &Histogram<u64>) -> Option<Plot> {
    if histogram.is_empty() {
        return None;
    }
    let nines_max = (histogram.len() as f64).log10().clamp(1.0, 6.0);
    let steps = 120;
    let line: Line = (0..=steps)
        .map(|step| {
            let nines = nines_max * f64::from(step) / f64::from(steps);
            let quantile = 1.0 - 10_f64.powf(-nines);
            (nines, histogram.value_at_quantile(quantile) as f64)
        })
        .collect();
    let axes = Axes::around(&[&line])?;
    let mut drawing = Drawing::with_step(&axes, Some(1.0), nines_label, micros_label);
    drawing.line(&line, "one", "");
    drawing.end(title, "percentile")
}

fn rate(outcome: &Outcome) -> Option<Plot> {
    let arrivals = per_second(outcome, |sample| Some(sample.arrivals as f64));
    let connects = per_second(outcome, |sample| Some(sample.connected as f64));
    let has_arrivals = arrivals.iter().any(|point| point.1 > 0.0);
    let (line, title) = if has_arrivals {
        (arrivals, "Deliveries a second")
    } else {
        (connects, "Connects a second")
    };
    let axes = Axes::around(&[&line])?;
    let mut drawing = Drawing::new(&axes, seconds_label, count_label);
    drawing.line(&line, "one", "");
    drawing.end(title, "time")
}

fn connections(outcome: &Outcome) -> Option<Plot> {
    let samples = outcome.samples.iter();
    let line: Line = samples
        .map(|sample| (sample.at as f64 / 1e6, sample.open as f64))
        .collect();
    let axes = Axes::around(&[&line])?;
    let mut drawing = Drawing::new(&axes, seconds_label, count_label);
    drawing.line(&line, "one", "");
    drawing.end("Open connections", "time")
}

fn memory_by_time(outcome: &Outcome) -> Option<Plot> {
    let samples = outcome.samples.iter();
    let line: Line = samples
        .filter_map(|sample| Some((sample.at as f64 / 1e6, sample.user_bytes? as f64)))
        .collect();
    let axes = Axes::of_bytes(&[&line])?;
    let mut drawing = Drawing::new(&axes, seconds_label, bytes_label);
    drawing.line(&line, "one", "");
    drawing.end("Server's memory", "time")
}

fn cpu(outcome: &Outcome) -> Option<Plot> {
    let line = per_second(outcome, |sample| Some(sample.cpu_nanos? as f64 / 1e7));
    let axes = Axes::around(&[&line])?;
    let mut drawing = Drawing::new(&axes, seconds_label, percent_label);
    drawing.line(&line, "one", "");
    drawing.end("Server's CPU, of one core", "time")
}

/// The growth of a sum per second between every two samples.
fn per_second(outcome: &Outcome, sum: impl Fn(&super::Sample) -> Option<f64>) -> Line {
    let pairs = outcome.samples.windows(2);
    pairs
        .filter_map(|pair| {
            let seconds = pair[1].at.checked_sub(pair[0].at)? as f64 / 1e6;
            let grown = sum(&pair[1])? - sum(&pair[0])?;
            (seconds > 0.0).then(|| (pair[1].at as f64 / 1e6, grown / seconds))
        })
        .collect()
}

// Axes.

/// The ends of both axes, which begin at zero, so that no difference looks larger than it is.
struct Axes {
    right: f64,
    top: f64,
    /// The unit of the upper axis: bytes have powers of two.
    base: f64,
}

impl Axes {
    /// `None` if there is nothing to draw.
    fn around(lines: &[&Line]) -> Option<Self> {
        Self::with_base(lines, 1.0)
    }

    fn of_bytes(lines: &[&Line]) -> Option<Self> {
        let most = lines.iter().flat_map(|line| line.iter());
        let most = most.map(|point| point.1).fold(1.0, f64::max);
        Self::with_base(lines, 1024_f64.powf(most.log(1024.0).floor()))
    }

    fn with_base(lines: &[&Line], base: f64) -> Option<Self> {
        let points = || lines.iter().flat_map(|line| line.iter());
        if points().count() < 2 {
            return None;
        }
        let right = points().map(|point| point.0).fold(0.0, f64::max);
        let top = points().map(|point| point.1).fold(0.0, f64::max);
        Some(Self {
            right: if right > 0.0 { right } else { 1.0 },
            // Up to the next round number above the highest point.
            top: next_tick(if top > 0.0 { top / base } else { 1.0 }) * base,
            base,
        })
    }
}

/// The distance between round numbers of which about five reach to `end`.
fn tick_step(end: f64) -> f64 {
    let rough = end / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough)
}

/// The first round number that is not below `end`.
fn next_tick(end: f64) -> f64 {
    let step = tick_step(end);
    (end / step - 1e-9).ceil() * step
}

/// Round numbers from zero to `end`.
fn ticks(end: f64, step: f64) -> Vec<f64> {
    let count = (end / step + 1e-9) as usize;
    (0..=count).map(|index| index as f64 * step).collect()
}

type Label = fn(f64) -> String;

fn count_label(value: f64) -> String {
    if value.fract() == 0.0 {
        grouped(value as u64)
    } else {
        format!("{value:.2}")
    }
}

fn bytes_label(value: f64) -> String {
    let units = [("MiB", 1_048_576.0), ("KiB", 1024.0)];
    in_unit(value, &units, "B")
}

fn micros_label(value: f64) -> String {
    in_unit(value, &[("s", 1e6), ("ms", 1e3)], "us")
}

/// In the largest unit that is not above the value, without superfluous digits.
fn in_unit(value: f64, units: &[(&str, f64)], least: &str) -> String {
    let fitting = units.iter().find(|(_, size)| value >= *size);
    let (name, size) = fitting.copied().unwrap_or((least, 1.0));
    format!("{} {name}", (value / size * 100.0).round() / 100.0)
}

fn seconds_label(value: f64) -> String {
    format!("{} s", (value * 100.0).round() / 100.0)
}

fn percent_label(value: f64) -> String {
    format!("{} %", (value * 10.0).round() / 10.0)
}

/// 1 is 90 %, 2 is 99 %, and so on.
fn nines_label(nines: f64) -> String {
    match nines.round() as usize {
        0 => String::from("0 %"),
        1 => String::from("90 %"),
        2 => String::from("99 %"),
        nines => format!("99.{} %", "9".repeat(nines - 2)),
    }
}

// Drawing.

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 40.0;

struct Drawing<'a> {
    axes: &'a Axes,
    svg: String,
    labels: usize,
}

impl<'a> Drawing<'a> {
    fn new(axes: &'a Axes, label_x: Label, label_y: Label) -> Self {
        Self::with_step(axes, None, label_x, label_y)
    }

    /// `step_x`: the distance of the numbers on the lower axis, if it is fixed.
    fn with_step(axes: &'a Axes, step_x: Option<f64>, label_x: Label, label_y: Label) -> Self {
        let mut drawing = Self {
            axes,
            svg: String::new(),
            labels: 0,
        };
        for x in ticks(axes.right, step_x.unwrap_or_else(|| tick_step(axes.right))) {
            let (at, label) = (drawing.x(x), label_x(x));
            drawing.mesh(at, TOP, at, HEIGHT - BOTTOM);
            drawing.text(at, HEIGHT - BOTTOM + 16.0, "middle", "", &label);
        }
        for y in ticks(axes.top, tick_step(axes.top / axes.base) * axes.base) {
            let (at, label) = (drawing.y(y), label_y(y));
            drawing.mesh(LEFT, at, WIDTH - RIGHT, at);
            drawing.text(LEFT - 6.0, at + 4.0, "end", "", &label);
        }
        drawing
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + value / self.axes.right * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.axes.top * (HEIGHT - TOP - BOTTOM)
    }

    fn mesh(&mut self, x1: f64, y1: f64, x2: f64, y2: f64) {
        let _ = write!(
            self.svg,
            "<line class=\"mesh\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
        let _ = write!(
            self.svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        );
    }

    /// Names a colour, from left to right above the plot.
    fn legend(&mut self, class: &str, name: &str) {
        if !name.is_empty() {
            let x = LEFT + 110.0 * self.labels as f64;
            self.labels += 1;
            self.text(x, TOP - 10.0, "start", &format!("label-{class}"), name);
        }
    }

    fn line(&mut self, line: &Line, class: &str, name: &str) {
        if line.is_empty() {
            return;
        }
        let points = line
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", self.x(*x), self.y(*y)));
        let points = points.collect::<Vec<String>>().join(" ");
        let _ = write!(
            self.svg,
            "<polyline class=\"{class}\" points=\"{points}\"/>"
        );
        self.legend(class, name);
    }

    fn dots(&mut self, line: &Line, class: &str, name: &str) {
        self.svg += "<g class=\"dots\">";
        for (x, y) in line {
            let (x, y) = (self.x(*x), self.y(*y));
            let _ = write!(
                self.svg,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
            );
        }
        self.svg += "</g>";
        self.legend(class, name);
    }

    fn end(mut self, title: &'static str, below: &str) -> Option<Plot> {
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        self.text(middle, HEIGHT - 6.0, "middle", "", below);
        Some(Plot {
            title,
            svg: format!(
                "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">{}</svg>",
                self.svg
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_end() {
        assert_eq!(
            ticks(10.0, tick_step(10.0)),
            [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        );
        for end in [0.001, 1.0, 7.3, 99.0, 12_345.0, 2e9] {
            let ticks = ticks(end, tick_step(end));
            assert!((3..=6).contains(&ticks.len()), "{end}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick <= end * 1.0001));
            assert!((end..end * 1.5).contains(&next_tick(end)));
        }
    }

    #[test]
    fn percentiles_are_named_by_their_nines() {
        let labels = [0.0, 1.0, 2.0, 3.0, 4.0].map(nines_label);
        assert_eq!(labels, ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn units_fit_and_numbers_have_no_superfluous_digits() {
        assert_eq!(bytes_label(0.0), "0 B");
        assert_eq!(bytes_label(512.0 * 1024.0), "512 KiB");
        assert_eq!(bytes_label(2.5 * 1_048_576.0), "2.5 MiB");
        assert_eq!(micros_label(150_000.0), "150 ms");
        assert_eq!(micros_label(2e6), "2 s");
    }

    #[test]
    fn fewer_than_two_points_are_no_plot() {
        assert!(Axes::around(&[&Line::new()]).is_none());
        assert!(Axes::around(&[&vec![(1.0, 1.0)]]).is_none());
    }
}
