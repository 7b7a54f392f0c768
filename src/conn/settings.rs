//! The durations and limits of one connection, as an operator sets them.

use super::outbox::Limits;
use std::time::Duration;

/// How long each state of a connection may last, and how much may wait for the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From accept to the end of the request's head.
    pub handshake_timeout: Duration,
    /// Silence after which a ping is sent, spread by up to a quarter more.
    pub ping_after: Duration,
    /// Silence after which a connection is closed.
    pub silent_timeout: Duration,
    /// From our close frame, or from our last byte, to the end of the connection.
    pub close_timeout: Duration,
    /// How long a peer may accept no bytes before it is closed.
    pub stall_timeout: Duration,
    /// From the first to the last byte of one message.
    pub message_timeout: Duration,
    /// What may wait for the peer.
    pub outbox: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(25),
            silent_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(3),
            stall_timeout: Duration::from_secs(30),
            message_timeout: Duration::from_secs(30),
            outbox: Limits::default(),
        }
    }
}
