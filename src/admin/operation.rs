//! What an operator asks of a running server about itself: its settings, its connections and rooms, a
//! word to all. As a value, as a request of HTTP, and back. Knows no connection.

use super::Answer;
use crate::id::ConnId;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

/// The longest notice, in bytes.
pub const NOTICE_BYTES_MAX: usize = 1000;

/// What is asked. A list comes in pages, so that none keeps the chat waiting: `from` is the place of
/// the first, and an answer says where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /reload`
    Reload,
    /// `POST /upgrade`
    Upgrade,
    /// `GET /connections?from=N`
    Connections { from: u32 },
    /// `GET /connection?id=ID`
    Show { id: ConnId },
    /// `POST /close {"id": ID}`
    Close { id: ConnId },
    /// `GET /rooms?from=N`
    Rooms { from: u32 },
    /// `GET /members?room=NAME&from=N`
    Members { room: String, from: u32 },
    /// `GET /nodes`
    Nodes,
    /// `POST /notice {"text": TEXT}`
    Notice { text: String },
    /// `POST /log {"filters": FILTERS}`
    Log { filters: String },
}

/// The paths, for the answer to a wrong one.
pub(super) const PATHS: &str =
    "/reload, /upgrade, /connections, /connection, /close, /rooms, /members, /nodes, /notice, /log";

impl Operation {
    /// The operation that a request asks for. `None`: its path is another's.
    pub(super) fn parse(
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Option<Result<Self, Answer>> {
        let is_get = match path {
            "/connections" | "/connection" | "/rooms" | "/members" | "/nodes" => true,
            "/reload" | "/upgrade" | "/close" | "/notice" | "/log" => false,
            _ => return None,
        };
        if method != if is_get { "GET" } else { "POST" } {
            return Some(Err(Answer::error(405, "this method is not allowed here")));
        }
        let parsed = match path {
            "/reload" => Ok(Self::Reload),
            "/upgrade" => Ok(Self::Upgrade),
            "/connections" => from(query).map(|from| Self::Connections { from }),
            "/connection" => id(&parameter(query, "id")).map(|id| Self::Show { id }),
            "/rooms" => from(query).map(|from| Self::Rooms { from }),
            "/members" => members(query),
            "/nodes" => Ok(Self::Nodes),
            "/close" => text(body, "id").and_then(|text| Ok(Self::Close { id: id(&text)? })),
            "/notice" => text(body, "text").and_then(notice),
            _ => text(body, "filters").map(|filters| Self::Log { filters }),
        };
        Some(parsed.map_err(|why| Answer::error(400, &why)))
    }

    /// The method, the target and the body of the request.
    pub(super) fn to_request(&self) -> (&'static str, String, String) {
        let get = |target: String| ("GET", target, String::new());
        let post = |path: &str, body: Value| ("POST", path.to_owned(), body.to_string());
        match self {
            Self::Reload => ("POST", String::from("/reload"), String::new()),
            Self::Upgrade => ("POST", String::from("/upgrade"), String::new()),
            Self::Connections { from } => get(format!("/connections?from={from}")),
            Self::Show { id } => get(format!("/connection?id={id}")),
            Self::Rooms { from } => get(format!("/rooms?from={from}")),
            Self::Members { room, from } => {
                let room = utf8_percent_encode(room, NON_ALPHANUMERIC);
                get(format!("/members?room={room}&from={from}"))
            }
            Self::Nodes => get(String::from("/nodes")),
            Self::Close { id } => post("/close", json!({ "id": id.to_string() })),
            Self::Notice { text } => post("/notice", json!({ "text": text })),
            Self::Log { filters } => post("/log", json!({ "filters": filters })),
        }
    }

    /// The same list from another place on. Without effect on what is no list.
    pub(super) fn go_on(&mut self, next: u32) {
        match self {
            Self::Connections { from } | Self::Rooms { from } | Self::Members { from, .. } => {
                *from = next;
            }
            Self::Reload
            | Self::Upgrade
            | Self::Show { .. }
            | Self::Close { .. }
            | Self::Nodes
            | Self::Notice { .. }
            | Self::Log { .. } => {}
        }
    }
}

fn members(query: &str) -> Result<Operation, String> {
    let encoded = parameter(query, "room");
    let room = percent_decode_str(&encoded).decode_utf8();
    let room = room.map_err(|_| String::from("room must be UTF-8"))?;
    if room.is_empty() {
        return Err(String::from("expected ?room=NAME"));
    }
    Ok(Operation::Members {
        room: room.into_owned(),
        from: from(query)?,
    })
}

/// One line, since a client of plain text would take a second one for something else.
fn notice(text: String) -> Result<Operation, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > NOTICE_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!(
            "expected a line of text with at most {NOTICE_BYTES_MAX} bytes"
        ));
    }
    Ok(Operation::Notice {
        text: text.to_owned(),
    })
}

/// A field of the query, as it was sent; empty if it is missing.
fn parameter(query: &str, name: &str) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.into_iter().find(|(known, _)| *known == name);
    found.map_or_else(String::new, |(_, value)| value.to_owned())
}

fn from(query: &str) -> Result<u32, String> {
    match parameter(query, "from").as_str() {
        "" => Ok(0),
        number => number
            .parse()
            .map_err(|_| String::from("from must be a number")),
    }
}

fn id(text: &str) -> Result<ConnId, String> {
    text.parse()
}

fn text(body: &[u8], field: &str) -> Result<String, String> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let found = body.get(field).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .ok_or_else(|| format!("the field {field} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(operation: &Operation) -> Option<Result<Operation, Answer>> {
        let (method, target, body) = operation.to_request();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Operation::parse(method, path, query, body.as_bytes())
    }

    #[test]
    fn operation_is_read_as_it_was_written() {
        let id = ConnId::new(7, 3);
        for operation in [
            Operation::Reload,
            Operation::Connections { from: 200 },
            Operation::Show { id },
            Operation::Close { id },
            Operation::Rooms { from: 0 },
            Operation::Members {
                room: String::from("Bücher & mehr"),
                from: 7,
            },
            Operation::Nodes,
            Operation::Notice {
                text: String::from("back at \"8\""),
            },
            Operation::Log {
                filters: String::from("debug"),
            },
        ] {
            assert_eq!(parsed(&operation), Some(Ok(operation)));
        }
    }

    #[test]
    fn wrong_operations_are_refused_with_a_status() {
        for (method, target, body, expected) in [
            ("GET", "/reload", "", 405),
            ("POST", "/rooms", "", 405),
            ("GET", "/connections?from=x", "", 400),
            ("GET", "/connection", "", 400),
            ("GET", "/connection?id=7", "", 400),
            ("GET", "/members", "", 400),
            ("GET", "/members?room=%ff", "", 400),
            ("POST", "/close", "{\"id\":7}", 400),
            ("POST", "/notice", "{\"text\":\"a\\nb\"}", 400),
            ("POST", "/notice", "{\"text\":\" \"}", 400),
            ("POST", "/log", "warn", 400),
        ] {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let parsed = Operation::parse(method, path, query, body.as_bytes());
            let Some(Err(answer)) = parsed else {
                panic!("{target}: {parsed:?}");
            };
            assert_eq!(answer.status(), expected, "{target} {body}");
        }
        assert_eq!(Operation::parse("GET", "/elsewhere", "", b""), None);
    }
}
