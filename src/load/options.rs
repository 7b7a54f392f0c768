//! The options of `parlor load`, with their defaults. Pure: the arguments come in as values.

use super::url::Url;
use crate::options::{
    Asked as Read, BadOption, Group, Positional, Table, count, count32, custom, help, hidden, list,
    parse_count, parse_duration, time,
};
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
}

impl Scenario {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Chat => "chat",
            Self::Churn => "churn",
            Self::Slow => "slow",
        }
    }

    /// Members send messages.
    pub(super) const fn talks(self) -> bool {
        match self {
            Self::Chat | Self::Slow => true,
            Self::Idle | Self::Churn => false,
        }
    }
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
    pub(super) url: Url,
    pub(super) subprotocol: Option<String>,
    pub(super) headers: Vec<String>,
    pub(super) join: Option<String>,
    pub(super) pid: Option<u32>,
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

/// Messages a second from each sender, without an option.
const SEND_RATE: f64 = 1.0;

impl Options {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            url: Url::local(),
            subprotocol: None,
            headers: Vec::new(),
            join: None,
            pid: None,
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
            || {
                Err(String::from(
                    "which scenario? It is idle, chat, churn or slow",
                ))
            },
            parse_scenario,
        );
        let mut options = Self::new(scenario.map_err(|sentence| TABLE.bad(sentence))?);
        given.apply(&mut options)?;
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
            && (self.scenario != Scenario::Idle || self.pid.is_none())
        {
            return wrong("--expect-bytes-per-connection needs the scenario idle and --pid");
        }
        if !self.scenario.talks() {
            if self.processes > self.connections {
                return wrong("--processes is more than --connections");
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

    /// Members of each room that stop reading: the last ones.
    pub(super) fn slow_members(&self) -> usize {
        match self.scenario {
            Scenario::Slow => {
                let tenth = self.members.div_ceil(10);
                self.slow_members.unwrap_or(tenth)
            }
            Scenario::Idle | Scenario::Chat | Scenario::Churn => 0,
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
        if self.scenario.talks() {
            self.rooms * self.members
        } else {
            self.connections
        }
    }
}

/// The options of the load tester.
pub(super) static TABLE: Table<Options> = Table {
    program: "parlor load",
    about: "a load tester for any WebSocket server that sends each message to all in its room",
    usage: "parlor load SCENARIO [OPTION]...",
    intro: "\
Scenarios
  idle    opens connections, holds them, answers pings
  chat    rooms in which some members send; every member must receive every message once
  churn   holds a number of connections of which some leave and others come all the time
  slow    chat in which a part of the members stops reading

Durations are written 500ms, 25s or 2m; a plain number is seconds.
",
    outro: "\
Exit codes: 0 as expected, 1 not as expected or no connection was made, 2 a wrong option.
",
    positional: Some(Positional {
        name: "SCENARIO",
        values: &["idle", "chat", "churn", "slow"],
        is_required: true,
    }),
    environment: None,
    defaults: || Options::new(Scenario::Chat),
    groups: &[
        Group {
            title: "The server",
            rows: &[
                custom(
                    "url",
                    "URL",
                    "ws://HOST:PORT/PATH or ws+unix:SOCKET:/PATH; {room}, {nick} and {n}, the \
                     number of the connection, are filled in",
                    |o, value| {
                        o.url = Url::parse(value)?;
                        Ok(())
                    },
                    |_| String::from("ws://127.0.0.1:8080/ws/{room}?nick={nick}"),
                ),
                custom(
                    "subprotocol",
                    "NAME",
                    "offered in the request",
                    |o, value| {
                        o.subprotocol = Some(parse_line(value)?);
                        Ok(())
                    },
                    none,
                ),
                list(
                    "header",
                    "LINE",
                    "a line for the request like 'Origin: https://example.org'; may be given \
                     several times",
                    |o| o.headers.clear(),
                    |o, value| {
                        o.headers.push(parse_header(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "join",
                    "TEXT",
                    "sent as the first message of each connection, filled in like the URL",
                    |o, value| {
                        o.join = Some(value.to_owned());
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "pid",
                    "PID",
                    "the server's process, which listens where the URL points: its memory and CPU time \
                     are reported",
                    |o, value| {
                        o.pid = Some(parse_count(value, 1, i32::MAX as usize)? as u32);
                        Ok(())
                    },
                    none,
                ),
            ],
        },
        Group {
            title: "All scenarios",
            rows: &[
                count32(
                    "connect-rate",
                    (1, RATE_MAX),
                    "connections opened a second",
                    |o| &mut o.connect_rate,
                ),
                count32(
                    "sources",
                    (1, 250),
                    "connects from 127.0.0.1, 127.0.0.2 and so on in turns, for each has ports of \
                     its own; only to 127.0.0.0/8",
                    |o| &mut o.sources,
                ),
                count(
                    "processes",
                    (1, 1000),
                    "processes that share the work, for each has descriptors of its own; rooms \
                     are never split between them, so chat needs N rooms or more",
                    |o| &mut o.processes,
                ),
                time(
                    "duration",
                    1,
                    "how long it is measured; for idle: held",
                    |o| &mut o.duration,
                ),
                custom(
                    "warmup",
                    "TIME",
                    "how long before that, not counted; not for idle",
                    |o, value| {
                        o.warmup = parse_pause(value)?;
                        Ok(())
                    },
                    |o| format!("{}s", o.warmup.as_secs()),
                ),
                custom(
                    "rest",
                    "TIME",
                    "how long no message is sent before the server's memory is read for the last \
                     time; not for idle",
                    |o, value| {
                        o.rest = parse_pause(value)?;
                        Ok(())
                    },
                    |o| format!("{}s", o.rest.as_secs()),
                ),
            ],
        },
        Group {
            title: "idle and churn",
            rows: &[
                count(
                    "connections",
                    (1, CONNECTIONS_MAX),
                    "at the same time",
                    |o| &mut o.connections,
                ),
                custom(
                    "slope-from",
                    "N",
                    "idle: the fewest connections at which memory is measured; bytes per \
                     connection are the slope from there on",
                    |o, value| {
                        o.slope_from = Some(parse_count(value, 0, CONNECTIONS_MAX)?);
                        Ok(())
                    },
                    |_| String::from("a tenth of --connections"),
                ),
                count32(
                    "churn-rate",
                    (1, RATE_MAX),
                    "churn: leaves and joins a second",
                    |o| &mut o.churn_rate,
                ),
            ],
        },
        Group {
            title: "chat and slow",
            rows: &[
                count(
                    "rooms",
                    (1, CONNECTIONS_MAX),
                    "rooms; idle and churn spread over them too",
                    |o| &mut o.rooms,
                ),
                count(
                    "members",
                    (1, CONNECTIONS_MAX),
                    "members of each room",
                    |o| &mut o.members,
                ),
                count(
                    "senders",
                    (1, CONNECTIONS_MAX),
                    "how many of them send",
                    |o| &mut o.senders,
                ),
                count(
                    "size",
                    (1, SIZE_MAX),
                    "bytes of a message, at least its marker",
                    |o| &mut o.size,
                ),
                custom(
                    "send-rate",
                    "N",
                    "messages a second from each sender, whatever the server does (open loop): the \
                     latency of a late message counts from the moment at which it was due",
                    |o, value| {
                        o.send_rate = Some(parse_rate(value)?);
                        Ok(())
                    },
                    |o| o.send_rate.unwrap_or(SEND_RATE).to_string(),
                ),
                custom(
                    "window",
                    "N",
                    "instead: at most so many messages of a room under way, that is, not yet \
                     received by all members; senders take turns. The server's pace sets the \
                     sender's (closed loop), so the latency counts from sending and does not show \
                     how long a message would have waited",
                    |o, value| {
                        o.window = Some(parse_count(value, 1, 100_000)? as u32);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "slow-members",
                    "N",
                    "slow: how many members of each room stop reading; no senders, and not counted \
                     in losses and latency",
                    |o, value| {
                        o.slow_members = Some(parse_count(value, 1, CONNECTIONS_MAX)?);
                        Ok(())
                    },
                    |_| String::from("a tenth of --members"),
                ),
            ],
        },
        Group {
            title: "Results",
            rows: &[
                custom(
                    "json",
                    "FILE",
                    "the figures as JSON; - is standard output",
                    |o, value| {
                        o.json = Some(PathBuf::from(value));
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "report",
                    "FILE",
                    "the figures as a page with plots",
                    |o, value| {
                        o.report = Some(PathBuf::from(value));
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-loss",
                    "N",
                    "exit with 1 if more messages were lost, or came twice or late",
                    |o, value| {
                        o.expect.loss = Some(parse_most(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-p99",
                    "TIME",
                    "... if the latency of one in a hundred messages, or in idle and churn \
                     connects, was longer; a message that never arrives is longer than any",
                    |o, value| {
                        o.expect.p99 = Some(parse_duration(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-failures",
                    "N",
                    "... if more connections could not be opened",
                    |o, value| {
                        o.expect.failures = Some(parse_most(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-disconnects",
                    "N",
                    "... if the server ended more",
                    |o, value| {
                        o.expect.disconnects = Some(parse_most(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-bytes-per-connection",
                    "N",
                    "... if one took more of the server's memory; idle with --pid",
                    |o, value| {
                        o.expect.bytes_per_connection = Some(parse_most(value)?);
                        Ok(())
                    },
                    none,
                ),
                hidden(custom(
                    "share",
                    "I/N",
                    "the part of the work of a process that the tester starts",
                    |o, value| {
                        o.share = Some(parse_share(value)?);
                        Ok(())
                    },
                    none,
                )),
                help(),
            ],
        },
    ],
};

fn none(_: &Options) -> String {
    String::from("none")
}

fn parse_scenario(value: &str) -> Result<Scenario, String> {
    match value {
        "idle" => Ok(Scenario::Idle),
        "chat" => Ok(Scenario::Chat),
        "churn" => Ok(Scenario::Churn),
        "slow" => Ok(Scenario::Slow),
        other => Err(format!(
            "there is no scenario {other:?}; it is idle, chat, churn or slow"
        )),
    }
}

/// Text for a line of the request, which must not end the line.
fn parse_line(value: &str) -> Result<String, String> {
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(String::from("expected text without line ends"));
    }
    Ok(value.to_owned())
}

fn parse_header(value: &str) -> Result<String, String> {
    match value.split_once(':') {
        Some((name, _)) if !name.is_empty() && !name.contains(' ') => parse_line(value),
        Some(_) | None => Err(String::from("expected a line like 'Name: value'")),
    }
}

fn parse_rate(value: &str) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        Ok(_) | Err(_) => Err(String::from("expected a number from 0.001 to 1000000")),
    }
}

/// A duration that may be zero.
fn parse_pause(value: &str) -> Result<Duration, String> {
    if matches!(value, "0" | "0s" | "0ms") {
        return Ok(Duration::ZERO);
    }
    parse_duration(value)
}

fn parse_most(value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| String::from("expected a number, 0 or more"))
}

fn parse_share(value: &str) -> Result<Share, String> {
    let share = value.split_once('/').and_then(|(index, of)| {
        Some(Share {
            index: index.parse().ok()?,
            of: of.parse().ok()?,
        })
    });
    share
        .filter(|share| share.index < share.of)
        .ok_or_else(|| String::from("expected a part like 0/2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        match Options::parse(arguments.iter().map(OsString::from)) {
            Ok(Asked::Run(options)) => Ok(*options),
            Ok(Asked::Help) => panic!("help"),
            Err(bad) => Err(bad.to_string()),
        }
    }

    /// Every default that the help shows can be typed, and means what it says.
    #[test]
    fn the_defaults_of_the_help_can_be_given_as_options() {
        let help = TABLE.help();
        let mut arguments = vec![String::from("chat")];
        let mut option = None;
        for line in help.lines() {
            if let Some(name) = line.strip_prefix("  --") {
                option = name.split(' ').next();
            }
            if let (Some(name), Some((_, default))) = (option, line.rsplit_once('['))
                && let Some(default) = default.strip_suffix(']')
                && default != "none"
                && !default.contains(' ')
            {
                option = None;
                arguments.push(format!("--{name}={default}"));
            }
        }
        assert_eq!(arguments.len(), 1 + 14, "{arguments:?}");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let parsed = parse(&arguments).unwrap();
        assert_eq!(parsed.pace(), Options::new(Scenario::Chat).pace());
        let parsed = Options {
            send_rate: None,
            ..parsed
        };
        assert_eq!(parsed, Options::new(Scenario::Chat));
    }

    #[test]
    fn wrong_option_is_named_with_what_is_allowed() {
        for (arguments, part) in [
            (&[][..], "which scenario?"),
            (&["talk"], "there is no scenario \"talk\""),
            (&["chat", "idle"], "unexpected argument \"idle\""),
            (&["chat", "--roms", "1"], "there is no option --roms"),
            (&["chat", "--rooms"], "--rooms needs a value"),
            (&["chat", "--rooms", "0"], "expected a number from 1"),
            (&["chat", "--url", "http://x/"], "expected a URL"),
            (&["chat", "--header", "no colon"], "expected a line like"),
            (&["chat", "--header", "A: b\r\nC: d"], "without line ends"),
            (
                &["chat", "--window", "1", "--send-rate", "1"],
                "exclude each other",
            ),
            (&["chat", "--members", "9"], "more than --members"),
            (
                &["slow", "--members", "10", "--slow-members", "1"],
                "more than --members",
            ),
            (&["chat", "--processes", "2"], "a room cannot be split"),
            (
                &["idle", "--connections", "1", "--processes", "2"],
                "more than --connections",
            ),
            (&["idle", "--slope-from", "1000"], "must be less than"),
            (
                &["chat", "--expect-bytes-per-connection", "1", "--pid", "1"],
                "needs the scenario idle",
            ),
            (
                &["idle", "--sources", "2", "--url", "ws://[::1]:1/"],
                "127.0.0.0/8",
            ),
            (
                &[
                    "chat",
                    "--rooms",
                    "2000000",
                    "--members",
                    "2",
                    "--senders",
                    "1",
                ],
                "2000000 connections",
            ),
            (
                &["chat", "--members", "50000", "--senders", "50000"],
                "too many pairs",
            ),
        ] {
            let sentence = parse(arguments).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn tenth_of_the_members_is_slow_without_the_option() {
        let options = parse(&["slow", "--members", "11", "--senders", "1"]).unwrap();
        assert_eq!(options.slow_members(), 2);
        let options = parse(&["slow", "--members", "1000", "--slow-members", "1"]).unwrap();
        assert_eq!(options.slow_members(), 1);
        assert_eq!(parse(&["chat"]).unwrap().slow_members(), 0);
    }

    #[test]
    fn help_wins_over_a_wrong_value_before_it() {
        let arguments = ["--rooms", "0", "--help"].map(OsString::from);
        assert_eq!(Options::parse(arguments), Ok(Asked::Help));
    }
}
