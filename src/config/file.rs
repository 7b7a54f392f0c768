//! The configuration file: which one counts, and what it says. Pure: the environment and the files
//! of the machine come in as functions.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Reads a file of the machine as text.
pub type Read<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// The longest configuration file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

const FILE: &str = "parlor/parlor.toml";

/// A configuration file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub text: String,
}

/// Reads the file that is named, else the first there is of that of the machine and that of the
/// user. `none` names none.
///
/// # Errors
/// A sentence: the file that is named is not there, or one that is there cannot be read.
pub fn find_file(
    named: Option<&str>,
    variable: impl Fn(&str) -> Option<OsString>,
    read: Read<'_>,
) -> Result<Option<ConfigFile>, String> {
    let wrong = |path: &Path, error: &io::Error| format!("--config {}: {error}", path.display());
    match named {
        Some("none") => return Ok(None),
        Some(path) => {
            let path = PathBuf::from(path);
            let text = read(&path).map_err(|error| wrong(&path, &error))?;
            return Ok(Some(ConfigFile { path, text }));
        }
        None => {}
    }
    for path in places(variable) {
        match read(&path) {
            Ok(text) => return Ok(Some(ConfigFile { path, text })),
            Err(error) if is_absent(&error) => {}
            Err(error) => {
                let sentence = wrong(&path, &error);
                return Err(format!("{sentence}; --config none does without"));
            }
        }
    }
    Ok(None)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Where a file is looked for (XDG Base Directory Specification), the first first.
fn places(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let absolute = |name| {
        let path = variable(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".config"));
    let mut places = vec![Path::new("/etc").join(FILE)];
    places.extend(
        absolute("XDG_CONFIG_HOME")
            .or_else(home)
            .map(|path| path.join(FILE)),
    );
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/home/ann/.config/parlor/parlor.toml") => Ok(String::from("home")),
            Some("/xdg/parlor/parlor.toml") => Ok(String::from("xdg")),
            Some("/named.toml") => Ok(String::from("named")),
            Some("/locked/parlor/parlor.toml") => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn found(named: Option<&str>, environment: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let file = find_file(named, variable, &read)?;
        Ok(file.map(|file| file.text))
    }

    #[test]
    fn file_that_is_named_wins_over_that_of_the_user() {
        let text = |text: &str| Ok(Some(String::from(text)));
        let home = [("HOME", "/home/ann")];
        assert_eq!(found(None, &[]), Ok(None));
        assert_eq!(found(None, &home), text("home"));
        let both = [("HOME", "/home/ann"), ("XDG_CONFIG_HOME", "/xdg")];
        assert_eq!(found(None, &both), text("xdg"));
        assert_eq!(found(Some("/named.toml"), &both), text("named"));
        assert_eq!(found(Some("none"), &both), Ok(None));
    }

    #[test]
    fn file_that_is_missing_or_locked_is_named() {
        let missing = found(Some("/missing.toml"), &[]).unwrap_err();
        assert!(missing.starts_with("--config /missing.toml: "), "{missing}");
        let locked = found(None, &[("XDG_CONFIG_HOME", "/locked")]).unwrap_err();
        assert!(
            locked.contains("/locked/parlor/parlor.toml") && locked.contains("--config none"),
            "{locked}"
        );
    }
}
