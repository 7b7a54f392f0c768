//! Measures what clients that flood the server cost it, and what the other clients notice of it:
//! `cargo bench --bench flood`.
//!
//! One cell of the table is one server process, some flooders of one kind and four pairs of
//! bystanders. The server has core 0. The flooders (a child process at the lowest priority) and the
//! bystanders share core 1, so that the load cannot slow the measured latency more than it must.
//! Every wait is bounded: a cell takes [`CELL`] and at most [`SLACK`] more.

mod bystander;
mod client;
mod flooder;

use flooder::{Fate, Kind};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long the flooders of one cell send. Long enough for three pauses of two seconds.
const CELL: Duration = Duration::from_secs(6);

/// Starting the processes, joining the rooms and collecting late messages.
const SLACK: Duration = Duration::from_secs(15);

const COUNTS: [usize; 3] = [1, 50, 250];

const HELP: &str = "\
cargo bench --bench flood -- [OPTION]...
  --parlor PATH    measures another build of parlor [the one cargo has just made]
  --only LIST      kinds: pongs, pings, empty-texts, over-rate-texts, long-texts, fragments,
                   empty-fragments [all]
  --counts LIST    flooders of each kind [1,50,250]
The table goes to standard output.";

#[expect(
    clippy::disallowed_methods,
    reason = "the rule is for the server; this program measures it from outside"
)]
fn now() -> Instant {
    Instant::now()
}

struct Options {
    parlor: PathBuf,
    kinds: Vec<Kind>,
    counts: Vec<usize>,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            parlor: PathBuf::from(env!("CARGO_BIN_EXE_parlor")),
            kinds: Kind::ALL.to_vec(),
            counts: COUNTS.to_vec(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                // cargo bench adds this.
                "--bench" => {}
                "--parlor" => options.parlor = PathBuf::from(value()?),
                "--only" => {
                    let kind = |name: &str| {
                        Kind::from_name(name).ok_or_else(|| format!("there is no kind {name:?}"))
                    };
                    options.kinds = value()?.split(',').map(kind).collect::<Result<_, _>>()?;
                }
                "--counts" => {
                    let count = |text: &str| {
                        text.parse()
                            .map_err(|_| format!("{text:?} is not a number of flooders"))
                    };
                    options.counts = value()?.split(',').map(count).collect::<Result<_, _>>()?;
                }
                _ => return Err(format!("there is no option {word}")),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == flooder::ROLE) {
        return match flooder::run(&words[1..]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("flooder: {why}");
                ExitCode::FAILURE
            }
        };
    }
    let options = match Options::parse(words.into_iter()) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), String> {
    println!(
        "| flooders | server CPU | CPU per flooder | bystander p50 | p99 | lost | received from \
         flooders | what became of them |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    println!("{}", Cell::measure(options, None)?.row("none"));
    for kind in &options.kinds {
        for count in &options.counts {
            let cell = Cell::measure(options, Some((*kind, *count)))?;
            println!("{}", cell.row(&format!("{count} × {}", kind.name())));
        }
    }
    Ok(())
}

/// What was measured in one cell.
struct Cell {
    /// Of one core, while the flood lasted.
    cpu_share: f64,
    flooders: usize,
    latencies: bystander::Latencies,
    fate: Fate,
    lasted: Duration,
}

impl Cell {
    fn measure(options: &Options, flood: Option<(Kind, usize)>) -> Result<Self, String> {
        let server = Server::start(options)?;
        let bystanders = bystander::Pairs::join(server.address)?;
        let mut crew = flood
            .map(|(kind, count)| Crew::start(server.address, kind, count))
            .transpose()?;
        if let Some(crew) = &mut crew {
            crew.expect("ready")?;
            crew.go()?;
        }
        let (begin, before) = (now(), server.cpu()?);
        let latencies = bystanders.talk(CELL)?;
        let (lasted, after) = (begin.elapsed(), server.cpu()?);
        let fate = match crew {
            Some(mut crew) => Fate::parse(&crew.line()?)?,
            None => Fate::default(),
        };
        Ok(Self {
            cpu_share: (after - before).as_secs_f64() / lasted.as_secs_f64(),
            flooders: flood.map_or(0, |(_, count)| count),
            latencies,
            fate,
            lasted,
        })
    }

    fn row(&self, name: &str) -> String {
        let percent = self.cpu_share * 100.0;
        let each = match self.flooders {
            0 => String::from("–"),
            count => format!("{:.2} %", percent / count as f64),
        };
        let mb_per_second = self.fate.bytes as f64 / 1e6 / self.lasted.as_secs_f64();
        format!(
            "| {name} | {percent:.1} % | {each} | {} | {} | {} | {mb_per_second:.2} MB/s | {} |",
            millis(self.latencies.quantile(0.5)),
            millis(self.latencies.quantile(0.99)),
            self.latencies.lost,
            self.fate.describe(),
        )
    }
}

fn millis(latency: Duration) -> String {
    format!("{:.2} ms", latency.as_secs_f64() * 1e3)
}

/// `command` on one core, where the system can do that.
fn pinned(core: &str, program: &str) -> Command {
    let can_pin = Command::new("taskset")
        .args(["-c", core, "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if can_pin {
        let mut command = Command::new("taskset");
        command.args(["-c", core, program]);
        command
    } else {
        Command::new(program)
    }
}

/// A process that is killed when this is dropped, and the lines that it prints.
struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    fn start(command: &mut Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let (sender, lines) = mpsc::channel();
        let output = child.stdout.take();
        thread::spawn(move || {
            for line in output
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines())
            {
                // The receiver may be gone: then the output is only drained.
                let _ = line.map(|line| sender.send(line));
            }
        });
        Ok(Self { child, lines })
    }

    fn line(&mut self) -> Result<String, String> {
        self.lines
            .recv_timeout(CELL + SLACK)
            .map_err(|_| String::from("a process printed nothing in time"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server that is measured.
struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    fn start(options: &Options) -> Result<Self, String> {
        let mut command = pinned("0", &options.parlor.display().to_string());
        // All connections come from one address here. All other limits are the defaults.
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--max-connections-per-address",
            "0",
        ]);
        // An older build does not know the variable.
        command.env("PARLOR_STORE", "memory");
        let mut process = Process::start(&mut command)?;
        let line = process.line()?;
        let address = line
            .rsplit("//")
            .next()
            .and_then(|address| address.trim_end_matches('/').parse().ok())
            .ok_or_else(|| format!("no address in {line:?}"))?;
        Ok(Self { process, address })
    }

    /// The CPU time of all threads so far.
    fn cpu(&self) -> Result<Duration, String> {
        let tasks = format!("/proc/{}/task", self.process.child.id());
        let mut nanos = 0;
        for task in fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))? {
            let path = task.map_err(|error| error.to_string())?.path();
            let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            let first = text.split_whitespace().next().unwrap_or("0");
            nanos += first.parse::<u64>().map_err(|error| error.to_string())?;
        }
        Ok(Duration::from_nanos(nanos))
    }
}

/// The child process that has all flooders.
struct Crew(Process);

impl Crew {
    fn start(server: SocketAddr, kind: Kind, count: usize) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = pinned("1", "nice");
        command.args(["-n", "19"]).arg(own).args([
            flooder::ROLE,
            &server.to_string(),
            kind.name(),
            &count.to_string(),
            &CELL.as_millis().to_string(),
        ]);
        Process::start(&mut command).map(Self)
    }

    fn line(&mut self) -> Result<String, String> {
        self.0.line()
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.line()? {
            line if line == wanted => Ok(()),
            line => Err(format!("the flooders said {line:?} instead of {wanted:?}")),
        }
    }

    fn go(&mut self) -> Result<(), String> {
        let input = self.0.child.stdin.as_mut().ok_or("it has no input")?;
        writeln!(input, "go").map_err(|error| error.to_string())
    }
}
