//! What an operator sets about listeners and sockets.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Where the server listens, and the kernel's queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub listen: Vec<ListenAddr>,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Other processes may listen at the same TCP addresses: the kernel gives each connection to one
    /// of them (SO_REUSEPORT).
    pub reuse_port: bool,
    /// What the kernel may hold for one connection (SO_SNDBUF; Linux counts its own overhead too).
    pub send_buffer_bytes: usize,
    /// Mode of the file of a Unix socket. Who may write may connect.
    pub unix_mode: u32,
    /// Group of the file of a Unix socket, by name or number; `None`: the process's own.
    pub unix_group: Option<String>,
}

impl Default for Settings {
    /// A server for this machine only.
    fn default() -> Self {
        Self {
            listen: vec![ListenAddr::Tcp(SocketAddr::from((
                Ipv4Addr::LOCALHOST,
                8080,
            )))],
            backlog: 4096,
            reuse_port: false,
            send_buffer_bytes: 16 * 1024,
            unix_mode: 0o660,
            unix_group: None,
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for ListenAddr {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        if let Some(path) = value.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(String::from("the path after unix: is missing"));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        value.parse().map(Self::Tcp).map_err(|_| {
            String::from(
                "expected an address like 127.0.0.1:8080, [::1]:8080 or unix:/run/parlor.sock",
            )
        })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Permissions in octal digits, as chmod(1) takes them.
///
/// # Errors
/// What is allowed.
pub fn parse_mode(value: &str) -> Result<u32, String> {
    let is_octal =
        (1..=4).contains(&value.len()) && value.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u32::from_str_radix(value, 8) {
        Ok(mode) if is_octal && mode <= 0o777 => Ok(mode),
        Ok(_) | Err(_) => Err(String::from(
            "expected permissions in octal digits, like 0660, at most 0777",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_is_octal_and_has_permissions_only() {
        for (text, mode) in [("0660", 0o660), ("660", 0o660), ("0777", 0o777), ("0", 0)] {
            assert_eq!(parse_mode(text), Ok(mode), "{text}");
        }
        for text in ["", "0o660", "+660", "00660", "0888", "1777", "rw", "-1"] {
            assert!(parse_mode(text).is_err(), "{text}");
        }
    }
}
