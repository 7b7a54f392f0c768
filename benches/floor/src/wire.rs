//! The part of HTTP and WebSocket (RFC 6455) that the measured clients use: one request, and
//! frames without fragments. Knows bytes, not sockets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The longest frame; a longer one closes the connection, which bounds what is stored.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The longest head of a request.
pub const HEAD_BYTES_MAX: usize = 8 << 10;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// An encoded ping without payload.
pub const PING_FRAME: [u8; 2] = [0x80 | PING, 0];

/// A complete request.
pub struct Request<'a> {
    /// The target without the query.
    pub path: &'a [u8],
    pub key: &'a [u8],
    pub bytes: usize,
}

/// The result of parsing the next bytes.
pub enum Parsed<T> {
    Whole(T),
    Partial,
    /// Not supported: the connection is closed.
    Wrong,
}

pub fn parse_request(bytes: &[u8]) -> Parsed<Request<'_>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX {
            Parsed::Wrong
        } else {
            Parsed::Partial
        };
    };
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let target = lines
        .next()
        .and_then(|line| line.split(|byte| *byte == b' ').nth(1));
    let key = lines.find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        line[..colon]
            .eq_ignore_ascii_case(b"sec-websocket-key")
            .then(|| line[colon + 1..].trim_ascii())
    });
    match (target, key) {
        (Some(target), Some(key)) => Parsed::Whole(Request {
            path: target.split(|byte| *byte == b'?').next().unwrap_or(target),
            key,
            bytes: end + 4,
        }),
        (Some(_) | None, _) => Parsed::Wrong,
    }
}

/// The complete response with status 101 (RFC 6455 §4.2.2).
pub fn switching_protocols(key: &[u8]) -> Vec<u8> {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(hash.finalize());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// One frame from a client, unmasked in place.
pub struct Frame<'a> {
    pub opcode: u8,
    pub payload: &'a [u8],
    pub bytes: usize,
}

/// Rejects fragments and unmasked frames: no measured client sends them.
pub fn parse_frame(bytes: &mut [u8]) -> Parsed<Frame<'_>> {
    let [first, second, ..] = *bytes else {
        return Parsed::Partial;
    };
    if first & 0xf0 != 0x80 || second & 0x80 == 0 {
        return Parsed::Wrong;
    }
    let (length, header) = match (second & 0x7f, &*bytes) {
        (126, [_, _, high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4),
        (127, [_, _, length @ ..]) if length.len() >= 8 => {
            let mut eight = [0; 8];
            eight.copy_from_slice(&length[..8]);
            let length = usize::try_from(u64::from_be_bytes(eight)).unwrap_or(usize::MAX);
            (length, 10)
        }
        (126 | 127, _) => return Parsed::Partial,
        (short, _) => (usize::from(short), 2),
    };
    if length > PAYLOAD_BYTES_MAX {
        return Parsed::Wrong;
    }
    let start = header + 4;
    if bytes.len() < start + length {
        return Parsed::Partial;
    }
    let (head, rest) = bytes.split_at_mut(start);
    let mask = &head[header..];
    let payload = &mut rest[..length];
    for four in payload.chunks_mut(4) {
        for (byte, mask) in four.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    Parsed::Whole(Frame {
        opcode: first & 0x0f,
        payload,
        bytes: start + length,
    })
}

/// Appends a frame of a server.
pub fn encode(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_gets_its_answer() {
        let request =
            b"GET /chat?nick=a HTTP/1.1\r\nsec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nX";
        let Parsed::Whole(request) = parse_request(request) else {
            panic!("a whole request");
        };
        assert_eq!(request.path, b"/chat");
        let response = switching_protocols(request.key);
        let response = String::from_utf8(response).expect("ASCII");
        assert!(
            response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{response}"
        );
    }

    #[test]
    fn a_masked_frame_is_read_at_every_cut() {
        let frame = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        for cut in 0..frame.len() {
            let mut part = frame[..cut].to_vec();
            assert!(matches!(parse_frame(&mut part), Parsed::Partial), "{cut}");
        }
        let mut whole = frame;
        let Parsed::Whole(read) = parse_frame(&mut whole) else {
            panic!("a whole frame");
        };
        assert_eq!(
            (read.opcode, read.payload, read.bytes),
            (TEXT, &b"Hello"[..], 11)
        );
    }

    #[test]
    fn every_length_is_written_as_the_rfc_says() {
        for (length, header) in [
            (125, &[0x81, 125][..]),
            (126, &[0x81, 126, 0, 126]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            encode(TEXT, &vec![b'x'; length], &mut out);
            assert_eq!(
                (&out[..header.len()], out.len()),
                (header, header.len() + length)
            );
        }
    }
}
