//! The servers that are compared: how each is started, and that each has ended afterwards.
//! Knows processes, not figures.

use super::now;
use super::place::{CORE_OF_SERVER, Place};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The longest time until a server prints where it listens.
const START_MAX: Duration = Duration::from_secs(10);

/// A program that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Parlor,
    /// With the default settings of join and leave notices.
    ParlorNotices,
    Floor,
    FloorCoalescing,
    Uws,
    Gorilla,
    Ws,
    TokioTungstenite,
    Axum,
}

/// When a server sends pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    Usual,
    /// After about so many seconds of silence.
    Seconds(u32),
}

impl Server {
    pub(crate) const ALL: [Self; 9] = [
        Self::Parlor,
        Self::ParlorNotices,
        Self::Floor,
        Self::FloorCoalescing,
        Self::Uws,
        Self::Gorilla,
        Self::Ws,
        Self::TokioTungstenite,
        Self::Axum,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parlor => "parlor",
            Self::ParlorNotices => "parlor-notices",
            Self::Floor => "floor",
            Self::FloorCoalescing => "floor-coalescing",
            Self::Uws => "uws",
            Self::Gorilla => "gorilla",
            Self::Ws => "ws",
            Self::TokioTungstenite => "tokio-tungstenite",
            Self::Axum => "axum",
        }
    }

    /// So close to parlor that a single round would not show which is better.
    pub(crate) fn is_close(self) -> bool {
        match self {
            Self::Parlor
            | Self::ParlorNotices
            | Self::Floor
            | Self::FloorCoalescing
            | Self::Uws => true,
            Self::Gorilla | Self::Ws | Self::TokioTungstenite | Self::Axum => false,
        }
    }

    /// A server that a user would choose instead of parlor.
    pub(crate) fn is_peer(self) -> bool {
        match self {
            Self::Uws | Self::Gorilla | Self::Ws | Self::TokioTungstenite | Self::Axum => true,
            Self::Parlor | Self::ParlorNotices | Self::Floor | Self::FloorCoalescing => false,
        }
    }

    /// The chats of tokio-tungstenite and axum send no pings.
    pub(crate) fn has_heartbeat(self) -> bool {
        !matches!(self, Self::TokioTungstenite | Self::Axum)
    }

    /// Seconds between two pings of an idle connection, if the server pings after `seconds` of
    /// silence. Parlor adds up to a quarter at random; the floor is given the average of that.
    pub(crate) fn ping_interval(self, seconds: u32) -> f64 {
        match self {
            Self::Parlor | Self::ParlorNotices | Self::Floor | Self::FloorCoalescing => {
                f64::from(seconds) * 1.125
            }
            Self::Uws | Self::Gorilla | Self::Ws | Self::TokioTungstenite | Self::Axum => {
                f64::from(seconds)
            }
        }
    }

    fn program(self, place: &Place) -> PathBuf {
        let peers = &place.peers;
        match self {
            Self::Parlor | Self::ParlorNotices => place.parlor.clone(),
            Self::Floor | Self::FloorCoalescing => peers.join("floor.bin"),
            Self::Uws => peers.join("node/uws.js"),
            Self::Gorilla => peers.join("gorilla.bin"),
            Self::Ws => peers.join("node/ws.js"),
            Self::TokioTungstenite => peers.join("tokio_tungstenite.bin"),
            Self::Axum => peers.join("axum.bin"),
        }
    }

    pub(crate) fn is_installed(self, place: &Place) -> bool {
        self.program(place).exists()
    }

    /// Where the tester connects to.
    pub(crate) fn url(self, port: u16) -> String {
        match self {
            Self::Parlor | Self::ParlorNotices => {
                format!("ws://127.0.0.1:{port}/ws/{{room}}?nick={{nick}}")
            }
            Self::Floor
            | Self::FloorCoalescing
            | Self::Uws
            | Self::Gorilla
            | Self::Ws
            | Self::TokioTungstenite
            | Self::Axum => format!("ws://127.0.0.1:{port}/ws/{{room}}"),
        }
    }

    /// The same for clients of `parlor.v1.json`.
    pub(crate) fn programs_url(port: u16) -> String {
        format!("ws://127.0.0.1:{port}/ws?nick={{nick}}")
    }

    /// The program and its arguments.
    fn words(self, place: &Place, heartbeat: Heartbeat) -> Vec<String> {
        let program = self.program(place).display().to_string();
        let mut words = match self {
            Self::Uws | Self::Ws => vec![String::from("node"), program, String::from("0")],
            Self::Parlor | Self::ParlorNotices => {
                let mut words = vec![program];
                // The tester plays all clients from one address: the limits of a client are off.
                words.extend(
                    "--listen 127.0.0.1:0 --message-rate 0 --max-connections-per-address 0 \
                     --backlog 4096"
                        .split_whitespace()
                        .map(String::from),
                );
                words
            }
            Self::Floor
            | Self::FloorCoalescing
            | Self::Gorilla
            | Self::TokioTungstenite
            | Self::Axum => vec![program, String::from("0")],
        };
        match self {
            // The other servers have no notices: parlor-notices measures them.
            Self::Parlor => words
                .extend(["--notice-members", "0", "--notice-interval", "24h"].map(String::from)),
            Self::FloorCoalescing => words.push(String::from("--coalesce")),
            Self::ParlorNotices
            | Self::Floor
            | Self::Uws
            | Self::Gorilla
            | Self::Ws
            | Self::TokioTungstenite
            | Self::Axum => {}
        }
        if let Heartbeat::Seconds(seconds) = heartbeat {
            words.extend(self.heartbeat_words(seconds));
        }
        words
    }

    fn heartbeat_words(self, seconds: u32) -> Vec<String> {
        match self {
            Self::Parlor | Self::ParlorNotices => {
                vec![String::from("--ping-after"), format!("{seconds}s")]
            }
            Self::Floor | Self::FloorCoalescing => {
                let interval = self.ping_interval(seconds);
                vec![String::from("--heartbeat"), interval.to_string()]
            }
            Self::Gorilla | Self::Ws => vec![seconds.to_string()],
            // It pings 8 seconds before its time-out, if the time-out is from 16 to 39 seconds.
            Self::Uws => vec![(seconds + 8).to_string()],
            Self::TokioTungstenite | Self::Axum => Vec::new(),
        }
    }

    /// Starts the server on its core and waits until it listens.
    pub(crate) fn start(self, place: &Place, heartbeat: Heartbeat) -> Result<Running, String> {
        self.start_at(place, heartbeat, 0)
    }

    /// Starts the server at a port; 0: at any.
    fn start_at(self, place: &Place, heartbeat: Heartbeat, port: u16) -> Result<Running, String> {
        self.start_with(place, heartbeat, port, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(
        self,
        place: &Place,
        heartbeat: Heartbeat,
        port: u16,
        more: &[String],
    ) -> Result<Running, String> {
        let log = place.scratch(&format!("{}.log", self.name()));
        let log = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut words = self.words(place, heartbeat);
        words.extend_from_slice(more);
        for word in &mut words {
            if word == "127.0.0.1:0" {
                *word = format!("127.0.0.1:{port}");
            }
        }
        let mut child = place
            .pinned(CORE_OF_SERVER, &words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("it cannot be started: {error}"))?;
        let stdout = child.stdout.take();
        let mut running = Running { child, port: 0 };
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // Reads to the end, or the server could wait for its output to be read.
            for line in stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines())
            {
                let _ = line.map(|line| sender.send(line));
            }
        });
        let end = now() + START_MAX;
        while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(now())) {
            if let Some(port) = port_in(&line) {
                running.port = port;
                return Ok(running);
            }
        }
        Err(format!(
            "it did not say where it listens: {}",
            words.join(" ")
        ))
    }
}

/// The last number of a line that says where a server listens.
pub(crate) fn port_in(line: &str) -> Option<u16> {
    line.split_once("listening on ")?
        .1
        .split(|c: char| !c.is_ascii_digit())
        .rfind(|digits| !digits.is_empty())?
        .parse()
        .ok()
}

/// A server that is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time of all threads from `after` now on, for as long as it `lasts`.
    pub(crate) fn watch(&self, after: Duration, lasts: Duration) -> JoinHandle<Option<u64>> {
        let pid = self.pid();
        thread::spawn(move || {
            thread::sleep(after);
            let before = cpu_nanos(pid)?;
            thread::sleep(lasts);
            cpu_nanos(pid)?.checked_sub(before)
        })
    }

    /// Kills the server and starts it again at its port.
    pub(crate) fn restart(
        &mut self,
        server: Server,
        place: &Place,
        heartbeat: Heartbeat,
    ) -> Result<(), String> {
        self.end();
        *self = server.start_at(place, heartbeat, self.port)?;
        Ok(())
    }

    fn end(&mut self) {
        // Fails if the server has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// The schedstat of the process is that of its first thread only.
fn cpu_nanos(pid: u32) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        sum += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}

/// Runs a command, which is killed after `most`.
pub(crate) fn run_bounded(command: &mut Command, most: Duration) -> Result<(), String> {
    let mut child = command
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let end = now() + most;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it ended with {status}")),
            Ok(None) if now() < end => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                // Fails if it ends by itself at this moment.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} s", most.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
