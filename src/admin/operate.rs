//! The commands by which an operator runs a server: `parlor reload` and `parlor admin`. Asks the
//! server over its admin socket and prints what it answers, as a table for people or as JSON lines.

use super::Operation;
use super::commands::{Place, Screen};
use super::order::reach;
use serde_json::{Value, json};

/// Carries out an operation.
///
/// # Errors
/// A sentence, or several lines of them.
pub fn operate(
    place: &Place,
    operation: &Operation,
    is_json: bool,
    screen: &mut Screen<'_>,
) -> Result<(), String> {
    let mut server = reach(place)?;
    let mut operation = operation.clone();
    let mut rows = Vec::new();
    loop {
        let (method, target, body) = operation.to_request();
        let answered = server.call(method, &target, &body)?;
        if let Some(why) = answered.error() {
            return Err(problems(&answered.json().unwrap_or_default()).unwrap_or(why));
        }
        let answer = answered.json()?;
        let Some((name, _)) = list_of(&operation) else {
            return screen.print(&report(&operation, &answer, is_json));
        };
        let page = answer[name].as_array().cloned().unwrap_or_default();
        if is_json {
            let lines: String = page.iter().map(|row| format!("{row}\n")).collect();
            screen.print(&lines)?;
        } else {
            rows.extend(page);
        }
        match answer["next"]
            .as_u64()
            .and_then(|next| next.try_into().ok())
        {
            Some(next) => operation.go_on(next),
            None => break,
        }
    }
    match list_of(&operation) {
        Some((_, columns)) if !is_json => screen.print(&table(&known(columns, &rows), &rows))?,
        _ => return Ok(()),
    }
    if operation == Operation::Nodes && rows.iter().all(|row| row["id"].is_null()) {
        return screen.print("this server is alone: it shares its chat with no other\n");
    }
    Ok(())
}

/// All that is wrong, a line each.
fn problems(answer: &Value) -> Option<String> {
    let problems = answer["problems"].as_array()?;
    let lines: Vec<&str> = problems.iter().filter_map(Value::as_str).collect();
    Some(format!(
        "nothing has changed: the settings are wrong\n{}",
        lines.join("\n")
    ))
}

/// A list's name in the answer, and the fields that people are shown.
const fn list_of(operation: &Operation) -> Option<(&'static str, &'static [&'static str])> {
    match operation {
        Operation::Connections { .. } => Some((
            "connections",
            &[
                "id", "address", "phase", "protocol", "nick", "account", "rooms", "queued",
                "silent",
            ],
        )),
        Operation::Rooms { .. } => Some(("rooms", &["name", "members", "here", "behind"])),
        Operation::Members { .. } => {
            Some(("members", &["id", "nick", "account", "role", "server"]))
        }
        Operation::Nodes => Some((
            "nodes",
            &["id", "host", "version", "started", "connections", "rooms"],
        )),
        Operation::Reload
        | Operation::Upgrade
        | Operation::Show { .. }
        | Operation::Close { .. }
        | Operation::Notice { .. }
        | Operation::Log { .. } => None,
    }
}

fn report(operation: &Operation, answer: &Value, is_json: bool) -> String {
    if is_json {
        return format!("{answer}\n");
    }
    match operation {
        Operation::Reload => changes(answer),
        Operation::Upgrade => upgraded(answer),
        Operation::Show { .. } => fields(answer),
        Operation::Notice { .. } => {
            let count = |name: &str| answer[name].as_u64().unwrap_or(0);
            let (shown, missed) = (count("shown"), count("missed"));
            format!("shown to {shown} clients; {missed} read too slowly for it\n")
        }
        _ => String::from("done\n"),
    }
}

fn changes(answer: &Value) -> String {
    let all = answer["changes"].as_array().cloned().unwrap_or_default();
    if all.is_empty() {
        return String::from("nothing has changed\n");
    }
    let line = |change: &Value| {
        let word = |name: &str| shown(&change[name]);
        let after = if change["restart"] == json!(true) {
            " takes effect after a restart"
        } else {
            ""
        };
        format!(
            "{}: {} -> {}{after}\n",
            word("name"),
            word("old"),
            word("new")
        )
    };
    all.iter().map(line).collect()
}

fn upgraded(answer: &Value) -> String {
    let number = |name: &str| answer[name].as_u64().unwrap_or(0);
    format!(
        "upgraded from {} to {} with {} connections; the chat stood still for {} ms\n",
        shown(&answer["before"]),
        shown(&answer["version"]),
        number("connections"),
        number("paused_ms")
    )
}

fn fields(answer: &Value) -> String {
    let fields = answer.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| format!("{name}: {}\n", shown(value)))
        .collect()
}

/// A value as people read it. Names of users and rooms have no control characters, but what comes
/// from a socket is not trusted to paint on a terminal.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => String::from("-"),
        Value::String(text) if text.is_empty() => String::from("-"),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => String::from("-"),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The columns without those that only servers fill that share their chat.
fn known<'a>(columns: &[&'a str], rows: &[Value]) -> Vec<&'a str> {
    let is_known = |name: &&&str| {
        !matches!(**name, "here" | "server") || rows.iter().any(|row| !row[**name].is_null())
    };
    columns.iter().filter(is_known).copied().collect()
}

/// Rows under a heading, in columns as wide as their longest value.
fn table(columns: &[&str], rows: &[Value]) -> String {
    let heading = columns.iter().map(|name| name.to_uppercase()).collect();
    let cells = |row: &Value| columns.iter().map(|name| shown(&row[name])).collect();
    let lines: Vec<Vec<String>> = [heading]
        .into_iter()
        .chain(rows.iter().map(cells))
        .collect();
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            shown += &format!("{cell:<width$}  ");
        }
        text += shown.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_tables_with_columns_of_one_width() {
        let rows = [
            json!({"name": "lobby", "members": 12, "behind": 0}),
            json!({"name": "\u{1b}[2Jbücherei", "members": 3, "behind": null}),
        ];
        assert_eq!(
            table(&["name", "members", "behind"], &rows),
            "NAME         MEMBERS  BEHIND\n\
             lobby        12       0\n\
             [2Jbücherei  3        -\n"
        );
    }

    #[test]
    fn columns_of_several_servers_are_shown_where_they_are_filled() {
        let columns = ["name", "members", "here"];
        let alone = [json!({"name": "lobby", "members": 12, "here": null})];
        assert_eq!(known(&columns, &alone), ["name", "members"]);
        let shared = [json!({"name": "lobby", "members": 12, "here": 0})];
        assert_eq!(known(&columns, &shared), columns);
    }

    #[test]
    fn changes_are_lines_that_name_what_takes_a_restart() {
        let answer = json!({"changes": [
            {"name": "message-rate", "old": "10", "new": "5", "restart": false},
            {"name": "listen", "old": "127.0.0.1:8080", "new": "[::]:80", "restart": true},
        ]});
        assert_eq!(
            report(&Operation::Reload, &answer, false),
            "message-rate: 10 -> 5\n\
             listen: 127.0.0.1:8080 -> [::]:80 takes effect after a restart\n"
        );
        let nothing = report(&Operation::Reload, &json!({"changes": []}), false);
        assert_eq!(nothing, "nothing has changed\n");
    }

    #[test]
    fn every_problem_is_a_line() {
        let answer = json!({"error": "one", "problems": ["one", "two"]});
        assert_eq!(
            problems(&answer).as_deref(),
            Some("nothing has changed: the settings are wrong\none\ntwo")
        );
    }
}
