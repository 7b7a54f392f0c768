//! Runs parlor, the floor and every installed peer in turns under the same load and writes tables
//! of what each costs: `cargo bench --bench compare -- --quick`.
//!
//! Every server is started anew for every setting, on a core of its own; the tester, which is
//! `parlor load`, has another. One that fails is named in the table and stops nobody.

pub(crate) mod figures;
pub(crate) mod json;
pub(crate) mod servers;
pub(crate) mod table;

use figures::{Load, Pace, Sample, Setting, Watch};
use json::Json;
use servers::{Heartbeat, Server};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use table::{Outcome, Results};

const CORE_OF_SERVER: &str = "0";
const CORE_OF_TESTER: &str = "1";
/// On top of what a run of the tester should take.
const TESTER_SLACK: Duration = Duration::from_secs(45);

const HELP: &str = "\
cargo bench --bench compare -- [OPTION]...
  --quick           one round of fewer, shorter settings; about 6 minutes
  --rounds N        how often all is measured; distant peers only in the first [3; quick: 1]
  --all-rounds      distant peers in every round
  --together        parlor, the floor of each row and uWebSockets at the same time on the one core
                    instead of in turns, where what is read is a server's own: what disturbs the
                    machine disturbs all of them, and ratios are exact to a few percent
  --only LIST       figures: idle, burst, delivery, latency, slow, heartbeat, growth [all]
  --servers LIST    parlor, parlor-notices, floor, floor-coalescing, uws, gorilla, ws,
                    tokio-tungstenite, axum [all that are installed]
  --parlor PATH     measures another build of parlor [the one cargo has just made]
  --tester PATH     loads with the `parlor load` of another build [the same]
  --minutes N       begins nothing new after so long [35; quick: 8]
benches/peers/build.sh installs the peers. Results go to target/bench/compare.md and .json, with
--together to compare-together.md and .json.";

/// Where things are, and whether processes can be pinned.
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) peers: PathBuf,
    pub(crate) results: PathBuf,
    /// What is measured, and what measures it.
    pub(crate) parlor: PathBuf,
    tester: PathBuf,
    is_pinning: bool,
}

impl Place {
    fn find(options: &Options) -> Result<Self, String> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let ours = || PathBuf::from(env!("CARGO_BIN_EXE_parlor"));
        let place = Self {
            parlor: options.parlor.clone().unwrap_or_else(ours),
            tester: options.tester.clone().unwrap_or_else(ours),
            peers: root.join("target/peers"),
            results: root.join("target/bench"),
            is_pinning: can_pin(),
            root,
        };
        fs::create_dir_all(&place.results)
            .map_err(|error| format!("{}: {error}", place.results.display()))?;
        Ok(place)
    }

    /// A command that runs on one core.
    fn pinned(&self, core: &str, words: &[String]) -> Command {
        let taskset = ["taskset", "-c", core].map(String::from);
        let prefix = if self.is_pinning { &taskset[..] } else { &[] };
        let mut words = prefix.iter().chain(words);
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command.args(words);
        command
    }
}

fn can_pin() -> bool {
    Command::new("taskset")
        .args(["-c", CORE_OF_TESTER, "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server's rule about its clock; this measures it from outside"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

struct Options {
    quick: bool,
    rounds: Option<usize>,
    all_rounds: bool,
    together: bool,
    only: Option<Vec<String>>,
    servers: Option<Vec<String>>,
    minutes: Option<u64>,
    parlor: Option<PathBuf>,
    tester: Option<PathBuf>,
}

impl Options {
    fn parse() -> Result<Self, String> {
        let mut options = Self {
            quick: false,
            rounds: None,
            all_rounds: false,
            together: false,
            only: None,
            servers: None,
            minutes: None,
            parlor: None,
            tester: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("{word} needs a value\n{HELP}"))
            };
            let list = |value: String| value.split(',').map(String::from).collect();
            let wrong = |_| format!("{word} needs a number\n{HELP}");
            match word.as_str() {
                "--quick" => options.quick = true,
                "--all-rounds" => options.all_rounds = true,
                "--together" => options.together = true,
                "--rounds" => options.rounds = Some(value()?.parse().map_err(wrong)?),
                "--minutes" => options.minutes = Some(value()?.parse().map_err(wrong)?),
                "--parlor" => options.parlor = Some(PathBuf::from(value()?)),
                "--tester" => options.tester = Some(PathBuf::from(value()?)),
                "--only" => options.only = Some(list(value()?)),
                "--servers" => options.servers = Some(list(value()?)),
                // What cargo bench gives every bench.
                "--bench" => {}
                _ => return Err(HELP.to_owned()),
            }
        }
        Ok(options)
    }

    fn settings(&self) -> Result<Vec<Setting>, String> {
        let mut settings = figures::settings(self.quick);
        if let Some(only) = &self.only {
            let is_known = |name: &&String| settings.iter().all(|s| s.figure != name.as_str());
            if let Some(unknown) = only.iter().find(is_known) {
                return Err(format!("there is no figure {unknown}\n{HELP}"));
            }
            settings.retain(|setting| only.iter().any(|name| name == setting.figure));
        }
        settings.retain(|setting| !self.together || setting.can_be_shared());
        Ok(settings)
    }

    fn servers(&self, place: &Place) -> Result<Vec<Server>, String> {
        let mut servers = Server::ALL.to_vec();
        if let Some(names) = &self.servers {
            let is_unknown = |name: &&String| Server::ALL.iter().all(|s| s.name() != name.as_str());
            if let Some(unknown) = names.iter().find(is_unknown) {
                return Err(format!("there is no server {unknown}\n{HELP}"));
            }
            servers.retain(|server| names.iter().any(|name| name == server.name()));
        }
        servers.retain(|server| {
            let is_installed = server.is_installed(place);
            if !is_installed {
                println!(
                    "without {}: benches/peers/build.sh installs it",
                    server.name()
                );
            }
            is_installed
        });
        Ok(servers)
    }
}

/// One comparison under way.
struct Comparison {
    place: Place,
    settings: Vec<Setting>,
    servers: Vec<Server>,
    quick: bool,
    all_rounds: bool,
    together: bool,
    end: Instant,
    /// Deliveries per second of the floors in this round.
    rates: HashMap<&'static str, f64>,
    /// What as many connections took in this round before they talked.
    silent: HashMap<&'static str, Json>,
    outcomes: Vec<Outcome>,
    is_cut_short: bool,
}

impl Comparison {
    fn round(&mut self, round: usize) {
        self.rates.clear();
        self.silent.clear();
        for setting in 0..self.settings.len() {
            let count = self.servers.len();
            if self.together {
                if now() > self.end {
                    self.is_cut_short = true;
                    return;
                }
                self.measure_together(setting, round);
                continue;
            }
            // Each begins once: whoever is first could have it easier or harder.
            for turn in 0..count {
                let server = self.servers[(turn + round) % count];
                if self.is_wanted(setting, server, round) {
                    if now() > self.end {
                        self.is_cut_short = true;
                        return;
                    }
                    self.measure(setting, server, round);
                }
            }
        }
    }

    fn is_wanted(&self, setting: usize, server: Server, round: usize) -> bool {
        let setting = &self.settings[setting];
        let is_notices_only = server == Server::ParlorNotices && setting.figure != "idle";
        let is_silent = setting.heartbeat != Heartbeat::Usual && !server.has_heartbeat();
        let is_too_far =
            (round > 1 && !self.all_rounds || setting.close_only) && !server.is_close();
        let has_one_floor = !["idle", "delivery", "latency"].contains(&setting.figure);
        let is_same_floor = server == Server::FloorCoalescing && has_one_floor;
        !is_notices_only && !is_silent && !is_too_far && !is_same_floor
    }

    /// Parlor, the floor and uWebSockets at once on the one core, their testers on the other.
    fn measure_together(&mut self, setting: usize, round: usize) {
        let about = &self.settings[setting];
        let is_near = |server: &Server| [Server::Parlor, Server::Uws, about.floor].contains(server);
        let wanted = |server: &Server| is_near(server) && self.is_wanted(setting, *server, round);
        let servers: Vec<Server> = self.servers.iter().copied().filter(wanted).collect();
        let load = about.load.shared_by(servers.len() as u32);
        let run = |server: Server| self.run(server, &load, about.heartbeat, None);
        let results: Vec<Result<Json, String>> = thread::scope(|scope| {
            let runs: Vec<_> = servers
                .iter()
                .map(|server| scope.spawn(|| run(*server)))
                .collect();
            let result = |run: thread::ScopedJoinHandle<'_, Result<Json, String>>| {
                run.join().unwrap_or_else(|_| Err(String::from("a bug")))
            };
            runs.into_iter().map(result).collect()
        });
        for (server, result) in servers.into_iter().zip(results) {
            self.take(setting, server, round, result.map(Sample::without_slope));
        }
    }

    fn measure(&mut self, setting: usize, server: Server, round: usize) {
        let load = self.settings[setting].load.clone();
        let sample = self
            .send_rate(&load)
            .and_then(|send_rate| self.sample(setting, server, send_rate));
        self.take(setting, server, round, sample);
    }

    /// Reads the figures of a run and keeps them.
    fn take(
        &mut self,
        setting: usize,
        server: Server,
        round: usize,
        sample: Result<Sample, String>,
    ) {
        let about = &self.settings[setting];
        let (values, blemishes) = match sample {
            Ok(sample) => {
                let read = |measure: &figures::Measure| {
                    let is_read = !self.together || !measure.alone_only;
                    is_read.then(|| (measure.read)(&sample)).flatten()
                };
                (
                    Ok(about.measures.iter().map(read).collect()),
                    sample.blemishes(),
                )
            }
            Err(why) => (Err(why), Vec::new()),
        };
        let outcome = Outcome {
            setting,
            server,
            round,
            values,
            blemishes,
        };
        report(about, &outcome);
        self.outcomes.push(outcome);
    }

    fn sample(
        &mut self,
        setting: usize,
        server: Server,
        send_rate: Option<u64>,
    ) -> Result<Sample, String> {
        let Setting {
            ref load,
            heartbeat,
            with_slope,
            ..
        } = self.settings[setting];
        if !with_slope {
            let result = self.run(server, load, heartbeat, send_rate);
            return result.map(Sample::without_slope);
        }
        let fifth = self.run(server, &load.fifth(), heartbeat, send_rate)?;
        let silent = match self.silent.get(server.name()) {
            Some(silent) => silent.clone(),
            None => self.run(server, &load.without_words(), heartbeat, None)?,
        };
        let result = self.run(server, load, heartbeat, send_rate)?;
        // The settings that want it are alike but for the length of what is said.
        self.silent.insert(server.name(), silent.clone());
        Ok(Sample {
            result,
            fifth,
            silent,
        })
    }

    /// Messages a second from each sender, if the load is paced by a floor's rate.
    fn send_rate(&mut self, load: &Load) -> Result<Option<u64>, String> {
        let Load::Chat {
            rooms,
            members,
            senders,
            pace: Pace::Share { of, share },
            ..
        } = load
        else {
            return Ok(None);
        };
        let rate = match self.rates.get(of.name()) {
            Some(rate) => *rate,
            None => self.floor_rate(*of)?,
        };
        let receivers = f64::from(*members) * f64::from(*senders) * f64::from(*rooms);
        Ok(Some(((rate * share / receivers).round() as u64).max(1)))
    }

    fn floor_rate(&mut self, floor: Server) -> Result<f64, String> {
        let load = figures::rate_load(if self.quick { 1.5 } else { 3.0 });
        let result = self.run(floor, &load, Heartbeat::Usual, None)?;
        let rate = result.number("deliveries_per_second");
        let rate = rate
            .filter(|rate| *rate > 0.0)
            .ok_or("the floor has no rate")?;
        println!("  {} makes {rate:.0} deliveries a second", floor.name());
        self.rates.insert(floor.name(), rate);
        Ok(rate)
    }

    /// Starts a server, lets the tester at it, and ends it.
    fn run(
        &self,
        server: Server,
        load: &Load,
        heartbeat: Heartbeat,
        send_rate: Option<u64>,
    ) -> Result<Json, String> {
        let mut running = server.start(&self.place, heartbeat)?;
        // What it does once when it starts is over by then, and is in none of the figures.
        thread::sleep(Duration::from_millis(200));
        let answer = self
            .place
            .results
            .join(format!("load-{}.json", server.name()));
        // There is none before the first run.
        let _ = fs::remove_file(&answer);
        let words = tester_words(&self.place, &running, server, load, send_rate, &answer);
        let log_path = self
            .place
            .results
            .join(format!("load-{}.log", server.name()));
        let log = fs::File::create(&log_path)
            .map_err(|error| format!("{}: {error}", log_path.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = self.place.pinned(CORE_OF_TESTER, &words);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let watch = watched(load).map(|(watch, connect_seconds)| {
            let after = Duration::from_secs_f64(connect_seconds + watch.after_seconds);
            let lasts = Duration::from_secs_f64(watch.seconds);
            running.watch(after, lasts)
        });
        let ended = servers::run_bounded(&mut command, load_time(load) + TESTER_SLACK);
        if !running.is_alive() {
            return Err(String::from("the server ended"));
        }
        ended.map_err(|why| format!("the tester: {why}: {}", last_line(&log_path)))?;
        let text = fs::read_to_string(&answer).map_err(|error| format!("no answer: {error}"))?;
        let mut result =
            Json::parse(&text).map_err(|why| format!("the answer is no JSON: {why}"))?;
        if let Some(cpu_nanos) = watch.and_then(|watch| watch.join().ok().flatten()) {
            add_watched(&mut result, server, load, heartbeat, cpu_nanos);
        }
        Ok(result)
    }

    fn write(&self, head: &str) -> Result<(), String> {
        let results = Results {
            settings: &self.settings,
            servers: &self.servers,
            outcomes: &self.outcomes,
        };
        let cut = if self.is_cut_short {
            "\nThe time was over before all rounds were.\n"
        } else {
            ""
        };
        let markdown = format!("{head}{cut}{}", results.markdown());
        let json = Json::Object(vec![
            (String::from("head"), Json::from(head)),
            (String::from("is_cut_short"), Json::Bool(self.is_cut_short)),
            (String::from("runs"), results.json()),
        ]);
        let name = result_name(self.together);
        for (ending, text) in [("md", markdown), ("json", format!("{json}\n"))] {
            let path = self.place.results.join(format!("{name}.{ending}"));
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }
}

/// Of the files with the results.
const fn result_name(together: bool) -> &'static str {
    if together {
        "compare-together"
    } else {
        "compare"
    }
}

/// What a program said last before it ended.
fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}

fn report(setting: &Setting, outcome: &Outcome) {
    let text = match &outcome.values {
        Err(why) => format!("failed: {why}"),
        Ok(values) => {
            let values = setting.measures.iter().zip(values).map(|(measure, value)| {
                value.map_or_else(
                    || String::from("–"),
                    |v| table::grouped(v, measure.decimals),
                )
            });
            values
                .chain(outcome.blemishes.iter().cloned())
                .collect::<Vec<String>>()
                .join(" | ")
        }
    };
    let (round, server) = (outcome.round, outcome.server.name());
    println!(
        "{round} {}: {}: {server}: {text}",
        setting.figure, setting.name
    );
}

/// What a run takes if all goes well.
fn load_time(load: &Load) -> Duration {
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
    };
    Duration::from_secs_f64(seconds)
}

/// The watch of a load, and how long its connections take to come.
fn watched(load: &Load) -> Option<(Watch, f64)> {
    match *load {
        Load::Idle {
            watch: Some(watch),
            connections,
            connect_rate,
            ..
        } => {
            // The tester waits up to as long as this until all is quiet, twice.
            const SETTLING_SECONDS: f64 = 1.0;
            let connecting = f64::from(connections) / f64::from(connect_rate);
            Some((watch, connecting + SETTLING_SECONDS))
        }
        Load::Idle { watch: None, .. } | Load::Chat { .. } => None,
    }
}

/// Adds what was watched, and how many pings fall into that time.
fn add_watched(
    result: &mut Json,
    server: Server,
    load: &Load,
    heartbeat: Heartbeat,
    cpu_nanos: u64,
) {
    let (Some((watch, _)), Heartbeat::Seconds(seconds), Json::Object(fields)) =
        (watched(load), heartbeat, &mut *result)
    else {
        return;
    };
    let connected = fields.iter().find(|(name, _)| name == "connected");
    let Some((_, Json::Number(connected))) = connected else {
        return;
    };
    let pings = connected * watch.seconds / server.ping_interval(seconds);
    let watched = [
        ("seconds", watch.seconds),
        ("cpu_seconds", cpu_nanos as f64 / 1e9),
        ("pings", pings),
    ];
    let watched = watched.map(|(name, value)| (name.to_owned(), Json::from(value)));
    fields.push((String::from("watched"), Json::Object(watched.into())));
}

/// The tester's command line.
fn tester_words(
    place: &Place,
    running: &servers::Running,
    server: Server,
    load: &Load,
    send_rate: Option<u64>,
    answer: &Path,
) -> Vec<String> {
    let millis = |seconds: f64| format!("{}ms", (seconds * 1000.0) as u64);
    let mut words = vec![place.tester.display().to_string(), String::from("load")];
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
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
                (Pace::Share { .. }, rate) => add("--send-rate", rate.unwrap_or(1).to_string()),
            }
            add("--rest", millis(*rest_seconds));
            if let Some(members) = slow_members {
                add("--slow-members", members.to_string());
            }
        }
    }
    add("--url", server.url(running.port));
    add("--sources", String::from("4"));
    add("--pid", running.pid().to_string());
    add("--json", answer.display().to_string());
    words
}

/// Where and how this was measured.
fn head(place: &Place, rounds: usize, quick: bool, together: bool) -> String {
    let first_value = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim());
        value.unwrap_or("unknown").to_owned()
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let pinning = if place.is_pinning && together {
        "the servers of a row at the same time on core 0, a tester for each on core 1"
    } else if place.is_pinning {
        "each server on core 0, the tester on core 1"
    } else {
        "nothing pinned to a core, for there is no taskset or no second core"
    };
    format!(
        "# parlor compared\n\n\
         {} ({cores} cores, {} of memory), Linux {}; {pinning}; {rounds} rounds{}.\n\n\
         Cells: median (least–most) ×ratio to the floor of the same row, which is floor-coalescing \
         for windows over 1; ratios are taken pair by pair within a round. CPU is user and system \
         time of all threads of the server. parlor announces no joins and leaves \
         (--notice-members 0 --notice-interval 24h); parlor-notices does as by default. For the \
         heartbeat figure every server's interval is shortened to about {} s.\n",
        first_value("/proc/cpuinfo", "model name"),
        first_value("/proc/meminfo", "MemTotal"),
        kernel.trim(),
        if quick { " (quick)" } else { "" },
        figures::PING_SECONDS,
    )
}

fn compare() -> Result<(), String> {
    let options = Options::parse()?;
    let settings = options.settings()?;
    let place = Place::find(&options)?;
    // The servers inherit it.
    let descriptors = parlor::net::mio::raise_descriptor_limit();
    if descriptors < 18_100 {
        println!("only {descriptors} descriptors: the largest settings will fail");
    }
    let mut build = Command::new(place.root.join("benches/peers/build.sh"));
    servers::run_bounded(build.arg("floor"), Duration::from_secs(300))
        .map_err(|why| format!("benches/peers/build.sh floor: {why}"))?;
    let servers = options.servers(&place)?;
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let minutes = options
        .minutes
        .unwrap_or(if options.quick { 8 } else { 35 });
    let head = head(&place, rounds, options.quick, options.together);
    let mut comparison = Comparison {
        place,
        settings,
        servers,
        quick: options.quick,
        all_rounds: options.all_rounds,
        together: options.together,
        end: now() + Duration::from_secs(minutes * 60),
        rates: HashMap::new(),
        silent: HashMap::new(),
        outcomes: Vec::new(),
        is_cut_short: false,
    };
    for round in 1..=rounds {
        comparison.round(round);
        comparison.write(&head)?;
    }
    let name = result_name(options.together);
    let results = &comparison.place.results;
    println!("written: {}", results.join(format!("{name}.md")).display());
    Ok(())
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
