//! The commands that keep order on a running server: a request of `parlor.v1.json` each, sent to its
//! admin socket, and what is printed of the answer. Knows no rule and no role.

use super::client::Client;
use super::commands::{Place, Screen};
use crate::id::Millis;
use serde_json::{Map, Value, json};

/// Has a running server do what a request says.
///
/// # Errors
/// A sentence.
pub fn order(
    place: &Place,
    request: &Map<String, Value>,
    is_json: bool,
    screen: &mut Screen<'_>,
) -> Result<(), String> {
    let mut server = reach(place)?;
    let mut request = request.clone();
    loop {
        let body = Value::Object(request.clone()).to_string();
        let answer = server.ask("POST", "/requests", &body)?.json()?;
        match answer["type"].as_str() {
            Some("sanctions") => {
                let rows = answer["sanctions"].as_array().cloned().unwrap_or_default();
                for row in &rows {
                    screen.print(&if is_json {
                        format!("{row}\n")
                    } else {
                        sanction(row)
                    })?;
                }
                match rows.last().filter(|_| answer["more"] == json!(true)) {
                    Some(last) => request.insert(String::from("after"), last["at"].clone()),
                    None => return Ok(()),
                };
            }
            Some("settings") => return screen.print(&settings(answer, is_json)),
            _ => return screen.print(&done(&request, &answer)),
        }
    }
}

/// The first server that answers.
pub(super) fn reach(place: &Place) -> Result<Client, String> {
    let mut tried = Vec::new();
    for socket in &place.sockets {
        match Client::connect(socket) {
            Ok(client) => return Ok(client),
            Err(why) => tried.push(format!("{}: {why}", socket.display())),
        }
    }
    let tried = if tried.is_empty() {
        String::from("no admin socket is known")
    } else {
        tried.join("; ")
    };
    Err(format!(
        "no server can be asked ({tried}): start it, or name its socket with --admin-socket"
    ))
}

/// A line of a list for people.
fn sanction(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let mut line = text("kind").to_owned();
    for (name, before) in [("nick", " "), ("account", " @"), ("address", " ")] {
        if !text(name).is_empty() {
            line += &format!("{before}{}", text(name));
        }
    }
    let time = |name: &str| row[name].as_u64().map(Millis);
    if let Some(until) = time("until") {
        line += &format!(" until {until}");
    }
    if !text("reason").is_empty() {
        line += &format!(" ({})", text("reason"));
    }
    let at = time("at").unwrap_or_default();
    format!("{line}, by {} at {at}\n", text("by"))
}

fn settings(mut answer: Value, is_json: bool) -> String {
    let Some(fields) = answer.as_object_mut() else {
        return String::new();
    };
    for name in ["type", "re"] {
        fields.remove(name);
    }
    if is_json {
        return format!("{answer}\n");
    }
    let lines = fields.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}: {text}\n"),
        other => format!("{name}: {other}\n"),
    });
    lines.collect()
}

/// What was done, in a line for people.
fn done(request: &Map<String, Value>, answer: &Value) -> String {
    let mut line = match answer["count"].as_u64() {
        Some(1) => String::from("1 message was deleted"),
        Some(count) => format!("{count} messages were deleted"),
        None => String::from("done"),
    };
    if answer["more"] == json!(true) {
        line += "; there may be more: say that again";
    }
    if let (Some(room), Some(0)) = (request.get("room"), answer["members"].as_u64()) {
        let room = room.as_str().unwrap_or_default();
        line += &format!("; the room {room} has no members at the moment");
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_lines_for_people() {
        let row = json!({
            "kind": "ban", "nick": "mallory", "account": "mal", "by": "@ann", "reason": "spam",
            "at": 1_764_115_203_000_u64, "until": 1_764_201_603_000_u64,
        });
        assert_eq!(
            sanction(&row),
            "ban mallory @mal until 2025-11-27 00:00 UTC (spam), by @ann at 2025-11-26 00:00 UTC\n"
        );
        let answer = json!({"type":"settings","re":0,"room":"den","locked":true});
        assert_eq!(settings(answer.clone(), false), "locked: true\nroom: den\n");
        assert_eq!(
            settings(answer, true),
            "{\"locked\":true,\"room\":\"den\"}\n"
        );
    }

    #[test]
    fn what_was_done_is_a_line() {
        let request = json!({"type":"purge","room":"den"});
        let request = request.as_object().expect("an object");
        for (answer, expected) in [
            (json!({"type":"ok","members":2}), "done\n"),
            (
                json!({"type":"ok","members":2,"count":1}),
                "1 message was deleted\n",
            ),
            (
                json!({"type":"ok","members":2,"count":1000,"more":true}),
                "1000 messages were deleted; there may be more: say that again\n",
            ),
            (
                json!({"type":"ok","members":0}),
                "done; the room den has no members at the moment\n",
            ),
        ] {
            assert_eq!(done(request, &answer), expected);
        }
    }
}
