//! Clients that do not read: the report of missed messages, the stall deadline, and the memory that
//! they cost. Other members miss nothing.

use super::support::{Client, Frame, PATIENCE, Server, eventually, frame, now};

/// The `--outbox-bytes` of [`SMALL`].
const OUTBOX_BYTES: usize = 20_000;

/// The `--tail-bytes` of [`SMALL`]: what was said last stays in memory.
const TAIL_BYTES: usize = 1_000_000;

/// Small buffers, so that a few messages fill them.
const SMALL: [&str; 8] = [
    "--message-rate",
    "0",
    "--send-buffer-bytes",
    "4096",
    "--outbox-bytes",
    "20000",
    "--tail-bytes",
    "1000000",
];

fn start(options: &[&str]) -> Server {
    Server::start(&[&SMALL, options].concat())
}

/// Ann talks until so many members are behind, and receives every message of her own. Returns how
/// many she sent. They come several at a time, so that the server sends them as runs.
fn talk_until_behind(server: &Server, ann: &mut Client, members: u64) -> usize {
    let mut said = 0;
    while server.counter("behind") < members {
        said = talk(ann, said, 50);
        assert!(said < 20_000, "no member is ever behind");
    }
    said
}

/// Ann says so many messages more, of which she has said some. Returns how many that is in all.
fn talk(ann: &mut Client, mut said: usize, more: usize) -> usize {
    const TOGETHER: usize = 5;
    let words = "x".repeat(1000);
    for _ in 0..more / TOGETHER {
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
    said
}

#[test]
fn slow_reader_gets_every_message_late_and_in_order() {
    let server = start(&[]);
    let mut bob = server.join_with_small_window("bob");
    let mut ann = server.join("ann");
    bob.hears("* ann joined");
    let said = talk_until_behind(&server, &mut ann, 1);
    let said = talk(&mut ann, said, 300);
    for n in 1..=said {
        assert!(bob.line().starts_with(&format!("ann: {n} ")), "{n}");
    }
    ann.says("again");
    bob.hears("ann: again");
    eventually("bob is live again", || server.counter("behind") == 0);
    assert_eq!(server.counter("missed"), 0);
}

#[test]
fn slow_reader_that_is_too_far_behind_gets_the_exact_count_of_missed_messages() {
    let server = start(&["--catch-up-max", "100"]);
    let mut bob = server.join_with_small_window("bob");
    let mut ann = server.join("ann");
    bob.hears("* ann joined");
    let said = talk_until_behind(&server, &mut ann, 1);
    let said = talk(&mut ann, said, 500);
    let (mut heard, mut missed) = (0, 0);
    while heard + missed < said {
        let line = bob.line();
        match line.strip_prefix("* you missed ") {
            Some(rest) => {
                let count = rest.split(' ').next().expect("a number");
                missed += count.parse::<usize>().expect("a number");
            }
            None => {
                heard += 1;
                let next = format!("ann: {} ", heard + missed);
                assert!(line.starts_with(&next), "in order, without a gap");
            }
        }
    }
    assert!(missed > 0);
    assert_eq!(server.counter("missed"), missed as u64);
    ann.says("again");
    bob.hears("ann: again");
}

#[test]
fn client_that_does_not_read_is_removed_at_the_stall_deadline() {
    let server = start(&["--stall-timeout", "2s", "--close-timeout", "300ms"]);
    let mut ann = server.join("ann");
    let bob = server.join_with_small_window("bob");
    ann.hears("* bob joined");
    talk_until_behind(&server, &mut ann, 1);
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
    let server = start(&["--stall-timeout", "2s", "--close-timeout", "300ms"]);
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
    let server = start(&["--stall-timeout", "2s", "--close-timeout", "300ms"]);
    let mut ann = server.join("ann");
    let deaf: Vec<Client> = (0..CLIENTS)
        .map(|n| server.join_with_small_window(&format!("n{n}")))
        .collect();
    for n in 0..CLIENTS {
        ann.hears(&format!("* n{n} joined"));
    }
    talk_until_behind(&server, &mut ann, CLIENTS as u64);
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
    let bound = (CLIENTS * OUTBOX_BYTES + TAIL_BYTES) as u64 + OTHER_BYTES;
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
    talk_until_behind(&server, &mut ann, 1);
    let queues = send_queues(server.address().port());
    let held = queues.into_iter().max().expect("the port has connections");
    assert!((1..=64 * 1024).contains(&held), "{held} bytes");
    drop(bob);
}

/// Memory taken by many half-received messages is returned to the system after them.
#[test]
fn memory_returns_to_its_idle_size_after_a_burst() {
    let server = start(&["--max-connections-per-address", "0"]);
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
    eventually("the memory is returned", || {
        !grown(500_000 + TAIL_BYTES as u64)(&server)
    });
}
