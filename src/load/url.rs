//! The parts of a URL, and what is filled in for each connection. Resolves no name and opens
//! nothing.

use std::net::Ipv4Addr;
use std::path::PathBuf;

/// A WebSocket URL with places to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// As given on the command line.
    pub(super) text: String,
    /// With TLS.
    pub(super) is_secure: bool,
    pub(super) place: Place,
    /// The path and the query.
    pub(super) path: String,
}

/// What clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Host { name: String, port: u16 },
    Socket(PathBuf),
}

/// The ports of ws and wss that a URL leaves out.
const PORT: u16 = 80;
const SECURE_PORT: u16 = 443;

/// The default of `--url`.
const LOCAL: &str = "ws://127.0.0.1:8080/ws/{room}?nick={nick}";

/// The same for clients that name their room in a request.
const LOCAL_JSON: &str = "ws://127.0.0.1:8080/ws?nick={nick}";

impl Url {
    pub(super) fn local() -> Self {
        Self::parse(LOCAL).expect("the default is a URL")
    }

    pub(super) fn local_json() -> Self {
        Self::parse(LOCAL_JSON).expect("the default is a URL")
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a URL like ws://127.0.0.1:8080/ws/{room}, \
                                wss://example.org/ws/{room} or ws+unix:/run/parlor.sock:/ws/{room}";
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(String::from(EXPECTED));
        }
        let parts = if let Some(rest) = text.strip_prefix("ws+unix:") {
            rest.split_once(":/")
                .filter(|(socket, _)| !socket.is_empty())
                .map(|(socket, path)| (Place::Socket(PathBuf::from(socket)), path))
        } else {
            let known = [("ws://", PORT), ("wss://", SECURE_PORT)].into_iter();
            let mut rests =
                known.filter_map(|(scheme, port)| Some((text.strip_prefix(scheme)?, port)));
            rests.next().and_then(|(rest, usual_port)| {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                parse_host(host, usual_port).map(|host| (host, path))
            })
        };
        let (place, path) = parts.ok_or_else(|| String::from(EXPECTED))?;
        Ok(Self {
            text: text.to_owned(),
            is_secure: text.starts_with("wss://"),
            place,
            path: format!("/{path}"),
        })
    }

    /// The value of the Host header.
    pub(super) fn host(&self) -> String {
        match &self.place {
            Place::Host { name, port } if *port == self.usual_port() => name.clone(),
            Place::Host { name, port } => format!("{name}:{port}"),
            Place::Socket(_) => String::from("localhost"),
        }
    }

    const fn usual_port(&self) -> u16 {
        if self.is_secure { SECURE_PORT } else { PORT }
    }

    pub(super) fn is_loopback_v4(&self) -> bool {
        match &self.place {
            Place::Host { name, .. } => name
                .parse()
                .is_ok_and(|address: Ipv4Addr| address.is_loopback()),
            Place::Socket(_) => false,
        }
    }
}

fn parse_host(text: &str, usual_port: u16) -> Option<Place> {
    let (name, port) = match text.rsplit_once(':') {
        // A colon in brackets is part of an address.
        Some((name, port)) if !port.contains(']') => (name, port.parse().ok()?),
        Some(_) | None => (text, usual_port),
    };
    let is_bare_v6 = name.contains(':') && !name.starts_with('[');
    (!name.is_empty() && !is_bare_v6).then(|| Place::Host {
        name: name.to_owned(),
        port,
    })
}

/// Fills in the room, the nick and the number of a connection.
pub(super) fn fill(template: &str, room: usize, number: usize) -> String {
    if !template.contains('{') {
        return template.to_owned();
    }
    template
        .replace("{room}", &format!("load{room}"))
        .replace("{nick}", &format!("u{number}"))
        .replace("{n}", &number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_has_a_host_a_port_and_a_path() {
        for (text, host, path) in [
            (
                "ws://127.0.0.1:8080/ws/{room}",
                "127.0.0.1:8080",
                "/ws/{room}",
            ),
            ("ws://example.org/chat?a=b", "example.org", "/chat?a=b"),
            ("ws://[::1]:9000", "[::1]:9000", "/"),
            ("ws://[::1]/", "[::1]", "/"),
            ("wss://example.org/ws", "example.org", "/ws"),
            ("wss://[::1]:443/", "[::1]", "/"),
            ("wss://127.0.0.1:80/", "127.0.0.1:80", "/"),
            ("ws+unix:/run/p.sock:/ws/x", "localhost", "/ws/x"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host().as_str(), url.path.as_str()), (host, path));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "localhost",
            "wss://",
            "https://example.org/",
            "ws://",
            "ws://:80/",
            "ws://host:port/",
            "ws://::1/",
            "ws://a b/",
            "ws://a/\r\nX: y",
            "ws+unix:/run/p.sock",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_wss_has_tls() {
        let is_secure = |text| Url::parse(text).unwrap().is_secure;
        assert!(is_secure("wss://example.org/"));
        assert!(!is_secure("ws://example.org:443/"));
        assert!(!is_secure("ws+unix:/run/p.sock:/"));
    }

    #[test]
    fn only_loopback_addresses_of_ipv4_have_several_sources() {
        assert!(Url::parse("ws://127.8.8.8:1/").unwrap().is_loopback_v4());
        assert!(!Url::parse("ws://10.0.0.1:1/").unwrap().is_loopback_v4());
        assert!(!Url::parse("ws://localhost:1/").unwrap().is_loopback_v4());
    }

    #[test]
    fn placeholders_are_filled_in_and_other_braces_are_kept() {
        assert_eq!(
            fill(r#"{"join":"{room}","as":"{nick}","id":{n}}"#, 3, 42),
            r#"{"join":"load3","as":"u42","id":42}"#
        );
    }
}
