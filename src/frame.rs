//! Outgoing bytes, encoded once and shared by all who receive them.
//! The only place where WebSocket frames are written. Knows no connection and no queue.

use crate::carry::{Carry, Damaged, Reader, Writer};
use std::rc::Rc;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub const CONTROL_PAYLOAD_MAX: usize = 125;

/// The longest text in a close frame: a control payload less the two bytes of the code.
pub const CLOSE_TEXT_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Before the bytes: how many WebSocket frames they are. In the same allocation, since a frame
/// waits in a great many queues and each place counts.
const COUNT_BYTES: usize = 4;

/// Bytes ready for a socket: one WebSocket frame, or a [`Run`] of them, or an HTTP response. A
/// clone shares them: one thread, so a plain reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Rc<[u8]>);

impl Frame {
    /// A whole text message.
    pub fn text(payload: &str) -> Self {
        Self::encode(TEXT, payload.as_bytes())
    }

    /// A whole binary message.
    pub fn binary(payload: &[u8]) -> Self {
        Self::encode(BINARY, payload)
    }

    /// A ping without payload.
    pub fn ping() -> Self {
        Self::encode(PING, &[])
    }

    /// The answer to a ping; carries the ping's payload, cut to what a control frame may hold.
    pub fn pong(payload: &[u8]) -> Self {
        Self::encode(PONG, &payload[..payload.len().min(CONTROL_PAYLOAD_MAX)])
    }

    /// A close frame. The text is cut at a character if it is longer than
    /// [`CLOSE_TEXT_MAX`] bytes.
    pub fn close(code: u16, text: &str) -> Self {
        let mut payload = Vec::with_capacity(CONTROL_PAYLOAD_MAX);
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(&text.as_bytes()[..floor_char_boundary(text, CLOSE_TEXT_MAX)]);
        Self::encode(CLOSE, &payload)
    }

    /// A close frame without a code, the answer to one that had none (RFC 6455 §7.1.5).
    pub fn close_without_code() -> Self {
        Self::encode(CLOSE, &[])
    }

    /// A whole text message as a client sends it, masked (RFC 6455 §5.3).
    pub fn client_text(payload: &[u8], mask: [u8; 4]) -> Self {
        Self::encode_masked(TEXT, payload, mask)
    }

    /// The pong of a client; cut as that of [`Frame::pong`].
    pub fn client_pong(payload: &[u8], mask: [u8; 4]) -> Self {
        let payload = &payload[..payload.len().min(CONTROL_PAYLOAD_MAX)];
        Self::encode_masked(PONG, payload, mask)
    }

    /// The close frame of a client, without a text; `None`: without a code as well.
    pub fn client_close(code: Option<u16>, mask: [u8; 4]) -> Self {
        match code {
            Some(code) => Self::encode_masked(CLOSE, &code.to_be_bytes(), mask),
            None => Self::encode_masked(CLOSE, &[], mask),
        }
    }

    /// Bytes that are no WebSocket frame: an HTTP response.
    pub fn http(response: &[u8]) -> Self {
        let mut bytes = begin_one(response.len());
        bytes.extend_from_slice(response);
        Self(Rc::from(bytes))
    }

    /// This one and what comes after it as one, so that they take one place in a queue.
    pub fn followed_by(&self, next: &Self) -> Self {
        let count = self.count() + next.count();
        Self(Rc::from(
            [&count.to_ne_bytes(), self.bytes(), next.bytes()].concat(),
        ))
    }

    /// Whether it is a response, or begins with one. All WebSocket frames of ours begin with a set
    /// bit: they are final.
    pub fn is_response(&self) -> bool {
        self.bytes().first().is_some_and(|byte| byte & FIN == 0)
    }

    /// The encoded bytes, header and all.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.0[COUNT_BYTES..]
    }

    /// How many WebSocket frames it is; an HTTP response counts as one.
    #[inline]
    pub fn count(&self) -> u32 {
        self.0
            .first_chunk()
            .map_or(1, |count| u32::from_ne_bytes(*count))
    }

    /// How many text messages it is, if it begins with one.
    pub fn messages(&self) -> u32 {
        let is_text = self.bytes().first() == Some(&(FIN | TEXT));
        if is_text { self.count() } else { 0 }
    }

    /// How many bytes go to the socket.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a frame has at least its header"
    )]
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len() - COUNT_BYTES
    }

    fn encode(opcode: u8, payload: &[u8]) -> Self {
        let mut bytes = begin_one(HEADER_BYTES_MAX + payload.len());
        append(&mut bytes, opcode, payload);
        Self(Rc::from(bytes))
    }

    fn encode_masked(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Self {
        let (mut header, header_len) = header(opcode, payload.len());
        header[1] |= MASKED;
        let mut bytes = begin_one(header_len + mask.len() + payload.len());
        bytes.extend_from_slice(&header[..header_len]);
        bytes.extend_from_slice(&mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        Self(Rc::from(bytes))
    }
}

/// Text messages for the same receivers, in order, gathered to become one [`Frame`]: each
/// receiver's queue then takes one thing instead of many, and the socket one piece.
#[derive(Debug, Default)]
pub struct Run {
    /// Begins with room for the count, unless it is empty.
    bytes: Vec<u8>,
    count: u32,
}

impl Run {
    /// Memory that is kept for the next run.
    const KEPT_BYTES: usize = 64 * 1024;

    pub fn push_text(&mut self, payload: &str) {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&[0; COUNT_BYTES]);
        }
        append(&mut self.bytes, TEXT, payload.as_bytes());
        self.count += 1;
    }

    /// How many messages it has.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes go to the socket.
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_sub(COUNT_BYTES)
    }

    /// All of them as one frame; the run is empty again. `None` if it was.
    pub fn take(&mut self) -> Option<Frame> {
        *self.bytes.first_chunk_mut()? = self.count.to_ne_bytes();
        let frame = Frame(Rc::from(&self.bytes[..]));
        self.bytes.clear();
        self.bytes.shrink_to(Self::KEPT_BYTES);
        self.count = 0;
        Some(frame)
    }
}

/// The count of a single frame, and room for its `len` bytes behind it.
fn begin_one(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(COUNT_BYTES + len);
    bytes.extend_from_slice(&1_u32.to_ne_bytes());
    bytes
}

fn append(bytes: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    let (header, header_len) = header(opcode, payload.len());
    bytes.extend_from_slice(&header[..header_len]);
    bytes.extend_from_slice(payload);
}

/// The longest header of an unmasked frame.
pub const HEADER_BYTES_MAX: usize = 10;

/// The header of a whole, unmasked frame (RFC 6455 §5.2) and how many of its bytes are used.
fn header(opcode: u8, payload_len: usize) -> ([u8; HEADER_BYTES_MAX], usize) {
    let mut header = [0; HEADER_BYTES_MAX];
    header[0] = FIN | opcode;
    if payload_len < 126 {
        header[1] = payload_len as u8;
        (header, 2)
    } else if let Ok(len) = u16::try_from(payload_len) {
        header[1] = 126;
        header[2..4].copy_from_slice(&len.to_be_bytes());
        (header, 4)
    } else {
        header[1] = 127;
        header[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
        (header, 10)
    }
}

/// The largest index that is at most `limit` and begins a character or ends the string.
fn floor_char_boundary(text: &str, limit: usize) -> usize {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Receivers share it afterwards as before.
impl Carry for Frame {
    fn write(&self, to: &mut Writer) {
        to.put_shared(&self.0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let frame = Self(from.take_shared()?);
        // A frame takes two bytes at least, a response more.
        let most = frame.0.len().saturating_sub(COUNT_BYTES) / 2;
        if frame.count() == 0 || frame.count() as usize > most {
            return Err(Damaged("a frame is empty"));
        }
        Ok(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_has_a_header_of_two_bytes() {
        assert_eq!(Frame::text("hi").bytes(), b"\x81\x02hi");
    }

    #[test]
    fn a_longer_text_has_its_length_in_two_or_eight_bytes() {
        assert_eq!(&Frame::text(&"a".repeat(125)).bytes()[..2], b"\x81\x7d");
        assert_eq!(
            &Frame::text(&"a".repeat(126)).bytes()[..4],
            b"\x81\x7e\x00\x7e"
        );
        assert_eq!(
            &Frame::text(&"a".repeat(65_535)).bytes()[..4],
            b"\x81\x7e\xff\xff"
        );
        assert_eq!(
            &Frame::text(&"a".repeat(65_536)).bytes()[..10],
            b"\x81\x7f\0\0\0\0\0\x01\0\0"
        );
    }

    #[test]
    fn what_a_client_sends_is_masked() {
        let mask = [1, 2, 3, 4];
        assert_eq!(
            Frame::client_text(b"hello", mask).bytes(),
            b"\x81\x85\x01\x02\x03\x04igohn"
        );
        assert_eq!(
            Frame::client_pong(b"", mask).bytes(),
            b"\x8a\x80\x01\x02\x03\x04"
        );
        assert_eq!(
            Frame::client_close(Some(1000), mask).bytes(),
            b"\x88\x82\x01\x02\x03\x04\x02\xea"
        );
        let long = Frame::client_text(&[b'x'; 1000], [0; 4]);
        assert_eq!(&long.bytes()[..4], b"\x81\xfe\x03\xe8");
        assert_eq!(long.len(), 4 + 4 + 1000);
    }

    #[test]
    fn a_close_frame_carries_its_code_and_text() {
        assert_eq!(Frame::close(1001, "bye").bytes(), b"\x88\x05\x03\xe9bye");
        assert_eq!(Frame::close_without_code().bytes(), b"\x88\x00");
    }

    #[test]
    fn a_close_text_is_cut_at_a_character() {
        let frame = Frame::close(1008, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame.bytes()[4..]).is_ok());
    }

    #[test]
    fn a_run_is_its_messages_one_after_the_other() {
        let mut run = Run::default();
        assert_eq!(run.take(), None);
        for (count, len) in [(1, 4), (2, 8)] {
            run.push_text("hi");
            assert_eq!((run.count(), run.len()), (count, len));
        }
        let frame = run.take().expect("it has two");
        assert_eq!(
            (frame.bytes(), frame.count()),
            (&b"\x81\x02hi\x81\x02hi"[..], 2)
        );
        assert!(run.is_empty());
        assert_eq!((run.take(), run.len()), (None, 0));
    }

    #[test]
    fn what_was_encoded_alone_counts_as_one() {
        for frame in [Frame::text("hi"), Frame::ping(), Frame::http(b"HTTP/1.1")] {
            assert_eq!(frame.count(), 1);
            assert_eq!(frame.len(), frame.bytes().len());
        }
    }

    #[test]
    fn a_clone_shares_the_bytes() {
        let frame = Frame::text("hi");
        assert!(std::ptr::eq(frame.clone().bytes(), frame.bytes()));
    }
}
