//! The load tester against the server, and against servers that do wrong, so that its counting is
//! shown to be able to find something.

use super::support::{PATIENCE, Server, command, contains, eventually, finish, frame, now};
use parlor::http::accept_key;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitStatus;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Room for a crowd from one address that talks a lot.
const CROWD: [&str; 4] = ["--message-rate", "0", "--max-connections-per-address", "0"];

/// A run of `parlor load` that is over.
struct Run {
    status: ExitStatus,
    json: String,
    errors: String,
}

impl Run {
    /// A figure, by the last key of this name: it is used again only in the parts before.
    #[track_caller]
    fn figure(&self, key: &str) -> u64 {
        let text = self.text(key);
        text.parse()
            .unwrap_or_else(|_| panic!("{key} is {text:?} in {}", self.json))
    }

    /// What stands behind a key, up to the next comma or brace.
    #[track_caller]
    fn text(&self, key: &str) -> &str {
        let key = format!("\"{key}\":");
        let Some((_, after)) = self.json.rsplit_once(&key) else {
            panic!("no {key} in {:?}, but {}", self.json, self.errors);
        };
        after
            .split([',', '}'])
            .next()
            .expect("there is always a first part")
    }

    #[track_caller]
    fn is(&self, key: &str, value: u64) {
        assert_eq!(self.figure(key), value, "{key} in {}", self.json);
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
        json,
        errors,
    }
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/ws/{{room}}?nick={{nick}}")
}

/// Runs a scenario against the server, which is told to the tester with its process.
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
    assert!(run.figure("descriptors") > 60);
    assert!(run.figure("user_bytes_end") > 100_000);
    assert!(run.text("user_bytes_per_connection") != "null");
    assert_eq!(
        run.json.matches("\"connections\":").count(),
        9,
        "{}",
        run.json
    );
    server.is_empty();
}

#[test]
fn a_chat_by_rate_delivers_every_message_to_every_member_once() {
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
fn a_chat_by_window_in_two_processes_counts_as_one() {
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
fn who_stops_reading_is_left_out_of_the_losses_and_ended_by_the_server() {
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
fn nobody_says_anything_during_the_rest() {
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
fn churn_leaves_and_joins() {
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
    server.is_empty();
}

#[test]
fn a_unix_socket_can_be_loaded_too() {
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
fn a_broken_expectation_is_said_in_one_line() {
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
    contains(&run.json, "\"broken\":[\"connections that failed: 6");
}

#[test]
fn a_report_is_a_page_of_its_own() {
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
    contains(&page, "<h2>Latency of messages</h2><svg ");
    contains(&page, "<h2>Server's memory against connections</h2><svg ");
    assert!(!page.contains("src=") && !page.contains("href="));
}

#[test]
fn a_wrong_option_is_a_sentence_and_no_run() {
    let run = run(&["chat", "--members", "0"]);
    assert_eq!(run.status.code(), Some(2));
    assert_eq!(run.json, "");
    assert_eq!(
        run.errors,
        "parlor load: --members \"0\": expected a number from 1 to 2000000; \
         parlor load --help lists the options\n"
    );
}

#[test]
fn where_nobody_listens_nobody_is_connected() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let run = run(&["idle", "--url", &url(address), "--connections", "5"]);
    assert_eq!(run.status.code(), Some(1));
    run.is("refused", 5);
    contains(&run.errors, "not as expected: nobody could connect\n");
}

#[test]
fn it_ends_when_the_server_is_killed() {
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

// Servers that do wrong.

/// A connection of a server that is played by a test.
struct Stub {
    reader: BufReader<TcpStream>,
}

impl Stub {
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().expect("somebody connects");
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
        let mut header = [0; 6];
        self.reader.read_exact(&mut header)?;
        assert_eq!(header[1] & 0x80, 0x80, "clients mask what they send");
        let len = usize::from(header[1] & 0x7F);
        assert!(len < 126, "short messages only");
        let mut payload = vec![0; len];
        self.reader.read_exact(&mut payload)?;
        for (byte, mask) in payload.iter_mut().zip(header[2..].iter().cycle()) {
            *byte ^= mask;
        }
        Ok((header[0] & 0x0F != 8).then_some(payload))
    }

    fn says(&mut self, payload: &[u8]) {
        let mut bytes = vec![0x81, payload.len() as u8];
        bytes.extend_from_slice(payload);
        self.write(&bytes);
    }
}

/// Four members of whom the first one sends. The second misses every fifth message, the third gets
/// every seventh twice, and the fourth gets every eleventh after the one that follows it.
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
fn what_a_server_loses_doubles_and_reorders_is_counted_exactly() {
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
        // The last one may be held back for ever.
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
fn an_answer_to_another_request_is_no_upgrade() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = url(listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let mut client = Stub::accept(&listener);
        client.key();
        client.answer(&accept_key(b"the key of somebody else"));
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
    contains(&run.json, "\"no_port\":0,\"other\":1}");
}

#[test]
fn pings_and_closes_of_a_server_are_answered_and_its_ends_told_apart() {
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
        // Without a word, and with words that no server may say: a masked frame.
        drop(clients.remove(1));
        clients[1].write(&frame(0x81, b"masked"));
        assert!(clients[1].message().is_err());
        // The last one stays until it is left.
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
    contains(
        &run.json,
        "\"disconnect_kinds\":{\"closed\":{\"1009\":1},\"ended\":1,\"reset\":0,\"garbled\":1}",
    );
    run.is("left", 1);
}
