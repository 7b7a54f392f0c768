//! TLS between the sockets and what is said over them: bytes in, bytes out.
//!
//! [`Identities`] are the certificates and their keys, [`Acceptor`] is what a handshake needs of the
//! server, and [`Tls`] is the record layer of one connection. Knows no socket, no queue and no HTTP.
//! `server/records.rs` stands between it and the connection, and nothing else touches it.

mod accept;
mod identity;
mod session;
mod settings;

pub use accept::{Acceptor, Clock};
pub use identity::{Identities, Identity, IdentityError};
pub use session::{
    Failure, Handshake, Opened, RECORD_BYTES_MAX, RECORD_PLAIN_MAX, Tls, Unsealable,
};
pub use settings::Settings;

/// The first byte of a TLS connection: a handshake record (RFC 8446 §5.1).
pub const HANDSHAKE: u8 = 0x16;

/// A fatal alert in the clear, for a client that is turned away before its hello is read:
/// `internal_error` (RFC 8446 §6.2), the alert for what has nothing to do with the client.
pub const TURNED_AWAY: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 80];

#[cfg(test)]
mod tests;
