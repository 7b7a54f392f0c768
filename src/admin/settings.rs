//! What an operator sets about the admin socket.

use std::path::PathBuf;
use std::str::FromStr;

/// Where operators' commands reach a running server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdminSocket {
    /// None is named: in the directory that the environment has for sockets, else beside the store.
    #[default]
    Unnamed,
    /// There is none.
    None,
    At(PathBuf),
}

impl FromStr for AdminSocket {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "" => Err(String::from("expected a path or none")),
            "none" => Ok(Self::None),
            path => Ok(Self::At(PathBuf::from(path))),
        }
    }
}
