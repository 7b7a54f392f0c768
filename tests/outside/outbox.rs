//! Clients that do not read: the report of missed messages, the stall deadline, and the memory that
//! they cost. Other members miss nothing.

use super::support::{Client, Frame, PATIENCE, Server, eventually, frame, now};

/// The `--outbox-bytes` of [`SMALL`].
const OUTBOX_BYTES: usize = 20_000;

/// Small buffers, so that a few messages fill them.
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

/// Ann talks until some member has missed messages, and receives every one of her own. Returns how
/// many messages she sent. They come several at a time, so that the server sends them as runs.
fn talk_until_missed(server: &Server, ann: &mut Client) -> usize {
    const TOGETHER: usize = 5;
    let mut said = 0;
    let words = "x".repeat(1000);
    while server.counter("missed") < 50 {
        for _ in 0..10 {
            let numbers = said + 1..=said + TOGETHER;
            let messages = numbers
                .clone()
                .map(|n| frame(0x81, format!("{n} {words}").as_bytes()));
            ann.send(&messages.collect::<Vec<_>>().concat());
            for n in numbers {
                ann.hears(&format!("ann: {n} {words}"));
            }
            said += TOGETHER;
        }
        assert!(said < 20_000, "no message is ever missed");
    }
    said
}

#[test]
fn slow_reader_gets_the_exact_count_of_missed_messages() {
    let server = start(&[]);
    let mut bob = server.join_with_small_window("bob");
    let mut ann = server.join("ann");
    bob.hears("* ann joined");
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
fn client_that_does_not_read_is_removed_at_the_stall_deadline() {
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
fn client_that_sends_but_does_not_read_is_removed_at_the_stall_deadline() {
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
        assert!(now() < deadline, "the connection is never closed");
    }
    eventually("the connection is gone", || {
        server.counter("connections") == 0
    });
    server.is_empty();
}

/// A FIN would leave their unsent bytes with the kernel for minutes, outside every limit.
#[test]
fn kernel_keeps_nothing_of_clients_that_were_removed_at_the_stall_deadline() {
    const CLIENTS: usize = 15;
    let server = start(&["--stall-timeout", "500ms", "--close-timeout", "300ms"]);
    let mut ann = server.join("ann");
    let deaf: Vec<Client> = (0..CLIENTS)
        .map(|n| server.join_with_small_window(&format!("n{n}")))
        .collect();
    for n in 0..CLIENTS {
        ann.hears(&format!("* n{n} joined"));
    }
    talk_until_missed(&server, &mut ann);
    eventually("all but ann are removed", || {
        server.counter("connections") == 1
    });
    assert_eq!(server.counter("stalled"), CLIENTS as u64);
    assert_eq!(
        send_queues(server.address().port()).len(),
        1,
        "the kernel has ann's connection alone"
    );
    drop(deaf);
}

/// The send queues, in bytes, of the connections of this port in the kernel's table. A connection in
/// TIME_WAIT has none.
fn send_queues(port: u16) -> Vec<u64> {
    // States of tcp(7).
    const TIME_WAIT: u64 = 6;
    const LISTEN: u64 = 10;
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let of_port = format!(":{port:04X}");
    let number = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    let queue = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = words.next()?;
        let state = number(words.nth(1)?);
        let (sent, _) = words.next()?.split_once(':')?;
        let is_connection = local.ends_with(&of_port) && ![TIME_WAIT, LISTEN].contains(&state);
        is_connection.then(|| number(sent))
    };
    table.lines().skip(1).filter_map(queue).collect()
}

#[test]
fn client_that_asks_and_shuts_its_side_in_one_packet_is_answered() {
    let server = start(&[]);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.hears("* bob joined");
    bob.send(&frame(0x81, b"/who"));
    bob.shut();
    bob.hears("* in lobby: ann, bob");
    bob.ends();
    ann.hears("* bob left");
}

/// Each client is alone in its room and reads nothing, so no two outboxes share a frame.
#[test]
fn memory_of_unread_outboxes_is_bounded() {
    const CLIENTS: usize = 50;
    const MESSAGES: usize = 80;
    const MESSAGE_BYTES: usize = 10_000;
    /// Growth that is no outbox: room and member tables, the read buffer, the allocator's rest.
    const OTHER_BYTES: u64 = 2 << 20;
    let server = start(&["--outbox-frames", "100", "--stall-timeout", "60s"]);
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|n| server.join_room_with_small_window(&format!("room{n}"), &format!("n{n}")))
        .collect();
    let before = server.resident_bytes();
    let message = frame(0x81, "x".repeat(MESSAGE_BYTES).as_bytes());
    for _ in 0..MESSAGES {
        for client in &mut clients {
            client.send(&message);
        }
    }
    let sent = (CLIENTS * MESSAGES) as u64;
    eventually("all messages are received", || {
        server.counter("messages") == sent
    });
    let grown = server.resident_bytes().saturating_sub(before);
    let bound = (CLIENTS * OUTBOX_BYTES) as u64 + OTHER_BYTES;
    // Without bounds the outboxes would hold all that was sent.
    assert!(bound < (CLIENTS * MESSAGES * MESSAGE_BYTES) as u64 / 8);
    assert!(grown < bound, "{grown} bytes more");
    for client in &mut clients {
        assert!(matches!(client.frame(), Frame::Text(_)));
    }
}

#[test]
fn kernel_send_buffer_of_a_slow_reader_is_bounded() {
    let server = Server::start(&["--message-rate", "0", "--stall-timeout", "60s"]);
    let bob = server.join_with_small_window("bob");
    let mut ann = server.join("ann");
    talk_until_missed(&server, &mut ann);
    let queues = send_queues(server.address().port());
    let held = queues.into_iter().max().expect("the port has connections");
    assert!((1..=64 * 1024).contains(&held), "{held} bytes");
    drop(bob);
}

/// Memory taken by many half-received messages is returned to the system after them.
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
    eventually("the memory is returned", || !grown(500_000)(&server));
}
