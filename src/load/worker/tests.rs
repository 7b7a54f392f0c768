//! A worker against listeners of the test itself.

use super::*;
use crate::http::accept_key;
use crate::load::tls;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A worker for so many connections to a listener, which has already been commanded to open them.
fn opening(listener: &TcpListener, connections: usize, connect_rate: u32) -> Worker {
    let address = listener.local_addr().unwrap();
    let mut options = Options::new(Scenario::Idle);
    options.url = crate::load::url::Url::parse(&format!("ws://{address}/")).unwrap();
    options.connections = connections;
    options.connect_rate = connect_rate;
    let mut worker = Worker::new(options).unwrap();
    worker.obey(Command::Open(connections));
    worker
}

/// Runs until a condition holds, for ten seconds at most.
fn run_until(worker: &mut Worker, holds: impl Fn(&Worker) -> bool) {
    let deadline = worker.now() + 10_000_000;
    while !holds(worker) {
        assert!(worker.now() < deadline, "{:?}", worker.tally().counts);
        worker.run(worker.now() + 5_000);
    }
}

fn count(worker: &Worker, count: Count) -> u64 {
    worker.tally().counts.of(count)
}

/// Upgrades one connection and ends it when the client closes it.
fn upgrade_one(listener: TcpListener) -> thread::JoinHandle<()> {
    thread::spawn(move || upgrade(listener.accept().unwrap().0))
}

fn upgrade(stream: impl Read + Write) {
    let mut reader = BufReader::new(stream);
    let mut key = String::new();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.strip_prefix("Sec-WebSocket-Key: ") {
            value.trim_end().clone_into(&mut key);
        }
        line.clear();
    }
    let accept = accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
    // The first bytes of the close frame.
    reader.fill_buf().unwrap();
}

/// The same over TLS, one connection after the other.
fn upgrade_over_tls(listener: TcpListener, connections: usize) -> thread::JoinHandle<()> {
    let config = tls::tests::server();
    thread::spawn(move || {
        for _ in 0..connections {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let (stream, _) = listener.accept().unwrap();
            upgrade(rustls::StreamOwned::new(tls, stream));
        }
    })
}

/// A worker for connections over TLS, which trusts the certificate of the tests.
fn opening_over_tls(listener: &TcpListener, connections: usize) -> Worker {
    let port = listener.local_addr().unwrap().port();
    let mut options = tls::tests::options(&format!("wss://localhost:{port}/"));
    options.connections = connections;
    let mut worker = Worker::new(options).unwrap();
    worker.obey(Command::Open(connections));
    worker
}

#[test]
fn connection_over_tls_is_upgraded_and_closed() {
    let listener = listener();
    let mut worker = opening_over_tls(&listener, 1);
    let server = upgrade_over_tls(listener, 1);
    run_until(&mut worker, |worker| count(worker, Count::Open) == 1);
    assert_eq!(count(&worker, Count::Shaken), 1);
    assert_eq!(count(&worker, Count::Resumed), 0);
    worker.obey(Command::Leave);
    run_until(&mut worker, Worker::is_empty);
    assert_eq!(count(&worker, Count::Left), 1);
    server.join().unwrap();
}

#[test]
fn answer_that_is_no_tls_is_a_failure_with_a_reason() {
    let listener = listener();
    let mut worker = opening_over_tls(&listener, 1);
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        // Until the client has ended the connection.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    run_until(&mut worker, |worker| count(worker, Count::Unsecured) == 1);
    assert_eq!(worker.tally().counts.failed(), 1);
    assert_eq!(worker.tally().tls_errors.values().sum::<u64>(), 1);
    assert_eq!(count(&worker, Count::Shaken), 0);
    server.join().unwrap();
}

#[test]
fn time_to_connect_counts_from_when_the_connection_was_due() {
    let listener = listener();
    let mut worker = opening(&listener, 1, 1000);
    let server = upgrade_one(listener);
    // The tester itself is late.
    thread::sleep(Duration::from_millis(50));
    run_until(&mut worker, |worker| count(worker, Count::Open) == 1);
    for time in [Time::Connecting, Time::ConnectLag] {
        let micros = worker.tally().of(time).max();
        assert!(micros >= 50_000, "{time:?}: {micros}");
    }
    worker.obey(Command::Leave);
    run_until(&mut worker, Worker::is_empty);
    assert_eq!(count(&worker, Count::Left), 1);
    server.join().unwrap();
}

#[test]
fn connection_that_is_pending_at_the_end_has_failed() {
    let listener = listener();
    let mut worker = opening(&listener, 2, 1000);
    run_until(&mut worker, |worker| count(worker, Count::Pending) == 2);
    worker.obey(Command::Leave);
    run_until(&mut worker, Worker::is_empty);
    assert_eq!(count(&worker, Count::Unfinished), 2);
    assert_eq!(count(&worker, Count::Pending), 0);
    assert_eq!(worker.tally().counts.failed(), 2);
}

#[test]
fn connection_that_is_never_begun_has_failed() {
    let listener = listener();
    let mut worker = opening(&listener, 3, 1);
    run_until(&mut worker, |worker| count(worker, Count::Pending) == 1);
    worker.obey(Command::Leave);
    run_until(&mut worker, Worker::is_empty);
    assert_eq!(count(&worker, Count::NotBegun), 2);
    assert_eq!(worker.tally().counts.failed(), 3);
}

#[test]
fn connection_that_the_server_does_not_end_is_given_up() {
    let listener = listener();
    let other = listener.try_clone().unwrap();
    let mut worker = opening(&listener, 2, 1000);
    let server = upgrade_one(other);
    run_until(&mut worker, |worker| count(worker, Count::Open) == 1);
    worker.obey(Command::Leave);
    // The patience of the caller is over before the server has ended anything.
    worker.abandon();
    assert!(worker.is_empty());
    assert_eq!(count(&worker, Count::Ignored), 1);
    assert_eq!(count(&worker, Count::Unfinished), 1);
    server.join().unwrap();
}

#[test]
fn turns_and_the_own_cpu_time_are_measured_while_counting() {
    let listener = listener();
    let mut worker = opening(&listener, 1, 1000);
    worker.obey(Command::Count);
    let until = worker.now() + 300_000;
    worker.run(until);
    worker.obey(Command::Stop);
    let measured = count(&worker, Count::CountedMicros);
    assert!(measured >= 300_000, "{measured}");
    assert!(count(&worker, Count::BusyMicros) <= measured);
    assert!(!worker.tally().of(Time::Turn).is_empty());
}
