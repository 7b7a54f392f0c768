//! Where files go: what an option names, else the directories that the environment has for a service
//! or a user. Pure: the environment comes in as a value.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

/// Where history is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StorePlace {
    /// No place is named: [`state_directory`], and memory if nothing can be written there.
    #[default]
    Unnamed,
    /// Only the newest entries, while the server runs.
    Memory,
    Directory(PathBuf),
}

impl FromStr for StorePlace {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "" => Err(String::from("expected a directory or memory")),
            "memory" => Ok(Self::Memory),
            path => Ok(Self::Directory(PathBuf::from(path))),
        }
    }
}

/// The directory for a program's state: the one that systemd made for the service, else the user's
/// (XDG Base Directory Specification). `None`: the environment names none.
pub fn state_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(directory) = service_directory(&variable, "STATE_DIRECTORY") {
        return Some(directory);
    }
    // "All paths must be absolute […] an implementation should consider [others] invalid."
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    Some(absolute("XDG_STATE_HOME").or_else(home)?.join("parlor"))
}

/// The directory for sockets, which systemd made for the service.
pub fn runtime_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    service_directory(&variable, "RUNTIME_DIRECTORY")
}

/// The first of the directories that a unit has, which a colon separates (systemd.exec(5)).
fn service_directory(variable: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    let all = variable(name)?;
    let first = std::env::split_paths(&all).next()?;
    first.is_absolute().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn variable<'e>(environment: &'e [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'e {
        |name| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        }
    }

    #[test]
    fn state_is_in_the_directory_of_the_service_else_in_that_of_the_user() {
        for (environment, expected) in [
            (
                &[
                    ("STATE_DIRECTORY", "/var/lib/parlor"),
                    ("XDG_STATE_HOME", "/home/ann/state"),
                    ("HOME", "/home/ann"),
                ][..],
                Some("/var/lib/parlor"),
            ),
            (
                &[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")],
                Some("/var/lib/a"),
            ),
            (
                &[("XDG_STATE_HOME", "/home/ann/state"), ("HOME", "/home/ann")],
                Some("/home/ann/state/parlor"),
            ),
            (
                &[("XDG_STATE_HOME", "state"), ("HOME", "/home/ann")],
                Some("/home/ann/.local/state/parlor"),
            ),
            (
                &[("STATE_DIRECTORY", ""), ("HOME", "/root")],
                Some("/root/.local/state/parlor"),
            ),
            (&[("HOME", "")], None),
            (&[], None),
        ] {
            let found = state_directory(variable(environment));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{environment:?}");
        }
    }
}
