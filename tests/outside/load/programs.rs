//! The load tester with clients of `parlor.v1.json`, against the server, and against servers that
//! repeat, skip, disorder or change entries, which it must find.

use super::super::store::{keeping, stops};
use super::super::support::{Server, in_memory, lines};
use super::super::traffic::Tap;
use super::super::unix::Folder;
use super::{CROWD, Run, Stub, run};
use parlor::http::accept_key;
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

/// Runs a scenario against the server, with its process as `--pid`. What both sides send is held to
/// the schema.
fn run_at(server: &Server, arguments: &[&str]) -> Run {
    let tap = Tap::open(server.address());
    let url = format!("ws://{}/ws?nick={{nick}}", tap.address);
    let pid = server.pid().to_string();
    let run = run(&[arguments, &["--url", &url, "--pid", &pid]].concat());
    tap.heard_only_what_the_schema_has();
    run
}

const FAULTS: [&str; 9] = [
    "unreadable",
    "out_of_sequence",
    "gaps",
    "rewound",
    "not_resumed",
    "not_recovered",
    "altered",
    "acked_again",
    "wrong_pages",
];

#[track_caller]
fn is_faultless(run: &Run) {
    run.is_as_expected();
    for fault in FAULTS {
        run.is(&format!("program/{fault}"), 0);
    }
    run.is("program/not_acked", 0);
}

#[test]
fn messages_of_programs_are_delivered_once_in_order_and_acknowledged() {
    let server = Server::start(&CROWD);
    for pace in [["--send-rate", "40"], ["--window", "8"]] {
        let run = run_at(
            &server,
            &[
                &["chat", "--protocol", "json", "--rooms", "2"][..],
                &["--members", "7", "--senders", "3", "--duration", "500ms"],
                &["--warmup", "100ms", "--expect-loss", "0"],
                &pace,
            ]
            .concat(),
        );
        is_faultless(&run);
        assert!(run.figure("sent") > 20, "{}", run.json);
        run.is("deliveries", 7 * run.figure("sent"));
        run.is("program/acked", run.figure("sent"));
        assert!(run.figure("program/ack_latency_us/p99") > 0, "{}", run.json);
    }
    server.is_empty();
}

#[test]
fn programs_are_held_and_come_and_go() {
    let server = Server::start(&CROWD);
    for scenario in [
        &["idle", "--connections", "20", "--duration", "100ms"][..],
        &[
            "churn",
            "--connections",
            "20",
            "--churn-rate",
            "50",
            "--duration",
            "1s",
        ],
        &[
            "slow",
            "--members",
            "10",
            "--senders",
            "2",
            "--duration",
            "500ms",
        ],
    ] {
        let expected = [
            "--protocol",
            "json",
            "--expect-failures",
            "0",
            "--expect-disconnects",
            "0",
        ];
        let run = run_at(&server, &[scenario, &expected].concat());
        is_faultless(&run);
        run.is("left", run.figure("connected"));
    }
    server.is_empty();
}

#[test]
fn programs_that_return_receive_exactly_what_they_missed() {
    let server = Server::start(&CROWD);
    let run = run_at(
        &server,
        &[
            "resume",
            "--connections",
            "40",
            "--rooms",
            "3",
            "--missed",
            "30",
        ],
    );
    is_faultless(&run);
    run.is("resume/away", 40);
    run.is("resume/live", 40);
    // And one message to each when all are back.
    run.is("expected", 40 * 31);
    run.is("deliveries", 40 * 31);
    assert!(
        run.value("resume/server_cpu_us").is_number(),
        "{}",
        run.json
    );
    assert!(run.figure("server/resident_bytes_peak") > 1_000_000);
    server.is_empty();
}

#[test]
fn return_in_which_more_is_missed_than_the_server_sends_is_not_as_expected() {
    let server = Server::start(&[&CROWD[..], &["--catch-up-max", "20"]].concat());
    let run = run_at(&server, &["resume", "--connections", "2", "--missed", "30"]);
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("resume/live", 0);
    run.is("program/not_recovered", 2);
}

#[test]
fn messages_that_the_server_forbids_are_not_as_expected() {
    let server = Server::start(&["--max-connections-per-address", "0"]);
    let run = run_at(&server, &["history", "--connections", "1", "--fill", "100"]);
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    assert!(run.figure("program/refused") > 0, "{}", run.json);
    assert!(
        run.errors.contains("did not take all messages"),
        "{}",
        run.errors
    );
}

/// A server on a Unix socket, whose history is kept in the folder.
fn in_folder(folder: &Folder) -> Server {
    let listen = format!("unix:{}", folder.path("chat.sock").display());
    let mut command = keeping(&folder.path("store"));
    command.args(["--listen", &listen]).args(CROWD);
    Server::spawn(&mut command, 1)
}

/// The tester, from when it is paused on.
struct Paused {
    load: Child,
    output: JoinHandle<String>,
}

impl Paused {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
        let mut load = in_memory(command.arg("load").args(arguments))
            .args(["--json", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut output = load.stdout.take().expect("a pipe");
        let output = thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).expect("it can be read");
            text
        });
        let errors = lines(load.stderr.take().expect("a pipe"));
        let mut before = String::new();
        loop {
            match errors.recv() {
                Ok(line) if line.contains("paused") => break,
                Ok(line) => before += &line,
                Err(_) => panic!("it is not paused: {before}"),
            }
        }
        Self { load, output }
    }

    fn goes_on(mut self, line: &str) -> Run {
        let mut input = self.load.stdin.take().expect("a pipe");
        writeln!(input, "{line}").expect("it reads");
        let status = self.load.wait().expect("it ends");
        let text = self.output.join().expect("it is read to its end");
        Run {
            status,
            json: text.parse().unwrap_or_default(),
            errors: String::new(),
        }
    }
}

#[test]
fn programs_that_return_after_a_restart_receive_exactly_what_they_missed() {
    let folder = Folder::new("load-restart");
    let socket = folder.path("chat.sock");
    let url = format!("ws+unix:{}:/ws?nick={{nick}}", socket.display());
    let server = in_folder(&folder);
    let pid = server.pid().to_string();
    let paused = Paused::start(
        &[
            &["resume", "--connections", "20", "--missed", "30", "--pause"][..],
            &["--url", &url, "--pid", &pid],
        ]
        .concat(),
    );
    stops(server);
    let server = in_folder(&folder);
    let run = paused.goes_on(&server.pid().to_string());
    is_faultless(&run);
    run.is("resume/live", 20);
    run.is("deliveries", 20 * 31);
    assert!(run.figure("server/user_bytes_end") > 0, "{}", run.json);
}

#[test]
fn pages_of_history_are_read_from_the_newest_to_the_oldest_and_again() {
    let server = Server::start(&CROWD);
    let run = run_at(
        &server,
        &[
            &["history", "--connections", "5", "--rooms", "2"][..],
            &["--fill", "95", "--page", "20"],
            &["--warmup", "0", "--duration", "500ms"],
        ]
        .concat(),
    );
    is_faultless(&run);
    // Five pages lead through a room; at least one client has begun again.
    assert!(run.figure("history/pages") > 7 * 5, "{}", run.json);
    assert!(run.figure("history/entries") <= 20 * run.figure("history/pages"));
    assert!(run.figure("history/latency_us/p99") > 0, "{}", run.json);
    server.is_empty();
}

// Servers that do wrong, played by a test.

impl Stub {
    /// Accepts a program, which joins an empty room, or returns to it.
    fn accept_program(listener: &TcpListener) -> Self {
        let mut client = Self::accept(listener);
        let key = client.key();
        let accept = accept_key(key.as_bytes());
        client.answer(&format!(
            "{accept}\r\nSec-WebSocket-Protocol: parlor.v1.json"
        ));
        client.tells(&json!({"type": "hello", "session": "secret"}));
        client
    }

    fn tells(&mut self, object: &Value) {
        self.says(object.to_string().as_bytes());
    }

    /// The next request, which must be of this type.
    fn request(&mut self, kind: &str) -> Value {
        let message = self.message().expect("a message").expect("no close");
        let request: Value = serde_json::from_slice(&message).expect("JSON");
        assert_eq!(request["type"], kind, "{request}");
        request
    }

    fn answers_join(&mut self, head: u32, after: u32) {
        let request = self.request("join");
        self.tells(&json!({
            "type": "joined", "re": request["id"], "room": "load0", "epoch": "1-a", "seq": head,
            "after": after, "recovered": request["since"].is_object(),
        }));
    }

    fn answers_resume(&mut self) {
        let request = self.request("resume");
        assert_eq!(request["session"], "secret");
        self.tells(&json!({"type": "ok", "re": request["id"], "session": "next"}));
    }

    fn entry(&mut self, seq: u32, text: &Value) {
        self.tells(&json!({"type": "message", "room": "load0", "seq": seq, "text": text}));
    }

    /// Takes a message, which gets this number; its text.
    fn takes_message(&mut self, seq: u32) -> Value {
        let mut request = self.request("send");
        self.entry(seq, &request["text"]);
        self.tells(&json!({"type": "ok", "re": request["id"], "seq": seq}));
        request["text"].take()
    }
}

/// A server for one speaker and one client that misses three messages. `returned` sends what it is
/// sent, out of the texts of these, when it is back.
fn forgetful_server(
    listener: TcpListener,
    returned: impl FnOnce(&mut Stub, &[Value]) + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut speaker = Stub::accept_program(&listener);
        speaker.answers_join(0, 0);
        let mut client = Stub::accept_program(&listener);
        client.answers_join(0, 0);
        let error = client
            .message()
            .expect_err("it vanishes without a close frame");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let texts: Vec<Value> = (1..=3).map(|seq| speaker.takes_message(seq)).collect();
        let mut client = Stub::accept_program(&listener);
        client.answers_resume();
        returned(&mut client, &texts);
        let text = client.takes_message(4);
        speaker.entry(4, &text);
        for mut stub in [speaker, client] {
            while matches!(stub.message(), Ok(Some(_))) {}
        }
    })
}

fn run_against_forgetful(returned: impl FnOnce(&mut Stub, &[Value]) + Send + 'static) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = forgetful_server(listener, returned);
    let url = format!("ws://{address}/ws?nick={{nick}}");
    let resume = [
        "resume",
        "--connections",
        "1",
        "--missed",
        "3",
        "--size",
        "1",
    ];
    let run = run(&[&resume[..], &["--connect-rate", "50", "--url", &url]].concat());
    server.join().expect("the server has seen what it expects");
    run
}

/// A run against a server that sends these of the three missed entries.
fn run_with_entries(entries: &'static [u32]) -> Run {
    run_against_forgetful(move |client, texts| {
        client.answers_join(3, 0);
        for seq in entries {
            client.entry(*seq, &texts[*seq as usize - 1]);
        }
    })
}

#[test]
fn return_to_a_stub_that_does_all_right_is_as_expected() {
    let run = run_with_entries(&[1, 2, 3]);
    is_faultless(&run);
    run.is("deliveries", 4);
}

#[test]
fn repeated_entry_is_found() {
    let run = run_with_entries(&[1, 2, 2, 3]);
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("doubled", 1);
    run.is("lost", 0);
    run.is("program/out_of_sequence", 1);
    run.is("resume/live", 1);
}

#[test]
fn skipped_entry_is_found() {
    let run = run_with_entries(&[1, 3]);
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("lost", 1);
    run.is("doubled", 0);
    run.is("program/out_of_sequence", 1);
    run.is("resume/live", 0);
}

#[test]
fn disordered_entries_are_found() {
    let run = run_with_entries(&[1, 3, 2]);
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("reordered", 1);
    run.is("lost", 0);
}

#[test]
fn entry_with_another_text_is_found() {
    let run = run_against_forgetful(|client, texts| {
        client.answers_join(3, 0);
        for (seq, text) in [(1, &texts[0]), (2, &texts[2]), (3, &texts[2])] {
            client.entry(seq, text);
        }
    });
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("program/altered", 1);
    run.is("program/out_of_sequence", 0);
    run.is("lost", 1);
}

#[test]
fn gap_and_a_position_that_the_client_did_not_have_are_found() {
    let run = run_against_forgetful(|client, texts| {
        client.answers_join(3, 1);
        client.tells(&json!({"type": "gap", "room": "load0", "from": 2, "to": 2}));
        client.entry(3, &texts[2]);
    });
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("program/not_recovered", 1);
    run.is("program/gaps", 1);
    run.is("program/out_of_sequence", 0);
    run.is("lost", 2);
}

#[test]
fn page_with_a_hole_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let mut speaker = Stub::accept_program(&listener);
        speaker.answers_join(0, 0);
        let texts: Vec<Value> = (1..=3).map(|seq| speaker.takes_message(seq)).collect();
        let mut client = Stub::accept_program(&listener);
        client.answers_join(3, 3);
        let page = |client: &mut Stub, numbers: &[usize]| {
            let request = client.request("history");
            assert_eq!(request["limit"], 3);
            let entries: Vec<Value> = numbers
                .iter()
                .map(|seq| json!({"type": "message", "seq": seq, "text": texts[seq - 1]}))
                .collect();
            client.tells(&json!({
                "type": "history", "re": request["id"], "entries": entries, "more": false
            }));
        };
        page(&mut speaker, &[1, 2, 3]);
        page(&mut client, &[1, 3]);
        // The next requests, which are not answered.
        for mut stub in [speaker, client] {
            while matches!(stub.message(), Ok(Some(_))) {}
        }
    });
    let url = format!("ws://{address}/ws?nick={{nick}}");
    let history = [
        "history",
        "--connections",
        "1",
        "--fill",
        "3",
        "--page",
        "3",
    ];
    let run = run(&[
        &history[..],
        &["--size", "1", "--warmup", "0", "--duration", "500ms"],
        &["--url", &url],
    ]
    .concat());
    server.join().expect("the server has seen what it expects");
    assert_eq!(run.status.code(), Some(1), "{}", run.json);
    run.is("program/wrong_pages", 1);
    run.is("history/pages", 2);
}
