//! The record layer of one connection: opens what comes and seals what goes. Keeps what was read and
//! not opened, and what was opened and not taken; when it idles it keeps neither.
//!
//! A record that was sealed must be sent, once and before any that is sealed later: its number is the
//! nonce of its cipher, and the peer counts. Nothing here sends; see the outbox.

use super::accept::Acceptor;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ProtocolVersion};
use std::mem;

/// The longest plaintext of a record (RFC 8446 §5.1).
pub const RECORD_PLAIN_MAX: usize = 16 * 1024;

/// The longest record: header, plaintext, and what a cipher may add (RFC 8446 §5.2).
pub const RECORD_BYTES_MAX: usize = HEADER_BYTES + RECORD_PLAIN_MAX + 256;

const HEADER_BYTES: usize = 5;

/// More than any cipher here adds to a record. If not, the buffer grows.
const OVERHEAD_BYTES: usize = 64;

/// One connection.
pub struct Tls {
    session: UnbufferedServerConnection,
    stage: Stage,
    /// What is kept between reads. An idle connection keeps nothing.
    kept: Option<Box<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// Read and not opened: a part of a record, or records for which there was no time.
    parked: Vec<u8>,
    /// Opened and not taken, from `taken` on.
    opened: Vec<u8>,
    taken: usize,
    /// Found behind data that was not handled yet.
    pending: Option<Opened>,
}

impl Kept {
    fn has_data(&self) -> bool {
        self.taken < self.opened.len()
    }

    fn is_empty(&self) -> bool {
        self.parked.is_empty() && !self.has_data() && self.pending.is_none()
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The handshake is not over. `is_heard`: a hello of the client has been answered.
    Shaking { is_heard: bool },
    /// Data goes both ways. What rustls keeps for the handshake is no longer needed from here on: a
    /// smaller layer could take over with the keys alone.
    Open,
    /// The client has sent its close_notify, and we may still send.
    Ended,
    /// We have sent ours, and the client may still send.
    Closed,
    /// Nothing can be opened or sealed any more.
    Failed,
}

/// What came of opening records.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// Data can be taken.
    Data,
    /// More bytes of the client are needed.
    More,
    /// The client sends nothing more (its close_notify, RFC 8446 §6.1).
    End,
    Failed(Failure),
}

/// How a client shook hands: by a version, and with or without a ticket of an earlier session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    Full13,
    Resumed13,
    Full12,
    Resumed12,
}

impl Handshake {
    /// The names of all, for metrics.
    pub const LABELS: [&'static str; 4] =
        ["tls13_full", "tls13_resumed", "tls12_full", "tls12_resumed"];

    /// Its name for metrics.
    pub const fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }
}

/// Why a connection cannot go on, by which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Versions, ciphers or signatures: the client and the server have none in common.
    Incompatible,
    /// The client speaks other protocols above TLS only.
    NoProtocol,
    /// A record or a message that is not as it must be.
    BadRecord,
    /// A record that was changed on its way, or sealed with another key.
    BadMac,
    /// The client sent what is not allowed at this point, or too much of it.
    Misbehaved,
    /// The client has sent an alert: it does not trust the certificate, for one.
    Alert,
    /// The client's end came before the handshake was over.
    Abandoned,
    /// The handshake was not over in time.
    TooSlow,
    /// The first byte is none of TLS.
    NotTls,
    Other,
}

impl Failure {
    /// The names of all, for metrics.
    pub const LABELS: [&'static str; 10] = [
        "incompatible",
        "no_protocol",
        "bad_record",
        "bad_mac",
        "misbehaved",
        "alert",
        "abandoned",
        "too_slow",
        "not_tls",
        "other",
    ];

    /// Its name for metrics.
    pub const fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }

    fn of(error: &Error) -> Self {
        match error {
            Error::PeerIncompatible(_) | Error::NoCertificatesPresented => Self::Incompatible,
            Error::NoApplicationProtocol => Self::NoProtocol,
            Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => Self::BadRecord,
            Error::DecryptError => Self::BadMac,
            Error::PeerMisbehaved(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. } => Self::Misbehaved,
            Error::AlertReceived(_) => Self::Alert,
            _ => Self::Other,
        }
    }
}

/// No record can be sealed: the keys are used up, or the connection has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsealable;

impl Tls {
    /// A connection of which nothing has come. `None`: the settings of rustls do not go together.
    pub fn new(acceptor: &Acceptor) -> Option<Self> {
        Some(Self {
            session: UnbufferedServerConnection::new(acceptor.config()).ok()?,
            stage: Stage::Shaking { is_heard: false },
            kept: None,
        })
    }

    /// Data goes neither way yet.
    pub const fn is_shaking(&self) -> bool {
        matches!(self.stage, Stage::Shaking { .. })
    }

    /// No hello of the client was answered: the next bytes may cost as much as a handshake.
    pub const fn awaits_hello(&self) -> bool {
        matches!(self.stage, Stage::Shaking { is_heard: false })
    }

    /// Nothing that comes counts any more, and all that came before was returned.
    pub fn is_over(&self) -> bool {
        let is_kept = |kept: &Kept| kept.pending.is_some() || kept.has_data();
        matches!(self.stage, Stage::Ended | Stage::Failed)
            && !self.kept.as_deref().is_some_and(is_kept)
    }

    /// The client has sent its close_notify, and may wait for ours.
    pub const fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    /// Nothing is opened or sealed from here on.
    pub fn fail(&mut self) {
        self.stage = Stage::Failed;
        self.kept = None;
    }

    /// A close_notify of ours can be sealed.
    pub const fn may_close(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Ended)
    }

    /// What the handshake was that is over.
    pub fn handshake(&self) -> Handshake {
        let is_newest = self.session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let is_resumed = self.session.handshake_kind() == Some(HandshakeKind::Resumed);
        match (is_newest, is_resumed) {
            (true, false) => Handshake::Full13,
            (true, true) => Handshake::Resumed13,
            (false, false) => Handshake::Full12,
            (false, true) => Handshake::Resumed12,
        }
    }

    /// Bytes that are kept until more come, or until there is time for them.
    pub fn held_bytes(&self) -> usize {
        let bytes = |kept: &Kept| kept.parked.capacity() + kept.opened.capacity();
        self.kept.as_deref().map_or(0, bytes)
    }

    /// A part of a record or of a handshake message is kept, or records that were not opened.
    pub fn has_parked(&self) -> bool {
        let has_parked = |kept: &Kept| !kept.parked.is_empty();
        self.kept.as_deref().is_some_and(has_parked)
    }

    /// Data can be taken.
    pub fn has_data(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.has_data())
    }

    /// Moves data to the front of `window`. Returns how much; 0: there is none.
    pub fn take(&mut self, window: &mut [u8]) -> usize {
        let Some(kept) = &mut self.kept else {
            return 0;
        };
        let data = &kept.opened[kept.taken..];
        let count = data.len().min(window.len());
        window[..count].copy_from_slice(&data[..count]);
        kept.taken += count;
        if !kept.has_data() {
            kept.opened = Vec::new();
            kept.taken = 0;
            self.kept.take_if(|kept| kept.is_empty());
        }
        count
    }

    /// Keeps an end or a failure until the data before it was handled.
    pub fn keep_pending(&mut self, opened: Opened) {
        self.kept.get_or_insert_default().pending = Some(opened);
    }

    pub fn take_pending(&mut self) -> Option<Opened> {
        let pending = self.kept.as_mut()?.pending.take();
        self.kept.take_if(|kept| kept.is_empty());
        pending
    }

    /// What was kept of earlier input, to be put in front of what is read. The caller gives back what
    /// is not used ([`Tls::park`]).
    pub fn unpark(&mut self) -> Vec<u8> {
        let Some(kept) = &mut self.kept else {
            return Vec::new();
        };
        let parked = mem::take(&mut kept.parked);
        self.kept.take_if(|kept| kept.is_empty());
        parked
    }

    /// Keeps input that was not used.
    pub fn park(&mut self, input: &[u8]) {
        debug_assert!(!self.has_parked(), "what is parked comes first");
        if !input.is_empty() {
            self.kept.get_or_insert_default().parked = input.to_vec();
        }
    }

    /// Opens records at the front of `input`, in place, until there is data, none is left that is
    /// whole, or the connection has failed. Returns how many bytes are used: the others must come
    /// again, in front of what is read next. What is to be sent is appended to `sealed`.
    pub fn open(&mut self, input: &mut [u8], sealed: &mut Vec<u8>) -> (usize, Opened) {
        let mut used = 0;
        loop {
            if matches!(self.stage, Stage::Ended | Stage::Failed) {
                // Nothing that follows an end counts (RFC 8446 §6.1).
                return (input.len(), Opened::More);
            }
            let UnbufferedStatus { discard, state, .. } =
                self.session.process_tls_records(&mut input[used..]);
            let step = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        let kept = self.kept.get_or_insert_default();
                        kept.opened.extend_from_slice(record.payload);
                    }
                    Step::Data
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(sealed, |free| data.encode(free));
                    Step::Answer
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    Step::On
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Step::End,
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                    Step::More
                }
                // None is accepted, so none is shown.
                Ok(_) => Step::Failed(Failure::Other),
                Err(error) => Step::Failed(Failure::of(&error)),
            };
            used += discard;
            let is_closed = self.stage == Stage::Closed;
            self.advance(&step);
            match step {
                // No alert can follow a close_notify.
                Step::Failed(_) if is_closed => return (input.len(), Opened::More),
                Step::On | Step::Answer => {}
                // A record without data.
                Step::Data if !self.has_data() => drop(self.kept.take_if(|kept| kept.is_empty())),
                Step::Data => return (used, Opened::Data),
                Step::End => return (used, Opened::End),
                Step::More => return self.more(input, used),
                Step::Failed(why) => {
                    self.seal_alert(sealed);
                    return (input.len(), Opened::Failed(why));
                }
            }
        }
    }

    /// What the stage becomes.
    fn advance(&mut self, step: &Step) {
        self.stage = match (self.stage, step) {
            (_, Step::Failed(_)) | (Stage::Closed, Step::End) => Stage::Failed,
            (Stage::Shaking { .. } | Stage::Open, Step::End) => Stage::Ended,
            (Stage::Shaking { .. }, _) if !self.session.is_handshaking() => Stage::Open,
            (Stage::Shaking { .. }, Step::Answer) => Stage::Shaking { is_heard: true },
            (stage, _) => stage,
        };
    }

    /// No whole record is left in `input`, of which `used` bytes are used.
    fn more(&mut self, input: &[u8], used: usize) -> (usize, Opened) {
        let rest = &input[used..];
        // After the handshake, a whole record that rustls keeps is a part of a handshake message. None
        // has a reason to come in parts, and sealing without it would be a mistake.
        let is_kept = has_whole_record(rest) && !self.is_shaking();
        let is_closed = self.stage == Stage::Closed;
        if is_kept || rest.len() > RECORD_BYTES_MAX {
            self.stage = Stage::Failed;
            let failed = Opened::Failed(Failure::BadRecord);
            return (input.len(), if is_closed { Opened::More } else { failed });
        }
        (used, Opened::More)
    }

    /// Seals data as one record and appends it to `sealed`. `data` is not longer than
    /// [`RECORD_PLAIN_MAX`], and not empty.
    ///
    /// # Errors
    /// The connection must end.
    pub fn seal(&mut self, data: &[u8], sealed: &mut Vec<u8>) -> Result<(), Unsealable> {
        debug_assert!(!data.is_empty() && data.len() <= RECORD_PLAIN_MAX);
        if !self.may_close() {
            return Err(Unsealable);
        }
        loop {
            match self.session.process_tls_records(&mut []).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let begin = sealed.len();
                    let mut free = data.len() + OVERHEAD_BYTES;
                    loop {
                        sealed.resize(begin + free, 0);
                        match traffic.encrypt(data, &mut sealed[begin..]) {
                            Ok(count) => {
                                sealed.truncate(begin + count);
                                return Ok(());
                            }
                            Err(EncryptError::InsufficientSize(size)) => free = size.required_size,
                            Err(EncryptError::EncryptExhausted) => {
                                sealed.truncate(begin);
                                self.stage = Stage::Failed;
                                return Err(Unsealable);
                            }
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(sealed, |free| data.encode(free));
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(_) | Err(_) => {
                    self.stage = Stage::Failed;
                    return Err(Unsealable);
                }
            }
        }
    }

    /// Appends our close_notify, after which nothing can be sealed (RFC 8446 §6.1). What the client
    /// sends is still opened, since it sends an end as well.
    pub fn close(&mut self, sealed: &mut Vec<u8>) {
        if !self.may_close() {
            return;
        }
        while let Ok(state) = self.session.process_tls_records(&mut []).state {
            match state {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let begin = sealed.len();
                    sealed.resize(begin + RECORD_BYTES_MAX, 0);
                    let count = traffic.queue_close_notify(&mut sealed[begin..]);
                    sealed.truncate(begin + count.unwrap_or(0));
                    break;
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    append(sealed, |free| data.encode(free));
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                _ => break,
            }
        }
        self.stage = match self.stage {
            Stage::Ended => Stage::Failed,
            _ => Stage::Closed,
        };
    }

    /// Appends the alert that says what was wrong, if rustls has one.
    fn seal_alert(&mut self, sealed: &mut Vec<u8>) {
        while self.session.wants_write() {
            match self.session.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(sealed, |free| data.encode(free));
                }
                Ok(_) | Err(_) => return,
            }
        }
    }
}

enum Step {
    On,
    /// Something of the handshake is to be sent.
    Answer,
    Data,
    More,
    End,
    Failed(Failure),
}

/// Whether a record begins here and is whole.
fn has_whole_record(input: &[u8]) -> bool {
    let length = input.get(3..HEADER_BYTES);
    length.is_some_and(|length| {
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        input.len() >= HEADER_BYTES + length
    })
}

/// Appends what `encode` writes, for which it says how much room it needs.
fn append(sealed: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let begin = sealed.len();
    let mut free = 256;
    loop {
        sealed.resize(begin + free, 0);
        match encode(&mut sealed[begin..]) {
            Ok(count) => return sealed.truncate(begin + count),
            Err(EncodeError::InsufficientSize(size)) => free = size.required_size,
            Err(EncodeError::AlreadyEncoded) => return sealed.truncate(begin),
        }
    }
}
