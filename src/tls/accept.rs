//! What every handshake needs of the server: versions, ciphers, certificates, tickets.

use super::Identities;
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use std::fmt;
use std::sync::Arc;

/// The one protocol above TLS here. A client that offers others only is refused with
/// `no_application_protocol`.
const ALPN: &[u8] = b"http/1.1";

/// Where the time of day comes from. The simulator has its own.
pub type Clock = Arc<dyn TimeProvider>;

/// Begins connections.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    /// Outlives the certificates: tickets stay good when those are renewed.
    ticketer: Arc<dyn ProducesTickets>,
    clock: Clock,
}

impl Acceptor {
    /// TLS 1.3 and 1.2.
    ///
    /// # Errors
    /// The system has no randomness for the key of the tickets.
    pub fn new(identities: Identities) -> Result<Self, String> {
        Self::with_clock(identities, Arc::new(DefaultTimeProvider))
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// The system has no randomness for the key of the tickets.
    pub fn with_clock(identities: Identities, clock: Clock) -> Result<Self, String> {
        let ticketer = Ticketer::new().map_err(|error| error.to_string())?;
        let config = config(identities, &ticketer, &clock);
        Ok(Self {
            config,
            ticketer,
            clock,
        })
    }

    /// Presents these certificates from here on. Connections that are there keep theirs.
    pub fn set_identities(&mut self, identities: Identities) {
        self.config = config(identities, &self.ticketer, &self.clock);
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

fn config(
    identities: Identities,
    ticketer: &Arc<dyn ProducesTickets>,
    clock: &Clock,
) -> Arc<ServerConfig> {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_details(provider, clock.clone());
    let builder = builder
        .with_safe_default_protocol_versions()
        .expect("the ciphers of ring are for both versions");
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(identities));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Nothing of a session is kept here: a stored one costs 600 bytes a handshake, and more time.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ticketer.clone();
    config.send_tls13_tickets = 1;
    // What comes with a ticket before the handshake can be replayed (RFC 8446 §8).
    config.max_early_data_size = 0;
    Arc::new(config)
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}
