//! A WebSocket client as small as it can be: an upgrade, masked frames out, frames in.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer to an upgrade takes no longer than this.
const JOIN_MAX: Duration = Duration::from_secs(10);

/// Joins a room. What came after the response's head is the second part.
pub(crate) fn join(server: SocketAddr, room: &str, nick: &str) -> io::Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(JOIN_MAX))?;
    write!(
        stream,
        "GET /ws/{room}?nick={nick} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            if !bytes.starts_with(b"HTTP/1.1 101") {
                let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                return Err(io::Error::other(head));
            }
            let rest = bytes.split_off(end + 4);
            return Ok((stream, rest));
        }
    }
}

/// A frame as a client sends it, with a mask of zeros, which leaves the payload as it is.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(len @ 0..126) => bytes.push(0x80 | len),
        _ => {
            let len = u16::try_from(payload.len()).expect("a frame of this program is short");
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Takes one whole frame off the front of what the server sent: its opcode and its payload.
pub(crate) fn take_frame(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (start, len) = match second {
        126 => {
            let len = [*bytes.get(2)?, *bytes.get(3)?];
            (4, usize::from(u16::from_be_bytes(len)))
        }
        len => (2, usize::from(len)),
    };
    let payload = bytes.get(start..start + len)?.to_vec();
    bytes.drain(..start + len);
    Some((first & 0x0F, payload))
}
