//! Asks a server over HTTP whether it is well, for the health checks of containers and supervisors.
//! Knows the form of a response and where the server listens, not why it is well or not: the server
//! says that.

use crate::http::LOCAL_HEADER;
use crate::net::{Caller, ListenAddr};
use httparse::{EMPTY_HEADER, Status};
use std::time::Duration;

/// How long a check may take. Docker's own limit is 30 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer. A server's has one line.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether its loop turns.
    Alive,
    /// Whether it can be used: it stores messages and is not about to stop.
    Ready,
}

impl Question {
    const fn path(self) -> &'static str {
        match self {
            Self::Alive => "/healthz",
            Self::Ready => "/readyz",
        }
    }
}

/// Asks the server that listens there, and returns what it answers if it is well. `announces`: it
/// expects a header of the PROXY protocol (`--proxy-protocol`), and this process is a trusted proxy.
///
/// # Errors
/// A sentence: it is not, says why, or does not answer.
pub fn ask(question: Question, listener: &ListenAddr, announces: bool) -> Result<String, String> {
    if let ListenAddr::Tcp(address) = listener
        && address.port() == 0
    {
        return Err(format!(
            "{listener} names no port; name the one that the server took with --listen"
        ));
    }
    let answer = call(question, listener, announces).map_err(|why| format!("{listener}: {why}"))?;
    match answer {
        (200, text) => Ok(text),
        (status, text) => Err(format!("{listener}: {status} {text}")),
    }
}

fn call(
    question: Question,
    listener: &ListenAddr,
    announces: bool,
) -> Result<(u16, String), String> {
    let mut caller = Caller::call(listener, PATIENCE).map_err(|error| error.to_string())?;
    let path = question.path();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let broken = |error| format!("it did not answer: {error}");
    let header: &[u8] = if announces { LOCAL_HEADER } else { b"" };
    let request = [header, request.as_bytes()].concat();
    caller.send(&request).map_err(broken)?;
    let mut received = Vec::new();
    loop {
        caller.receive(&mut received).map_err(broken)?;
        if let Some(answer) = parse(&received)? {
            return Ok(answer);
        }
    }
}

/// The status and the body of a response, of which only the first line counts; `None`: it is not
/// whole.
fn parse(bytes: &[u8]) -> Result<Option<(u16, String)>, String> {
    let odd = || String::from("what answers there is no parlor");
    let mut headers = [EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let head_bytes = match head.parse(bytes) {
        Ok(Status::Complete(count)) => count,
        Ok(Status::Partial) if bytes.len() < ANSWER_BYTES_MAX => return Ok(None),
        Ok(Status::Partial) | Err(_) => return Err(odd()),
    };
    let mut fields = head.headers.iter();
    let length = fields.find(|header| header.name.eq_ignore_ascii_case("Content-Length"));
    let length = length.and_then(|field| str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    let length = length
        .filter(|length| *length <= ANSWER_BYTES_MAX)
        .ok_or_else(odd)?;
    let Some(body) = bytes.get(head_bytes..head_bytes + length) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(body);
    let line = text.lines().next().unwrap_or_default().to_owned();
    Ok(Some((head.code.unwrap_or(0), line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_is_understood_when_it_is_whole() {
        let bytes = b"HTTP/1.1 503 x\r\ncontent-length: 9\r\n\r\ndraining\n";
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(parse(bytes), Ok(Some((503, String::from("draining")))));
    }

    #[test]
    fn what_is_no_response_of_a_server_is_refused() {
        for bytes in [
            &b"SSH-2.0\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        ] {
            assert!(parse(bytes).is_err());
        }
    }

    #[test]
    fn port_0_is_no_address_to_ask() {
        let listener = "127.0.0.1:0".parse().unwrap();
        let why = ask(Question::Ready, &listener, false).unwrap_err();
        assert!(why.contains("--listen"), "{why}");
    }
}
