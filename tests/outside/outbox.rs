//! People who do not read: what they miss, that they are told, that nobody else notices, and that
//! it ends.

use super::support::{Client, Frame, PATIENCE, Server, eventually, frame, now};

/// Small everything, so that a few messages fill it.
const SMALL: [&str; 6] = [
    "--message-rate",
    "0",
    "--send-buffer-bytes",
    "4096",
    "--outbox-bytes",
    "20000",
];

fn start(options: &[&str]) -> Server {
    Server::start(&[&SMALL, options].concat())
}

/// Ann talks until somebody has missed something. Returns how much she said.
fn talk_until_missed(server: &Server, ann: &mut Client) -> usize {
    let mut said = 0;
    let words = "x".repeat(1000);
    while server.counter("missed") < 50 {
        for _ in 0..50 {
            said += 1;
            ann.says(&format!("{said} {words}"));
            ann.hears(&format!("ann: {said} {words}"));
        }
        assert!(said < 20_000, "nothing is ever missed");
    }
    said
}

#[test]
fn who_does_not_read_is_told_how_many_messages_they_missed_and_the_others_miss_none() {
    let server = start(&[]);
    let mut bob = server.join_with_small_window("bob");
    let mut ann = server.join("ann");
    bob.hears("* ann joined");
    // Ann hears every single one, which talk_until_missed checks.
    let said = talk_until_missed(&server, &mut ann);
    let mut heard = 0;
    let missed = loop {
        let line = bob.line();
        match line.strip_prefix("* you missed ") {
            Some(rest) => {
                let count = rest.split(' ').next().expect("a number");
                break count.parse::<usize>().expect("a number");
            }
            None => {
                heard += 1;
                assert!(
                    line.starts_with(&format!("ann: {heard} ")),
                    "in order, without a gap"
                );
            }
        }
    };
    assert_eq!(heard + missed, said);
    ann.says("again");
    bob.hears("ann: again");
}

#[test]
fn who_takes_nothing_is_closed_by_the_stall_deadline() {
    let server = start(&["--stall-timeout", "500ms", "--close-timeout", "300ms"]);
    let mut ann = server.join("ann");
    let bob = server.join_with_small_window("bob");
    ann.hears("* bob joined");
    talk_until_missed(&server, &mut ann);
    ann.hears_at_last("* bob left");
    assert_eq!(server.counter("stalled"), 1);
    eventually("bob's connection is gone", || {
        server.counter("connections") == 1
    });
    drop(bob);
    ann.says("hello?");
    ann.hears("ann: hello?");
}

#[test]
fn who_talks_and_never_reads_is_closed_too() {
    let server = start(&["--stall-timeout", "500ms", "--close-timeout", "300ms"]);
    let mut deaf = server.join_with_small_window("deaf");
    deaf.stream
        .set_write_timeout(Some(PATIENCE))
        .expect("an option");
    let words = "x".repeat(1000);
    let deadline = now() + PATIENCE;
    while server.counter("stalled") == 0 {
        for _ in 0..100 {
            deaf.try_send(&frame(0x81, words.as_bytes()));
        }
        assert!(now() < deadline, "it is never closed");
    }
    eventually("the connection is gone", || {
        server.counter("connections") == 0
    });
    server.is_empty();
}

#[test]
fn memory_is_bounded_whatever_is_not_read() {
    let server = start(&["--outbox-frames", "100", "--stall-timeout", "60s"]);
    let mut deaf: Vec<Client> = (0..50)
        .map(|n| server.join_with_small_window(&format!("deaf{n}")))
        .collect();
    let mut ann = server.join("ann");
    let before = server.resident_bytes();
    let words = "x".repeat(10_000);
    for _ in 0..200 {
        ann.says(&words);
        ann.hears(&format!("ann: {words}"));
    }
    let grown = server.resident_bytes().saturating_sub(before);
    // The frames are shared; each outbox holds at most 20,000 bytes.
    assert!(grown < 50 * 20_000 + (2 << 20), "{grown} bytes more");
    for client in &mut deaf {
        assert!(matches!(client.frame(), Frame::Text(_)));
    }
}

/// Bytes that the kernel holds for whoever takes least of what this port sends.
fn most_in_a_send_queue(port: u16) -> u64 {
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let of_port = format!(":{port:04X}");
    let queue = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = words.next()?;
        let queues = words.nth(2)?;
        let (sent, _) = queues.split_once(':')?;
        local
            .ends_with(&of_port)
            .then(|| u64::from_str_radix(sent, 16).expect("a number"))
    };
    let most = sockets.lines().filter_map(queue).max();
    most.expect("the port has sockets")
}

#[test]
fn the_kernel_holds_little_for_who_does_not_read() {
    let server = Server::start(&["--message-rate", "0", "--stall-timeout", "60s"]);
    let bob = server.join_with_small_window("bob");
    let mut ann = server.join("ann");
    talk_until_missed(&server, &mut ann);
    let held = most_in_a_send_queue(server.address().port());
    assert!((1..=64 * 1024).contains(&held), "{held} bytes");
    drop(bob);
}

/// What a crowd in the middle of its messages took must not stay until the server is restarted.
#[test]
fn memory_returns_to_its_idle_size_after_a_burst() {
    let server = Server::start(&["--message-rate", "0", "--max-connections-per-address", "0"]);
    let mut crowd: Vec<Client> = (0..1000)
        .map(|n| server.join_room(&format!("room{n}"), &format!("n{n}")))
        .collect();
    let idle = server.resident_bytes();
    let message = frame(0x81, "x".repeat(4000).as_bytes());
    let (begin, end) = message.split_at(2000);
    for client in &mut crowd {
        client.send(begin);
    }
    let grown = |bytes: u64| move |server: &Server| server.resident_bytes() > idle + bytes;
    eventually("a thousand messages are begun", || {
        grown(4_000_000)(&server)
    });
    for client in &mut crowd {
        client.send(end);
        assert!(client.line().ends_with('x'));
    }
    eventually("the memory is given back", || !grown(500_000)(&server));
}
