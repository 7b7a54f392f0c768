//! Messages from bytes. The only place where tungstenite reads.
//!
//! A context is fed frame by frame, never more than one, so that nothing of a connection is left
//! in the [`Spare`] when the next connection uses it: also if its owner stops in the middle.

use super::close::{CloseReason, Violation};
use super::scanner::Scanner;
use super::settings::Limits;
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Error, Message, Utf8Bytes};

/// Read buffer of the spare: one frame of chat, at its most usual, in one piece.
const SPARE_BUFFER_BYTES: usize = 4096;

/// Read buffer of a parked context. It grows with the frame it waits for.
const PARKED_BUFFER_BYTES: usize = 512;

/// Something whole that came from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Text(Utf8Bytes),
    Binary(Bytes),
    /// To be answered by a pong with the same payload.
    Ping(Bytes),
    Pong,
    /// The client's close frame and its code, if it had one. To be answered; nothing follows.
    Close(Option<u16>),
}

/// The loop's one warm context. Between two calls of [`Decoder::receive`] it is as good as new.
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

/// The defaults are made for other servers: 128 KiB of buffer, 64 MiB of message.
fn context(read_buffer_bytes: usize, max_message_bytes: usize) -> WebSocketContext {
    let config = WebSocketConfig::default()
        .read_buffer_size(read_buffer_bytes)
        .write_buffer_size(0)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    WebSocketContext::new(Role::Server, Some(config))
}

/// One connection's place in its stream of frames.
#[derive(Default)]
pub struct Decoder {
    scanner: Scanner,
    parked: Option<Box<Parked>>,
}

/// The context of a connection in the middle of a frame or a message.
struct Parked {
    context: WebSocketContext,
    /// Bytes it was given.
    fed: usize,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` and returns the next thing that is whole; `None`: the
    /// input is used up. To be called until then, or until a close or an error, after which
    /// nothing more may be fed.
    ///
    /// # Errors
    /// What the client did wrong, with which it is to be closed.
    pub fn receive(
        &mut self,
        spare: &mut Spare,
        input: &mut &[u8],
    ) -> Result<Option<Received>, CloseReason> {
        while !input.is_empty() {
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
        }
        Ok(None)
    }

    /// A frame or a message is half received.
    pub const fn is_open(&self) -> bool {
        self.parked.is_some()
    }

    /// For a connection that is closing: only the frame boundaries matter from here on.
    pub fn into_scanner(self) -> Scanner {
        self.scanner
    }

    /// Memory held for what is half received, at most.
    pub fn held_bytes(&self) -> usize {
        let Some(parked) = &self.parked else { return 0 };
        // A header makes tungstenite reserve its frame's length, which is below the limit.
        let reserved = usize::try_from(self.scanner.payload_to_come()).unwrap_or(usize::MAX);
        size_of::<Parked>()
            .saturating_add(PARKED_BUFFER_BYTES)
            .saturating_add(parked.fed)
            .saturating_add(reserved)
    }

    fn feed_parked(
        &mut self,
        spare: &Spare,
        bytes: &[u8],
    ) -> Result<Option<Received>, CloseReason> {
        let parked = self.parked.get_or_insert_with(|| {
            let context = context(PARKED_BUFFER_BYTES, spare.max_message_bytes);
            Box::new(Parked { context, fed: 0 })
        });
        parked.fed = parked.fed.saturating_add(bytes.len());
        let received = feed(&mut parked.context, bytes, spare.max_message_bytes)?;
        if self.scanner.is_clean() {
            self.parked = None;
        }
        Ok(received)
    }
}

/// `bytes` is one whole frame that is a whole message, so the spare is clean after it.
fn feed_spare(spare: &mut Spare, bytes: &[u8]) -> Result<Option<Received>, CloseReason> {
    let outcome = feed(&mut spare.context, bytes, spare.max_message_bytes);
    match &outcome {
        Ok(Some(Received::Text(_) | Received::Binary(_) | Received::Ping(_) | Received::Pong)) => {}
        // It has seen an end, or something that is not a message after all.
        Ok(Some(Received::Close(_)) | None) | Err(_) => spare.renew(),
    }
    outcome
}

/// Gives a context what came; at most one thing can be whole, for at most one frame came.
fn feed(
    context: &mut WebSocketContext,
    bytes: &[u8],
    max_bytes: usize,
) -> Result<Option<Received>, CloseReason> {
    let mut input = Input(bytes);
    match context.read(&mut input) {
        Ok(Message::Text(text)) => Ok(Some(Received::Text(text))),
        Ok(Message::Binary(bytes)) => Ok(Some(Received::Binary(bytes))),
        Ok(Message::Ping(payload)) => {
            // Takes the pong out of the context; ours is encoded elsewhere, into the outbox.
            // Nothing can fail: the input swallows all that is written.
            let _ = context.flush(&mut input);
            Ok(Some(Received::Ping(payload)))
        }
        Ok(Message::Pong(_)) => Ok(Some(Received::Pong)),
        Ok(Message::Close(frame)) => {
            Ok(Some(Received::Close(frame.map(|frame| frame.code.into()))))
        }
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

/// What tungstenite takes for a stream: bytes that are there, then nothing yet; and no way out.
struct Input<'a>(&'a [u8]);

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            // Never Ok(0), which would mean the end of the stream.
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Input<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
