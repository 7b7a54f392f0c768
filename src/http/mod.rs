//! The bytes of a request in; an upgrade, a plain request or a refusal out.
//! Knows no socket and no clock, no page, and nothing of rooms but that they have a name.
//!
//! `head` finds the end of a request's head and parses it, [`receive`] sorts requests by method and
//! path, `upgrade` checks the request for a WebSocket (with `origin` and `forwarded`). Before the first
//! request a proxy may name its client by a [`proxy_header()`]. [`Response`]
//! and [`Refusal::response`] render what goes back; no response repeats anything of a request.

mod date;
mod forwarded;
mod head;
mod origin;
mod proxy_header;
mod response;
mod settings;
mod upgrade;

use self::head::{Field, Head};

pub use self::date::{Date, DateCache};
pub use self::forwarded::{Forwarded, is_trusted};
pub use self::head::HEADERS_MAX;
pub use self::origin::AllowedOrigin;
pub use self::proxy_header::{LOCAL_HEADER, ProxyHeader, V1_BYTES_MAX, V2_BYTES_MAX, proxy_header};
pub use self::response::{Content, Refusal, Response};
pub use self::settings::{Settings, TrustedProxy};
pub use self::upgrade::{DEFAULT_ROOM, Upgrade, UrlSecret, accept_key, new_key};

/// What the bytes received so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'b> {
    /// The head is not complete. Keep the bytes, fewer than [`Settings::max_head_bytes`], and call
    /// [`receive`] again with more behind them.
    Partial,
    /// A correct request for a WebSocket. The head took `consumed` bytes; what follows it are
    /// frames, and may have arrived already.
    Upgrade { upgrade: Upgrade, consumed: usize },
    /// A correct plain request, whose path may not exist. Answer it with a [`Response`] or a
    /// [`Refusal`]. The head took `consumed` bytes.
    Get { get: Get<'b>, consumed: usize },
    /// Send [`Refusal::response`], or [`Refusal::response_to_head`] if `to_head`, and nothing after
    /// it, and close.
    Refused { why: Refusal, to_head: bool },
}

/// A plain request: one of the safe methods (RFC 9110 §9.2.1), which carry no body here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get<'b> {
    pub method: Method,
    /// As it was sent: without the query, percent-encoding not undone. `*` for a request about the
    /// server as a whole (RFC 9112 §3.2.4), which only OPTIONS can make.
    pub path: &'b str,
    /// Another request may follow on the connection (RFC 9112 §9.3). Otherwise close it once the
    /// response is sent.
    pub keep_alive: bool,
    is_http_11: bool,
    if_none_match: Vec<&'b [u8]>,
    accept_encoding: Vec<&'b [u8]>,
    authorization: Option<&'b [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    /// To be answered like GET; the response is rendered without its body.
    Head,
    /// Asks which methods are allowed. Load balancers send it to learn whether a server is alive.
    Options,
}

impl Method {
    fn parse(method: &str) -> Option<Self> {
        match method {
            "GET" => Some(Self::Get),
            "HEAD" => Some(Self::Head),
            "OPTIONS" => Some(Self::Options),
            _ => None,
        }
    }
}

impl Get<'_> {
    /// Whether the client has the version with this entity tag already (If-None-Match, RFC 9110
    /// §13.1.2); the answer is then 304. The comparison is the weak one (RFC 9110 §8.8.3.2): a
    /// proxy that compresses may have made a weak tag of ours.
    pub fn has_version(&self, etag: &str) -> bool {
        self.if_none_match
            .iter()
            .flat_map(|value| head::list(value))
            .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes())
    }

    /// The token of `Authorization: Bearer` (RFC 6750 §2.1), of which the scheme may be in any case
    /// (RFC 9110 §11.1).
    pub fn bearer(&self) -> Option<&[u8]> {
        let (scheme, token) = self.authorization?.split_at_checked("Bearer ".len())?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer ");
        is_bearer.then(|| token.trim_ascii())
    }

    /// Whether the answer may be compressed with gzip (Accept-Encoding, RFC 9110 §12.5.3). Without
    /// the field any coding is allowed, but clients that do not send it seldom know one. Where
    /// nothing is acceptable, the content is sent as it is.
    pub fn takes_gzip(&self) -> bool {
        let weight = |wanted: &str| {
            self.accept_encoding
                .iter()
                .flat_map(|value| head::list(value))
                .map(head::weighted)
                .find(|(coding, _)| coding.eq_ignore_ascii_case(wanted.as_bytes()))
                .map(|(_, weight)| weight)
        };
        // An `x-gzip` is the same (RFC 9110 §8.4.1.3).
        let named = weight("gzip").or_else(|| weight("x-gzip"));
        let gzip = named.or_else(|| weight("*")).unwrap_or(0);
        let identity = weight("identity").unwrap_or(0);
        gzip > 0 && gzip >= identity
    }
}

/// Looks at the bytes of a connection, from the beginning of a request on. The first `already` of
/// them were in an earlier call that returned [`Request::Partial`]; 0 if there was none. With it,
/// the work does not depend on how the bytes are cut. The outcome never does. `from_proxy`: the
/// peer is a trusted proxy ([`is_trusted`]), whose `X-Forwarded-For` is believed.
pub fn receive<'b>(
    bytes: &'b [u8],
    already: usize,
    from_proxy: bool,
    settings: &Settings,
) -> Request<'b> {
    let refused = |why| Request::Refused {
        why,
        to_head: false,
    };
    let consumed = match head::find_end(bytes, already, settings.max_head_bytes) {
        Ok(Some(end)) => end,
        Ok(None) => return Request::Partial,
        Err(why) => return refused(why),
    };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let head = match Head::parse(&bytes[..consumed], &mut headers) {
        Ok(head) => head,
        Err(why) => return refused(why),
    };
    match route(&head, from_proxy, settings) {
        Ok(Route::Upgrade(upgrade)) => Request::Upgrade { upgrade, consumed },
        Ok(Route::Get(get)) => Request::Get { get, consumed },
        Err(why) => Request::Refused {
            why,
            to_head: head.method == "HEAD",
        },
    }
}

enum Route<'b> {
    Upgrade(Upgrade),
    Get(Get<'b>),
}

fn route<'b>(
    head: &Head<'_, 'b>,
    from_proxy: bool,
    settings: &Settings,
) -> Result<Route<'b>, Refusal> {
    let target = Target::of(head).ok_or(Refusal::BadHead {
        reason: "The request target is neither a path nor an http URL.",
    })?;
    let host = host(head, &target);
    let method = Method::parse(head.method);
    let room = room(target.path);
    if room.is_some() && !matches!(method, Some(Method::Get | Method::Options)) {
        host?;
        return Err(Refusal::MethodNotAllowed {
            allow: ROOM_METHODS,
        });
    }
    // A page that asks for a WebSocket at a wrong path is to learn of it.
    if method == Some(Method::Get) && (room.is_some() || upgrade::is_wanted(head)) {
        if let Err(why) = refuse_body(head) {
            return Err(host.err().unwrap_or(why));
        }
        let room = room.ok_or(Refusal::NoWebSocketHere);
        return upgrade::check(head, host, room, target.query, from_proxy, settings)
            .map(Route::Upgrade);
    }
    host?;
    if room.is_none() && upgrade::is_wanted(head) {
        return Err(Refusal::NoWebSocketHere);
    }
    let method = method.ok_or(Refusal::MethodNotAllowed {
        allow: PLAIN_METHODS,
    })?;
    refuse_body(head)?;
    Ok(Route::Get(Get {
        method,
        path: target.path,
        keep_alive: keeps_alive(head),
        is_http_11: head.is_http_11,
        if_none_match: head.values("If-None-Match").collect(),
        accept_encoding: head.values("Accept-Encoding").collect(),
        authorization: match head.only("Authorization") {
            Field::Once(value) => Some(value),
            Field::Missing | Field::Repeated => None,
        },
    }))
}

/// The value of Allow for everything that can be fetched.
pub const PLAIN_METHODS: &str = "GET, HEAD, OPTIONS";

/// The value of Allow where a WebSocket can be opened.
pub const ROOM_METHODS: &str = "GET, OPTIONS";

/// The room, still encoded, if a WebSocket can be opened at this path: `/ws`, `/ws/` (both without
/// a room) or `/ws/ROOM`.
fn room(path: &str) -> Option<&str> {
    match path.strip_prefix("/ws")? {
        "" => Some(""),
        rest => rest.strip_prefix('/').filter(|room| !room.contains('/')),
    }
}

/// Whether a WebSocket can be opened at this path.
pub fn is_room(path: &str) -> bool {
    room(path).is_some()
}

/// No request here has a use for a body. A body is refused, not skipped, and the connection ends:
/// request smuggling lives on disagreement about where a body ends (RFC 9112 §6.3, §11.2).
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

/// The host and port by which the client calls the server: those of the target if it is a whole
/// URL (RFC 9112 §3.2.2), else the Host field, which HTTP/1.1 requires. Empty if a request of
/// HTTP/1.0 has neither.
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

/// The characters of a name, an address or a port (RFC 3986 §3.2.2). Not the comma, which is in no
/// name and could join two Host fields; not `@`, which ends a user name.
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
    /// Accepts a path, a whole URL, which every server must understand (RFC 9112 §3.2.2), and the
    /// `*` of an OPTIONS request (§3.2.4).
    fn of(head: &Head<'_, 'b>) -> Option<Self> {
        let target = head.target;
        let (authority, rest) = if target.starts_with('/') {
            (None, target)
        } else if target == "*" {
            return (head.method == "OPTIONS").then_some(Self {
                authority: None,
                path: "*",
                query: "",
            });
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
}

#[cfg(test)]
pub(crate) mod tests;
