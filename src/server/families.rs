//! The families of the metrics: what each module counts, with its name and its help. All is read when
//! a monitor asks; the turn of the loop only counts. Knows neither the request nor the text format
//! (`metrics`). No label is anything that a client has chosen.

use super::Server;
use super::accept::OTHER_DESCRIPTORS;
use super::stop::Lifecycle;
use crate::conn::State;
use crate::histogram::Histogram;
use crate::id::Tick;
use crate::log::AppendRefused;
use crate::metrics::Exposition;
use crate::net::{Net, Process};
use crate::stats::Stats;
use crate::version::{COMMIT, VERSION};

/// Lateness is counted in ticks.
const TICKS_PER_SECOND: f64 = 1000.0 / Tick::MILLIS as f64;

/// Frames that wait for one connection.
const OUTBOX_FRAMES: &[u64] = &[0, 1, 2, 4, 8, 16, 32, 64, 256, 1024];
/// Bytes that do.
const OUTBOX_BYTES: &[u64] = &[0, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];

/// What is found by a walk over all connections.
struct Walk {
    phases: [u64; State::PHASES.len()],
    secure: u64,
    frames: Histogram,
    bytes: Histogram,
}

impl<N: Net> Server<N> {
    /// All metrics of this moment.
    pub fn exposition(&self) -> String {
        let mut page = Exposition::default();
        let process = self.net.process();
        self.show_process(&mut page, &process);
        self.show_connections(&mut page);
        self.show_traffic(&mut page);
        self.show_chat(&mut page);
        self.show_store(&mut page);
        self.show_engine(&mut page);
        page.finish()
    }

    fn show_process(&self, page: &mut Exposition, process: &Process) {
        let commit = COMMIT.unwrap_or("unknown");
        let labels = [("version", VERSION), ("commit", commit)];
        page.info("parlor_build", "The program.", &labels);
        let state = match self.lifecycle {
            Lifecycle::Serving => "serving",
            Lifecycle::Draining { .. } => "draining",
            Lifecycle::Stopping { .. } | Lifecycle::Aborted => "stopping",
        };
        page.state(
            "parlor_lifecycle",
            "Whether the server serves or ends.",
            &["serving", "draining", "stopping"],
            state,
        );
        page.state(
            "parlor_ready",
            "Whether the server serves everything, as /readyz says.",
            &["ready", "unready"],
            self.readiness().map_or("unready", |()| "ready"),
        );
        page.known_gauge(
            "process_start_time_seconds",
            "When the server was set up, since 1970.",
            process.started.map(|started| started.0 as f64 / 1000.0),
        );
        page.known_gauge(
            "process_resident_memory_bytes",
            "Memory of the process that is in use.",
            process.resident_bytes,
        );
        page.known_gauge(
            "parlor_allocated_bytes",
            "What the allocator has given away of it.",
            process.allocated_bytes,
        );
        let estimate = (self.connections.len() + OTHER_DESCRIPTORS) as u64;
        page.gauge(
            "process_open_fds",
            "Open descriptors; before Linux 6.2 an estimate, from the connections.",
            process.open_descriptors.unwrap_or(estimate),
        );
        page.known_gauge(
            "process_max_fds",
            "The limit of open descriptors.",
            process.descriptors_max,
        );
        let paused_micros = self.upgrading.figures.paused_micros;
        page.gauge(
            "parlor_program_upgrade_pause_seconds",
            "How long the chat stood still at the last upgrade; 0: there was none.",
            paused_micros as f64 / 1e6,
        );
        page.histogram(
            "parlor_turn_seconds",
            "The work of one turn of the loop, without its wait for events.",
            &self.tallies.turns,
            1e6,
        );
        page.histogram(
            "parlor_deadline_lateness_seconds",
            "By how much deadlines came late.",
            self.connections.wheel.late(),
            TICKS_PER_SECOND,
        );
    }

    fn show_connections(&self, page: &mut Exposition) {
        let walk = self.walk();
        page.gauges(
            "parlor_connections",
            "Connections, by what they wait for.",
            "phase",
            State::PHASES.into_iter().zip(walk.phases),
        );
        page.gauge(
            "parlor_tls_connections",
            "Connections that speak TLS.",
            walk.secure,
        );
        page.gauge(
            "parlor_connections_limit",
            "Connections that there may be.",
            self.listeners.max_connections(),
        );
        page.gauge(
            "parlor_addresses",
            "Connections that count for an address.",
            self.addresses.total(),
        );
        page.gauge_histogram(
            "parlor_outbox_frames",
            "Frames that wait for a connection.",
            &walk.frames,
        );
        page.gauge_histogram(
            "parlor_outbox_bytes",
            "Bytes that wait for a connection.",
            &walk.bytes,
        );
        let Stats {
            accepted,
            exhausted,
            upgraded,
            answered,
            limited,
            paused,
            violations,
            silent,
            stalled,
            closed,
            unproxied,
            turned_away: _,
            refused: _,
            messages: _,
            missed: _,
        } = self.stats();
        for (name, help, count) in [
            ("accepts", "Connections accepted.", accepted),
            (
                "descriptor_shortages",
                "Times without a descriptor or memory for a new connection.",
                exhausted,
            ),
            ("upgrades", "Requests that became a WebSocket.", upgraded),
            ("responses", "Plain requests that were granted.", answered),
            ("limited_requests", "Requests above a budget.", limited),
            (
                "pauses",
                "Times that a client was not read for a while.",
                paused,
            ),
            (
                "violations",
                "WebSockets closed for a broken rule.",
                violations,
            ),
            ("silent_closes", "WebSockets that ended in silence.", silent),
            (
                "stalled_closes",
                "WebSockets whose client took nothing.",
                stalled,
            ),
            (
                "unproxied_closes",
                "Connections without a PROXY header that must have one.",
                unproxied,
            ),
            ("disconnects", "Connections that are gone.", closed),
        ] {
            page.counter(&format!("parlor_{name}"), help, count);
        }
        page.counters(
            "parlor_refusals",
            "Requests that were not granted.",
            "reason",
            self.tallies.refusals.iter(),
        );
        page.counters(
            "parlor_tls_handshakes",
            "Handshakes of TLS that were completed.",
            "kind",
            self.tallies.handshakes.iter(),
        );
        page.counters(
            "parlor_tls_failures",
            "Connections that could not go on in TLS.",
            "reason",
            self.tallies.tls_failures.iter(),
        );
        show_codes(
            page,
            ("parlor_closes", "WebSockets that the server closed."),
            self.tallies.closes.iter(),
        );
        show_codes(
            page,
            (
                "parlor_client_closes",
                "WebSockets that their client closed.",
            ),
            self.tallies.closed_by_client.iter(),
        );
    }

    fn walk(&self) -> Walk {
        let mut walk = Walk {
            phases: [0; State::PHASES.len()],
            secure: 0,
            frames: Histogram::new(OUTBOX_FRAMES),
            bytes: Histogram::new(OUTBOX_BYTES),
        };
        for connection in self.connections.iter() {
            walk.phases[connection.state.phase_index()] += 1;
            walk.secure += u64::from(connection.transport.is_some());
            let outbox = &connection.state.outbox;
            walk.frames.record(outbox.frames() as u64);
            walk.bytes.record(outbox.bytes() as u64);
        }
        walk
    }

    fn show_traffic(&self, page: &mut Exposition) {
        let stats = self.stats();
        for (name, help, count) in [
            (
                "messages",
                "Text messages that came from clients.",
                stats.messages,
            ),
            (
                "deliveries",
                "Messages and notices of rooms, times the members they were queued for.",
                self.tallies.deliveries,
            ),
            (
                "missed",
                "Messages and notices that members did not get.",
                stats.missed,
            ),
            (
                "catch_ups",
                "Times that a member fell behind and read on from the log.",
                self.tallies.catch_ups,
            ),
            (
                "gaps",
                "Gaps in the messages that members were informed of.",
                self.tallies.gaps,
            ),
            (
                "program_upgrades",
                "Times that another image of the program took over in this process.",
                self.upgrading.figures.done,
            ),
            (
                "program_upgrades_refused",
                "Times that none did though it was asked for.",
                self.upgrading.figures.refused,
            ),
            (
                "program_upgrade_partings",
                "Connections of TLS that were asked to come back at an upgrade.",
                self.upgrading.figures.parted,
            ),
        ] {
            page.counter(&format!("parlor_{name}"), help, count);
        }
    }

    fn show_chat(&self, page: &mut Exposition) {
        let chat = self.talk.chat();
        let log = self.log.summary();
        for (name, help, count) in [
            ("users", "Users that are connected.", chat.user_count()),
            ("rooms", "Rooms with members.", chat.room_count()),
            (
                "readers_behind",
                "Connections with a member that is behind.",
                self.catch_up.len(),
            ),
            (
                "accounts",
                "Registered accounts.",
                chat.registry().account_count(),
            ),
            (
                "sessions",
                "Connections with a session that can be resumed.",
                self.sessions.len(),
            ),
            ("log_rooms", "Rooms whose log is open.", log.rooms),
            (
                "tail_bytes",
                "Memory of the newest messages.",
                log.tail_bytes,
            ),
            (
                "page_bytes",
                "Memory of pages that were read from the store.",
                log.page_bytes,
            ),
            (
                "block_bytes",
                "Memory of encoded messages for readers.",
                self.blocks.bytes(),
            ),
        ] {
            page.gauge(&format!("parlor_{name}"), help, count);
        }
    }

    /// The engine that several servers share, as this one sees it.
    fn show_engine(&self, page: &mut Exposition) {
        let Some(figures) = self.engine_figures() else {
            return;
        };
        page.state(
            "parlor_engine_link",
            "Whether the links to Redis are there: while they are down, messages wait.",
            &["up", "down"],
            if figures.is_up { "up" } else { "down" },
        );
        page.gauge(
            "parlor_engine_lag_seconds",
            "How long the oldest request has been waiting for Redis; 0: none waits.",
            figures.lag_ms as f64 / 1000.0,
        );
        page.counter(
            "parlor_engine_links",
            "Times that the links to Redis were established.",
            figures.ups,
        );
        page.counter(
            "parlor_engine_refills",
            "Runs of messages that were published and did not come, and were read again.",
            figures.refills,
        );
        page.counter(
            "parlor_engine_refilled",
            "Messages that were read for that.",
            figures.refilled,
        );
        page.counter(
            "parlor_engine_missed",
            "Messages that were not kept any more when they were to be read.",
            figures.missed,
        );
        page.counter(
            "parlor_engine_epochs",
            "New epochs of rooms, which begin when Redis is not the one before.",
            figures.epochs,
        );
        page.counter(
            "parlor_engine_losses",
            "Of those, the ones with which messages were lost that this server had.",
            figures.losses,
        );
        page.counter(
            "parlor_engine_scripts",
            "Scripts that Redis has run since its start, for all servers.",
            figures.script_calls,
        );
        page.counter(
            "parlor_engine_script_seconds",
            "Time that they took.",
            figures.script_micros as f64 / 1e6,
        );
        page.gauges(
            "parlor_engine_under_way",
            "What was sent to Redis and not answered.",
            "what",
            [
                ("requests", figures.under_way),
                ("messages", figures.unnumbered),
            ],
        );
        page.gauges(
            "parlor_engine_rooms",
            "Rooms that are open here, and those of them that wait for Redis.",
            "what",
            [("open", figures.rooms), ("waiting", figures.rooms_waiting)],
        );
    }

    fn show_store(&self, page: &mut Exposition) {
        page.info(
            "parlor_engine",
            "What orders the messages of rooms.",
            &[(
                "engine",
                if self.log.is_shared() {
                    "redis"
                } else {
                    "local"
                },
            )],
        );
        let state = match self.log.refuses() {
            Some(AppendRefused::Full) => "full",
            Some(_) => "refusing",
            None if self.log.keeps_later() => "ok",
            None => "memory",
        };
        page.state(
            "parlor_store",
            "Whether messages can be stored: full means that as many wait as may.",
            &["ok", "refusing", "full", "memory"],
            state,
        );
        let log = self.log.summary();
        let (messages, answers) = self.waiting_for_store();
        page.gauge(
            "parlor_store_unstored_bytes",
            "Messages that were delivered and are not stored yet.",
            log.unstored_bytes,
        );
        page.gauges(
            "parlor_store_queue",
            "What waits for the store.",
            "what",
            [
                ("messages", messages),
                ("answers", answers),
                ("reads", log.reads as usize + log.reads_waiting),
            ],
        );
        let Some(figures) = self.log.figures() else {
            return;
        };
        page.histogram(
            "parlor_store_commit_seconds",
            "What commits took.",
            &figures.commits,
            1e6,
        );
        page.counter(
            "parlor_store_failed_commits",
            "Commits that failed and were to be tried again.",
            figures.failed_commits,
        );
        page.known_gauge(
            "parlor_store_disk_free_bytes",
            "Free space of the store's disk, at most a minute old.",
            figures.free_bytes,
        );
        page.gauge(
            "parlor_store_disk_low_bytes",
            "The free space below which the log has a warning (--low-disk-mib).",
            self.scrape.low_disk_bytes(),
        );
    }
}

/// Codes as labels; 0 stands for all others.
fn show_codes(
    page: &mut Exposition,
    (name, help): (&str, &str),
    counts: impl Iterator<Item = (u16, u64)>,
) {
    let named = counts.map(|(code, count)| match code {
        0 => (String::from("other"), count),
        code => (code.to_string(), count),
    });
    let named: Vec<(String, u64)> = named.collect();
    let borrowed = named.iter().map(|(code, count)| (code.as_str(), *count));
    page.counters(name, help, "code", borrowed);
}
