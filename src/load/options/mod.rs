//! The options of `parlor load`, with their defaults. Pure: the arguments come in as values.

mod parse;
mod server;
mod table;
#[cfg(test)]
mod tests;

pub(super) use table::TABLE;

use super::url::Url;
use crate::options::{Asked as Read, BadOption};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What the connections do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    Idle,
    Chat,
    Churn,
    Slow,
    Resume,
    History,
}

impl Scenario {
    const ALL: [Self; 6] = [
        Self::Idle,
        Self::Chat,
        Self::Churn,
        Self::Slow,
        Self::Resume,
        Self::History,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Chat => "chat",
            Self::Churn => "churn",
            Self::Slow => "slow",
            Self::Resume => "resume",
            Self::History => "history",
        }
    }

    /// Members send messages.
    pub(super) const fn talks(self) -> bool {
        match self {
            Self::Chat | Self::Slow => true,
            Self::Idle | Self::Churn | Self::Resume | Self::History => false,
        }
    }

    /// Only a server with numbered entries has it, so clients speak `parlor.v1.json`.
    const fn needs_json(self) -> bool {
        matches!(self, Self::Resume | Self::History)
    }
}

/// What clients and the server speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Text; the URL names the room.
    Plain,
    /// `parlor.v1.json`; the room is joined by a request.
    Json,
}

/// When the next message is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// Messages a second from each sender.
    Rate(f64),
    /// Messages of a room under way.
    Window(u32),
}

/// Limits beyond which the program exits with 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expectations {
    pub(super) loss: Option<u64>,
    pub(super) p99: Option<Duration>,
    pub(super) failures: Option<u64>,
    pub(super) disconnects: Option<u64>,
    pub(super) bytes_per_connection: Option<u64>,
}

/// Which part of the work this process has, if it is one of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) index: usize,
    pub(super) of: usize,
}

/// The values of all options.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Options {
    pub(super) scenario: Scenario,
    pub(super) protocol: Protocol,
    pub(super) url: Url,
    /// The file with the certificates to trust.
    pub(super) ca: PathBuf,
    pub(super) insecure: bool,
    pub(super) tls_resume: bool,
    pub(super) subprotocol: Option<String>,
    pub(super) headers: Vec<String>,
    pub(super) join: Option<String>,
    /// The server, then what is behind it.
    pub(super) pids: Vec<u32>,
    pub(super) connect_rate: u32,
    pub(super) sources: u32,
    pub(super) processes: usize,
    pub(super) duration: Duration,
    pub(super) warmup: Duration,
    pub(super) rest: Duration,
    pub(super) connections: usize,
    pub(super) slope_from: Option<usize>,
    pub(super) churn_rate: u32,
    pub(super) rooms: usize,
    pub(super) members: usize,
    pub(super) senders: usize,
    pub(super) size: usize,
    pub(super) send_rate: Option<f64>,
    pub(super) window: Option<u32>,
    pub(super) slow_members: Option<usize>,
    pub(super) missed: usize,
    pub(super) return_rate: u32,
    pub(super) pause: bool,
    pub(super) fill: usize,
    pub(super) page: usize,
    pub(super) json: Option<PathBuf>,
    pub(super) report: Option<PathBuf>,
    pub(super) expect: Expectations,
    /// Set by the tester itself for the processes that it starts.
    pub(super) share: Option<Share>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    Run(Box<Options>),
    Help,
}

/// Bounds that keep the tester's own memory and its sums far away from their limits.
const CONNECTIONS_MAX: usize = 2_000_000;
const PAIRS_MAX: usize = 500_000_000;
const RATE_MAX: u32 = 10_000_000;
const SIZE_MAX: usize = 8 << 20;
const SAID_MAX: usize = 100_000;

/// Where Debian and its relatives have the certificates that the system trusts.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Messages a second from each sender, without an option.
const SEND_RATE: f64 = 1.0;

impl Options {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            protocol: if scenario.needs_json() {
                Protocol::Json
            } else {
                Protocol::Plain
            },
            url: Url::local(),
            ca: PathBuf::from(SYSTEM_CA),
            insecure: false,
            tls_resume: false,
            subprotocol: None,
            headers: Vec::new(),
            join: None,
            pids: Vec::new(),
            connect_rate: 1000,
            sources: 1,
            processes: 1,
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(1),
            rest: Duration::ZERO,
            connections: 1000,
            slope_from: None,
            churn_rate: 100,
            rooms: 1,
            members: 100,
            senders: 10,
            size: 64,
            send_rate: None,
            window: None,
            slow_members: None,
            missed: 50,
            return_rate: 10_000,
            pause: false,
            fill: 1000,
            page: 50,
            json: None,
            report: None,
            expect: Expectations::default(),
            share: None,
        }
    }

    /// Understands the arguments after `load`.
    pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, BadOption> {
        let given = match TABLE.read(arguments, |_| None)? {
            Read::Help | Read::Version => return Ok(Asked::Help),
            Read::Run(given) => given,
        };
        let scenario = given.positional().map_or_else(
            || Err(format!("which scenario? It is {}", parse::scenarios())),
            parse::scenario,
        );
        let mut options = Self::new(scenario.map_err(|sentence| TABLE.bad(sentence))?);
        given.apply(&mut options)?;
        if options.protocol == Protocol::Json && options.url == Url::local() {
            options.url = Url::local_json();
        }
        options.check().map_err(|sentence| TABLE.bad(sentence))?;
        Ok(Asked::Run(Box::new(options)))
    }

    /// What no single option shows.
    fn check(&self) -> Result<(), String> {
        let wrong = |sentence: &str| Err(sentence.to_owned());
        if self.sources > 1 && !self.url.is_loopback_v4() {
            return wrong("--sources needs a --url with an address of 127.0.0.0/8");
        }
        if self.send_rate.is_some() && self.window.is_some() {
            return wrong("--send-rate and --window exclude each other");
        }
        if self.slope_from.is_some_and(|from| from >= self.connections) {
            return wrong("--slope-from must be less than --connections");
        }
        if self.expect.bytes_per_connection.is_some()
            && (self.scenario != Scenario::Idle || self.pids.is_empty())
        {
            return wrong("--expect-bytes-per-connection needs the scenario idle and --pid");
        }
        self.check_tls()?;
        self.check_protocol()?;
        if !self.scenario.talks() {
            if self.processes > self.connections {
                return wrong("--processes is more than --connections");
            }
            if self.scenario.needs_json() && self.processes > 1 {
                return wrong("the scenarios resume and history take one of --processes");
            }
            if self.rooms.saturating_add(self.connections) > CONNECTIONS_MAX {
                return wrong("--rooms and --connections are more than 2000000 connections");
            }
            return Ok(());
        }
        if self.senders + self.slow_members() > self.members {
            return wrong("--senders and the slow ones together are more than --members");
        }
        if self.processes > self.rooms {
            return wrong("--processes is more than --rooms, and a room cannot be split");
        }
        if self.rooms.saturating_mul(self.members) > CONNECTIONS_MAX {
            return wrong("--rooms times --members is more than 2000000 connections");
        }
        if self
            .rooms
            .saturating_mul(self.members)
            .saturating_mul(self.senders)
            > PAIRS_MAX
        {
            return wrong("there are too many pairs of a member and a sender to keep account of");
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), String> {
        let has_ca = self.ca.as_os_str() != SYSTEM_CA;
        if (has_ca || self.insecure || self.tls_resume) && !self.url.is_secure {
            return Err(String::from(
                "--ca, --insecure and --tls-resume need a --url with wss://",
            ));
        }
        if has_ca && self.insecure {
            return Err(String::from("--ca and --insecure exclude each other"));
        }
        Ok(())
    }

    fn check_protocol(&self) -> Result<(), String> {
        let wrong = |sentence: &str| Err(sentence.to_owned());
        match self.protocol {
            Protocol::Plain if self.scenario.needs_json() => {
                wrong("the scenarios resume and history need --protocol json")
            }
            Protocol::Plain => Ok(()),
            Protocol::Json if self.subprotocol.is_some() || self.join.is_some() => wrong(
                "--protocol json says what is offered and joined: leave out --subprotocol and \
                 --join",
            ),
            Protocol::Json if self.url.path.contains("{room}") => wrong(
                "with --protocol json rooms are joined by requests: leave {room} out of --url",
            ),
            Protocol::Json => Ok(()),
        }
    }

    /// Members of each room that stop reading: the last ones.
    pub(super) fn slow_members(&self) -> usize {
        match self.scenario {
            Scenario::Slow => {
                let tenth = self.members.div_ceil(10);
                self.slow_members.unwrap_or(tenth)
            }
            Scenario::Idle
            | Scenario::Chat
            | Scenario::Churn
            | Scenario::Resume
            | Scenario::History => 0,
        }
    }

    pub(super) fn pace(&self) -> Pace {
        match self.window {
            Some(window) => Pace::Window(window),
            None => Pace::Rate(self.send_rate.unwrap_or(SEND_RATE)),
        }
    }

    /// All connections of the run.
    pub(super) const fn total(&self) -> usize {
        match self.scenario {
            Scenario::Chat | Scenario::Slow => self.rooms * self.members,
            Scenario::Idle | Scenario::Churn => self.connections,
            Scenario::Resume | Scenario::History => self.speakers() + self.connections,
        }
    }

    /// The first connections, one for each room, which say what others miss or page through.
    pub(super) const fn speakers(&self) -> usize {
        if self.scenario.needs_json() {
            self.rooms
        } else {
            0
        }
    }

    /// Messages that each speaker says.
    pub(super) const fn said(&self) -> usize {
        match self.scenario {
            Scenario::Resume => self.missed,
            Scenario::History => self.fill,
            Scenario::Idle | Scenario::Chat | Scenario::Churn | Scenario::Slow => 0,
        }
    }
}
