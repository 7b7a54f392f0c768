//! The opening handshake of a WebSocket (RFC 6455 §4.2): what the request must have, what it asks
//! for, and the 101. Lenient about lists, case and split fields, in which clients and proxies
//! differ; strict about the rest. Knows no rule about names: a room or nick is a string here.
//!
//! The server selects no extension, so the 101 mentions none (RFC 6455 §4.2.2, 5).

use percent_encoding::percent_decode;
use std::fmt;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::forwarded::{self, Forwarded};
use super::head::{Field, Head, list};
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
    /// The room that the path names: decoded, not checked, never empty. `None`: it names none, as
    /// in `/ws`. If the chat refuses the name, answer with [`Refusal::RoomName`] instead, as for
    /// `wrong_url`.
    pub room: Option<String>,
    /// The nick asked for: decoded, not checked, never empty.
    pub nick: Option<String>,
    /// A signed token: `token` in the query.
    pub token: Option<UrlSecret>,
    /// The password of the room: `password` in the query.
    pub password: Option<UrlSecret>,
    /// How many earlier lines are asked for: `history` in the query. More than a number can hold
    /// is [`u32::MAX`].
    pub history: Option<u32>,
    /// The one of [`Settings::subprotocols`] that was chosen; the 101 names it. `None`: the client
    /// offered none of them.
    pub subprotocol: Option<&'static str>,
    /// An Origin or one of our subprotocols was sent, so the client may be a page, which sees
    /// neither status nor text of a refusal. Such a client is refused with a close frame behind the
    /// 101.
    pub is_browser: bool,
    /// Why the WebSocket is not granted although the 101 can be sent: only for such a client, others
    /// are refused. `room`, `nick` and `history` may be `None` then whatever the URL says.
    pub wrong: Option<Refusal>,
    /// The client according to a trusted proxy. The limit by address counts the connection for it.
    pub forwarded_for: Forwarded,
    /// The whole 101 (RFC 6455 §4.2.2). It has no Date, which only other responses need.
    pub response: Vec<u8>,
}

/// A secret of a URL. Not shown by `{:?}`, so that no line of a log has it by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlSecret(String);

impl UrlSecret {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UrlSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlSecret")
    }
}

/// Whether the request asks for a WebSocket, correctly or not.
pub(super) fn is_wanted(head: &Head<'_, '_>) -> bool {
    head.has_token("Upgrade", "websocket")
}

/// Checks a request for a WebSocket. `host` is what the client calls the server, `room` and `query`
/// are the parts of the target after `/ws/` and `?`, as they were sent; either may be wrong already.
pub(super) fn check(
    head: &Head<'_, '_>,
    host: Result<&str, Refusal>,
    room: Result<&str, Refusal>,
    query: &str,
    from_proxy: bool,
    settings: &Settings,
) -> Result<Upgrade, Refusal> {
    let place = host.and_then(|host| Ok((host, room?)));
    // Without a handshake there can be no 101.
    let key = match (place, key(head)) {
        (_, Ok(key)) => key,
        (Err(why), Err(_)) | (Ok(_), Err(why)) => return Err(why),
    };
    let subprotocol = subprotocol(head, settings.subprotocols);
    let is_browser = subprotocol.is_some() || head.values("Origin").next().is_some();
    let wishes = place.and_then(|(host, room)| {
        check_origin(head, host, settings)?;
        check_subprotocols(head)?;
        Wishes::parse(room, query)
    });
    let (wishes, wrong) = match wishes {
        Ok(wishes) => (wishes, None),
        Err(why) if is_browser => (Wishes::default(), Some(why)),
        Err(why) => return Err(why),
    };
    let fields = head.values("X-Forwarded-For");
    Ok(Upgrade {
        room: wishes.room,
        nick: wishes.nick,
        token: wishes.token,
        password: wishes.password,
        history: wishes.history,
        subprotocol,
        is_browser,
        wrong,
        forwarded_for: if from_proxy {
            forwarded::client(fields, &settings.trusted_proxies)
        } else {
            Forwarded::Unnamed
        },
        response: switching_protocols(key, subprotocol),
    })
}

/// The Sec-WebSocket-Key of a correct handshake.
fn key<'b>(head: &Head<'_, 'b>) -> Result<&'b [u8], Refusal> {
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
    match head.only("Sec-WebSocket-Key") {
        Field::Once(key) if is_16_bytes_in_base64(key) => Ok(key),
        Field::Once(_) | Field::Missing | Field::Repeated => Err(Refusal::BadKey),
    }
}

fn check_origin(head: &Head<'_, '_>, host: &str, settings: &Settings) -> Result<(), Refusal> {
    match head.only("Origin") {
        Field::Missing if settings.require_origin => Err(Refusal::NoOrigin),
        Field::Once(origin) if !origin::is_allowed(origin, host, &settings.allow_origins) => {
            Err(Refusal::ForeignOrigin)
        }
        Field::Repeated => Err(Refusal::RepeatedOrigin),
        Field::Missing | Field::Once(_) => Ok(()),
    }
}

/// The first of the client's subprotocols, which are in the order of its preference, that is among
/// `known` (RFC 6455 §4.2.2, 4). The list may be spread over several fields (§11.3.4). Names
/// compare with case. Unknown ones are ignored: without a choice the WebSocket is opened without a
/// subprotocol, and the client decides whether it goes on.
fn subprotocol(head: &Head<'_, '_>, known: &'static [&'static str]) -> Option<&'static str> {
    head.values("Sec-WebSocket-Protocol")
        .flat_map(list)
        .find_map(|name| known.iter().find(|known| known.as_bytes() == name).copied())
}

/// Whether the client's subprotocols are tokens (RFC 9110 §5.6.2).
fn check_subprotocols(head: &Head<'_, '_>) -> Result<(), Refusal> {
    let may_be_in_token =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_token = |name: &[u8]| !name.is_empty() && name.iter().all(may_be_in_token);
    if head
        .values("Sec-WebSocket-Protocol")
        .flat_map(list)
        .all(is_token)
    {
        Ok(())
    } else {
        Err(Refusal::BadSubprotocol)
    }
}

fn switching_protocols(key: &[u8], subprotocol: Option<&str>) -> Vec<u8> {
    const BEFORE_KEY: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: ";
    let accept = accept_key(key);
    let before_name: &[u8] = match subprotocol {
        Some(_) => b"\r\nSec-WebSocket-Protocol: ",
        None => b"",
    };
    let name = subprotocol.unwrap_or_default().as_bytes();
    [
        BEFORE_KEY,
        accept.as_bytes(),
        before_name,
        name,
        b"\r\n\r\n",
    ]
    .concat()
}

/// 22 characters and two of padding. The last character has four unused bits; some clients set
/// them, and they do not matter.
fn is_16_bytes_in_base64(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key[..22].iter().all(is_digit) && key[22..] == *b"=="
}

/// What the URL of a WebSocket asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    room: Option<String>,
    nick: Option<String>,
    token: Option<UrlSecret>,
    password: Option<UrlSecret>,
    history: Option<u32>,
}

impl Wishes {
    fn parse(room: &str, query: &str) -> Result<Self, Refusal> {
        let room = (!room.is_empty()).then(|| decode(room.as_bytes()));
        Ok(Self {
            room: room.transpose()?,
            ..Self::of_query(query)?
        })
    }

    /// Of several values of a name the first that is not empty counts. Other names are ignored.
    fn of_query(query: &str) -> Result<Self, Refusal> {
        let mut wishes = Self::default();
        for pair in query.split('&') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            match name {
                "nick" if wishes.nick.is_none() => wishes.nick = Some(nick(value)?),
                "token" if wishes.token.is_none() => wishes.token = Some(secret(value)?),
                "password" if wishes.password.is_none() => wishes.password = Some(secret(value)?),
                "history" if wishes.history.is_none() => wishes.history = Some(count(value)?),
                _ => {}
            }
        }
        Ok(wishes)
    }
}

/// A nick is encoded as forms do it, a space as `+` (URL Standard §5.1).
fn nick(value: &str) -> Result<String, Refusal> {
    if value.contains('+') {
        decode(value.replace('+', " ").as_bytes())
    } else {
        decode(value.as_bytes())
    }
}

/// A `+` in a secret is one.
fn secret(value: &str) -> Result<UrlSecret, Refusal> {
    decode(value.as_bytes()).map(UrlSecret)
}

/// Only digits are a number; one that is too large is taken for the largest, for the server shows
/// what it has.
fn count(digits: &str) -> Result<u32, Refusal> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(digits.parse().unwrap_or(u32::MAX))
    } else {
        Err(Refusal::BadHistory)
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
            let wishes = Wishes::of_query(query).expect("UTF-8");
            assert_eq!(wishes.nick.as_deref(), expected, "{query}");
        }
        for query in ["nick=%ff", "nick=%ff+"] {
            assert_eq!(Wishes::of_query(query), Err(Refusal::NotUtf8));
        }
    }

    #[test]
    fn secrets_of_a_url_are_decoded_and_not_in_its_debug_form() {
        let wishes = Wishes::of_query("nick=ann&password=a%20b+c").expect("UTF-8");
        let password = wishes.password.expect("a password");
        assert_eq!(password.as_str(), "a b+c");
        assert_eq!(format!("{password:?}"), "UrlSecret");
        let wishes = Wishes::of_query("nick=ann").expect("UTF-8");
        assert_eq!(wishes.password, None);
        let wrong = Wishes::of_query("password=%ff");
        assert_eq!(wrong, Err(Refusal::NotUtf8));
    }

    #[test]
    fn history_is_a_number() {
        for (query, expected) in [
            ("history=0", Ok(Some(0))),
            ("nick=ann&history=50", Ok(Some(50))),
            ("history=007", Ok(Some(7))),
            ("history=&history=5", Ok(Some(5))),
            ("history=4294967296", Ok(Some(u32::MAX))),
            ("history=99999999999999999999", Ok(Some(u32::MAX))),
            ("history", Ok(None)),
            ("history=", Ok(None)),
            ("histories=5", Ok(None)),
            ("", Ok(None)),
            ("history=all", Err(Refusal::BadHistory)),
            ("history=-1", Err(Refusal::BadHistory)),
            ("history=+1", Err(Refusal::BadHistory)),
            ("history=1.5", Err(Refusal::BadHistory)),
            ("history=%31", Err(Refusal::BadHistory)),
        ] {
            let wishes = Wishes::of_query(query);
            assert_eq!(wishes.map(|wishes| wishes.history), expected, "{query}");
        }
    }
}
