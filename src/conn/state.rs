//! All states of a connection, every transition between them, and what each deadline means.
//! Knows bytes only as far as they decide a transition; what they say is for http, ws and chat.
//!
//! # States
//!
//! Each state sets its deadline when it is entered ([`State::due`]); no state inherits one.
//!
//! | state     | waits for                                  | deadline, from the entry  | when it comes |
//! |-----------|--------------------------------------------|---------------------------|---------------|
//! | Head      | the rest of a request's head               | handshake; entered at accept, or with the first byte of a later request. Close for one above a limit | 408, Draining. Over above a limit |
//! | Answering | the client to accept a response; nothing is read meanwhile | handshake | over |
//! | Idle      | another request (RFC 9112 §9.3)            | handshake                 | Draining |
//! | Open      | WebSocket messages, both ways              | the earliest of these, see below | see below |
//! | Closing   | the peer's close frame (RFC 6455 §7.1.2)   | close                     | over |
//! | Draining  | our last bytes to be accepted, then the peer's end (RFC 6455 §7.1.1) | close | over |
//!
//! The deadlines of an open connection:
//!
//! | deadline | counted from                                                | when it comes |
//! |----------|-------------------------------------------------------------|---------------|
//! | ping     | the last byte received, and up to a quarter more            | a ping is sent |
//! | silent   | the last byte received                                      | over, without a close frame |
//! | stall    | the first write that was blocked, and each byte accepted since | 1013: leaves, Closing |
//! | message  | the first byte of a message that is not whole               | 1008: leaves, Closing |
//! | pause    | the moment at which the peer had caused too much work       | it is read again |
//! | hold     | the moment at which a request had to wait for the store     | an answer that the store is unavailable, and it is read again |
//!
//! What a peer sends besides messages within its rate costs work ([`Work`]) and is limited
//! ([`State::charge`]). Beyond the limit an open connection is paused: it is not read for a while,
//! so that its bytes stay in the sockets and the peer cannot send more (backpressure), and nothing
//! that was sent is lost. The ping and silent deadlines begin anew when the pause ends, and the
//! message deadline moves by its length, since the peer cannot be heard meanwhile; the stall
//! deadline stays. The third pause within a minute ends the membership instead (server/flood.rs).
//!
//! An open connection whose next request cannot be taken yet is *held* ([`State::hold`]): what was
//! read and not decoded is kept, and nothing more is read, so that requests stay in their order and
//! the peer is slowed down. There may be several reasons at once ([`Wait`]); with the last one the
//! connection is released ([`State::release`]), and what was kept is decoded before anything is
//! read. The ping, silent and message deadlines stand still meanwhile, as in a pause. The stall
//! deadline runs, and it is the only one of a connection that waits for its own peer to accept
//! replies; one that waits for the store has the hold deadline besides. A pause may begin and end
//! meanwhile, and the connection is read when both are over. Neither pings nor the end of the peer
//! (its FIN) are seen before that: a member whose peer has ended leaves when the requests that it
//! sent are handled, or by one of these two deadlines.
//!
//! A connection that is Closing or Draining is read within the limit, each read counting as one
//! control frame: what exceeds it stays in the socket.
//!
//! In every state, a read or a write for which the system is short of memory is tried again
//! [`RETRY_TICKS`] later, of which no event tells.
//!
//! # Transitions
//!
//! | event                  | Head | Answering | Idle | Open | Closing | Draining |
//! |------------------------|------|-----------|------|------|---------|----------|
//! | part of a head         | Head | - | Head | - | - | - |
//! | a request, answered    | Answering; Draining if it is the last | - | as Head | - | - | - |
//! | a request, refused     | Draining | - | as Head | - | - | - |
//! | an upgrade             | Open | - | as Head | - | - | - |
//! | our close frame        | - | - | - | leaves, Closing; Draining if the input of a held one has the peer's | - | - |
//! | a request must wait    | - | - | - | held | - | - |
//! | the last wait is over  | - | - | - | released: what was kept is decoded, then it is read | - | - |
//! | too much work          | - | - | - | paused; the third time 1008: leaves, Closing | - | - |
//! | the peer's close frame | - | - | - | leaves, reply, Draining | Draining | - |
//! | a breach of RFC 6455   | - | - | - | leaves, close frame, Draining | - | - |
//! | all bytes are accepted | - | Idle; Head if a request has begun | - | released if held for that | - | our side is shut |
//! | the peer's end         | as below | as below | as below | held: when it is released; leaves, and as below | as below | as below |
//! | - nothing is unsent    | over | over | over | over (RFC 6455 §7.1.5: 1006) | over | over |
//! | - bytes are unsent     | Draining | Draining | Draining | Draining | Draining | until they are sent |
//! | a read or write fails  | over | over | over | over | over | over |
//! | the server stops       | 503, Draining | Draining; 503 if a request has begun | Draining | 1001: leaves, Closing | - | - |
//!
//! *Unsent* is what waits in the outbox and what the system has not delivered. The peer's end (its
//! FIN) says that it sends nothing more, not that it has stopped reading: a member leaves its room
//! at once, and what was queued for it is still sent, within the close deadline.
//!
//! # How a connection ends
//!
//! A connection that is *over* accepts and sends nothing more ([`Outbox::end`]) and is on the
//! server's list of ending connections. `server/reap.rs`, and nothing else, then removes it from
//! every table, where a member leaves its room with one notice, and closes its socket.
//!
//! There are three ways to be over:
//!
//! - The peer has ended and nothing is unsent, or the socket failed. The close is an ordinary one.
//! - The deadline of Closing or Draining came, or the peer was silent, and nothing is unsent: as
//!   well.
//! - The same deadlines, or that of Answering, came with bytes unsent: the connection is reset
//!   (SO_LINGER 0). After a FIN the system would keep what the peer does not accept, for minutes
//!   and outside every limit. A close frame that the peer did not accept in time is lost with it.

#[cfg(doc)]
use super::RETRY_TICKS;
use super::held::{Held, Wait, Waits};
use super::{Deadlines, Outbox};
use crate::carry::carried;
use crate::id::Tick;
use crate::rate::{Bucket, TENTHS};
use crate::ws::{CloseReason, Decoder, Received, Scanner, Spare};
use std::mem;
use std::num::NonZeroU32;
use std::ops::Add;

/// How far a connection has come. See the tables of [this file](self).
pub enum Phase {
    /// The head of a request is awaited; `received` is the part that came, if it came in parts.
    Head { received: Vec<u8>, until: Tick },
    /// A response is queued. `rest` came after its request.
    Answering { rest: Vec<u8>, until: Tick },
    /// A response was accepted, and another request need not come.
    Idle { until: Tick },
    /// WebSocket messages go both ways, and the chat knows a member.
    Open {
        decoder: Decoder,
        /// Since when a message is half received.
        message_since: Option<Since>,
        /// Why no request is taken, and the input that is kept for later.
        held: Option<Box<Held>>,
    },
    /// Our close frame is queued, the peer's is awaited.
    Closing { scanner: Scanner, until: Tick },
    /// What is queued is the last; then our side is shut, then the peer's end awaited. What comes
    /// is discarded.
    Draining {
        is_shut: bool,
        peer_ended: bool,
        until: Tick,
    },
}

/// A moment since when something lasts, of which an `Option` takes 4 bytes: a server holds many
/// connections.
#[derive(Clone, Copy, Debug)]
pub struct Since(NonZeroU32);

impl Since {
    const fn at(now: Tick) -> Self {
        // The last tick of all, after 13 years, is taken for the one before it.
        Self(NonZeroU32::MIN.saturating_add(now.0))
    }

    const fn tick(self) -> Tick {
        Tick(self.0.get() - 1)
    }
}

impl Add<u32> for Since {
    type Output = Tick;

    fn add(self, ticks: u32) -> Tick {
        self.tick() + ticks
    }
}

/// One connection without its socket.
pub struct State {
    phase: Phase,
    pub outbox: Outbox,
    /// When bytes last came, or when that is taken to have been ([`State::expired`]).
    seen: Tick,
    /// Since when the peer accepts nothing.
    stalled_since: Option<Since>,
    /// Work that the peer may still cause besides its messages.
    excess: Bucket,
    /// An open connection is not read before this moment. `None` in all other phases.
    paused_until: Option<Since>,
    /// A ping was sent, and nothing came since.
    awaiting_pong: bool,
    writes: Writes,
    /// A read failed for want of memory, and is to be tried again.
    must_read_again: bool,
}

/// Whether the socket accepts bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Accepted,
    /// Not before an event says so.
    Blocked,
    /// The system was short of memory: not before it is tried again, of which no event tells.
    Retry,
}

/// What a deadline brings back: what the system had no memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    pub read: bool,
    pub write: bool,
}

/// How long a peer that causes too much work is not read: 2 s.
pub const PAUSE_TICKS: u32 = 20;

/// Reads that a connection is granted when it begins to end, so that the peer's close frame is found
/// behind what it sent before: twice what a socket usually buffers.
const CLOSING_READS: u32 = 32;

/// Work that a peer causes besides its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A ping, which is answered, or a pong, which is not.
    Control,
    /// A fragment of a message that has many.
    Fragment,
    /// A message of so many bytes that exceeds the rate of the member and is discarded.
    Message { bytes: usize },
}

impl Work {
    /// Control frames cost one unit, a tenth of it each fragment, and a message one and another for
    /// each whole KiB: about as these compare in CPU time.
    fn tenths(self) -> u32 {
        match self {
            Self::Control => TENTHS,
            Self::Fragment => 1,
            Self::Message { bytes } => {
                let units = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
                units.saturating_add(1).saturating_mul(TENTHS)
            }
        }
    }
}

/// What to do with bytes that come.
#[derive(Debug)]
pub enum Input<'a> {
    /// They belong to the head of a request, behind these.
    Head(&'a mut Vec<u8>),
    /// They are frames: [`State::decode`].
    Frames,
    /// Only the peer's close frame matters: [`State::scan`].
    Scan,
    /// Nothing matters but that they are read.
    Discard,
}

/// What came of decoding frames.
#[derive(Debug)]
pub enum Decoded {
    /// `was_parked`: memory that a half-received message held for a while was freed.
    Message {
        received: Received,
        was_parked: bool,
    },
    /// The input is used up. `begins`: a message has begun, and its deadline must be armed.
    UsedUp { begins: bool },
    /// The peer broke the protocol; nothing more can be decoded.
    Broken(CloseReason),
    /// The connection is held, and what is left of the input was kept.
    Held,
    /// The connection is not open any more; what is left of the input follows our close.
    NotOpen,
}

/// What to do before anything is read.
#[derive(Debug, PartialEq, Eq)]
pub enum Resume {
    /// Read.
    Read,
    /// These bytes came behind an earlier request, whose response was accepted: a new head.
    Head(Vec<u8>),
    /// Read nothing: the response to an earlier request must be accepted first, or the connection is
    /// held, or was and has not gone on.
    Wait,
}

/// What follows when the outbox is empty.
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    Nothing,
    /// Reading stopped at a request; go on. Arm the deadline.
    Read,
    /// Shut our side: nothing more will be written. If the peer has ended and the system has
    /// nothing unsent, the connection is over.
    Shut {
        peer_ended: bool,
    },
}

/// What follows from our close frame.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Closed {
    /// Nothing: the connection is not open, and no close frame may be sent.
    NotOpen,
    /// Queue the close frame; the peer's is awaited.
    Awaits,
    /// Queue the close frame, then drain: the peer's was in the input that was kept.
    Answered,
}

/// What follows from the peer's end.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// What is queued is still for the peer.
    Drains,
    /// The connection is over.
    Over,
}

/// What a deadline that has come means.
#[derive(Debug, PartialEq, Eq)]
pub enum Expired {
    /// Nothing: the deadline was postponed. Arm the next one.
    Later,
    /// Send a ping, then arm the next deadline.
    Ping,
    /// Refuse the request: its head did not come in time.
    Refuse,
    /// End the connection in good order: no request came.
    Drain,
    /// Read again, then arm the next deadline: the pause is over.
    Resume,
    /// The store has not answered in time what a held connection waited for. Its requests are to be
    /// answered with that, and it goes on unless it waits for something else. Arm the next deadline.
    HeldTooLong(Waits),
    /// The member leaves; what waits is dropped and the connection closed: the peer accepts
    /// nothing.
    Stalled,
    /// The member leaves, and the connection is closed: a message did not come whole in time.
    MessageTooSlow,
    /// The connection is over, and reset if anything is unsent: nothing came for too long.
    Silent,
    /// The connection is over, and reset if anything is unsent: it did not end in good order in
    /// time.
    Over,
}

/// What a connection is to hear when the server stops.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The member leaves, and the connection is closed.
    Close,
    /// The request is refused.
    Refuse,
    /// Nothing more than what is queued.
    Drain,
    /// It is ending already.
    Nothing,
}

impl State {
    /// The names of all phases, for metrics.
    pub const PHASES: [&'static str; 6] =
        ["head", "answering", "idle", "open", "closing", "draining"];

    /// The place of the phase in [`State::PHASES`].
    pub const fn phase_index(&self) -> usize {
        match self.phase {
            Phase::Head { .. } => 0,
            Phase::Answering { .. } => 1,
            Phase::Idle { .. } => 2,
            Phase::Open { .. } => 3,
            Phase::Closing { .. } => 4,
            Phase::Draining { .. } => 5,
        }
    }

    /// A connection that was just accepted.
    pub fn new(lengths: &Deadlines, now: Tick) -> Self {
        Self {
            phase: Phase::head(lengths, now),
            outbox: Outbox::default(),
            seen: now,
            stalled_since: None,
            excess: Bucket::full(lengths.excess, now),
            paused_until: None,
            awaiting_pong: false,
            writes: Writes::Accepted,
            must_read_again: false,
        }
    }

    pub const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// When bytes last came from the peer, or its silence was answered for it.
    pub const fn seen(&self) -> Tick {
        self.seen
    }

    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Bytes held: in the outbox, and of a half-received head or message.
    pub fn held_bytes(&self) -> usize {
        let received = match &self.phase {
            Phase::Head { received, .. } => received.len(),
            Phase::Answering { rest, .. } => rest.len(),
            Phase::Open { decoder, held, .. } => {
                decoder.held_bytes() + held.as_ref().map_or(0, |held| held.held_bytes())
            }
            Phase::Idle { .. } | Phase::Closing { .. } | Phase::Draining { .. } => 0,
        };
        self.outbox.bytes() + received
    }

    // Deadlines

    /// The deadline of the state, to be armed when it is entered. An open connection postpones its
    /// own by what comes, which need not be armed: [`State::expired`] returns `Later` then.
    pub fn due(&self, slot: u32, lengths: &Deadlines) -> Tick {
        match &self.phase {
            Phase::Head { until, .. }
            | Phase::Answering { until, .. }
            | Phase::Idle { until }
            | Phase::Closing { until, .. }
            | Phase::Draining { until, .. } => *until,
            Phase::Open {
                message_since,
                held,
                ..
            } => {
                let stall = self.stall_due(lengths);
                let paused = self.paused_until.map(Since::tick);
                let held = held.as_ref().filter(|held| held.is_waiting());
                if paused.is_some() || held.is_some() {
                    let held = held.and_then(|held| held.until());
                    let due = [stall, paused, held].into_iter().flatten().min();
                    // One that waits for its peer to accept replies is blocked, which is retried
                    // soon or has begun to be a stall.
                    return due.unwrap_or(self.seen + lengths.silent);
                }
                let heartbeat = if self.awaiting_pong {
                    self.seen + lengths.silent
                } else {
                    lengths.next_ping(slot, self.seen)
                };
                let message = message_since.map(|since| since + lengths.message);
                [stall, message]
                    .into_iter()
                    .flatten()
                    .fold(heartbeat, Tick::min)
            }
        }
    }

    /// When a peer that accepts nothing has done so for too long.
    fn stall_due(&self, lengths: &Deadlines) -> Option<Tick> {
        self.stalled_since.map(|since| since + lengths.stall)
    }

    /// A deadline has come, after it was tried whether the socket accepts what waits: a peer that
    /// accepts bytes again, as an event of this very turn may say, is not stalled.
    pub fn expired(&mut self, lengths: &Deadlines, now: Tick) -> Expired {
        match &self.phase {
            Phase::Head { until, .. }
            | Phase::Answering { until, .. }
            | Phase::Idle { until }
            | Phase::Closing { until, .. }
            | Phase::Draining { until, .. }
                if now < *until =>
            {
                Expired::Later
            }
            Phase::Head { .. } => Expired::Refuse,
            Phase::Idle { .. } => Expired::Drain,
            Phase::Answering { .. } | Phase::Closing { .. } | Phase::Draining { .. } => {
                Expired::Over
            }
            Phase::Open { message_since, .. } => {
                let message_due = message_since.map(|since| since + lengths.message);
                if self.paused_until.is_some() || self.is_held() {
                    self.expired_unread(lengths, now)
                } else {
                    self.expired_open(message_due, lengths, now)
                }
            }
        }
    }

    /// The connection is paused or held.
    fn expired_unread(&mut self, lengths: &Deadlines, now: Tick) -> Expired {
        if self.stall_due(lengths).is_some_and(|due| due <= now) {
            return Expired::Stalled;
        }
        if let Some(held) = self.held_mut()
            && let Some(waits) = held.give_up(now)
        {
            if !held.is_waiting() {
                self.released(now);
            }
            return Expired::HeldTooLong(waits);
        }
        if self
            .paused_until
            .take_if(|until| until.tick() <= now)
            .is_none()
        {
            return Expired::Later;
        }
        self.excess = Bucket::full(lengths.excess, now);
        self.seen = now;
        Expired::Resume
    }

    fn expired_open(
        &mut self,
        message_due: Option<Tick>,
        lengths: &Deadlines,
        now: Tick,
    ) -> Expired {
        if !self.awaiting_pong && self.seen + lengths.silent <= now {
            // The ping was due long ago, so it was this process that stood still (SIGSTOP, a host
            // that took the processor away). The peer is asked, and has as long for the answer as
            // always.
            self.seen = Tick(now.0.saturating_sub(lengths.ping_after));
        }
        let has_come = |due: Option<Tick>| due.is_some_and(|due| due <= now);
        let stall_due = self.stall_due(lengths);
        if self.seen + lengths.silent <= now {
            Expired::Silent
        } else if has_come(stall_due) {
            Expired::Stalled
        } else if has_come(message_due) {
            Expired::MessageTooSlow
        } else if !self.awaiting_pong && self.seen + lengths.ping_after <= now {
            self.awaiting_pong = true;
            Expired::Ping
        } else {
            Expired::Later
        }
    }

    // What comes from the peer

    /// Bytes came: any traffic counts as life. True: the deadline was that of an awaited pong and
    /// comes earlier than the next ping is due; arm it.
    #[inline]
    #[must_use]
    pub fn heard(&mut self, now: Tick) -> bool {
        self.seen = now;
        mem::take(&mut self.awaiting_pong)
    }

    /// Before bytes are read: whether they may be.
    pub fn resume(&mut self, lengths: &Deadlines, now: Tick) -> Resume {
        match &mut self.phase {
            Phase::Answering { .. } if !self.outbox.is_empty() => Resume::Wait,
            Phase::Answering { rest, .. } => {
                let rest = mem::take(rest);
                self.phase = Phase::head(lengths, now);
                Resume::Head(rest)
            }
            Phase::Open { held: Some(_), .. } => Resume::Wait,
            Phase::Open { held: None, .. }
            | Phase::Head { .. }
            | Phase::Idle { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. } => Resume::Read,
        }
    }

    /// What the bytes are that come. The first byte of another request begins its head.
    #[inline]
    pub fn input(&mut self, lengths: &Deadlines, now: Tick) -> Input<'_> {
        if let Phase::Idle { .. } = self.phase {
            self.phase = Phase::head(lengths, now);
        }
        match &mut self.phase {
            Phase::Head { received, .. } => Input::Head(received),
            Phase::Open { .. } => Input::Frames,
            Phase::Closing { .. } => Input::Scan,
            Phase::Answering { .. } | Phase::Idle { .. } | Phase::Draining { .. } => Input::Discard,
        }
    }

    /// The connection will be refused, and its request only decides how: it has no more time for
    /// that than a refused one has to end. Arm the deadline.
    pub fn ends_without_head(&mut self, lengths: &Deadlines, now: Tick) {
        if let Phase::Head { until, .. } = &mut self.phase {
            *until = (*until).min(now + lengths.close);
        }
    }

    /// The head is not whole: keeps what came of it. Arm the deadline.
    pub fn keep_head(&mut self, bytes: Vec<u8>) {
        if let Phase::Head { received, .. } = &mut self.phase {
            *received = bytes;
        }
    }

    /// Takes bytes from the front of `input` and decodes them until something is whole. A connection
    /// that is held keeps them instead.
    #[inline]
    pub fn decode(&mut self, spare: &mut Spare, input: &mut &[u8], now: Tick) -> Decoded {
        let Phase::Open {
            decoder,
            message_since,
            held,
        } = &mut self.phase
        else {
            return Decoded::NotOpen;
        };
        if let Some(held) = held {
            held.keep(mem::take(input));
            return Decoded::Held;
        }
        match decoder.receive(spare, input) {
            Ok(Some(received)) => {
                // The next message has its own time.
                let was_parked = !decoder.is_open() && message_since.take().is_some();
                Decoded::Message {
                    received,
                    was_parked,
                }
            }
            Ok(None) => {
                let begins = decoder.is_open() && message_since.is_none();
                if begins {
                    // The rest cannot come during a pause.
                    *message_since = Some(self.paused_until.unwrap_or_else(|| Since::at(now)));
                } else if !decoder.is_open() {
                    *message_since = None;
                }
                Decoded::UsedUp { begins }
            }
            Err(why) => Decoded::Broken(why),
        }
    }

    /// Bytes after our close frame. True: they had the peer's, and the connection drains.
    #[must_use]
    pub fn scan(&mut self, bytes: &[u8]) -> bool {
        match &mut self.phase {
            Phase::Closing { scanner, .. } => scanner.scan_for_close(bytes),
            Phase::Head { .. }
            | Phase::Answering { .. }
            | Phase::Idle { .. }
            | Phase::Open { .. }
            | Phase::Draining { .. } => false,
        }
    }

    /// After a read: whether a part of a record is kept, which has the deadline of a message. True: it
    /// begins; arm the deadline.
    #[must_use]
    pub fn keeps_record(&mut self, keeps: bool, now: Tick) -> bool {
        let Phase::Open {
            decoder,
            message_since,
            ..
        } = &mut self.phase
        else {
            return false;
        };
        if !keeps {
            if !decoder.is_open() {
                *message_since = None;
            }
            return false;
        }
        if message_since.is_some() {
            return false;
        }
        *message_since = Some(self.paused_until.unwrap_or_else(|| Since::at(now)));
        true
    }

    /// Before each read: whether the connection may be read.
    #[must_use]
    pub fn may_read(&mut self, lengths: &Deadlines, now: Tick) -> bool {
        match &self.phase {
            Phase::Closing { .. } | Phase::Draining { .. } => self.excess.take(lengths.excess, now),
            Phase::Open { .. }
            | Phase::Head { .. }
            | Phase::Answering { .. }
            | Phase::Idle { .. } => self.paused_until.is_none() && !self.is_held(),
        }
    }

    /// The bytes of a frame that are still to come, as its header says.
    pub const fn payload_to_come(&self) -> u64 {
        match &self.phase {
            Phase::Open { decoder, .. } => decoder.payload_to_come(),
            Phase::Head { .. }
            | Phase::Answering { .. }
            | Phase::Idle { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. } => 0,
        }
    }

    /// The peer of an open connection has caused work. False: more than it may; pause or close it.
    #[must_use]
    pub fn charge(&mut self, work: Work, lengths: &Deadlines, now: Tick) -> bool {
        // What was read before a pause began is still handled.
        !self.is_open()
            || self.paused_until.is_some()
            || self.excess.take_tenths(work.tenths(), lengths.excess, now)
    }

    /// Nothing is read for a while. The deadline must be armed.
    pub fn pause(&mut self, now: Tick) {
        if let Phase::Open {
            message_since,
            held,
            ..
        } = &mut self.phase
        {
            let until = now + PAUSE_TICKS;
            self.paused_until = Some(Since::at(until));
            if let Some(since) = message_since {
                *since = Since::at(*since + PAUSE_TICKS);
            }
            if let Some(held) = held {
                held.begins_at(until);
            }
        }
    }

    // Requests that must wait

    /// The next request of an open connection cannot be taken before `wait` is over: nothing is
    /// decoded and nothing read. The deadline must be armed.
    pub fn hold(&mut self, wait: Wait, lengths: &Deadlines, now: Tick) {
        let paused_until = self.paused_until.map_or(now, Since::tick);
        if let Phase::Open { held, .. } = &mut self.phase {
            let held = held.get_or_insert_with(|| Box::new(Held::new()));
            if !held.is_waiting() {
                held.begins_at(now.max(paused_until));
            }
            held.add(wait, now + lengths.hold);
        }
    }

    /// A wait is over. True: it was the last, and the connection goes on ([`State::take_kept`]).
    #[must_use]
    pub fn release(&mut self, wait: Wait, now: Tick) -> bool {
        let is_last = self.held_mut().is_some_and(|held| held.remove(wait));
        if is_last {
            self.released(now);
        }
        is_last
    }

    /// Before a released connection is read again: the frames that were kept, perhaps none. `None`: it
    /// is held, or was not. It must then be marked readable, since edge-triggered epoll does not
    /// report again what came meanwhile.
    #[must_use]
    pub fn take_kept(&mut self) -> Option<Vec<u8>> {
        let Phase::Open { held, .. } = &mut self.phase else {
            return None;
        };
        let released = held.take_if(|held| !held.is_waiting())?;
        Some(released.into_input())
    }

    /// How many bytes are kept. `None`: the connection is not held, and has gone on if it was.
    pub fn kept_bytes(&self) -> Option<usize> {
        match &self.phase {
            Phase::Open { held, .. } => held.as_ref().map(|held| held.input().len()),
            Phase::Head { .. }
            | Phase::Answering { .. }
            | Phase::Idle { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. } => None,
        }
    }

    /// Whether a request of this connection must wait.
    #[inline]
    pub fn is_held(&self) -> bool {
        matches!(&self.phase, Phase::Open { held: Some(held), .. } if held.is_waiting())
    }

    /// Whether the connection is held for this reason.
    #[inline]
    pub fn is_held_for(&self, wait: Wait) -> bool {
        matches!(&self.phase, Phase::Open { held: Some(held), .. } if held.waits().has(wait))
    }

    fn held_mut(&mut self) -> Option<&mut Held> {
        match &mut self.phase {
            Phase::Open { held, .. } => held.as_deref_mut(),
            Phase::Head { .. }
            | Phase::Answering { .. }
            | Phase::Idle { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. } => None,
        }
    }

    /// The deadlines of the peer go on. What was kept is for [`State::take_kept`].
    fn released(&mut self, now: Tick) {
        let Phase::Open {
            message_since,
            held,
            ..
        } = &mut self.phase
        else {
            return;
        };
        let lasted = held.as_ref().map_or(0, |held| held.lasted(now));
        if let Some(since) = message_since {
            *since = Since::at(*since + lasted);
        }
        self.seen = now;
    }

    /// The peer will send nothing more (its FIN, RFC 9293 §3.6), and a member has left. The peer
    /// may still read: what is queued, and what the system holds (`has_unsent`), is for it.
    pub fn peer_ended(&mut self, has_unsent: bool, lengths: &Deadlines, now: Tick) -> Ended {
        if self.outbox.is_empty() && !has_unsent {
            return Ended::Over;
        }
        if let Phase::Draining { peer_ended, .. } = &mut self.phase {
            *peer_ended = true;
        } else {
            self.phase = Phase::Draining {
                is_shut: false,
                peer_ended: true,
                until: now + lengths.close,
            };
        }
        if self.outbox.is_empty() {
            self.writes = Writes::Accepted;
        }
        Ended::Drains
    }

    // What the server decides

    /// A response is queued, and another request may follow. `rest` came after the request.
    pub fn answered(&mut self, rest: Vec<u8>, lengths: &Deadlines, now: Tick) {
        self.phase = Phase::Answering {
            rest,
            until: now + lengths.handshake,
        };
    }

    /// The response to an upgrade is queued.
    pub fn upgraded(&mut self) {
        self.phase = Phase::Open {
            decoder: Decoder::new(),
            message_since: None,
            held: None,
        };
    }

    /// The connection is to be closed.
    pub fn close(&mut self, lengths: &Deadlines, now: Tick) -> Closed {
        let draining = Phase::draining(lengths, now);
        self.paused_until = None;
        self.excess.raise(CLOSING_READS);
        match mem::replace(&mut self.phase, draining) {
            Phase::Open { decoder, held, .. } => {
                let mut scanner = decoder.into_scanner();
                let is_answered = held.is_some_and(|held| scanner.scan_for_close(held.input()));
                self.phase = Phase::Closing {
                    scanner,
                    until: now + lengths.close,
                };
                if is_answered {
                    Closed::Answered
                } else {
                    Closed::Awaits
                }
            }
            phase => {
                self.phase = phase;
                Closed::NotOpen
            }
        }
    }

    /// What is queued is the last. The connection must be flushed even if nothing is, for that
    /// shuts our side.
    pub fn drain(&mut self, lengths: &Deadlines, now: Tick) {
        self.paused_until = None;
        self.excess.raise(CLOSING_READS);
        self.phase = Phase::draining(lengths, now);
        self.writes = Writes::Accepted;
    }

    /// The server stops.
    pub fn stop(&self) -> Stop {
        match &self.phase {
            Phase::Open { .. } => Stop::Close,
            Phase::Head { .. } => Stop::Refuse,
            Phase::Answering { rest, .. } if !rest.is_empty() => Stop::Refuse,
            Phase::Answering { .. } | Phase::Idle { .. } => Stop::Drain,
            Phase::Closing { .. } | Phase::Draining { .. } => Stop::Nothing,
        }
    }

    // What the socket accepts

    /// The socket accepts no bytes: not before an event, or not before they are tried again.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.writes != Writes::Accepted
    }

    /// A write was blocked; an event will say when the socket accepts bytes.
    pub fn blocks(&mut self) {
        self.writes = Writes::Blocked;
    }

    /// An event says that the socket accepts bytes.
    #[inline]
    pub fn unblocks(&mut self) {
        self.writes = Writes::Accepted;
    }

    /// A write failed for want of memory. Not the peer's doing, so the connection is not stalled.
    /// Arm a deadline of [`RETRY_TICKS`].
    pub fn must_write_again(&mut self) {
        self.writes = Writes::Retry;
    }

    /// A read failed for want of memory. Arm a deadline of [`RETRY_TICKS`].
    pub fn must_read_again(&mut self) {
        self.must_read_again = true;
    }

    /// A deadline of [`RETRY_TICKS`] may be armed.
    pub fn has_retries(&self) -> bool {
        self.must_read_again || self.writes == Writes::Retry
    }

    /// A deadline has come: what is to be tried again.
    pub fn take_retries(&mut self) -> Retries {
        let write = self.writes == Writes::Retry;
        if write {
            self.writes = Writes::Accepted;
        }
        Retries {
            read: mem::take(&mut self.must_read_again),
            write,
        }
    }

    /// The socket accepted so many bytes.
    #[inline]
    pub fn wrote(&mut self, count: usize, now: Tick) {
        self.outbox.advance(count);
        self.accepted(now);
    }

    /// The socket accepted bytes, which are not in the outbox any more.
    #[inline]
    pub fn accepted(&mut self, now: Tick) {
        if self.stalled_since.is_some() {
            self.stalled_since = Some(Since::at(now));
        }
    }

    /// The socket accepts nothing. True: that begins here; arm the deadline.
    #[must_use]
    pub fn stalls(&mut self, now: Tick) -> bool {
        let begins = self.stalled_since.is_none();
        self.stalled_since.get_or_insert_with(|| Since::at(now));
        begins
    }

    /// The outbox is empty. True: it was not for a while, and memory was freed.
    #[inline]
    #[must_use]
    pub fn recovers(&mut self) -> bool {
        self.stalled_since.take().is_some()
    }

    /// When the outbox is empty, our side is shut.
    pub const fn shuts_next(&self) -> bool {
        matches!(self.phase, Phase::Draining { is_shut: false, .. })
    }

    /// The outbox is empty: what waited for that.
    #[inline]
    pub fn drained(&mut self, lengths: &Deadlines, now: Tick) -> Drained {
        match &mut self.phase {
            Phase::Answering { rest, .. } => {
                if rest.is_empty() {
                    self.phase = Phase::Idle {
                        until: now + lengths.handshake,
                    };
                }
                Drained::Read
            }
            Phase::Draining {
                is_shut,
                peer_ended,
                ..
            } if !*is_shut => {
                *is_shut = true;
                Drained::Shut {
                    peer_ended: *peer_ended,
                }
            }
            Phase::Open { .. }
            | Phase::Head { .. }
            | Phase::Idle { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. } => Drained::Nothing,
        }
    }
}

impl Phase {
    fn head(lengths: &Deadlines, now: Tick) -> Self {
        Self::Head {
            received: Vec::new(),
            until: now + lengths.handshake,
        }
    }

    fn draining(lengths: &Deadlines, now: Tick) -> Self {
        Self::Draining {
            is_shut: false,
            peer_ended: false,
            until: now + lengths.close,
        }
    }
}

carried!(struct Since(ticks));
carried!(enum Writes { 0 = Accepted, 1 = Blocked, 2 = Retry });
carried!(enum Phase {
    0 = Head { received, until },
    1 = Answering { rest, until },
    2 = Idle { until },
    3 = Open { decoder, message_since, held },
    4 = Closing { scanner, until },
    5 = Draining { is_shut, peer_ended, until },
});
carried!(struct State {
    phase,
    outbox,
    seen,
    stalled_since,
    excess,
    paused_until,
    awaiting_pong,
    writes,
    must_read_again,
});

#[cfg(test)]
mod tests;
