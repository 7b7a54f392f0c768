//! The comparison of parlor with the floor and the peers: every server at every setting, in rounds,
//! in turns or at the same time. Knows which measurements to make, not how one is made.

use super::figures::{self, Load, Measure, Pace, Sample, Setting};
use super::now;
use super::options::Options;
use super::place::Place;
use super::servers::{Heartbeat, Server};
use super::table::{self, Outcome, Results};
use super::tester;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

/// One comparison under way.
pub(crate) struct Comparison {
    place: Place,
    settings: Vec<Setting>,
    servers: Vec<Server>,
    quick: bool,
    all_rounds: bool,
    together: bool,
    end: Instant,
    /// Deliveries per second of the floors in this round.
    rates: HashMap<&'static str, f64>,
    /// The result of this round for as many connections over which nothing was sent.
    silent: HashMap<&'static str, Value>,
    outcomes: Vec<Outcome>,
    is_cut_short: bool,
}

impl Comparison {
    pub(crate) fn new(options: &Options, place: Place) -> Result<Self, String> {
        Ok(Self {
            settings: options.settings()?,
            servers: options.servers(&place)?,
            place,
            quick: options.quick,
            all_rounds: options.all_rounds,
            together: options.together,
            end: now() + Duration::from_secs(options.minutes() * 60),
            rates: HashMap::new(),
            silent: HashMap::new(),
            outcomes: Vec::new(),
            is_cut_short: false,
        })
    }

    /// Measures everything so often, and writes the results after every round.
    pub(crate) fn run(&mut self, rounds: usize) -> Result<(), String> {
        let head = self.head(rounds);
        for round in 1..=rounds {
            self.round(round);
            self.write(&head)?;
        }
        let path = self.place.results.join(self.result_name());
        println!("written: {}.md", path.display());
        Ok(())
    }

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
            // Each server is the first once, because the first could be at an advantage.
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
        let is_parlors_own = setting.load.is_for_programs() && server != Server::Parlor;
        !is_parlors_own && !is_notices_only && !is_silent && !is_too_far && !is_same_floor
    }

    /// Parlor, the floor and uWebSockets at the same time on one core, their testers on the other.
    fn measure_together(&mut self, setting: usize, round: usize) {
        let about = &self.settings[setting];
        let is_near = |server: &Server| [Server::Parlor, Server::Uws, about.floor].contains(server);
        let wanted = |server: &Server| is_near(server) && self.is_wanted(setting, *server, round);
        let servers: Vec<Server> = self.servers.iter().copied().filter(wanted).collect();
        let load = about.load.shared_by(servers.len() as u32);
        let run =
            |server: Server| tester::run(&self.place, server, &load, about.heartbeat, None, None);
        let results: Vec<Result<Value, String>> = thread::scope(|scope| {
            let runs: Vec<_> = servers
                .iter()
                .map(|server| scope.spawn(|| run(*server)))
                .collect();
            let result = |run: thread::ScopedJoinHandle<'_, Result<Value, String>>| {
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
                let read = |measure: &Measure| {
                    let is_read = !self.together || !measure.alone_only;
                    is_read.then(|| (measure.read)(&sample)).flatten()
                };
                let mut blemishes = sample.blemishes();
                if about.is_open_loop() {
                    blemishes.extend(sample.tester_limits());
                }
                (Ok(about.measures.iter().map(read).collect()), blemishes)
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
        let run = |load: &Load, send_rate: Option<u64>| {
            tester::run(&self.place, server, load, heartbeat, send_rate, None)
        };
        if !with_slope {
            let result = run(load, send_rate);
            return result.map(Sample::without_slope);
        }
        let fifth = run(&load.fifth(), send_rate)?;
        let silent = match self.silent.get(server.name()) {
            Some(silent) => silent.clone(),
            None => run(&load.without_words(), None)?,
        };
        let result = run(load, send_rate)?;
        // The settings that need it differ only in the length of the messages.
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
        let result = tester::run(&self.place, floor, &load, Heartbeat::Usual, None, None)?;
        let rate = figures::number(&result, "/deliveries_per_second");
        let rate = rate
            .filter(|rate| *rate > 0.0)
            .ok_or("the floor has no rate")?;
        println!("  {} makes {rate:.0} deliveries a second", floor.name());
        self.rates.insert(floor.name(), rate);
        Ok(rate)
    }

    fn write(&self, head: &str) -> Result<(), String> {
        let results = Results {
            settings: &self.settings,
            servers: &self.servers,
            outcomes: &self.outcomes,
        };
        let cut = if self.is_cut_short {
            "\nThe time was up before all rounds were complete.\n"
        } else {
            ""
        };
        let markdown = format!("{head}{cut}{}", results.markdown());
        let json = json!({
            "head": head,
            "is_cut_short": self.is_cut_short,
            "runs": results.json(),
        });
        self.place
            .write(self.result_name(), &markdown, &format!("{json}\n"))
    }

    /// Of the files with the results.
    const fn result_name(&self) -> &'static str {
        if self.together {
            "compare-together"
        } else {
            "compare"
        }
    }

    /// Where and how this was measured.
    fn head(&self, rounds: usize) -> String {
        format!(
            "# parlor compared\n\n\
             {}; {rounds} rounds{}.\n\n\
             Cells: the median of the rounds, or their range where they differ by more than a \
             tenth; then × the ratio to the floor of the same row, which is floor-coalescing for \
             windows over 1; ratios are taken within a round, and shown in the same way. CPU is \
             user and system time of all threads of the server. parlor announces no joins and \
             leaves (--notice-members 0 --notice-interval 24h); parlor-notices does as by \
             default. For the heartbeat figure every server's interval is shortened to about {} \
             s.\n",
            self.place.machine(self.together),
            if self.quick { " (quick)" } else { "" },
            figures::PING_SECONDS,
        )
    }
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
