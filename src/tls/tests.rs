//! Handshakes and records against the client of rustls, whole and cut, and what a server must refuse.

#[path = "../../tests/trusting/mod.rs"]
mod trusting;

use super::*;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, SupportedProtocolVersion, version,
};
use std::io::{Read, Write};
use std::sync::Arc;
use trusting::Trusting;

const ED25519: (&[u8], &[u8]) = (
    include_bytes!("../../tests/certificates/ed25519.crt"),
    include_bytes!("../../tests/certificates/ed25519.key"),
);
const P256: (&[u8], &[u8]) = (
    include_bytes!("../../tests/certificates/p256.crt"),
    include_bytes!("../../tests/certificates/p256.key"),
);

fn acceptor(pairs: &[(&[u8], &[u8])]) -> Acceptor {
    let parse = |(chain, key): &(&[u8], &[u8])| Identity::parse(chain, key).unwrap();
    let identities = Identities::new(pairs.iter().map(parse).collect()).unwrap();
    Acceptor::new(identities).unwrap()
}

/// With all kinds of signatures that ring has.
fn trusting() -> Arc<Trusting> {
    let algorithms = default_provider().signature_verification_algorithms;
    Arc::new(Trusting::with(algorithms.supported_schemes()))
}

fn client_config(versions: &[&'static SupportedProtocolVersion], alpn: &[&[u8]]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(trusting())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

fn client(config: ClientConfig) -> ClientConnection {
    let name = ServerName::try_from("parlor.example").unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

/// A server's end as the connection code uses it: what it opened, and what it answers.
struct End {
    tls: Tls,
    data: Vec<u8>,
    last: Opened,
}

impl End {
    fn new(acceptor: &Acceptor) -> Self {
        Self {
            tls: Tls::new(acceptor).unwrap(),
            data: Vec::new(),
            last: Opened::More,
        }
    }

    /// Bytes come in pieces of this size. Returns what is to be sent.
    fn takes(&mut self, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut sealed = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut input = self.tls.unpark();
            input.extend_from_slice(piece);
            let mut from = 0;
            loop {
                let (used, opened) = self.tls.open(&mut input[from..], &mut sealed);
                from += used;
                if opened != Opened::Data {
                    if opened != Opened::More {
                        self.last = opened;
                    }
                    break;
                }
                let mut window = [0; 100];
                while self.tls.has_data() {
                    let count = self.tls.take(&mut window);
                    self.data.extend_from_slice(&window[..count]);
                }
            }
            self.tls.park(&input[from..]);
        }
        sealed
    }
}

/// What the client sends next.
fn sent(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Gives bytes to the client, and returns what it reads.
fn heard(client: &mut ClientConnection, mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        client.process_new_packets()?;
        // An error says only that nothing is there.
        let _ = client.reader().read_to_end(&mut data);
    }
    Ok(data)
}

/// Shakes hands with pieces of this size in both directions.
fn shaken(config: ClientConfig, acceptor: &Acceptor, piece: usize) -> (ClientConnection, End) {
    let (mut client, mut end) = (client(config), End::new(acceptor));
    while client.is_handshaking() || end.tls.is_shaking() {
        let to_server = sent(&mut client);
        let to_client = end.takes(&to_server, piece);
        assert!(!to_server.is_empty() || !to_client.is_empty(), "it goes on");
        for bytes in to_client.chunks(piece) {
            heard(&mut client, bytes).unwrap();
        }
    }
    (client, end)
}

#[test]
fn data_goes_both_ways_however_it_is_cut() {
    let acceptor = acceptor(&[ED25519]);
    for versions in [&[&version::TLS13], &[&version::TLS12]] {
        for piece in [1, 2, 5, 6, 23, 100, 4096] {
            let config = client_config(versions, &[b"http/1.1"]);
            let (mut client, mut end) = shaken(config, &acceptor, piece);
            client.writer().write_all(b"hello").unwrap();
            client.writer().write_all(&[b'x'; 40_000]).unwrap();
            let bytes = sent(&mut client);
            end.takes(&bytes, piece);
            assert_eq!(end.data.len(), 40_005);
            assert!(end.data.starts_with(b"hellox"));
            let mut sealed = Vec::new();
            end.tls.seal(b"one", &mut sealed).unwrap();
            end.tls
                .seal(&[b'y'; RECORD_PLAIN_MAX], &mut sealed)
                .unwrap();
            end.tls.close(&mut sealed);
            let data = heard(&mut client, &sealed).unwrap();
            assert_eq!(data.len(), 3 + RECORD_PLAIN_MAX);
            assert!(data.starts_with(b"oney"));
            assert_eq!(end.tls.seal(b"more", &mut sealed), Err(Unsealable));
            // The client may still send, and has an end of its own.
            client.writer().write_all(b"bye").unwrap();
            client.send_close_notify();
            let bytes = sent(&mut client);
            end.takes(&bytes, piece);
            assert!(end.data.ends_with(b"bye"));
            assert!(end.last == Opened::End && end.tls.is_over());
        }
    }
}

#[test]
fn idle_connection_keeps_no_bytes() {
    let acceptor = acceptor(&[ED25519]);
    let config = client_config(&[&version::TLS13], &[]);
    let (mut client, mut end) = shaken(config, &acceptor, 7);
    client.writer().write_all(b"hello").unwrap();
    let bytes = sent(&mut client);
    end.takes(&bytes[..9], 9);
    assert!(end.tls.held_bytes() >= 9 && end.tls.has_parked());
    end.takes(&bytes[9..], 100);
    assert_eq!((end.tls.held_bytes(), end.tls.has_parked()), (0, false));
    // Besides what rustls allocates: two ciphers and the schedule of the keys.
    assert!(size_of::<Tls>() <= 1_200, "{}", size_of::<Tls>());
}

#[test]
fn session_is_resumed_by_a_ticket_and_by_one_alone() {
    let acceptor = acceptor(&[P256]);
    for version in [&version::TLS13, &version::TLS12] {
        let config = client_config(&[version], &[]);
        let (mut client, mut end) = shaken(config.clone(), &acceptor, 1000);
        let kinds = if *version == version::TLS13 {
            [Handshake::Full13, Handshake::Resumed13]
        } else {
            [Handshake::Full12, Handshake::Resumed12]
        };
        assert_eq!(end.tls.handshake(), kinds[0]);
        let mut sealed = Vec::new();
        end.tls.seal(b"x", &mut sealed).unwrap();
        heard(&mut client, &sealed).unwrap();
        let (_, end) = shaken(config, &acceptor, 1000);
        assert_eq!(end.tls.handshake(), kinds[1]);
    }
}

#[test]
fn other_protocols_alone_are_refused_with_an_alert() {
    let acceptor = acceptor(&[ED25519]);
    let mut client = client(client_config(&[&version::TLS13], &[b"h2"]));
    let mut end = End::new(&acceptor);
    let alert = end.takes(&sent(&mut client), 1000);
    assert_eq!(end.last, Opened::Failed(Failure::NoProtocol));
    let error = heard(&mut client, &alert).unwrap_err();
    let expected = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(error, expected);
    shaken(
        client_config(&[&version::TLS13], &[b"h2", b"http/1.1"]),
        &acceptor,
        1000,
    );
}

#[test]
fn changed_record_ends_the_connection_with_an_alert() {
    let acceptor = acceptor(&[ED25519]);
    let (mut client, mut end) = shaken(client_config(&[&version::TLS13], &[]), &acceptor, 1000);
    client.writer().write_all(b"hello").unwrap();
    let mut bytes = sent(&mut client);
    bytes[7] ^= 1;
    let alert = end.takes(&bytes, 1000);
    assert_eq!(end.last, Opened::Failed(Failure::BadMac));
    let error = heard(&mut client, &alert).unwrap_err();
    assert!(matches!(error, Error::AlertReceived(_)), "{error}");
    assert!(end.tls.is_over());
    assert_eq!(end.tls.seal(b"x", &mut Vec::new()), Err(Unsealable));
}

#[test]
fn what_is_no_tls_is_refused_at_its_first_record() {
    let acceptor = acceptor(&[ED25519]);
    for (bytes, why) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], Failure::BadRecord),
        (&[0x16, 3, 1, 0, 0][..], Failure::BadRecord),
        (&[0x16, 3, 1, 0xFF, 0xFF][..], Failure::BadRecord),
        (&[0x17, 3, 3, 0, 1, 0][..], Failure::Misbehaved),
        (&[0x15, 3, 3, 0, 2, 2, 40][..], Failure::Alert),
    ] {
        let mut end = End::new(&acceptor);
        end.takes(bytes, 100);
        assert_eq!(end.last, Opened::Failed(why), "{bytes:?}");
    }
}

/// It would have to be kept, and there is no bound on it but this one.
#[test]
fn hello_that_is_longer_than_a_record_is_refused() {
    let mut end = End::new(&acceptor(&[ED25519]));
    let mut bytes = Vec::new();
    for number in 0..3 {
        bytes.extend([0x16, 3, 1, 0x30, 0]);
        let mut fragment = vec![0; 0x3000];
        if number == 0 {
            fragment[..4].copy_from_slice(&[1, 0, 0xF0, 0]);
        }
        bytes.extend(fragment);
    }
    end.takes(&bytes, 1000);
    assert_eq!(end.last, Opened::Failed(Failure::BadRecord));
    assert_eq!(end.tls.held_bytes(), 0);
}

#[test]
fn key_update_is_answered_before_the_next_data() {
    let acceptor = acceptor(&[ED25519]);
    let (mut client, mut end) = shaken(client_config(&[&version::TLS13], &[]), &acceptor, 1000);
    for round in 0..40 {
        client.refresh_traffic_keys().unwrap();
        client.writer().write_all(b"x").unwrap();
        let bytes = sent(&mut client);
        let mut sealed = end.takes(&bytes, 3);
        end.tls.seal(b"y", &mut sealed).unwrap();
        assert_eq!(heard(&mut client, &sealed).unwrap(), b"y", "{round}");
    }
    assert_eq!(end.data.len(), 40);
}

#[test]
fn flood_of_key_updates_ends_the_connection() {
    let acceptor = acceptor(&[ED25519]);
    let (mut client, mut end) = shaken(client_config(&[&version::TLS13], &[]), &acceptor, 1000);
    for _ in 0..40 {
        client.refresh_traffic_keys().unwrap();
        let bytes = sent(&mut client);
        end.takes(&bytes, 1000);
    }
    assert_eq!(end.last, Opened::Failed(Failure::Misbehaved));
}

#[test]
fn data_before_the_end_is_data_and_nothing_after_it() {
    let acceptor = acceptor(&[ED25519]);
    let (mut client, mut end) = shaken(client_config(&[&version::TLS13], &[]), &acceptor, 1000);
    client.writer().write_all(b"hello").unwrap();
    client.send_close_notify();
    let mut bytes = sent(&mut client);
    bytes.extend([0x17, 3, 3, 0, 1, 0]);
    end.takes(&bytes, 1000);
    assert_eq!((&end.data[..], &end.last), (&b"hello"[..], &Opened::End));
    assert!(end.tls.has_ended() && end.tls.may_close());
    let mut sealed = Vec::new();
    end.tls.seal(b"bye", &mut sealed).unwrap();
    assert_eq!(heard(&mut client, &sealed).unwrap(), b"bye");
}

#[test]
fn certificate_is_chosen_by_name_and_the_first_is_for_all_others() {
    let acceptor = acceptor(&[ED25519, P256]);
    let first_of = |pem: &[u8]| {
        use rustls::pki_types::pem::PemObject;
        CertificateDer::from_pem_slice(pem).unwrap().to_vec()
    };
    for (name, expected) in [
        ("parlor.example", ED25519),
        ("chat.example", P256),
        ("a.chat.example", P256),
        ("elsewhere.example", ED25519),
        ("127.0.0.1", ED25519),
    ] {
        let shown = trusting();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(shown.clone())
            .with_no_client_auth();
        let server = ServerName::try_from(name).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), server).unwrap();
        let mut end = End::new(&acceptor);
        let flight = end.takes(&sent(&mut client), 1000);
        heard(&mut client, &flight).unwrap();
        assert_eq!(shown.shown(), first_of(expected.0), "{name}");
    }
}

#[test]
fn files_that_are_no_certificate_with_its_key_are_refused_with_a_sentence() {
    for (chain, key, part) in [
        (&b""[..], ED25519.1, "there is no certificate"),
        (ED25519.1, ED25519.1, "there is no certificate"),
        (
            &b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"[..],
            ED25519.1,
            "cannot be read",
        ),
        (ED25519.0, &b"secret"[..], "no private key"),
        (ED25519.0, P256.1, "not the one of the certificate"),
    ] {
        let error = Identity::parse(chain, key).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let long = ED25519.0.repeat(100);
    let error = Identity::parse(&long, ED25519.1).unwrap_err();
    assert!(matches!(error, IdentityError::ChainTooLong));
}
