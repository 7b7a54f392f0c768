//! What orders the rooms: this server alone, or a Redis that several servers share. Pure: values come
//! in as they are written.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of Redis if none is written.
const PORT: u16 = 6379;

/// Where the engine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EnginePlace {
    /// In this process: the rooms are this server's alone.
    #[default]
    Local,
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

/// The engine, and as whom this server comes to it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    pub place: EnginePlace,
    /// A user of its access list; `None`: the default user.
    pub user: Option<String>,
    pub password: Option<String>,
    /// A file with it instead.
    pub password_file: Option<PathBuf>,
}

impl fmt::Debug for EngineOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("place", &self.place)
            .field("user", &self.user)
            .field("password_file", &self.password_file)
            .finish_non_exhaustive()
    }
}

impl EngineOptions {
    pub fn is_shared(&self) -> bool {
        self.place != EnginePlace::Local
    }
}

impl FromStr for EnginePlace {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let wrong = || {
            String::from(
                "expected local, redis://HOST[:PORT] or redis+unix:PATH; the user and the password \
                 have options of their own",
            )
        };
        if value == "local" {
            return Ok(Self::Local);
        }
        if let Some(path) = value.strip_prefix("redis+unix:") {
            let is_path = !path.is_empty();
            return is_path
                .then(|| Self::Unix(PathBuf::from(path)))
                .ok_or_else(wrong);
        }
        if value.starts_with("rediss:") {
            return Err(String::from(
                "TLS to Redis is not spoken yet: use redis:// on a private network, or a tunnel",
            ));
        }
        let address = value.strip_prefix("redis://").ok_or_else(wrong)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (address, PORT),
        };
        let is_host = !host.is_empty() && !host.contains(['@', '/', '?', ' ']);
        let host = host.to_owned();
        is_host
            .then_some(Self::Tcp { host, port })
            .ok_or_else(wrong)
    }
}

impl fmt::Display for EnginePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Tcp { host, port } => write!(f, "redis://{host}:{port}"),
            Self::Unix(path) => write!(f, "redis+unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_written_as_it_is_read() {
        for (written, shown) in [
            ("local", "local"),
            ("redis://chat.internal", "redis://chat.internal:6379"),
            ("redis://127.0.0.1:7000/", "redis://127.0.0.1:7000"),
            ("redis://[::1]", "redis://[::1]:6379"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
            ("redis+unix:/run/redis.sock", "redis+unix:/run/redis.sock"),
        ] {
            let place: EnginePlace = written.parse().unwrap();
            assert_eq!(place.to_string(), shown, "{written}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for written in [
            "",
            "redis",
            "redis://",
            "redis://host:port",
            "redis://user:word@host",
            "redis+unix:",
            "rediss://host",
        ] {
            assert!(written.parse::<EnginePlace>().is_err(), "{written}");
        }
    }
}
