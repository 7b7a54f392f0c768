//! One line of the log, in each of its forms.

use super::settings::{Format, Sink};
use crate::id::Millis;
use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};
use serde_json::json;
use std::fmt::Write as _;

/// What one line says.
pub(super) struct Line<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: &'a str,
    /// Names and values, which are in the message as well.
    pub(super) fields: &'a [(String, String)],
}

impl Line<'_> {
    /// The line with its end. It has no other: what is not to be printed is escaped.
    pub(super) fn render(&self, sink: Sink, now: Millis) -> String {
        match sink.format {
            Format::Json => self.json(now),
            Format::Text if sink.is_journal => self.journal(),
            Format::Text => self.text(now),
        }
    }

    fn is_own(&self) -> bool {
        self.target == super::OWN
    }

    fn text(&self, now: Millis) -> String {
        if self.is_own() {
            return own(self.level, self.message);
        }
        let (level, target) = (self.level, self.target);
        let mut line = format!("[{} {level:<5} {target}] ", now.to_rfc3339());
        escape(&mut line, self.message);
        line.push('\n');
        line
    }

    fn journal(&self) -> String {
        let mut line = format!("<{}>", priority(self.level));
        if !self.is_own() {
            let _ = write!(line, "{}: ", self.target);
        }
        escape(&mut line, self.message);
        line.push('\n');
        line
    }

    fn json(&self, now: Millis) -> String {
        let level = self.level.as_str().to_ascii_lowercase();
        let mut object = json!({
            "time": now.to_rfc3339(),
            "level": level,
            "target": self.target,
            "message": self.message,
        });
        for (name, value) in self.fields {
            object[name] = json!(value);
        }
        format!("{object}\n")
    }
}

/// A line of the program itself, for people.
fn own(level: Level, text: &str) -> String {
    let mut line = String::from(match level {
        Level::Error | Level::Warn => "parlor: warning: ",
        Level::Info | Level::Debug | Level::Trace => "parlor: ",
    });
    escape(&mut line, text);
    line.push('\n');
    line
}

/// Text of others, such as the name of a file, begins no line of its own and paints nothing on a
/// terminal.
fn escape(line: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// As syslog has them.
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// The fields of a record.
pub(super) fn fields(record: &Record<'_>) -> Vec<(String, String)> {
    struct Fields(Vec<(String, String)>);
    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            self.0.push((key.as_str().to_owned(), value.to_string()));
            Ok(())
        }
    }
    let mut fields = Fields(Vec::new());
    // The visitor never fails.
    let _ = record.key_values().visit(&mut fields);
    fields.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_702_095_042);

    fn line<'a>(message: &'a str, fields: &'a [(String, String)]) -> Line<'a> {
        Line {
            level: Level::Warn,
            target: "parlor::accept",
            message,
            fields,
        }
    }

    fn sink(format: Format, is_journal: bool) -> Sink {
        Sink { format, is_journal }
    }

    #[test]
    fn line_for_people_has_time_level_and_target_and_the_journal_a_priority() {
        let line = line("a\nb\u{1b}[1m é", &[]);
        assert_eq!(
            line.render(sink(Format::Text, false), NOW),
            "[2026-11-26T14:08:15Z WARN  parlor::accept] a\\nb\\u{1b}[1m é\n"
        );
        assert_eq!(
            line.render(sink(Format::Text, true), NOW),
            "<4>parlor::accept: a\\nb\\u{1b}[1m é\n"
        );
    }

    #[test]
    fn every_text_is_one_line_of_json() {
        let odd = (0..0x300).filter_map(char::from_u32).collect::<String>();
        for message in ["", "plain", "\"quoted\" \\ {}", odd.as_str()] {
            let fields = [(String::from("connection"), String::from(message))];
            let line = line(message, &fields);
            for is_journal in [false, true] {
                let text = line.render(sink(Format::Json, is_journal), NOW);
                assert_eq!(text.matches('\n').count(), 1);
                let object: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(object["time"], "2026-11-26T14:08:15Z");
                assert_eq!(object["level"], "warn");
                assert_eq!(object["target"], "parlor::accept");
                assert_eq!(object["message"], message);
                assert_eq!(object["connection"], message);
            }
        }
    }
}
