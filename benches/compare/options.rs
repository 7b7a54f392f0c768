//! The command line of the comparison.

use super::figures::{self, Setting};
use super::place::Place;
use super::servers::Server;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
cargo bench --bench compare -- [OPTION]...
compares parlor with the floor and with every installed peer:
  --quick           one round of fewer, shorter settings; about 6 minutes
  --rounds N        how often everything is measured; distant peers only in the first round
                    [3; quick: 1]
  --all-rounds      distant peers in every round
  --together        parlor, the floor of each row and uWebSockets at the same time on the one core
                    instead of in turns, for figures that are a server's own: a disturbance of the
                    machine then affects all of them alike, and ratios are exact to a few percent
  --only LIST       figures: idle, burst, delivery, latency, slow, heartbeat, growth; of parlor
                    alone, with parlor.v1.json: programs, resume, history, acks [all]
  --servers LIST    parlor, parlor-notices, floor, floor-coalescing, uws, gorilla, ws,
                    tokio-tungstenite, axum [all that are installed]
  --parlor PATH     measures another build of parlor [the one that cargo has just built]
  --tester PATH     uses the `parlor load` of another build [the one that cargo has just built]
  --minutes N       starts no new measurement after so long [35; quick: 8]
compares two builds of parlor, in rounds in which they take turns:
  --base PATH       the build to compare with; --parlor, --tester, --rounds and --minutes apply
                    [rounds: 15, at least 9; minutes: 10, after which running measurements are
                    ended as well]
  --together        both builds at the same time on the one core, for a machine that has other
                    work to do
With --base it prints for idle bytes, accept, and fan-out to 100 and to 1,000 members the ratio of
the new build to the base, the 95 % interval of the ratio (Wilcoxon signed-rank, of the ratios within
each round), and a verdict: \"within 3 %\" (the whole interval is at most 1.03), \"slower\" or \"larger\"
(the whole interval is above 1.03), or \"inconclusive\". For example:
  cargo bench --bench compare -- --base /tmp/before/target/release/parlor
compares parlor with its history in a directory with the same build and its history in memory:
  --store           as --base, for accept and for fan-out to 100, 1,000 and 5,000 members with one and
                    with 16 messages under way
compares what TLS costs:
  --tls             parlor without TLS, with its own, and behind HAProxy, nginx and Caddy, as far as
                    they are installed: bytes of an idle connection, CPU of handshakes and
                    deliveries, and what a flood of ClientHellos costs others; --parlor, --tester,
                    --quick, --rounds and --minutes apply, and --servers with plain, parlor,
                    haproxy, nginx, caddy [rounds: 3; quick: 1]
measures upgrades in place:
  --upgrade         how long the chat stands still with 1,000 and with 10,000 connections (--quick:
                    200 and 1,000); --parlor, --tester, --rounds and --minutes apply
benches/peers/build.sh installs the peers. Results are written to target/bench/: compare.md and
compare.json, with --together compare-together.*, with --base compare-paired.*, with --store compare-store.*,
with --tls compare-tls.*, with --upgrade
compare-upgrade.*. Where the rounds of a
setting differ by more than a tenth, tables show the range instead of a single number.";

/// Rounds of the comparison with `--base`: nine are the fewest for a verdict.
pub(crate) const PAIRED_ROUNDS_MIN: usize = 9;
const PAIRED_ROUNDS: usize = 15;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    rounds: Option<usize>,
    pub(crate) all_rounds: bool,
    pub(crate) together: bool,
    /// Parlor with a store is compared with parlor without.
    pub(crate) store: bool,
    /// What stands in front of parlor is compared.
    pub(crate) tls: bool,
    /// The pause of an upgrade is measured.
    pub(crate) upgrade: bool,
    only: Option<Vec<String>>,
    servers: Option<Vec<String>>,
    minutes: Option<u64>,
    pub(crate) parlor: Option<PathBuf>,
    pub(crate) base: Option<PathBuf>,
    pub(crate) tester: Option<PathBuf>,
}

impl Options {
    /// Parses the arguments after the program's name.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.into_iter();
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
                "--store" => options.store = true,
                "--tls" => options.tls = true,
                "--upgrade" => options.upgrade = true,
                "--rounds" => options.rounds = Some(value()?.parse().map_err(wrong)?),
                "--minutes" => options.minutes = Some(value()?.parse().map_err(wrong)?),
                "--parlor" => options.parlor = Some(PathBuf::from(value()?)),
                "--base" => options.base = Some(PathBuf::from(value()?)),
                "--tester" => options.tester = Some(PathBuf::from(value()?)),
                "--only" => options.only = Some(list(value()?)),
                "--servers" => options.servers = Some(list(value()?)),
                // What `cargo bench` passes to every bench.
                "--bench" => {}
                _ => return Err(format!("there is no option {word}\n{HELP}")),
            }
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), String> {
        let alone = usize::from(self.tls) + usize::from(self.upgrade);
        let has_others = self.is_paired() || self.together || self.only.is_some();
        if alone > 1 || alone > 0 && has_others {
            return Err(format!(
                "--tls and --upgrade exclude each other, --base, --store, --together and --only\n\
                 {HELP}"
            ));
        }
        if !self.is_paired() {
            return Ok(());
        }
        if self.base.is_some() && self.store {
            return Err(format!("--base and --store exclude each other\n{HELP}"));
        }
        if self.quick || self.all_rounds {
            return Err(format!(
                "--base and --store exclude --quick and --all-rounds\n{HELP}"
            ));
        }
        if self.only.is_some() || self.servers.is_some() {
            return Err(format!(
                "--base and --store exclude --only and --servers\n{HELP}"
            ));
        }
        if self.rounds() < PAIRED_ROUNDS_MIN {
            return Err(format!(
                "--base and --store need at least {PAIRED_ROUNDS_MIN} --rounds\n{HELP}"
            ));
        }
        Ok(())
    }

    const fn is_paired(&self) -> bool {
        self.base.is_some() || self.store
    }

    pub(crate) fn rounds(&self) -> usize {
        let usual = match (self.is_paired(), self.quick) {
            (true, _) => PAIRED_ROUNDS,
            (false, true) => 1,
            (false, false) => 3,
        };
        self.rounds.unwrap_or(usual)
    }

    pub(crate) fn minutes(&self) -> u64 {
        let usual = match (self.is_paired(), self.quick) {
            (true, _) => 10,
            (false, true) => 8,
            (false, false) => 35,
        };
        self.minutes.unwrap_or(usual)
    }

    pub(crate) fn settings(&self) -> Result<Vec<Setting>, String> {
        let mut settings = figures::settings(self.quick);
        if let Some(only) = &self.only {
            let is_unknown = |name: &&String| settings.iter().all(|s| s.figure != name.as_str());
            if let Some(unknown) = only.iter().find(is_unknown) {
                return Err(format!("there is no figure {unknown}\n{HELP}"));
            }
            settings.retain(|setting| only.iter().any(|name| name == setting.figure));
        }
        settings.retain(|setting| !self.together || setting.can_be_shared());
        Ok(settings)
    }

    /// Whether a server is among those that are wanted.
    pub(crate) fn has_server(&self, name: &str) -> bool {
        let servers = self.servers.as_ref();
        servers.is_none_or(|names| names.iter().any(|wanted| wanted == name))
    }

    pub(crate) fn servers(&self, place: &Place) -> Result<Vec<Server>, String> {
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
