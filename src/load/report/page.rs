//! The figures as a page: one file that contains everything and refers to no other. `page.html`
//! draws what this file embeds.

use super::table::sections;
use super::{Outcome, json};
use crate::load::tally::Time;
use hdrhistogram::Histogram;
use serde_json::json;

const PAGE: &str = include_str!("page.html");
/// Where the page wants the figures.
const PLACE: &str = "FIGURES";
/// Steps of a curve of percentiles.
const CURVE_STEPS: u32 = 120;

pub(in crate::load) fn page(outcome: &Outcome, broken: &[String]) -> String {
    let mut figures = json(outcome, broken);
    let sections = sections(outcome).into_iter();
    figures["sections"] = sections
        .map(|section| json!({"title": section.title, "rows": section.rows}))
        .collect();
    let samples = outcome.samples.iter().map(|sample| {
        json!({
            "at": sample.at as f64 / 1e6,
            "open": sample.open,
            "connected": sample.connected,
            "arrivals": sample.arrivals,
            "user_bytes": sample.user_bytes,
            "cpu_nanos": sample.cpu_nanos,
        })
    });
    figures["samples"] = samples.collect();
    let latency = match outcome.options.window {
        None => "Latency of messages, open loop",
        Some(_) => "Latency of messages, closed loop",
    };
    let curves = [
        (latency, Time::Latency),
        ("Time to connect", Time::Connecting),
    ]
    .into_iter();
    figures["curves"] = curves
        .map(|(title, time)| json!({"title": title, "curve": curve(outcome.tally.of(time))}))
        .collect();
    // The end of the script's element must not stand in its text.
    let figures = figures.to_string().replace('<', "\\u003c");
    PAGE.replacen(PLACE, &figures, 1)
}

/// Percentiles by the number of their nines (1 is 90 %, 2 is 99 %), so that the tail is visible.
fn curve(histogram: &Histogram<u64>) -> Vec<[f64; 2]> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let nines_max = (histogram.len() as f64).log10().clamp(1.0, 6.0);
    let steps = 0..=CURVE_STEPS;
    steps
        .map(|step| {
            let nines = nines_max * f64::from(step) / f64::from(CURVE_STEPS);
            let quantile = 1.0 - 10_f64.powf(-nines);
            [nines, histogram.value_at_quantile(quantile) as f64]
        })
        .collect()
}

/// The figures that a page embeds.
#[cfg(test)]
fn embedded(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("id=\"figures\">").expect("the element");
    let (text, _) = rest.split_once("</script>").expect("its end");
    text.parse().expect("JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::options::{Options, Scenario};

    #[test]
    fn page_contains_the_figures_and_refers_to_no_file() {
        let mut outcome = Outcome::new(Options::new(Scenario::Chat));
        outcome.tally.record(Time::Latency, 200);
        let page = page(&outcome, &[]);
        let figures = embedded(&page);
        assert_eq!(figures["scenario"], "chat");
        assert_eq!(figures["sections"][0]["title"], "Connections");
        assert_eq!(
            figures["curves"][0]["title"],
            "Latency of messages, open loop"
        );
        assert_eq!(figures["curves"][0]["curve"][0], json!([0.0, 200.0]));
        assert_eq!(figures["curves"][1]["curve"], json!([]));
        for part in ["src=", "href=", "http://", "https://", "url(", "@import"] {
            assert!(!PAGE.contains(part), "{part}");
        }
    }

    #[test]
    fn markup_in_the_figures_stays_text() {
        let outcome = Outcome::new(Options::new(Scenario::Idle));
        let sentence = String::from("</script><b> & \"c\" FIGURES");
        let page = page(&outcome, std::slice::from_ref(&sentence));
        assert_eq!(embedded(&page)["broken"], json!([sentence]));
        assert!(!page.contains("<b>"));
    }

    #[test]
    fn curve_has_a_point_for_every_step_up_to_its_nines() {
        let mut histogram = Histogram::new(3).unwrap();
        for micros in 1..=1000 {
            histogram.record(micros).unwrap();
        }
        let curve = curve(&histogram);
        assert_eq!(curve.len(), CURVE_STEPS as usize + 1);
        assert_eq!(curve[0], [0.0, 1.0]);
        assert_eq!(curve[CURVE_STEPS as usize], [3.0, 999.0]);
    }
}
