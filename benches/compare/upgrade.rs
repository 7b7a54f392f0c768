//! How long the chat stands still when another image of the program takes over (`--upgrade`): with
//! 1,000 and with 10,000 idle connections, as the server logs it, and as a bystander notices it. A
//! machine's own scale is what it takes to add as many sockets to an epoll.

use super::figures::number;
use super::now;
use super::options::Options;
use super::place::{CORE_OF_TESTER, Place};
use super::servers::{Heartbeat, Running, Server};
use super::statistics::{Figure, median};
use super::table::grouped;
use mio::net::UnixStream;
use mio::{Interest, Poll, Token};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Upgrades in one run, and the pause after each.
const UPGRADES: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// The longest time until all connections are open, and until a new image serves.
const OPEN_MAX: Duration = Duration::from_secs(60);
const UPGRADE_MAX: Duration = Duration::from_secs(20);
/// The testers' own time beyond what they are to last.
const SLACK: Duration = Duration::from_secs(60);
/// What the server logs, before the number.
const STOOD_STILL: &str = "the chat stood still for ";

/// What was measured with so many connections.
#[derive(Default)]
struct Row {
    connections: usize,
    pauses_ms: Vec<f64>,
    epoll_ms: Vec<f64>,
    bystander_max_ms: Vec<f64>,
    lost: f64,
    disconnects: f64,
}

pub(crate) fn run(options: &Options, place: &Place) -> Result<(), String> {
    let sizes = if options.quick {
        vec![200, 1_000]
    } else {
        vec![1_000, 10_000]
    };
    let mut rows: Vec<Row> = sizes
        .into_iter()
        .map(|connections| Row {
            connections,
            ..Row::default()
        })
        .collect();
    let end = now() + Duration::from_secs(options.minutes() * 60);
    for _ in 0..options.rounds() {
        for row in &mut rows {
            if now() < end {
                row.measure(place)?;
            }
        }
    }
    let markdown = markdown(&rows, place);
    let json: Value = rows.iter().map(Row::json).collect();
    place.write("compare-upgrade", &markdown, &format!("{json}\n"))?;
    println!("{markdown}");
    Ok(())
}

impl Row {
    fn measure(&mut self, place: &Place) -> Result<(), String> {
        let log = place.scratch("parlor.log");
        let more = ["--log=info".to_owned()];
        let server = Server::Parlor.start_with(place, Heartbeat::Usual, 0, &more)?;
        let lasts = PAUSE * (UPGRADES as u32 + 4);
        let idle = Tester::start(place, &server, "idle", lasts, self.connections)?;
        wait(OPEN_MAX, "not all connections are open", || {
            descriptors(server.pid()) > self.connections
        })?;
        let chat = Tester::start(place, &server, "chat", lasts, 0)?;
        wait(OPEN_MAX, "the bystanders are not there", || {
            descriptors(server.pid()) > self.connections + 8
        })?;
        for _ in 0..UPGRADES {
            let before = pauses(&log).len();
            let pid = server.pid().to_string();
            let sent = Command::new("kill").args(["-USR2", &pid]).status();
            if !sent.is_ok_and(|status| status.success()) {
                return Err(String::from("the server has ended"));
            }
            wait(UPGRADE_MAX, "no new image serves", || {
                pauses(&log).len() > before
            })?;
            thread::sleep(PAUSE);
        }
        self.pauses_ms.extend(pauses(&log));
        let (idle, chat) = (idle.answer()?, chat.answer()?);
        let of = |answer: &Value, path| number(answer, path).unwrap_or(0.0);
        self.bystander_max_ms
            .push(of(&chat, "/latency_us/max") / 1e3);
        self.lost += of(&chat, "/lost") + of(&chat, "/doubled") + of(&chat, "/reordered");
        self.disconnects += of(&idle, "/disconnects") + of(&chat, "/disconnects");
        self.epoll_ms.push(add_to_epoll(self.connections)?);
        let ms = median(&self.pauses_ms).unwrap_or(0.0);
        println!("{} connections: {ms:.1} ms", self.connections);
        Ok(())
    }

    fn cells(&self) -> String {
        let text = |values: &[f64]| {
            let figure = Figure::of(values);
            figure.map_or_else(
                || String::from("–"),
                |figure| figure.text(|ms| grouped(ms, 1)),
            )
        };
        let (pause, epoll) = (median(&self.pauses_ms), median(&self.epoll_ms));
        let each = pause.map_or(0.0, |ms| ms * 1e3 / self.connections as f64);
        let ratio = pause.zip(epoll).map_or(0.0, |(pause, epoll)| pause / epoll);
        format!(
            "| {} | {} | {each:.2} | {} | {ratio:.1} | {} | {} | {} |",
            grouped(self.connections as f64, 0),
            text(&self.pauses_ms),
            text(&self.epoll_ms),
            text(&self.bystander_max_ms),
            self.lost,
            self.disconnects,
        )
    }

    fn json(&self) -> Value {
        json!({
            "connections": self.connections,
            "pauses_ms": self.pauses_ms,
            "epoll_ms": self.epoll_ms,
            "bystander_max_ms": self.bystander_max_ms,
            "lost": self.lost,
            "disconnects": self.disconnects,
        })
    }
}

fn markdown(rows: &[Row], place: &Place) -> String {
    let mut out = format!(
        "# upgrades in place\n\n{}.\n\nThe pause is as the server logs it; where upgrades differ by \
         more than a tenth, their range is shown.\n\n| idle connections | pause, ms | µs a \
         connection | adding as many sockets to an epoll, ms | pause ÷ that | longest latency of a \
         bystander, ms | messages lost, doubled or reordered | connections ended |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        place.machine(false)
    );
    for row in rows {
        let _ = writeln!(out, "{}", row.cells());
    }
    if let [small, .., large] = rows
        && let (Some(few), Some(many)) = (median(&small.pauses_ms), median(&large.pauses_ms))
    {
        let more = (large.connections - small.connections) as f64;
        let each = (many - few) * 1e3 / more;
        let _ = writeln!(out, "\nEach connection more takes {each:.2} µs.");
    }
    out
}

/// The pauses in a log, in milliseconds.
fn pauses(log: &Path) -> Vec<f64> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(pause_in).collect()
}

/// The pause that a line of the log states.
pub(crate) fn pause_in(line: &str) -> Option<f64> {
    let (number, unit) = line.split_once(STOOD_STILL)?.1.split_once(' ')?;
    unit.starts_with("ms").then(|| number.parse().ok())?
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn wait(most: Duration, why: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    let end = now() + most;
    while !holds() {
        if now() > end {
            return Err(why.to_owned());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// How long it takes to add so many sockets to an epoll, in milliseconds.
fn add_to_epoll(count: usize) -> Result<f64, String> {
    let wrong = |error: std::io::Error| error.to_string();
    let poll = Poll::new().map_err(wrong)?;
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        let (one, other) = UnixStream::pair().map_err(wrong)?;
        sockets.extend([one, other]);
    }
    let begun = now();
    for (at, socket) in sockets.iter_mut().enumerate() {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = poll.registry();
        registry
            .register(socket, Token(at), interest)
            .map_err(wrong)?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// A tester that is killed when this is dropped.
struct Tester {
    child: Child,
    answer: std::path::PathBuf,
    most: Duration,
}

impl Tester {
    /// `connections`: of idle ones.
    fn start(
        place: &Place,
        server: &Running,
        scenario: &str,
        lasts: Duration,
        connections: usize,
    ) -> Result<Self, String> {
        let answer = place.scratch(&format!("upgrade-{scenario}.json"));
        // There is no file before the first run.
        let _ = fs::remove_file(&answer);
        let url = Server::Parlor.url(server.port);
        let own = match scenario {
            "idle" => format!("--connections={connections} --connect-rate=4000 --sources=4"),
            _ => String::from("--rooms=4 --members=2 --senders=1 --send-rate=8 --warmup=0"),
        };
        let tester = place.tester.display().to_string();
        let words: Vec<String> = [tester.as_str(), "load", scenario]
            .into_iter()
            .chain(own.split_whitespace())
            .map(String::from)
            .chain([
                format!("--url={url}"),
                format!("--duration={}s", lasts.as_secs()),
                format!("--json={}", answer.display()),
            ])
            .collect();
        let log = place.scratch(&format!("upgrade-{scenario}.log"));
        let log = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = place.pinned(CORE_OF_TESTER, &words);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn();
        Ok(Self {
            child: child.map_err(|error| format!("it cannot be started: {error}"))?,
            answer,
            most: lasts + SLACK,
        })
    }

    /// What it has measured, as soon as it has ended.
    fn answer(mut self) -> Result<Value, String> {
        let end = now() + self.most;
        while let Ok(None) = self.child.try_wait() {
            if now() > end {
                return Err(String::from("a tester does not end"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        let text = fs::read_to_string(&self.answer).map_err(|why| format!("no answer: {why}"))?;
        serde_json::from_str(&text).map_err(|why| format!("the answer is no JSON: {why}"))
    }
}

impl Drop for Tester {
    fn drop(&mut self) {
        // Fails if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
