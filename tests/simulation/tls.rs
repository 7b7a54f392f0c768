//! The client's end of TLS, right at the server's socket: the simulated network and its clients have
//! data, and the server has records. Panics if the client cannot open what the server sent, so a record
//! that is lost, doubled, cut or out of order does not pass.

use super::trusting::Trusting;
use parlor::id::Tick;
use parlor::tls::{Acceptor, Identities, Identity};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, SignatureScheme, version};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// A signature of Ed25519 has always the same length, so every game of a seed is the same.
const CERTIFICATE: &[u8] = include_bytes!("../certificates/ed25519.crt");
const KEY: &[u8] = include_bytes!("../certificates/ed25519.key");

/// Time stands still: the games are about other things.
#[derive(Debug)]
struct Still;

impl TimeProvider for Still {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            1_800_000_000,
        )))
    }
}

/// What a server presents.
pub(crate) fn acceptor() -> Acceptor {
    let identity = Identity::parse(CERTIFICATE, KEY).expect("a certificate with its key");
    let identities = Identities::new(vec![identity]).expect("there is one");
    Acceptor::with_clock(identities, Arc::new(Still)).expect("the system has randomness")
}

/// What the clients of a game share, and by which they resume their sessions.
pub(crate) fn clients(is_newest: bool) -> Arc<ClientConfig> {
    let provider = Arc::new(default_provider());
    let version = if is_newest {
        &version::TLS13
    } else {
        &version::TLS12
    };
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Still));
    let builder = builder
        .with_protocol_versions(&[version])
        .expect("ring has ciphers for both");
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting::with(vec![SignatureScheme::ED25519])));
    Arc::new(config.with_no_client_auth())
}

/// How a client ends its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// By the end of TCP alone (RFC 8446 §6.1 asks for more).
    Bare,
    /// By a close_notify and the end of TCP behind it.
    Both,
    /// By a close_notify; the end of TCP comes when the server has ended its side.
    Waits,
}

/// One connection.
pub(crate) struct Wire {
    client: ClientConnection,
    manners: Manners,
    /// The client has sealed its close_notify.
    has_notified: bool,
    /// Sealed, and not read by the server.
    to_server: VecDeque<u8>,
    /// Data in what is there, which the server has when it has read the last byte.
    sealed_data: usize,
    server_has_closed: bool,
    is_answered: bool,
    /// The server has sent data.
    has_data: bool,
    /// Since when the server has read a part of a record, and for how long it has had one at most.
    part_since: Option<Tick>,
    /// When each part began that the server has had.
    parts: Vec<Tick>,
    longest_part: u32,
}

impl Wire {
    pub(crate) fn new(config: &Arc<ClientConfig>, manners: Manners) -> Self {
        let name = ServerName::try_from("parlor.example").expect("a name");
        let client = ClientConnection::new(config.clone(), name).expect("a client");
        let mut wire = Self {
            client,
            manners,
            has_notified: false,
            to_server: VecDeque::new(),
            sealed_data: 0,
            server_has_closed: false,
            is_answered: false,
            has_data: false,
            part_since: None,
            parts: Vec::new(),
            longest_part: 0,
        };
        wire.pump();
        wire
    }

    fn pump(&mut self) {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).expect("memory");
        }
        self.to_server.extend(bytes);
    }

    /// Bytes are there for the server.
    pub(crate) fn has_sealed(&self) -> bool {
        !self.to_server.is_empty()
    }

    /// Data can be sealed: the handshake is over, and the server has read all that is sealed.
    pub(crate) fn may_seal(&self) -> bool {
        !self.client.is_handshaking() && !self.has_sealed()
    }

    /// Seals data. `updates_keys`: after an update of the keys, which the server must follow.
    pub(crate) fn seal(&mut self, data: &[u8], updates_keys: bool) {
        if updates_keys {
            // There is none in TLS 1.2.
            let _ = self.client.refresh_traffic_keys();
        }
        self.client.writer().write_all(data).expect("memory");
        self.sealed_data += data.len();
        self.pump();
    }

    /// The client has nothing more to say, and seals its close_notify if it sends one.
    pub(crate) fn ends(&mut self) {
        let is_first = !std::mem::replace(&mut self.has_notified, true);
        if self.manners != Manners::Bare && is_first {
            self.client.send_close_notify();
            self.pump();
        }
    }

    /// The server has read the client's close_notify.
    pub(crate) fn is_end_read(&self) -> bool {
        self.manners != Manners::Bare && self.has_notified && !self.has_sealed()
    }

    /// The server has read the client's close_notify, and has sent none.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.is_end_read() && self.has_data && !self.server_has_closed
    }

    /// The end of TCP is still to come, though the client has said its last.
    pub(crate) fn holds_end(&self) -> bool {
        self.manners == Manners::Waits && self.has_notified && !self.server_has_closed
    }

    /// The server reads so many bytes. Returns them and how much data is whole with them.
    pub(crate) fn read(&mut self, count: usize, now: Tick) -> (Vec<u8>, usize) {
        let bytes = self.to_server.drain(..count).collect();
        let since = *self.part_since.get_or_insert(now);
        self.longest_part = self.longest_part.max(now.since(since));
        if self.has_sealed() {
            return (bytes, 0);
        }
        self.part_since = None;
        self.parts.push(since);
        let data = std::mem::take(&mut self.sealed_data);
        (bytes, data)
    }

    /// A message may have begun with a part of a record, and be too slow: one lasted for so many ticks,
    /// or began about so many ago and was followed by more parts of one message.
    pub(crate) fn may_be_too_slow(&self, ticks: u32, now: Tick) -> bool {
        let present = self.part_since.map_or(0, |since| now.since(since));
        let about = ticks..=ticks + 10;
        self.longest_part.max(present) >= ticks
            || self
                .parts
                .iter()
                .any(|since| about.contains(&now.since(*since)))
    }

    /// The server has written something.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    pub(crate) fn len(&self) -> usize {
        self.to_server.len()
    }

    /// The server has written these bytes. Returns the data in them.
    pub(crate) fn wrote(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        self.is_answered = true;
        while !bytes.is_empty() {
            assert!(
                !self.server_has_closed,
                "the server writes after its close_notify"
            );
            self.client.read_tls(&mut bytes).expect("memory");
            let state = self.client.process_new_packets();
            let state = state.expect("the client opens what the server has sealed");
            self.server_has_closed = state.peer_has_closed();
            // An error says only that nothing is there.
            let _ = self.client.reader().read_to_end(&mut data);
        }
        self.has_data |= !data.is_empty();
        self.pump();
        data
    }

    /// The server shuts its side: the client must know that nothing was cut off.
    pub(crate) fn check_shut(&self) {
        assert!(
            !self.has_data || self.server_has_closed,
            "the server ends without a close_notify"
        );
    }
}
