//! From arguments and environment to settings: what was given, and what is wrong with it.

use super::{Field, Row, Table};
use clap::builder::OsStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::{OsStr, OsString};
use std::fmt;

/// What the arguments ask for.
pub enum Asked<C: 'static> {
    Help,
    Version,
    Run(Given<C>),
}

/// The values that were given, not yet understood.
pub struct Given<C: 'static> {
    pub(super) program: &'static str,
    pub(super) positional: Option<String>,
    /// By the file, then by the environment, then by the options.
    pub(super) values: Vec<Value<C>>,
}

/// All values of one row from one source.
pub(super) struct Value<C: 'static> {
    pub(super) row: &'static Row<C>,
    pub(super) source: Source,
    pub(super) values: Vec<String>,
}

impl<C> Value<C> {
    /// Puts it into `settings`. Returns what is wrong.
    pub(super) fn apply(&self, program: &'static str, settings: &mut C) -> Vec<BadOption> {
        let row = self.row;
        if let Field::List { clear, .. } = row.field {
            clear(settings);
        }
        let mut bad = Vec::new();
        for value in &self.values {
            if let Err(why) = row.set(settings, value) {
                let named = self.source.named(row);
                bad.push(BadOption {
                    sentence: if row.is_secret {
                        format!("{named}: {why}")
                    } else {
                        format!("{named} {value:?}: {why}")
                    },
                    program,
                });
            }
        }
        bad
    }
}

impl<C> Clone for Value<C> {
    fn clone(&self) -> Self {
        Self {
            row: self.row,
            source: self.source.clone(),
            values: self.values.clone(),
        }
    }
}

/// Where a value comes from.
#[derive(Clone)]
pub(super) enum Source {
    /// The file and the line: `parlor.toml:3`.
    File {
        place: String,
    },
    /// The name of the variable.
    Variable(String),
    Option,
}

impl Source {
    /// The value of a row as a person knows it: `--listen`, `PARLOR_LISTEN`,
    /// `parlor.toml:3: listen`.
    fn named<C>(&self, row: &Row<C>) -> String {
        match self {
            Self::File { place } => format!("{place}: {}", row.name),
            Self::Variable(_) | Self::Option => self.place(row),
        }
    }

    /// Where the value of a row is to be changed.
    pub(super) fn place<C>(&self, row: &Row<C>) -> String {
        match self {
            Self::File { place } => place.clone(),
            Self::Variable(name) => name.clone(),
            Self::Option => format!("--{}", row.name),
        }
    }
}

/// A sentence about what is wrong with an option, a variable of the environment or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOption {
    sentence: String,
    program: &'static str,
}

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sentence, program } = self;
        write!(f, "{sentence}; {program} --help lists the options")
    }
}

impl<C> Row<C> {
    /// The row as clap knows it.
    pub(super) fn argument(&self) -> Arg {
        let arg = Arg::new(self.name).long(self.name);
        // What begins with a hyphen is a value too, if an option comes before it.
        let value = |arg: Arg| {
            arg.value_name(self.value)
                .allow_hyphen_values(true)
                .value_parser(OsStringValueParser::new())
        };
        match self.field {
            Field::Help => arg.short('h').action(ArgAction::Help),
            Field::Version => arg.short('V').action(ArgAction::Version),
            Field::Switch(_) => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("on")
                .value_parser(OsStringValueParser::new()),
            Field::List { .. } => value(arg).action(ArgAction::Append),
            Field::Time { .. }
            | Field::Count { .. }
            | Field::Count32 { .. }
            | Field::Custom { .. } => value(arg).action(ArgAction::Set),
        }
    }
}

impl<C> Table<C> {
    /// Finds out what was given, by the arguments (without the program's name) and by the
    /// variables that `variable` looks up.
    ///
    /// # Errors
    /// The first thing that cannot be understood.
    pub fn read(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Asked<C>, BadOption> {
        let mut command = Command::new(self.program)
            .version(env!("CARGO_PKG_VERSION"))
            .no_binary_name(true)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .args_override_self(true)
            .args(self.rows().map(Row::argument));
        if let Some(positional) = self.positional {
            command =
                command.arg(Arg::new(positional.name).value_parser(OsStringValueParser::new()));
        }
        let matches = match command.try_get_matches_from(arguments) {
            Ok(matches) => matches,
            Err(error) if error.kind() == ErrorKind::DisplayHelp => return Ok(Asked::Help),
            Err(error) if error.kind() == ErrorKind::DisplayVersion => return Ok(Asked::Version),
            Err(error) => return Err(self.bad(sentence(&error))),
        };
        let mut values = Vec::new();
        if let Some(prefix) = self.environment {
            for row in self.rows() {
                let name = row.variable(prefix);
                if matches!(row.field, Field::Help | Field::Version) {
                    continue;
                }
                if let Some(value) = variable(&name) {
                    values.push(self.values_of_variable(row, name, &value)?);
                }
            }
        }
        for row in self.rows() {
            if let Some(value) = self.values_of_option(row, &matches)? {
                values.push(value);
            }
        }
        let positional = self
            .positional
            .and_then(|positional| matches.get_one::<OsString>(positional.name))
            .map(|value| value.to_string_lossy().into_owned());
        Ok(Asked::Run(Given {
            program: self.program,
            positional,
            values,
        }))
    }

    /// A sentence as an error of this program.
    pub fn bad(&self, sentence: String) -> BadOption {
        BadOption {
            sentence,
            program: self.program,
        }
    }

    fn text(&self, source: &str, value: &OsStr) -> Result<String, BadOption> {
        value
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| self.bad(format!("the value of {source} is not valid UTF-8")))
    }

    fn values_of_variable(
        &self,
        row: &'static Row<C>,
        name: String,
        value: &OsStr,
    ) -> Result<Value<C>, BadOption> {
        let text = self.text(&name, value)?;
        let values = match row.field {
            Field::List { .. } => {
                let is_between = |c: char| c == ',' || c.is_whitespace();
                let elements = text.split(is_between).filter(|part| !part.is_empty());
                let elements: Vec<String> = elements.map(str::to_owned).collect();
                // Nothing at all is refused as an empty element is.
                if elements.is_empty() {
                    vec![text]
                } else {
                    elements
                }
            }
            _ => vec![text],
        };
        Ok(Value {
            row,
            source: Source::Variable(name),
            values,
        })
    }

    fn values_of_option(
        &self,
        row: &'static Row<C>,
        matches: &ArgMatches,
    ) -> Result<Option<Value<C>>, BadOption> {
        if matches!(row.field, Field::Help | Field::Version) {
            return Ok(None);
        }
        let Some(given) = matches.get_many::<OsString>(row.name) else {
            return Ok(None);
        };
        let source = format!("--{}", row.name);
        let values = given
            .map(|value| self.text(&source, value))
            .collect::<Result<_, _>>()?;
        Ok(Some(Value {
            row,
            source: Source::Option,
            values,
        }))
    }
}

impl<C> Given<C> {
    /// The argument that is no option.
    pub fn positional(&self) -> Option<&str> {
        self.positional.as_deref()
    }

    /// No value at all.
    pub const fn nothing(program: &'static str) -> Self {
        Self {
            program,
            positional: None,
            values: Vec::new(),
        }
    }

    /// All values as variables, whose names begin with `prefix`.
    pub fn as_variables(&self, prefix: &str) -> Vec<(String, OsString)> {
        let variable = |value: &Value<C>| {
            let text = value.values.join(" ");
            (value.row.variable(prefix), OsString::from(text))
        };
        self.values.iter().map(variable).collect()
    }

    /// The last value that is given for the option of this name.
    pub fn value_of(&self, name: &str) -> Option<&str> {
        self.newest(name)?.values.last().map(String::as_str)
    }

    /// What was given for the option of this name by the source that counts.
    pub(super) fn newest(&self, name: &str) -> Option<&Value<C>> {
        let mut newest_first = self.values.iter().rev();
        newest_first.find(|value| value.row.name == name)
    }

    /// Adds what a file sets, which the environment and the options win over. Returns all that is
    /// wrong with it.
    pub fn add_file(&mut self, table: &Table<C>, name: &str, text: &str) -> Vec<BadOption> {
        let (values, bad) = table.values_of_file(name, text);
        self.values.splice(0..0, values);
        bad
    }

    /// Puts the values into `settings`: the file's, then the environment's, then the options'.
    ///
    /// # Errors
    /// The first value that is not allowed, by the name of its option or variable.
    pub fn apply(&self, settings: &mut C) -> Result<(), BadOption> {
        self.apply_all(settings)
            .into_iter()
            .next()
            .map_or(Ok(()), Err)
    }

    /// The same, and returns all that is wrong.
    pub fn apply_all(&self, settings: &mut C) -> Vec<BadOption> {
        let apply = |value: &Value<C>| value.apply(self.program, settings);
        self.values.iter().flat_map(apply).collect()
    }

    /// A sentence about options, with where those of them are set that a file or a variable sets.
    pub fn with_places(&self, sentence: String) -> String {
        let is_named = |name: &str| {
            let mut words = sentence.split([' ', ';', ':', ',']);
            words.any(|word| word.strip_prefix("--") == Some(name))
        };
        let mut places = Vec::new();
        for value in self.values.iter().filter(|value| is_named(value.row.name)) {
            let name = value.row.name;
            let counts = self
                .newest(name)
                .is_some_and(|one| std::ptr::eq(one, value));
            if counts && !matches!(value.source, Source::Option) {
                places.push(format!(
                    "{name} is set by {}",
                    value.source.place(value.row)
                ));
            }
        }
        match places.len() {
            0 => sentence,
            _ => format!("{sentence} ({})", places.join(", ")),
        }
    }
}

/// What clap found, in our words.
fn sentence(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let argument = context(ContextKind::InvalidArg).unwrap_or("an option");
    // clap names an option with its value: `--listen <ADDR>`.
    let option = argument.split(' ').next().unwrap_or(argument);
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            match context(ContextKind::SuggestedArg) {
                Some(similar) => format!("there is no option {option}, but there is {similar}"),
                None => format!("there is no option {option}"),
            }
        }
        ErrorKind::UnknownArgument => format!("unexpected argument {argument:?}"),
        ErrorKind::InvalidValue | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{option} needs a value")
        }
        ErrorKind::TooManyValues => format!("{option} takes no value"),
        _ => error.to_string().lines().collect::<Vec<_>>().join(" "),
    }
}
