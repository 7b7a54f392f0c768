//! How the server ends: every connection is closed with a code, what is queued is sent, and no
//! client can delay the end beyond the grace time.

use super::store::keeping_in;
use super::support::{Frame, Server, command, eventually, now};
use super::unix::Folder;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

/// A server that was started with SIGHUP ignored or not, however the tests themselves were.
fn server_with_hangup(disposition: &str) -> Server {
    let mut env = Command::new("env");
    env.arg(format!("--{disposition}-signal=HUP"));
    let parlor = command();
    env.arg(parlor.get_program());
    Server::spawn(env.args(["--listen", "127.0.0.1:0"]), 1)
}

#[test]
fn clients_are_closed_with_1001_and_the_exit_code_is_0() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let address = server.address();
        let mut ann = server.join("ann");
        let mut bob = server.join("bob");
        ann.hears("* bob joined");
        let mut reader = server.connect();
        reader.send(b"GET /he");
        // A connection that was not accepted yet gets no answer.
        eventually("all are accepted", || server.counter("connections") == 3);
        server.signal(signal);
        for client in [&mut ann, &mut bob] {
            // The close comes first: no client is notified of the others' leaving.
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
            "no socket listens any more"
        );
    }
}

#[test]
fn client_that_does_not_answer_delays_the_end_by_no_more_than_the_grace_time() {
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

/// Ignored as under nohup(1), or not: the end of a session does not end the server.
#[test]
fn hangup_reads_the_settings_again_and_ends_nothing() {
    for disposition in ["ignore", "default"] {
        let mut server = server_with_hangup(disposition);
        let mut ann = server.join("ann");
        server.signal("HUP");
        let line = server.error_line();
        assert!(line.contains("the settings were read again"), "{line}");
        ann.says("still here");
        ann.hears("ann: still here");
        server.signal("TERM");
        assert!(matches!(ann.frame(), Frame::Close(Some(1001), _)));
        drop(ann);
        assert_eq!(server.exit_status().code(), Some(0));
    }
}

/// Another thread would take a signal that comes while the program is replaced, and lose it.
#[test]
fn every_thread_leaves_signals_to_the_loop() {
    let folder = Folder::new("shutdown-threads");
    let server = keeping_in(&folder.0);
    server.join("ann");
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("Linux");
    let mut count = 0;
    for thread in threads {
        let status = thread.expect("a thread").path().join("status");
        let status = std::fs::read_to_string(status).expect("it goes on");
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        let blocked = u64::from_str_radix(blocked.expect("a mask").trim(), 16).expect("a number");
        for (name, number) in [
            ("HUP", 1),
            ("INT", 2),
            ("USR1", 10),
            ("USR2", 12),
            ("TERM", 15),
        ] {
            assert!(blocked & 1 << (number - 1) != 0, "{name} in {status}");
        }
        count += 1;
    }
    assert!(count > 1, "the loop and the store");
}
