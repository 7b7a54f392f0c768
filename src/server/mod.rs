//! The turn of the loop. Owns all state, calls everything below it and decides the order.
//! Parses no bytes and makes no system call of its own; one file per step.

mod accept;
mod accounts;
mod acks;
mod addresses;
mod admin;
mod again;
mod ask;
mod audit;
mod batches;
mod budgets;
mod carry;
mod catch_up;
mod changes;
mod claims;
mod close;
mod connection;
mod counting;
mod deliver;
mod direct;
mod doors;
mod drain;
mod drained;
mod errands;
mod expire;
mod facts;
mod families;
mod fleet;
mod flood;
mod flush;
mod guesses;
mod health;
mod hints;
mod history;
mod hold;
mod keep;
mod links;
mod message;
mod moderate;
mod nodes;
mod opening;
mod operate;
mod orders;
mod park;
mod presence;
mod proxied;
mod reap;
mod receive;
mod records;
mod reload;
mod request;
mod scrape;
mod seats;
mod session;
mod stop;
mod talk;
mod terms;
mod trim;
mod under_way;
mod upgrade;

use crate::budget::Budgets;
use crate::chat::{self, Chat};
use crate::config::Config;
use crate::conn::{self, Deadlines, Wait};
use crate::frame::{Frame, HEADER_BYTES_MAX};
use crate::http::{self, DateCache};
use crate::id::{ConnId, Seq, Tick, ticks};
use crate::log::{Blocks, Keeping, Log, Notification, Summary};
use crate::net::{Net, Ready, Signal};
use crate::page::Pages;
use crate::rate::Rate;
use crate::session::Sessions;
use crate::stats::{Stats, Tallies};
use crate::wire::{self, Limits};
use crate::ws::Spare;
use accept::Listeners;
pub use accept::connections_within;
use accounts::Accounts;
use acks::Acks;
use addresses::Addresses;
use admin::Admin;
use ask::Asking;
use audit::Audits;
use batches::Batches;
pub use carry::{Preface, examine};
use catch_up::CatchUp;
use changes::Changes;
use claims::Claims;
use connection::{Connection, Connections};
use counting::Counting;
use deliver::Encoder;
use direct::Letters;
use drain::Departures;
pub use drain::Drain;
use errands::Errands;
use flood::Pauses;
use guesses::Guesses;
use hints::Hints;
use history::Readings;
pub use links::Links;
use log::debug;
use opening::Waiting;
use orders::Orders;
use park::Parked;
use presence::Telling;
use records::Records;
use reload::Reloading;
use scrape::Scrape;
use seats::Seats;
use std::collections::BTreeSet;
use std::{fmt, mem};
use stop::Lifecycle;
use talk::Talk;
use trim::Trimming;
use under_way::UnderWay;
use upgrade::Upgrading;

/// What all reads share: the longest head by default, and more than most messages.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// A chat server over any [`Net`].
///
/// Everything happens in [`Server::turn`], which the owner calls until it says that it is over.
pub struct Server<N: Net> {
    net: N,
    http: http::Settings,
    pages: Pages,
    /// The Date of responses.
    date: DateCache,
    /// Connections from one address; 0: no limit.
    per_address_max: u32,
    /// From the signal to the exit.
    grace_ticks: u32,
    /// Every message is sent back to its sender; there is no chat.
    echoes: bool,
    /// The longest message a client may send.
    message_bytes_max: usize,
    connections: Connections<N::Stream>,
    addresses: Addresses,
    admin: Admin,
    orders: Orders,
    guesses: Guesses,
    budgets: Budgets,
    pauses: Pauses,
    /// Frames that may still be handled of the connection that is being read.
    frames_left: usize,
    listeners: Listeners,
    deadlines: Deadlines,
    talk: Talk,
    /// What is kept of the rooms, and in which order.
    log: Log,
    /// The engine that the log is handed over to, where other servers share it.
    links: Option<Links<N::Stream>>,
    /// What the log has notified; empty between turns.
    notifications: Vec<Notification>,
    /// What rooms were sent in this turn; empty between turns.
    batches: Batches,
    encoder: Encoder,
    /// Encoded entries for the next reader: runs, and the last entry of each.
    blocks: Blocks<(Frame, Seq)>,
    catch_up: CatchUp,
    seats: Seats,
    waiting: Waiting,
    letters: Letters,
    hints: Hints,
    parked: Parked,
    acks: Acks,
    under_way: UnderWay,
    claims: Claims,
    telling: Telling,
    counting: Counting,
    changes: Changes,
    accounts: Accounts,
    reloading: Reloading,
    audits: Audits,
    readings: Readings,
    errands: Errands,
    /// The request that is being handled.
    asking: Asking,
    /// What is held behind a refused message is being handled: further messages are refused.
    is_refusing: bool,
    sessions: Sessions,
    /// What clients are greeted with.
    limits: Limits,
    /// Entries that a member that is behind gets; beyond that, a gap.
    catch_up_max: u32,
    /// Rooms that may have members, and rooms that may have an owner.
    rooms_max: usize,
    /// Earlier lines that a new client of plain text gets.
    history_lines: u32,
    /// The one warm tungstenite context; connections own one only in the middle of a message.
    spare: Spare,
    buffer: Vec<u8>,
    ready: Vec<Ready>,
    fired: Vec<u32>,
    trimming: Trimming,
    upgrading: Upgrading,
    lifecycle: Lifecycle,
    departures: Departures,
    /// From the begin of a drain to the exit.
    drain_ticks: u32,
    report_wanted: bool,
    stats: Stats,
    tallies: Tallies,
    records: Records,
    scrape: Scrape,
}

/// Whether there is another turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    Again,
    /// A signal asked for [`Server::summary`]; then again.
    Report,
    /// The server is settled and does nothing more: the owner executes the new program, or
    /// [`Server::upgrade_failed`].
    Upgrade,
    /// The engine cannot be used as it is set up, for this reason: the owner ends the program.
    Unfit,
    /// The server has stopped; every connection was closed with a reason, or its time was over.
    Stopped,
    /// A second signal came: the server stops at once, with its connections as they are.
    Aborted,
}

impl<N: Net> Server<N> {
    /// A server without connections. `max_connections` is what the configuration says or, if it
    /// says nothing, what the system allows. `seed` decides everything random: made-up nicks, hash
    /// keys.
    pub fn new(
        config: Config,
        net: N,
        max_connections: usize,
        seed: u64,
        mut keeping: Keeping,
    ) -> Self {
        let Config {
            conn,
            http,
            page,
            ws,
            chat,
            budget,
            log: history,
            max_connections_per_address,
            grace_timeout,
            drain_timeout,
            echo,
            // What the owner has done already, or passes by itself.
            net: _,
            tls: _,
            max_connections: _,
            log_filters: _,
            log_format: _,
            store,
            store_place: _,
            engine: _,
            admin_socket: _,
            token_key: _,
            token_audience: _,
            metrics_listen: _,
            metrics_token_file: _,
            operators: _,
            word_filter: _,
        } = config;
        let http = http::Settings {
            subprotocols: wire::SUBPROTOCOLS,
            ..http
        };
        let sessions = Sessions::new(&keeping.started.session_key, seed);
        let limits = session::limits(&ws, &chat, &history, keeping.dedupe_ms());
        let deadlines = lengths(&conn, &chat, echo);
        let budgets = Budgets::new(budget.with_messages(chat.message_rate));
        let policy = chat.accounts;
        let mut chat = Chat::new(&chat, seed);
        chat.restore(mem::take(&mut keeping.started.registry));
        if keeping.is_shared {
            chat.shares_changes();
            chat.shares_members();
        }
        let changes = chat.registry().changes();
        Self {
            connections: Connections::new(conn.outbox, net.now()),
            addresses: Addresses::default(),
            admin: Admin::default(),
            orders: Orders::default(),
            guesses: Guesses::new(seed),
            budgets,
            pauses: Pauses::default(),
            frames_left: 0,
            listeners: Listeners::new(max_connections),
            deadlines,
            talk: Talk::new(chat),
            log: Log::new(&history, keeping, net.now()),
            links: None,
            notifications: Vec::new(),
            batches: Batches::default(),
            encoder: Encoder::default(),
            blocks: Blocks::new(history.blocks_bytes),
            catch_up: CatchUp::default(),
            seats: Seats::default(),
            waiting: Waiting::default(),
            letters: Letters::default(),
            hints: Hints::default(),
            parked: Parked::default(),
            acks: Acks::default(),
            under_way: UnderWay::default(),
            claims: Claims::default(),
            telling: Telling::default(),
            counting: Counting::default(),
            changes: Changes::new(changes),
            accounts: Accounts::new(policy, seed),
            reloading: Reloading::default(),
            audits: Audits::default(),
            readings: Readings::default(),
            errands: Errands::default(),
            asking: Asking::default(),
            is_refusing: false,
            sessions,
            limits,
            catch_up_max: history.catch_up_max,
            rooms_max: history.rooms_max as usize,
            history_lines: history.history_lines,
            spare: Spare::new(&ws),
            buffer: vec![0; READ_BUFFER_BYTES],
            ready: Vec::new(),
            fired: Vec::new(),
            trimming: Trimming::default(),
            upgrading: Upgrading::default(),
            report_wanted: false,
            lifecycle: Lifecycle::Serving,
            departures: Departures::default(),
            drain_ticks: ticks(drain_timeout),
            stats: Stats::default(),
            tallies: scrape::tallies(),
            records: Records::default(),
            scrape: Scrape::new(store.low_disk_bytes),
            http,
            pages: Pages::new(&page),
            date: DateCache::new(net.wall()),
            per_address_max: max_connections_per_address,
            grace_ticks: ticks(grace_timeout),
            echoes: echo,
            message_bytes_max: ws.max_message_bytes,
            net,
        }
    }

    /// One pass: wait, go on with what was held, read, handle deadlines, remove, write, accept.
    ///
    /// No connection is removed before the reaping, so that no event of this turn can reach the
    /// next owner of a slot. Accepting comes last, so that new connections cannot delay the others.
    pub fn turn(&mut self) -> Turn {
        // A connection that ended in the last turn's flush or accept is not served in this one.
        if !self.connections.lists.ending.is_empty() {
            self.reap(self.net.now());
        }
        let mut ready = mem::take(&mut self.ready);
        self.net.poll(self.wake_at(), &mut ready);
        self.count_turn();
        let now = self.net.now();
        for event in ready.drain(..) {
            self.take_note(event, now);
        }
        self.ready = ready;

        self.hear_links(now);
        self.hear_store(now);
        self.hear_passwords(now);
        self.hear_reload(now);
        let is_settling = self.upgrading.is_settling();
        if !is_settling {
            self.go_on(now);
            self.receive(now);
            // The deadlines of peers that are not read are looked at when they were.
            self.expire(now);
        }
        self.depart(now);
        self.part_secure(now);
        self.reap(now);
        self.step_presence(now);
        self.step_counting(now);
        self.settle(now);
        self.flush(now);
        if !is_settling {
            self.catch_up(now);
        }
        self.hand_over(now);
        self.write_links(now);
        if !is_settling {
            self.accept(now);
        }
        self.trim(now);
        if !self.report_wanted && self.upgrade_step(now) {
            return Turn::Upgrade;
        }
        self.lifecycle_step(now)
    }

    /// The latest moment at which the next turn must begin; a moment past: at once.
    fn wake_at(&self) -> Option<Tick> {
        let lists = &self.connections.lists;
        let is_settling = self.upgrading.is_settling();
        let has_work = if is_settling {
            !lists.ending.is_empty() || !lists.dirty.is_empty()
        } else {
            lists.have_work() || self.catch_up.has_work()
        };
        if has_work || self.waiting.has_work() || self.log.has_requests() {
            return Some(Tick(0));
        }
        let of_peers = [
            self.connections.wheel.next_look(),
            self.talk.chat().next_tick(),
            self.accounts.terms.next_tick(),
            self.listeners
                .next_try(|listener| self.is_held_back(listener)),
            self.next_end(),
        ];
        let of_peers = of_peers.into_iter().filter(|_| !is_settling);
        [
            self.log.next_tick(),
            self.links.as_ref().and_then(Links::next_tick),
            self.parked.next_tick(),
            self.claims.next_tick(),
            self.presence_due(),
            self.counting_due(),
            self.trimming.due(),
            self.upgrading.next_tick(),
            self.lifecycle_due(),
        ]
        .into_iter()
        .chain(of_peers)
        .flatten()
        .min()
    }

    /// Puts an event on the list of the step that handles it.
    fn take_note(&mut self, event: Ready, now: Tick) {
        match event {
            Ready::Listener(listener) => self.listeners.has_waiting(listener),
            Ready::Connection {
                id,
                readable,
                writable,
                ended,
            } => {
                let Some(connection) = self.connections.get_mut(id) else {
                    debug!(target: "parlor::loop", "a stale event for {id:?}");
                    return;
                };
                if ended {
                    connection.ends();
                }
                if writable {
                    connection.state.unblocks();
                    if !connection.state.outbox.is_empty() {
                        self.connections.mark_dirty(id);
                    }
                }
                if readable || ended {
                    self.connections.mark_readable(id);
                }
            }
            Ready::Link {
                link,
                readable,
                writable,
                ended,
            } => self.note_link(link, readable || ended, writable || ended),
            Ready::Signal(Signal::Stop) => self.stop_signal(now),
            Ready::Signal(Signal::Reload) => self.begin_reload(),
            Ready::Signal(Signal::Upgrade) => self.begin_upgrade(),
            Ready::Signal(Signal::Report) => self.report_wanted = true,
            // What another thread has is asked for in every turn.
            Ready::Woken => {}
        }
    }

    /// The present counts and the counters so far, for operators and tests.
    pub fn summary(&self) -> String {
        format!(
            "connections={} members={} behind={} rooms={} deadlines={} addresses={} {}",
            self.connections.len(),
            self.talk.chat().user_count(),
            self.catch_up.len(),
            self.talk.chat().room_count(),
            self.connections.wheel.len(),
            self.addresses.total(),
            self.stats(),
        )
    }

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        Stats {
            missed: self.connections.missed,
            ..self.stats
        }
    }

    pub fn net(&self) -> &N {
        &self.net
    }

    pub fn net_mut(&mut self) -> &mut N {
        &mut self.net
    }

    /// No connection is left, and no table holds anything of one.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
            && self.connections.wheel.is_empty()
            && self.talk.chat().user_count() == 0
            && self.talk.chat().room_count() == 0
            && self.catch_up.is_empty()
            && self.seats.is_empty()
            && self.waiting.is_empty()
            && self.letters.is_empty()
            && self.parked.is_empty()
            && self.acks.is_empty()
            && self.under_way.is_empty()
            && self.claims.is_empty()
            && self.readings.is_empty()
            && self.errands.is_empty()
            && self.audits.is_empty()
            && self.sessions.is_empty()
            && self.accounts.is_empty()
            && self.addresses.total() == 0
            && self.pauses.len() == 0
    }

    /// Bytes that wait in outboxes and in half-received heads and messages, in messages that have
    /// no number yet, and for answers that wait for the store.
    pub fn held_bytes(&self) -> usize {
        let held = |connection: &Connection<N::Stream>| connection.held_bytes();
        let by_connections: usize = self.connections.iter().map(held).sum();
        by_connections
            + self.parked.held_bytes()
            + self.letters.held_bytes()
            + self.acks.held_bytes()
            + self.under_way.held_bytes()
    }

    /// What the history of all rooms holds in memory: the log, and the bytes of encoded entries.
    pub fn held_by_history(&self) -> (Summary, usize) {
        (self.log.summary(), self.blocks.bytes())
    }

    /// How many messages wait for a number, and how many answers for the store.
    pub fn waiting_for_store(&self) -> (usize, usize) {
        (self.parked.count(), self.acks.count())
    }

    /// The connections that go on in the next turn after they were held, in this order. For tests.
    pub fn released(&self) -> &[ConnId] {
        &self.connections.lists.released
    }

    /// The connections that are held or have not gone on since, and how many bytes of their input
    /// are kept. For tests.
    pub fn kept(&self) -> impl Iterator<Item = (ConnId, usize)> {
        let kept = |(id, connection): (ConnId, &Connection<N::Stream>)| {
            Some((id, connection.state.kept_bytes()?))
        };
        self.connections.iter_with_ids().filter_map(kept)
    }

    /// The most that outboxes may hold where no event is longer than `event_bytes_max`, but for the
    /// few frames that are bound by no limit: a response, a pong, a last line, a close frame.
    ///
    /// An outbox is filled up to its limit, or it was empty and took one frame or one run. A run
    /// ends when it has half of what an outbox takes, so it has at most that and one event more. A
    /// reply enters a full one, and then no other: the connection is held. In general no event is
    /// longer than [`crate::wire::event_bytes_max`].
    pub fn outbox_bytes_max(&self, event_bytes_max: usize) -> usize {
        let bytes_max = self.connections.limits().bytes_max;
        let frame_bytes_max = HEADER_BYTES_MAX + event_bytes_max;
        let each = bytes_max.max(bytes_max / 2 + frame_bytes_max) + frame_bytes_max;
        self.connections.len() * each
    }

    /// Bytes that wait in outboxes.
    pub fn outbox_bytes(&self) -> usize {
        let outboxes = self
            .connections
            .iter()
            .map(|connection| &connection.state.outbox);
        outboxes.map(|outbox| outbox.bytes()).sum()
    }

    /// Panics if the tables do not agree with each other. For tests, the simulator and fuzzing.
    pub fn check_invariants(&self) {
        self.connections.check_invariants(&self.deadlines);
        self.talk.chat().check_invariants();
        let open = self.connections.iter().filter(|c| c.state.is_open());
        let open = open.count();
        if !self.echoes {
            assert_eq!(
                open,
                self.talk.chat().user_count(),
                "open connections have users"
            );
        }
        let counted = self
            .connections
            .iter()
            .filter(|c| c.source.counted_for().is_some())
            .count();
        assert_eq!(
            counted,
            self.addresses.total(),
            "addresses count connections"
        );
        assert_eq!(
            self.tallies.refusals.total(),
            self.stats.turned_away + self.stats.refused,
            "each refusal has a reason"
        );
        self.log.check_invariants();
        self.blocks.check_invariants();
        self.acks.check_invariants();
        let held: BTreeSet<ConnId> = self
            .connections
            .iter_with_ids()
            .filter(|(_, connection)| connection.state.is_held_for(Wait::Number))
            .map(|(id, _)| id)
            .collect();
        self.parked.check_invariants(|id| held.contains(&id));
        self.check_order();
        self.check_catch_up();
        self.check_seats();
        assert!(self.talk.is_settled(), "effects are carried out at once");
        assert!(
            self.batches.is_empty(),
            "a room was sent something that its members do not get"
        );
    }

    fn check_order(&self) {
        let held: BTreeSet<ConnId> = self
            .connections
            .iter_with_ids()
            .filter(|(_, connection)| connection.state.is_held_for(Wait::Order))
            .map(|(id, _)| id)
            .collect();
        self.under_way.check_invariants(|id| held.contains(&id));
        let held: BTreeSet<ConnId> = self
            .connections
            .iter_with_ids()
            .filter(|(_, connection)| connection.state.is_held_for(Wait::Nick))
            .map(|(id, _)| id)
            .collect();
        self.claims.check_invariants(|id| held.contains(&id));
    }

    /// One line per event of a connection. Never what a member wrote.
    fn log_connection(&self, id: ConnId, what: fmt::Arguments<'_>) {
        debug!(target: "parlor::connection", connection:% = id; "{id} {what}");
    }
}

/// The lengths of all deadlines.
fn lengths(conn: &conn::Settings, chat: &chat::Settings, echoes: bool) -> Deadlines {
    let messages = Rate::new(chat.message_rate, chat.message_burst);
    let lengths = Deadlines::new(conn, messages);
    if echoes {
        lengths.with_any_excess()
    } else {
        lengths
    }
}
