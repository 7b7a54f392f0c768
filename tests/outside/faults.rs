//! What the operating system does to a server: system calls that fail, peers that are stopped,
//! killed or cut off, its own standing still. Whoever a fault concerns may suffer from it; nobody
//! else does, and nothing is left of it.
//!
//! Faults of system calls come from strace, which is attached to the running server.

use super::clients::{folder, installed};
use super::heartbeat::line;
use super::support::{
    Client, Frame, PATIENCE, Server, command, contains, eventually, finish, frame, lines, now,
    upgrade_request,
};
use socket2::SockRef;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// A strace that makes system calls of a server fail, until it is dropped.
struct Fault {
    strace: Child,
    calls: Receiver<String>,
}

impl Fault {
    /// `rule`: in the words of strace, such as `accept4:error=EMFILE:when=1`. One without an end
    /// may leave a last call with an error of its own, as strace lets go in the middle of it.
    fn inject(server: &Server, rule: &str) -> Self {
        let (calls, _) = rule.split_once(':').expect("system calls and a fault");
        let mut strace = Command::new("strace")
            .args(["-f", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={rule}")])
            .args(["-p", &server.pid().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed");
        let calls = lines(strace.stderr.take().expect("a pipe"));
        let first = calls.recv_timeout(PATIENCE).expect("strace says something");
        contains(first, "attached");
        Self { strace, calls }
    }

    /// Waits until it comes.
    fn comes(&self) {
        let next = || self.calls.recv_timeout(PATIENCE).expect("the fault comes");
        while !is_injected(&next()) {}
    }

    /// Ends the fault and returns how often it came.
    fn ends(mut self) -> usize {
        self.detach();
        self.calls.iter().filter(|call| is_injected(call)).count()
    }

    fn detach(&mut self) {
        signal(&self.strace, "INT");
        // It lets go of the server first.
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
    call.contains("(INJECTED)")
}

fn signal(process: &Child, name: &str) {
    let id = process.id().to_string();
    let status = Command::new("kill")
        .args([&format!("-{name}"), &id])
        .status();
    assert!(status.expect("kill is there").success());
}

/// Ann and Bob, who have heard of each other.
fn ann_and_bob(server: &Server) -> (Client, Client) {
    let mut ann = server.join("ann");
    let bob = server.join("bob");
    ann.hears("* bob joined");
    (ann, bob)
}

/// They still hear each other, and nothing came in between.
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
fn without_a_descriptor_for_them_a_newcomer_is_told_so() {
    for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
        let server = Server::start(&[]);
        let (mut ann, mut bob) = ann_and_bob(&server);
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
fn newcomers_without_end_do_not_fill_the_log() {
    let server = Server::start(&[]);
    // Every other call fails: the one that would let somebody in, not the one that turns them away.
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

/// No event tells of those who wait once the descriptors are back.
#[test]
fn who_waits_while_nobody_can_be_accepted_is_let_in_later() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let fault = Fault::inject(&server, "accept4:error=EMFILE");
    let cat = server.connect();
    talk(("ann", &mut ann), ("bob", &mut bob));
    eventually("accepting was tried in vain", || {
        server.counter("exhausted") >= 2
    });
    assert!(fault.ends() >= 4, "each try is two calls");
    let mut cat = cat.upgraded("/ws?nick=cat");
    cat.hears("* welcome to lobby, cat. Here: ann, bob");
    all_leave(&server, [ann, bob, cat]);
}

#[test]
fn a_connection_that_was_aborted_before_it_was_accepted_delays_nobody() {
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
fn a_newcomer_who_cannot_be_watched_is_closed_and_forgotten() {
    for error in ["ENOSPC", "ENOMEM"] {
        let server = Server::start(&[]);
        let (mut ann, mut bob) = ann_and_bob(&server);
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
fn an_interrupted_read_is_tried_again() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let fault = Fault::inject(&server, "recvfrom:error=EINTR:when=1..3+2");
    talk(("ann", &mut ann), ("bob", &mut bob));
    assert_eq!(fault.ends(), 2);
    all_leave(&server, [ann, bob]);
}

#[test]
fn a_read_without_memory_for_it_is_tried_again_when_there_is_more() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let fault = Fault::inject(&server, "recvfrom:error=ENOMEM:when=1");
    bob.says("one");
    ann.hears_nothing();
    bob.says("two");
    ann.hears("bob: one");
    ann.hears("bob: two");
    assert_eq!(fault.ends(), 1);
    all_leave(&server, [ann, bob]);
}

#[test]
fn a_connection_that_is_reset_leaves_with_one_notice() {
    for error in ["ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH"] {
        let server = Server::start(&[]);
        let (mut ann, mut bob) = ann_and_bob(&server);
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
fn who_cannot_be_written_to_leaves_and_the_others_hear_all() {
    for error in ["EPIPE", "ECONNRESET"] {
        let server = Server::start(&[]);
        let (ann, bob) = ann_and_bob(&server);
        let mut clients = [("ann", ann), ("bob", bob)];
        let fault = Fault::inject(&server, &format!("sendto:error={error}:when=1"));
        clients[0].1.says("hello");
        // Which of them is written to first is not for a test to say.
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

/// The kernel tells of room when there is some; an injected fault has none to tell of, so here the
/// next event of any kind must do.
#[test]
fn what_found_no_room_is_sent_at_the_next_event_and_in_order() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let fault = Fault::inject(&server, "sendto:error=EAGAIN:when=1");
    ann.says("one");
    fault.comes();
    ann.says("two");
    ann.hears("ann: one");
    ann.hears("ann: two");
    ann.hears_nothing();
    assert_eq!(fault.ends(), 0, "it does not come again");
    all_leave(&server, [ann]);
}

#[test]
fn who_can_never_be_written_to_is_given_up_at_the_stall_deadline() {
    let options = ["--stall-timeout", "300ms", "--close-timeout", "300ms"];
    let server = Server::start(&options);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let fault = Fault::inject(&server, "sendto,writev:error=EAGAIN");
    ann.says("hello");
    assert_eq!(ann.frame(), Frame::End);
    assert_eq!(bob.frame(), Frame::End);
    assert!(fault.ends() >= 2);
    server.is_empty();
    assert_eq!(server.counter("stalled"), 2);
    all_leave(&server, [server.join("cat")]);
}

/// strace cannot write a part of something; it can only say so. What is sent after that is the
/// rest, from the very byte on.
#[test]
fn after_a_short_write_the_rest_follows_from_where_it_ended() {
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
    // Two messages of different kinds are written together: the first but for its end.
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

// Waiting, signals, standing still

#[test]
fn an_interrupted_wait_is_nothing() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let fault = Fault::inject(&server, "epoll_wait,epoll_pwait:error=EINTR:when=1..5+2");
    for _ in 0..5 {
        talk(("ann", &mut ann), ("bob", &mut bob));
    }
    let cat = server.join("cat");
    ann.hears("* cat joined");
    assert_eq!(fault.ends(), 3);
    all_leave(&server, [ann, bob, cat]);
}

/// A machine that was suspended has not heard anybody for a while, which is not their fault.
#[test]
fn after_the_server_itself_stood_still_nobody_is_taken_for_silent() {
    let server = Server::start(&["--ping-after", "300ms", "--silent-timeout", "900ms"]);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    assert_eq!(line(&mut ann), "* bob joined");
    server.signal("STOP");
    std::thread::sleep(Duration::from_millis(1500));
    server.signal("CONT");
    for client in [&mut ann, &mut bob] {
        let Frame::Ping(payload) = client.frame() else {
            panic!("not asked first")
        };
        client.send_frame(0x8A, &payload);
    }
    bob.says("good morning");
    assert_eq!(line(&mut ann), "bob: good morning");
    assert_eq!(server.counter("silent"), 0);
}

#[test]
fn a_signal_is_not_lost_when_reading_of_it_is_interrupted() {
    let mut server = Server::start(&[]);
    let fault = Fault::inject(&server, "recvfrom,read:error=EINTR:when=1");
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
    assert_eq!(fault.ends(), 1);
}

#[test]
fn a_standard_error_that_nobody_reads_any_more_ends_nothing() {
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

    /// Answers pings for as long as it runs.
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
        // It may be over already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Long enough for a busy machine to answer a ping in.
const SOON_SILENT: [&str; 4] = ["--ping-after", "500ms", "--silent-timeout", "2500ms"];

#[test]
fn a_client_that_is_stopped_is_gone_at_the_deadline_with_one_notice() {
    let server = Server::start(&SOON_SILENT);
    let mut ann = server.join("ann");
    let bob = Peer::stays(&[], &server.addresses[0], "bob");
    assert_eq!(line(&mut ann), "* bob joined");
    // Longer than silence is borne: Bob answers pings.
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
fn a_client_that_is_killed_in_the_middle_of_a_frame_leaves_at_once() {
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

/// Two network namespaces with a cable between them; removed when dropped.
struct Cable {
    names: [String; 2],
}

impl Cable {
    const ENDS: [&str; 2] = ["10.213.7.1", "10.213.7.2"];

    /// Or why there is none.
    fn lay() -> Result<Self, String> {
        let id = std::process::id();
        let cable = Self {
            names: [format!("parlor-server-{id}"), format!("parlor-client-{id}")],
        };
        let [server, client] = &cable.names;
        for name in &cable.names {
            ip(&format!("netns add {name}"))?;
        }
        ip(&format!(
            "-n {server} link add cable type veth peer name cable netns {client}"
        ))?;
        for (name, end) in cable.names.iter().zip(Self::ENDS) {
            ip(&format!("-n {name} address add {end}/24 dev cable"))?;
            ip(&format!("-n {name} link set cable up"))?;
        }
        Ok(cable)
    }

    fn inside(&self, end: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[end]]
    }

    fn cut(&self) {
        ip(&format!("-n {} link set cable down", self.names[1])).expect("it can be cut");
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            // Perhaps it could not even be made.
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(words: &str) -> Result<(), String> {
    let (status, _, errors) = finish(Command::new("ip").args(words.split(' ')));
    if status.success() {
        Ok(())
    } else {
        Err(format!("ip {words}: {errors}"))
    }
}

#[test]
fn a_client_whose_cable_is_cut_is_gone_at_the_deadline() {
    let cable = match Cable::lay() {
        Ok(cable) => cable,
        Err(why) => return println!("skipped, for there are no network namespaces here: {why}"),
    };
    let [program, words @ ..] = cable.inside(0);
    let mut inside = Command::new(program);
    inside.args(words).arg(command().get_program());
    inside.args(["--listen", &format!("{}:0", Cable::ENDS[0])]);
    let server = Server::spawn(inside.args(SOON_SILENT), 1);
    let _bob = Peer::stays(&cable.inside(1), &server.addresses[0], "bob");
    eventually("bob joined", || server.counter("members") == 1);
    std::thread::sleep(Duration::from_millis(3000));
    assert_eq!(server.counter("members"), 1, "he answers pings");
    cable.cut();
    server.is_empty();
    assert_eq!(server.counter("silent"), 1);
}

// Crowds

/// Comes in one of many ways and goes without a word, half of them by a reset.
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
fn after_ten_thousand_connects_and_aborts_all_is_as_it_was() {
    const COUNT: usize = 10_000;
    /// What an allocator may keep of a crowd: far less than one connection that was not freed
    /// would cost ten thousand times.
    const KEPT_BYTES_MAX: u64 = 512 << 10;
    let server = Server::start(&["--handshake-timeout", "2s"]);
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
