//! Turns bytes into messages. The only place in the server that reads through tungstenite.
//!
//! A context is given one frame at a time. Whatever a connection sends, and wherever its bytes
//! end, the [`Spare`] therefore holds nothing of it when the next connection uses it.

use super::close::{CloseReason, Violation};
use super::input::Input;
use super::scanner::Scanner;
use super::settings::Limits;
use crate::carry::{Carry, Damaged, Reader, Writer};
use std::io::ErrorKind;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Error, Message, Utf8Bytes};

/// Read buffer of the spare. Nearly every chat message fits into it and is read in one piece.
const SPARE_BUFFER_BYTES: usize = 4096;

/// Read buffer of a parked context. tungstenite enlarges it to the length of the frame.
const PARKED_BUFFER_BYTES: usize = 512;

/// Fragments of a message of which nothing is reported: no client that has a reason for fragments
/// sends more in a message of chat.
const FREE_FRAGMENTS: u32 = 16;

/// A complete message or control frame from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Text(Utf8Bytes),
    Binary(Bytes),
    /// The caller answers with a pong that has the same payload.
    Ping(Bytes),
    Pong,
    /// A fragment that does not complete its message and is not among the first sixteen of it. Only
    /// its cost matters.
    Fragment,
    /// The client's close frame with its code, if it had one, or 1002 for a code that must not be
    /// sent. The caller answers with the same code; nothing follows.
    Close(Option<u16>),
}

/// The one context that all connections share for frames that arrive whole. Between two calls of
/// [`Decoder::receive`] its state is that of a new one.
pub struct Spare {
    context: WebSocketContext,
    max_message_bytes: usize,
    max_fragments: u32,
}

impl Spare {
    pub fn new(limits: &Limits) -> Self {
        Self {
            context: context(SPARE_BUFFER_BYTES, limits.max_message_bytes),
            max_message_bytes: limits.max_message_bytes,
            max_fragments: limits.max_fragments,
        }
    }

    fn renew(&mut self) {
        self.context = context(SPARE_BUFFER_BYTES, self.max_message_bytes);
    }
}

/// tungstenite's defaults are far too large here: a buffer of 128 KiB, a message of 64 MiB.
fn context(read_buffer_bytes: usize, max_message_bytes: usize) -> WebSocketContext {
    let config = WebSocketConfig::default()
        .read_buffer_size(read_buffer_bytes)
        .write_buffer_size(0)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    WebSocketContext::new(Role::Server, Some(config))
}

/// The position of one connection in its stream of frames.
#[derive(Default)]
pub struct Decoder {
    scanner: Scanner,
    parked: Option<Box<Parked>>,
}

/// The context of a connection that is in the middle of a frame or a message.
struct Parked {
    context: WebSocketContext,
    /// Bytes the context was given.
    fed: usize,
    frame_start: FrameStart,
    /// The same bytes, but for control frames that were whole: the context cannot be carried to
    /// another image, and a new one is given these.
    raw: Vec<u8>,
    /// Where the current frame begins in them.
    frame_at: usize,
    /// The longest message that the context takes.
    max_message_bytes: usize,
}

/// The first bytes of a frame, at least up to where a close frame has its code.
#[derive(Default)]
struct FrameStart {
    bytes: [u8; Self::LEN],
    len: usize,
}

impl FrameStart {
    /// The longest header, which is one with a length of eight bytes and a mask, and a code.
    const LEN: usize = 14 + 2;

    fn push(&mut self, bytes: &[u8]) {
        let free = &mut self.bytes[self.len..];
        let count = free.len().min(bytes.len());
        free[..count].copy_from_slice(&bytes[..count]);
        self.len += count;
    }

    /// The code in the payload, if this is the beginning of a client's close frame that has one.
    fn close_code(&self) -> Option<u16> {
        // tungstenite accepts a length in more bytes than it needs (RFC 6455 §5.2 does not).
        let mask_at = match self.bytes[1] & 0x7F {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let mut code = *self.bytes[..self.len]
            .get(mask_at + 4..)?
            .first_chunk::<2>()?;
        code[0] ^= self.bytes[mask_at];
        code[1] ^= self.bytes[mask_at + 1];
        Some(u16::from_be_bytes(code))
    }
}

/// The code of a client's close whose own code must not be sent (RFC 6455 §7.4.1).
const PROTOCOL_ERROR: u16 = 1002;

/// Whether an endpoint may send this code in a close frame (RFC 6455 §7.4.2 and the IANA registry
/// of WebSocket close codes). 1004 has no meaning; 1005, 1006 and 1015 stand for closes without a
/// close frame; the other codes below 3000 are not registered.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` up to the end of the next message or control frame,
    /// and returns it. `None`: all of `input` is taken. Call it until then, or until a close or an
    /// error; after those two nothing more may be given to this decoder.
    ///
    /// # Errors
    /// What the client did wrong. Close the connection with it.
    pub fn receive(
        &mut self,
        spare: &mut Spare,
        input: &mut &[u8],
    ) -> Result<Option<Received>, CloseReason> {
        while !input.is_empty() {
            if let Some(parked) = &mut self.parked
                && self.scanner.is_between_frames()
            {
                parked.frame_start = FrameStart::default();
                parked.frame_at = parked.raw.len();
            }
            let scanned = self.scanner.take_frame(input);
            let (bytes, rest) = input.split_at(scanned.len);
            *input = rest;
            if self.scanner.fragments() > spare.max_fragments {
                return Err(CloseReason::TooManyFragments {
                    max: spare.max_fragments,
                });
            }
            let received = if self.parked.is_none() && self.scanner.is_clean() {
                feed_spare(spare, bytes)?
            } else {
                self.feed_parked(spare, bytes)?
            };
            if received.is_some() {
                return Ok(received);
            }
            if scanned.is_whole && self.scanner.fragments() > FREE_FRAGMENTS {
                return Ok(Some(Received::Fragment));
            }
        }
        Ok(None)
    }

    /// The bytes of a frame that are still to come, as its header says.
    pub const fn payload_to_come(&self) -> u64 {
        self.scanner.payload_to_come()
    }

    /// Whether a frame or a message has begun and is not complete.
    pub const fn is_open(&self) -> bool {
        self.parked.is_some()
    }

    /// What a connection keeps that has sent its close frame: from there on only the peer's close
    /// frame matters, and the frame boundaries are enough to find it.
    pub fn into_scanner(self) -> Scanner {
        self.scanner
    }

    /// An upper bound of the memory that an incomplete frame or message takes.
    pub fn held_bytes(&self) -> usize {
        let Some(parked) = &self.parked else { return 0 };
        // tungstenite reserves the length of a frame as soon as it has the header. The limit of a
        // message bounds that length.
        let reserved = usize::try_from(self.scanner.payload_to_come()).unwrap_or(usize::MAX);
        size_of::<Parked>()
            .saturating_add(PARKED_BUFFER_BYTES)
            .saturating_add(parked.fed)
            .saturating_add(parked.raw.capacity())
            .saturating_add(reserved)
    }

    fn feed_parked(
        &mut self,
        spare: &Spare,
        bytes: &[u8],
    ) -> Result<Option<Received>, CloseReason> {
        let max_message_bytes = spare.max_message_bytes;
        let parked = self
            .parked
            .get_or_insert_with(|| Box::new(Parked::new(max_message_bytes)));
        let received = parked.feed(bytes)?;
        if self.scanner.is_clean() {
            self.parked = None;
        }
        Ok(received)
    }
}

impl Parked {
    fn new(max_message_bytes: usize) -> Self {
        Self {
            context: context(PARKED_BUFFER_BYTES, max_message_bytes),
            fed: 0,
            frame_start: FrameStart::default(),
            raw: Vec::new(),
            frame_at: 0,
            max_message_bytes,
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Option<Received>, CloseReason> {
        self.fed = self.fed.saturating_add(bytes.len());
        self.frame_start.push(bytes);
        self.raw.extend_from_slice(bytes);
        let start = &self.frame_start;
        let received = feed(&mut self.context, bytes, start, self.max_message_bytes)?;
        if let Some(Received::Ping(_) | Received::Pong) = received {
            // It was answered, and stands for itself between the fragments.
            self.raw.truncate(self.frame_at);
        }
        Ok(received)
    }
}

/// The open message as its raw bytes, if there is one.
impl Carry for Decoder {
    fn write(&self, to: &mut Writer) {
        let parked = self.parked.as_ref();
        let open = parked.map(|parked| (parked.max_message_bytes, &parked.raw));
        open.is_some().write(to);
        if let Some((max, raw)) = open {
            max.write(to);
            raw.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let open: Option<(usize, Vec<u8>)> = Carry::read(from)?;
        let Some((max, raw)) = open else {
            return Ok(Self::new());
        };
        Self::reopen(max.min(MESSAGE_BYTES_MOST), &raw)
    }
}

/// More than any setting allows: bounds what a context reserves for a message that is carried.
const MESSAGE_BYTES_MOST: usize = 64 * 1024 * 1024;

impl Decoder {
    /// A decoder that has been given the beginning of a message, and no more.
    fn reopen(max_message_bytes: usize, mut raw: &[u8]) -> Result<Self, Damaged> {
        let wrong = Damaged("an open message is none");
        let mut decoder = Self::new();
        let mut parked = Parked::new(max_message_bytes);
        while !raw.is_empty() {
            if decoder.scanner.is_between_frames() {
                parked.frame_start = FrameStart::default();
                parked.frame_at = parked.raw.len();
            }
            let scanned = decoder.scanner.take_frame(raw);
            let (bytes, rest) = raw.split_at(scanned.len);
            raw = rest;
            if parked.feed(bytes).map_err(|_| wrong)?.is_some() {
                return Err(wrong);
            }
        }
        if decoder.scanner.is_clean() {
            return Err(wrong);
        }
        decoder.parked = Some(Box::new(parked));
        Ok(decoder)
    }
}

/// `bytes` is one complete frame and outside of a fragmented message: a message or a control frame.
fn feed_spare(spare: &mut Spare, bytes: &[u8]) -> Result<Option<Received>, CloseReason> {
    let mut start = FrameStart::default();
    start.push(bytes);
    let outcome = feed(&mut spare.context, bytes, &start, spare.max_message_bytes);
    match &outcome {
        Ok(Some(Received::Text(_) | Received::Binary(_) | Received::Ping(_) | Received::Pong)) => {}
        // The context does not go on after a close or an error.
        Ok(Some(Received::Close(_) | Received::Fragment) | None) | Err(_) => spare.renew(),
    }
    outcome
}

/// Gives `bytes`, which belong to one frame, to a context. `start` is the beginning of that frame.
fn feed(
    context: &mut WebSocketContext,
    bytes: &[u8],
    start: &FrameStart,
    max_bytes: usize,
) -> Result<Option<Received>, CloseReason> {
    let mut input = Input(bytes);
    match context.read(&mut input) {
        Ok(Message::Text(text)) => Ok(Some(Received::Text(text))),
        Ok(Message::Binary(bytes)) => Ok(Some(Received::Binary(bytes))),
        Ok(Message::Ping(payload)) => {
            // Takes the pong out of the context; the server encodes its own for the outbox.
            // This cannot fail: the input discards what is written to it.
            let _ = context.flush(&mut input);
            Ok(Some(Received::Ping(payload)))
        }
        Ok(Message::Pong(_)) => Ok(Some(Received::Pong)),
        // tungstenite 0.30 takes 1014 for a code that must not be sent, and has replaced it.
        Ok(Message::Close(Some(_))) => {
            let code = start.close_code().filter(|code| may_be_sent(*code));
            Ok(Some(Received::Close(code.or(Some(PROTOCOL_ERROR)))))
        }
        Ok(Message::Close(None)) => Ok(Some(Received::Close(None))),
        Ok(Message::Frame(_)) => Err(CloseReason::Protocol(Violation::Other)),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(reason(&error, max_bytes)),
    }
}

fn reason(error: &Error, max_bytes: usize) -> CloseReason {
    match error {
        Error::Capacity(_) => CloseReason::TooBig { max_bytes },
        Error::Utf8(_) => CloseReason::NotUtf8,
        Error::Protocol(error) => CloseReason::Protocol(violation(error)),
        _ => CloseReason::Protocol(Violation::Other),
    }
}

fn violation(error: &ProtocolError) -> Violation {
    match error {
        ProtocolError::UnmaskedFrameFromClient => Violation::Unmasked,
        ProtocolError::NonZeroReservedBits => Violation::ReservedBits,
        ProtocolError::InvalidOpcode(_)
        | ProtocolError::UnknownControlFrameType(_)
        | ProtocolError::UnknownDataFrameType(_) => Violation::UnknownOpcode,
        ProtocolError::FragmentedControlFrame => Violation::FragmentedControl,
        ProtocolError::ControlFrameTooBig => Violation::ControlTooLong,
        ProtocolError::UnexpectedContinueFrame => Violation::NothingToContinue,
        ProtocolError::ExpectedFragment(_) => Violation::MessageNotFinished,
        ProtocolError::InvalidCloseSequence => Violation::BadClose,
        _ => Violation::Other,
    }
}

#[cfg(test)]
mod tests;
