//! What can be set, with its defaults. Pure: the command line and the environment come in as values.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set. [`Config::default`] is a server for this machine only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub listen: Vec<ListenAddr>,

    /// Connections at the same time; `None`: as many as the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// Connections from one address at the same time; 0: no limit.
    pub max_connections_per_address: u32,
    /// Whose `X-Forwarded-For` is believed. What comes from them counts for the address they name.
    pub trusted_proxies: Vec<TrustedProxy>,

    /// Origins that may connect besides the server's own; `*` is all of them.
    pub allow_origins: Vec<String>,
    /// Refuse clients that send no Origin, which are those that are no browsers.
    pub require_origin: bool,

    /// From accept to the end of the request's head.
    pub handshake_timeout: Duration,
    /// Silence after which a ping is sent, spread by up to a quarter more.
    pub ping_after: Duration,
    /// Silence after which a connection is given up.
    pub silent_timeout: Duration,
    /// From our close frame, or from our last byte, to the end of the connection.
    pub close_timeout: Duration,
    /// How long a connection may take nothing, or miss messages, before it is closed.
    pub stall_timeout: Duration,
    /// From the first to the last byte of one message.
    pub message_timeout: Duration,
    /// From SIGTERM to the exit.
    pub grace_timeout: Duration,

    /// The longest message a client may send.
    pub max_message_bytes: usize,
    /// Fragments one message may come in.
    pub max_fragments: u32,
    /// Frames that may wait for one connection.
    pub outbox_frames: usize,
    /// Bytes that may wait for one connection. One frame is always taken.
    pub outbox_bytes: usize,
    /// What the kernel may hold for one connection (SO_SNDBUF; Linux counts its own overhead too).
    pub send_buffer_bytes: usize,
    /// Connections that may wait to be accepted.
    pub backlog: i32,

    /// Messages a second from one connection; 0: no limit.
    pub message_rate: u32,
    /// Messages that may come at once before the rate counts.
    pub message_burst: u32,
    /// Up to this many members, every join and leave is announced by itself.
    pub notice_members: usize,
    /// How often joins and leaves are summed up in a larger room.
    pub notice_interval: Duration,
    /// What makes an operator; `None`: nobody can become one.
    pub operator_token: Option<String>,

    /// Filters in the form of env_logger: `warn`, `parlor=debug`.
    pub log: String,
    /// Send every message back to its sender instead of chatting. For conformance suites.
    pub echo: bool,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A peer whose word about the client's address is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// An address, or all that share its first `prefix` bits.
    Net { address: IpAddr, prefix: u8 },
    /// Whoever comes through a Unix socket.
    Unix,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    Ip(IpAddr),
    Unix,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddr::Tcp(SocketAddr::from((
                Ipv4Addr::LOCALHOST,
                8080,
            )))],
            max_connections: None,
            max_connections_per_address: 256,
            trusted_proxies: vec![
                TrustedProxy::Net {
                    address: IpAddr::from([127, 0, 0, 0]),
                    prefix: 8,
                },
                TrustedProxy::Net {
                    address: IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
                    prefix: 128,
                },
                TrustedProxy::Unix,
            ],
            allow_origins: Vec::new(),
            require_origin: false,
            handshake_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(25),
            silent_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(3),
            stall_timeout: Duration::from_secs(30),
            message_timeout: Duration::from_secs(30),
            grace_timeout: Duration::from_secs(5),
            max_message_bytes: 16 * 1024,
            max_fragments: 1024,
            outbox_frames: 32,
            outbox_bytes: 64 * 1024,
            send_buffer_bytes: 16 * 1024,
            backlog: 4096,
            message_rate: 10,
            message_burst: 20,
            notice_members: 100,
            notice_interval: Duration::from_secs(3),
            operator_token: None,
            log: String::from("warn"),
            echo: false,
        }
    }
}
