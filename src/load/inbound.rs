//! Parses frames of a server in place (RFC 6455 §5.2). Copies nothing and knows no connection.
//! Written by hand, because a tungstenite context per connection would cost the tester more than
//! the server under test.

/// The longest frame and the longest message that are accepted.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;

pub(super) const CONTINUATION: u8 = 0x0;
pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xA;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;

/// What some bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front<'b> {
    Frame {
        opcode: u8,
        is_final: bool,
        payload: &'b [u8],
        /// Header and payload.
        len: usize,
    },
    /// The frame is not complete.
    Partial,
    /// A frame that no server may send.
    Bad,
}

/// Parses the first frame.
pub(super) fn front(bytes: &[u8]) -> Front<'_> {
    let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else {
        return Front::Partial;
    };
    if first & RESERVED != 0 || second & MASKED != 0 {
        return Front::Bad;
    }
    let (header_len, payload_len) = match second {
        126 => match bytes.get(2..4) {
            Some(&[high, low]) => (4, usize::from(u16::from_be_bytes([high, low]))),
            _ => return Front::Partial,
        },
        127 => match bytes
            .get(2..10)
            .and_then(|len| <[u8; 8]>::try_from(len).ok())
        {
            Some(len) => match usize::try_from(u64::from_be_bytes(len)) {
                Ok(len) => (10, len),
                Err(_) => return Front::Bad,
            },
            None => return Front::Partial,
        },
        len => (2, usize::from(*len)),
    };
    if payload_len > MESSAGE_BYTES_MAX {
        return Front::Bad;
    }
    let len = header_len + payload_len;
    match bytes.get(header_len..len) {
        Some(payload) => Front::Frame {
            opcode: first & OPCODE,
            is_final: first & FIN != 0,
            payload,
            len,
        },
        None => Front::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    #[test]
    fn frame_of_parlor_is_found_once_it_is_whole() {
        for size in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(size);
            let mut bytes = Frame::text(&text).bytes().to_vec();
            for cut in (0..bytes.len()).step_by(1 + size / 50) {
                assert_eq!(front(&bytes[..cut]), Front::Partial, "{cut} of {size}");
            }
            let len = bytes.len();
            bytes.push(0x81);
            assert_eq!(
                front(&bytes),
                Front::Frame {
                    opcode: TEXT,
                    is_final: true,
                    payload: text.as_bytes(),
                    len
                }
            );
        }
    }

    #[test]
    fn fragment_is_not_final() {
        assert_eq!(
            front(b"\x02\x01a"),
            Front::Frame {
                opcode: BINARY,
                is_final: false,
                payload: b"a",
                len: 3
            }
        );
    }

    #[test]
    fn frame_that_no_server_may_send_is_refused() {
        for bytes in [
            &b"\x81\x81mask_"[..],
            b"\xC1\x01a",
            b"\x82\x7f\0\0\0\0\x01\0\0\x01",
            b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(front(bytes), Front::Bad, "{bytes:?}");
        }
    }
}
