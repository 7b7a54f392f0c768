//! The arithmetic of benches/compare: a wrong median or ratio would look like a result. Runs no
//! server and measures nothing.

#[path = "../benches/compare/main.rs"]
#[expect(dead_code, reason = "only its parts are tried")]
mod compare;

use compare::figures::{Goal, Load, Measure, Setting, settings};
use compare::json::Json;
use compare::servers::{Heartbeat, Server, port_in};
use compare::table::{Outcome, Results, grouped, median};

const MEASURES: &[Measure] = &[Measure {
    name: "CPU",
    decimals: 1,
    read: |sample| sample.result.number("cpu"),
    goals: &[Goal::FloorTimes(1.5), Goal::BelowUws],
    higher_is_better: false,
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
    // In the second round the machine was ten times slower for everybody.
    let table = markdown(&[
        outcome(Server::Floor, 1, 1.0),
        outcome(Server::Parlor, 1, 2.0),
        outcome(Server::Parlor, 2, 20.0),
        outcome(Server::Floor, 2, 10.0),
    ]);
    assert!(
        table.contains("| here | 11.0 (2.0–20.0) ×2.00 | 5.5 (1.0–10.0) |"),
        "{table}"
    );
    assert!(
        table.contains("≤ 1.5 × floor: **missed** (2.00)"),
        "{table}"
    );
}

#[test]
fn a_round_without_the_floor_has_no_ratio() {
    let table = markdown(&[
        outcome(Server::Parlor, 1, 3.0),
        outcome(Server::Parlor, 2, 2.0),
        outcome(Server::Floor, 2, 2.0),
        outcome(Server::Uws, 2, 2.5),
    ]);
    assert!(table.contains("2.5 (2.0–3.0) ×1.00"), "{table}");
    assert!(table.contains("≤ uws: reached (0.80)"), "{table}");
}

#[test]
fn a_measure_that_nobody_took_has_no_table() {
    let untaken = Outcome {
        values: Ok(vec![None]),
        ..outcome(Server::Parlor, 1, 0.0)
    };
    let table = markdown(&[untaken]);
    assert!(!table.contains("| here |"), "{table}");
}

#[test]
fn a_failed_server_and_a_loss_are_named() {
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
fn the_middle_of_an_even_number_is_between_two() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
}

#[test]
fn numbers_are_grouped_by_three_digits() {
    assert_eq!(grouped(1_234_567.0, 0), "1,234,567");
    assert_eq!(grouped(999.96, 1), "1,000.0");
    assert_eq!(grouped(-1234.5, 1), "-1,234.5");
    assert_eq!(grouped(-0.04, 1), "0.0");
}

#[test]
fn what_is_written_as_json_is_read_again() {
    let text = r#"{"a":null,"b":[1,-2.5,true,{"c":"x\"\\y\u000a"}],"d":{"e":3}}"#;
    let value = Json::parse(text).expect("JSON");
    assert_eq!(value.to_string(), text);
    assert_eq!(value.number("d.e"), Some(3.0));
    assert_eq!(value.number("a"), None);
    assert_eq!(value.number("d.e.f"), None);
}

#[test]
fn json_that_is_cut_short_is_refused() {
    let text = r#"{"a":[1,"x",{"b":null}]}"#;
    for cut in 0..text.len() {
        assert!(Json::parse(&text[..cut]).is_err(), "{}", &text[..cut]);
    }
    assert!(Json::parse(&format!("{text}}}")).is_err());
    assert!(Json::parse(&"[".repeat(100_000)).is_err());
}

#[test]
fn the_port_is_found_in_what_a_server_says() {
    assert_eq!(port_in("listening on 4711"), Some(4711));
    assert_eq!(
        port_in("parlor is listening on http://127.0.0.1:4711/"),
        Some(4711)
    );
    assert_eq!(port_in("12 bytes"), None);
}

#[test]
fn a_quick_run_leaves_out_no_figure_but_growth() {
    let figures = |quick| {
        let mut names: Vec<&str> = settings(quick).iter().map(|s| s.figure).collect();
        names.dedup();
        names
    };
    let mut all = figures(false);
    assert_eq!(all.pop(), Some("growth"));
    assert_eq!(figures(true), all);
}
