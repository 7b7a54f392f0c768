//! What TLS costs: parlor without it, with TLS of its own, and behind nginx, HAProxy and Caddy with
//! the configurations of docs/proxies (`--tls`). The certificate is that of tests/tls, with a key for
//! ECDSA with P-256. What a proxy costs is counted together with the parlor behind it.

pub(crate) mod fronts;
pub(crate) mod hellos;
pub(crate) mod report;

use super::figures::{Load, Pace, number};
use super::now;
use super::options::Options;
use super::place::{CORE_OF_TESTER, Place};
use super::{servers, tester};
use fronts::{Front, Site};
use report::Report;
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// ClientHellos a second, while a bystander's latency is measured.
const HELLOS_PER_SECOND: u32 = 4_500;
/// What a server does once at its start is over after this time.
const START_PAUSE: Duration = Duration::from_millis(300);
/// What a run of the tester may take beyond the time that its phases should take.
const SLACK: Duration = Duration::from_secs(45);

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) decimals: usize,
    read: fn(&Value) -> Option<f64>,
    /// The table also shows how many times that of parlor without TLS it is.
    pub(crate) is_ratio: bool,
}

/// One run of the tester for each front, and the rows that are read from its answer.
pub(crate) struct Setting {
    load: Load,
    /// Handshakes resume a session.
    resumes: bool,
    /// Other clients begin handshakes all the time.
    is_flooded: bool,
    pub(crate) rows: &'static [Row],
}

const IDLE: &[Row] = &[
    Row {
        name: "user-space bytes per idle joined connection (slope)",
        decimals: 0,
        read: |answer| number(answer, "/server/user_bytes_per_connection"),
        is_ratio: false,
    },
    Row {
        name: "CPU µs per accept + full handshake + upgrade + join",
        decimals: 1,
        read: |answer| number(answer, "/connect_server_cpu_us"),
        is_ratio: false,
    },
];

const RESUMED: &[Row] = &[
    Row {
        name: "CPU µs per accept + resumed handshake + upgrade + join",
        decimals: 1,
        read: |answer| number(answer, "/connect_server_cpu_us"),
        is_ratio: false,
    },
    Row {
        name: "of these handshakes resumed, %",
        decimals: 0,
        read: |answer| {
            let all = number(answer, "/tls/handshakes").filter(|count| *count > 0.0)?;
            Some(100.0 * number(answer, "/tls/resumed")? / all)
        },
        is_ratio: false,
    },
];

const DELIVERY: [&[Row]; 2] = [
    &[Row {
        name: "CPU µs per delivery, 1,000 receivers, window 1",
        decimals: 3,
        read: |answer| number(answer, "/server/cpu_us_per_delivery"),
        is_ratio: true,
    }],
    &[Row {
        name: "CPU µs per delivery, 1,000 receivers, window 16",
        decimals: 3,
        read: |answer| number(answer, "/server/cpu_us_per_delivery"),
        is_ratio: true,
    }],
];

const QUIET: &[Row] = &[Row {
    name: "p99 µs of a bystander",
    decimals: 0,
    read: |answer| number(answer, "/latency_us/p99"),
    is_ratio: false,
}];

const FLOODED: &[Row] = &[
    Row {
        name: "p99 µs of a bystander during 4,500 ClientHellos a second",
        decimals: 0,
        read: |answer| number(answer, "/latency_us/p99"),
        is_ratio: false,
    },
    Row {
        name: "ClientHellos sent, a second",
        decimals: 0,
        read: |answer| number(answer, "/hellos/sent_per_second"),
        is_ratio: false,
    },
    Row {
        name: "of these ClientHellos answered, a second",
        decimals: 0,
        read: |answer| number(answer, "/hellos/answered_per_second"),
        is_ratio: false,
    },
];

pub(crate) fn settings(quick: bool) -> Vec<Setting> {
    let (slope_from, connections) = if quick { (500, 2_000) } else { (2_000, 8_000) };
    let seconds = if quick { 3.0 } else { 8.0 };
    let idle = Load::Idle {
        rooms: 1,
        connections,
        slope_from,
        connect_rate: 1_000,
        seconds: 0.5,
        watch: None,
    };
    let chat = |rooms, members, pace| Load::Chat {
        rooms,
        members,
        senders: 1,
        bytes: 64,
        pace,
        seconds,
        slow_members: None,
        rest_seconds: 0.0,
    };
    // As the bystanders of benches/flood: four pairs.
    let bystanders = || chat(4, 2, Pace::Each(8));
    let setting = |load, rows| Setting {
        load,
        resumes: false,
        is_flooded: false,
        rows,
    };
    vec![
        setting(idle.clone(), IDLE),
        Setting {
            resumes: true,
            ..setting(idle, RESUMED)
        },
        setting(chat(1, 1_001, Pace::Window(1)), DELIVERY[0]),
        setting(chat(1, 1_001, Pace::Window(16)), DELIVERY[1]),
        setting(bystanders(), QUIET),
        Setting {
            is_flooded: true,
            ..setting(bystanders(), FLOODED)
        },
    ]
}

/// Measures every setting with every front, round by round, and prints the table.
pub(crate) fn run(options: &Options, place: &Place) -> Result<(), String> {
    let fronts: Vec<Front> = Front::ALL
        .into_iter()
        .filter(|front| front.is_installed() && options.has_server(front.name()))
        .collect();
    let settings = settings(options.quick);
    let end = now() + Duration::from_secs(options.minutes() * 60);
    let mut report = Report::new(&fronts, &settings);
    'rounds: for round in 1..=options.rounds() {
        for (at, setting) in settings.iter().enumerate() {
            // Each front is the first once, because the first could be at an advantage.
            for turn in 0..fronts.len() {
                if now() > end {
                    report.note(format!("the time was up in round {round}"));
                    break 'rounds;
                }
                let front = (turn + round) % fronts.len();
                if setting.needs_tls() && fronts[front] == Front::None {
                    continue;
                }
                let answer = measure(place, fronts[front], setting);
                report.take(at, front, round, answer);
            }
        }
        report.write(place)?;
    }
    report.write(place)?;
    println!("\n{}", report.markdown(place));
    Ok(())
}

impl Setting {
    /// Without TLS there is nothing to measure.
    const fn needs_tls(&self) -> bool {
        self.resumes || self.is_flooded
    }

    pub(crate) fn read(&self, row: usize, answer: &Value) -> Option<f64> {
        (self.rows[row].read)(answer)
    }
}

/// One run of the tester; the servers have ended when it returns.
fn measure(place: &Place, front: Front, setting: &Setting) -> Result<Value, String> {
    let site = Site::start(front, place)?;
    thread::sleep(START_PAUSE);
    let (answer, log) = (place.scratch("tls.json"), place.scratch("tls.log"));
    // There is no file before the first run.
    let _ = fs::remove_file(&answer);
    let mut words = vec![place.tester.display().to_string(), String::from("load")];
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
    tester::add_load(&setting.load, None, &mut add);
    add("--url", site.url());
    add("--sources", String::from("4"));
    for pid in site.pids() {
        add("--pid", pid.to_string());
    }
    add("--json", answer.display().to_string());
    if front != Front::None {
        add("--ca", fronts::certificate("ca.pem"));
    }
    if setting.resumes {
        words.push(String::from("--tls-resume"));
    }
    let output = fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut command = place.pinned(CORE_OF_TESTER, &words);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let lasts = tester::time(&setting.load);
    let flood = setting
        .is_flooded
        .then(|| hellos::Flood::start(place, site.address(), HELLOS_PER_SECOND, lasts + SLACK))
        .transpose()?;
    let begun: Instant = now();
    servers::run_bounded(&mut command, lasts + SLACK)
        .map_err(|why| format!("the tester: {why}: {}", tester::last_line(&log)))?;
    let text = fs::read_to_string(&answer).map_err(|error| format!("no answer: {error}"))?;
    let mut result: Value =
        serde_json::from_str(&text).map_err(|why| format!("the answer is no JSON: {why}"))?;
    if let Some(flood) = flood {
        result["hellos"] = flood.end(begun.elapsed())?;
    }
    Ok(result)
}
