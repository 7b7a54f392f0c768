//! Draining from outside: `parlor drain` and `POST /drain` on the admin socket.

use super::admin::{ask, get, post, succeeds};
use super::keeping_up::Program;
use super::store::keeping;
use super::support::{Frame, Server, contains, eventually, frame};
use super::unix::Folder;
use std::net::TcpStream;

/// A server that has the time that a test may take to drain.
fn draining_within(folder: &Folder, time: &str) -> Server {
    let mut start = keeping(&folder.0);
    start.args(["--listen", "127.0.0.1:0", "--drain-timeout", time]);
    Server::spawn(&mut start, 1)
}

#[test]
fn members_are_sent_away_with_their_codes_and_the_exit_code_is_0() {
    let folder = Folder::new("drain");
    let mut server = draining_within(&folder, "60s");
    let mut ann = server.join("ann");
    let mut bob = Program::join(server.address(), "bob", "lobby");
    ann.hears("* bob joined");
    let mut visitor = server.connect();
    visitor.send(b"GET /he");
    eventually("all are accepted", || server.counter("connections") == 3);
    let output = succeeds(&folder.0, &["drain"]);
    contains(output, "2 members are sent away within 60 seconds");
    assert!(matches!(ann.frame(), Frame::Close(Some(1001), _)));
    let (code, reason) = bob.is_closed();
    let retry_ms = reason.strip_prefix("{\"retry_ms\":");
    let retry_ms = retry_ms.and_then(|rest| rest.strip_suffix('}'));
    let retry_ms: u32 = retry_ms.expect(&reason).parse().expect("a number");
    assert_eq!(code, Some(1012));
    assert!((1000..6000).contains(&retry_ms), "{retry_ms}");
    assert_eq!(visitor.response().status, 503);
    // What is still open ends well within the minute.
    drop((ann, bob, visitor));
    assert_eq!(server.exit_status().code(), Some(0));
    assert!(!folder.path("admin.sock").exists());
}

#[test]
fn draining_server_accepts_no_client_and_still_answers_operators() {
    let folder = Folder::new("drain-operators");
    let mut server = draining_within(&folder, "60s");
    let socket = folder.path("admin.sock");
    let mut ann = server.join("ann");
    let (status, body) = ask(&socket, &post("/drain", ""));
    assert_eq!(
        (status, body.as_str()),
        (202, "{\"members\":1,\"seconds\":60}\n")
    );
    // Ann does not answer the close frame, so the server waits for her.
    assert!(matches!(ann.frame(), Frame::Close(Some(1001), _)));
    assert!(TcpStream::connect(server.address()).is_err());
    let unready = (503, String::from("The server is draining.\n"));
    assert_eq!(ask(&socket, &get("/readyz")), unready);
    assert_eq!(ask(&socket, &get("/healthz")).0, 200);
    let (_, metrics) = ask(&socket, &get("/metrics"));
    contains(metrics, "parlor_lifecycle{state=\"draining\"} 1\n");
    // Again it is no other drain.
    assert_eq!(ask(&socket, &post("/drain", "")).0, 202);
    ann.try_send(&frame(0x88, b"\x03\xe9"));
    drop(ann);
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn signal_ends_a_drain_within_the_grace_time() {
    let folder = Folder::new("drain-signal");
    let mut start = keeping(&folder.0);
    start.args(["--listen", "127.0.0.1:0", "--drain-timeout", "60m"]);
    start.args(["--grace-timeout", "500ms", "--close-timeout", "59m"]);
    let mut server = Server::spawn(&mut start, 1);
    let mut ann = server.join("ann");
    succeeds(&folder.0, &["drain"]);
    assert!(matches!(ann.frame(), Frame::Close(Some(1001), _)));
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
}

#[test]
fn client_that_does_not_answer_delays_the_end_by_no_more_than_the_drain_time() {
    let folder = Folder::new("drain-silent");
    let mut start = keeping(&folder.0);
    start.args([
        "--listen",
        "127.0.0.1:0",
        "--drain-timeout",
        "1s",
        "--close-timeout",
        "59m",
    ]);
    let mut server = Server::spawn(&mut start, 1);
    let _ann = server.join("ann");
    succeeds(&folder.0, &["drain"]);
    assert_eq!(server.exit_status().code(), Some(0));
}
