//! Which connections must be served and which refused, and by when each must be closed: the limits
//! and deadlines of the configuration, computed a second time from what the network sees.
//! Knows sockets and moments, not what is said.

use parlor::config::Config;
use parlor::id::Tick;
use std::collections::HashMap;
use std::time::Duration;

/// Connections above the limit that still receive a complete refusal.
const SURPLUS_MAX: usize = 16;

/// All addresses that the limit counts as one.
pub(crate) type Household = u32;

/// How the server must treat a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was not accepted, or cannot be watched.
    Away,
    Served,
    /// A limit was reached before it.
    Refused,
}

struct Seat {
    fate: Fate,
    counts_for: Option<Household>,
    is_open: bool,
}

/// The limits on connections.
pub(crate) struct Admission {
    max_connections: usize,
    max_per_household: u32,
    open: usize,
    /// Connections that got a refusal because of a limit.
    turned_away: u64,
    counts: HashMap<Household, u32>,
    seats: HashMap<usize, Seat>,
}

impl Admission {
    pub(crate) fn new(max_connections: usize, max_per_household: u32) -> Self {
        Self {
            max_connections,
            max_per_household,
            open: 0,
            turned_away: 0,
            counts: HashMap::new(),
            seats: HashMap::new(),
        }
    }

    /// Other limits hold for those that come from here on.
    pub(crate) fn set(&mut self, max_connections: usize, max_per_household: u32) {
        self.max_connections = max_connections;
        self.max_per_household = max_per_household;
    }

    pub(crate) fn fate(&self, socket: usize) -> Fate {
        self.seats.get(&socket).map_or(Fate::Away, |seat| seat.fate)
    }

    /// `household` is what the connection counts for; `None` if a proxy names it later, or never.
    pub(crate) fn accepted(&mut self, socket: usize, household: Option<Household>) {
        assert!(
            self.open < self.max_connections + SURPLUS_MAX,
            "accepted above the limit"
        );
        self.open += 1;
        let is_served = self.open <= self.max_connections
            && household.is_none_or(|household| self.has_place(household));
        self.turned_away += u64::from(!is_served);
        let seat = Seat {
            fate: if is_served {
                Fate::Served
            } else {
                Fate::Refused
            },
            counts_for: None,
            is_open: true,
        };
        self.seats.insert(socket, seat);
        if let Some(household) = household
            && is_served
        {
            self.count(socket, household);
        }
    }

    /// The connection is closed as soon as it is accepted.
    pub(crate) fn unproxied(&mut self, socket: usize) {
        assert!(
            self.open < self.max_connections + SURPLUS_MAX,
            "accepted above the limit"
        );
        self.open += 1;
        let seat = Seat {
            fate: Fate::Away,
            counts_for: None,
            is_open: true,
        };
        self.seats.insert(socket, seat);
    }

    pub(crate) fn turned_away(&mut self, exhausted: bool) {
        self.turned_away += 1;
        assert!(
            exhausted || self.open >= self.max_connections + SURPLUS_MAX,
            "turned away although the limit was not reached"
        );
    }

    /// The system cannot watch the connection: it is closed without a response, and counts for no
    /// household.
    pub(crate) fn unwatched(&mut self, socket: usize) {
        self.uncount(socket);
        if let Some(seat) = self.seats.get_mut(&socket) {
            self.turned_away -= u64::from(seat.fate == Fate::Refused);
            seat.fate = Fate::Away;
        }
    }

    /// A trusted proxy names the household of a connection. Returns how the server must treat it.
    pub(crate) fn named(&mut self, socket: usize, household: Household) -> Fate {
        if self.fate(socket) == Fate::Served {
            if self.has_place(household) {
                self.count(socket, household);
            } else if let Some(seat) = self.seats.get_mut(&socket) {
                seat.fate = Fate::Refused;
                self.turned_away += 1;
            }
        }
        self.fate(socket)
    }

    pub(crate) fn closed(&mut self, socket: usize) {
        self.uncount(socket);
        let seat = self.seats.get_mut(&socket).expect("it was accepted");
        assert!(seat.is_open, "{socket} was closed twice");
        seat.is_open = false;
        self.open -= 1;
    }

    pub(crate) fn open(&self) -> usize {
        self.open
    }

    pub(crate) fn turned_away_count(&self) -> u64 {
        self.turned_away
    }

    fn has_place(&self, household: Household) -> bool {
        let count = self.counts.get(&household).copied().unwrap_or_default();
        self.max_per_household == 0 || count < self.max_per_household
    }

    fn count(&mut self, socket: usize, household: Household) {
        *self.counts.entry(household).or_default() += 1;
        if let Some(seat) = self.seats.get_mut(&socket) {
            seat.counts_for = Some(household);
        }
    }

    fn uncount(&mut self, socket: usize) {
        let seat = self.seats.get_mut(&socket);
        if let Some(household) = seat.and_then(|seat| seat.counts_for.take())
            && let Some(count) = self.counts.get_mut(&household)
        {
            *count -= 1;
        }
    }
}

/// The configured times, in ticks.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) handshake: u32,
    pub(crate) close: u32,
    pub(crate) stall: u32,
    pub(crate) silent: u32,
    pub(crate) message: u32,
    pub(crate) ping_after: u32,
    pub(crate) grace: u32,
    pub(crate) notice_interval: u32,
}

/// A deadline comes no earlier than configured: whole ticks of 100 ms, rounded up.
fn ticks(length: Duration) -> u32 {
    u32::try_from(length.as_millis().div_ceil(100)).expect("a game is short")
}

impl Lengths {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            handshake: ticks(config.conn.handshake_timeout),
            close: ticks(config.conn.close_timeout),
            stall: ticks(config.conn.stall_timeout),
            silent: ticks(config.conn.silent_timeout),
            message: ticks(config.conn.message_timeout),
            ping_after: ticks(config.conn.ping_after),
            grace: ticks(config.grace_timeout),
            notice_interval: ticks(config.chat.notice_interval),
        }
    }
}

/// The rate limit of one member: so many messages a second, and so many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// The messages that may pass at `at`, in tenths of a message.
    tenths: u32,
    at: Tick,
    /// The member was warned, and none of its messages has passed since.
    is_warned: bool,
}

/// How the rate limit treats a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    Passes,
    /// Dropped, with a warning to its sender.
    IsTooFast,
    /// Dropped without a warning, because its sender has one already.
    Dropped,
}

impl Allowance {
    pub(crate) const fn new(burst: u32, now: Tick) -> Self {
        Self {
            tenths: burst * 10,
            at: now,
            is_warned: false,
        }
    }

    /// Counts a message. `rate` is in messages a second; 0 is no limit.
    pub(crate) fn message(&mut self, rate: u32, burst: u32, now: Tick) -> Passage {
        if rate == 0 {
            // Nothing is counted, so what was left before is left after.
            self.is_warned = false;
            return Passage::Passes;
        }
        let gained = u64::from(now.since(self.at)) * u64::from(rate);
        let tenths = (u64::from(self.tenths) + gained).min(u64::from(burst) * 10);
        self.tenths = u32::try_from(tenths).expect("a burst is small");
        self.at = now;
        if self.tenths >= 10 {
            self.tenths = self.tenths.saturating_sub(10);
            self.is_warned = false;
            Passage::Passes
        } else if std::mem::replace(&mut self.is_warned, true) {
            Passage::Dropped
        } else {
            Passage::IsTooFast
        }
    }
}

/// The limit on work that a peer causes besides its messages: so much a second and so much at once,
/// in tenths of a control frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excess {
    rate: u32,
    burst: u32,
}

impl Excess {
    /// Ten control frames a second and a hundred at once, or ten bursts of messages if that is
    /// more.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            rate: config.chat.message_rate.max(10),
            burst: (10 * config.chat.message_burst).max(100) * 10,
        }
    }
}

/// The server does not read a peer for so long after the peer has exceeded the limit on work.
const PAUSE_TICKS: u32 = 20;

/// The work that one peer has caused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Burden {
    left: u32,
    at: Tick,
    pauses: Vec<Tick>,
    paused_until: Option<Tick>,
    /// The peer exceeded the limit for the third time within a minute.
    is_too_much: bool,
}

/// What follows from the work that a peer caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    Nothing,
    /// The peer is not read before this moment.
    Paused(Tick),
    Closed,
}

impl Burden {
    pub(crate) fn new(excess: Excess, now: Tick) -> Self {
        Self {
            left: excess.burst,
            at: now,
            ..Self::default()
        }
    }

    pub(crate) fn causes(&mut self, tenths: u32, excess: Excess, now: Tick) -> Consequence {
        if self.paused_until.is_some() || self.is_too_much {
            return Consequence::Nothing;
        }
        let gained = u64::from(now.since(self.at)) * u64::from(excess.rate);
        let left = (u64::from(self.left) + gained).min(u64::from(excess.burst));
        self.left = u32::try_from(left).expect("a burst is small");
        self.at = now;
        if self.left >= tenths {
            self.left -= tenths;
            return Consequence::Nothing;
        }
        let recent = self.pauses.iter().filter(|at| now.since(**at) < 600);
        if recent.count() >= 2 {
            self.is_too_much = true;
            return Consequence::Closed;
        }
        let until = now + PAUSE_TICKS;
        self.pauses.push(now);
        self.paused_until = Some(until);
        Consequence::Paused(until)
    }

    /// Ends a turn. Returns true if a pause is over.
    pub(crate) fn turn_ends(&mut self, excess: Excess, now: Tick) -> bool {
        let is_over = self.paused_until.take_if(|until| *until <= now).is_some();
        if is_over {
            self.left = excess.burst;
            self.at = now;
        }
        is_over
    }

    pub(crate) const fn paused_until(&self) -> Option<Tick> {
        self.paused_until
    }

    pub(crate) const fn is_too_much(&self) -> bool {
        self.is_too_much
    }

    pub(crate) const fn was_ever_paused(&self) -> bool {
        !self.pauses.is_empty()
    }
}

/// The stage of a connection, and its beginning.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The server waits for the request.
    Handshake(Tick),
    Open,
    /// The server has refused the connection, sent a close frame or shut its side.
    Leaving(Tick),
}

/// The deadlines of one connection, by which the server must have closed it whatever the peer does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    stage: Stage,
    /// The client requests pages; each response restarts the deadline for the next request.
    is_browser: bool,
    heard_at: Tick,
    blocked_since: Option<Tick>,
    /// When the server could first see that the deadline had passed. From this moment it has a
    /// limited time to act.
    handshake_over_at: Option<Tick>,
    stall_over_at: Option<Tick>,
    close_over_at: Option<Tick>,
    silence_over_at: Option<Tick>,
    /// Turns since it should have been closed.
    overdue_turns: u32,
    stalled_turns: u32,
}

impl Watch {
    pub(crate) const fn new(is_browser: bool, now: Tick) -> Self {
        Self {
            stage: Stage::Handshake(now),
            is_browser,
            heard_at: now,
            blocked_since: None,
            handshake_over_at: None,
            stall_over_at: None,
            close_over_at: None,
            silence_over_at: None,
            overdue_turns: 0,
            stalled_turns: 0,
        }
    }

    pub(crate) fn heard(&mut self, now: Tick) {
        self.heard_at = now;
        self.silence_over_at = None;
    }

    pub(crate) const fn heard_at(&self) -> Tick {
        self.heard_at
    }

    pub(crate) fn was_written(&mut self, now: Tick) {
        self.was_touched(now);
        self.blocked_since = None;
        self.stall_over_at = None;
    }

    pub(crate) fn was_blocked(&mut self, now: Tick) {
        if self.blocked_since.is_none() {
            self.was_touched(now);
            self.blocked_since = Some(now);
        }
    }

    /// A response that waits was queued at this moment or earlier.
    fn was_touched(&mut self, now: Tick) {
        if let Stage::Handshake(_) = self.stage
            && self.is_browser
        {
            self.stage = Stage::Handshake(now);
        }
    }

    /// The server sent a page: another request may come.
    pub(crate) fn was_answered(&mut self, now: Tick) {
        if let Stage::Handshake(_) = self.stage {
            self.stage = Stage::Handshake(now);
            self.handshake_over_at = None;
        }
    }

    pub(crate) fn was_upgraded(&mut self) {
        if let Stage::Handshake(_) = self.stage {
            self.stage = Stage::Open;
        }
    }

    pub(crate) fn was_ended(&mut self, now: Tick) {
        if !matches!(self.stage, Stage::Leaving(_)) {
            self.stage = Stage::Leaving(now);
        }
    }

    /// The server has read the client's end: what waits for the client is sent within the time of a
    /// close, even if it was stalled before.
    pub(crate) fn was_ended_by_peer(&mut self, now: Tick) {
        self.was_ended(now);
        self.blocked_since = self.blocked_since.map(|_| now);
        self.stall_over_at = None;
    }

    /// Whether the deadline of the handshake has passed.
    pub(crate) fn is_handshake_over(&self, now: Tick, lengths: &Lengths) -> bool {
        matches!(self.stage, Stage::Handshake(since) if now >= since + lengths.handshake)
    }

    pub(crate) const fn is_handshake(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_))
    }

    /// Whether a request would be too late, because the deadline passed before this turn.
    pub(crate) const fn is_late(&self) -> bool {
        self.handshake_over_at.is_some() || matches!(self.stage, Stage::Leaving(_))
    }

    /// Panics if the connection should have been closed by the turn at `now`.
    pub(crate) fn check(&mut self, socket: usize, now: Tick, lengths: &Lengths) {
        let gone_by = match self.stage {
            Stage::Handshake(since) if now >= since + lengths.handshake => {
                *self.handshake_over_at.get_or_insert(now) + lengths.close
            }
            Stage::Handshake(_) => Tick(u32::MAX),
            Stage::Open if now >= self.heard_at + lengths.silent => {
                // The server closes no silent connection before it has sent a ping and waited for
                // the pong. It may also have closed it just before, with a close frame that
                // could not be written.
                let close = self.blocked_since.map_or(0, |_| 2 * lengths.close);
                let answer = lengths.silent - lengths.ping_after;
                *self.silence_over_at.get_or_insert(now) + answer + close
            }
            Stage::Open => Tick(u32::MAX),
            Stage::Leaving(since) if now >= since + lengths.close => {
                // The client's close frame may come at the last moment; then its end is awaited.
                *self.close_over_at.get_or_insert(now) + lengths.close
            }
            Stage::Leaving(_) => Tick(u32::MAX),
        };
        // One that is blocked may be held, so that silence does not count: after the clock has run
        // ahead the server writes once more before it is closed as stalled.
        self.overdue_turns = if now < gone_by {
            0
        } else {
            self.overdue_turns + 1
        };
        let turns_max = if self.blocked_since.is_some() { 2 } else { 0 };
        assert!(
            self.overdue_turns <= turns_max,
            "{socket} should be closed: {self:?}, and it is {now:?}"
        );
        let Some(since) = self.blocked_since else {
            return;
        };
        if now >= since + lengths.stall {
            let over_at = *self.stall_over_at.get_or_insert(now);
            // A connection in the handshake is closed at the deadline of the handshake.
            let more = match self.stage {
                Stage::Handshake(_) => lengths.handshake,
                Stage::Open | Stage::Leaving(_) => 0,
            };
            let is_overdue = now >= over_at + 2 * lengths.close + more;
            self.stalled_turns = if is_overdue {
                self.stalled_turns + 1
            } else {
                0
            };
            assert!(
                self.stalled_turns <= turns_max,
                "{socket} reads nothing and is still open: {self:?}, and it is {now:?}"
            );
        }
    }
}
