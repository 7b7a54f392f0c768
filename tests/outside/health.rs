//! `parlor health` against the real server, and against listeners that answer what a server may.

use super::support::{PATIENCE, Server, command, contains, finish, now};
use super::unix::Folder;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

/// The check of what listens there.
fn health(listener: &str, arguments: &[&str]) -> Command {
    let mut command = command();
    command
        .arg("health")
        .args(arguments)
        .env("PARLOR_LISTEN", listener);
    command
}

/// Answers one request with this, and returns the request.
fn answering(response: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a byte");
            request.push(byte[0]);
        }
        stream.write_all(response.as_bytes()).expect("a client");
        String::from_utf8(request).expect("text")
    });
    (address, thread)
}

#[test]
fn health_of_a_server_that_runs_is_exit_code_0_over_tcp_and_unix() {
    let folder = Folder::new("health");
    let socket = format!("unix:{}", folder.path("socket").display());
    let mut start = command();
    start.args(["--listen", "127.0.0.1:0", "--listen", &socket]);
    let server = Server::spawn(&mut start, 2);
    for listener in [server.address().to_string(), socket] {
        let (status, _, errors) = finish(&mut health(&listener, &["alive"]));
        assert_eq!(
            (status.code(), errors.as_str()),
            (Some(0), ""),
            "{listener}"
        );
    }
}

#[test]
fn health_begins_with_the_header_that_the_server_expects() {
    let server = Server::start(&["--proxy-protocol"]);
    let listener = server.address().to_string();
    let mut check = health(&listener, &["alive", "--proxy-protocol"]);
    let (status, _, errors) = finish(&mut check);
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    let (status, ..) = finish(&mut health(&listener, &["alive"]));
    assert_eq!(status.code(), Some(1));
}

#[test]
fn health_finds_the_address_in_the_file_and_in_the_options_of_the_server() {
    let folder = Folder::new("health-file");
    let server = Server::start(&[]);
    let path = folder.path("parlor.toml");
    fs::write(&path, format!("listen = \"{}\"\n", server.address())).expect("a file");
    let mut by_file = command();
    by_file.args(["health", "alive", "--config"]).arg(&path);
    assert_eq!(finish(&mut by_file).0.code(), Some(0));
    let mut by_option = command();
    by_option.args(["health", "alive", "--listen", &server.address().to_string()]);
    assert_eq!(finish(&mut by_option).0.code(), Some(0));
}

#[test]
fn health_of_a_server_that_is_not_ready_is_exit_code_1_with_its_reason() {
    let (address, thread) =
        answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\ndraining\n");
    let (status, output, errors) = finish(&mut health(&address, &[]));
    assert_eq!((status.code(), output.as_str()), (Some(1), ""));
    assert_eq!(errors, format!("parlor health: {address}: 503 draining\n"));
    contains(
        thread.join().expect("a request"),
        "GET /readyz HTTP/1.1\r\n",
    );
}

#[test]
fn health_of_no_server_is_exit_code_1_and_a_wrong_option_2() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    for listener in [address.as_str(), "unix:/nowhere/socket"] {
        let (status, _, errors) = finish(&mut health(listener, &[]));
        assert_eq!(status.code(), Some(1), "{errors}");
        contains(&errors, listener);
    }
    let (status, _, errors) = finish(&mut health("nowhere", &[]));
    assert_eq!(status.code(), Some(2), "{errors}");
}

#[test]
fn health_does_not_wait_for_a_server_that_does_not_answer() {
    // The backlog accepts the connection, and nothing reads it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let begun = now();
    let (status, _, errors) = finish(&mut health(&address, &[]));
    assert_eq!(status.code(), Some(1), "{errors}");
    contains(errors, "did not answer");
    assert!(
        now() - begun >= std::time::Duration::from_secs(4),
        "it gave up early"
    );
}
