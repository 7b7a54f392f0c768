//! Completions for shells and manual pages, from the same rows as the options themselves.

use super::{Field, Table};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};
use clap_complete::aot::{Shell, generate};
use clap_mangen::Man;
use std::io;
use std::str::FromStr;

/// Shells there are completions for.
const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

impl<C> Table<C> {
    /// The options as clap knows them, with their help.
    pub fn described(&self, name: &'static str) -> Command {
        let mut defaults = (self.defaults)();
        let mut command = Command::new(name)
            .version(env!("CARGO_PKG_VERSION"))
            .about(self.about)
            .long_about(self.intro)
            .override_usage(self.usage)
            .after_help(self.outro)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .disable_help_subcommand(true);
        if let Some(positional) = self.positional {
            let mut arg = Arg::new(positional.name).required(positional.is_required);
            if !positional.values.is_empty() {
                arg = arg.value_parser(PossibleValuesParser::new(positional.values));
            }
            command = command.arg(arg);
        }
        for group in self.groups {
            for row in group.rows.iter().filter(|row| !row.is_hidden) {
                let mut arg = row
                    .argument()
                    .help(self.describe(row, &mut defaults))
                    .help_heading(group.title);
                if matches!(row.field, Field::Switch(_)) {
                    arg = arg
                        .action(ArgAction::SetTrue)
                        .num_args(0)
                        .require_equals(false);
                }
                command = command.arg(arg);
            }
        }
        command
    }
}

/// The command with the subcommands that print completions and manual pages, of which `pages` are
/// those of subcommands.
pub fn with_printers(command: Command, pages: &'static [&'static str]) -> Command {
    let shells = PossibleValuesParser::new(SHELLS);
    let pages = PossibleValuesParser::new(pages);
    let printer = |name, about, value: Arg| {
        Command::new(name)
            .about(about)
            .disable_help_flag(true)
            .arg(value)
    };
    command
        .subcommand(printer(
            "completions",
            "a script that completes the options",
            Arg::new("SHELL").required(true).value_parser(shells),
        ))
        .subcommand(printer(
            "man",
            "the manual page",
            Arg::new("PAGE").value_parser(pages),
        ))
}

/// A script for `shell` that completes the options of `command`.
///
/// # Errors
/// The shells there are.
pub fn completions(mut command: Command, shell: &str) -> Result<Vec<u8>, String> {
    let shell = Shell::from_str(shell).map_err(|_| {
        format!(
            "there are no completions for {shell:?}; expected bash, elvish, fish, powershell or zsh"
        )
    })?;
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    Ok(script)
}

/// The manual page of `command`, as roff.
///
/// # Errors
/// None is expected: it is written to memory.
pub fn manual(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}
