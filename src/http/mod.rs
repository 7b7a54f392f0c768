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
mod settings;
mod upgrade;

use self::head::{Field, Head};

pub use self::forwarded::is_trusted;
pub use self::head::{HEAD_BYTES_MAX, HEADERS_MAX};
pub use self::origin::AllowedOrigin;
pub use self::response::Refusal;
pub use self::settings::{Settings, TrustedProxy};
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
pub fn receive(bytes: &[u8], already: usize, from_proxy: bool, settings: &Settings) -> Request {
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
    match route(&head, from_proxy, settings) {
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

fn route(head: &Head<'_, '_>, from_proxy: bool, settings: &Settings) -> Result<Route, Refusal> {
    let target = Target::parse(head.target).ok_or(Refusal::BadHead {
        reason: "The request target is neither a path nor an http URL.",
    })?;
    let host = host(head, &target)?;
    if let Some(room) = target.room() {
        allow(head, "GET")?;
        refuse_body(head)?;
        return upgrade::check(head, host, room, target.query, from_proxy, settings)
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
mod tests;
