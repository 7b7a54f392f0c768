//! One row for each setting.

use super::parse::{parse_count, parse_duration, parse_switch};
use std::time::Duration;

/// Rows under one heading of the help.
pub struct Group<C: 'static> {
    pub title: &'static str,
    pub rows: &'static [Row<C>],
}

/// One setting of `C`.
pub struct Row<C> {
    /// Without the hyphens: `ping-after`.
    pub(super) name: &'static str,
    /// What the help calls the value; empty for options that take none.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    pub(super) field: Field<C>,
    pub(super) is_secret: bool,
    pub(super) is_hidden: bool,
    pub(super) is_for_files: bool,
    pub(super) is_reloadable: bool,
}

/// Where a value goes, and what is allowed.
pub enum Field<C> {
    Switch(fn(&mut C) -> &mut bool),
    /// The least is in milliseconds.
    Time {
        field: fn(&mut C) -> &mut Duration,
        least: u32,
    },
    Count {
        field: fn(&mut C) -> &mut usize,
        least: usize,
        most: usize,
    },
    Count32 {
        field: fn(&mut C) -> &mut u32,
        least: u32,
        most: u32,
    },
    Custom {
        set: fn(&mut C, &str) -> Result<(), String>,
        show: fn(&C) -> String,
    },
    /// May be given several times. The first value replaces what was there.
    List {
        clear: fn(&mut C),
        add: fn(&mut C, &str) -> Result<(), String>,
        show: fn(&C) -> String,
    },
    /// Ends the reading of options.
    Help,
    /// Ends the reading of options.
    Version,
}

const fn row<C>(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    field: Field<C>,
) -> Row<C> {
    Row {
        name,
        value,
        help,
        field,
        is_secret: false,
        is_hidden: false,
        is_for_files: true,
        is_reloadable: false,
    }
}

/// An option that is on or off.
pub const fn switch<C>(
    name: &'static str,
    help: &'static str,
    field: fn(&mut C) -> &mut bool,
) -> Row<C> {
    row(name, "", help, Field::Switch(field))
}

/// A duration of at least `least` milliseconds.
pub const fn time<C>(
    name: &'static str,
    least: u32,
    help: &'static str,
    field: fn(&mut C) -> &mut Duration,
) -> Row<C> {
    row(name, "TIME", help, Field::Time { field, least })
}

/// A number from `least` to `most`.
pub const fn count<C>(
    name: &'static str,
    (least, most): (usize, usize),
    help: &'static str,
    field: fn(&mut C) -> &mut usize,
) -> Row<C> {
    let field = Field::Count { field, least, most };
    row(name, "N", help, field)
}

/// A number from `least` to `most`.
pub const fn count32<C>(
    name: &'static str,
    (least, most): (u32, u32),
    help: &'static str,
    field: fn(&mut C) -> &mut u32,
) -> Row<C> {
    let field = Field::Count32 { field, least, most };
    row(name, "N", help, field)
}

/// A value with its own syntax. `show` returns what stands for the default in the help.
pub const fn custom<C>(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut C, &str) -> Result<(), String>,
    show: fn(&C) -> String,
) -> Row<C> {
    row(name, value, help, Field::Custom { set, show })
}

/// A list of values with their own syntax, cleared, added to and shown.
pub const fn list<C>(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    clear: fn(&mut C),
    add: fn(&mut C, &str) -> Result<(), String>,
    show: fn(&C) -> String,
) -> Row<C> {
    row(name, value, help, Field::List { clear, add, show })
}

/// `--help`
pub const fn help<C>() -> Row<C> {
    row("help", "", "this text", Field::Help)
}

/// `--version`
pub const fn version<C>() -> Row<C> {
    row("version", "", "the version", Field::Version)
}

/// A row whose value is never shown.
pub const fn secret<C>(mut row: Row<C>) -> Row<C> {
    row.is_secret = true;
    row
}

/// A row that is not in the help.
pub const fn hidden<C>(mut row: Row<C>) -> Row<C> {
    row.is_hidden = true;
    row
}

/// A row that no configuration file has.
pub const fn outside_files<C>(mut row: Row<C>) -> Row<C> {
    row.is_for_files = false;
    row
}

/// A row that a running program takes over when its settings are read again.
pub const fn reloadable<C>(mut row: Row<C>) -> Row<C> {
    row.is_reloadable = true;
    row
}

impl<C> Row<C> {
    /// Whether a configuration file may have it.
    pub(super) const fn is_in_files(&self) -> bool {
        self.is_for_files && !matches!(self.field, Field::Help | Field::Version)
    }

    /// The name in the environment.
    pub(super) fn variable(&self, prefix: &str) -> String {
        prefix.to_owned() + &self.name.replace('-', "_").to_ascii_uppercase()
    }

    /// Sets a field that is no list, or adds one element to a list.
    pub(super) fn set(&self, settings: &mut C, value: &str) -> Result<(), String> {
        match &self.field {
            Field::Switch(field) => *field(settings) = parse_switch(value)?,
            Field::Time { field, least } => {
                let length = parse_duration(value)?;
                if length < Duration::from_millis((*least).into()) {
                    return Err(format!(
                        "expected a time of at least {least}ms, at most 24h"
                    ));
                }
                *field(settings) = length;
            }
            Field::Count { field, least, most } => {
                *field(settings) = parse_count(value, *least, *most)?;
            }
            Field::Count32 { field, least, most } => {
                let number = parse_count(value, *least as usize, *most as usize)?;
                *field(settings) = u32::try_from(number).expect("the most fits");
            }
            Field::Custom { set, .. } => set(settings, value)?,
            Field::List { add, .. } => add(settings, value)?,
            Field::Help | Field::Version => {}
        }
        Ok(())
    }

    /// The value as the help shows it. `None`: there is no value.
    pub(super) fn show(&self, settings: &mut C) -> Option<String> {
        match &self.field {
            Field::Switch(field) => Some(if *field(settings) { "on" } else { "off" }.to_owned()),
            Field::Time { field, .. } => Some(show_duration(*field(settings))),
            Field::Count { field, .. } => Some(field(settings).to_string()),
            Field::Count32 { field, .. } => Some(field(settings).to_string()),
            Field::Custom { show, .. } | Field::List { show, .. } => Some(show(settings)),
            Field::Help | Field::Version => None,
        }
    }
}

/// As [`parse_duration`] reads it.
pub fn show_duration(length: Duration) -> String {
    let millis = length.as_millis();
    if millis.is_multiple_of(1000) {
        format!("{}s", millis / 1000)
    } else {
        format!("{millis}ms")
    }
}
