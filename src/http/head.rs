//! Where the head of a request ends, what bounds it, and what stands in it.
//! Knows the grammar of HTTP/1 and no meaning: no path, no WebSocket.
//! The answer never depends on how the bytes were cut on their way.

use httparse::{Error, Header};

use super::response::Refusal;

/// The most header fields a head may have. Apache, Envoy and HAProxy pass on 100 (101), so what
/// comes through such a proxy passes here too. A browser sends about 15, all cookies in one of
/// them.
pub const HEADERS_MAX: usize = 100;

/// The longest request line. The longest of ours is `/ws/ROOM?nick=NICK`, at most three times
/// the bytes of its names.
pub(super) const LINE_BYTES_MAX: usize = 2 * 1024;

/// Empty lines before a request are tolerated (RFC 9112 §2.2), as some clients send one.
const EMPTY_LINE_BYTES_MAX: usize = 8;

/// The index after the blank line, or `None` while there is none. The first `already` bytes were
/// searched in an earlier call, so a head that arrives byte by byte is searched once. A head of
/// more than `max_bytes`, the blank line included, is refused; after `None`, `bytes` are fewer than
/// that.
///
/// Bytes that cannot become a request are refused at once: a TLS hello, an HTTP/2 preface, the
/// greeting of another protocol. Their senders wait for an answer and would otherwise get none
/// before the deadline.
pub(super) fn find_end(
    bytes: &[u8],
    already: usize,
    max_bytes: usize,
) -> Result<Option<usize>, Refusal> {
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = bytes.iter().take_while(|byte| is_line_end(byte)).count();
    if start > EMPTY_LINE_BYTES_MAX {
        return Err(Refusal::BadHead {
            reason: "There are too many empty lines before the request.",
        });
    }
    let from = already.min(bytes.len()).max(start);
    // Of the bytes searched before, only a request line is searched again.
    let mut in_request_line = !bytes[start..from].contains(&b'\n');
    let mut at = from;
    let end = bytes.len().min(max_bytes);
    while at < end {
        // Skips printable characters, which is what most of a head consists of.
        let skippable = match in_request_line {
            false => end,
            true if at > start => end.min(start + LINE_BYTES_MAX),
            true => at,
        };
        let is_printable = |byte: &&u8| **byte >= b' ' && **byte != 0x7F;
        let skipped = bytes[at..skippable.max(at)].iter().take_while(is_printable);
        at += skipped.count();
        if at == end {
            break;
        }
        match bytes[at] {
            b'\n' if in_request_line => {
                check_request_line(&bytes[..=at], start)?;
                in_request_line = false;
            }
            b'\n' if ends_with_blank_line(&bytes[..=at]) => return Ok(Some(at + 1)),
            b'\n' | b'\r' | b'\t' => {}
            // The first byte of a TLS record that carries a handshake (RFC 8446 §5.1).
            0x16 if at == 0 => return Err(Refusal::SpeaksTls),
            // The signature of PROXY protocol version 2 goes on with "\r\nQUIT\n" (its §2.2).
            0 if bytes[..at] == *b"\r\n\r\n" => return Err(Refusal::SpeaksProxyProtocol),
            byte if byte.is_ascii_control() => {
                return Err(Refusal::BadHead {
                    reason: "There is a control character in the head.",
                });
            }
            byte if at == start && !byte.is_ascii_graphic() => {
                return Err(Refusal::BadHead {
                    reason: "This does not begin as an HTTP request does.",
                });
            }
            _ => {}
        }
        if in_request_line && at - start >= LINE_BYTES_MAX {
            return Err(Refusal::TargetTooLong);
        }
        at += 1;
    }
    if bytes.len() >= max_bytes {
        return Err(Refusal::HeadTooLong { max_bytes });
    }
    Ok(None)
}

/// Line ends may be bare line feeds (RFC 9112 §2.2), and in one head of both kinds.
fn ends_with_blank_line(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n\n") || bytes.ends_with(b"\n\r\n")
}

/// Refuses a malformed request line before the fields have arrived.
fn check_request_line(line: &[u8], start: usize) -> Result<(), Refusal> {
    match httparse::Request::new(&mut []).parse(line) {
        Ok(_) => Ok(()),
        Err(_) if line[start..].starts_with(b"PRI * HTTP/2") => Err(Refusal::SpeaksHttp2),
        // Version 1 is a line of text (PROXY protocol §2.1).
        Err(_) if line[start..].starts_with(b"PROXY ") => Err(Refusal::SpeaksProxyProtocol),
        Err(error) => Err(refusal(error)),
    }
}

fn refusal(error: Error) -> Refusal {
    let reason = match error {
        Error::TooManyHeaders => return Refusal::TooManyHeaders,
        Error::HeaderName => "The name of a header field is malformed.",
        Error::HeaderValue => "The value of a header field is malformed.",
        Error::NewLine => "A line end is malformed.",
        Error::Version => "The HTTP version is neither 1.1 nor 1.0.",
        Error::Token | Error::Status => "The request line is malformed.",
    };
    Refusal::BadHead { reason }
}

/// A complete head, its parts borrowed from the bytes it came in.
pub(super) struct Head<'h, 'b> {
    pub(super) method: &'b str,
    /// As it was sent (RFC 9112 §3.2): with the query, percent-encoding not undone.
    pub(super) target: &'b str,
    /// HTTP/1.1, not 1.0.
    pub(super) is_http_11: bool,
    headers: &'h [Header<'b>],
}

impl<'h, 'b> Head<'h, 'b> {
    /// Parses a head whose end [`find_end`] has found. `headers` is memory for the fields.
    pub(super) fn parse(bytes: &'b [u8], headers: &'h mut [Header<'b>]) -> Result<Self, Refusal> {
        let mut request = httparse::Request::new(headers);
        let status = request.parse(bytes).map_err(refusal)?;
        match (status, request.method, request.path, request.version) {
            (httparse::Status::Complete(len), Some(method), Some(target), Some(version))
                if len == bytes.len() =>
            {
                Ok(Self {
                    method,
                    target,
                    is_http_11: version == 1,
                    headers: request.headers,
                })
            }
            // httparse and `find_end` agree on what a blank line is, which a test checks. If they
            // ever disagreed, a refusal would be the safe answer.
            _ => Err(Refusal::BadHead {
                reason: "The head is malformed.",
            }),
        }
    }

    /// The values of all fields with this name, in their order; names compare without case.
    pub(super) fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &'b [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The field's value, if it is there exactly once.
    pub(super) fn only(&self, name: &str) -> Field<'b> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => Field::Missing,
            (Some(value), None) => Field::Once(value),
            (Some(_), Some(_)) => Field::Repeated,
        }
    }

    /// Whether a field that is a list of tokens, perhaps spread over several fields, has this one
    /// (RFC 9110 §5.6.1).
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(list)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// How often a field occurs that must not occur twice.
#[derive(Clone, Copy)]
pub(super) enum Field<'b> {
    Missing,
    Once(&'b [u8]),
    Repeated,
}

/// The elements of a comma-separated list, without the space around them. Empty ones, which
/// senders may leave behind, do not count (RFC 9110 §5.6.1.2).
pub(super) fn list(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// An element of a list with weights: its name, and its weight in thousandths, 1,000 if none is
/// given (RFC 9110 §12.4.2). A malformed weight is 0: what cannot be read is not asked for.
pub(super) fn weighted(element: &[u8]) -> (&[u8], u16) {
    let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().unwrap_or_default();
    let weight = match parts.next() {
        None => Some(1000),
        Some([b'q' | b'Q', b'=', value @ ..]) => thousandths(value),
        Some(_) => None,
    };
    (name, weight.unwrap_or(0))
}

/// `1`, `0.7` or `0.123`.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    if !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let decimal = |place: usize| u16::from(decimals.get(place).map_or(0, |digit| digit - b'0'));
    let weight = u16::from(whole - b'0') * 1000 + decimal(0) * 100 + decimal(1) * 10 + decimal(2);
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BYTES: usize = 4096;

    /// The outcome of bytes that arrive one at a time.
    fn find_end_dripped(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        for len in 1..=bytes.len() {
            match find_end(&bytes[..len], len - 1, MAX_BYTES) {
                Ok(None) => {}
                outcome => return outcome,
            }
        }
        Ok(None)
    }

    /// The outcome of bytes that arrive at once, which must be the same as one by one.
    fn end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let outcome = find_end(bytes, 0, MAX_BYTES);
        assert_eq!(outcome, find_end_dripped(bytes), "{}", bytes.escape_ascii());
        outcome
    }

    #[test]
    fn a_head_ends_after_its_blank_line() {
        assert_eq!(end(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest"), Ok(Some(27)));
        assert_eq!(end(b"GET / HTTP/1.0\r\n\r\n"), Ok(Some(18)));
        assert_eq!(end(b"GET / HTTP/1.0\n\n"), Ok(Some(16)));
        assert_eq!(end(b"GET / HTTP/1.1\nHost: a\r\n\nrest"), Ok(Some(25)));
        assert_eq!(end(b"GET / HTTP/1.1\r\nHost: a\n\r\n"), Ok(Some(26)));
        assert_eq!(end(b"\r\n\nGET / HTTP/1.0\r\n\r\n"), Ok(Some(21)));
        assert_eq!(end(b""), Ok(None));
        assert_eq!(end(b"\r\n\r\n"), Ok(None));
        assert_eq!(end(b"GET / HTTP/1.1\r\nHost: a\r\n\r"), Ok(None));
    }

    #[test]
    fn bytes_after_the_head_are_not_looked_at() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x80\0\0\0\0\x16\x03";
        assert_eq!(end(bytes), Ok(Some(27)));
    }

    #[test]
    fn other_protocols_are_refused_as_soon_as_they_show() {
        assert_eq!(end(b"\x16"), Err(Refusal::SpeaksTls));
        assert_eq!(end(b"\x16\x03\x01\x02\x00"), Err(Refusal::SpeaksTls));
        assert_eq!(end(b"PRI * HTTP/2.0\r\n"), Err(Refusal::SpeaksHttp2));
        for bytes in [
            &b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 8080\r\nGET / HTTP/1.1\r\n"[..],
            b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 8080\r\n",
            b"PROXY UNKNOWN\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\xdc\x04\x1f\x90",
            // The command LOCAL, which load balancers send with their health checks.
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        ] {
            assert_eq!(end(bytes), Err(Refusal::SpeaksProxyProtocol));
        }
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.9\r\n"[..],
            b"\x81\x85",
            b" GET / HTTP/1.1",
            b"\0",
            b"GET /\x01",
            b"GET / HTTP/1.1\r\nHost: a\0",
            b"GET /\r\n",
            b"GET / HTTP/1.2\r\n",
            b"GET / HTTP/2.0\r\n",
            b"GET  / HTTP/1.1\r\n",
            b"GET /a b HTTP/1.1\r\n",
            b"GET /\xff HTTP/1.1\r\n",
            b"\r\rGET / HTTP/1.1\r\n",
            b"\n\n\n\n\n\n\n\n\n",
        ] {
            let outcome = end(bytes);
            assert!(
                matches!(outcome, Err(Refusal::BadHead { .. })),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn head_has_at_most_the_bytes_of_the_limit() {
        let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
        head.resize(MAX_BYTES - 4, b'x');
        head.extend_from_slice(b"\r\n\r\n");
        assert_eq!(end(&head), Ok(Some(MAX_BYTES)));
        head.insert(20, b'x');
        let too_long = Refusal::HeadTooLong {
            max_bytes: MAX_BYTES,
        };
        assert_eq!(end(&head), Err(too_long));
        assert_eq!(end(&head[..MAX_BYTES - 1]), Ok(None));
        assert_eq!(end(&head[..MAX_BYTES]), Err(too_long));
    }

    #[test]
    fn a_request_line_has_at_most_2_kib() {
        let mut line = b"GET /".to_vec();
        line.resize(LINE_BYTES_MAX - 11, b'x');
        line.extend_from_slice(b" HTTP/1.1\r\n\r\n");
        assert_eq!(end(&line), Ok(Some(LINE_BYTES_MAX + 2)));
        line.insert(5, b'x');
        line.insert(5, b'x');
        assert_eq!(end(&line), Err(Refusal::TargetTooLong));
        line.splice(..0, *b"\r\n");
        assert_eq!(end(&line), Err(Refusal::TargetTooLong));
    }

    #[test]
    fn a_list_skips_its_empty_elements() {
        let elements: Vec<_> = list(b", a ,\t,b,").collect();
        assert_eq!(elements, [b"a", b"b"]);
        assert_eq!(list(b" , ").count(), 0);
    }

    #[test]
    fn a_weight_has_at_most_three_decimals_and_is_at_most_1() {
        for (element, name, weight) in [
            ("gzip", "gzip", 1000),
            ("gzip;q=1", "gzip", 1000),
            ("gzip ; Q=1.000", "gzip", 1000),
            ("gzip;q=0.5", "gzip", 500),
            ("gzip;q=0.123", "gzip", 123),
            ("gzip;q=0.", "gzip", 0),
            ("gzip;q=0", "gzip", 0),
            ("gzip;q=1.001", "gzip", 0),
            ("gzip;q=0.1234", "gzip", 0),
            ("gzip;q=-1", "gzip", 0),
            ("gzip;q=", "gzip", 0),
            ("gzip;level=1", "gzip", 0),
            (";", "", 0),
        ] {
            let expected = (name.as_bytes(), weight);
            assert_eq!(weighted(element.as_bytes()), expected, "{element}");
        }
    }
}
