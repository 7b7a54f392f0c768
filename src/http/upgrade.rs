//! The opening handshake of a WebSocket (RFC 6455 §4.2): what the request must have, what it asks
//! for, and the 101. Lenient about lists, case and split fields, in which clients and proxies
//! differ; strict about the rest. Knows no rule about names: a room or nick is a string here.
//!
//! The server selects no subprotocol and no extension, so the 101 mentions none (RFC 6455 §4.2.2,
//! 5).

use percent_encoding::percent_decode;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::forwarded::{self, Forwarded};
use super::head::{Field, Head};
use super::origin;
use super::response::Refusal;
use super::settings::Settings;

/// The `Sec-WebSocket-Accept` that belongs to a client's `Sec-WebSocket-Key` (RFC 6455 §4.2.2,
/// 5.4).
pub fn accept_key(key: &[u8]) -> String {
    derive_accept_key(key)
}

/// A random `Sec-WebSocket-Key` for a client.
pub fn new_key() -> String {
    generate_key()
}

/// The room of a request that names none.
pub const DEFAULT_ROOM: &str = "lobby";

/// A WebSocket that may be opened: send `response`; what follows in both directions are frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The room asked for: decoded, not checked, never empty. If the chat refuses the name, answer
    /// with [`Refusal::RoomName`] instead.
    pub room: String,
    /// The nick asked for: decoded, not checked, never empty.
    pub nick: Option<String>,
    /// The client according to a trusted proxy. The limit by address counts the connection for it.
    pub forwarded_for: Forwarded,
    /// The whole 101 (RFC 6455 §4.2.2). It has no Date, which only other responses need.
    pub response: Vec<u8>,
}

/// Whether the request asks for a WebSocket, correctly or not.
pub(super) fn is_wanted(head: &Head<'_, '_>) -> bool {
    head.has_token("Upgrade", "websocket")
}

/// Checks a request for a WebSocket. `room` and `query` are the parts of the target after `/ws/`
/// and `?`, as they were sent; `host` is what the client calls the server.
pub(super) fn check(
    head: &Head<'_, '_>,
    host: &str,
    room: &str,
    query: &str,
    from_proxy: bool,
    settings: &Settings,
) -> Result<Upgrade, Refusal> {
    if !head.is_http_11 {
        return Err(Refusal::HttpTooOld);
    }
    if !is_wanted(head) {
        return Err(Refusal::NoUpgrade);
    }
    if !head.has_token("Connection", "upgrade") {
        return Err(Refusal::NoConnectionUpgrade);
    }
    if !matches!(head.only("Sec-WebSocket-Version"), Field::Once(b"13")) {
        return Err(Refusal::WrongVersion);
    }
    let key = match head.only("Sec-WebSocket-Key") {
        Field::Once(key) if is_16_bytes_in_base64(key) => key,
        Field::Once(_) | Field::Missing | Field::Repeated => return Err(Refusal::BadKey),
    };
    match head.only("Origin") {
        Field::Missing if settings.require_origin => return Err(Refusal::NoOrigin),
        Field::Once(origin) if !origin::is_allowed(origin, host, &settings.allow_origins) => {
            return Err(Refusal::ForeignOrigin);
        }
        Field::Repeated => return Err(Refusal::RepeatedOrigin),
        Field::Missing | Field::Once(_) => {}
    }
    let room = if room.is_empty() {
        DEFAULT_ROOM.to_owned()
    } else {
        decode(room.as_bytes())?
    };
    let fields = head.values("X-Forwarded-For");
    Ok(Upgrade {
        room,
        nick: nick(query)?,
        forwarded_for: if from_proxy {
            forwarded::client(fields, &settings.trusted_proxies)
        } else {
            Forwarded::Unnamed
        },
        response: switching_protocols(key),
    })
}

fn switching_protocols(key: &[u8]) -> Vec<u8> {
    const BEFORE_KEY: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: ";
    [BEFORE_KEY, accept_key(key).as_bytes(), b"\r\n\r\n"].concat()
}

/// 22 characters and two of padding. The last character has four unused bits; some clients set
/// them, and they do not matter.
fn is_16_bytes_in_base64(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key[..22].iter().all(is_digit) && key[22..] == *b"=="
}

/// The first `nick=` of a query that is not empty, encoded as forms do it, a space as `+`
/// (URL Standard §5.1).
fn nick(query: &str) -> Result<Option<String>, Refusal> {
    let mut nicks = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("nick="));
    match nicks.find(|nick| !nick.is_empty()) {
        None => Ok(None),
        Some(nick) if nick.contains('+') => decode(nick.replace('+', " ").as_bytes()).map(Some),
        Some(nick) => decode(nick.as_bytes()).map(Some),
    }
}

/// Undoes percent-encoding. A `%` without two digits remains, and the rules for names judge it.
fn decode(encoded: &[u8]) -> Result<String, Refusal> {
    match percent_decode(encoded).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Refusal::NotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_16_bytes_in_base64() {
        for (key, right) in [
            (&b"dGhlIHNhbXBsZSBub25jZQ=="[..], true),
            (b"AAAAAAAAAAAAAAAAAAAAAA==", true),
            (b"//////////////////////==", true),
            (b"dGhlIHNhbXBsZSBub25jZ===", false),
            (b"dGhlIHNhbXBsZSBub25jZQA=", false),
            (b"dGhlIHNhbXBsZSBub25jZQAA", false),
            (b"dGhlIHNhbXBsZSBub25jZQ", false),
            (b"dGhlIHNhbXBsZSBub25jZQ==AAAA", false),
            (b"dGhlIHNhbXBsZSBub-5jZQ==", false),
            (b"dGhlIHNhbXBsZSBub 5jZQ==", false),
            (b"", false),
        ] {
            assert_eq!(is_16_bytes_in_base64(key), right, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn a_nick_is_decoded_as_in_a_form() {
        for (query, expected) in [
            ("nick=ann", Some("ann")),
            ("a=b&nick=ann&c", Some("ann")),
            ("nick=ann&nick=bob", Some("ann")),
            ("nick=&nick=bob", Some("bob")),
            ("nick=Ann+Lee", Some("Ann Lee")),
            ("nick=Ann%20Lee%2B1", Some("Ann Lee+1")),
            ("nick=J%C3%B6rg", Some("Jörg")),
            ("nick=Jörg", Some("Jörg")),
            ("nick=100%", Some("100%")),
            ("nick=%zz", Some("%zz")),
            ("nick=a=b", Some("a=b")),
            ("nick=", None),
            ("nick", None),
            ("nickname=ann", None),
            ("", None),
        ] {
            assert_eq!(nick(query).unwrap().as_deref(), expected, "{query}");
        }
        assert_eq!(nick("nick=%ff"), Err(Refusal::NotUtf8));
        assert_eq!(nick("nick=%ff+"), Err(Refusal::NotUtf8));
    }
}
