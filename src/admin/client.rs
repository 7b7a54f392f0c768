//! The requests of the commands to a running server. Waits for each answer.

use super::answer::NEXT;
use crate::net::Caller;
use httparse::{EMPTY_HEADER, Status};
use serde_json::Value;
use std::path::Path;

/// The longest answer: a part of an export has some 64 KiB of text, and each byte of it may be six
/// in JSON.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A connection to the admin socket of a server.
pub(super) struct Client {
    caller: Caller,
    received: Vec<u8>,
}

/// What a server answered.
pub(super) struct Answered {
    pub(super) status: u16,
    /// After which entry an export goes on.
    pub(super) next: Option<u64>,
    pub(super) body: Vec<u8>,
}

impl Answered {
    pub(super) fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("the server's answer is no JSON: {error}"))
    }

    /// The sentence of an error; `None`: it is none.
    pub(super) fn error(&self) -> Option<String> {
        if self.status < 400 {
            return None;
        }
        let body = self.json().unwrap_or_default();
        let why = body.get("error").and_then(Value::as_str);
        Some(why.map_or_else(|| format!("status {}", self.status), str::to_owned))
    }
}

impl Client {
    pub(super) fn connect(path: &Path) -> Result<Self, String> {
        let caller = Caller::connect(path).map_err(|error| error.to_string())?;
        Ok(Self {
            caller,
            received: Vec::new(),
        })
    }

    /// The answer to a request, which may be an error.
    pub(super) fn call(
        &mut self,
        method: &str,
        target: &str,
        body: &str,
    ) -> Result<Answered, String> {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: admin\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let broken = |error| format!("the server did not answer: {error}");
        self.caller.send(request.as_bytes()).map_err(broken)?;
        loop {
            if let Some((answered, consumed)) = parse(&self.received)? {
                self.received.drain(..consumed);
                return Ok(answered);
            }
            self.caller.receive(&mut self.received).map_err(broken)?;
        }
    }

    /// The answer to a request; an error of the server is one.
    pub(super) fn ask(
        &mut self,
        method: &str,
        target: &str,
        body: &str,
    ) -> Result<Answered, String> {
        let answered = self.call(method, target, body)?;
        match answered.error() {
            Some(why) => Err(why),
            None => Ok(answered),
        }
    }
}

/// A response and its length; `None`: it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(Answered, usize)>, String> {
    let odd = || String::from("what answers there is no parlor of this version");
    let mut headers = [EMPTY_HEADER; 16];
    let mut head = httparse::Response::new(&mut headers);
    let head_bytes = match head.parse(bytes) {
        Ok(Status::Complete(count)) => count,
        Ok(Status::Partial) if bytes.len() < ANSWER_BYTES_MAX => return Ok(None),
        Ok(Status::Partial) | Err(_) => return Err(odd()),
    };
    let number = |name: &str| {
        let mut fields = head.headers.iter();
        let field = fields.find(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(field.value).ok()?.parse::<u64>().ok()
    };
    let length = number("Content-Length").ok_or_else(odd)? as usize;
    if length > ANSWER_BYTES_MAX {
        return Err(odd());
    }
    let Some(body) = bytes.get(head_bytes..head_bytes + length) else {
        return Ok(None);
    };
    let answered = Answered {
        status: head.code.unwrap_or(0),
        next: number(NEXT),
        body: body.to_owned(),
    };
    Ok(Some((answered, head_bytes + length)))
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Progress};
    use super::*;

    #[test]
    fn answers_are_read_as_they_are_rendered_whole_and_in_parts() {
        let lines = String::from("{\"seq\":1}\n");
        let mut bytes = Answer::lines(lines.clone(), Some(1)).render(true);
        let first = bytes.len();
        bytes.extend(Answer::progress(&Progress::BEGUN).render(true));
        for cut in 0..first {
            assert!(parse(&bytes[..cut]).unwrap().is_none(), "{cut}");
        }
        let (answered, consumed) = parse(&bytes).unwrap().unwrap();
        assert_eq!((answered.status, consumed), (200, first));
        assert_eq!(
            (answered.next, answered.body),
            (Some(1), lines.into_bytes())
        );
        let (answered, _) = parse(&bytes[first..]).unwrap().unwrap();
        let progress = Progress::from_json(&answered.json().unwrap());
        assert_eq!(progress, Some(Progress::BEGUN));
        assert!(answered.error().is_none());
    }

    #[test]
    fn error_is_the_sentence_of_the_server() {
        let bytes = Answer::error(409, "it is busy").render(true);
        let (answered, _) = parse(&bytes).unwrap().unwrap();
        assert_eq!(answered.error().as_deref(), Some("it is busy"));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for bytes in [&b"SSH-2.0\r\n"[..], b"HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(parse(bytes).is_err());
        }
    }
}
