//! One measurement: starts a server, runs `parlor load` against it, and returns the tester's JSON.
//! Both processes have ended when it returns.

use super::figures::{self, Load, Pace, Watch};
use super::now;
use super::place::{CORE_OF_TESTER, Place};
use super::restart;
use super::servers::{self, Heartbeat, Running, Server};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// What a run of the tester may take beyond the time that its phases should take.
const SLACK: Duration = Duration::from_secs(45);
/// What a server does once at its start is over after this time, and is in none of the figures.
const START_PAUSE: Duration = Duration::from_millis(200);

/// Starts a server, loads it, and ends it. `send_rate` is for loads with a pace of their own;
/// `end` is the moment at which the tester is ended in any case.
pub(crate) fn run(
    place: &Place,
    server: Server,
    load: &Load,
    heartbeat: Heartbeat,
    send_rate: Option<u64>,
    end: Option<Instant>,
) -> Result<Value, String> {
    let place = &Place {
        is_storing: place.is_storing || is_stored(load),
        ..place.clone()
    };
    if place.is_storing {
        // There is none before the first run.
        let _ = fs::remove_dir_all(place.store());
    }
    let mut running = server.start(place, heartbeat)?;
    thread::sleep(START_PAUSE);
    let file = |ending: &str| place.scratch(&format!("load-{}.{ending}", server.name()));
    let (answer, log_path) = (file("json"), file("log"));
    // There is no file before the first run.
    let _ = fs::remove_file(&answer);
    let words = words(place, &running, server, load, send_rate, &answer);
    let log =
        fs::File::create(&log_path).map_err(|error| format!("{}: {error}", log_path.display()))?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let mut command = place.pinned(CORE_OF_TESTER, &words);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let watch = watched(load).map(|(watch, connect_seconds)| {
        let after = Duration::from_secs_f64(connect_seconds + watch.after_seconds);
        let lasts = Duration::from_secs_f64(watch.seconds);
        running.watch(after, lasts)
    });
    let mut most = time(load) + SLACK;
    if let Some(end) = end {
        most = most.min(end.saturating_duration_since(now()));
    }
    let ended = if is_restarted(load) {
        let again = |running: &mut Running| running.restart(server, place, heartbeat);
        restart::run_bounded(&mut command, &log_path, most, &mut running, again)
    } else {
        servers::run_bounded(&mut command, most)
    };
    if !running.is_alive() {
        return Err(String::from("the server ended"));
    }
    ended.map_err(|why| format!("the tester: {why}: {}", last_line(&log_path)))?;
    let text = fs::read_to_string(&answer).map_err(|error| format!("no answer: {error}"))?;
    let mut result: Value =
        serde_json::from_str(&text).map_err(|why| format!("the answer is no JSON: {why}"))?;
    if let Some(cpu_nanos) = watch.and_then(|watch| watch.join().ok().flatten()) {
        add_watched(&mut result, server, load, heartbeat, cpu_nanos);
    }
    Ok(result)
}

fn is_stored(load: &Load) -> bool {
    matches!(
        load,
        Load::Programs {
            is_stored: true,
            ..
        }
    )
}

/// The server is killed and started again while the tester is paused.
fn is_restarted(load: &Load) -> bool {
    match load {
        Load::Programs { load, .. } => is_restarted(load),
        Load::Resume { is_restarted, .. } => *is_restarted,
        Load::Idle { .. } | Load::Chat { .. } | Load::History { .. } => false,
    }
}

/// What a program printed last before it ended.
pub(crate) fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().last();
    line.unwrap_or("it printed nothing").to_owned()
}

/// What a run takes if nothing goes wrong.
pub(crate) fn time(load: &Load) -> Duration {
    let seconds = match load {
        Load::Idle {
            connections,
            connect_rate,
            seconds,
            ..
        } => f64::from(*connections) / f64::from(*connect_rate) + seconds,
        Load::Chat {
            rooms,
            members,
            seconds,
            rest_seconds,
            ..
        } => f64::from(rooms * members) / 10_000.0 + seconds + rest_seconds,
        Load::Resume { connections, .. } => f64::from(*connections) / 1_000.0,
        Load::History { fill, seconds, .. } => f64::from(*fill) / 10_000.0 + seconds,
        Load::Programs { load, .. } => return time(load),
    };
    Duration::from_secs_f64(seconds)
}

/// The watch of a load, and how long it takes to open the connections.
fn watched(load: &Load) -> Option<(Watch, f64)> {
    match *load {
        Load::Idle {
            watch: Some(watch),
            connections,
            connect_rate,
            ..
        } => {
            // The tester waits up to as long as this until the server is quiet, twice.
            const SETTLING_SECONDS: f64 = 1.0;
            let connecting = f64::from(connections) / f64::from(connect_rate);
            Some((watch, connecting + SETTLING_SECONDS))
        }
        Load::Idle { watch: None, .. }
        | Load::Chat { .. }
        | Load::Resume { .. }
        | Load::History { .. }
        | Load::Programs { .. } => None,
    }
}

/// Adds the CPU time of the watch, and how many pings fall into it.
fn add_watched(
    result: &mut Value,
    server: Server,
    load: &Load,
    heartbeat: Heartbeat,
    cpu_nanos: u64,
) {
    let (Some((watch, _)), Heartbeat::Seconds(seconds), Some(connected)) = (
        watched(load),
        heartbeat,
        figures::number(result, "/connected"),
    ) else {
        return;
    };
    result["watched"] = json!({
        "seconds": watch.seconds,
        "cpu_seconds": cpu_nanos as f64 / 1e9,
        "pings": connected * watch.seconds / server.ping_interval(seconds),
    });
}

/// The tester's command line.
fn words(
    place: &Place,
    running: &Running,
    server: Server,
    load: &Load,
    send_rate: Option<u64>,
    answer: &Path,
) -> Vec<String> {
    let mut words = vec![place.tester.display().to_string(), String::from("load")];
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
    let (load, url) = match load {
        Load::Programs { load, .. } => (&**load, Server::programs_url(running.port)),
        load => (load, server.url(running.port)),
    };
    let is_json = matches!(load, Load::Resume { .. } | Load::History { .. });
    add_load(load, send_rate, &mut add);
    if url == Server::programs_url(running.port) && !is_json {
        add("--protocol", String::from("json"));
    }
    add("--url", url);
    add("--sources", String::from("4"));
    add("--pid", running.pid().to_string());
    add("--json", answer.display().to_string());
    if is_restarted(load) {
        words.push(String::from("--pause"));
    }
    words
}

/// The scenario and its options.
pub(crate) fn add_load(load: &Load, send_rate: Option<u64>, add: &mut impl FnMut(&str, String)) {
    let millis = |seconds: f64| format!("{}ms", (seconds * 1000.0) as u64);
    match load {
        Load::Idle {
            rooms,
            connections,
            slope_from,
            connect_rate,
            seconds,
            watch: _,
        } => {
            add("idle", format!("--connections={connections}"));
            add("--rooms", rooms.to_string());
            add("--slope-from", slope_from.to_string());
            add("--connect-rate", connect_rate.to_string());
            add("--duration", millis(*seconds));
        }
        Load::Chat {
            rooms,
            members,
            senders,
            bytes,
            pace,
            seconds,
            slow_members,
            rest_seconds,
        } => {
            let scenario = if slow_members.is_some() {
                "slow"
            } else {
                "chat"
            };
            add(scenario, format!("--rooms={rooms}"));
            add("--members", members.to_string());
            add("--senders", senders.to_string());
            add("--size", bytes.to_string());
            add("--connect-rate", String::from("10000"));
            add("--warmup", String::from("1s"));
            add("--duration", millis(*seconds));
            match (pace, send_rate) {
                (Pace::Window(window), _) => add("--window", window.to_string()),
                (Pace::Each(rate), _) => add("--send-rate", rate.to_string()),
                (Pace::Share { .. }, rate) => add("--send-rate", rate.unwrap_or(1).to_string()),
            }
            add("--rest", millis(*rest_seconds));
            if let Some(members) = slow_members {
                add("--slow-members", members.to_string());
            }
        }
        Load::Resume {
            connections,
            missed,
            is_restarted: _,
        } => {
            add("resume", format!("--connections={connections}"));
            add("--missed", missed.to_string());
            add("--connect-rate", String::from("5000"));
        }
        Load::History {
            connections,
            fill,
            seconds,
        } => {
            add("history", format!("--connections={connections}"));
            add("--fill", fill.to_string());
            add("--duration", millis(*seconds));
        }
        Load::Programs { load, .. } => add_load(load, send_rate, add),
    }
}
