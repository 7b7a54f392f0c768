//! Against a server of rustls, byte by byte.

use super::*;
use crate::load::options::Scenario;
use crate::load::url::Url;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use std::path::PathBuf;

/// Of tests/tls: valid until 2125, for parlor.example among others.
fn file(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/tls").join(name)
}

pub(in crate::load) fn server() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(file("site.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("site.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

pub(in crate::load) fn options(url: &str) -> Options {
    Options {
        url: Url::parse(url).unwrap(),
        ca: file("ca.pem"),
        ..Options::new(Scenario::Idle)
    }
}

fn connector(options: &Options) -> Connector {
    Connector::of(options).unwrap().expect("the URL has wss")
}

/// A connection and the server's end of it, which answers every byte by the same.
struct Pair {
    tls: Box<Tls>,
    server: ServerConnection,
    /// What the client was sent.
    heard: Vec<u8>,
}

impl Pair {
    fn new(connector: &Connector, server: &Arc<ServerConfig>) -> Self {
        Self {
            tls: connector.connect().unwrap(),
            server: ServerConnection::new(Arc::clone(server)).unwrap(),
            heard: Vec::new(),
        }
    }

    /// Passes records in pieces of `len` until neither side has any more.
    fn pass(&mut self, mut records: Vec<u8>, len: usize) -> Result<(), Error> {
        while !records.is_empty() {
            let mut said = Vec::new();
            for mut piece in records.chunks(len) {
                while !piece.is_empty() {
                    self.server.read_tls(&mut piece).unwrap();
                    // A refusal shows at the client.
                    let _ = self.server.process_new_packets();
                    // Nothing is there, or all of it is read.
                    let _ = self.server.reader().read_to_end(&mut said);
                }
            }
            self.server.set_buffer_limit(None);
            self.server.writer().write_all(&said).unwrap();
            let mut answer = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut answer).unwrap();
            }
            records.clear();
            for piece in answer.chunks(len) {
                self.tls.open(piece, &mut self.heard, &mut records)?;
            }
        }
        Ok(())
    }

    fn say(&mut self, bytes: &[u8], len: usize) -> Result<(), Error> {
        let mut records = Vec::new();
        self.tls.seal(bytes, &mut records);
        self.pass(records, len)
    }
}

#[test]
fn bytes_arrive_whatever_the_pieces_of_the_records_are() {
    let connector = connector(&options("wss://parlor.example/"));
    let server = server();
    for len in [1, 2, 7, 100, 1 << 20] {
        let mut pair = Pair::new(&connector, &server);
        pair.say(b"before the handshake, ", len).unwrap();
        assert_eq!(pair.tls.shaken(), Some(Shaken::Full));
        assert_eq!(pair.tls.shaken(), None);
        let much = vec![b'x'; 100_000];
        pair.say(&much, len.max(7)).unwrap();
        assert_eq!(pair.heard, [&b"before the handshake, "[..], &much].concat());
        assert_eq!(pair.server.alpn_protocol(), None);
    }
}

#[test]
fn certificate_is_trusted_for_its_names_by_its_signer() {
    let outcome = |options: &Options| Pair::new(&connector(options), &server()).say(b"hello", 100);
    for url in [
        "wss://parlor.example/",
        "wss://127.0.0.1:1/",
        "wss://[::1]:1/",
    ] {
        assert_eq!(outcome(&options(url)), Ok(()), "{url}");
    }
    let other = options("wss://other.example/");
    let error = outcome(&other).unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    let insecure = Options {
        insecure: true,
        ..other
    };
    assert_eq!(outcome(&insecure), Ok(()));
}

#[test]
fn only_with_the_option_sessions_are_resumed_and_each_ticket_once() {
    let server = server();
    let returning = Options {
        tls_resume: true,
        ..options("wss://parlor.example/")
    };
    let shaken = |connector: &Connector| {
        let mut pair = Pair::new(connector, &server);
        pair.say(b"hello", 1000).unwrap();
        pair.tls.shaken()
    };
    let connector = connector(&returning);
    assert_eq!(shaken(&connector), Some(Shaken::Full));
    assert_eq!(shaken(&connector), Some(Shaken::Resumed));
    // Both begin before one of them has a new ticket.
    let mut pairs = [(); 2].map(|()| Pair::new(&connector, &server));
    for pair in &mut pairs {
        pair.say(b"hello", 1000).unwrap();
    }
    let shaken_now = pairs.map(|mut pair| pair.tls.shaken());
    assert_eq!(shaken_now, [Some(Shaken::Resumed), Some(Shaken::Full)]);
    let connector = self::connector(&options("wss://parlor.example/"));
    for _ in 0..2 {
        assert_eq!(shaken(&connector), Some(Shaken::Full));
    }
}

#[test]
fn what_is_no_tls_is_an_error() {
    let mut pair = Pair::new(&connector(&options("wss://parlor.example/")), &server());
    let (mut heard, mut records) = (Vec::new(), Vec::new());
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    assert!(pair.tls.open(answer, &mut heard, &mut records).is_err());
    assert_eq!(heard, b"");
}

#[test]
fn file_without_a_certificate_is_named() {
    for name in ["site.key", "absent.pem"] {
        let options = Options {
            ca: file(name),
            ..options("wss://parlor.example/")
        };
        let error = Connector::of(&options).err().expect("an error").to_string();
        assert!(error.contains(name) && error.contains("--ca"), "{error}");
    }
}

#[test]
fn other_urls_have_no_tls() {
    for url in ["ws://parlor.example:443/", "ws+unix:/run/p.sock:/"] {
        assert!(Connector::of(&options(url)).unwrap().is_none(), "{url}");
    }
}
