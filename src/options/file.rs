//! A configuration file: TOML (toml.io) with one key for each row, named as the option is. Finds out
//! what a file sets, line by line, and all that is wrong with it. Pure: its text comes in as a value.

use super::walk::{Source, Value};
use super::{BadOption, Field, Row, Table};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// How alike two names must be for one to be suggested, from 0 to 1.
const ALIKE: f64 = 0.8;

impl<C> Table<C> {
    /// What a file sets, and what is wrong with it. `name` is the file's, for errors.
    pub(super) fn values_of_file(&self, name: &str, text: &str) -> (Vec<Value<C>>, Vec<BadOption>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let line = |at: usize| {
            1 + text.as_bytes()[..at]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
        };
        let at = |span: Range<usize>| format!("{name}:{}", line(span.start.min(text.len())));
        if !errors.is_empty() {
            let bad = errors.iter().map(|error| {
                let place = at(error.span().unwrap_or(0..0));
                self.bad(format!("{place}: {}", error.message()))
            });
            return (Vec::new(), bad.collect());
        }
        let mut keys: Vec<_> = table.get_ref().iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let mut values = Vec::new();
        let mut bad = Vec::new();
        for (key, value) in keys {
            let place = at(key.span());
            match self.value_of_key(key.get_ref(), value.get_ref()) {
                Ok((row, texts)) => values.push(Value {
                    row,
                    source: Source::File { place },
                    values: texts,
                }),
                Err(why) => bad.push(self.bad(format!("{place}: {why}"))),
            }
        }
        (values, bad)
    }

    fn value_of_key(
        &self,
        key: &str,
        value: &DeValue<'_>,
    ) -> Result<(&'static Row<C>, Vec<String>), String> {
        if value.is_table() {
            return Err(format!(
                "{key} is a table; all settings stand at the top, without one"
            ));
        }
        let row = self.row_of_key(key)?;
        let texts = match (value, &row.field) {
            (DeValue::Array(elements), Field::List { .. }) => {
                let texts = elements.iter().map(|element| text_of(element.get_ref()));
                texts.collect::<Option<Vec<_>>>()
            }
            (value, _) => text_of(value).map(|text| vec![text]),
        };
        let texts = texts.ok_or_else(|| {
            let expected = match row.field {
                Field::List { .. } => "a string, or a list of strings in brackets",
                _ => "a string, a number, true or false",
            };
            format!("{key} is {}; expected {expected}", kind(value))
        })?;
        if texts.is_empty() {
            return Err(format!("{key} is an empty list; leave it out instead"));
        }
        Ok((row, texts))
    }

    fn row_of_key(&self, key: &str) -> Result<&'static Row<C>, String> {
        let mut rows = self.rows().filter(|row| row.is_in_files());
        if let Some(row) = rows.find(|row| row.name == key) {
            return Ok(row);
        }
        let rows = self
            .rows()
            .filter(|row| row.is_in_files() && !row.is_hidden);
        let like = rows.map(|row| (strsim::jaro_winkler(row.name, key), row.name));
        let most = like.max_by(|(one, _), (other, _)| one.total_cmp(other));
        Err(match most {
            Some((likeness, name)) if likeness >= ALIKE => {
                format!("there is no setting {key:?}, but there is {name:?}")
            }
            _ => format!("there is no setting {key:?}"),
        })
    }
}

/// A value as the command line has it.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(is_on) => Some(if *is_on { "on" } else { "off" }.to_owned()),
        _ => None,
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "a list",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Integer(_) => "a number that is not decimal",
        DeValue::Datetime(_) => "a date",
        DeValue::String(_) | DeValue::Boolean(_) | DeValue::Table(_) => "a value",
    }
}
