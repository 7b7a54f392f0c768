//! Starts the server as a process and speaks to it as a client. Every wait is bounded and fails with
//! the bytes received so far. Knows no rule of the chat.

use super::framing::{self, ServerFrame};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use socket2::{Domain, Socket, Type};
use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for an event that should follow at once. Long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The variable that says where a server keeps its history.
pub(crate) const STORE: &str = "PARLOR_STORE";

pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

#[expect(clippy::disallowed_methods, reason = "tests wait for real processes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until a condition holds; panics with `what` if it does not in [`PATIENCE`].
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !holds() {
        assert!(now() < deadline, "not in {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The binary, not started. Its history is in memory, and nothing else in the environment names a
/// setting or a directory.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PARLOR_") {
            command.env_remove(name);
        }
    }
    for name in ["STATE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_STATE_HOME"] {
        command.env_remove(name);
    }
    // A file of the machine, or of the user who runs the tests, is not theirs.
    command.env("PARLOR_CONFIG", "none");
    command.env(STORE, "memory");
    command
}

/// A server that the command starts keeps its history in memory, if nothing is said about the store:
/// tests must not write into the home directory of the user who runs them.
pub(crate) fn in_memory(command: &mut Command) -> &mut Command {
    let is_silent = command.get_envs().all(|(name, _)| name != STORE);
    if is_silent {
        command.env(STORE, "memory");
    }
    command
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// The addresses that it printed at its start.
    pub(crate) addresses: Vec<String>,
    output: Receiver<String>,
    errors: Receiver<String>,
}

impl Server {
    /// Starts on a port the kernel picks.
    pub(crate) fn start(options: &[&str]) -> Self {
        let options = [&["--listen", "127.0.0.1:0"], options].concat();
        Self::spawn(command().args(options), 1)
    }

    /// Starts a prepared command that will listen on `listeners` addresses.
    pub(crate) fn spawn(command: &mut Command, listeners: usize) -> Self {
        let mut child = start(command);
        let errors = lines(child.stderr.take().expect("a pipe"));
        Self::listening(child, errors, listeners)
    }

    /// The same, with the reading end of its standard error closed.
    pub(crate) fn spawn_unread(command: &mut Command, listeners: usize) -> Self {
        let mut child = start(command);
        drop(child.stderr.take());
        let (_, nothing) = mpsc::channel();
        Self::listening(child, nothing, listeners)
    }

    fn listening(mut child: Child, errors: Receiver<String>, listeners: usize) -> Self {
        let output = lines(child.stdout.take().expect("a pipe"));
        let mut addresses = Vec::new();
        for _ in 0..listeners {
            match output.recv_timeout(PATIENCE) {
                Ok(line) => addresses.push(
                    line.strip_prefix("parlor is listening on ")
                        .expect("an address")
                        .to_owned(),
                ),
                Err(_) => panic!(
                    "the server does not listen: {:?}",
                    errors.try_iter().collect::<Vec<_>>()
                ),
            }
        }
        Self {
            child,
            addresses,
            output,
            errors,
        }
    }

    /// The next line on standard output.
    pub(crate) fn output_line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("a line")
    }

    /// Where it said at its start that it keeps its history.
    pub(crate) fn keeps_history_in(&self) -> String {
        let line = self.output_line();
        let place = line.strip_prefix("parlor keeps its history in ");
        place.expect("the place of the history").to_owned()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.addresses[0]
            .trim_start_matches("http://")
            .trim_end_matches('/');
        address.parse().expect("an address with a port")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The number by which the system knows one of its threads.
    pub(crate) fn thread(&self, name: &str) -> u32 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("Linux");
        let of_name = |id: &u32| {
            let comm = format!("/proc/{}/task/{id}/comm", self.pid());
            std::fs::read_to_string(comm).is_ok_and(|text| text.trim_end() == name)
        };
        threads
            .filter_map(|thread| thread.ok()?.file_name().to_str()?.parse().ok())
            .find(of_name)
            .expect("it has such a thread")
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// A member of the lobby that has read its welcome.
    pub(crate) fn join(&self, nick: &str) -> Client {
        self.join_room("lobby", nick)
    }

    /// Ann and Bob, two members of the lobby that have read all lines so far.
    pub(crate) fn ann_and_bob(&self) -> (Client, Client) {
        let mut ann = self.join("ann");
        let bob = self.join("bob");
        ann.hears("* bob joined");
        (ann, bob)
    }

    pub(crate) fn join_room(&self, room: &str, nick: &str) -> Client {
        welcomed(self.connect(), room, nick)
    }

    /// A member of the lobby with a small TCP receive window that does not grow.
    pub(crate) fn join_with_small_window(&self, nick: &str) -> Client {
        self.join_room_with_small_window("lobby", nick)
    }

    pub(crate) fn join_room_with_small_window(&self, room: &str, nick: &str) -> Client {
        let client = Client::connect_with_small_window(self.address());
        welcomed(client, room, nick)
    }

    /// A client that was upgraded and has read nothing but the response.
    pub(crate) fn upgrade(&self, path: &str) -> Client {
        self.connect().upgraded(path)
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// One of the counters that SIGUSR1 writes.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.signal("USR1");
        loop {
            let line = self.error_line();
            if let Some(counters) = line.strip_prefix("parlor: connections=") {
                let counters = format!("connections={counters}");
                let value = counters.split(' ').find_map(|pair| {
                    pair.strip_prefix(name)
                        .and_then(|rest| rest.strip_prefix('='))
                });
                return value.expect("a counter").parse().expect("a number");
            }
        }
    }

    /// Waits until the server has no connection, and no entry in any table.
    pub(crate) fn is_empty(&self) {
        eventually("the server is empty", || {
            ["connections", "members", "rooms", "deadlines", "addresses"]
                .iter()
                .all(|name| self.counter(name) == 0)
        });
    }

    /// The next line on standard error.
    pub(crate) fn error_line(&self) -> String {
        self.errors
            .recv_timeout(PATIENCE)
            .expect("a line on standard error")
    }

    /// The next line on standard error of a server that has ended.
    pub(crate) fn try_error_line(&self) -> Option<String> {
        self.errors.recv_timeout(PATIENCE).ok()
    }

    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server exits", || {
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status.expect("it exited")
    }

    /// Waits for the end of a server whose store may keep it for a while, and returns what it still
    /// wrote to standard error.
    pub(crate) fn ends_late(&mut self) -> (ExitStatus, String) {
        let mut errors = String::new();
        let deadline = now() + 6 * PATIENCE;
        loop {
            match self.errors.recv_timeout(PATIENCE) {
                Ok(line) => errors += &(line + "\n"),
                Err(RecvTimeoutError::Disconnected) => return (self.exit_status(), errors),
                Err(RecvTimeoutError::Timeout) => assert!(now() < deadline, "{errors}"),
            }
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("Linux");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("a size");
        let kib = line.split_whitespace().nth(1).expect("a number");
        kib.parse::<u64>().expect("a number") * 1024
    }

    /// Lets the running server open at most `count` descriptors above those it has open.
    pub(crate) fn leave_descriptors(&self, count: usize) {
        let pid = Pid::from_child(&self.child);
        let count = Some((self.open_descriptors() + count) as u64);
        let limit = Rlimit {
            current: count,
            maximum: count,
        };
        prlimit(Some(pid), Resource::Nofile, limit).expect("a limit may be lowered");
    }

    pub(crate) fn open_descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("Linux")
            .count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The test may have ended the process already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for line in self.errors.try_iter() {
            assert!(
                !line.contains("panicked") || thread::panicking(),
                "the server: {line}"
            );
        }
    }
}

/// Sends a signal, named as for kill(1), to a process that this one started.
pub(crate) fn signal(process: &Child, name: &str) {
    let signal = match name {
        "CONT" => Signal::CONT,
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "KILL" => Signal::KILL,
        "STOP" => Signal::STOP,
        "TERM" => Signal::TERM,
        "USR2" => Signal::USR2,
        "USR1" => Signal::USR1,
        other => panic!("no test sends SIG{other}"),
    };
    kill_process(Pid::from_child(process), signal).expect("it has not been waited for");
}

fn start(command: &mut Command) -> Child {
    in_memory(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn welcomed(client: Client, room: &str, nick: &str) -> Client {
    let mut client = client.upgraded(&format!("/ws/{room}?nick={nick}"));
    let welcome = client.line();
    assert!(
        welcome.starts_with(&format!("* welcome to {room}, {nick}. ")),
        "{welcome}"
    );
    client
}

/// The lines of a pipe, read by a thread so that each wait for one can be bounded.
pub(crate) fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs a process to its end, at most twelve times [`PATIENCE`]: its status, output and errors.
pub(crate) fn finish(command: &mut Command) -> (ExitStatus, String, String) {
    let mut child = in_memory(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let output = lines(child.stdout.take().expect("a pipe"));
    let errors = lines(child.stderr.take().expect("a pipe"));
    let deadline = now() + 12 * PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        if now() > deadline {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(10));
    };
    let all = |lines: Receiver<String>| {
        let mut text = String::new();
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => text += &(line + "\n"),
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return text,
            }
        }
    };
    (status, all(output), all(errors))
}

/// A request for an upgrade.
pub(crate) fn upgrade_request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: parlor.example\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// A frame of a client, with any first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    framing::encode(first, [0x12, 0x34, 0x56, 0x78], payload)
}

/// A frame of the server, or the end of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code and reason.
    Close(Option<u16>, String),
    /// The connection is over.
    End,
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One connection that can keep the protocol and break it.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("it can be connected to")
    }

    /// `None`: nothing listens there.
    pub(crate) fn try_connect(address: SocketAddr) -> Option<Self> {
        TcpStream::connect(address).ok().map(Self::new)
    }

    /// A receive buffer whose size is set before connecting does not grow.
    fn connect_with_small_window(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)
            .expect("there is a socket");
        socket.set_recv_buffer_size(2048).expect("a socket option");
        socket
            .connect(&address.into())
            .expect("it can be connected to");
        Self::new(socket.into())
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket option");
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) fn upgraded(mut self, path: &str) -> Self {
        self.send(upgrade_request(path).as_bytes());
        assert_eq!(self.response().status, 101);
        self
    }

    /// Reads the response to a request for an upgrade. False: the connection ended before that.
    pub(crate) fn is_upgraded(&mut self) -> bool {
        let Some(response) = self.try_response() else {
            return false;
        };
        assert_eq!(response.status, 101, "{}", response.head);
        true
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it can be written to");
    }

    /// Sends bytes to a server that may have closed the connection already.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends bytes in the background: the server may not read them.
    pub(crate) fn floods(&self, bytes: Vec<u8>) {
        let mut stream = self.stream.try_clone().expect("a descriptor is free");
        thread::spawn(move || {
            // Fails once the server has closed the connection.
            let _ = stream.write_all(&bytes);
        });
    }

    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send(&frame(first, payload));
    }

    pub(crate) fn says(&mut self, words: &str) {
        self.send_frame(0x81, words.as_bytes());
    }

    pub(crate) fn shut(&self) {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("it is connected");
    }

    /// Reads more; false at the end. A reset counts as an end.
    fn read_more(&mut self, deadline: Instant) -> bool {
        let left = deadline
            .saturating_duration_since(now())
            .max(Duration::from_millis(1));
        self.stream
            .set_read_timeout(Some(left))
            .expect("a socket option");
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if is_timeout(&error) => panic!(
                "nothing followed in time after {:?}",
                String::from_utf8_lossy(&self.received)
            ),
            Err(_) => false,
        }
    }

    /// One HTTP response; `None`: the connection ended before its head was complete.
    pub(crate) fn try_response(&mut self) -> Option<Response> {
        let deadline = now() + PATIENCE;
        while !self.received.windows(4).any(|end| end == b"\r\n\r\n") {
            if !self.read_more(deadline) {
                return None;
            }
        }
        Some(self.response())
    }

    /// One HTTP response.
    pub(crate) fn response(&mut self) -> Response {
        self.response_with_body(true)
    }

    /// One HTTP response to HEAD, which has no body whatever its length says.
    pub(crate) fn response_to_head(&mut self) -> Response {
        self.response_with_body(false)
    }

    fn response_with_body(&mut self, has_body: bool) -> Response {
        let deadline = now() + PATIENCE;
        let head_len = loop {
            if let Some(at) = self.received.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.read_more(deadline),
                "the connection ended in the head: {:?}",
                self.text_so_far()
            );
        };
        let head: Vec<u8> = self.received.drain(..head_len).collect();
        let head = String::from_utf8(head).expect("a head is text");
        let status = head
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .expect("a status");
        let mut response = Response {
            status,
            head,
            body: String::new(),
        };
        let length = response
            .field("Content-Length")
            .map_or(0, |len| len.parse().expect("a length"));
        if has_body && status != 304 {
            while self.received.len() < length {
                assert!(self.read_more(deadline), "the connection ended in the body");
            }
            let body: Vec<u8> = self.received.drain(..length).collect();
            // The body of an image is no text, and only its length counts.
            response.body = String::from_utf8_lossy(&body).into_owned();
        }
        response
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let deadline = now() + PATIENCE;
        while self.received.len() < count {
            assert!(
                self.read_more(deadline),
                "the connection ended: {:?}",
                self.received
            );
        }
        self.received.drain(..count).collect()
    }

    fn text_so_far(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// The server ends the connection and sends nothing before that.
    pub(crate) fn ends(&mut self) {
        let deadline = now() + PATIENCE;
        while self.read_more(deadline) {}
        assert_eq!(self.text_so_far(), "", "more came after the end");
    }

    /// The next frame, or the end.
    pub(crate) fn frame(&mut self) -> Frame {
        self.frame_by(now() + PATIENCE)
    }

    pub(crate) fn frame_by(&mut self, deadline: Instant) -> Frame {
        let frame = self.frame_or_cut_by(deadline);
        assert!(
            frame != Frame::End || self.received.is_empty(),
            "the connection ended in a frame: {:?}",
            self.received
        );
        frame
    }

    /// The same of a server that may be killed in the middle of a frame, which is then no frame.
    pub(crate) fn frame_or_cut_by(&mut self, deadline: Instant) -> Frame {
        loop {
            if let Some((frame, len)) = parse(&self.received) {
                self.received.drain(..len);
                return frame;
            }
            if !self.read_more(deadline) {
                return Frame::End;
            }
        }
    }

    /// The next line, past pings.
    pub(crate) fn line(&mut self) -> String {
        loop {
            match self.frame() {
                Frame::Text(line) => return line,
                Frame::Ping(_) | Frame::Pong(_) => {}
                other => panic!("not a line but {other:?}"),
            }
        }
    }

    pub(crate) fn hears(&mut self, expected: &str) {
        assert_eq!(self.line(), expected);
    }

    /// Reads and discards lines until this one comes.
    pub(crate) fn hears_at_last(&mut self, expected: &str) {
        while self.line() != expected {}
    }

    /// Nothing has been sent to this client: the pong to a ping comes first.
    pub(crate) fn hears_nothing(&mut self) {
        self.send_frame(0x89, b"nothing?");
        assert_eq!(self.frame(), Frame::Pong(b"nothing?".to_vec()));
    }

    /// The server closes with this code; the close is answered, and the connection ends. Returns
    /// the reason.
    pub(crate) fn is_closed_with(&mut self, expected: u16) -> String {
        loop {
            match self.frame() {
                Frame::Close(code, reason) => {
                    assert_eq!(code, Some(expected), "{reason}");
                    self.try_send(&frame(0x88, &expected.to_be_bytes()));
                    assert_eq!(self.frame(), Frame::End);
                    return reason;
                }
                Frame::Text(_) | Frame::Ping(_) | Frame::Pong(_) => {}
                Frame::End => panic!("the connection ended without a close frame"),
            }
        }
    }

    /// Leaves with a closing handshake.
    pub(crate) fn leaves(mut self) {
        self.send_frame(0x88, &1000_u16.to_be_bytes());
        while self.frame() != Frame::End {}
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The first frame, if it is whole, and its length.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (frame, len) = framing::parse(bytes)?;
    let frame = match frame {
        ServerFrame::Text(text) => Frame::Text(text.to_owned()),
        ServerFrame::Ping(payload) => Frame::Ping(payload.to_vec()),
        ServerFrame::Pong(payload) => Frame::Pong(payload.to_vec()),
        ServerFrame::Close(code, reason) => Frame::Close(code, reason.to_owned()),
        ServerFrame::Binary(_) => panic!("the chat sends no binary frames"),
    };
    Some((frame, len))
}

/// Asserts that a text contains a part; prints the text if not.
#[track_caller]
pub(crate) fn contains(text: impl AsRef<str> + Debug, part: &str) {
    assert!(text.as_ref().contains(part), "{part:?} is not in {text:?}");
}
