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
    /// What the kernel may hold for one connection (SO_SNDBUF; Linux counts its own overhead too).
    pub send_buffer_bytes: usize,
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
            send_buffer_bytes: 16 * 1024,
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
