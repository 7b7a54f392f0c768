//! The answers to operators, rendered to responses of HTTP/1.1: JSON, or the lines of an export.

use super::Progress;
use serde_json::{Value, json};

/// The field of a response with a part of an export: after which entry the next part begins.
pub(super) const NEXT: &str = "Parlor-Next";

/// What answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    body: Body,
    is_head: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Json(Value),
    Text {
        content_type: &'static str,
        text: String,
    },
    Lines {
        lines: String,
        next: Option<u64>,
    },
}

/// How the store is.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreReport<'a> {
    /// Where it is; `None`: in memory.
    pub directory: Option<&'a str>,
    /// Why it cannot write; `None`: it can.
    pub fault: Option<&'a str>,
    /// What was delivered and is not stored yet.
    pub unstored_bytes: usize,
}

impl Answer {
    const fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Body::Json(body),
            is_head: false,
        }
    }

    /// A text for people or for programs that read no JSON.
    pub const fn text(status: u16, content_type: &'static str, text: String) -> Self {
        Self {
            status,
            body: Body::Text { content_type, text },
            is_head: false,
        }
    }

    /// Its head alone, which is all that may answer a HEAD request (RFC 9110 §9.3.2).
    #[must_use]
    pub fn without_body(self) -> Self {
        Self {
            is_head: true,
            ..self
        }
    }

    /// `why` is a sentence.
    pub fn error(status: u16, why: &str) -> Self {
        Self::json(status, json!({ "error": why }))
    }

    /// What a command about accounts has found or done.
    pub const fn account(body: Value) -> Self {
        Self::json(200, body)
    }

    /// What was done or found.
    pub const fn done(body: Value) -> Self {
        Self::json(200, body)
    }

    /// The settings are wrong: a sentence for each mistake.
    pub fn wrong(problems: &[String]) -> Self {
        let first = problems.first().map_or("", String::as_str);
        Self::json(409, json!({ "error": first, "problems": problems }))
    }

    /// What came of a request for order.
    pub const fn order(body: Value) -> Self {
        Self::json(200, body)
    }

    /// A long task has begun.
    pub fn begun() -> Self {
        Self::json(202, Progress::BEGUN.to_json())
    }

    /// The server drains: so many members are to be sent away, within so many seconds.
    pub fn draining(members: usize, seconds: u32) -> Self {
        Self::json(202, json!({ "members": members, "seconds": seconds }))
    }

    pub fn progress(progress: &Progress) -> Self {
        Self::json(200, progress.to_json())
    }

    /// JSON lines, and behind which number there are more.
    pub const fn lines(lines: String, next: Option<u64>) -> Self {
        Self {
            status: 200,
            body: Body::Lines { lines, next },
            is_head: false,
        }
    }

    /// `counts`: numbers with their names, as in `connections=7 members=5`.
    pub fn status_report(store: &StoreReport<'_>, counts: &str) -> Self {
        let mut body = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "store": store.directory,
            "store_fault": store.fault,
            "unstored_bytes": store.unstored_bytes,
        });
        for (name, number) in counts.split(' ').filter_map(|pair| pair.split_once('=')) {
            if let Ok(number) = number.parse::<u64>() {
                body[name] = number.into();
            }
        }
        Self::json(200, body)
    }

    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The response.
    pub fn render(&self, keep_alive: bool) -> Vec<u8> {
        let phrase = match self.status {
            200 => "OK",
            202 => "Accepted",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            409 => "Conflict",
            503 => "Service Unavailable",
            // A client reads the number (RFC 9112 §4); the phrase may be empty.
            _ => "",
        };
        let mut fields = String::new();
        let (content_type, body) = match &self.body {
            Body::Json(value) => ("application/json", format!("{value}\n")),
            Body::Text { content_type, text } => (*content_type, text.clone()),
            Body::Lines { lines, next } => {
                if let Some(next) = next {
                    fields += &format!("{NEXT}: {}\r\n", next);
                }
                ("application/jsonl", lines.clone())
            }
        };
        if !keep_alive {
            fields += "Connection: close\r\n";
        }
        let mut response = format!(
            "HTTP/1.1 {} {phrase}\r\nContent-Type: {content_type}\r\nContent-Length: \
             {}\r\n{fields}\r\n",
            self.status,
            body.len()
        );
        if !self.is_head {
            response.push_str(&body);
        }
        response.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(answer: &Answer, keep_alive: bool) -> String {
        String::from_utf8(answer.render(keep_alive)).unwrap()
    }

    #[test]
    fn response_has_the_length_of_its_body() {
        assert_eq!(
            rendered(&Answer::error(404, "no"), false),
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: \
             15\r\nConnection: close\r\n\r\n{\"error\":\"no\"}\n"
        );
        let lines = Answer::lines(String::from("{}\n{}\n"), Some(7));
        assert_eq!(
            rendered(&lines, true),
            "HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\nContent-Length: \
             6\r\nParlor-Next: 7\r\n\r\n{}\n{}\n"
        );
    }

    #[test]
    fn counts_are_numbers_with_their_names() {
        let store = StoreReport {
            directory: Some("/s"),
            ..StoreReport::default()
        };
        let answer = Answer::status_report(&store, "connections=7 missed=0");
        let text = rendered(&answer, true);
        for part in [
            "\"connections\":7",
            "\"missed\":0",
            "\"store\":\"/s\"",
            "\"store_fault\":null",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
