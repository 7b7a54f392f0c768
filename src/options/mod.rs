//! Options on the command line, in the environment and in a configuration file, for the server and
//! the load tester.
//!
//! A [`Table`] has one [`Row`] for each setting: its name, its value, its help text and the field
//! it sets. The command line, the environment, the keys of a file, the help text, the completions of
//! shells and the manual page all come from the rows. The default that the help shows is read from the field.
//! Knows no setting by name. Pure: arguments, environment and files come in as values.

mod file;
mod help;
mod listing;
mod parse;
mod reload;
mod row;
mod shell;
mod walk;

pub use clap::Command;
pub use parse::{parse_count, parse_duration};
pub use reload::Change;
pub use row::{
    Field, Group, Row, count, count32, custom, help, hidden, list, outside_files, reloadable,
    secret, show_duration, switch, time, version,
};
pub use shell::{completions, manual, with_printers};
pub use walk::{Asked, BadOption, Given};

/// All options of one program.
pub struct Table<C: 'static> {
    /// As it is called: `parlor load`.
    pub program: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The forms of a call, one a line.
    pub usage: &'static str,
    /// Stands above the options in the help.
    pub intro: &'static str,
    pub groups: &'static [Group<C>],
    /// Stands below the options.
    pub outro: &'static str,
    /// The first argument, which is no option.
    pub positional: Option<Positional>,
    /// What the environment's names begin with, if it is read: `PARLOR_`.
    pub environment: Option<&'static str>,
    /// The settings if no option is given. The help shows them.
    pub defaults: fn() -> C,
}

/// An argument that is no option.
#[derive(Clone, Copy)]
pub struct Positional {
    pub name: &'static str,
    /// What it may be; empty: anything.
    pub values: &'static [&'static str],
    pub is_required: bool,
}

impl<C> Table<C> {
    fn rows(&self) -> impl Iterator<Item = &'static Row<C>> {
        self.groups.iter().flat_map(|group| group.rows)
    }
}
