//! Outgoing bytes, encoded once and shared by all who receive them.
//! The only place where WebSocket frames are written. Knows no connection and no queue.

use std::rc::Rc;

/// The longest payload of a control frame (RFC 6455 §5.5).
pub const CONTROL_PAYLOAD_MAX: usize = 125;

/// The longest text in a close frame: a control payload less the two bytes of the code.
pub const CLOSE_TEXT_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Bytes ready for a socket. A clone shares them: one thread, so a plain reference count.
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

    /// Bytes that are no WebSocket frame: an HTTP response.
    pub fn http(response: &[u8]) -> Self {
        Self(Rc::from(response))
    }

    /// The encoded bytes, header and all.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes go to the socket.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a frame has at least its header"
    )]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn encode(opcode: u8, payload: &[u8]) -> Self {
        let (header, header_len) = header(opcode, payload.len());
        let mut bytes = Vec::with_capacity(header_len + payload.len());
        bytes.extend_from_slice(&header[..header_len]);
        bytes.extend_from_slice(payload);
        Self(Rc::from(bytes))
    }
}

/// The header of a whole, unmasked frame (RFC 6455 §5.2) and how many of its bytes are used.
fn header(opcode: u8, payload_len: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
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
    fn a_clone_shares_the_bytes() {
        let frame = Frame::text("hi");
        assert!(std::ptr::eq(frame.clone().bytes(), frame.bytes()));
    }
}
