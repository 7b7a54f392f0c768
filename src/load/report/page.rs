//! The figures as a page: one file that contains everything and refers to no other.

use super::table::sections;
use super::{Outcome, plot};
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fdfdfc;--ink:#1d2327;--soft:#66707a;--line:#d9dde1;\
--one:#1f6fb2;--two:#c2571a;--bad:#b3261e;--good:#2e7d4f}\
@media(prefers-color-scheme:dark){:root{--ground:#16191c;--ink:#e4e7ea;--soft:#98a2ab;\
--line:#343b41;--one:#6cb2ee;--two:#f0975c;--bad:#ff8a80;--good:#7ccf9d}}\
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--ground);color:var(--ink);\
font:15px/1.5 system-ui,sans-serif}\
h1{font-size:1.5rem;margin:0}h2{font-size:1rem;margin:0 0 .4rem}p{margin:.2rem 0}\
code{overflow-wrap:anywhere}.soft{color:var(--soft)}.bad{color:var(--bad)}.good{color:var(--good)}\
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));\
gap:1.5rem;margin-top:1.5rem}\
section{border:1px solid var(--line);border-radius:8px;padding:1rem}\
table{border-collapse:collapse;width:100%}td{padding:.15rem 0;vertical-align:top}\
td:last-child{text-align:right;font-variant-numeric:tabular-nums}\
td:first-child{color:var(--soft);padding-right:1rem;white-space:pre}\
svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif}\
svg text{fill:var(--soft)}.mesh{stroke:var(--line)}\
.one{stroke:var(--one);fill:none;stroke-width:2}.two{stroke:var(--two);fill:none;stroke-width:2}\
.dots .one{fill:var(--one);stroke:none}.dots .two{fill:var(--two);stroke:none}\
svg .label-one{fill:var(--one)}svg .label-two{fill:var(--two)}";

/// The whole page.
pub(in crate::load) fn page(outcome: &Outcome, broken: &[String]) -> String {
    let name = outcome.options.scenario.name();
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>parlor load {name}</title><style>{STYLE}</style></head><body>\n\
         <h1>parlor load {name}</h1>\n<p class=\"soft\"><code>{}</code></p>\n",
        escaped(&outcome.options.url.text)
    );
    if broken.is_empty() {
        html += "<p class=\"good\">As expected.</p>\n";
    }
    for sentence in broken {
        let _ = writeln!(
            html,
            "<p class=\"bad\">Not as expected: {}</p>",
            escaped(sentence)
        );
    }
    html += "<div class=\"grid\">\n";
    for plot in plot::plots(outcome) {
        let _ = writeln!(
            html,
            "<section><h2>{}</h2>{}</section>",
            escaped(plot.title),
            plot.svg
        );
    }
    for section in sections(outcome) {
        let _ = write!(html, "<section><h2>{}</h2><table>", escaped(section.title));
        for (name, value) in section.rows {
            let _ = write!(
                html,
                "<tr><td>{}</td><td>{}</td></tr>",
                escaped(name),
                escaped(&value)
            );
        }
        html += "</table></section>\n";
    }
    html += "</div>\n</body></html>\n";
    html
}

/// Text that may stand between tags.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::{Point, Sample};
    use super::*;
    use crate::load::options::{Options, Scenario};
    use crate::load::tally::{Count, Time};

    fn outcome(scenario: Scenario) -> Outcome {
        let mut outcome = Outcome::new(Options {
            pid: Some(1),
            ..Options::new(scenario)
        });
        outcome.tally.counts.set(Count::Connected, 1000);
        for micros in [100, 200, 200, 5_000] {
            outcome.tally.record(Time::Latency, micros);
            outcome.tally.record(Time::Connecting, micros);
        }
        for step in 0..5_u64 {
            outcome.samples.push(Sample {
                at: step * 250_000,
                open: step * 250,
                connected: step * 250,
                arrivals: step * 1000,
                user_bytes: Some(1_000_000 + step * 75_000),
                cpu_nanos: Some(step * 10_000_000),
            });
            outcome.points.push(Point {
                connections: step * 250,
                user_bytes: Some(1_000_000 + step * 75_000),
                kernel_bytes: None,
            });
        }
        outcome
    }

    #[test]
    fn page_of_every_scenario_has_plots_and_no_references() {
        for scenario in [
            Scenario::Idle,
            Scenario::Chat,
            Scenario::Churn,
            Scenario::Slow,
        ] {
            let html = page(&outcome(scenario), &[]);
            assert!(html.contains("<svg"), "{html}");
            for part in ["src=", "href=", "http:", "https:", "url(", "@import", "NaN"] {
                assert!(!html.contains(part), "{part} in {html}");
            }
            assert!(html.contains("As expected."));
        }
    }

    #[test]
    fn broken_expectations_are_shown_and_escaped() {
        let html = page(&outcome(Scenario::Chat), &[String::from("<b> & \"c\"")]);
        assert!(html.contains("Not as expected: &lt;b&gt; &amp; &quot;c&quot;"));
        assert!(!html.contains("As expected."));
    }

    #[test]
    fn run_in_which_nothing_happened_has_a_page() {
        let empty = Outcome::new(Options::new(Scenario::Chat));
        let html = page(&empty, &[]);
        assert!(html.ends_with("</html>\n"));
        assert!(!html.contains("NaN"));
    }
}
