//! WebSocket frames (RFC 6455 §5.2) as a client writes and reads them, for all tests and fuzz
//! targets. Written from the RFC alone and independent of `src/frame.rs` and `src/ws`, so that a
//! mistake there is not repeated here.
#![allow(dead_code, reason = "each test binary and fuzz target uses a part")]

pub(crate) const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// Control frames have at most this much payload (RFC 6455 §5.5).
const CONTROL_PAYLOAD_MAX: usize = 125;

/// A frame of a client: any first byte (FIN, reserved bits and opcode), and a masked payload.
/// Checks nothing, since tests also send what no client may.
pub(crate) fn encode(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(MASKED | len as u8),
        len @ 126..=0xFFFF => {
            bytes.push(MASKED | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(MASKED | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend((0..).zip(payload).map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

/// The first frame of a client in `bytes`: its first byte, its payload, and its length with the
/// header. `None`: it is not whole yet.
pub(crate) fn parse_client(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(second & MASKED, MASKED, "a client masks");
    let (start, len): (usize, usize) = match second & !MASKED {
        126 => {
            let len = u16::from_be_bytes(bytes.get(2..4)?.try_into().expect("two bytes"));
            (4, len.into())
        }
        127 => {
            let len = u64::from_be_bytes(bytes.get(2..10)?.try_into().expect("eight bytes"));
            (10, usize::try_from(len).expect("a length in memory"))
        }
        len => (2, len.into()),
    };
    let mask = bytes.get(start..start + 4)?;
    let end = start + 4 + len;
    let payload = bytes.get(start + 4..end)?;
    let payload = payload.iter().zip(mask.iter().cycle());
    Some((
        first,
        payload.map(|(byte, mask)| byte ^ mask).collect(),
        end,
    ))
}

/// A frame of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerFrame<'b> {
    Text(&'b str),
    Binary(&'b [u8]),
    Ping(&'b [u8]),
    Pong(&'b [u8]),
    /// Code and reason.
    Close(Option<u16>, &'b str),
}

/// The first frame of `bytes` and its length with the header; `None`: it is not whole yet.
///
/// # Panics
/// At everything that parlor never sends: fragments, reserved bits, masks, lengths in more bytes
/// than they need, control frames that are too long, text that is not UTF-8.
pub(crate) fn parse(bytes: &[u8]) -> Option<(ServerFrame<'_>, usize)> {
    let first = *bytes.first()?;
    assert_eq!(first & FIN, FIN, "a fragment: {first:#04x}");
    assert_eq!(first & RESERVED, 0, "reserved bits are set: {first:#04x}");
    let second = *bytes.get(1)?;
    assert_eq!(second & MASKED, 0, "a server does not mask");
    let (start, len): (usize, usize) = match second {
        126 => {
            let len = u16::from_be_bytes(bytes.get(2..4)?.try_into().expect("two bytes"));
            assert!(len > 125, "{len} fits into one byte");
            (4, len.into())
        }
        127 => {
            let len = u64::from_be_bytes(bytes.get(2..10)?.try_into().expect("eight bytes"));
            assert!(len > 0xFFFF, "{len} fits into two bytes");
            (10, usize::try_from(len).expect("a length in memory"))
        }
        len => (2, len.into()),
    };
    let end = start.checked_add(len).expect("a length in memory");
    let opcode = first & 0x0F;
    assert!(
        opcode < 8 || len <= CONTROL_PAYLOAD_MAX,
        "a control frame of {len} bytes"
    );
    let payload = bytes.get(start..end)?;
    let frame = match opcode {
        1 => ServerFrame::Text(str::from_utf8(payload).expect("text is UTF-8")),
        2 => ServerFrame::Binary(payload),
        8 => match payload {
            [] => ServerFrame::Close(None, ""),
            [_] => panic!("half a close code"),
            [high, low, reason @ ..] => ServerFrame::Close(
                Some(u16::from_be_bytes([*high, *low])),
                str::from_utf8(reason).expect("a reason is UTF-8"),
            ),
        },
        9 => ServerFrame::Ping(payload),
        10 => ServerFrame::Pong(payload),
        other => panic!("opcode {other} from a server"),
    };
    Some((frame, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    /// RFC 6455 §5.7 has this as an example.
    #[test]
    fn example_of_the_rfc_is_encoded() {
        assert_eq!(
            encode(0x81, [0x37, 0xfa, 0x21, 0x3d], b"Hello"),
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
    }

    #[test]
    fn length_takes_one_two_or_eight_bytes() {
        for (len, header) in [
            (0, &b"\x82\x80"[..]),
            (125, b"\x82\xfd"),
            (126, b"\x82\xfe\0\x7e"),
            (65_535, b"\x82\xfe\xff\xff"),
            (65_536, b"\x82\xff\0\0\0\0\0\x01\0\0"),
        ] {
            let bytes = encode(0x82, [0; 4], &vec![7; len]);
            assert_eq!(bytes.len(), header.len() + 4 + len);
            assert_eq!(&bytes[..header.len()], header);
        }
    }

    #[test]
    fn frame_of_a_client_is_found_when_it_is_whole() {
        for len in [0, 5, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; len];
            let bytes = encode(0x81, [1, 2, 3, 4], &payload);
            assert_eq!(parse_client(&bytes[..bytes.len() - 1]), None);
            let followed = [&bytes[..], b"\x81"].concat();
            assert_eq!(parse_client(&followed), Some((0x81, payload, bytes.len())));
        }
    }

    #[test]
    fn frame_of_a_server_is_found_when_it_is_whole() {
        let long = [&b"\x81\x7e\x01\x00"[..], &[b'x'; 256]].concat();
        let text = "x".repeat(256);
        for (bytes, frame) in [
            (&b"\x81\x02hi"[..], ServerFrame::Text("hi")),
            (b"\x82\x01\xff", ServerFrame::Binary(b"\xff")),
            (b"\x89\x00", ServerFrame::Ping(b"")),
            (b"\x8a\x01p", ServerFrame::Pong(b"p")),
            (b"\x88\x00", ServerFrame::Close(None, "")),
            (
                b"\x88\x05\x03\xe8bye",
                ServerFrame::Close(Some(1000), "bye"),
            ),
            (&long, ServerFrame::Text(&text)),
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]), None, "{cut} bytes of {frame:?}");
            }
            let followed = [bytes, b"\x81"].concat();
            assert_eq!(parse(&followed), Some((frame, bytes.len())));
        }
    }

    #[test]
    fn frame_that_parlor_never_sends_panics() {
        for bytes in [
            &b"\x01\x01a"[..],
            b"\xc1\x01a",
            b"\x81\x81maska",
            b"\x83\x00",
            b"\x81\x01\xff",
            b"\x81\x7e\x00\x01a",
            b"\x81\x7f\0\0\0\0\0\0\x01\0",
            b"\x89\x7e\x00\x7e",
            b"\x88\x01\x03",
            b"\x88\x03\x03\xe8\xff",
        ] {
            assert!(catch_unwind(|| parse(bytes)).is_err(), "{bytes:?}");
        }
    }
}
