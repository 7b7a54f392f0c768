//! How it ends: everybody is told, what is queued is sent, and nobody can keep it from ending.

use super::support::{Frame, Server, eventually, now};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn everybody_is_told_and_the_exit_code_is_0() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let address = server.address();
        let mut ann = server.join("ann");
        let mut bob = server.join("bob");
        ann.hears("* bob joined");
        let mut reader = server.connect();
        reader.send(b"GET /he");
        // Who was not let in yet is not told.
        eventually("all are let in", || server.counter("connections") == 3);
        server.signal(signal);
        for client in [&mut ann, &mut bob] {
            // The close is the first thing: nobody hears the others leave.
            assert!(matches!(client.frame(), Frame::Close(Some(1001), _)));
            client.try_send(&super::support::frame(0x88, b"\x03\xe9"));
            assert_eq!(client.frame(), Frame::End);
        }
        assert_eq!(reader.response().status, 503);
        reader.ends();
        drop((ann, bob, reader));
        assert_eq!(server.exit_status().code(), Some(0));
        assert!(
            TcpStream::connect(address).is_err(),
            "nobody listens any more"
        );
    }
}

#[test]
fn who_does_not_answer_delays_the_end_by_no_more_than_the_grace_time() {
    let mut server = Server::start(&["--grace-timeout", "500ms", "--close-timeout", "60s"]);
    let _silent = server.join("ann");
    let start = now();
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
    let took = now() - start;
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(5),
        "{took:?}"
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--grace-timeout", "60s", "--close-timeout", "60s"]);
    let mut ann = server.join("ann");
    server.signal("TERM");
    assert!(matches!(ann.frame(), Frame::Close(Some(1001), _)));
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(1));
}
