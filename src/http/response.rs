//! What goes back: refusals with their status and text, and the fields that all responses share.
//! Refusals know no request: their texts are fixed, so nothing that a client sent is sent back.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use super::date::Date;
use super::{Get, Method};

/// Why a request is not granted. The caller sends [`Refusal::response`] and nothing after it, and
/// closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are a TLS hello.
    SpeaksTls,
    /// The bytes are not those of TLS, which is spoken at this port alone.
    NotTls,
    /// The bytes are the preface of HTTP/2 with prior knowledge (RFC 9113 §3.4).
    SpeaksHttp2,
    /// The bytes are a header of the PROXY protocol, version 1 or 2.
    SpeaksProxyProtocol,
    /// The bytes are no head of an HTTP/1 request, or one that contradicts itself.
    BadHead { reason: &'static str },
    /// The request line is longer than 2 KiB.
    TargetTooLong,
    /// There is no blank line within this many bytes.
    HeadTooLong { max_bytes: usize },
    /// There are more fields than [`super::HEADERS_MAX`].
    TooManyHeaders,
    /// The request has a body, for which there is no use here.
    HasBody,
    /// A request of HTTP/1.1 has exactly one Host field (RFC 9112 §3.2).
    BadHost,
    /// A room or nick is not UTF-8 once its percent-encoding is undone.
    NotUtf8,
    /// `history` in the query is no number.
    BadHistory,
    /// Sec-WebSocket-Protocol has an element that is no token (RFC 6455 §4.1, 10).
    BadSubprotocol,
    /// Nothing is at this path.
    NoSuchPath,
    /// A WebSocket was asked for where there is none.
    NoWebSocketHere,
    /// The path is there, but not for this method.
    MethodNotAllowed { allow: &'static str },
    /// A WebSocket was asked for over HTTP/1.0 (RFC 6455 §4.2.1, 1).
    HttpTooOld,
    /// The path of WebSockets was asked for without `Upgrade: websocket` (RFC 6455 §4.2.1, 3).
    NoUpgrade,
    /// `Upgrade: websocket` without `Connection: upgrade` (RFC 6455 §4.2.1, 4).
    NoConnectionUpgrade,
    /// Sec-WebSocket-Key is not exactly one with 16 bytes in base64 (RFC 6455 §4.2.1, 5).
    BadKey,
    /// Sec-WebSocket-Version is not exactly one 13 (RFC 6455 §4.4).
    WrongVersion,
    /// There is more than one Origin.
    RepeatedOrigin,
    /// There is no Origin, and the configuration requires one.
    NoOrigin,
    /// Pages of this Origin may not connect.
    ForeignOrigin,
    /// The signed token of the URL is not one of this server's.
    BadToken,
    /// The signed token of the URL has expired.
    TokenExpired,
    /// The room cannot have this name. The reason is a whole sentence.
    RoomName { reason: &'static str },
    /// The head was not complete by its deadline.
    HandshakeTimeout,
    /// The server has as many connections as it may.
    TooManyConnections,
    /// The client's address has as many connections as it may.
    TooManyFromAddress,
    /// The client is banned. [`Refusal::response_saying`] says until when and why.
    Banned,
    /// The server is stopping.
    Stopping,
}

/// Enough for the head of any response here, so that a response is allocated once.
const HEAD_CAPACITY: usize = 512;

impl Refusal {
    /// The status code (RFC 9110 §15).
    pub fn status(&self) -> u16 {
        match self {
            Self::SpeaksTls
            | Self::NotTls
            | Self::SpeaksHttp2
            | Self::SpeaksProxyProtocol
            | Self::BadHead { .. }
            | Self::BadHost
            | Self::NotUtf8
            | Self::BadHistory
            | Self::BadSubprotocol
            | Self::HttpTooOld
            | Self::NoConnectionUpgrade
            | Self::BadKey
            | Self::RepeatedOrigin
            | Self::RoomName { .. } => 400,
            Self::BadToken | Self::TokenExpired => 401,
            Self::NoOrigin | Self::ForeignOrigin | Self::Banned => 403,
            Self::NoSuchPath | Self::NoWebSocketHere => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::HandshakeTimeout => 408,
            Self::HasBody => 413,
            Self::TargetTooLong => 414,
            Self::NoUpgrade | Self::WrongVersion => 426,
            Self::HeadTooLong { .. } | Self::TooManyHeaders => 431,
            Self::TooManyConnections | Self::TooManyFromAddress | Self::Stopping => 503,
        }
    }

    /// Its name for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::SpeaksTls => "speaks_tls",
            Self::NotTls => "not_tls",
            Self::SpeaksHttp2 => "speaks_http2",
            Self::SpeaksProxyProtocol => "speaks_proxy_protocol",
            Self::BadHead { .. } => "bad_head",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLong { .. } => "head_too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::HasBody => "has_body",
            Self::BadHost => "bad_host",
            Self::NotUtf8 => "not_utf8",
            Self::BadHistory => "bad_history",
            Self::BadSubprotocol => "bad_subprotocol",
            Self::NoSuchPath => "no_such_path",
            Self::NoWebSocketHere => "no_websocket_here",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::HttpTooOld => "http_too_old",
            Self::NoUpgrade => "no_upgrade",
            Self::NoConnectionUpgrade => "no_connection_upgrade",
            Self::BadKey => "bad_key",
            Self::WrongVersion => "wrong_version",
            Self::RepeatedOrigin => "repeated_origin",
            Self::NoOrigin => "no_origin",
            Self::ForeignOrigin => "foreign_origin",
            Self::BadToken => "bad_token",
            Self::TokenExpired => "token_expired",
            Self::RoomName { .. } => "room_name",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFromAddress => "too_many_from_address",
            Self::Banned => "banned",
            Self::Stopping => "stopping",
        }
    }

    /// All that [`Refusal::label`] returns.
    pub const LABELS: [&'static str; 32] = [
        "speaks_tls",
        "not_tls",
        "speaks_http2",
        "speaks_proxy_protocol",
        "bad_head",
        "target_too_long",
        "head_too_long",
        "too_many_headers",
        "has_body",
        "bad_host",
        "not_utf8",
        "bad_history",
        "bad_subprotocol",
        "no_such_path",
        "no_websocket_here",
        "method_not_allowed",
        "http_too_old",
        "no_upgrade",
        "no_connection_upgrade",
        "bad_key",
        "wrong_version",
        "repeated_origin",
        "no_origin",
        "foreign_origin",
        "bad_token",
        "token_expired",
        "room_name",
        "handshake_timeout",
        "too_many_connections",
        "too_many_from_address",
        "banned",
        "stopping",
    ];

    /// What was wrong and, where that is known, what helps: whole sentences.
    pub fn text(&self) -> Cow<'static, str> {
        let text = match self {
            Self::HeadTooLong { max_bytes } => {
                return format!(
                    "The head of the request is longer than {max_bytes} bytes. (The operator can \
                     allow more with --max-head-bytes.)"
                )
                .into();
            }
            Self::Banned => "You are banned from here.",
            Self::SpeaksTls => {
                "This port speaks plain HTTP, not TLS: open http:// or ws://, or the port of \
                 --tls-listen."
            }
            Self::NotTls => "This port speaks TLS: open https:// or wss:// instead.",
            Self::SpeaksHttp2 => "This port speaks HTTP/1.1, not HTTP/2.",
            Self::SpeaksProxyProtocol => {
                "These bytes are a PROXY protocol header, which is not expected here: turn it off \
                 in the proxy, or start the server with --proxy-protocol."
            }
            Self::BadHead { reason } | Self::RoomName { reason } => reason,
            Self::TargetTooLong => "The request line is longer than 2048 bytes.",
            Self::TooManyHeaders => "The request has more than 100 header fields.",
            Self::HasBody => "The request has a body; nothing here takes one.",
            Self::BadHost => "The request must have exactly one valid Host header field.",
            Self::NotUtf8 => "The room or the nick is not UTF-8 in percent-encoding.",
            Self::BadHistory => {
                "The history in the query must be a number: how many earlier lines are shown."
            }
            Self::BadSubprotocol => {
                "Sec-WebSocket-Protocol must be a list of names without space between their \
                 characters."
            }
            Self::NoSuchPath => "There is nothing here. The chat page is at /.",
            Self::NoWebSocketHere => "There is no WebSocket here. They are at /ws and /ws/ROOM.",
            Self::MethodNotAllowed { .. } => "This method is not allowed here; Allow names others.",
            Self::HttpTooOld => {
                "A WebSocket needs HTTP/1.1. (A proxy in front? nginx needs \
                 proxy_http_version 1.1.)"
            }
            Self::NoUpgrade => {
                "Open a WebSocket here: the request has no \"Upgrade: websocket\". (A proxy in \
                 front must pass Upgrade and Connection on.)"
            }
            Self::NoConnectionUpgrade => {
                "The request has no \"Connection: upgrade\". (A proxy in front must pass Upgrade \
                 and Connection on.)"
            }
            Self::BadKey => {
                "The request must have exactly one Sec-WebSocket-Key with 16 bytes in base64."
            }
            Self::WrongVersion => "The request must have exactly one Sec-WebSocket-Version: 13.",
            Self::RepeatedOrigin => "The request has more than one Origin.",
            Self::NoOrigin => "The request has no Origin, and this server requires one.",
            Self::ForeignOrigin => {
                "Pages of this Origin may not connect. (The operator can allow it with \
                 --allow-origin; a proxy in front must pass Host on.)"
            }
            Self::BadToken => "The token of the URL is not accepted here.",
            Self::TokenExpired => "The token of the URL has expired. Get a new one.",
            Self::HandshakeTimeout => "The request was not complete in time.",
            Self::TooManyConnections => "The server is full. Try again later.",
            Self::TooManyFromAddress => "Your address has too many connections. Close one.",
            Self::Stopping => "The server is stopping. Try again later.",
        };
        text.into()
    }

    /// The whole response: the head with `Connection: close` and the text as its body.
    pub fn response(&self, date: Date) -> Vec<u8> {
        self.render(date, &self.text(), true)
    }

    /// The same with another text, whole sentences that must not be of this client.
    pub fn response_saying(&self, date: Date, text: &str) -> Vec<u8> {
        self.render(date, text, true)
    }

    /// The head alone, which is all that may answer a HEAD request (RFC 9110 §9.3.2).
    pub fn response_to_head(&self, date: Date) -> Vec<u8> {
        self.render(date, &self.text(), false)
    }

    fn render(&self, date: Date, text: &str, with_body: bool) -> Vec<u8> {
        let mut response = begin(self.status(), date, text.len() + 1);
        field(&mut response, "Content-Type", "text/plain; charset=utf-8");
        content_length(&mut response, text.len() + 1);
        field(&mut response, "Cache-Control", "no-store");
        field(&mut response, "X-Content-Type-Options", "nosniff");
        match self {
            Self::MethodNotAllowed { allow } => field(&mut response, "Allow", allow),
            // A 401 needs it (RFC 9110 §15.5.2, RFC 6750 §3.1).
            Self::BadToken | Self::TokenExpired => {
                let challenge = "Bearer error=\"invalid_token\"";
                field(&mut response, "WWW-Authenticate", challenge);
            }
            // A sender of Upgrade names it in Connection, too (RFC 9110 §7.8).
            Self::NoUpgrade | Self::WrongVersion => {
                field(&mut response, "Upgrade", "websocket");
                field(&mut response, "Sec-WebSocket-Version", "13");
            }
            Self::TooManyConnections | Self::TooManyFromAddress | Self::Stopping => {
                field(&mut response, "Retry-After", RETRY_AFTER_SECONDS);
            }
            Self::SpeaksTls
            | Self::NotTls
            | Self::SpeaksHttp2
            | Self::SpeaksProxyProtocol
            | Self::BadHead { .. }
            | Self::TargetTooLong
            | Self::HeadTooLong { .. }
            | Self::TooManyHeaders
            | Self::HasBody
            | Self::BadHost
            | Self::NotUtf8
            | Self::BadHistory
            | Self::BadSubprotocol
            | Self::NoSuchPath
            | Self::NoWebSocketHere
            | Self::HttpTooOld
            | Self::NoConnectionUpgrade
            | Self::BadKey
            | Self::RepeatedOrigin
            | Self::NoOrigin
            | Self::ForeignOrigin
            | Self::RoomName { .. }
            | Self::Banned
            | Self::HandshakeTimeout => {}
        }
        let connection = if self.status() == 426 {
            "close, upgrade"
        } else {
            "close"
        };
        field(&mut response, "Connection", connection);
        end(&mut response);
        if with_body {
            response.extend_from_slice(text.as_bytes());
            response.push(b'\n');
        }
        response
    }
}

/// Long enough for a few connections to have ended, short enough for a person to wait.
const RETRY_AFTER_SECONDS: &str = "10";

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status(), self.text())
    }
}

/// A response to a plain request.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub status: u16,
    /// Fields besides Date, Connection and those of the content. Names and values are ours, never a
    /// client's.
    pub fields: &'a [(&'static str, &'a str)],
    /// `None`: the status has no content (204, 304).
    pub content: Option<Content<'a>>,
}

/// The body of a response and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    pub content_type: &'a str,
    pub body: &'a [u8],
}

impl Response<'_> {
    /// The bytes that answer `get`; for HEAD, without the body.
    pub fn render(&self, get: &Get<'_>, date: Date) -> Vec<u8> {
        let body_bytes = self.content.map_or(0, |content| content.body.len());
        let mut response = begin(self.status, date, body_bytes);
        if let Some(content) = self.content {
            field(&mut response, "Content-Type", content.content_type);
            content_length(&mut response, body_bytes);
        }
        for (name, value) in self.fields {
            field(&mut response, name, value);
        }
        match (get.keep_alive, get.is_http_11) {
            // The default of each version need not be mentioned (RFC 9112 §9.3).
            (true, true) => {}
            (true, false) => field(&mut response, "Connection", "keep-alive"),
            (false, _) => field(&mut response, "Connection", "close"),
        }
        end(&mut response);
        match self.content {
            Some(content) if get.method != Method::Head => response.extend_from_slice(content.body),
            Some(_) | None => {}
        }
        response
    }
}

/// The status line and the date, with capacity for all that follows: [`field`]s, then [`end`], then
/// the body.
fn begin(status: u16, date: Date, body_bytes: usize) -> Vec<u8> {
    let phrase = match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        // A client reads the number (RFC 9112 §4); the phrase may be empty.
        _ => "",
    };
    let mut response = Vec::with_capacity(HEAD_CAPACITY + body_bytes);
    write(
        &mut response,
        format_args!("HTTP/1.1 {status} {phrase}\r\n"),
    );
    field(&mut response, "Date", date.as_str());
    response
}

/// One field. Names and values are ours, never a client's.
fn field(response: &mut Vec<u8>, name: &'static str, value: &str) {
    debug_assert!(!value.contains(['\r', '\n']), "{name} would end early");
    for part in [name, ": ", value, "\r\n"] {
        response.extend_from_slice(part.as_bytes());
    }
}

/// How long the body is, or would be if this were not the answer to HEAD.
fn content_length(response: &mut Vec<u8>, len: usize) {
    write(response, format_args!("Content-Length: {len}\r\n"));
}

/// The blank line.
fn end(response: &mut Vec<u8>) {
    response.extend_from_slice(b"\r\n");
}

fn write(response: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    response
        .write_fmt(text)
        .expect("writing to a Vec does not fail");
}

#[cfg(test)]
mod tests {
    use super::super::tests::Parsed;
    use super::*;

    #[test]
    fn each_refusal_is_a_whole_response_with_its_status_and_text() {
        let reason = "A reason.";
        for (refusal, status, fragment) in [
            (
                Refusal::SpeaksTls,
                400,
                "this port speaks plain http, not tls",
            ),
            (Refusal::NotTls, 400, "this port speaks tls"),
            (Refusal::SpeaksHttp2, 400, "not http/2"),
            (
                Refusal::SpeaksProxyProtocol,
                400,
                "proxy protocol header, which is not expected here: turn it off in the proxy, or \
                 start the server with --proxy-protocol",
            ),
            (Refusal::BadHead { reason }, 400, "a reason."),
            (Refusal::TargetTooLong, 414, "2048"),
            (
                Refusal::HeadTooLong { max_bytes: 5000 },
                431,
                "longer than 5000 bytes. (the operator can allow more with --max-head-bytes.)",
            ),
            (Refusal::TooManyHeaders, 431, "100"),
            (Refusal::HasBody, 413, "body"),
            (Refusal::BadHost, 400, "host"),
            (Refusal::NotUtf8, 400, "utf-8"),
            (Refusal::BadHistory, 400, "number"),
            (Refusal::BadSubprotocol, 400, "sec-websocket-protocol"),
            (Refusal::NoSuchPath, 404, "nothing here"),
            (Refusal::NoWebSocketHere, 404, "/ws/room"),
            (Refusal::MethodNotAllowed { allow: "GET" }, 405, "method"),
            (Refusal::HttpTooOld, 400, "http/1.1"),
            (Refusal::NoUpgrade, 426, "open a websocket"),
            (Refusal::NoConnectionUpgrade, 400, "connection: upgrade"),
            (Refusal::BadKey, 400, "sec-websocket-key"),
            (Refusal::WrongVersion, 426, "sec-websocket-version"),
            (Refusal::RepeatedOrigin, 400, "more than one origin"),
            (Refusal::NoOrigin, 403, "no origin"),
            (Refusal::ForeignOrigin, 403, "--allow-origin"),
            (Refusal::RoomName { reason }, 400, "a reason."),
            (Refusal::HandshakeTimeout, 408, "not complete in time"),
            (Refusal::TooManyConnections, 503, "full"),
            (Refusal::TooManyFromAddress, 503, "your address"),
            (Refusal::Stopping, 503, "stopping"),
        ] {
            let date = Date::at(784_111_777);
            let bytes = refusal.response(date);
            let response = Parsed::from(&bytes);
            assert_eq!(
                (response.status, refusal.status()),
                (status, status),
                "{refusal:?}"
            );
            assert!(
                response.text().to_lowercase().contains(fragment),
                "{refusal:?}"
            );
            assert!(Refusal::LABELS.contains(&refusal.label()), "{refusal:?}");
            assert_eq!(response.text(), format!("{}\n", refusal.text()));
            assert_eq!(refusal.to_string(), format!("{status} {}", refusal.text()));
            assert!(response.field("Connection").unwrap().starts_with("close"));
            assert_eq!(
                response.field("Content-Type"),
                Some("text/plain; charset=utf-8")
            );
            let upgrade = (status == 426).then_some("websocket");
            assert_eq!(response.field("Upgrade"), upgrade);
            assert_eq!(
                response.field("Sec-WebSocket-Version"),
                upgrade.map(|_| "13")
            );
            assert_eq!(
                response.field("Retry-After"),
                (status == 503).then_some("10")
            );
            assert_eq!(response.field("Allow"), (status == 405).then_some("GET"));

            assert_eq!(
                response.field("Date"),
                Some("Sun, 06 Nov 1994 08:49:37 GMT")
            );

            let head = refusal.response_to_head(date);
            assert!(
                head.ends_with(b"\r\n\r\n") && bytes.starts_with(&head),
                "{refusal:?}"
            );
            assert!(bytes.len() > head.len() && head.len() <= HEAD_CAPACITY);
        }
    }
}
