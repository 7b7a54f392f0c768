//! Where settings come from: the environment and the configuration file. `parlor config` lists them
//! and `parlor check` judges them. Does not know what a setting means: the library's rows do.

use super::lists::read_bytes;
use super::{misused, print};
use parlor::config::{self, Examined, FILE_BYTES_MAX, find_file, variables_of};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A configuration file as text.
pub(super) fn read_config(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("the file is longer than 1 MiB"));
    }
    Ok(text)
}

/// A variable of the environment, else what the configuration file has for it: commands find the
/// store where the server has it.
pub(super) fn setting(name: &str) -> Option<OsString> {
    static FILE: OnceLock<Vec<(String, OsString)>> = OnceLock::new();
    variable(name).or_else(|| {
        let all = FILE.get_or_init(settings_of_file);
        let found = all.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    })
}

fn settings_of_file() -> Vec<(String, OsString)> {
    let named = variable("PARLOR_CONFIG");
    let named = named.as_deref().map(OsStr::to_string_lossy);
    match find_file(named.as_deref(), variable, &read_config) {
        Ok(file) => file.as_ref().map(variables_of).unwrap_or_default(),
        Err(why) => {
            eprintln!("parlor: warning: {why}");
            Vec::new()
        }
    }
}

pub(super) fn show_settings(arguments: Vec<OsString>) -> ExitCode {
    match Examined::parse(arguments, variable, &read_config) {
        Ok(Some(examined)) if examined.problems.is_empty() => print(examined.listing.as_bytes()),
        Ok(Some(examined)) => report(&examined.problems),
        Ok(None) => print(config::TABLE.help().as_bytes()),
        Err(bad) => report(&[bad]),
    }
}

/// Whether the server would start with these settings, as far as can be seen without starting.
pub(super) fn check_settings(arguments: Vec<OsString>) -> ExitCode {
    let mut examined = match Examined::parse(arguments, variable, &read_config) {
        Ok(Some(examined)) => examined,
        Ok(None) => return print(config::TABLE.help().as_bytes()),
        Err(bad) => return report(&[bad]),
    };
    let mut problems: Vec<String> = examined.problems.iter().map(ToString::to_string).collect();
    if problems.is_empty() {
        problems.extend(examined.config.read_contents(&read_bytes).err());
    }
    if !problems.is_empty() {
        return report(&problems);
    }
    let file = examined.file.as_deref().map(Path::display);
    let file = file.map_or_else(|| String::from("no file"), |path| path.to_string());
    print(format!("the settings are in order ({file} was read)\n").as_bytes())
}

fn report(problems: &[impl fmt::Display]) -> ExitCode {
    for problem in problems {
        eprintln!("parlor: {problem}");
    }
    misused()
}
