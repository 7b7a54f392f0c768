//! What has changed from one reading of the settings to the next, and which of it a running program
//! takes over. Knows no setting by name.

use super::{Field, Given, Row, Table};

/// A setting that has another value than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub name: &'static str,
    /// As it would be given; of a secret it says no more than that.
    pub old: String,
    pub new: String,
    /// A running program takes it over.
    pub is_reloadable: bool,
}

/// Stands for the value of a secret.
const SECRET: &str = "(not shown)";

impl<C: PartialEq> Table<C> {
    /// The settings whose values differ, in the order of the rows. Values are compared as they are
    /// understood: `60s` is `1m`, and a default that is given is the default.
    pub fn changes(&self, old: &Given<C>, new: &Given<C>) -> Vec<Change> {
        let rows = self.rows().filter(|row| row.has_value());
        let changed = rows.filter(|row| self.alone(row, old) != self.alone(row, new));
        let change = |row: &'static Row<C>| Change {
            name: row.name,
            old: self.shown(row, old),
            new: self.shown(row, new),
            is_reloadable: row.is_reloadable,
        };
        changed.map(change).collect()
    }

    /// The settings as if nothing but this row was given.
    fn alone(&self, row: &Row<C>, given: &Given<C>) -> C {
        let mut settings = (self.defaults)();
        if let Some(value) = given.newest(row.name) {
            let _ = value.apply(given.program, &mut settings);
        }
        settings
    }

    fn shown(&self, row: &Row<C>, given: &Given<C>) -> String {
        match given.newest(row.name) {
            _ if row.is_secret => String::from(SECRET),
            Some(value) => value.values.join(" "),
            None => row.show(&mut (self.defaults)()).unwrap_or_default(),
        }
    }

    /// Whether a running program takes over this row of another reading.
    pub fn is_reloadable(&self, name: &str) -> bool {
        self.rows().any(|row| row.name == name && row.is_reloadable)
    }
}

impl<C> Table<C> {
    /// Whether any row can be reloaded: then those that cannot are marked.
    pub(super) fn can_reload(&self) -> bool {
        self.rows().any(|row| row.is_reloadable)
    }
}

impl<C> Row<C> {
    const fn has_value(&self) -> bool {
        !matches!(self.field, Field::Help | Field::Version)
    }
}

impl<C> Given<C> {
    /// What holds in a running program after `newer` was read: of that what can be reloaded, and
    /// the rest as it was.
    #[must_use]
    pub fn reloaded(&self, newer: &Self) -> Self {
        let kept = self.values.iter().filter(|value| !value.row.is_reloadable);
        let taken = newer.values.iter().filter(|value| value.row.is_reloadable);
        Self {
            values: kept.chain(taken).cloned().collect(),
            ..Self::nothing(self.program)
        }
    }
}
