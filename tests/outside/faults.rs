//! Faults of the operating system: system calls that fail, peers that are stopped, killed or cut
//! off, and a server that is stopped itself. A fault may end the connection it concerns; every
//! other connection goes on, and nothing remains of the fault.
//!
//! strace injects the failing system calls into the running server.

use super::clients::{folder, installed};
use super::heartbeat::line;
use super::support::{
    Client, Frame, PATIENCE, Server, command, contains, eventually, finish, frame, lines, now,
    signal, upgrade_request,
};
use socket2::SockRef;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// A strace process that makes system calls of a server fail until it is dropped.
pub(crate) struct Fault {
    strace: Child,
    calls: Receiver<String>,
}

impl Fault {
    /// `rule` has the form of `strace -e inject`, such as `accept4:error=EMFILE:when=1`. A rule
    /// without an end may let one more call fail when strace detaches in the middle of it.
    fn inject(server: &Server, rule: &str) -> Self {
        Self::attach(&["-f"], server.pid(), rule)
    }

    /// The same for the thread of the store alone: the others are not even slowed down.
    pub(crate) fn inject_into_store(server: &Server, rule: &str) -> Self {
        Self::attach(&[], server.thread("store"), rule)
    }

    /// The same for the thread of the loop alone.
    pub(crate) fn inject_into_loop(server: &Server, rule: &str) -> Self {
        Self::attach(&[], server.pid(), rule)
    }

    fn attach(options: &[&str], id: u32, rule: &str) -> Self {
        let (calls, _) = rule.split_once(':').expect("system calls and a fault");
        let mut strace = Command::new("strace")
            .args(options)
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={rule}")])
            .args(["-p", &id.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed");
        let calls = lines(strace.stderr.take().expect("a pipe"));
        let first = calls.recv_timeout(PATIENCE).expect("strace prints a line");
        contains(first, "attached");
        Self { strace, calls }
    }

    /// Waits until the fault was injected once.
    pub(crate) fn comes(&self) {
        let next = || {
            self.calls
                .recv_timeout(PATIENCE)
                .expect("the fault is injected")
        };
        while !is_injected(&next()) {}
    }

    /// Ends the fault and returns how often it was injected.
    pub(crate) fn ends(mut self) -> usize {
        self.detach();
        self.calls.iter().filter(|call| is_injected(call)).count()
    }

    fn detach(&mut self) {
        signal(&self.strace, "INT");
        // strace detaches from the server before it exits.
        let _ = self.strace.wait();
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if matches!(self.strace.try_wait(), Ok(None)) {
            self.detach();
        }
    }
}

fn is_injected(call: &str) -> bool {
    call.contains("(INJECTED)") || call.contains("(DELAYED)")
}

/// Both members still receive each other's messages, and nothing else in between.
fn talk(one: (&str, &mut Client), other: (&str, &mut Client)) {
    let ((one_nick, one), (other_nick, other)) = (one, other);
    one.says("still here?");
    other.says("yes");
    let lines = [
        format!("{one_nick}: still here?"),
        format!("{other_nick}: yes"),
    ];
    for client in [one, other] {
        let mut heard = [client.line(), client.line()];
        heard.sort_by_key(|line| line != &lines[0]);
        assert_eq!(heard, lines);
    }
}

fn all_leave(server: &Server, clients: impl IntoIterator<Item = Client>) {
    for client in clients {
        drop(client);
    }
    server.is_empty();
}

// Accepting

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn newcomer_gets_503_when_accept_is_out_of_resources() {
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        let server = Server::start(&[]);
        let (mut ann, mut bob) = server.ann_and_bob();
        let fault = Fault::inject(&server, &format!("accept4:error={error}:when=1"));
        let mut cat = server.connect();
        cat.send(upgrade_request("/ws?nick=cat").as_bytes());
        assert_eq!(cat.response().status, 503, "{error}");
        cat.ends();
        assert_eq!(fault.ends(), 1);
        talk(("ann", &mut ann), ("bob", &mut bob));
        assert_eq!(server.counter("exhausted"), 1);
        assert_eq!(server.counter("turned_away"), 1);
        all_leave(&server, [ann, bob]);
    }
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn repeated_accept_failures_log_one_line() {
    let server = Server::start(&[]);
    // Every other call fails: the one that accepts a connection, not the one that refuses it.
    let fault = Fault::inject(&server, "accept4:error=EMFILE:when=1..19+2");
    let mut turned_away = 0;
    while turned_away < 5 {
        let mut newcomer = server.connect();
        newcomer.try_send(upgrade_request("/ws").as_bytes());
        turned_away += usize::from(newcomer.response().status == 503);
    }
    drop(fault);
    contains(server.error_line(), "out of descriptors");
    server.signal("USR1");
    contains(server.error_line(), "parlor: connections=");
}

/// Edge-triggered epoll reports no waiting connection again when descriptors are free again.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn waiting_connection_is_accepted_once_accept_works_again() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = server.ann_and_bob();
    let fault = Fault::inject(&server, "accept4:error=EMFILE");
    let cat = server.connect();
    talk(("ann", &mut ann), ("bob", &mut bob));
    eventually("accepting has failed", || server.counter("exhausted") == 1);
    assert!(fault.ends() >= 2, "each try is two calls");
    let mut cat = cat.upgraded("/ws?nick=cat");
    cat.hears("* welcome to lobby, cat. Here: ann, bob");
    all_leave(&server, [ann, bob, cat]);
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn aborted_connection_does_not_stop_accepting() {
    for error in ["ECONNABORTED", "EINTR", "EPROTO", "EPERM"] {
        let server = Server::start(&[]);
        let fault = Fault::inject(&server, &format!("accept4:error={error}:when=1..3"));
        let cat = server.join("cat");
        assert_eq!(fault.ends(), 3, "{error}");
        assert_eq!(server.counter("exhausted"), 0);
        all_leave(&server, [cat]);
    }
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn connection_that_epoll_refuses_is_closed_and_forgotten() {
    for error in ["ENOSPC", "ENOMEM"] {
        let server = Server::start(&[]);
        let (mut ann, mut bob) = server.ann_and_bob();
        let fault = Fault::inject(&server, &format!("epoll_ctl:error={error}:when=1"));
        let mut cat = server.connect();
        cat.ends();
        assert_eq!(fault.ends(), 1);
        assert_eq!(server.counter("connections"), 2);
        talk(("ann", &mut ann), ("bob", &mut bob));
        let cat = server.join("cat");
        all_leave(&server, [ann, bob, cat]);
    }
}

// Reading

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn interrupted_read_is_retried() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = server.ann_and_bob();
    let fault = Fault::inject(&server, "recvfrom:error=EINTR:when=1..3+2");
    talk(("ann", &mut ann), ("bob", &mut bob));
    assert_eq!(fault.ends(), 2);
    all_leave(&server, [ann, bob]);
}

/// No event follows: the socket is readable all the time, and epoll reports that once.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn read_that_fails_with_enomem_is_retried() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = server.ann_and_bob();
    let fault = Fault::inject(&server, "recvfrom:error=ENOMEM:when=1");
    bob.says("one");
    ann.hears("bob: one");
    assert_eq!(fault.ends(), 1);
    all_leave(&server, [ann, bob]);
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn reset_connection_leaves_with_one_notice() {
    for error in ["ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH"] {
        let server = Server::start(&[]);
        let (mut ann, mut bob) = server.ann_and_bob();
        let mut cat = server.join("cat");
        ann.hears("* cat joined");
        bob.hears("* cat joined");
        let fault = Fault::inject(&server, &format!("recvfrom:error={error}:when=1"));
        cat.says("never read");
        ann.hears("* cat left");
        bob.hears("* cat left");
        assert_eq!(cat.frame(), Frame::End);
        assert_eq!(fault.ends(), 1);
        talk(("ann", &mut ann), ("bob", &mut bob));
        all_leave(&server, [ann, bob]);
    }
}

// Writing

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn member_whose_write_fails_leaves_and_the_others_are_served() {
    for error in ["EPIPE", "ECONNRESET"] {
        let server = Server::start(&[]);
        let (ann, bob) = server.ann_and_bob();
        let mut clients = [("ann", ann), ("bob", bob)];
        let fault = Fault::inject(&server, &format!("sendto:error={error}:when=1"));
        clients[0].1.says("hello");
        // The order in which members are written to is not specified.
        let heard = clients.each_mut().map(|(_, client)| client.frame());
        assert_eq!(fault.ends(), 1);
        let gone = heard.iter().position(|frame| *frame == Frame::End);
        let gone = gone.expect("one of them is gone");
        let [(_, left), (_, stays)] = &mut clients;
        let (nick, client) = if gone == 0 {
            ("ann", stays)
        } else {
            ("bob", left)
        };
        assert_eq!(heard[1 - gone], Frame::Text(String::from("ann: hello")));
        client.hears(&format!("* {nick} left"));
        client.hears_nothing();
        assert_eq!(server.counter("connections"), 1);
        all_leave(&server, clients.map(|(_, client)| client));
    }
}

/// No event follows: the socket is writable all the time, and epoll reports that once.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn write_that_fails_with_enobufs_is_retried() {
    for error in ["ENOBUFS", "ENOMEM"] {
        let server = Server::start(&[]);
        let mut ann = server.join("ann");
        let fault = Fault::inject(&server, &format!("sendto:error={error}:when=1"));
        ann.says("one");
        ann.hears("ann: one");
        assert_eq!(fault.ends(), 1);
        all_leave(&server, [ann]);
    }
}

/// No edge follows an injected EAGAIN, since the socket never was full. Any other event of the
/// connection resumes the write.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn blocked_write_is_resumed_in_order_at_the_next_event() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let fault = Fault::inject(&server, "sendto:error=EAGAIN:when=1");
    ann.says("one");
    fault.comes();
    ann.says("two");
    ann.hears("ann: one");
    ann.hears("ann: two");
    ann.hears_nothing();
    assert_eq!(fault.ends(), 0, "the fault is injected once");
    all_leave(&server, [ann]);
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn connection_whose_writes_always_block_ends_at_the_stall_deadline() {
    let options = ["--stall-timeout", "300ms", "--close-timeout", "300ms"];
    let server = Server::start(&options);
    let (mut ann, mut bob) = server.ann_and_bob();
    let fault = Fault::inject(&server, "sendto,writev:error=EAGAIN");
    ann.says("hello");
    assert_eq!(ann.frame(), Frame::End);
    assert_eq!(bob.frame(), Frame::End);
    assert!(fault.ends() >= 2);
    server.is_empty();
    assert_eq!(server.counter("stalled"), 2);
    all_leave(&server, [server.join("cat")]);
}

/// strace cannot make a call write a part: it only makes it return a smaller number. The bytes that
/// were returned as written are lost; the next write must begin after them.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn short_write_is_continued_from_the_next_byte() {
    let whole = b"\x81\x0aann: hello";
    for written in 1..whole.len() {
        let server = Server::start(&[]);
        let mut ann = server.join("ann");
        let fault = Fault::inject(&server, &format!("sendto:retval={written}:when=1"));
        ann.says("hello");
        assert_eq!(ann.bytes(whole.len() - written), whole[written..]);
        assert_eq!(fault.ends(), 1);
        ann.hears_nothing();
        all_leave(&server, [ann]);
    }
    let (ends, second) = (b"ds", b"\x81\x0f* in lobby: ann");
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    // Two frames leave in one writev, which returns as if the last two bytes of the first frame
    // and the whole second frame were not written.
    let first = b"\x81\x0aann: words".len();
    let fault = Fault::inject(&server, &format!("writev:retval={}:when=1", first - 2));
    ann.send(&[frame(0x81, b"words"), frame(0x81, b"/who")].concat());
    assert_eq!(
        ann.bytes(ends.len() + second.len()),
        [&ends[..], second].concat()
    );
    assert_eq!(fault.ends(), 1);
    all_leave(&server, [ann]);
}

// Waiting, signals, a stopped server

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn interrupted_wait_is_retried() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = server.ann_and_bob();
    let fault = Fault::inject(&server, "epoll_wait,epoll_pwait:error=EINTR:when=1..5+2");
    for _ in 0..5 {
        talk(("ann", &mut ann), ("bob", &mut bob));
    }
    let cat = server.join("cat");
    ann.hears("* cat joined");
    assert_eq!(fault.ends(), 3);
    all_leave(&server, [ann, bob, cat]);
}

/// A server that was stopped (SIGSTOP) has read nothing for a while, which does not make its members
/// silent. CLOCK_MONOTONIC goes on meanwhile.
#[test]
fn stopped_server_pings_its_members_before_it_gives_them_up() {
    let server = Server::start(&["--ping-after", "300ms", "--silent-timeout", "900ms"]);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    assert_eq!(line(&mut ann), "* bob joined");
    server.signal("STOP");
    std::thread::sleep(Duration::from_millis(1500));
    server.signal("CONT");
    for client in [&mut ann, &mut bob] {
        let Frame::Ping(payload) = client.frame() else {
            panic!("no ping comes first")
        };
        client.send_frame(0x8A, &payload);
    }
    bob.says("good morning");
    assert_eq!(line(&mut ann), "bob: good morning");
    assert_eq!(server.counter("silent"), 0);
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn signal_survives_an_interrupted_read() {
    let mut server = Server::start(&[]);
    let fault = Fault::inject(&server, "recvfrom,read:error=EINTR:when=1");
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
    assert_eq!(fault.ends(), 1);
}

#[test]
fn closed_standard_error_does_not_stop_the_server() {
    let mut started = command();
    started.args(["--listen", "127.0.0.1:0", "--log", "debug"]);
    let mut server = Server::spawn_unread(&mut started, 1);
    let mut ann = server.join("ann");
    server.signal("USR1");
    ann.says("still here?");
    ann.hears("ann: still here?");
    server.signal("TERM");
    assert!(matches!(ann.frame(), Frame::Close(Some(1001), _)));
    drop(ann);
    assert_eq!(server.exit_status().code(), Some(0));
}

// Peers

/// A process that holds a connection, killed when dropped.
struct Peer(Child);

impl Peer {
    fn spawn(command: &mut Command) -> Self {
        let spawned = command.stdin(Stdio::null()).spawn();
        Self(spawned.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program())))
    }

    /// A member that answers pings for as long as the process runs. `before`: the command that
    /// starts it, if any.
    fn stays(before: &[&str], url: &str, nick: &str) -> Self {
        let python = installed("python/bin/python");
        let script = folder("tests/clients/stay.py");
        let words = before.iter().map(Into::into).chain([
            python.into_os_string(),
            script.into_os_string(),
            url.into(),
            nick.into(),
        ]);
        let words: Vec<std::ffi::OsString> = words.collect();
        Self::spawn(
            Command::new(&words[0])
                .args(&words[1..])
                .stderr(Stdio::null()),
        )
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Short deadlines that still let a busy machine answer a ping in time.
const SOON_SILENT: [&str; 4] = ["--ping-after", "500ms", "--silent-timeout", "2500ms"];

#[test]
#[ignore = "needs Python; tests/run runs it"]
fn stopped_client_is_removed_at_the_silence_deadline_with_one_notice() {
    let server = Server::start(&SOON_SILENT);
    let mut ann = server.join("ann");
    let bob = Peer::stays(&[], &server.addresses[0], "bob");
    assert_eq!(line(&mut ann), "* bob joined");
    // Longer than the silence timeout: Bob answers pings.
    let until = now() + Duration::from_millis(3000);
    while now() < until {
        match ann.frame() {
            Frame::Ping(payload) => ann.send_frame(0x8A, &payload),
            other => panic!("{other:?}"),
        }
    }
    signal(&bob.0, "STOP");
    assert_eq!(line(&mut ann), "* bob left");
    assert_eq!(server.counter("silent"), 1);
    assert_eq!(server.counter("connections"), 1);
    drop(bob);
    all_leave(&server, [ann]);
}

#[test]
#[ignore = "needs bash; tests/run runs it"]
fn client_killed_in_the_middle_of_a_frame_leaves_at_once() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let half = &frame(0x81, &[b'x'; 5000])[..2000];
    let bytes = [upgrade_request("/ws?nick=bob").as_bytes(), half].concat();
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("half a frame");
    std::fs::write(&file, bytes).expect("there is a folder for it");
    let address = server.address();
    let script = format!(
        "exec 3<>/dev/tcp/{}/{}; cat \"$0\" >&3; exec sleep 60",
        address.ip(),
        address.port()
    );
    let bob = Peer::spawn(Command::new("bash").args(["-c", &script]).arg(file));
    ann.hears("* bob joined");
    drop(bob);
    ann.hears("* bob left");
    ann.hears_nothing();
    all_leave(&server, [ann]);
}

/// Two network namespaces with a link between them, removed when dropped.
struct Cable {
    names: [String; 2],
}

impl Cable {
    const ENDS: [&str; 2] = ["10.213.7.1", "10.213.7.2"];

    fn lay() -> Self {
        let id = std::process::id();
        let cable = Self {
            names: [format!("parlor-server-{id}"), format!("parlor-client-{id}")],
        };
        let [server, client] = &cable.names;
        for name in &cable.names {
            ip(&format!("netns add {name}"));
        }
        ip(&format!(
            "-n {server} link add cable type veth peer name cable netns {client}"
        ));
        for (name, end) in cable.names.iter().zip(Self::ENDS) {
            ip(&format!("-n {name} address add {end}/24 dev cable"));
            ip(&format!("-n {name} link set cable up"));
        }
        cable
    }

    fn inside(&self, end: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[end]]
    }

    fn cut(&self) {
        ip(&format!("-n {} link set cable down", self.names[1]));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            // It may not exist, if the test failed before it was made.
            let _ = finish(Command::new("ip").args(["netns", "delete", name]));
        }
    }
}

fn ip(words: &str) {
    let (status, _, errors) = finish(Command::new("ip").args(words.split(' ')));
    assert!(status.success(), "ip {words}: {errors}");
}

#[test]
#[ignore = "needs root, ip and Python; tests/run runs it"]
fn client_behind_a_cut_link_is_removed_at_the_silence_deadline() {
    let cable = Cable::lay();
    let [program, words @ ..] = cable.inside(0);
    let mut inside = Command::new(program);
    inside.args(words).arg(command().get_program());
    inside.args(["--listen", &format!("{}:0", Cable::ENDS[0])]);
    let server = Server::spawn(inside.args(SOON_SILENT), 1);
    let _bob = Peer::stays(&cable.inside(1), &server.addresses[0], "bob");
    eventually("bob joined", || server.counter("members") == 1);
    std::thread::sleep(Duration::from_millis(3000));
    assert_eq!(server.counter("members"), 1, "Bob answers pings");
    cable.cut();
    server.is_empty();
    assert_eq!(server.counter("silent"), 1);
}

// Crowds

/// Connects, gets one of five ways into the protocol and ends without a close frame; every second
/// connection is reset.
fn comes_and_aborts(server: &Server, number: usize) {
    let mut client = server.connect();
    let upgrade = upgrade_request("/ws");
    match number % 5 {
        0 => {}
        1 => client.try_send(b"GET /ws HT"),
        2 => client.try_send(upgrade.as_bytes()),
        3 => client.try_send(&[upgrade.as_bytes(), b"\x81\xfe\x10"].concat()),
        _ => client.try_send(b"nonsense\r\n\r\n"),
    }
    if number.is_multiple_of(2) {
        let socket = SockRef::from(&client.stream);
        socket
            .set_linger(Some(Duration::ZERO))
            .expect("a socket option");
    }
}

#[test]
fn ten_thousand_aborted_connections_leave_nothing_behind() {
    const COUNT: usize = 10_000;
    /// Memory that the allocator may keep. Ten thousand connections that were not freed would take
    /// far more.
    const KEPT_BYTES_MAX: u64 = 512 << 10;
    // Every connection counts for its address.
    let counted = [
        "--trusted-proxy",
        "none",
        "--max-connections-per-address",
        "0",
    ];
    let server = Server::start(&[&counted[..], &["--handshake-timeout", "2s"]].concat());
    for number in 0..COUNT / 5 {
        comes_and_aborts(&server, number);
    }
    server.is_empty();
    let (descriptors, resident) = (server.open_descriptors(), server.resident_bytes());
    let accepted = server.counter("accepted");
    for number in 0..COUNT {
        comes_and_aborts(&server, number);
    }
    server.is_empty();
    assert_eq!(server.open_descriptors(), descriptors);
    let grown = server.resident_bytes().saturating_sub(resident);
    assert!(grown <= KEPT_BYTES_MAX, "{grown} bytes more");
    let served = server.counter("accepted") - accepted;
    assert!(served > COUNT as u64 / 2, "{served} were accepted");
    all_leave(&server, [server.join("ann")]);
}
