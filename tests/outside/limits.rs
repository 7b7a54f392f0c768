//! Limits of connections, addresses, descriptors, message rates and notices.

use super::program::Program;
use super::support::{Client, Server, contains, eventually, upgrade_request};
use serde_json::json;

/// Sends a request that must get 503 with Retry-After, and then the end of the connection.
fn turned_away(server: &Server, request: &str) {
    let mut client = server.connect();
    client.try_send(request.as_bytes());
    let response = client.response();
    assert_eq!(response.status, 503);
    assert!(response.field("Retry-After").is_some());
    client.ends();
}

#[test]
fn connection_above_the_limit_gets_503_until_a_place_is_free() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut ann = server.join("ann");
    let bob = server.join("bob");
    ann.hears("* bob joined");
    for _ in 0..40 {
        turned_away(&server, &upgrade_request("/ws"));
    }
    bob.leaves();
    ann.hears("* bob left");
    eventually("a place is free", || server.counter("connections") == 1);
    server.join("cat");
    assert_eq!(server.counter("turned_away"), 40);
}

#[test]
fn connection_above_the_address_limit_gets_503() {
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
    eventually("a place is free", || server.counter("connections") == 1);
    server.join("cat");
}

#[test]
fn address_named_by_a_trusted_proxy_is_limited() {
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
fn server_out_of_descriptors_refuses_newcomers_and_serves_members() {
    const LEFT: usize = 8;
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    // The limit of connections was chosen for more descriptors than there are from here on, so it
    // is accept that fails, with EMFILE.
    server.leave_descriptors(LEFT);
    let mut crowd: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut crowd {
        client.try_send(upgrade_request("/ws").as_bytes());
    }
    let mut inside = Vec::new();
    for mut client in crowd {
        match client.response().status {
            101 => inside.push(client),
            status => {
                assert_eq!(status, 503);
                client.ends();
            }
        }
    }
    // Some numbers below the limit may have been free already.
    let count = inside.len();
    assert!((LEFT..2 * LEFT).contains(&count), "{count} were let in");
    assert!(server.counter("exhausted") > 0, "accept never failed");
    ann.says("/me is still served");
    ann.hears_at_last("** ann is still served");
    // A place that becomes free is given to the next newcomer.
    inside.remove(0).leaves();
    eventually("a descriptor is free", || {
        server.counter("connections") == count as u64
    });
    server.join("bob");
}

#[test]
fn messages_above_the_rate_are_dropped_with_one_warning() {
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
fn crowd_of_joins_and_leaves_is_summed_up() {
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
fn program_that_joins_too_often_is_refused_and_learns_when_it_may_again() {
    let server = Server::start(&["--joins-per-minute", "3", "--message-rate", "0"]);
    let mut ann = Program::connect(&server, "ann");
    for room in ["a", "b", "c"] {
        assert_eq!(
            ann.asks(json!({"type": "join", "room": room}))["type"],
            "joined"
        );
    }
    let error = ann.asks(json!({"type": "join", "room": "d"}));
    assert_eq!(error["code"], "too_fast");
    let retry_ms = error["retry_ms"].as_u64().expect("a time");
    assert!((1..=20_000).contains(&retry_ms), "{error}");
    assert_eq!(ann.asks(json!({"type": "ping"}))["type"], "ok");
    let mut bob = Program::connect(&server, "bob");
    assert_eq!(
        bob.asks(json!({"type": "join", "room": "d"}))["type"],
        "joined"
    );
    assert_eq!(server.counter("limited"), 1);
}

#[test]
fn connections_of_one_address_share_what_an_address_may_do() {
    let options = ["--nicks-per-minute", "2", "--address-factor", "2"];
    let server = Server::start(&[&options[..], &["--trusted-proxy", "none"]].concat());
    let mut programs = ["ann", "bob", "cat"].map(|nick| Program::connect(&server, nick));
    let mut taken = 0;
    for program in &mut programs {
        for nick in ["one", "two"] {
            let nick = format!("{nick}{taken}");
            let answer = program.asks(json!({"type": "nick", "nick": nick}));
            taken += usize::from(answer["type"] == "ok");
        }
    }
    assert_eq!(taken, 4);
}

#[test]
fn person_who_changes_nicks_too_often_is_asked_to_wait_once() {
    let server = Server::start(&["--nicks-per-minute", "1"]);
    let mut ann = server.join("ann");
    ann.says("/nick anna");
    ann.hears("* ann is now known as anna");
    for nick in ["anne", "annie", "anita"] {
        ann.says(&format!("/nick {nick}"));
    }
    contains(ann.line(), "that was too often; try again in");
    ann.says("hello");
    let mut line = ann.line();
    while line.contains("too often") {
        line = ann.line();
    }
    assert_eq!(line, "anna: hello");
}
