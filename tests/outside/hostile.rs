//! The server with TLS against clients that do what none should: attacks by hand and by tlslite-ng
//! (tests/clients/hostile.py), and a scanner that looks for weak protocols and ciphers.

use super::clients::{folder, installed};
use super::support::{Server, command, contains, finish};
use std::process::Command;

/// A server that speaks TLS at its second address, with the certificate of tests/tls.
pub(crate) fn server(options: &[&str]) -> Server {
    let mut parlor = command();
    parlor.args(["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"]);
    parlor.arg("--tls-cert").arg(folder("tests/tls/site.pem"));
    parlor.arg("--tls-key").arg(folder("tests/tls/site.key"));
    Server::spawn(parlor.args(options), 2)
}

pub(crate) fn port(server: &Server) -> String {
    let address = server.addresses[1].strip_prefix("https://127.0.0.1:");
    let port = address.expect("it speaks TLS").trim_end_matches('/');
    port.to_owned()
}

#[test]
#[ignore = "needs Python with tlslite-ng; tests/run runs it"]
fn hostile_handshakes_and_records_end_with_alerts_and_hurt_no_other_client() {
    // Two attacks wait for this deadline.
    let server = server(&["--handshake-timeout", "2s"]);
    let mut python = Command::new(installed("python/bin/python"));
    python.arg(folder("tests/clients/hostile.py"));
    python.args(["127.0.0.1", &port(&server)]);
    let (status, output, errors) = finish(&mut python);
    assert!(status.success(), "{output}{errors}");
    server.is_empty();
}

#[test]
#[ignore = "needs sslscan; tests/run runs it"]
fn scanner_finds_no_old_protocol_no_weak_cipher_and_no_renegotiation() {
    let server = server(&[]);
    let address = format!("127.0.0.1:{}", port(&server));
    let mut scanner = Command::new("sslscan");
    let (status, output, errors) = finish(scanner.args(["--no-colour", &address]));
    assert!(status.success(), "{output}{errors}");
    for (protocol, is_spoken) in [
        ("SSLv2", "disabled"),
        ("SSLv3", "disabled"),
        ("TLSv1.0", "disabled"),
        ("TLSv1.1", "disabled"),
        ("TLSv1.2", "enabled"),
        ("TLSv1.3", "enabled"),
    ] {
        contains(&output, &format!("\n{protocol:<10}{is_spoken}\n"));
    }
    contains(&output, "Session renegotiation not supported");
    for version in ["TLSv1.2", "TLSv1.3"] {
        contains(&output, &format!("{version} not vulnerable to heartbleed"));
    }
    let ciphers = output
        .lines()
        .filter(|line| line.starts_with("Preferred") || line.starts_with("Accepted"));
    let weak = |line: &&str| !line.contains("GCM") && !line.contains("CHACHA20");
    let ciphers: Vec<&str> = ciphers.collect();
    assert!(ciphers.len() >= 6, "{output}");
    assert_eq!(ciphers.iter().find(|line| weak(line)), None);
    server.is_empty();
}
