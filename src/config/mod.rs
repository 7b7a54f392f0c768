//! What can be set, with its defaults, and how the command line says it.
//! Pure: the arguments and the environment come in as values.

use crate::options::{parse_count, parse_duration};
use crate::{chat, conn, http, net, ws};
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

/// Everything that can be set: the settings of each module, and the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub net: net::Settings,
    pub http: http::Settings,
    pub ws: ws::Limits,
    pub conn: conn::Settings,
    pub chat: chat::Settings,

    /// Connections at the same time; `None`: as many as the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// Connections from one address at the same time; 0: no limit.
    pub max_connections_per_address: u32,
    /// From the signal to stop to the exit.
    pub grace_timeout: Duration,
    /// Filters in the form of env_logger: `warn`, `parlor=debug`.
    pub log: String,
    /// Send every message back to its sender instead of chatting. For conformance suites.
    pub echo: bool,
}

impl Default for Config {
    /// A server for this machine only.
    fn default() -> Self {
        Self {
            net: net::Settings::default(),
            http: http::Settings::default(),
            ws: ws::Limits::default(),
            conn: conn::Settings::default(),
            chat: chat::Settings::default(),
            max_connections: None,
            max_connections_per_address: 256,
            grace_timeout: Duration::from_secs(5),
            log: String::from("warn"),
            echo: false,
        }
    }
}

/// What `parlor --help` prints. A test checks that every option is in it with its default.
pub const HELP: &str = "\
parlor - a WebSocket chat server for one small VPS

Usage: parlor [OPTION]...
       parlor load SCENARIO [OPTION]...   a load tester: see parlor load --help

Without options it serves http://127.0.0.1:8080/ - open it in a browser and talk.
Durations are written 500ms, 25s or 2m; a plain number is seconds.

Where to listen
  --listen ADDR               IP:PORT, [IPv6]:PORT or unix:PATH; may be given several times;
                              port 0 takes a free one and prints it [127.0.0.1:8080]
  --backlog N                 connections that may wait to be accepted [4096]

Who may connect
  --max-connections N         connections at the same time [what the descriptor limit allows]
  --max-connections-per-address N
                              connections from one address; 0: no limit [256]
  --trusted-proxy WHO         whose X-Forwarded-For is believed: ADDRESS, ADDRESS/BITS, unix or
                              none; may be given several times. What comes from a trusted proxy
                              counts for the address it names [127.0.0.0/8 ::1 unix]
  --allow-origin ORIGIN       a web page's origin that may connect besides our own, like
                              https://example.org, or * for all; may be given several times [none]
  --require-origin            refuse clients that send no Origin (those that are no browsers) [off]

Deadlines
  --handshake-timeout TIME    from connecting to the end of the request [10s]
  --ping-after TIME           silence after which a ping is sent [25s]
  --silent-timeout TIME       silence after which a connection is given up [60s]
  --stall-timeout TIME        how long a client may take nothing, or miss messages [30s]
  --message-timeout TIME      from the first to the last byte of a message [30s]
  --close-timeout TIME        how long we wait for the answer to a close [3s]
  --grace-timeout TIME        from SIGTERM to the exit [5s]

Limits of one connection
  --max-message-bytes N       the longest message a client may send [16384]
  --max-fragments N           fragments one message may come in [1024]
  --outbox-frames N           frames that may wait to be sent; what does not fit is dropped and
                              its owner told how much [32]
  --outbox-bytes N            bytes that may wait to be sent [65536]
  --send-buffer-bytes N       what the kernel may hold as well [16384]
  --message-rate N            messages a second; 0: no limit [10]
  --message-burst N           messages that may come at once before the rate counts [20]

Rooms
  --notice-members N          up to this many members, each join and leave is announced;
                              above it they are summed up [100]
  --notice-interval TIME      how often they are summed up [3s]
  --operator-token TOKEN      makes /op TOKEN work, and then /kick; better given in the
                              environment as PARLOR_OPERATOR_TOKEN [none]

Other
  --log FILTER                error, warn, info, debug or off, also by target, as in
                              warn,parlor::connection=debug; or PARLOR_LOG [warn]
  --help                      this text
  --version                   the version

Signals: SIGTERM and SIGINT say goodbye to everybody and exit, a second one exits at once;
SIGUSR1 writes a line of counters to stderr.
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    Serve(Box<Config>),
    Help,
    Version,
}

/// What is taken from the environment; the command line wins.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `PARLOR_OPERATOR_TOKEN`
    pub operator_token: Option<String>,
    /// `PARLOR_LOG`
    pub log: Option<String>,
}

/// A sentence about what is wrong with the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOption(String);

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; parlor --help lists the options", self.0)
    }
}

impl From<lexopt::Error> for BadOption {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

impl Invocation {
    /// Understands the arguments (without the program's name).
    pub fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        environment: Environment,
    ) -> Result<Self, BadOption> {
        let mut config = Config::default();
        config.chat.operator_token = environment.operator_token;
        if let Some(log) = environment.log {
            config.log = log;
        }
        let mut given = Given::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            let name = match argument {
                lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => return Ok(Self::Help),
                lexopt::Arg::Long("version") | lexopt::Arg::Short('V') => return Ok(Self::Version),
                lexopt::Arg::Long("require-origin") => {
                    config.http.require_origin = true;
                    continue;
                }
                lexopt::Arg::Long("echo") => {
                    config.echo = true;
                    continue;
                }
                lexopt::Arg::Long(name) => name.to_owned(),
                lexopt::Arg::Short(_) | lexopt::Arg::Value(_) => {
                    return Err(argument.unexpected().into());
                }
            };
            if !config.takes(&name) {
                return Err(BadOption(format!("there is no option --{name}")));
            }
            let value = parser.value()?;
            let value = value
                .to_str()
                .ok_or_else(|| BadOption(format!("the value of --{name} is not valid UTF-8")))?;
            config
                .set(&name, value, &mut given)
                .map_err(|why| BadOption(format!("--{name} {value:?}: {why}")))?;
        }
        config.check()?;
        Ok(Self::Serve(Box::new(config)))
    }
}

/// Which lists were given: the first value replaces the default, the next are added.
#[derive(Default)]
struct Given {
    listen: bool,
    trusted_proxy: bool,
}

impl Config {
    const OPTIONS: [&'static str; 24] = [
        "listen",
        "backlog",
        "max-connections",
        "max-connections-per-address",
        "trusted-proxy",
        "allow-origin",
        "handshake-timeout",
        "ping-after",
        "silent-timeout",
        "stall-timeout",
        "message-timeout",
        "close-timeout",
        "grace-timeout",
        "max-message-bytes",
        "max-fragments",
        "outbox-frames",
        "outbox-bytes",
        "send-buffer-bytes",
        "message-rate",
        "message-burst",
        "notice-members",
        "notice-interval",
        "operator-token",
        "log",
    ];

    fn takes(&self, name: &str) -> bool {
        Self::OPTIONS.contains(&name)
    }

    fn set(&mut self, name: &str, value: &str, given: &mut Given) -> Result<(), String> {
        match name {
            "listen" => {
                let address = value.parse()?;
                if !std::mem::replace(&mut given.listen, true) {
                    self.net.listen.clear();
                }
                self.net.listen.push(address);
            }
            "trusted-proxy" => {
                if !std::mem::replace(&mut given.trusted_proxy, true) {
                    self.http.trusted_proxies.clear();
                }
                if value != "none" {
                    self.http.trusted_proxies.push(value.parse()?);
                }
            }
            "allow-origin" => self.http.allow_origins.push(value.parse()?),
            "backlog" => self.net.backlog = parse_count(value, 1, 65_535)? as i32,
            "max-connections" => self.max_connections = Some(parse_count(value, 1, COUNT_MAX)?),
            "max-connections-per-address" => {
                self.max_connections_per_address = parse_count(value, 0, COUNT_MAX)? as u32;
            }
            "handshake-timeout" => self.conn.handshake_timeout = parse_duration(value)?,
            "ping-after" => self.conn.ping_after = parse_duration(value)?,
            "silent-timeout" => self.conn.silent_timeout = parse_duration(value)?,
            "stall-timeout" => self.conn.stall_timeout = parse_duration(value)?,
            "message-timeout" => self.conn.message_timeout = parse_duration(value)?,
            "close-timeout" => self.conn.close_timeout = parse_duration(value)?,
            "grace-timeout" => self.grace_timeout = parse_duration(value)?,
            "max-message-bytes" => self.ws.max_message_bytes = parse_count(value, 1, BYTES_MAX)?,
            "max-fragments" => self.ws.max_fragments = parse_count(value, 1, COUNT_MAX)? as u32,
            "outbox-frames" => self.conn.outbox.frames_max = parse_count(value, 1, 65_535)?,
            "outbox-bytes" => self.conn.outbox.bytes_max = parse_count(value, 1, BYTES_MAX)?,
            "send-buffer-bytes" => {
                self.net.send_buffer_bytes = parse_count(value, 2048, BYTES_MAX)?
            }
            "message-rate" => self.chat.message_rate = parse_count(value, 0, 10_000)? as u32,
            "message-burst" => self.chat.message_burst = parse_count(value, 1, 10_000)? as u32,
            "notice-members" => self.chat.notice_members = parse_count(value, 0, COUNT_MAX)?,
            "notice-interval" => self.chat.notice_interval = parse_duration(value)?,
            "operator-token" => self.chat.operator_token = Some(value.to_owned()),
            "log" => self.log = value.to_owned(),
            _ => return Err(String::from("there is no such option")),
        }
        Ok(())
    }

    /// What no single option shows.
    fn check(&self) -> Result<(), BadOption> {
        if self.conn.silent_timeout <= self.conn.ping_after {
            return Err(BadOption(String::from(
                "--silent-timeout must be longer than --ping-after, or nobody could answer a ping",
            )));
        }
        if self.chat.operator_token.as_deref() == Some("") {
            return Err(BadOption(String::from(
                "the operator token must not be empty",
            )));
        }
        Ok(())
    }
}

/// Bounds that keep sums of lengths far away from an overflow.
const COUNT_MAX: usize = 10_000_000;
const BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ListenAddr;
    use std::path::PathBuf;

    fn parse(arguments: &[&str]) -> Result<Config, String> {
        let arguments = arguments.iter().map(OsString::from);
        match Invocation::parse(arguments, Environment::default()) {
            Ok(Invocation::Serve(config)) => Ok(*config),
            Ok(other) => panic!("{other:?}"),
            Err(bad) => Err(bad.to_string()),
        }
    }

    #[test]
    fn without_options_it_is_the_default() {
        assert_eq!(parse(&[]), Ok(Config::default()));
    }

    #[test]
    fn every_option_is_explained() {
        for name in Config::OPTIONS {
            assert!(
                HELP.contains(&format!("--{name} ")),
                "--{name} is not in the help"
            );
        }
    }

    /// The defaults are written twice, in the help and in the code; this keeps them equal.
    #[test]
    fn the_help_tells_the_real_defaults() {
        let mut arguments = Vec::new();
        let mut option = None;
        for word in HELP.split_whitespace() {
            if let Some(name) = word.strip_prefix("--") {
                option = Config::OPTIONS.iter().find(|known| **known == name);
            }
            let default = word
                .strip_prefix('[')
                .and_then(|word| word.strip_suffix(']'));
            if let (Some(name), Some(default)) = (option, default)
                && default != "none"
            {
                arguments.push(format!("--{name}"));
                arguments.push(default.to_owned());
            }
        }
        assert_eq!(arguments.len(), 2 * 20);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_eq!(parse(&arguments), Ok(Config::default()));
    }

    #[test]
    fn lists_replace_their_default_and_then_grow() {
        let config = parse(&["--listen", "[::1]:0", "--listen=unix:/tmp/p"]).unwrap();
        assert_eq!(
            config.net.listen,
            [
                ListenAddr::Tcp("[::1]:0".parse().unwrap()),
                ListenAddr::Unix(PathBuf::from("/tmp/p"))
            ]
        );
        let config = parse(&["--trusted-proxy", "none"]).unwrap();
        assert_eq!(config.http.trusted_proxies, []);
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, part) in [
            (&["--lisen", "x"][..], "there is no option --lisen"),
            (
                &["--listen", "localhost"],
                "--listen \"localhost\": expected an address",
            ),
            (&["--listen"], "missing argument for option '--listen'"),
            (
                &["--outbox-frames", "0"],
                "expected a number from 1 to 65535",
            ),
            (&["--ping-after", "60s"], "must be longer than --ping-after"),
            (&["--operator-token", ""], "must not be empty"),
            (&["--trusted-proxy", "10.0.0.0/33"], "expected an address"),
            (&["--allow-origin", "example.org"], "expected an origin"),
            (&["x"], "unexpected argument \"x\""),
        ] {
            let sentence = parse(arguments).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let environment = Environment {
            operator_token: Some(String::from("from outside")),
            log: Some(String::from("info")),
        };
        let arguments = ["--log", "debug"].map(OsString::from);
        let Ok(Invocation::Serve(config)) = Invocation::parse(arguments, environment) else {
            panic!("not understood");
        };
        assert_eq!(config.log, "debug");
        assert_eq!(config.chat.operator_token.as_deref(), Some("from outside"));
    }
}
