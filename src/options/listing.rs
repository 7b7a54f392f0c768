//! The settings as a configuration file: what was given, each with where it came from, and the
//! defaults as comments. Secrets are not shown.

use super::{Field, Given, Row, Table};
use std::fmt::Write as _;

impl<C> Table<C> {
    /// All settings with what was given for them.
    pub fn listing(&self, given: &Given<C>) -> String {
        let mut defaults = (self.defaults)();
        let mut text = String::new();
        for group in self.groups {
            let rows = group
                .rows
                .iter()
                .filter(|row| row.is_in_files() && !row.is_hidden);
            for (index, row) in rows.enumerate() {
                if index == 0 {
                    let _ = writeln!(
                        text,
                        "{}# {}",
                        if text.is_empty() { "" } else { "\n" },
                        group.title
                    );
                }
                let mark = if self.can_reload() && !row.is_reloadable {
                    ", restart"
                } else {
                    ""
                };
                list(&mut text, row, given, &mut defaults, mark);
            }
        }
        text
    }
}

fn list<C>(
    text: &mut String,
    row: &'static Row<C>,
    given: &Given<C>,
    defaults: &mut C,
    mark: &str,
) {
    let name = row.name;
    let _ = match given.newest(name) {
        None => {
            let default = row.show(defaults).unwrap_or_default();
            let words: Vec<String> = match row.field {
                Field::List { .. } => default.split(' ').map(str::to_owned).collect(),
                _ => vec![default],
            };
            writeln!(text, "# {name} = {}  # default{mark}", literal(row, &words))
        }
        Some(value) if row.is_secret => {
            writeln!(
                text,
                "# {name} is set by {}, and not shown",
                value.source.place(row)
            )
        }
        Some(value) => {
            let literal = literal(row, &value.values);
            writeln!(
                text,
                "{name} = {literal}  # {}{mark}",
                value.source.place(row)
            )
        }
    };
}

/// Values as TOML. A default may be a sentence, which is in a comment.
fn literal<C>(row: &Row<C>, values: &[String]) -> String {
    let is_number = |value: &str| !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    match (&row.field, values) {
        (Field::List { .. }, values) => {
            let words: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("[{}]", words.join(", "))
        }
        (Field::Switch(_), [value]) => match value.as_str() {
            "on" | "yes" | "true" | "1" => String::from("true"),
            _ => String::from("false"),
        },
        (Field::Count { .. } | Field::Count32 { .. }, [value]) if is_number(value) => value.clone(),
        (_, values) => quoted(values.last().map_or("", String::as_str)),
    }
}

/// A basic string of TOML, whose escapes are those of JSON and DEL.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
