//! Memory after a crowd has left.

use super::support::{Client, Server, eventually};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs;

/// Joins a room of its own each. More than the tables of a small server hold.
const CROWD: usize = 4_000;

/// At most so much stays of a room without members for a minute.
const OPEN_ROOM_BYTES: u64 = 256;

/// The server's anonymous memory in KiB: without the pages of the binary, which count for less while
/// other tests run servers of it.
fn memory_kib(server: &Server) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", server.pid()));
    let rollup = rollup.expect("Linux");
    let line = rollup.lines().find(|line| line.starts_with("Pss_Anon:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.expect("a size").parse().expect("a number")
}

fn join(server: &Server, room: &str, count: usize) -> Vec<Client> {
    (0..count)
        .map(|number| server.upgrade(&format!("/ws/{}", room.replace('N', &number.to_string()))))
        .collect()
}

/// Lets this process have as many descriptors as the system allows.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit may be raised to its maximum");
}

#[test]
fn memory_of_a_crowd_in_rooms_of_its_own_is_given_back() {
    raise_descriptor_limit();
    let server = Server::start(&["--max-connections-per-address", "0"]);
    // A small crowd first, so that all code has run that the large one runs.
    drop(join(&server, "warm-N", 100));
    let _first = join(&server, "lobby", 100);
    eventually("the first crowd is gone", || {
        server.counter("connections") == 100
    });
    let before = memory_kib(&server);
    let crowd = join(&server, "room-N", CROWD);
    let with_crowd = memory_kib(&server);
    assert!(with_crowd > before + 500, "the crowd takes memory");
    drop(crowd);
    eventually("the crowd is gone", || server.counter("connections") == 100);
    let open_rooms = CROWD as u64 * OPEN_ROOM_BYTES / 1024;
    eventually("nine tenths of its memory are given back", || {
        memory_kib(&server) <= before + open_rooms + (with_crowd - before) / 10
    });
    assert_eq!(server.counter("members"), 100);
    assert_eq!(server.counter("rooms"), 1);
}
