//! The load tester against the server, and against servers that do wrong, which it must find.

mod programs;

use super::hostile;
use super::support::{PATIENCE, Server, command, contains, eventually, finish, frame, now};
use parlor::http::accept_key;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitStatus};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Options for many clients with one address that send many messages.
const CROWD: [&str; 4] = ["--message-rate", "0", "--max-connections-per-address", "0"];

/// A run of `parlor load` that is over.
struct Run {
    status: ExitStatus,
    json: Value,
    errors: String,
}

impl Run {
    /// A value, by the keys on the way to it, with slashes between.
    #[track_caller]
    fn value(&self, path: &str) -> &Value {
        let value = self.json.pointer(&format!("/{path}"));
        value.unwrap_or_else(|| panic!("no {path} in {}, but {}", self.json, self.errors))
    }

    #[track_caller]
    fn figure(&self, path: &str) -> u64 {
        let figure = self.value(path).as_u64();
        figure.unwrap_or_else(|| panic!("{path} is no number in {}", self.json))
    }

    #[track_caller]
    fn is(&self, path: &str, expected: impl Into<Value>) {
        assert_eq!(
            *self.value(path),
            expected.into(),
            "{path} in {}",
            self.json
        );
    }

    #[track_caller]
    fn is_as_expected(&self) {
        assert_eq!(self.status.code(), Some(0), "{}{}", self.json, self.errors);
    }
}

fn run(arguments: &[&str]) -> Run {
    let mut load = command();
    load.arg("load").args(arguments).args(["--json", "-"]);
    let (status, json, errors) = finish(&mut load);
    Run {
        status,
        json: json.parse().unwrap_or_default(),
        errors,
    }
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/ws/{{room}}?nick={{nick}}")
}

/// Runs a scenario against the server, with its process as `--pid`.
fn run_at(server: &Server, arguments: &[&str]) -> Run {
    let (url, pid) = (url(server.address()), server.pid().to_string());
    run(&[arguments, &["--url", &url, "--pid", &pid]].concat())
}

#[test]
fn idle_connections_are_held_and_answer_pings() {
    let server = Server::start(
        &[
            &CROWD[..],
            &["--ping-after", "300ms", "--silent-timeout", "3s"],
        ]
        .concat(),
    );
    let run = run_at(
        &server,
        &[
            "idle",
            "--connections",
            "60",
            "--sources",
            "3",
            "--duration",
            "4s",
            "--expect-disconnects",
            "0",
            "--expect-failures",
            "0",
        ],
    );
    run.is_as_expected();
    run.is("connected", 60);
    run.is("left", 60);
    run.is("not_let_go", 0);
    assert!(run.figure("server/descriptors") > 60);
    assert!(run.figure("server/user_bytes_end") > 100_000);
    assert!(run.value("server/user_bytes_per_connection").is_number());
    let points = run.value("points").as_array().expect("a list");
    assert_eq!(points.len(), 9, "{}", run.json);
    server.is_empty();
}

/// The same over TLS, with more options.
fn run_at_tls(server: &Server, arguments: &[&str]) -> Run {
    let port = hostile::port(server);
    let url = format!("wss://localhost:{port}/ws/{{room}}?nick={{nick}}");
    run(&[arguments, &["--url", &url]].concat())
}

const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/ca.pem");

#[test]
fn chat_over_tls_is_delivered_and_its_handshakes_are_counted() {
    let server = hostile::server(&CROWD);
    let chat = [
        "chat",
        "--members",
        "20",
        "--window",
        "4",
        "--duration",
        "2s",
    ];
    let expect = ["--expect-loss", "0", "--expect-failures", "0", "--ca", CA];
    let run = run_at_tls(&server, &[&chat[..], &expect].concat());
    run.is_as_expected();
    run.is("connected", 20);
    run.is("tls/handshakes", 20);
    run.is("tls/resumed", 0);
    run.is("left", 20);
    server.is_empty();
}

#[test]
fn clients_that_return_resume_their_tls_sessions() {
    let server = hostile::server(&CROWD);
    let churn = [
        "churn",
        "--connections",
        "2",
        "--churn-rate",
        "20",
        "--duration",
        "2s",
    ];
    let run = run_at_tls(
        &server,
        &[&churn[..], &["--insecure", "--tls-resume"]].concat(),
    );
    run.is_as_expected();
    assert!(run.figure("tls/resumed") >= 1, "{}", run.json);
    assert!(
        run.figure("tls/resumed") < run.figure("tls/handshakes"),
        "{}",
        run.json
    );
}

#[test]
fn certificate_that_is_not_trusted_is_a_failure_with_its_reason() {
    let server = hostile::server(&CROWD);
    // Another certificate than the server's, and none that has signed it.
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/site.pem");
    let run = run_at_tls(&server, &["idle", "--connections", "2", "--ca", other]);
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("failures/tls", 2);
    run.is(
        "tls/errors",
        json!({ "invalid peer certificate: UnknownIssuer": 2 }),
    );
    server.is_empty();
}

#[test]
fn chat_with_a_rate_delivers_every_message_to_every_member_once() {
    let server = Server::start(&CROWD);
    let run = run_at(
        &server,
        &[
            "chat",
            "--rooms",
            "2",
            "--members",
            "7",
            "--senders",
            "3",
            "--send-rate",
            "40",
            "--duration",
            "1s",
            "--warmup",
            "200ms",
            "--expect-loss",
            "0",
            "--expect-p99",
            "1m",
        ],
    );
    run.is_as_expected();
    run.is("connected", 14);
    assert!(run.figure("sent") > 100, "{}", run.json);
    run.is("expected", 7 * run.figure("sent"));
    run.is("deliveries", run.figure("expected"));
    for key in ["lost", "doubled", "reordered", "held_back", "disconnects"] {
        run.is(key, 0);
    }
    server.is_empty();
}

#[test]
fn chat_with_a_window_in_two_processes_counts_as_one() {
    let server = Server::start(&CROWD);
    let run = run_at(
        &server,
        &[
            "chat",
            "--rooms",
            "4",
            "--members",
            "10",
            "--window",
            "8",
            "--size",
            "2000",
            "--duration",
            "1s",
            "--processes",
            "2",
            "--expect-loss",
            "0",
        ],
    );
    run.is_as_expected();
    run.is("connected", 40);
    assert!(run.figure("sent") > 20, "{}", run.json);
    run.is("expected", 10 * run.figure("sent"));
    run.is("deliveries", run.figure("expected"));
    server.is_empty();
}

#[test]
fn slow_members_are_ended_by_the_server_and_count_in_no_loss() {
    let server = Server::start(
        &[
            &CROWD[..],
            &["--send-buffer-bytes", "4096", "--outbox-bytes", "20000"],
            &["--stall-timeout", "500ms", "--close-timeout", "300ms"],
        ]
        .concat(),
    );
    let run = run_at(
        &server,
        &[
            "slow",
            "--members",
            "20",
            "--slow-members",
            "3",
            "--senders",
            "2",
            "--size",
            "1000",
            "--send-rate",
            "100",
            "--duration",
            "4s",
            "--expect-disconnects",
            "0",
        ],
    );
    run.is_as_expected();
    run.is("slow_members", 3);
    run.is("slow_disconnects", 3);
    run.is("expected", 17 * run.figure("sent"));
    run.is("deliveries", run.figure("expected"));
}

#[test]
fn no_message_is_sent_during_the_rest() {
    let server = Server::start(&CROWD);
    let began = now();
    let run = run_at(
        &server,
        &[
            "chat",
            "--members",
            "10",
            "--senders",
            "2",
            "--window",
            "1",
            "--warmup",
            "0s",
            "--duration",
            "200ms",
            "--rest",
            "1s",
        ],
    );
    run.is_as_expected();
    run.is("deliveries", run.figure("expected"));
    assert!(began.elapsed() > Duration::from_secs(1));
}

#[test]
fn churn_closes_and_opens_connections() {
    let server = Server::start(&CROWD);
    let run = run_at(
        &server,
        &[
            "churn",
            "--connections",
            "20",
            "--churn-rate",
            "50",
            "--duration",
            "2s",
            "--expect-failures",
            "0",
            "--expect-disconnects",
            "0",
        ],
    );
    run.is_as_expected();
    assert!(run.figure("connected") > 60, "{}", run.json);
    run.is("left", run.figure("connected"));
    run.is("not_let_go", 0);
    assert!(run.figure("leave_latency_us/p99") > 0, "{}", run.json);
    server.is_empty();
}

#[test]
fn unix_socket_can_be_loaded() {
    let path = std::env::temp_dir().join(format!("parlor-load-{}.sock", std::process::id()));
    let path = path.to_str().expect("a path of this machine");
    let server = Server::spawn(command().args(["--listen", &format!("unix:{path}")]), 1);
    let url = format!("ws+unix:{path}:/ws/{{room}}?nick={{nick}}");
    let run = run(&[
        "idle",
        "--url",
        &url,
        "--connections",
        "3",
        "--duration",
        "100ms",
    ]);
    run.is_as_expected();
    run.is("connected", 3);
    drop(server);
}

#[test]
fn broken_expectation_is_reported_in_one_line() {
    let server = Server::start(&[
        "--max-connections-per-address",
        "4",
        "--trusted-proxy",
        "none",
    ]);
    let run = run_at(
        &server,
        &[
            "idle",
            "--connections",
            "10",
            "--duration",
            "100ms",
            "--expect-failures",
            "5",
        ],
    );
    assert_eq!(run.status.code(), Some(1));
    contains(
        &run.errors,
        "\nparlor load: not as expected: connections that failed: 6, more than \
         --expect-failures 5\n",
    );
    run.is("connected", 4);
    run.is("failed", 6);
    let broken = "connections that failed: 6, more than --expect-failures 5";
    run.is("broken", json!([broken]));
}

#[test]
fn report_is_a_page_without_references() {
    let server = Server::start(&CROWD);
    let path = std::env::temp_dir().join(format!("parlor-load-{}.html", std::process::id()));
    let path = path.to_str().expect("a path of this machine");
    let run = run_at(
        &server,
        &[
            "chat",
            "--members",
            "10",
            "--duration",
            "1s",
            "--report",
            path,
        ],
    );
    run.is_as_expected();
    let page = std::fs::read_to_string(path).expect("the report is there");
    std::fs::remove_file(path).expect("it can be removed");
    contains(&page, "\"title\":\"Latency of messages, open loop\"");
    assert!(!page.contains("src=") && !page.contains("href="));
}

#[test]
#[ignore = "needs Chromium; tests/run runs it"]
fn report_draws_its_plots_in_a_browser() {
    let server = Server::start(&CROWD);
    let path = std::env::temp_dir().join(format!("parlor-plots-{}.html", std::process::id()));
    let path = path.to_str().expect("a path of this machine");
    let run = run_at(&server, &["idle", "--connections", "30", "--report", path]);
    run.is_as_expected();
    let (_, dom, errors) = finish(
        Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("file://{path}")),
    );
    std::fs::remove_file(path).expect("it can be removed");
    for title in [
        "Server's memory against connections",
        "Time to connect",
        "Connects a second",
        "Open connections",
        "Server's memory",
        "Server's CPU, of one core",
    ] {
        let plot = format!("<h2>{title}</h2><svg ");
        assert!(dom.contains(&plot), "{title} is not in {dom}{errors}");
    }
    contains(&dom, "<polyline class=\"two\"");
    contains(&dom, "<p class=\"good\">As expected.</p>");
    assert!(!dom.contains("NaN") && !dom.contains("Infinity"), "{dom}");
}

#[test]
fn wrong_option_is_a_sentence_and_no_run() {
    let run = run(&["chat", "--members", "0"]);
    assert_eq!(run.status.code(), Some(2));
    assert_eq!(run.json, Value::Null);
    assert_eq!(
        run.errors,
        "parlor load: --members \"0\": expected a number from 1 to 2000000; \
         parlor load --help lists the options\n"
    );
}

#[test]
fn address_without_a_listener_connects_no_client() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let run = run(&["idle", "--url", &url(address), "--connections", "5"]);
    assert_eq!(run.status.code(), Some(1));
    run.is("failures/refused", 5);
    contains(&run.errors, "not as expected: no connection was made\n");
}

#[test]
fn run_ends_when_the_server_is_killed() {
    for scenario in [
        &["idle", "--connections", "30"][..],
        &["chat", "--members", "30", "--window", "2"],
        &[
            "chat",
            "--rooms",
            "2",
            "--members",
            "15",
            "--processes",
            "2",
        ],
    ] {
        let server = Server::start(&CROWD);
        let url = url(server.address());
        let arguments: Vec<String> = [scenario, &["--url", &url, "--duration", "1h"]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let load = thread::spawn(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            run(&arguments)
        });
        eventually("all are connected", || server.counter("members") == 30);
        server.signal("KILL");
        let run = load.join().expect("the tester is watched by a thread");
        assert_eq!(run.status.code(), Some(1), "{}", run.errors);
        contains(&run.errors, "the server ended all connections");
        run.is("disconnects", 30);
    }
}

// Servers that do wrong, played by a test.

/// A connection of such a server.
struct Stub {
    reader: BufReader<TcpStream>,
}

impl Stub {
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().expect("a client connects");
        stream
            .set_read_timeout(Some(3 * PATIENCE))
            .expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// Reads the request and returns its key.
    fn key(&mut self) -> String {
        let mut key = String::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).expect("a line");
            match line.trim_end().split_once(": ") {
                Some(("Sec-WebSocket-Key", value)) => key = value.to_owned(),
                Some(_) => {}
                None if line == "\r\n" => return key,
                None => assert!(line.starts_with("GET "), "{line}"),
            }
        }
    }

    fn answer(&mut self, accept: &str) {
        self.write(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .as_bytes(),
        );
    }

    fn write(&mut self, bytes: &[u8]) {
        self.reader
            .get_mut()
            .write_all(bytes)
            .expect("the tester reads");
    }

    /// The payload of the next frame; `None`: a close frame.
    fn message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut header = [0; 2];
        self.reader.read_exact(&mut header)?;
        assert_eq!(header[1] & 0x80, 0x80, "clients mask what they send");
        let mut len = usize::from(header[1] & 0x7F);
        assert!(len < 127, "no long messages");
        if len == 126 {
            let mut bytes = [0; 2];
            self.reader.read_exact(&mut bytes)?;
            len = usize::from(u16::from_be_bytes(bytes));
        }
        let mut masks = [0; 4];
        self.reader.read_exact(&mut masks)?;
        let mut payload = vec![0; len];
        self.reader.read_exact(&mut payload)?;
        for (byte, mask) in payload.iter_mut().zip(masks.iter().cycle()) {
            *byte ^= mask;
        }
        Ok((header[0] & 0x0F != 8).then_some(payload))
    }

    fn says(&mut self, payload: &[u8]) {
        let len = payload.len() as u16;
        let mut bytes = match len {
            0..126 => vec![0x81, len as u8],
            _ => [&[0x81, 126][..], &len.to_be_bytes()].concat(),
        };
        bytes.extend_from_slice(payload);
        self.write(&bytes);
    }
}

/// Four members, of which the first sends. The second misses every fifth message, the third
/// receives every seventh twice, and the fourth receives every eleventh after the one that follows
/// it.
fn careless_server(listener: TcpListener) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut members: Vec<Stub> = (0..4)
            .map(|number| {
                let mut member = Stub::accept(&listener);
                let key = member.key();
                member.answer(&accept_key(key.as_bytes()));
                let join = member.message().expect("a message").expect("no close");
                assert_eq!(join, format!("hello from u{number}").into_bytes());
                member.says(b"* welcome");
                member
            })
            .collect();
        let mut held = None;
        for number in 1.. {
            let Some(message) = members[0].message().expect("messages, then a close") else {
                return;
            };
            let message = [b"{\"text\":\"", &message[..], b"\"}"].concat();
            members[0].says(&message);
            if number % 5 != 0 {
                members[1].says(&message);
            }
            members[2].says(&message);
            if number % 7 == 0 {
                members[2].says(&message);
            }
            if number % 11 == 0 {
                held = Some(message);
                continue;
            }
            members[3].says(&message);
            if let Some(held) = held.take() {
                members[3].says(&held);
            }
        }
    })
}

#[test]
fn lost_doubled_and_reordered_messages_are_counted_exactly() {
    for pace in [["--send-rate", "200"], ["--window", "400"]] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = url(listener.local_addr().expect("an address"));
        let server = careless_server(listener);
        let run = run(&[
            &["chat", "--url", &url, "--join", "hello from {nick}"][..],
            &["--members", "4", "--senders", "1", "--connect-rate", "50"],
            &["--warmup", "0", "--duration", "500ms", "--expect-loss", "0"],
            &pace,
        ]
        .concat());
        server.join().expect("the server has seen what it expects");
        assert_eq!(run.status.code(), Some(1), "{}", run.json);
        let sent = run.figure("sent");
        assert!(sent > 20, "{}", run.json);
        // The last message may stay held back.
        let held = u64::from(sent.is_multiple_of(11));
        let wrong = [
            ("expected", 4 * sent),
            ("lost", sent / 5 + held),
            ("doubled", sent / 7),
            ("reordered", sent / 11 - held),
            ("other", 4),
        ];
        for (key, value) in wrong {
            run.is(key, value);
        }
        let sum = sent / 5 + sent / 7 + sent / 11;
        contains(
            &run.errors,
            &format!("deliveries lost, doubled or reordered: {sum}, more than --expect-loss 0\n"),
        );
    }
}

#[test]
fn answer_to_another_request_is_no_upgrade() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = url(listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let mut client = Stub::accept(&listener);
        client.key();
        client.answer(&accept_key(b"another key"));
        // The tester is the first to go.
        assert!(
            matches!(client.message(), Err(error) if error.kind() != io::ErrorKind::WouldBlock)
        );
    });
    let run = run(&["idle", "--url", &url, "--connections", "1"]);
    server.join().expect("the tester goes");
    assert_eq!(run.status.code(), Some(1));
    run.is("connected", 0);
    run.is("failed", 1);
    run.is("failures/other", 1);
}

#[test]
fn pings_and_closes_are_answered_and_ends_are_distinguished() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = url(listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let mut clients: Vec<Stub> = (0..4)
            .map(|_| {
                let mut client = Stub::accept(&listener);
                let key = client.key();
                client.answer(&accept_key(key.as_bytes()));
                client
            })
            .collect();
        clients[0].write(b"\x89\x04ping");
        let pong = clients[0].message().expect("a pong");
        assert_eq!(pong, Some(b"ping".to_vec()));
        clients[0].write(b"\x88\x02\x03\xf1");
        assert_eq!(clients[0].message().expect("a close"), None);
        // Without a close frame, and with a frame that no server may send: a masked one.
        drop(clients.remove(1));
        clients[1].write(&frame(0x81, b"masked"));
        assert!(clients[1].message().is_err());
        // The last one stays until the tester closes it.
        assert_eq!(clients[2].message().expect("a close"), None);
    });
    let run = run(&[
        "idle",
        "--url",
        &url,
        "--connections",
        "4",
        "--connect-rate",
        "50",
        "--duration",
        "1s",
        "--expect-disconnects",
        "2",
    ]);
    server.join().expect("the server has seen what it expects");
    assert_eq!(run.status.code(), Some(1));
    run.is("disconnects", 3);
    let kinds = json!({"closed": {"1009": 1}, "ended": 1, "reset": 0, "garbled": 1});
    run.is("disconnect_kinds", kinds);
    run.is("left", 1);
}

/// A server that upgrades the first `quick` connections at once and each later one after `pause`.
/// It ends a connection when the client does; its threads end with the test's process.
fn slow_to_upgrade(listener: TcpListener, quick: usize, pause: Duration) {
    thread::spawn(move || {
        for number in 0.. {
            let mut client = Stub::accept(&listener);
            thread::spawn(move || {
                let key = client.key();
                if number >= quick {
                    thread::sleep(pause);
                }
                client.answer(&accept_key(key.as_bytes()));
                while matches!(client.message(), Ok(Some(_))) {}
            });
        }
    });
}

#[test]
fn churn_waits_for_slow_upgrades_and_counts_them_from_when_they_were_due() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = url(listener.local_addr().expect("an address"));
    slow_to_upgrade(listener, 4, Duration::from_millis(1500));
    let run = run(&[
        &["churn", "--url", &url, "--connections", "4"][..],
        &["--churn-rate", "20", "--warmup", "0", "--duration", "2s"],
        &["--expect-failures", "0", "--expect-p99", "1s"],
    ]
    .concat());
    assert_eq!(run.status.code(), Some(1), "{}{}", run.json, run.errors);
    contains(&run.errors, "p99 in microseconds: ");
    assert!(
        run.figure("connect_latency_us/p99") >= 1_500_000,
        "{}",
        run.json
    );
    // Four, and each of them at least once again: none was dropped on the way.
    assert!(run.figure("connected") >= 8, "{}", run.json);
    run.is("failed", 0);
    assert!(run.figure("churn_steps_skipped") > 0, "{}", run.json);
    run.is("connect_latency_us/missing", 0);
}

#[test]
fn connection_that_is_never_upgraded_times_out_and_counts_in_the_latency() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = url(listener.local_addr().expect("an address"));
    slow_to_upgrade(listener, 1, Duration::from_secs(60));
    let run = run(&[
        "idle",
        "--url",
        &url,
        "--connections",
        "2",
        "--duration",
        "100ms",
    ]);
    run.is("connected", 1);
    run.is("failures/timeout", 1);
    assert!(
        run.figure("connect_latency_us/p99") >= 10_000_000,
        "{}",
        run.json
    );
}

#[test]
fn lost_messages_count_in_the_percentiles() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = url(listener.local_addr().expect("an address"));
    let server = careless_server(listener);
    let run = run(&[
        &["chat", "--url", &url, "--join", "hello from {nick}"][..],
        &["--members", "4", "--senders", "1", "--connect-rate", "50"],
        &["--warmup", "0", "--duration", "500ms", "--expect-p99", "1m"],
        &["--send-rate", "200"],
    ]
    .concat());
    server.join().expect("the server has seen what it expects");
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("latency_us/p99", Value::Null);
    run.is("latency_us/missing", run.figure("lost"));
    assert!(run.value("latency_us/p50").is_number(), "{}", run.json);
    contains(
        &run.errors,
        "one delivery in a hundred or more never arrived",
    );
}

#[test]
fn latency_of_a_window_is_named_closed_loop_everywhere() {
    let server = Server::start(&CROWD);
    let path = std::env::temp_dir().join(format!("parlor-loop-{}.html", std::process::id()));
    let path = path.to_str().expect("a path of this machine");
    for (pace, name) in [
        (["--window", "2"], "closed"),
        (["--send-rate", "20"], "open"),
    ] {
        let chat = &[
            "chat",
            "--members",
            "5",
            "--senders",
            "1",
            "--duration",
            "300ms",
        ][..];
        let run = run_at(&server, &[chat, &pace, &["--report", path]].concat());
        run.is_as_expected();
        run.is("latency_loop", name);
        contains(&run.errors, &format!("latency, {name} loop"));
        let page = std::fs::read_to_string(path).expect("the report is there");
        contains(&page, &format!("Latency of messages, {name} loop"));
    }
    std::fs::remove_file(path).expect("it can be removed");
}

#[test]
fn tester_reports_its_own_lag() {
    let server = Server::start(&CROWD);
    let run = run_at(
        &server,
        &[
            "chat",
            "--members",
            "2",
            "--senders",
            "1",
            "--duration",
            "500ms",
            "--send-rate",
            "20",
        ],
    );
    run.is_as_expected();
    for figure in [
        "tester/send_lag_us/p99",
        "tester/connect_lag_us/p99",
        "tester/turn_us/p99",
    ] {
        assert!(run.value(figure).is_number(), "{figure} in {}", run.json);
    }
    let busy_share = run.value("tester/busy_share").as_f64().expect("a number");
    assert!(busy_share > 0.0, "{}", run.json);
    assert!(run.value("tester/warnings").is_array(), "{}", run.json);
}

#[test]
fn process_that_is_not_the_server_is_refused_and_the_server_is_named() {
    let server = Server::start(&CROWD);
    let mut wrapper = Command::new("sleep").arg("60").spawn().expect("it starts");
    let (url, pid) = (url(server.address()), wrapper.id().to_string());
    let run = run(&["idle", "--connections", "1", "--url", &url, "--pid", &pid]);
    wrapper.kill().expect("it runs");
    wrapper.wait().expect("it ends");
    assert_eq!(run.status.code(), Some(2), "{}", run.errors);
    let expected = format!(
        "parlor load: --pid {pid}: the process does not listen on the address of {url}, nor on \
         any other; process {} (parlor) does",
        server.pid()
    );
    contains(&run.errors, &expected);
}

#[test]
fn process_that_does_not_exist_is_refused() {
    let run = run(&["idle", "--connections", "1", "--pid", "2147483647"]);
    assert_eq!(run.status.code(), Some(2), "{}", run.errors);
    contains(&run.errors, "--pid 2147483647: there is no such process");
}
