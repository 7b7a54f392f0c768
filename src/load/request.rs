//! The request for an upgrade, and what its answer means (RFC 6455 §4.1). Bytes only.

use super::options::{Options, Protocol};
use super::url;
use crate::http::{accept_key, new_key};

/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    accept: String,
    /// What the server must choose.
    subprotocol: Option<&'static str>,
}

/// As it is offered by clients of `--protocol json`.
const JSON: &str = "parlor.v1.json";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The end of the head has not arrived.
    Partial,
    /// Frames follow after this many bytes.
    Upgraded(usize),
    /// The server answered with this status instead of 101.
    Refused(u16),
    /// The answer is not HTTP, or a 101 that does not answer this request.
    Bad,
}

impl Request {
    pub(super) fn new(options: &Options, room: usize, number: usize) -> Self {
        let key = new_key();
        let mut text = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
            url::fill(&options.url.path, room, number),
            options.url.host(),
        );
        let subprotocol = (options.protocol == Protocol::Json).then_some(JSON);
        if let Some(name) = subprotocol.or(options.subprotocol.as_deref()) {
            text += &format!("Sec-WebSocket-Protocol: {name}\r\n");
        }
        for header in &options.headers {
            text += header;
            text += "\r\n";
        }
        text += "\r\n";
        Self {
            bytes: text.into_bytes(),
            accept: accept_key(key.as_bytes()),
            subprotocol,
        }
    }

    /// Understands an answer from all bytes that have arrived so far.
    pub(super) fn answer(&self, bytes: &[u8]) -> Answer {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => match response.code {
                Some(101) if self.is_accepted_by(&response) => Answer::Upgraded(len),
                Some(101) | None => Answer::Bad,
                Some(status) => Answer::Refused(status),
            },
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Answer::Partial,
            Ok(httparse::Status::Partial) | Err(_) => Answer::Bad,
        }
    }

    fn is_accepted_by(&self, response: &httparse::Response<'_, '_>) -> bool {
        let value = |name: &str| {
            let mut fields = response.headers.iter();
            fields
                .find(|field| field.name.eq_ignore_ascii_case(name))
                .map_or(&b""[..], |field| field.value)
        };
        value("Upgrade").eq_ignore_ascii_case(b"websocket")
            && value("Connection").eq_ignore_ascii_case(b"upgrade")
            && value("Sec-WebSocket-Accept") == self.accept.as_bytes()
            && self
                .subprotocol
                .is_none_or(|name| value("Sec-WebSocket-Protocol") == name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Scenario;
    use super::*;
    use crate::http;
    use crate::http::Settings;

    fn options() -> Options {
        Options {
            headers: vec![String::from("Origin: http://example.org")],
            subprotocol: Some(String::from("parlor.v1")),
            ..Options::new(Scenario::Idle)
        }
    }

    #[test]
    fn request_has_the_lines_of_the_options() {
        let request = Request::new(&options(), 3, 7);
        let text = String::from_utf8(request.bytes).unwrap();
        assert!(text.starts_with("GET /ws/load3?nick=u7 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"));
        assert!(text.contains("\r\nSec-WebSocket-Protocol: parlor.v1\r\n"));
        assert!(text.ends_with("\r\nOrigin: http://example.org\r\n\r\n"));
    }

    #[test]
    fn parlors_own_answer_is_accepted_once_it_is_whole() {
        let request = Request::new(&Options::new(Scenario::Idle), 0, 0);
        let settings = Settings::default();
        let http::Request::Upgrade { upgrade, .. } =
            http::receive(&request.bytes, 0, false, &settings)
        else {
            panic!("the server does not understand the request");
        };
        let mut answer = upgrade.response;
        for cut in 0..answer.len() {
            assert_eq!(request.answer(&answer[..cut]), Answer::Partial);
        }
        let len = answer.len();
        answer.extend_from_slice(b"\x81\x02hi");
        assert_eq!(request.answer(&answer), Answer::Upgraded(len));
        let other = Request::new(&Options::new(Scenario::Idle), 0, 0);
        assert_eq!(other.answer(&answer), Answer::Bad);
    }

    #[test]
    fn answer_without_the_subprotocol_of_programs_is_none() {
        let options = Options {
            protocol: Protocol::Json,
            ..Options::new(Scenario::Idle)
        };
        let request = Request::new(&options, 0, 0);
        let answer = |lines: &str| {
            let accept = &request.accept;
            let text = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
            );
            request.answer(text.as_bytes())
        };
        let chosen = answer("Sec-WebSocket-Protocol: parlor.v1.json\r\n");
        assert!(matches!(chosen, Answer::Upgraded(_)));
        assert_eq!(answer(""), Answer::Bad);
    }

    #[test]
    fn other_answers_are_distinguished() {
        let request = Request::new(&Options::new(Scenario::Idle), 0, 0);
        for (bytes, answer) in [
            (
                &b"HTTP/1.1 503 Busy\r\nA: b\r\n\r\nbody"[..],
                Answer::Refused(503),
            ),
            (b"HTTP/1.1 101 Yes\r\n\r\n", Answer::Bad),
            (b"SSH-2.0-x\r\n", Answer::Bad),
            (&[b' '; HEAD_BYTES_MAX], Answer::Bad),
        ] {
            assert_eq!(request.answer(bytes), answer);
        }
    }
}
