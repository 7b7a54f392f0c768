//! Requests as bytes, whole and cut anywhere, and what [`receive`] makes of them.

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

/// A response, read back by httparse. Its body has the length that its head states.
pub(crate) struct Parsed {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Parsed {
    pub(crate) fn from(bytes: &[u8]) -> Self {
        let parsed = Self::from_head(bytes);
        let len = parsed
            .field("Content-Length")
            .map(|len| len.parse().unwrap());
        assert_eq!(parsed.body.len(), len.unwrap_or(0));
        parsed
    }

    /// The same for an answer to HEAD.
    pub(crate) fn from_head(bytes: &[u8]) -> Self {
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

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// The outcome of bytes that come in pieces of this length.
fn receive_in_pieces<'b>(bytes: &'b [u8], len: usize, settings: &Settings) -> Request<'b> {
    let mut already = 0;
    while already < bytes.len() {
        let end = bytes.len().min(already + len);
        match receive(&bytes[..end], already, FROM_PROXY, settings) {
            Request::Partial => already = end,
            outcome => return outcome,
        }
    }
    Request::Partial
}

/// The outcome of these bytes, whole, one by one, and cut in two anywhere: always the same.
fn receive_any_way<'b>(bytes: &'b [u8], settings: &Settings) -> Request<'b> {
    let outcome = receive(bytes, 0, FROM_PROXY, settings);
    let shown = bytes.escape_ascii();
    assert_eq!(
        outcome,
        receive_in_pieces(bytes, 1, settings),
        "one by one: {shown}"
    );
    for cut in 1..bytes.len() {
        match receive(&bytes[..cut], 0, FROM_PROXY, settings) {
            Request::Partial => {
                let rest = receive(bytes, cut, FROM_PROXY, settings);
                assert_eq!(outcome, rest, "cut at {cut}: {shown}");
            }
            early => assert_eq!(outcome, early, "cut at {cut}: {shown}"),
        }
    }
    outcome
}

/// What comes of a request with the default configuration. A good one is not answered before
/// its last byte.
fn ask(request: &str) -> Request<'_> {
    let outcome = receive_any_way(request.as_bytes(), &Settings::default());
    if let Request::Upgrade { consumed, .. } | Request::Get { consumed, .. } = outcome {
        assert_eq!(consumed, request.len());
        for cut in 0..consumed {
            let prefix = &request.as_bytes()[..cut];
            let outcome = receive(prefix, 0, FROM_PROXY, &Settings::default());
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
        Request::Refused { why, .. } => why,
        outcome => panic!("{outcome:?}: {request}"),
    }
}

#[track_caller]
fn get(request: &str) -> Get<'_> {
    match ask(request) {
        Request::Get { get, .. } => get,
        outcome => panic!("{outcome:?}: {request}"),
    }
}

/// A refusal of a request that is not HEAD.
fn refused(why: Refusal) -> Request<'static> {
    Request::Refused {
        why,
        to_head: false,
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
        assert_eq!((upgrade.room, upgrade.nick), (None, None));
        assert_eq!((upgrade.history, upgrade.subprotocol), (None, None));
        assert_eq!(upgrade.wrong, None);
        assert_eq!(upgrade.forwarded_for, Forwarded::Unnamed);
    }
}

#[test]
fn variations_of_clients_and_proxies_are_accepted() {
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
        assert_eq!(upgrade.room, None);
    }
    let bare_line_feeds = LEAST.replace("\r\n", "\n");
    assert_eq!(upgrade(&bare_line_feeds).response, ACCEPTED.as_bytes());
}

#[test]
fn request_that_breaks_a_rule_is_refused() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let bad_head = |reason| Refusal::BadHead { reason };
    let get = Refusal::MethodNotAllowed {
        allow: "GET, OPTIONS",
    };
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

/// Cookies of other services on the same host must not lock a browser out.
#[test]
fn head_with_12_kb_of_cookies_passes() {
    let cookie = format!("Cookie: session={}\r\nHost:", "y".repeat(12_000));
    let request = least_with("Host:", &cookie);
    let outcome = receive(request.as_bytes(), 0, FROM_PROXY, &Settings::default());
    assert!(matches!(outcome, Request::Upgrade { .. }), "{outcome:?}");
}

#[test]
fn head_that_is_too_large_in_any_way_is_refused() {
    let settings = Settings {
        max_head_bytes: 4000,
        ..Settings::default()
    };
    let with = |fields: &str| least_with("Host:", &format!("{fields}Host:"));
    let outcome = |request: &str, len| match receive_in_pieces(request.as_bytes(), len, &settings) {
        Request::Upgrade { .. } => None,
        Request::Refused { why, .. } => Some(why),
        outcome => panic!("{outcome:?}"),
    };
    let padded = |len: usize| {
        let unpadded = with("X: \r\n").len();
        with(&format!("X: {}\r\n", "y".repeat(len - unpadded)))
    };
    let long_path = least_with("/ws", &format!("/ws/{}", "y".repeat(head::LINE_BYTES_MAX)));
    let too_long = Refusal::HeadTooLong { max_bytes: 4000 };
    for (request, expected) in [
        (with(&"X: y\r\n".repeat(HEADERS_MAX - 5)), None),
        (
            with(&"X: y\r\n".repeat(HEADERS_MAX - 4)),
            Some(Refusal::TooManyHeaders),
        ),
        (padded(4000), None),
        (padded(4001), Some(too_long)),
        (padded(40_000), Some(too_long)),
        (long_path, Some(Refusal::TargetTooLong)),
    ] {
        for len in [1, 100, 100_000] {
            assert_eq!(outcome(&request, len), expected, "{} bytes", request.len());
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
            (
                upgrade.room.as_deref().unwrap_or(DEFAULT_ROOM),
                upgrade.nick.as_deref()
            ),
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
    assert_eq!(wrong(&foreign), Refusal::ForeignOrigin);
    assert_eq!(wrong(&null), Refusal::ForeignOrigin);
    assert_eq!(wrong(&two), Refusal::RepeatedOrigin);

    let settings = Settings {
        allow_origins: vec![AllowedOrigin::Any],
        require_origin: true,
        ..Settings::default()
    };
    for (request, why) in [
        (&own, None),
        (&foreign, None),
        (&null, None),
        (&two, Some(Refusal::RepeatedOrigin)),
    ] {
        let outcome = receive_any_way(request.as_bytes(), &settings);
        let Request::Upgrade { upgrade, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(upgrade.wrong, why);
    }
    let outcome = receive_any_way(LEAST.as_bytes(), &settings);
    assert_eq!(outcome, refused(Refusal::NoOrigin));

    // A whole URL as the target overrules the Host.
    upgrade(&foreign.replace("/ws", "http://b.example/ws"));
    assert_eq!(
        wrong(&own.replace("/ws", "http://b.example/ws")),
        Refusal::ForeignOrigin
    );
}

#[test]
fn a_trusted_proxy_names_the_client() {
    let forwarded = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 203.0.113.7\r\nHost:";
    let request = least_with("Host:", forwarded);
    assert_eq!(
        upgrade(&request).forwarded_for,
        Forwarded::Client("203.0.113.7".parse().unwrap())
    );
    let outcome = receive(request.as_bytes(), 0, false, &Settings::default());
    let Request::Upgrade { upgrade, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(upgrade.forwarded_for, Forwarded::Unnamed);
}

#[test]
fn bytes_after_the_head_are_left_alone() {
    let frame = b"\x81\x82\x00\x00\x00\x00hi";
    let bytes = [LEAST.as_bytes(), frame].concat();
    let Request::Upgrade { consumed, .. } = receive_any_way(&bytes, &Settings::default()) else {
        panic!()
    };
    assert_eq!(&bytes[consumed..], frame);

    let page = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let bytes = [page, page].concat().into_bytes();
    let outcome = receive_any_way(&bytes, &Settings::default());
    let Request::Get { get, consumed } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((consumed, get.keep_alive), (page.len(), true));
}

#[test]
fn plain_request_is_returned_with_its_method_and_path() {
    for (request, method, path) in [
        ("GET / HTTP/1.1", Method::Get, "/"),
        ("GET /?nick=ann HTTP/1.1", Method::Get, "/"),
        ("GET http://a HTTP/1.1", Method::Get, "/"),
        ("GET http://a/app.js?x HTTP/1.1", Method::Get, "/app.js"),
        ("GET /no%20page HTTP/1.1", Method::Get, "/no%20page"),
        ("GET //ws HTTP/1.1", Method::Get, "//ws"),
        ("HEAD /metrics HTTP/1.1", Method::Head, "/metrics"),
        ("OPTIONS / HTTP/1.1", Method::Options, "/"),
        ("OPTIONS * HTTP/1.1", Method::Options, "*"),
        ("OPTIONS /ws/den HTTP/1.1", Method::Options, "/ws/den"),
    ] {
        let request = format!("{request}\r\nHost: a\r\n\r\n");
        let get = get(&request);
        assert_eq!((get.method, get.path), (method, path));
    }
    // HAProxy's health check.
    let get = get("OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!((get.method, get.keep_alive), (Method::Options, false));
}

#[test]
fn client_has_a_version_that_its_list_of_tags_names() {
    for (fields, has_version) in [
        ("If-None-Match: \"tag\"\r\n", true),
        ("If-None-Match: W/\"tag\"\r\n", true),
        ("If-None-Match: \"other\", W/\"other\" , \"tag\"\r\n", true),
        (
            "If-None-Match: \"other\"\r\nIf-None-Match: \"tag\"\r\n",
            true,
        ),
        ("If-None-Match: *\r\n", true),
        ("If-None-Match: \"other\"\r\n", false),
        ("If-None-Match: tag\r\n", false),
        ("If-None-Match: w/\"tag\"\r\n", false),
        ("If-None-Match:\r\n", false),
        ("If-Match: \"tag\"\r\n", false),
        ("", false),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(
            get(&request).has_version("\"tag\""),
            has_version,
            "{fields}"
        );
    }
}

#[test]
fn connection_is_kept_as_its_version_and_its_client_say() {
    for (version, connection, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: Close\r\n", false),
        ("1.1", "Connection: x, close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let request = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(get(&request).keep_alive, keep_alive, "{request}");
    }
    assert!(!get("GET / HTTP/1.0\r\n\r\n").keep_alive);
}

#[test]
fn refusal_of_a_head_request_is_marked() {
    for (request, to_head) in [
        ("HEAD /ws HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
            true,
        ),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", false),
    ] {
        let outcome = ask(request);
        assert!(
            matches!(outcome, Request::Refused { to_head: is, .. } if is == to_head),
            "{outcome:?}"
        );
    }
}

#[test]
fn other_plain_requests_are_refused() {
    let allow = "GET, HEAD, OPTIONS";
    let close = "Host: a\r\n\r\n";
    for (request, expected) in [
        (
            format!("POST /nothing HTTP/1.1\r\n{close}"),
            Refusal::MethodNotAllowed { allow },
        ),
        (
            format!("POST / HTTP/1.1\r\n{close}"),
            Refusal::MethodNotAllowed { allow },
        ),
        (
            format!("GET * HTTP/1.1\r\n{close}"),
            Refusal::BadHead {
                reason: "The request target is neither a path nor an http URL.",
            },
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
fn response_repeats_nothing_of_its_request() {
    for request in [
        "PUT /canary HTTP/1.1\r\nHost: canary\r\nX: canary\r\n\r\n",
        "CANARY / HTTP/1.1\r\nHost: canary\r\n\r\n",
        &least_with("a.example", "canary"),
        &least_with("a.example", "canary\r\nSec-WebSocket-Protocol: canary"),
        &least_with("a.example", "a.example\r\nOrigin: http://canary"),
        &least_with("/ws", "/ws/canary?nick=canary"),
    ] {
        let response = match ask(request) {
            Request::Partial | Request::Get { .. } => panic!("{request}"),
            Request::Upgrade { upgrade, .. } => upgrade.response,
            Request::Refused { why, .. } => why.response(Date::at(0)),
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
    let settings = Settings::default();
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
        let whole = receive(&bytes, 0, FROM_PROXY, &settings);
        for len in [1, 1 + random.below(50)] {
            let pieces = receive_in_pieces(&bytes, len, &settings);
            assert_eq!(whole, pieces, "seed {seed:#x}, round {round}");
        }
        if let Request::Refused { why, .. } = whole {
            // This reason would mean that httparse sees another end of the head than we do.
            assert_ne!(why.text(), "The head is malformed.", "round {round}");
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let settings = Settings::default();
    let mut random = Random(0x5eed);
    for _ in 0..20_000 {
        let len = random.below(300);
        let bytes: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
        // The caller's count may be anything, too.
        let already = random.below(400);
        receive(&bytes, already, FROM_PROXY, &settings);
    }
}

/// Two that the server knows; it prefers none of them.
const SUBPROTOCOLS: &[&str] = &["parlor.v1.json", "parlor.v2.json"];

fn knowing_subprotocols() -> Settings {
    Settings {
        subprotocols: SUBPROTOCOLS,
        ..Settings::default()
    }
}

/// The least request with these fields, to a server that knows [`SUBPROTOCOLS`].
#[track_caller]
fn upgrade_offering(fields: &str) -> Upgrade {
    let request = least_with(
        "Host: a.example\r\n",
        &format!("Host: a.example\r\n{fields}"),
    );
    match receive_any_way(request.as_bytes(), &knowing_subprotocols()) {
        Request::Upgrade { upgrade, .. } => upgrade,
        outcome => panic!("{outcome:?}: {request}"),
    }
}

#[test]
fn first_known_subprotocol_of_the_client_is_chosen_and_named_once() {
    let field = |value: &str| format!("Sec-WebSocket-Protocol: {value}\r\n");
    for (fields, chosen) in [
        (field("parlor.v1.json"), "parlor.v1.json"),
        (field("chat, parlor.v1.json"), "parlor.v1.json"),
        (field("parlor.v2.json,parlor.v1.json"), "parlor.v2.json"),
        (field(",parlor.v1.json ,\tparlor.v2.json"), "parlor.v1.json"),
        (field("chat") + &field("parlor.v2.json"), "parlor.v2.json"),
        (
            field("parlor.v2.json, x") + &field("parlor.v1.json"),
            "parlor.v2.json",
        ),
        (field("parlor.v1.json, parlor.v1.json"), "parlor.v1.json"),
    ] {
        let upgrade = upgrade_offering(&fields);
        assert_eq!(upgrade.subprotocol, Some(chosen), "{fields}");
        assert!(upgrade.is_browser);
        let response = Parsed::from(&upgrade.response);
        assert_eq!(response.field("Sec-WebSocket-Protocol"), Some(chosen));
        assert_eq!(
            response.field("Sec-WebSocket-Accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
    }
}

#[test]
fn unknown_subprotocols_are_ignored() {
    for fields in [
        "Sec-WebSocket-Protocol: chat, superchat\r\n",
        "Sec-WebSocket-Protocol: PARLOR.V1.JSON\r\n",
        "Sec-WebSocket-Protocol: parlor.v1\r\n",
        "Sec-WebSocket-Protocol:\r\n",
        "Sec-WebSocket-Protocol: ,\r\n",
        "",
    ] {
        let upgrade = upgrade_offering(fields);
        assert_eq!(upgrade.subprotocol, None, "{fields}");
        assert!(!upgrade.is_browser);
        assert_eq!(upgrade.response, ACCEPTED.as_bytes());
    }
}

#[test]
fn subprotocol_that_is_no_token_is_refused() {
    for value in [
        "parlor v1",
        "parlor.v1.json; q=1",
        "parlor, a/b",
        "\"parlor.v1.json\"",
        "parlör",
    ] {
        let field = format!("Host: a.example\r\nSec-WebSocket-Protocol: {value}\r\n");
        let request = least_with("Host: a.example\r\n", &field);
        let outcome = receive_any_way(request.as_bytes(), &knowing_subprotocols());
        assert_eq!(outcome, refused(Refusal::BadSubprotocol), "{value}");
    }
}

/// What a page is to learn of its request behind a 101.
#[track_caller]
fn wrong(request: &str) -> Refusal {
    let outcome = receive_any_way(request.as_bytes(), &knowing_subprotocols());
    let Request::Upgrade { upgrade, .. } = outcome else {
        panic!("{outcome:?}: {request}");
    };
    assert!(upgrade.is_browser);
    let names = (upgrade.room, upgrade.nick, upgrade.history);
    assert_eq!(names, (None, None, None));
    assert_eq!(Parsed::from_head(&upgrade.response).status, 101);
    upgrade.wrong.expect("something is wrong")
}

#[test]
fn wrong_request_is_refused_behind_the_101_where_a_page_may_have_sent_it() {
    let host = "Host: a.example\r\n";
    let url = |target: &str| least_with("/ws", target);
    for (request, why) in [
        (url("/ws/%ff?nick=ann"), Refusal::NotUtf8),
        (url("/ws/den?nick=%ff"), Refusal::NotUtf8),
        (url("/ws/den?nick=ann&history=all"), Refusal::BadHistory),
        (url("/ws/den/more"), Refusal::NoWebSocketHere),
        (url("/chat"), Refusal::NoWebSocketHere),
        (least_with(host, ""), Refusal::BadHost),
        (least_with(host, "Host: a b\r\n"), Refusal::BadHost),
        (
            least_with(host, "Host: a.example\r\nSec-WebSocket-Protocol: a/b\r\n"),
            Refusal::BadSubprotocol,
        ),
    ] {
        let outcome = receive_any_way(request.as_bytes(), &knowing_subprotocols());
        assert_eq!(outcome, refused(why), "{request}");
        for field in [
            "Origin: http://a.example\r\n",
            "Sec-WebSocket-Protocol: parlor.v1.json\r\n",
        ] {
            let request = request.replacen("Upgrade:", &format!("{field}Upgrade:"), 1);
            assert_eq!(wrong(&request), why, "{request}");
        }
    }
}

#[test]
fn request_without_a_handshake_is_refused_also_where_a_page_may_have_sent_it() {
    for (part, instead, why) in [
        ("HTTP/1.1", "HTTP/1.0", Refusal::HttpTooOld),
        ("Upgrade: websocket\r\n", "", Refusal::NoUpgrade),
        ("Connection: Upgrade\r\n", "", Refusal::NoConnectionUpgrade),
        ("dGhl", "dGh", Refusal::BadKey),
        ("Version: 13", "Version: 8", Refusal::WrongVersion),
        (
            "GET",
            "POST",
            Refusal::MethodNotAllowed {
                allow: "GET, OPTIONS",
            },
        ),
        (
            "\r\n\r\n",
            "\r\nContent-Length: 1\r\n\r\n",
            Refusal::HasBody,
        ),
    ] {
        let request = least_with("Host:", "Origin: null\r\nHost:");
        assert!(request.contains(part), "{part}");
        assert_eq!(refusal(&request.replacen(part, instead, 1)), why);
    }
}

#[test]
fn history_of_the_query_is_passed_on() {
    let request = least_with("/ws", "/ws/den?nick=ann&history=0");
    assert_eq!(upgrade(&request).history, Some(0));
}

#[test]
fn client_takes_gzip_if_it_says_so_and_does_not_prefer_the_content_as_it_is() {
    for (fields, takes) in [
        ("Accept-Encoding: gzip, deflate, br, zstd\r\n", true),
        (
            "Accept-Encoding: deflate\r\nAccept-Encoding: GZIP\r\n",
            true,
        ),
        ("Accept-Encoding: x-gzip\r\n", true),
        ("Accept-Encoding: *\r\n", true),
        ("Accept-Encoding: gzip;q=0.001\r\n", true),
        ("Accept-Encoding: br;q=1.0, gzip;q=0.8, *;q=0\r\n", true),
        ("Accept-Encoding: gzip;q=0.5, identity;q=0.5\r\n", true),
        ("Accept-Encoding: identity;q=0, gzip;q=0.1\r\n", true),
        ("Accept-Encoding: gzip;q=0.5, identity\r\n", false),
        ("Accept-Encoding: gzip;q=0, *\r\n", false),
        ("Accept-Encoding: gzip;q=0.000\r\n", false),
        ("Accept-Encoding: gzip;q=x\r\n", false),
        ("Accept-Encoding: *;q=0\r\n", false),
        ("Accept-Encoding: br\r\n", false),
        ("Accept-Encoding: gzipped\r\n", false),
        ("Accept-Encoding: identity\r\n", false),
        ("Accept-Encoding:\r\n", false),
        ("TE: gzip\r\n", false),
        ("", false),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(get(&request).takes_gzip(), takes, "{fields}");
    }
}
