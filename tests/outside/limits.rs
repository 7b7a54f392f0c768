//! Limits: connections, addresses, descriptors, rates, crowds.

use super::support::{Client, Server, command, contains, eventually, upgrade_request};

/// A connection that is told that there is no place.
fn turned_away(server: &Server, request: &str) {
    let mut client = server.connect();
    client.try_send(request.as_bytes());
    let response = client.response();
    assert_eq!(response.status, 503);
    assert!(response.field("Retry-After").is_some());
    client.ends();
}

#[test]
fn above_the_limit_newcomers_are_told_so_until_somebody_leaves() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut ann = server.join("ann");
    let bob = server.join("bob");
    ann.hears("* bob joined");
    for _ in 0..40 {
        turned_away(&server, &upgrade_request("/ws"));
    }
    bob.leaves();
    ann.hears("* bob left");
    eventually("there is a place", || server.counter("connections") == 1);
    server.join("cat");
    assert_eq!(server.counter("turned_away"), 40);
}

#[test]
fn an_address_has_no_more_than_its_share() {
    let options = [
        "--max-connections-per-address",
        "2",
        "--trusted-proxy",
        "none",
    ];
    let server = Server::start(&options);
    let (ann, _bob) = (server.join("ann"), server.join("bob"));
    turned_away(&server, &upgrade_request("/ws"));
    ann.leaves();
    eventually("there is a place", || server.counter("connections") == 1);
    server.join("cat");
}

#[test]
fn behind_a_trusted_proxy_the_address_it_names_counts() {
    let server = Server::start(&["--max-connections-per-address", "1"]);
    let from = |address: &str| {
        upgrade_request("/ws").replace("Host:", &format!("X-Forwarded-For: {address}\r\nHost:"))
    };
    let mut first = server.connect();
    first.send(from("203.0.113.7").as_bytes());
    assert_eq!(first.response().status, 101);
    turned_away(&server, &from("203.0.113.7"));
    turned_away(&server, &from("1.2.3.4, 203.0.113.7"));
    let mut other = server.connect();
    other.send(from("203.0.113.8").as_bytes());
    assert_eq!(other.response().status, 101);
    let _no_header = server.join("ann");
    let _nor_here = server.join("bob");
}

#[test]
fn out_of_descriptors_those_inside_live_on_and_newcomers_are_not_left_hanging() {
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -n 60 && exec \"$0\" \"$@\""]);
    limited
        .arg(command().get_program())
        .args(["--listen", "127.0.0.1:0"]);
    // More connections than descriptors, so that accept fails and not the limit bites.
    limited.args(["--max-connections", "12"]);
    let server = Server::spawn(&mut limited, 1);
    let mut ann = server.join("ann");
    // Descriptors are taken from the server by what it did not count on.
    let mut crowd: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    for client in &mut crowd {
        client.try_send(upgrade_request("/ws").as_bytes());
    }
    let mut turned_away = 0;
    for client in &mut crowd {
        let response = client.response();
        assert!(matches!(response.status, 101 | 503), "{}", response.head);
        turned_away += usize::from(response.status == 503);
        if response.status == 503 {
            client.ends();
        }
    }
    assert!(turned_away >= 180, "{turned_away}");
    drop(crowd);
    ann.says("/who");
    contains(ann.line(), "* ");
    eventually("the crowd is gone", || server.counter("connections") == 1);
    server.join("bob");
}

#[test]
fn who_is_too_fast_is_told_once_and_the_rest_is_dropped() {
    let server = Server::start(&["--message-rate", "2", "--message-burst", "5"]);
    let mut bob = server.join("bob");
    let mut ann = server.join("ann");
    bob.hears("* ann joined");
    for number in 0..30 {
        ann.says(&format!("{number}"));
    }
    for number in 0..5 {
        ann.hears(&format!("ann: {number}"));
        bob.hears(&format!("ann: {number}"));
    }
    contains(ann.line(), "too fast: at most 2 messages a second");
    ann.hears_nothing();
    bob.hears_nothing();
}

#[test]
fn a_crowd_that_comes_at_once_costs_the_room_a_handful_of_lines() {
    let server = Server::start(&["--notice-members", "10", "--notice-interval", "500ms"]);
    let mut ann = server.join("ann");
    let crowd: Vec<Client> = (0..300).map(|n| server.join(&format!("n{n}"))).collect();
    let mut joined = 0;
    let mut lines = 0;
    while joined < 300 {
        let line = ann.line();
        lines += 1;
        let sum = line
            .strip_prefix("* ")
            .and_then(|line| line.strip_suffix(" joined"));
        joined += sum.expect("a notice").parse().unwrap_or(1);
    }
    assert_eq!(joined, 300);
    assert!(lines <= 40, "{lines} lines");
    drop(crowd);
    let mut left = 0;
    while left < 300 {
        let line = ann.line();
        let sum = line
            .strip_prefix("* ")
            .and_then(|line| line.strip_suffix(" left"));
        left += sum.expect("a notice").parse::<u32>().unwrap_or(1);
    }
    ann.leaves();
    server.is_empty();
}

#[test]
fn a_thousand_connects_and_aborts_leave_nothing() {
    let server = Server::start(&[]);
    server.join("warm").leaves();
    server.is_empty();
    let descriptors = server.open_descriptors();
    for number in 0..1000 {
        let mut client = server.connect();
        match number % 4 {
            0 => {}
            1 => client.try_send(b"GET /ws HT"),
            2 => client.try_send(upgrade_request("/ws").as_bytes()),
            _ => client.try_send(&[upgrade_request("/ws").as_bytes(), b"\x81\xfe\x10"].concat()),
        }
    }
    server.is_empty();
    assert_eq!(server.open_descriptors(), descriptors);
}
