//! The arithmetic of benches/compare: a wrong median, ratio or interval would look like a result.
//! Runs no server and measures nothing.

#[path = "../benches/compare/main.rs"]
#[expect(dead_code, reason = "only its parts are tested")]
mod compare;

use compare::figures::{Goal, Load, Measure, Setting};
use compare::figures::{number, paired_settings, settings, store_settings};
use compare::options::Options;
use compare::paired::Pairs;
use compare::servers::{Heartbeat, Server, port_in};
use compare::statistics::{Figure, Ratio, Verdict, median};
use compare::table::{Outcome, Results, grouped};
use compare::tls::report::cell;
use compare::upgrade::pause_in;

const MEASURES: &[Measure] = &[Measure {
    name: "CPU",
    decimals: 1,
    read: |sample| number(&sample.result, "/cpu"),
    goals: &[Goal::FloorTimes(1.5), Goal::BelowUws],
    higher_is_better: false,
    worse: "slower",
    alone_only: false,
    flatness: false,
}];

fn setting() -> Setting {
    Setting {
        figure: "delivery",
        name: String::from("here"),
        floor: Server::Floor,
        load: Load::Idle {
            rooms: 1,
            connections: 1,
            slope_from: 1,
            connect_rate: 1,
            seconds: 1.0,
            watch: None,
        },
        heartbeat: Heartbeat::Usual,
        measures: MEASURES,
        quick: true,
        with_slope: false,
        close_only: false,
    }
}

fn outcome(server: Server, round: usize, value: f64) -> Outcome {
    Outcome {
        setting: 0,
        server,
        round,
        values: Ok(vec![Some(value)]),
        blemishes: Vec::new(),
    }
}

fn markdown(outcomes: &[Outcome]) -> String {
    let results = Results {
        settings: &[setting()],
        servers: &[Server::Parlor, Server::Floor, Server::Uws],
        outcomes,
    };
    results.markdown()
}

#[test]
fn ratios_are_taken_within_a_round() {
    // In the second round the machine was ten times slower for all servers.
    let table = markdown(&[
        outcome(Server::Floor, 1, 1.0),
        outcome(Server::Parlor, 1, 2.0),
        outcome(Server::Parlor, 2, 20.0),
        outcome(Server::Floor, 2, 10.0),
    ]);
    assert!(
        table.contains("| here | 2.0–20.0 ×2.00 | 1.0–10.0 |"),
        "{table}"
    );
    assert!(
        table.contains("≤ 1.5 × floor: **missed** (2.00)"),
        "{table}"
    );
}

#[test]
fn rounds_that_agree_within_a_tenth_are_shown_as_their_median() {
    let table = markdown(&[
        outcome(Server::Parlor, 1, 1.0),
        outcome(Server::Parlor, 2, 1.1),
        outcome(Server::Floor, 1, 1.0),
        outcome(Server::Floor, 2, 1.12),
    ]);
    assert!(table.contains("| here | 1.1 ×0.99 | 1.0–1.1 |"), "{table}");
}

#[test]
fn goal_is_undecided_if_the_rounds_lie_on_both_sides_of_it() {
    let table = markdown(&[
        outcome(Server::Parlor, 1, 1.0),
        outcome(Server::Floor, 1, 1.0),
        outcome(Server::Parlor, 2, 2.0),
        outcome(Server::Floor, 2, 1.0),
    ]);
    assert!(
        table.contains("≤ 1.5 × floor: **undecided** (1.00–2.00)"),
        "{table}"
    );
}

#[test]
fn flatness_is_taken_within_a_round() {
    const FLAT: &[Measure] = &[Measure {
        flatness: true,
        goals: &[],
        ..MEASURES[0]
    }];
    let row = |name: &str| Setting {
        name: String::from(name),
        measures: FLAT,
        ..setting()
    };
    let of = |setting, round, value| Outcome {
        setting,
        ..outcome(Server::Parlor, round, value)
    };
    let results = Results {
        settings: &[row("few"), row("many")],
        servers: &[Server::Parlor],
        outcomes: &[of(0, 1, 1.0), of(1, 1, 2.0), of(0, 2, 10.0), of(1, 2, 20.0)],
    };
    let table = results.markdown();
    assert!(table.contains("| largest ÷ smallest | 2.00 |"), "{table}");
}

#[test]
fn round_without_the_floor_has_no_ratio() {
    let table = markdown(&[
        outcome(Server::Parlor, 1, 3.0),
        outcome(Server::Parlor, 2, 2.0),
        outcome(Server::Floor, 2, 2.0),
        outcome(Server::Uws, 2, 2.5),
    ]);
    assert!(table.contains("2.0–3.0 ×1.00"), "{table}");
    assert!(table.contains("≤ uws: reached (0.80)"), "{table}");
}

#[test]
fn measure_without_values_has_no_table() {
    let untaken = Outcome {
        values: Ok(vec![None]),
        ..outcome(Server::Parlor, 1, 0.0)
    };
    let table = markdown(&[untaken]);
    assert!(!table.contains("| here |"), "{table}");
}

#[test]
fn failed_server_and_lost_deliveries_are_named() {
    let mut lossy = outcome(Server::Parlor, 1, 3.0);
    lossy.blemishes.push(String::from("7 deliveries lost"));
    let failed = Outcome {
        values: Err(String::from("the server ended")),
        ..outcome(Server::Uws, 1, 0.0)
    };
    let table = markdown(&[lossy, failed]);
    assert!(table.contains("| here | 3.0 † | failed |"), "{table}");
    assert!(
        table.contains("- uws, here, round 1: failed: the server ended"),
        "{table}"
    );
    assert!(
        table.contains("- parlor, here, round 1: 7 deliveries lost"),
        "{table}"
    );
}

#[test]
fn median_of_an_even_count_is_between_the_middle_two() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
}

#[test]
fn mean_of_rounds_that_differ_is_never_shown() {
    let shown = |values: &[f64]| Figure::of(values).map(|f| f.text(|value| value.to_string()));
    assert_eq!(shown(&[]), None);
    assert_eq!(shown(&[0.5]).as_deref(), Some("0.5"));
    assert_eq!(shown(&[0.0, 0.0]).as_deref(), Some("0"));
    assert_eq!(shown(&[1.05, 0.62]).as_deref(), Some("0.62–1.05"));
    assert_eq!(shown(&[0.0, 1.0]).as_deref(), Some("0–1"));
    assert_eq!(shown(&[-1.0, -1.05]).as_deref(), Some("-1.05–-1"));
}

/// The ratios e^0.01, e^0.02 and so on, of which the interval is known from the tables of critical
/// values of the signed-rank test: 0 for six rounds, 5 for nine, 8 for ten, 25 for fifteen.
#[test]
fn interval_is_that_of_the_signed_rank_test() {
    for (rounds, critical) in [(6, 0), (9, 5), (10, 8), (15, 25)] {
        let ratios: Vec<f64> = (1..=rounds)
            .map(|round| (f64::from(round) / 100.0).exp())
            .collect();
        let mut means: Vec<f64> = (1..=rounds)
            .flat_map(|one| (one..=rounds).map(move |other| f64::from(one + other) / 200.0))
            .collect();
        means.sort_by(f64::total_cmp);
        let ratio = Ratio::of(&ratios).expect("enough rounds");
        let middle = f64::from(rounds + 1) / 200.0;
        assert!((ratio.estimate.ln() - middle).abs() < 1e-9, "{ratio:?}");
        assert!((ratio.low.ln() - means[critical]).abs() < 1e-9, "{ratio:?}");
        let high = means[means.len() - 1 - critical];
        assert!((ratio.high.ln() - high).abs() < 1e-9, "{ratio:?}");
    }
}

#[test]
fn fewer_than_six_rounds_have_no_interval() {
    assert_eq!(Ratio::of(&[]), None);
    assert_eq!(Ratio::of(&[1.0; 5]), None);
    assert_eq!(Ratio::of(&[0.0; 9]), None);
}

/// Of 1,000 games with a known ratio the interval must contain it in about 95 % or more.
#[test]
fn interval_contains_the_true_ratio_as_often_as_stated() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = || {
        // The sum of four uniform numbers is near enough to a normal one.
        let mut sum = -2.0;
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            sum += (state >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum * 0.05
    };
    let mut hits = 0;
    for _ in 0..1_000 {
        let ratios: Vec<f64> = (0..9).map(|_| 1.02 * f64::exp(noise())).collect();
        let ratio = Ratio::of(&ratios).expect("enough rounds");
        hits += usize::from((ratio.low..=ratio.high).contains(&1.02));
    }
    assert!((935..=985).contains(&hits), "{hits}");
}

#[test]
fn verdict_says_where_the_whole_interval_lies() {
    let ratio = |low, high| {
        Some(Ratio {
            estimate: f64::midpoint(low, high),
            low,
            high,
        })
    };
    for (ratio, verdict) in [
        (ratio(0.90, 0.95), Verdict::Within),
        (ratio(0.99, 1.03), Verdict::Within),
        (ratio(1.02, 1.04), Verdict::Inconclusive),
        (ratio(1.031, 1.2), Verdict::Worse),
        (None, Verdict::Inconclusive),
    ] {
        assert_eq!(Verdict::of(ratio), verdict, "{ratio:?}");
    }
}

fn paired_cells(ratio: f64, rounds: usize) -> [String; 5] {
    // A machine whose speed changes from round to round: only the pairs say something.
    let pairs = (0..rounds).map(|round| {
        let base = 1.0 + round as f64;
        (base, base * (ratio + 0.001 * (round % 3) as f64))
    });
    Pairs(pairs.collect()).cells(&MEASURES[0])
}

#[test]
fn paired_rounds_give_a_ratio_and_a_verdict() {
    assert_eq!(
        paired_cells(1.0, 9),
        [
            "1.0–9.0",
            "1.0–9.0",
            "9",
            "1.001 (1.000–1.002)",
            "within 3 %"
        ]
    );
    assert_eq!(paired_cells(1.1, 9)[4], "slower");
    assert_eq!(paired_cells(1.029, 9)[4], "inconclusive");
    assert_eq!(paired_cells(1.0, 8)[3..], ["–", "inconclusive"]);
}

#[test]
fn paired_mode_measures_idle_bytes_accept_and_fan_out() {
    let settings = paired_settings();
    let names: Vec<&str> = settings
        .iter()
        .flat_map(|setting| setting.measures.iter().map(|measure| measure.name))
        .collect();
    assert_eq!(
        names,
        [
            "user-space bytes per connection (slope)",
            "CPU µs per accept + upgrade + join",
            "CPU µs per delivery",
            "CPU µs per delivery"
        ]
    );
    let members = settings.iter().map(|setting| match setting.load {
        Load::Chat { members, .. } => members,
        Load::Idle { .. } | Load::Resume { .. } | Load::History { .. } | Load::Programs { .. } => 0,
    });
    assert_eq!(members.collect::<Vec<u32>>(), [0, 100, 1_000]);
}

fn parsed(words: &str) -> Result<Options, String> {
    Options::parse(words.split_whitespace().map(String::from))
}

#[test]
fn options_have_defaults_for_each_mode() {
    for (words, rounds, minutes) in [
        ("--bench", 3, 35),
        ("--quick", 1, 8),
        ("--base a --together", 15, 10),
        ("--base a --rounds 9 --minutes 3 --parlor b", 9, 3),
    ] {
        let options = parsed(words).expect("options");
        assert_eq!((options.rounds(), options.minutes()), (rounds, minutes));
    }
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for (words, part) in [
        ("--base a --rounds 8", "at least 9"),
        ("--base a --quick", "exclude --quick"),
        ("--base a --only idle", "exclude --only"),
        ("--base", "--base needs a value"),
        ("--rounds x", "--rounds needs a number"),
        ("--what", "there is no option --what"),
    ] {
        let why = parsed(words).expect_err(words);
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn numbers_are_grouped_by_three_digits() {
    assert_eq!(grouped(1_234_567.0, 0), "1,234,567");
    assert_eq!(grouped(999.96, 1), "1,000.0");
    assert_eq!(grouped(-1234.5, 1), "-1,234.5");
    assert_eq!(grouped(-0.04, 1), "0.0");
}

#[test]
fn port_is_found_in_the_line_that_a_server_prints() {
    assert_eq!(port_in("listening on 4711"), Some(4711));
    assert_eq!(
        port_in("parlor is listening on http://127.0.0.1:4711/"),
        Some(4711)
    );
    assert_eq!(port_in("12 bytes"), None);
}

#[test]
fn quick_run_leaves_out_no_figure_but_growth() {
    let figures = |quick| {
        let mut names: Vec<&str> = settings(quick).iter().map(|s| s.figure).collect();
        names.dedup();
        names
    };
    let mut all = figures(false);
    assert_eq!(all.pop(), Some("growth"));
    assert_eq!(figures(true), all);
}

#[test]
fn store_is_compared_for_few_and_many_receivers_and_for_one_and_several_messages() {
    let names: Vec<String> = store_settings().into_iter().map(|s| s.name).collect();
    let fan_out = [100, 1_000, 5_000]
        .into_iter()
        .flat_map(|members| [1, 16].map(|window| (members, window)));
    let fan_out: Vec<String> = fan_out
        .map(|(members, window)| format!("{members} receivers, 64 B, window {window}"))
        .collect();
    assert_eq!(names[1..], fan_out);
    assert!(parsed("--store --base a").is_err());
    assert_eq!(parsed("--store").expect("options").rounds(), 15);
}

/// Their rows would be empty for every other server.
#[test]
fn figures_of_programs_are_those_of_parlor_alone() {
    for setting in settings(false) {
        let figures = ["programs", "resume", "history", "acks"];
        let is_own = figures.contains(&setting.figure);
        assert_eq!(setting.load.is_for_programs(), is_own, "{}", setting.figure);
    }
}

#[test]
fn figures_of_tls_have_their_ratio_to_plain() {
    assert_eq!(cell(&[2.0, 2.1, 2.2], 1, Some(2.0)), "2.1 (× 1.05)");
    assert_eq!(cell(&[2.0, 4.0], 0, None), "2–4");
    assert_eq!(cell(&[], 0, Some(1.0)), "–");
}

#[test]
fn pause_of_an_upgrade_is_read_from_the_log() {
    let line = "INFO parlor::upgrade: upgraded from 0.1.0 to 0.1.0 with 9 connections; the chat \
                stood still for 52 ms";
    assert_eq!(pause_in(line), Some(52.0));
    assert_eq!(pause_in("INFO parlor::reload: nothing changed"), None);
}
