//! The help text, laid out in two columns.

use super::{Row, Table};
use std::fmt::Write as _;

/// Where the second column begins.
const COLUMN: usize = 30;
/// No line is longer, unless a word is.
const WIDTH: usize = 100;

impl<C> Table<C> {
    /// What `--help` prints.
    pub fn help(&self) -> String {
        let mut text = format!(
            "{} - {}\n\nUsage: {}\n",
            self.program,
            self.about,
            self.usage.replace('\n', "\n       ")
        );
        let _ = write!(text, "\n{}", self.intro);
        let mut defaults = (self.defaults)();
        for group in self.groups {
            let _ = write!(text, "\n{}\n", group.title);
            for row in group.rows.iter().filter(|row| !row.is_hidden) {
                let help = self.describe(row, &mut defaults);
                explain(&mut text, row, &help);
            }
        }
        if !self.outro.is_empty() {
            let _ = write!(text, "\n{}", self.outro);
        }
        text
    }

    /// The help of a row with its default, and whether it takes a restart.
    pub(super) fn describe(&self, row: &Row<C>, defaults: &mut C) -> String {
        let mark = if self.can_reload() && !row.is_reloadable {
            " (restart)"
        } else {
            ""
        };
        match row.show(defaults) {
            Some(default) => format!("{}{mark} [{default}]", row.help),
            None => row.help.to_owned(),
        }
    }
}

fn explain<C>(text: &mut String, row: &Row<C>, help: &str) {
    let mut line = format!("  --{} {}", row.name, row.value);
    line.truncate(line.trim_end().len());
    if line.len() >= COLUMN - 1 {
        text.push_str(&line);
        text.push('\n');
        line.clear();
    }
    let mut is_first = true;
    for word in help.split_whitespace() {
        if !is_first && line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line.clear();
            is_first = true;
        }
        if is_first {
            let _ = write!(line, "{:1$}", "", COLUMN - line.len());
            is_first = false;
        } else {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
