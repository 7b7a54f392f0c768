//! TLS records between a client of rustls and the connection code's record layer and outbox: cut
//! anywhere, changed, made up, in any order with what the server sends. What the server opens must be
//! what the client sealed, without a gap; what it seals must be opened by the client in one piece, also
//! if writes are cut; and what it keeps has a bound.
#![no_main]

#[path = "../../tests/trusting/mod.rs"]
mod trusting;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::conn::Outbox;
use parlor::frame::Frame;
use parlor::tls::{
    Acceptor, Identities, Identity, Opened, RECORD_BYTES_MAX, RECORD_PLAIN_MAX, Tls,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, SignatureScheme, version};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};
use trusting::Trusting;

#[derive(Arbitrary, Debug)]
struct Game<'a> {
    is_oldest: bool,
    /// Shakes hands without a fault before the steps.
    is_shaken: bool,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// The client seals so many bytes.
    Says(u16),
    UpdatesKeys,
    Closes,
    /// Bytes that the client did not seal.
    Raw(&'a [u8]),
    /// One byte of what is under way becomes another.
    Changes {
        at: u16,
        by: u8,
    },
    /// So much of what is under way arrives.
    Arrives(u16),
    /// The server queues a frame of so many bytes.
    Queues(u16),
    /// The socket accepts so many bytes.
    Accepts(u16),
    Fails,
}

static ACCEPTOR: LazyLock<Acceptor> = LazyLock::new(|| {
    let chain = include_bytes!("../../tests/certificates/ed25519.crt");
    let key = include_bytes!("../../tests/certificates/ed25519.key");
    let identity = Identity::parse(chain, key).expect("a certificate with its key");
    Acceptor::new(Identities::new(vec![identity]).expect("one")).expect("randomness")
});

static CLIENTS: LazyLock<[Arc<ClientConfig>; 2]> = LazyLock::new(|| {
    [&version::TLS13, &version::TLS12].map(|version| {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(&[version]).expect("ciphers");
        let config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting::with(vec![
                SignatureScheme::ED25519,
            ])));
        let mut config = config.with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    })
});

struct Both {
    client: ClientConnection,
    to_server: VecDeque<u8>,
    /// Something that the client did not seal is or was under way.
    is_spoilt: bool,
    client_has_failed: bool,
    /// The client has sent its close_notify: nothing that it seals later counts (RFC 8446 §6.1).
    client_has_closed: bool,
    sent: Vec<u8>,
    opened: Vec<u8>,
    tls: Tls,
    outbox: Outbox,
    /// Bytes of frames that were queued, and what the client has of them.
    queued: Vec<u8>,
    heard: Vec<u8>,
    has_ended: bool,
}

impl Both {
    fn new(config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("parlor.example").expect("a name");
        let mut both = Self {
            client: ClientConnection::new(config.clone(), name).expect("a client"),
            to_server: VecDeque::new(),
            is_spoilt: false,
            client_has_failed: false,
            client_has_closed: false,
            sent: Vec::new(),
            opened: Vec::new(),
            tls: Tls::new(&ACCEPTOR).expect("a server"),
            outbox: Outbox::default(),
            queued: Vec::new(),
            heard: Vec::new(),
            has_ended: false,
        };
        both.pump();
        both
    }

    fn pump(&mut self) {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).expect("memory");
        }
        self.to_server.extend(bytes);
    }

    fn arrives(&mut self, count: usize) {
        let count = count.min(self.to_server.len());
        let mut input = self.tls.unpark();
        input.extend(self.to_server.drain(..count));
        let mut sealed = Vec::new();
        let mut from = 0;
        loop {
            let (used, opened) = self.tls.open(&mut input[from..], &mut sealed);
            from += used;
            let mut window = [0; 1000];
            while self.tls.has_data() {
                let count = self.tls.take(&mut window);
                self.opened.extend_from_slice(&window[..count]);
            }
            match opened {
                Opened::Data => {}
                Opened::More => break,
                Opened::End => self.has_ended = true,
                Opened::Failed(why) => {
                    assert!(self.is_spoilt || self.has_ended, "{why:?} without a reason");
                    self.outbox.drop_unsealed();
                }
            }
        }
        self.tls.park(&input[from..]);
        self.outbox.push_sealed(&sealed);
        assert!(
            self.tls.held_bytes() <= 2 * RECORD_BYTES_MAX,
            "it has a bound"
        );
        assert!(self.sent.starts_with(&self.opened), "data has no gap");
    }

    fn queues(&mut self, count: usize) {
        if !self.outbox.is_closed() && !self.tls.is_shaking() && self.tls.may_close() {
            let frame = Frame::binary(&vec![self.queued.len() as u8; count]);
            self.queued.extend_from_slice(frame.bytes());
            self.outbox.push_control(frame);
        }
    }

    fn accepts(&mut self, count: usize) {
        if self.outbox.sealed().is_none() && !self.outbox.is_empty() {
            let (mut plain, mut sealed) = (Vec::new(), Vec::new());
            self.outbox.copy_front(RECORD_PLAIN_MAX, &mut plain);
            match self.tls.seal(&plain, &mut sealed) {
                Ok(()) => {
                    self.outbox.advance(plain.len());
                    self.outbox.push_sealed(&sealed);
                }
                Err(_) => self.outbox.drop_unsealed(),
            }
        }
        self.outbox.check_invariants();
        let Some(sealed) = self.outbox.sealed() else {
            return;
        };
        let bytes = sealed[..count.min(sealed.len())].to_vec();
        self.outbox.advance_sealed(bytes.len());
        let mut rest = &bytes[..];
        while !rest.is_empty() && !self.client_has_failed {
            self.client.read_tls(&mut rest).expect("memory");
            if let Err(error) = self.client.process_new_packets() {
                assert!(self.is_spoilt || self.has_ended, "{error}");
                self.client_has_failed = true;
            }
            // An error says only that nothing is there.
            let _ = self.client.reader().read_to_end(&mut self.heard);
        }
        self.pump();
        assert!(
            self.queued.starts_with(&self.heard),
            "no frame is lost or doubled"
        );
    }

    /// After an alert of the server it has nothing to write to.
    fn client_may_say(&self) -> bool {
        !(self.client.is_handshaking() || self.client_has_closed || self.client_has_failed)
    }

    fn plays(&mut self, step: &Step<'_>) {
        match step {
            Step::Says(count) if self.client_may_say() => {
                let data = vec![self.sent.len() as u8; usize::from(*count)];
                let count = self.client.writer().write(&data).expect("memory");
                self.sent.extend_from_slice(&data[..count]);
            }
            Step::UpdatesKeys if !self.client.is_handshaking() => {
                // There is none in TLS 1.2, and too many are a flood.
                self.is_spoilt |= self.client.refresh_traffic_keys().is_ok();
            }
            Step::Closes => {
                // In the middle of the handshake it is an alert like others.
                self.is_spoilt |= self.client.is_handshaking() || self.tls.is_shaking();
                self.client.send_close_notify();
                self.client_has_closed = true;
            }
            Step::Raw(bytes) => {
                self.pump();
                self.is_spoilt |= !bytes.is_empty();
                self.to_server.extend(*bytes);
            }
            Step::Changes { at, by } => {
                let len = self.to_server.len().max(1);
                if let Some(byte) = self.to_server.get_mut(usize::from(*at) % len) {
                    *byte ^= by;
                    self.is_spoilt |= *by != 0;
                }
            }
            Step::Arrives(count) => self.arrives(usize::from(*count)),
            Step::Queues(count) => self.queues(usize::from(*count)),
            Step::Accepts(count) => self.accepts(usize::from(*count)),
            Step::Fails => {
                self.is_spoilt = true;
                self.tls.fail();
                self.outbox.drop_unsealed();
            }
            Step::Says(_) | Step::UpdatesKeys => {}
        }
        self.pump();
    }
}

fuzz_target!(|game: Game<'_>| {
    let mut both = Both::new(&CLIENTS[usize::from(game.is_oldest)]);
    while game.is_shaken && (both.client.is_handshaking() || both.tls.is_shaking()) {
        both.arrives(usize::MAX);
        both.accepts(usize::MAX);
    }
    for step in game.steps.iter().take(100) {
        both.plays(step);
    }
    while !both.to_server.is_empty() || !both.outbox.is_empty() && !both.tls.is_shaking() {
        both.arrives(usize::MAX);
        both.accepts(usize::MAX);
    }
    if !both.is_spoilt && !both.tls.is_shaking() {
        assert_eq!(both.opened, both.sent, "all data came");
        assert_eq!(both.heard, both.queued, "all frames came");
    }
});
