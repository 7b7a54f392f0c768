//! The requests of operators: bytes in, a [`Request`] out, or the refusal that answers them. Unlike
//! the requests of clients (`http`), they may have a short body. Knows no socket.

use super::operation::{self, Operation};
use super::{AccountCommand, Answer};
use crate::id::Seq;
use httparse::{EMPTY_HEADER, Status};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::path::PathBuf;

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// The longest body: a name of a file in JSON.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// Fields of a head. A client of ours sends three, curl six.
const HEADERS_MAX: usize = 32;

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `GET /healthz`: does the server answer?
    Health,
    /// `GET /readyz`: does it serve everything?
    Readiness,
    /// `GET /metrics`
    Metrics,
    /// `GET /status`
    Status,
    /// `POST /drain`
    Drain,
    /// `POST /backup {"file": PATH}`
    BeginBackup { file: PathBuf },
    /// `GET /backup`
    Backup,
    /// `POST /check`
    BeginCheck,
    /// `GET /check`
    Check,
    /// `GET /export?room=NAME&after=SEQ`
    Export { room: String, after: Seq },
    /// `GET /audit?room=NAME&before=NUMBER`
    Audit { room: Option<String>, before: u64 },
    /// What the server is to do or say about itself.
    Operate(Operation),
    /// `POST /accounts {"do": WHAT, "name": NAME}`
    Account(AccountCommand),
    /// `POST /requests`, and a request of `parlor.v1.json`
    Order { body: String },
}

/// What the bytes received so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Keep the bytes, at most 12 KiB, and call [`receive`] again with more behind them.
    Partial,
    /// A request, which took `consumed` bytes. Otherwise than with `keep_alive`, the connection ends
    /// with its answer.
    Request {
        request: Request,
        consumed: usize,
        keep_alive: bool,
        /// The answer is sent without its body.
        to_head: bool,
    },
    /// It is answered with an error, but the next one may be right.
    Refused {
        answer: Answer,
        consumed: usize,
        keep_alive: bool,
    },
    /// Where the next request begins is not known: answer and end the connection.
    Broken { answer: Answer },
}

/// Looks at the bytes of a connection, from the beginning of a request on.
pub fn receive(bytes: &[u8]) -> Received {
    let broken = |status, why: &str| Received::Broken {
        answer: Answer::error(status, why),
    };
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let head_bytes = match head.parse(bytes) {
        Ok(Status::Complete(count)) => count,
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Received::Partial,
        Ok(Status::Partial) => return broken(431, "the head of the request is longer than 8 KiB"),
        Err(_) => return broken(400, "this is no HTTP/1.1 request"),
    };
    let field = |name: &str| {
        let of_name = head
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        of_name
            .map(|header| header.value.trim_ascii())
            .collect::<Vec<_>>()
    };
    if !field("Transfer-Encoding").is_empty() {
        return broken(411, "a body needs a Content-Length");
    }
    let body_bytes = match field("Content-Length")[..] {
        [] => 0,
        [length] => match number(length) {
            Some(length) if length <= BODY_BYTES_MAX => length,
            Some(_) => return broken(413, "the body is longer than 4 KiB"),
            None => return broken(400, "the Content-Length is not a number"),
        },
        [_, _, ..] => return broken(400, "there is more than one Content-Length"),
    };
    let consumed = head_bytes + body_bytes;
    let Some(body) = bytes.get(head_bytes..consumed) else {
        return Received::Partial;
    };
    // A list of options, which other fields may go on (RFC 9110 §7.6.1).
    let closes = |value: &&[u8]| {
        let mut options = value.split(|byte| *byte == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    let keep_alive = head.version == Some(1) && !field("Connection").iter().any(closes);
    let (method, target) = (head.method.unwrap_or(""), head.path.unwrap_or(""));
    let to_head = method == "HEAD";
    match route(method, target, body) {
        Ok(request) => Received::Request {
            request,
            consumed,
            keep_alive,
            to_head,
        },
        Err(answer) => Received::Refused {
            answer: if to_head {
                answer.without_body()
            } else {
                answer
            },
            consumed,
            keep_alive,
        },
    }
}

/// Digits alone: `+5` is a number for Rust, and no Content-Length.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

fn route(method: &str, target: &str, body: &[u8]) -> Result<Request, Answer> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let Some(operation) = Operation::parse(method, path, query, body) {
        return operation.map(Request::Operate);
    }
    match (method, path) {
        ("GET" | "HEAD", "/healthz") => Ok(Request::Health),
        ("GET" | "HEAD", "/readyz") => Ok(Request::Readiness),
        ("GET" | "HEAD", "/metrics") => Ok(Request::Metrics),
        ("GET", "/status") => Ok(Request::Status),
        ("POST", "/drain") => Ok(Request::Drain),
        ("GET", "/backup") => Ok(Request::Backup),
        ("POST", "/backup") => begin_backup(body),
        ("GET", "/check") => Ok(Request::Check),
        ("POST", "/check") => Ok(Request::BeginCheck),
        ("GET", "/export") => export(query),
        ("GET", "/audit") => audit(query),
        ("POST", "/accounts") => account(body),
        ("POST", "/requests") => match str::from_utf8(body) {
            Ok(body) => Ok(Request::Order {
                body: body.to_owned(),
            }),
            Err(_) => Err(Answer::error(400, "the body is not UTF-8")),
        },
        (
            _,
            "/healthz" | "/readyz" | "/metrics" | "/drain" | "/status" | "/backup" | "/check"
            | "/export" | "/audit" | "/accounts" | "/requests",
        ) => Err(Answer::error(405, "this method is not allowed here")),
        _ => Err(Answer::error(
            404,
            &format!(
                "there is nothing here; there are /healthz, /readyz, /metrics, /drain, /status, \
                 /backup, /check, /export, /audit, {}, /accounts and /requests",
                operation::PATHS
            ),
        )),
    }
}

fn begin_backup(body: &[u8]) -> Result<Request, Answer> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Answer::error(400, &format!("the body is no JSON: {error}")))?;
    let file = body.get("file").and_then(Value::as_str).map(PathBuf::from);
    // A relative one would lie in the directory of the server, of which the operator knows nothing.
    match file.filter(|file| file.is_absolute()) {
        Some(file) => Ok(Request::BeginBackup { file }),
        None => Err(Answer::error(
            400,
            "expected {\"file\": \"/an/absolute/path\"}",
        )),
    }
}

fn account(body: &[u8]) -> Result<Request, Answer> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Answer::error(400, &format!("the body is no JSON: {error}")))?;
    let command = AccountCommand::from_json(&body);
    command
        .map(Request::Account)
        .map_err(|why| Answer::error(400, &why))
}

fn export(query: &str) -> Result<Request, Answer> {
    let (mut room, mut after) = (None, Seq(0));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = percent_decode_str(value).decode_utf8();
        let wrong = |what| Answer::error(400, &format!("{name} must be {what}"));
        match name {
            "room" => room = Some(decoded.map_err(|_| wrong("UTF-8"))?.into_owned()),
            "after" => after = Seq(value.parse().map_err(|_| wrong("a number"))?),
            _ => {}
        }
    }
    match room.filter(|room| !room.is_empty()) {
        Some(room) => Ok(Request::Export { room, after }),
        None => Err(Answer::error(400, "expected ?room=NAME")),
    }
}

fn audit(query: &str) -> Result<Request, Answer> {
    let (mut room, mut before) = (None, u64::MAX);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let wrong = |what| Answer::error(400, &format!("{name} must be {what}"));
        match name {
            "room" => {
                let decoded = percent_decode_str(value).decode_utf8();
                room = Some(decoded.map_err(|_| wrong("UTF-8"))?.into_owned());
            }
            "before" => before = value.parse().map_err(|_| wrong("a number"))?,
            _ => {}
        }
    }
    Ok(Request::Audit { room, before })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same outcome whole and cut at every position.
    fn received(bytes: &[u8]) -> Received {
        for cut in 0..bytes.len() {
            let part = receive(&bytes[..cut]);
            let is_early = matches!(part, Received::Partial | Received::Broken { .. });
            assert!(is_early, "{cut}: {part:?}");
        }
        receive(bytes)
    }

    fn request(bytes: &str) -> Request {
        match received(bytes.as_bytes()) {
            Received::Request {
                request, consumed, ..
            } => {
                assert_eq!(consumed, bytes.len());
                request
            }
            other => panic!("{other:?}"),
        }
    }

    fn status(bytes: &str) -> u16 {
        match received(bytes.as_bytes()) {
            Received::Refused { answer, .. } | Received::Broken { answer } => answer.status(),
            other => panic!("{other:?}"),
        }
    }

    fn get(target: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: admin\r\n\r\n")
    }

    fn post(path: &str, body: &str) -> String {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    }

    #[test]
    fn each_request_is_understood_whole_and_in_parts() {
        assert_eq!(request(&get("/healthz")), Request::Health);
        assert_eq!(request(&get("/readyz")), Request::Readiness);
        assert_eq!(request(&get("/metrics")), Request::Metrics);
        assert_eq!(request(&get("/status")), Request::Status);
        assert_eq!(request(&post("/drain", "")), Request::Drain);
        assert_eq!(request(&get("/backup")), Request::Backup);
        assert_eq!(request(&get("/check")), Request::Check);
        assert_eq!(request(&post("/check", "")), Request::BeginCheck);
        assert_eq!(
            request(&post("/backup", "{\"file\":\"/b/\u{4e0a}.db\"}")),
            Request::BeginBackup {
                file: PathBuf::from("/b/\u{4e0a}.db")
            }
        );
        assert_eq!(
            request(&post("/requests", "{}")),
            Request::Order {
                body: String::from("{}")
            }
        );
        assert_eq!(
            request(&get("/export?room=a%2eb&after=7")),
            Request::Export {
                room: String::from("a.b"),
                after: Seq(7)
            }
        );
    }

    #[test]
    fn answers_to_head_have_no_body() {
        let head = |target: &str| get(target).replace("GET", "HEAD");
        for (target, expected) in [("/healthz", true), ("/readyz", true)] {
            let Received::Request { to_head, .. } = received(head(target).as_bytes()) else {
                panic!("{target}");
            };
            assert_eq!(to_head, expected);
        }
        let Received::Refused { answer, .. } = received(head("/status").as_bytes()) else {
            panic!("HEAD is answered");
        };
        assert_eq!(answer.status(), 405);
        assert!(answer.render(true).ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn wrong_requests_are_refused_with_a_status() {
        for (bytes, expected) in [
            (get("/"), 404),
            (post("/status", ""), 405),
            (post("/readyz", ""), 405),
            (get("/drain"), 405),
            (get("/accounts"), 405),
            (get("/requests"), 405),
            (post("/accounts", "{\"do\":\"add\",\"name\":\"ann\"}"), 400),
            (post("/accounts", "{\"do\":\"dance\"}"), 400),
            (get("/export"), 400),
            (get("/export?room=%ff"), 400),
            (get("/export?room=a&after=-1"), 400),
            (post("/backup", "{\"file\":\"relative\"}"), 400),
            (post("/backup", "{\"file\":7}"), 400),
            (post("/backup", ""), 400),
            (String::from("GET /status\r\n\r\n"), 400),
            (
                String::from("POST /check HTTP/1.1\r\nContent-Length: 4097\r\n\r\n"),
                413,
            ),
            (
                String::from("POST /check HTTP/1.1\r\nContent-Length: +1\r\n\r\nx"),
                400,
            ),
            (
                String::from("POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
                411,
            ),
            (
                String::from(
                    "GET /status HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
                ),
                400,
            ),
        ] {
            assert_eq!(status(&bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn head_has_at_most_8_kib() {
        let mut bytes = b"GET /status HTTP/1.1\r\nX: ".to_vec();
        bytes.resize(HEAD_BYTES_MAX - 1, b'x');
        assert_eq!(receive(&bytes), Received::Partial);
        bytes.push(b'x');
        let Received::Broken { answer } = receive(&bytes) else {
            panic!("it is kept");
        };
        assert_eq!(answer.status(), 431);
    }

    #[test]
    fn connection_ends_where_the_request_says_so_or_is_old() {
        for (bytes, expected) in [
            ("GET /status HTTP/1.1\r\n\r\n", true),
            ("GET /status HTTP/1.1\r\nConnection: close\r\n\r\n", false),
            (
                "GET / HTTP/1.1\r\nConnection: Close, Upgrade\r\n\r\n",
                false,
            ),
            (
                "GET / HTTP/1.1\r\nConnection: upgrade, enclosed\r\n\r\n",
                true,
            ),
            ("GET /status HTTP/1.0\r\n\r\n", false),
        ] {
            let (Received::Request { keep_alive, .. } | Received::Refused { keep_alive, .. }) =
                received(bytes.as_bytes())
            else {
                panic!("{bytes}");
            };
            assert_eq!(keep_alive, expected, "{bytes}");
        }
    }
}
