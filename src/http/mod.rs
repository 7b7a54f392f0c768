//! Bytes of a request in, what to do about it out: a WebSocket, a page, or a refusal.
//! Knows no socket and no clock, and nothing of rooms but that they have a name.
//!
//! The way of a request: `head` finds its end and parses it, [`receive`] looks at the path,
//! `upgrade` checks a WebSocket (with `origin` and `forwarded`), `pages` has the rest, and
//! `response` knows how to say no. Nothing of a request is ever echoed in a response.

mod forwarded;
mod head;
mod origin;
mod pages;
mod response;
mod upgrade;

use self::head::{Field, Head};
use crate::config::Config;

pub use self::forwarded::is_trusted;
pub use self::head::{HEAD_BYTES_MAX, HEADERS_MAX};
pub use self::response::Refusal;
pub use self::upgrade::{DEFAULT_ROOM, Upgrade, accept_key, new_key};

/// What the bytes received so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The head is not complete. Keep the bytes, fewer than [`HEAD_BYTES_MAX`] of them, and call
    /// again with more behind them.
    Partial,
    /// A correct request for a WebSocket. The head took `consumed` bytes; what follows it are
    /// frames, and may be here already.
    Upgrade { upgrade: Upgrade, consumed: usize },
    /// A plain request, and the whole response to it. Another request may follow after `consumed`
    /// bytes if `keep_alive`; otherwise close once the response is sent.
    Answer {
        response: Vec<u8>,
        consumed: usize,
        keep_alive: bool,
    },
    /// Send [`Refusal::response`], nothing after it, and close.
    Refused(Refusal),
}

/// Looks at the bytes of a connection, from the beginning of a request on. The first `already` of
/// them were in an earlier call that returned [`Request::Partial`]; 0 if there was none. With it
/// the work is the same however small the pieces are, and so is the outcome. `from_proxy`: the
/// peer is a trusted proxy ([`is_trusted`]), whose `X-Forwarded-For` is believed.
pub fn receive(bytes: &[u8], already: usize, from_proxy: bool, config: &Config) -> Request {
    let consumed = match head::find_end(bytes, already) {
        Ok(Some(end)) => end,
        Ok(None) => return Request::Partial,
        Err(refusal) => return Request::Refused(refusal),
    };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let head = match Head::parse(&bytes[..consumed], &mut headers) {
        Ok(head) => head,
        Err(refusal) => return Request::Refused(refusal),
    };
    match route(&head, from_proxy, config) {
        Ok(Route::Upgrade(upgrade)) => Request::Upgrade { upgrade, consumed },
        Ok(Route::Page(page)) => {
            let keep_alive = keeps_alive(&head);
            Request::Answer {
                response: page.answer(&head, keep_alive),
                consumed,
                keep_alive,
            }
        }
        // Whoever sent HEAD takes a body for the next response.
        Err(refusal) if head.method == "HEAD" => Request::Answer {
            response: refusal.response_to_head(),
            consumed,
            keep_alive: false,
        },
        Err(refusal) => Request::Refused(refusal),
    }
}

enum Route {
    Upgrade(Upgrade),
    Page(&'static pages::Page),
}

fn route(head: &Head<'_, '_>, from_proxy: bool, config: &Config) -> Result<Route, Refusal> {
    let target = Target::parse(head.target).ok_or(Refusal::BadHead {
        reason: "The request target is neither a path nor an http URL.",
    })?;
    let host = host(head, &target)?;
    if let Some(room) = target.room() {
        allow(head, "GET")?;
        refuse_body(head)?;
        return upgrade::check(head, host, room, target.query, from_proxy, config)
            .map(Route::Upgrade);
    }
    if upgrade::is_wanted(head) {
        return Err(Refusal::NoWebSocketHere);
    }
    let page = pages::find(target.path).ok_or(Refusal::NoSuchPath)?;
    allow(head, "GET, HEAD")?;
    refuse_body(head)?;
    Ok(Route::Page(page))
}

fn allow(head: &Head<'_, '_>, allow: &'static str) -> Result<(), Refusal> {
    if allow.split(", ").any(|method| method == head.method) {
        Ok(())
    } else {
        Err(Refusal::MethodNotAllowed { allow })
    }
}

/// Nothing here takes a body, and where one ends is what smuggled requests are made of: so it is
/// not skipped but refused, and the connection ends (RFC 9112 §6.3).
fn refuse_body(head: &Head<'_, '_>) -> Result<(), Refusal> {
    if head.values("Transfer-Encoding").next().is_some() {
        return Err(Refusal::HasBody);
    }
    for length in head.values("Content-Length") {
        if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::BadHead {
                reason: "The Content-Length is not a number.",
            });
        }
        if length.iter().any(|&digit| digit != b'0') {
            return Err(Refusal::HasBody);
        }
    }
    Ok(())
}

/// What the client calls the server: the Host, which HTTP/1.1 must have, or what a whole URL as
/// the target says instead (RFC 9112 §3.2.2). Empty if HTTP/1.0 says neither.
fn host<'b>(head: &Head<'_, 'b>, target: &Target<'b>) -> Result<&'b str, Refusal> {
    let host = match head.only("Host") {
        Field::Once(host) => str::from_utf8(host).map_err(|_| Refusal::BadHost)?,
        Field::Missing if !head.is_http_11 => return Ok(target.authority.unwrap_or("")),
        Field::Missing | Field::Repeated => return Err(Refusal::BadHost),
    };
    let is_valid = |name: &str| !name.is_empty() && name.bytes().all(may_be_in_host);
    if is_valid(host) && target.authority.is_none_or(is_valid) {
        Ok(target.authority.unwrap_or(host))
    } else {
        Err(Refusal::BadHost)
    }
}

/// The characters of a name, an address or a port (RFC 3986 §3.2.2), less the comma, which is in
/// no name and joins two Hosts into one. No `@`: there is nobody before the host.
fn may_be_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(&byte)
}

/// Whether another request may follow (RFC 9112 §9.3).
fn keeps_alive(head: &Head<'_, '_>) -> bool {
    !head.has_token("Connection", "close")
        && (head.is_http_11 || head.has_token("Connection", "keep-alive"))
}

/// The parts of a request target, still encoded.
#[derive(Debug, PartialEq, Eq)]
struct Target<'b> {
    /// Of a whole URL only.
    authority: Option<&'b str>,
    path: &'b str,
    query: &'b str,
}

impl<'b> Target<'b> {
    /// Takes a path, or a whole URL, which every server must understand (RFC 9112 §3.2.2).
    fn parse(target: &'b str) -> Option<Self> {
        let (authority, rest) = if target.starts_with('/') {
            (None, target)
        } else {
            let (scheme, rest) = target.split_once("://")?;
            if !["http", "https", "ws", "wss"]
                .iter()
                .any(|s| s.eq_ignore_ascii_case(scheme))
            {
                return None;
            }
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), rest)
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Some(Self {
            authority,
            path: if path.is_empty() { "/" } else { path },
            query,
        })
    }

    /// The room, if this is a path of WebSockets: `/ws`, `/ws/` (both without one) or `/ws/ROOM`.
    fn room(&self) -> Option<&'b str> {
        match self.path.strip_prefix("/ws")? {
            "" => Some(""),
            rest => rest.strip_prefix('/').filter(|room| !room.contains('/')),
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    const FROM_PROXY: bool = true;

    /// What a browser sends.
    const BROWSER: &str = "GET /ws HTTP/1.1\r\n\
        Host: 127.0.0.1:8080\r\n\
        Connection: keep-alive, Upgrade\r\n\
        Pragma: no-cache\r\n\
        Cache-Control: no-cache\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0\r\n\
        Upgrade: websocket\r\n\
        Origin: http://127.0.0.1:8080\r\n\
        Sec-WebSocket-Version: 13\r\n\
        Accept-Encoding: gzip, deflate, br, zstd\r\n\
        Accept-Language: en\r\n\
        Cookie: another=service\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\n\r\n";

    /// The least a client can send.
    const LEAST: &str = "GET /ws HTTP/1.1\r\n\
        Host: a.example\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    /// A response, read back by somebody else's parser. Its body has the length it says.
    pub(super) struct Parsed {
        pub(super) status: u16,
        fields: Vec<(String, String)>,
        body: Vec<u8>,
    }

    impl Parsed {
        pub(super) fn from(bytes: &[u8]) -> Self {
            let parsed = Self::from_head(bytes);
            let len = parsed
                .field("Content-Length")
                .map(|len| len.parse().unwrap());
            assert_eq!(parsed.body.len(), len.unwrap_or(0));
            parsed
        }

        /// The same for an answer to HEAD.
        fn from_head(bytes: &[u8]) -> Self {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut headers);
            let len = response.parse(bytes).unwrap().unwrap();
            assert_eq!(response.version, Some(1));
            assert!(!response.reason.unwrap().is_empty());
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let fields = response.headers.iter();
            Self {
                status: response.code.unwrap(),
                fields: fields.map(|h| (h.name.to_owned(), text(h.value))).collect(),
                body: bytes[len..].to_vec(),
            }
        }

        pub(super) fn field(&self, name: &str) -> Option<&str> {
            let mut values = self
                .fields
                .iter()
                .filter(|(n, _)| n.eq_ignore_ascii_case(name));
            let value = values.next().map(|(_, value)| value.as_str());
            assert!(values.next().is_none(), "{name} is there twice");
            value
        }

        pub(super) fn text(&self) -> &str {
            str::from_utf8(&self.body).unwrap()
        }
    }

    /// The outcome of bytes that come in pieces of this length.
    fn receive_in_pieces(bytes: &[u8], len: usize, config: &Config) -> Request {
        let mut already = 0;
        while already < bytes.len() {
            let end = bytes.len().min(already + len);
            match receive(&bytes[..end], already, FROM_PROXY, config) {
                Request::Partial => already = end,
                outcome => return outcome,
            }
        }
        Request::Partial
    }

    /// The outcome of these bytes, whole, one by one, and cut in two anywhere: always the same.
    fn receive_any_way(bytes: &[u8], config: &Config) -> Request {
        let outcome = receive(bytes, 0, FROM_PROXY, config);
        let shown = bytes.escape_ascii();
        assert_eq!(
            outcome,
            receive_in_pieces(bytes, 1, config),
            "one by one: {shown}"
        );
        for cut in 1..bytes.len() {
            match receive(&bytes[..cut], 0, FROM_PROXY, config) {
                Request::Partial => {
                    let rest = receive(bytes, cut, FROM_PROXY, config);
                    assert_eq!(outcome, rest, "cut at {cut}: {shown}");
                }
                early => assert_eq!(outcome, early, "cut at {cut}: {shown}"),
            }
        }
        outcome
    }

    /// What comes of a request with the default configuration. A good one is not answered before
    /// its last byte.
    fn ask(request: &str) -> Request {
        let outcome = receive_any_way(request.as_bytes(), &Config::default());
        if let Request::Upgrade { consumed, .. } | Request::Answer { consumed, .. } = outcome {
            assert_eq!(consumed, request.len());
            for cut in 0..consumed {
                let prefix = &request.as_bytes()[..cut];
                let outcome = receive(prefix, 0, FROM_PROXY, &Config::default());
                assert_eq!(outcome, Request::Partial, "{request}");
            }
        }
        outcome
    }

    #[track_caller]
    fn upgrade(request: &str) -> Upgrade {
        match ask(request) {
            Request::Upgrade { upgrade, .. } => upgrade,
            outcome => panic!("{outcome:?}: {request}"),
        }
    }

    #[track_caller]
    fn refusal(request: &str) -> Refusal {
        match ask(request) {
            Request::Refused(refusal) => refusal,
            outcome => panic!("{outcome:?}: {request}"),
        }
    }

    #[track_caller]
    fn answer(request: &str) -> (Parsed, bool) {
        match ask(request) {
            Request::Answer {
                response,
                keep_alive,
                ..
            } => (Parsed::from(&response), keep_alive),
            outcome => panic!("{outcome:?}: {request}"),
        }
    }

    /// The least request, changed in one place.
    #[track_caller]
    fn least_with(from: &str, to: &str) -> String {
        assert!(LEAST.contains(from));
        LEAST.replacen(from, to, 1)
    }

    #[test]
    fn a_browser_and_the_simplest_client_get_their_websocket() {
        for request in [BROWSER, LEAST] {
            let upgrade = upgrade(request);
            assert_eq!(upgrade.response, ACCEPTED.as_bytes());
            assert_eq!((upgrade.room.as_str(), upgrade.nick), ("lobby", None));
            assert_eq!(upgrade.forwarded_for, None);
        }
    }

    #[test]
    fn what_clients_and_proxies_vary_in_is_accepted() {
        for (from, to) in [
            ("Upgrade: websocket", "UPGRADE: WebSocket"),
            ("Upgrade: websocket", "Upgrade: h2c, websocket"),
            ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
            ("Upgrade: websocket", "Upgrade:websocket  "),
            ("Connection: Upgrade", "connection: keep-alive,\tupgrade"),
            (
                "Connection: Upgrade",
                "Connection: keep-alive\r\nConnection: Upgrade",
            ),
            ("Connection: Upgrade", "Connection: , UPGRADE ,"),
            ("Version: 13", "Version:  13 "),
            ("Host: a.example", "host: [::1]:8080"),
            ("Host: a.example", "Host: a.example\r\nContent-Length: 0"),
            ("Host: a.example", "Host: a.example\r\nX-Empty:"),
            ("GET /ws", "\r\n\r\nGET /ws"),
            ("GET /ws", "GET http://a.example/ws"),
            ("GET /ws", "GET WS://a.example/ws"),
            ("GET /ws", "GET /ws/"),
            ("GET /ws", "GET /ws?"),
        ] {
            let upgrade = upgrade(&least_with(from, to));
            assert_eq!(upgrade.response, ACCEPTED.as_bytes());
            assert_eq!(upgrade.room, DEFAULT_ROOM);
        }
        let bare_line_feeds = LEAST.replace("\r\n", "\n");
        assert_eq!(upgrade(&bare_line_feeds).response, ACCEPTED.as_bytes());
    }

    #[test]
    fn what_matters_is_refused() {
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let version = "Sec-WebSocket-Version: 13\r\n";
        let bad_head = |reason| Refusal::BadHead { reason };
        let get = Refusal::MethodNotAllowed { allow: "GET" };
        for (from, to, expected) in [
            ("GET", "POST", get),
            ("GET", "get", get),
            ("GET", "PUT", get),
            ("HTTP/1.1", "HTTP/1.0", Refusal::HttpTooOld),
            (
                "HTTP/1.1",
                "HTTP/1.2",
                bad_head("The HTTP version is neither 1.1 nor 1.0."),
            ),
            ("/ws", "/", Refusal::NoWebSocketHere),
            ("/ws", "/healthz", Refusal::NoWebSocketHere),
            ("/ws", "/chat", Refusal::NoWebSocketHere),
            ("/ws", "/wss", Refusal::NoWebSocketHere),
            ("/ws", "/WS", Refusal::NoWebSocketHere),
            ("/ws", "/ws/a/b", Refusal::NoWebSocketHere),
            ("/ws", "/ws/%ff", Refusal::NotUtf8),
            ("/ws", "/ws?nick=%c3", Refusal::NotUtf8),
            ("Host: a.example\r\n", "", Refusal::BadHost),
            ("Host: a.example", "Host:", Refusal::BadHost),
            (
                "Host: a.example",
                "Host: a.example b.example",
                Refusal::BadHost,
            ),
            (
                "Host: a.example",
                "Host: a.example,b.example",
                Refusal::BadHost,
            ),
            ("Host: a.example", "Host: me@a.example", Refusal::BadHost),
            ("Host: a.example", "Host: a.example/", Refusal::BadHost),
            ("Host: a.example", "Host: ä.example", Refusal::BadHost),
            (
                "Host: a.example",
                "Host: a.example\r\nHost: a.example",
                Refusal::BadHost,
            ),
            ("GET /ws", "GET http://me@a.example/ws", Refusal::BadHost),
            ("GET /ws", "GET http:///ws", Refusal::BadHost),
            ("Upgrade: websocket\r\n", "", Refusal::NoUpgrade),
            (
                "Upgrade: websocket",
                "Upgrade: websockets",
                Refusal::NoUpgrade,
            ),
            (
                "Upgrade: websocket",
                "Upgrade: web socket",
                Refusal::NoUpgrade,
            ),
            ("Connection: Upgrade\r\n", "", Refusal::NoConnectionUpgrade),
            (
                "Connection: Upgrade",
                "Connection: keep-alive",
                Refusal::NoConnectionUpgrade,
            ),
            (
                "Connection: Upgrade",
                "Connection: Upgrades",
                Refusal::NoConnectionUpgrade,
            ),
            (version, "", Refusal::WrongVersion),
            ("Version: 13", "Version: 8", Refusal::WrongVersion),
            ("Version: 13", "Version: 013", Refusal::WrongVersion),
            ("Version: 13", "Version: 13, 8", Refusal::WrongVersion),
            (
                "Version: 13",
                "Version: 13\r\nSec-WebSocket-Version: 13",
                Refusal::WrongVersion,
            ),
            (key, "", Refusal::BadKey),
            (key, "Sec-WebSocket-Key:\r\n", Refusal::BadKey),
            (key, "Sec-WebSocket-Key: dG9vIHNob3J0\r\n", Refusal::BadKey),
            (key, &key.repeat(2), Refusal::BadKey),
            (version, "Content-Length: 5\r\n", Refusal::HasBody),
            (
                version,
                "Content-Length: 0\r\nContent-Length: 10\r\n",
                Refusal::HasBody,
            ),
            (version, "Transfer-Encoding: chunked\r\n", Refusal::HasBody),
            (
                version,
                "Content-Length: -1\r\n",
                bad_head("The Content-Length is not a number."),
            ),
            (
                version,
                "Content-Length: 0, 0\r\n",
                bad_head("The Content-Length is not a number."),
            ),
            (
                version,
                "Origin: null\r\nOrigin: null\r\n",
                Refusal::WrongVersion,
            ),
            (
                "Host:",
                "Host :",
                bad_head("The name of a header field is malformed."),
            ),
            (
                "Host:",
                "X: y\r\n folded\r\nHost:",
                bad_head("The name of a header field is malformed."),
            ),
            (
                "Host:",
                "X: \r y\r\nHost:",
                bad_head("The value of a header field is malformed."),
            ),
            (
                "Host:",
                "X: \0\r\nHost:",
                bad_head("There is a control character in the head."),
            ),
            (
                "GET /",
                "GET ",
                bad_head("The request target is neither a path nor an http URL."),
            ),
            (
                "GET /ws",
                "GET *",
                bad_head("The request target is neither a path nor an http URL."),
            ),
            (
                "GET /ws",
                "GET ftp://a/",
                bad_head("The request target is neither a path nor an http URL."),
            ),
            (
                "GET /ws",
                "GET/ws",
                bad_head("The request line is malformed."),
            ),
        ] {
            assert_eq!(refusal(&least_with(from, to)), expected, "{to}");
        }
    }

    #[test]
    fn a_head_too_big_in_any_way_is_refused() {
        let with = |fields: &str| least_with("Host:", &format!("{fields}Host:"));
        upgrade(&with(&"X: y\r\n".repeat(HEADERS_MAX - 5)));
        assert_eq!(
            refusal(&with(&"X: y\r\n".repeat(HEADERS_MAX - 4))),
            Refusal::TooManyHeaders
        );
        let long = with(&format!("X: {}\r\n", "y".repeat(HEAD_BYTES_MAX)));
        let long_path = least_with("/ws", &format!("/ws/{}", "y".repeat(head::LINE_BYTES_MAX)));
        for (request, expected) in [
            (long, Refusal::HeadTooLong),
            (long_path, Refusal::TargetTooLong),
        ] {
            for len in [1, 100, 10_000] {
                let outcome = receive_in_pieces(request.as_bytes(), len, &Config::default());
                assert_eq!(outcome, Request::Refused(expected));
            }
        }
    }

    #[test]
    fn the_room_and_the_nick_are_decoded() {
        for (target, room, nick) in [
            ("/ws/den", "den", None),
            ("/ws/den?nick=ann", "den", Some("ann")),
            ("/ws?nick=ann", "lobby", Some("ann")),
            ("/ws/?nick=ann", "lobby", Some("ann")),
            ("/ws/caf%C3%A9?x=y&nick=Ann+Lee", "café", Some("Ann Lee")),
            ("/ws/%E6%B8%AC", "測", None),
            ("/ws/測", "測", None),
            ("/ws/a%2Fb%00", "a/b\0", None),
            ("/ws/a+b", "a+b", None),
            ("http://a.example?nick=ann", "", None),
            ("http://a.example/ws/den?nick=ann", "den", Some("ann")),
        ] {
            let request = least_with("/ws", target);
            if room.is_empty() {
                assert_eq!(refusal(&request), Refusal::NoWebSocketHere);
                continue;
            }
            let upgrade = upgrade(&request);
            assert_eq!(
                (upgrade.room.as_str(), upgrade.nick.as_deref()),
                (room, nick),
                "{target}"
            );
        }
    }

    #[test]
    fn the_origin_is_checked_against_host_and_configuration() {
        let with = |fields: &str| least_with("Host: a.example\r\n", fields);
        let own = with("Host: a.example\r\nOrigin: https://a.example\r\n");
        let foreign = with("Host: a.example\r\nOrigin: https://b.example\r\n");
        let null = with("Host: a.example\r\nOrigin: null\r\n");
        let two = with("Host: a.example\r\nOrigin: https://a.example\r\nOrigin: null\r\n");
        upgrade(&own);
        assert_eq!(refusal(&foreign), Refusal::ForeignOrigin);
        assert_eq!(refusal(&null), Refusal::ForeignOrigin);
        assert_eq!(refusal(&two), Refusal::RepeatedOrigin);

        let config = Config {
            allow_origins: vec!["*".to_owned()],
            require_origin: true,
            ..Config::default()
        };
        let outcome = |request: &str| receive_any_way(request.as_bytes(), &config);
        for request in [&own, &foreign, &null] {
            assert!(matches!(outcome(request), Request::Upgrade { .. }));
        }
        assert_eq!(outcome(&two), Request::Refused(Refusal::RepeatedOrigin));
        assert_eq!(outcome(LEAST), Request::Refused(Refusal::NoOrigin));

        // A whole URL as the target overrules the Host.
        upgrade(&foreign.replace("/ws", "http://b.example/ws"));
        assert_eq!(
            refusal(&own.replace("/ws", "http://b.example/ws")),
            Refusal::ForeignOrigin
        );
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        let forwarded = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 203.0.113.7\r\nHost:";
        let request = least_with("Host:", forwarded);
        assert_eq!(
            upgrade(&request).forwarded_for,
            Some("203.0.113.7".parse().unwrap())
        );
        let outcome = receive(request.as_bytes(), 0, false, &Config::default());
        let Request::Upgrade { upgrade, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(upgrade.forwarded_for, None);
    }

    #[test]
    fn bytes_after_the_head_are_left_alone() {
        let frame = b"\x81\x82\x00\x00\x00\x00hi";
        let bytes = [LEAST.as_bytes(), frame].concat();
        let Request::Upgrade { consumed, .. } = receive_any_way(&bytes, &Config::default()) else {
            panic!()
        };
        assert_eq!(&bytes[consumed..], frame);

        let page = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        let bytes = [page, page].concat().into_bytes();
        let outcome = receive_any_way(&bytes, &Config::default());
        let Request::Answer {
            consumed,
            keep_alive,
            ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!((consumed, keep_alive), (page.len(), true));
    }

    #[test]
    fn the_page_and_its_files_are_served() {
        for (path, content_type) in [
            ("/", "text/html; charset=utf-8"),
            ("/?nick=ann", "text/html; charset=utf-8"),
            ("http://a", "text/html; charset=utf-8"),
            ("/app.js", "text/javascript; charset=utf-8"),
            ("/style.css", "text/css; charset=utf-8"),
            ("/icon.svg", "image/svg+xml"),
            ("/favicon.ico", "image/svg+xml"),
        ] {
            let get = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            let (response, keep_alive) = answer(&get);
            assert_eq!((response.status, keep_alive), (200, true), "{path}");
            assert!(!response.body.is_empty());
            assert_eq!(response.field("Content-Type"), Some(content_type));
            assert_eq!(response.field("Connection"), None);
            assert_eq!(response.field("Cache-Control"), Some("no-cache"));
            assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
            assert_eq!(response.field("Referrer-Policy"), Some("no-referrer"));
            let policy = response.field("Content-Security-Policy").unwrap();
            assert!(policy.contains("script-src 'self';"));

            let etag = response.field("ETag").unwrap();
            let again = get.replace(
                "Host: a",
                &format!("Host: a\r\nIf-None-Match: \"x\", {etag}"),
            );
            let (unchanged, keep_alive) = answer(&again);
            assert_eq!((unchanged.status, keep_alive), (304, true));
            assert_eq!(unchanged.field("ETag"), Some(etag));
            assert_eq!(unchanged.field("Content-Length"), None);

            let other = get.replace("Host: a", "Host: a\r\nIf-None-Match: \"x\"");
            assert_eq!(answer(&other).0.status, 200);
        }
    }

    #[test]
    fn healthz_is_never_cached() {
        let (response, _) = answer("GET /healthz HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n");
        assert_eq!((response.status, response.text()), (200, "ok\n"));
        assert_eq!(response.field("Cache-Control"), Some("no-store"));
        assert_eq!(
            response.field("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(response.field("ETag"), None);
    }

    #[test]
    fn head_is_get_without_the_body() {
        for (path, status, keeps) in [
            ("/", 200, true),
            ("/app.js", 200, true),
            ("/healthz", 200, true),
            ("/nothing", 404, false),
            ("/ws", 405, false),
        ] {
            let outcome = ask(&format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let Request::Answer {
                response,
                keep_alive,
                ..
            } = outcome
            else {
                panic!("{outcome:?}")
            };
            let parsed = Parsed::from_head(&response);
            assert_eq!((parsed.status, keep_alive), (status, keeps), "{path}");
            assert!(parsed.body.is_empty());
            if keeps {
                let (get, _) = answer(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
                assert_eq!(get.fields, parsed.fields);
            } else {
                assert_eq!(parsed.field("Connection"), Some("close"));
            }
        }
    }

    #[test]
    fn a_connection_is_kept_as_its_version_and_its_client_say() {
        for (version, connection, keep_alive, says) in [
            ("1.1", "", true, None),
            ("1.1", "Connection: keep-alive\r\n", true, None),
            ("1.1", "Connection: Close\r\n", false, Some("close")),
            ("1.1", "Connection: x, close\r\n", false, Some("close")),
            ("1.0", "", false, Some("close")),
            (
                "1.0",
                "Connection: Keep-Alive\r\n",
                true,
                Some("keep-alive"),
            ),
            (
                "1.0",
                "Connection: keep-alive, close\r\n",
                false,
                Some("close"),
            ),
        ] {
            let request = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
            let (response, kept) = answer(&request);
            assert_eq!(
                (kept, response.field("Connection")),
                (keep_alive, says),
                "{request}"
            );
        }
        let (_, keep_alive) = answer("GET / HTTP/1.0\r\n\r\n");
        assert!(!keep_alive);
    }

    #[test]
    fn other_plain_requests_are_refused() {
        let allow = "GET, HEAD";
        let close = "Host: a\r\n\r\n";
        for (request, expected) in [
            (
                format!("GET /nothing HTTP/1.1\r\n{close}"),
                Refusal::NoSuchPath,
            ),
            (
                format!("GET /app.js/ HTTP/1.1\r\n{close}"),
                Refusal::NoSuchPath,
            ),
            (format!("GET //ws HTTP/1.1\r\n{close}"), Refusal::NoSuchPath),
            (
                format!("POST /nothing HTTP/1.1\r\n{close}"),
                Refusal::NoSuchPath,
            ),
            (
                format!("POST / HTTP/1.1\r\n{close}"),
                Refusal::MethodNotAllowed { allow },
            ),
            (
                format!("OPTIONS / HTTP/1.1\r\n{close}"),
                Refusal::MethodNotAllowed { allow },
            ),
            (format!("GET /ws HTTP/1.1\r\n{close}"), Refusal::NoUpgrade),
            (format!("GET /ws HTTP/1.0\r\n{close}"), Refusal::HttpTooOld),
            (
                format!("GET / HTTP/1.1\r\nContent-Length: 1\r\n{close}"),
                Refusal::HasBody,
            ),
            (
                format!("GET / HTTP/1.1\r\nTransfer-Encoding: x\r\n{close}"),
                Refusal::HasBody,
            ),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), Refusal::BadHost),
            (
                format!("GET / HTTP/1.0\r\nHost: a\r\n{close}"),
                Refusal::BadHost,
            ),
        ] {
            assert_eq!(refusal(&request), expected, "{request}");
        }
    }

    #[test]
    fn nothing_of_a_request_is_echoed() {
        for request in [
            "GET /canary HTTP/1.1\r\nHost: canary\r\nX: canary\r\n\r\n",
            "GET /?canary HTTP/1.1\r\nHost: canary\r\nIf-None-Match: \"canary\"\r\n\r\n",
            "CANARY / HTTP/1.1\r\nHost: canary\r\n\r\n",
            &least_with("a.example", "canary"),
            &least_with("a.example", "canary\r\nSec-WebSocket-Protocol: canary"),
            &least_with("a.example", "a.example\r\nOrigin: http://canary"),
            &least_with("/ws", "/ws/canary?nick=canary"),
        ] {
            let response = match ask(request) {
                Request::Partial => panic!("{request}"),
                Request::Upgrade { upgrade, .. } => upgrade.response,
                Request::Answer { response, .. } => response,
                Request::Refused(refusal) => refusal.response(),
            };
            let text = String::from_utf8(response).unwrap();
            assert!(!text.to_lowercase().contains("canary"), "{text}");
        }
    }

    /// A generator good enough to disturb requests with (xorshift64*).
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
        }
    }

    #[test]
    fn disturbed_requests_never_panic_and_never_depend_on_cuts() {
        const BYTES: &[u8] = b"\r\n\n\n :,%?/\0\x16\x7f\xc3\xff\"*+=";
        let requests = [
            BROWSER,
            LEAST,
            "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\nGET / HTTP/1.1",
        ];
        let config = Config::default();
        let seed = 0x5eed;
        let mut random = Random(seed);
        for round in 0..20_000 {
            let mut bytes = requests[random.below(requests.len())].as_bytes().to_vec();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                let byte = match random.below(4) {
                    0 => random.below(256) as u8,
                    _ => BYTES[random.below(BYTES.len())],
                };
                match random.below(4) {
                    0 => bytes.insert(at, byte),
                    1 => bytes[at] = byte,
                    2 if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            let whole = receive(&bytes, 0, FROM_PROXY, &config);
            for len in [1, 1 + random.below(50)] {
                let pieces = receive_in_pieces(&bytes, len, &config);
                assert_eq!(whole, pieces, "seed {seed:#x}, round {round}");
            }
            if let Request::Refused(refusal) = whole {
                // This reason would mean that httparse sees another end of the head than we do.
                assert_ne!(refusal.text(), "The head is malformed.", "round {round}");
            }
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let config = Config::default();
        let mut random = Random(0x5eed);
        for _ in 0..20_000 {
            let len = random.below(300);
            let bytes: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
            // The caller's count may be anything, too.
            let already = random.below(400);
            receive(&bytes, already, FROM_PROXY, &config);
        }
    }
}
