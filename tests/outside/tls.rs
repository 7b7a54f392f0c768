//! The server with TLS in its own process: over real sockets, with clients of four kinds.

use super::clients::{installed, node_script, script};
use super::support::{
    Client, PATIENCE, Server, command, contains, eventually, finish, frame, lines, upgrade_request,
};
use super::unix::Folder;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

pub(crate) const P256: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/p256");
const ED25519: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/ed25519");

/// A server that speaks plain HTTP at its first address and TLS at its second.
struct Site {
    server: Server,
}

impl Site {
    /// `pair`: the path of a certificate and its key without `.crt` and `.key`.
    fn start(pairs: &[&str], options: &[&str]) -> Self {
        let mut parlor = command();
        parlor.args(["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"]);
        for pair in pairs {
            parlor.args(["--tls-cert", &format!("{pair}.crt")]);
            parlor.args(["--tls-key", &format!("{pair}.key")]);
        }
        let server = Server::spawn(parlor.args(options), 2);
        Self { server }
    }

    fn address(&self) -> SocketAddr {
        secure_address(&self.server)
    }

    /// The same by the name of the certificate.
    fn url(&self) -> String {
        format!("https://localhost:{}/", self.address().port())
    }

    /// A client that trusts this certificate alone and asks for this name.
    fn try_client(&self, pair: &str, name: &'static str) -> Result<Secure, String> {
        let name = ServerName::try_from(name).expect("a name");
        let client = ClientConnection::new(trusting(pair), name).expect("a client");
        let stream = TcpStream::connect(self.address()).expect("it listens");
        let patience = Some(PATIENCE);
        stream.set_read_timeout(patience).expect("a socket option");
        let mut stream = StreamOwned::new(client, stream);
        match stream.conn.complete_io(&mut stream.sock) {
            Ok(_) => Ok(Secure { stream }),
            Err(error) => Err(error.to_string()),
        }
    }

    fn join(&self, nick: &str) -> Secure {
        let mut client = self.try_client(P256, "localhost").expect("it is trusted");
        client.send(upgrade_request(&format!("/ws/lobby?nick={nick}")).as_bytes());
        client.reads_until(b"is here");
        client
    }

    fn metric(&self, name: &str) -> String {
        let mut client = self.server.connect();
        let token = "Authorization: Bearer 0123456789abcdef";
        let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{token}\r\n\r\n");
        client.send(request.as_bytes());
        let body = client.response().body;
        let line = body.lines().find(|line| line.starts_with(name));
        line.unwrap_or_default().to_owned()
    }
}

/// The second address of a server, at which it speaks TLS.
pub(crate) fn secure_address(server: &Server) -> SocketAddr {
    let address = server.addresses[1].strip_prefix("https://");
    let address = address.expect("it speaks TLS").trim_end_matches('/');
    address.parse().expect("an address")
}

/// What a client needs that trusts this certificate alone.
pub(crate) fn trusting(pair: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let pem = fs::read(format!("{pair}.crt")).expect("a certificate");
    let root = CertificateDer::from_pem_slice(&pem).expect("a certificate");
    roots.add(root).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for both")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

struct Secure {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Secure {
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
        self.stream.flush().expect("the server reads");
    }

    fn says(&mut self, words: &str) {
        self.send(&frame(0x81, words.as_bytes()));
    }

    /// Reads until these bytes have come, and returns all that came.
    fn reads_until(&mut self, expected: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        while !bytes
            .windows(expected.len())
            .any(|window| window == expected)
        {
            match self.stream.read(&mut piece) {
                Ok(count @ 1..) => bytes.extend_from_slice(&piece[..count]),
                end => panic!("{end:?} after {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
        bytes
    }

    /// Reads to the end, which TLS must say.
    fn reads_all(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let outcome = self.stream.read_to_end(&mut bytes);
        outcome.expect("the end is one of TLS, and not one of TCP alone");
        bytes
    }
}

#[test]
fn members_with_and_without_tls_talk_to_each_other() {
    let site = Site::start(&[P256], &[]);
    let mut ann = site.join("ann");
    let mut bob = site.server.connect().upgraded("/ws/lobby?nick=bob");
    ann.reads_until(b"* bob joined");
    ann.says("hello");
    bob.hears_at_last("ann: hello");
    let long = "x".repeat(16_384);
    for _ in 0..3 {
        ann.says(&long);
        bob.hears_at_last(&format!("ann: {long}"));
        ann.reads_until(long.as_bytes());
    }
    bob.says("hello, ann");
    ann.reads_until(b"bob: hello, ann");
    drop(ann);
    bob.hears_at_last("* ann left");
    bob.leaves();
    site.server.is_empty();
}

#[test]
fn end_of_a_websocket_is_also_one_of_tls() {
    let site = Site::start(&[P256], &[]);
    let mut ann = site.join("ann");
    ann.send(&frame(0x88, &1000_u16.to_be_bytes()));
    let bytes = ann.reads_all();
    assert!(bytes.ends_with(b"\x88\x02\x03\xe8"), "{bytes:?}");
    site.server.is_empty();
}

#[test]
fn http_at_the_port_of_tls_and_tls_at_that_of_http_are_answered_in_words() {
    let site = Site::start(&[P256], &[]);
    let mut plain = Client::connect(site.address());
    plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let response = plain.response();
    assert_eq!(response.status, 400);
    contains(&response.body, "open https://");
    plain.ends();
    let mut wrong = site.server.connect();
    wrong.send(b"\x16\x03\x01\x02\x00\x01\x00");
    let response = wrong.response();
    assert_eq!(response.status, 400);
    contains(&response.body, "plain HTTP");
    wrong.ends();
}

#[test]
fn handshake_that_is_not_over_in_time_ends() {
    let options = ["--handshake-timeout", "1s", "--close-timeout", "1s"];
    let token = Folder::new("tls-slow");
    fs::write(token.0.join("token"), "0123456789abcdef").expect("a file");
    let file = token.0.join("token").display().to_string();
    let site = Site::start(
        &[P256],
        &[&options[..], &["--metrics-token-file", &file]].concat(),
    );
    let mut slow = Client::connect(site.address());
    slow.send(b"\x16\x03\x01\x02\x00\x01");
    slow.ends();
    eventually("it is counted", || {
        site.metric("parlor_tls_failures_total{reason=\"too_slow\"}")
            .ends_with(" 1.0")
            || site
                .metric("parlor_tls_failures_total{reason=\"too_slow\"}")
                .ends_with(" 1")
    });
    site.server.is_empty();
}

#[test]
fn part_of_a_record_has_the_deadline_of_a_message() {
    let site = Site::start(&[P256], &["--message-timeout", "1s"]);
    let mut ann = site.join("ann");
    // The header of a record of which nothing follows.
    ann.stream
        .sock
        .write_all(&[0x17, 3, 3, 0, 100, 1, 2, 3])
        .expect("it reads");
    ann.reads_until(&1008_u16.to_be_bytes());
}

#[test]
fn certificate_that_was_replaced_is_shown_after_a_reload_and_connections_stay() {
    let folder = Folder::new("tls-reload");
    let pair = folder.0.join("site").display().to_string();
    let copy = |from: &str| {
        for kind in ["key", "crt"] {
            let text = fs::read(format!("{from}.{kind}")).expect("a file");
            let name = format!("{pair}.{kind}");
            fs::write(format!("{name}.new"), text).expect("a file");
            fs::rename(format!("{name}.new"), name).expect("a file");
        }
    };
    copy(P256);
    let site = Site::start(&[&pair], &[]);
    let mut ann = site.join("ann");
    copy(ED25519);
    site.server.signal("HUP");
    eventually("the new certificate is shown", || {
        site.try_client(ED25519, "parlor.example").is_ok()
    });
    assert!(site.try_client(P256, "localhost").is_err());
    ann.says("still here");
    ann.reads_until(b"ann: still here");
    // One that is wrong changes nothing.
    fs::write(format!("{pair}.key"), "no key").expect("a file");
    site.server.signal("HUP");
    contains(site.server.error_line(), "tls-cert");
    contains(site.server.error_line(), "no private key");
    assert!(site.try_client(ED25519, "parlor.example").is_ok());
}

#[test]
fn certificate_that_was_renewed_is_shown_without_a_signal() {
    let folder = Folder::new("tls-renewed");
    let pair = folder.0.join("site").display().to_string();
    let copy = |from: &str, kind: &str| {
        let text = fs::read(format!("{from}.{kind}")).expect("a file");
        fs::write(format!("{pair}.{kind}"), text).expect("a file");
    };
    for kind in ["key", "crt"] {
        copy(P256, kind);
    }
    let site = Site::start(&[&pair], &[]);
    copy(ED25519, "crt");
    contains(site.server.error_line(), "those before stay in use");
    assert!(site.try_client(P256, "localhost").is_ok());
    copy(ED25519, "key");
    contains(site.server.error_line(), "have changed and are in use");
    assert!(site.try_client(ED25519, "parlor.example").is_ok());
}

#[test]
fn certificates_are_chosen_by_name() {
    let site = Site::start(&[P256, ED25519], &[]);
    assert!(site.try_client(P256, "a.chat.example").is_ok());
    assert!(site.try_client(ED25519, "parlor.example").is_ok());
    assert!(site.try_client(ED25519, "chat.example").is_err());
}

#[test]
fn wrong_files_are_named_at_the_start() {
    for (options, part) in [
        (&["--tls-listen", "127.0.0.1:0"][..], "needs a certificate"),
        (&["--tls-cert", "x"], "each certificate needs its key"),
        (
            &["--tls-cert", "x", "--tls-key", "y"],
            "of no use without --tls-listen",
        ),
        (
            &[
                "--tls-listen",
                "127.0.0.1:0",
                "--tls-cert",
                "/none",
                "--tls-key",
                "/none",
            ],
            "--tls-cert /none",
        ),
    ] {
        let mut parlor = command();
        let (status, _, errors) = finish(parlor.args(["--listen", "127.0.0.1:0"]).args(options));
        assert!(!status.success());
        contains(errors, part);
    }
}

fn passes(command: &mut Command) {
    let (status, output, errors) = finish(command);
    assert!(status.success(), "{output}{errors}");
}

#[test]
#[ignore = "needs Python with websockets; tests/run runs it"]
fn python_websockets_client_is_served_over_tls() {
    let site = Site::start(&[P256], &[]);
    let mut python = Command::new(installed("python/bin/python"));
    python.env("SSL_CERT_FILE", format!("{P256}.crt"));
    passes(python.arg(script("talk.py")).arg(site.url()));
    site.server.is_empty();
}

#[test]
#[ignore = "needs Python; tests/run runs it"]
fn python_ssl_finds_what_it_must_and_nothing_else() {
    let site = Site::start(&[P256], &[]);
    let mut python = Command::new(installed("python/bin/python"));
    let certificate = format!("{P256}.crt");
    passes(
        python
            .arg(script("tls.py"))
            .args([&site.url(), &certificate]),
    );
    site.server.is_empty();
}

#[test]
#[ignore = "needs node with ws; tests/run runs it"]
fn node_ws_client_is_served_over_tls() {
    let site = Site::start(&[P256], &[]);
    let mut node = node_script("talk.mjs");
    node.env("NODE_EXTRA_CA_CERTS", format!("{P256}.crt"));
    passes(node.arg(site.url()));
}

#[test]
#[ignore = "needs curl; tests/run runs it"]
fn curl_gets_the_page_over_both_versions_of_tls() {
    let site = Site::start(&[P256], &[]);
    for version in [
        ["--tlsv1.3", "--tls-max", "1.3"],
        ["--tlsv1.2", "--tls-max", "1.2"],
    ] {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "20",
            "--cacert",
            &format!("{P256}.crt"),
        ]);
        // It offers h2 first.
        let (status, output, errors) = finish(curl.args(version).arg(site.url()));
        assert!(status.success(), "{errors}");
        contains(output, "<!doctype html>");
    }
}

/// What `openssl s_client` prints when it is given these lines, or none.
fn s_client(site: &Site, options: &[&str], lines: &[u8]) -> (bool, String) {
    let mut openssl = Command::new("timeout");
    openssl.args([
        "20",
        "openssl",
        "s_client",
        "-connect",
        &site.address().to_string(),
    ]);
    openssl.args([
        "-servername",
        "localhost",
        "-CAfile",
        &format!("{P256}.crt"),
    ]);
    openssl.args(["-verify_return_error"]).args(options);
    openssl.stdin(Stdio::piped());
    openssl.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = openssl.spawn().expect("openssl is there");
    let mut input = child.stdin.take().expect("a pipe");
    // It may have ended already.
    let _ = input.write_all(lines);
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
#[ignore = "needs openssl; tests/run runs it"]
fn openssl_is_served_with_what_is_current_and_refused_with_an_alert_otherwise() {
    let site = Site::start(&[P256], &[]);
    for (options, part) in [
        (&["-tls1_3"][..], "Cipher is TLS_AES"),
        (&["-tls1_2"], "Cipher is ECDHE-ECDSA"),
        (&["-alpn", "http/1.1,h2"], "ALPN protocol: http/1.1"),
        (&["-alpn", "h2"], "alert no application protocol"),
        (
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            "alert handshake failure",
        ),
        (
            &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
            "alert handshake failure",
        ),
        (
            &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
            "alert handshake failure",
        ),
        (&["-servername", "elsewhere.example"], "Verification: OK"),
    ] {
        let (is_served, text) = s_client(&site, options, b"");
        contains(&text, part);
        assert_eq!(is_served, !part.contains("alert"), "{options:?}: {text}");
    }
    site.server.is_empty();
}

/// `openssl s_client` that is given one line after the other: it takes commands only if they come alone.
fn dialogue(site: &Site, options: &[&str], steps: &[(&str, &str)]) -> String {
    let mut openssl = Command::new("timeout");
    openssl.args([
        "20",
        "openssl",
        "s_client",
        "-crlf",
        "-servername",
        "localhost",
    ]);
    openssl
        .args(["-connect", &site.address().to_string()])
        .args(options);
    openssl.stdin(Stdio::piped());
    openssl.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = openssl.spawn().expect("openssl is there");
    let mut input = child.stdin.take().expect("a pipe");
    let output = lines(child.stdout.take().expect("a pipe"));
    let errors = lines(child.stderr.take().expect("a pipe"));
    let mut text = String::new();
    for (awaited, line) in steps {
        // Both end when it does.
        eventually(awaited, || {
            for line in output.try_iter().chain(errors.try_iter()) {
                text += &line;
                text.push('\n');
            }
            text.contains(awaited)
        });
        // It may have ended already.
        let _ = input.write_all(line.as_bytes());
    }
    drop(input);
    child.wait().expect("it ends");
    for line in output.iter().chain(errors.iter()) {
        text += &line;
        text.push('\n');
    }
    text
}

#[test]
#[ignore = "needs openssl; tests/run runs it"]
fn renegotiation_and_early_data_are_refused_and_key_updates_followed() {
    const REQUEST: &str = "GET /healthz HTTP/1.1\nHost: localhost\nConnection: close\n\n";
    let site = Site::start(&[P256], &[]);
    // What follows an update of both keys is sealed with the new ones.
    let text = dialogue(
        &site,
        &["-tls1_3"],
        &[("Verif", "K\n"), ("KEYUPDATE", REQUEST), ("200 OK", "")],
    );
    contains(text, "ok");
    let text = dialogue(
        &site,
        &["-tls1_2"],
        &[("Verif", "R\n"), ("no renegotiation", "")],
    );
    contains(text, "RENEGOTIATING");
    let folder = Folder::new("tls-early");
    let session = folder.0.join("session").display().to_string();
    let steps = [("Verif", REQUEST), ("200 OK", "")];
    dialogue(&site, &["-tls1_3", "-sess_out", &session], &steps);
    let text = dialogue(&site, &["-tls1_3", "-sess_in", &session], &steps);
    contains(&text, "Reused, TLSv1.3");
    // A ticket says whether early data may come with it, and a client keeps to that.
    contains(&text, "Max Early Data: 0");
    site.server.is_empty();
}
