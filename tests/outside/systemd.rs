//! What systemd and the server say to each other: readiness, the watchdog, sockets that are passed,
//! and the unit files. No systemd runs here: the tests own the sockets that it would own.

use super::support::{Client, Server, command, contains, eventually, finish, lines};
use super::unix::Folder;
use socket2::{Domain, Protocol, Socket, Type};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// The service manager's socket.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        Self(UnixDatagram::bind(path).expect("a socket"))
    }

    /// The next datagram, if one comes in time.
    fn hears(&self, within: Duration) -> Option<String> {
        let mut bytes = [0; 4096];
        self.0.set_read_timeout(Some(within)).expect("a setting");
        match self.0.recv(&mut bytes) {
            Ok(count) => Some(String::from_utf8(bytes[..count].to_vec()).expect("text")),
            Err(error) => {
                let is_timeout = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                assert!(is_timeout.contains(&error.kind()), "{error}");
                None
            }
        }
    }

    /// Waits for a datagram with this line.
    fn awaits(&self, line: &str) -> String {
        loop {
            let heard = self.hears(PATIENCE);
            let heard = heard.unwrap_or_else(|| panic!("{line} did not come"));
            if heard.lines().any(|heard| heard == line) {
                return heard;
            }
        }
    }
}

fn parlor() -> Command {
    let mut command = command();
    command.args(["--listen", "127.0.0.1:0"]);
    command
}

/// The same under a manager whose watchdog waits for 200 ms.
fn watched(manager: &Path) -> Command {
    let mut command = parlor();
    command.env("NOTIFY_SOCKET", manager);
    command.env("WATCHDOG_USEC", "200000");
    command
}

#[test]
fn manager_is_informed_of_the_start_and_of_the_stop() {
    let folder = Folder::new("systemd-notify");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let mut server = Server::spawn(parlor().env("NOTIFY_SOCKET", &path), 1);
    let ready = manager.awaits("READY=1");
    let status = format!("STATUS=listening on http://{}/; ", server.address());
    contains(ready, &status);
    server.join("ann");
    server.signal("TERM");
    manager.awaits("STOPPING=1");
    assert!(server.exit_status().success());
    assert_eq!(manager.hears(Duration::from_millis(1)), None, "no watchdog");
}

#[test]
fn manager_may_listen_at_an_abstract_address() {
    let name = format!("parlor-test-{}", std::process::id());
    let address = net::SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = Manager(UnixDatagram::bind_addr(&address).expect("a socket"));
    let _server = Server::spawn(parlor().env("NOTIFY_SOCKET", format!("@{name}")), 1);
    manager.awaits("READY=1");
}

#[test]
fn server_without_its_manager_serves() {
    let folder = Folder::new("systemd-gone");
    let nothing = folder.path("nothing");
    let mut gone = Server::spawn(parlor().env("NOTIFY_SOCKET", nothing), 1);
    gone.join("ann");
    gone.signal("TERM");
    assert!(gone.exit_status().success());
    let wrong = Server::spawn(parlor().env("NOTIFY_SOCKET", "vsock:2:1"), 1);
    contains(wrong.error_line(), "NOTIFY_SOCKET");
    wrong.join("ann");
}

#[test]
fn watchdog_hears_of_an_idle_server_and_nothing_of_a_blocked_one() {
    let folder = Folder::new("systemd-watchdog");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let server = Server::spawn(&mut watched(&path), 1);
    for _ in 0..3 {
        manager.awaits("WATCHDOG=1");
    }
    server.signal("STOP");
    let stat = format!("/proc/{}/stat", server.pid());
    eventually("every thread is stopped", || {
        fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "))
    });
    while manager.hears(Duration::from_millis(1)).is_some() {}
    assert_eq!(manager.hears(Duration::from_secs(1)), None);
    server.signal("CONT");
    manager.awaits("WATCHDOG=1");
}

#[test]
fn manager_is_informed_of_a_reload() {
    let folder = Folder::new("systemd-reload");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let server = Server::spawn(parlor().env("NOTIFY_SOCKET", &path), 1);
    manager.awaits("READY=1");
    server.signal("HUP");
    let begins = manager.awaits("RELOADING=1");
    let moment = begins
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    let moment: u64 = moment.expect("a moment").parse().expect("a number");
    assert!(moment > 0);
    manager.awaits("READY=1");
    server.join("ann");
}

#[test]
fn manager_is_informed_of_an_upgrade_and_hears_the_watchdog_of_the_next_image() {
    let folder = Folder::new("systemd-upgrade");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let mut server = Server::spawn(&mut watched(&path), 1);
    manager.awaits("READY=1");
    let mut ann = server.join("ann");
    server.signal("USR2");
    contains(manager.awaits("RELOADING=1"), "MONOTONIC_USEC=");
    manager.awaits("READY=1");
    for _ in 0..3 {
        manager.awaits("WATCHDOG=1");
    }
    ann.says("still here");
    ann.hears("ann: still here");
    server.signal("TERM");
    manager.awaits("STOPPING=1");
    assert!(server.exit_status().success());
}

#[test]
fn watchdog_of_another_process_hears_nothing() {
    let folder = Folder::new("systemd-other");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let mut parlor = parlor();
    let parlor = parlor
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "20000")
        .env("WATCHDOG_PID", "1");
    let _server = Server::spawn(parlor, 1);
    manager.awaits("READY=1");
    assert_eq!(manager.hears(Duration::from_millis(300)), None);
}

// Sockets that are passed

/// The server with one descriptor that is passed to it, which comes as its standard input.
fn with_passed(descriptor: OwnedFd, variables: &str, options: &[&str]) -> Command {
    let parlor = command();
    let mut shell = Command::new("sh");
    let script = format!("exec 3<&0 </dev/null; export {variables}; exec \"$0\" \"$@\"");
    shell.arg("-c").arg(script).arg(parlor.get_program());
    // Not where it listens: what is passed replaces it.
    shell.args(["--listen", "192.0.2.1:1"]).args(options);
    for (name, value) in parlor.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(descriptor);
    shell
}

/// Variables for one descriptor.
const ONE_PASSED: &str = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=chat";

/// As [`Server::spawn`], which gives a process no input.
fn activated(listener: OwnedFd, options: &[&str]) -> (Activated, String) {
    starts(&mut with_passed(listener, ONE_PASSED, options))
}

fn starts(shell: &mut Command) -> (Activated, String) {
    let shell = shell.stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = shell.spawn().expect("it starts");
    let output = lines(child.stdout.take().expect("a pipe"));
    let line = output.recv_timeout(PATIENCE).expect("it listens");
    (Activated(child), line)
}

/// Killed when dropped.
struct Activated(std::process::Child);

impl Activated {
    fn stops(mut self) {
        super::support::signal(&self.0, "TERM");
        assert!(self.0.wait().expect("it is a child").success());
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn health(mut stream: impl Read + Write) -> String {
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("it is written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is read");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn connections_wait_in_a_passed_socket_while_the_server_restarts() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let (first, line) = activated(listener.try_clone().expect("a copy").into(), &[]);
    assert_eq!(line, format!("parlor is listening on http://{address}/"));
    Client::connect(address).upgraded("/ws");
    first.stops();
    let mut waiting = Client::connect(address);
    waiting.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let (_second, _) = activated(listener.into(), &[]);
    assert_eq!(waiting.response().status, 200);
}

#[test]
fn passed_socket_is_kept_by_an_upgrade() {
    let folder = Folder::new("systemd-passed-upgrade");
    let path = folder.path("notify");
    let manager = Manager::at(&path);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let copy = listener.try_clone().expect("a copy");
    let mut shell = with_passed(copy.into(), ONE_PASSED, &[]);
    let (server, _) = starts(shell.env("NOTIFY_SOCKET", &path));
    manager.awaits("READY=1");
    let mut ann = Client::connect(address).upgraded("/ws/lobby?nick=ann");
    super::support::signal(&server.0, "USR2");
    manager.awaits("RELOADING=1");
    manager.awaits("READY=1");
    Client::connect(address).upgraded("/ws/lobby?nick=bob");
    ann.hears_at_last("* bob joined");
    server.stops();
}

#[test]
fn passed_unix_socket_serves_and_keeps_its_file() {
    let folder = Folder::new("systemd-unix");
    let path = folder.path("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (server, line) = activated(listener.try_clone().expect("a copy").into(), &[]);
    assert_eq!(
        line,
        format!("parlor is listening on unix:{}", path.display())
    );
    let stream = UnixStream::connect(&path).expect("it listens");
    assert_eq!(health(stream), "HTTP/1.1 200 OK");
    server.stops();
    assert_eq!(folder.names(), ["socket"]);
}

/// systemd's ListenStream=8080 is one socket for IPv6 and IPv4.
#[test]
fn client_of_ipv4_at_a_passed_socket_of_ipv6_counts_by_its_address() {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.set_only_v6(false).expect("a setting");
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    socket.bind(&any.into()).expect("a port");
    socket.listen(10).expect("it listens");
    let port = socket.local_addr().expect("an address").as_socket();
    let port = port.expect("an address").port();
    let options = [
        "--trusted-proxy",
        "none",
        "--max-connections-per-address",
        "1",
    ];
    let (_server, _) = activated(socket.into(), &options);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let _first = Client::connect(address).upgraded("/ws");
    let mut second = Client::connect(address);
    second.send(super::support::upgrade_request("/ws").as_bytes());
    assert_eq!(second.response().status, 503);
}

#[test]
fn descriptor_that_is_no_listening_socket_is_refused_by_name() {
    let null = || OwnedFd::from(fs::File::open("/dev/null").expect("it is there"));
    let datagrams = OwnedFd::from(UnixDatagram::unbound().expect("a socket"));
    let stream = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    for descriptor in [null(), datagrams, stream.into()] {
        let variables = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=chat";
        let mut shell = with_passed(descriptor, variables, &[]);
        let output = shell.output().expect("it starts");
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&output.stderr);
        contains(
            &*errors,
            "the descriptor 3 (chat), which LISTEN_FDS passes, is not",
        );
    }
    let mut shell = with_passed(null(), "LISTEN_PID=$$ LISTEN_FDS=many", &[]);
    let output = shell.output().expect("it starts");
    contains(
        String::from_utf8_lossy(&output.stderr).into_owned(),
        "LISTEN_FDS \"many\" in the environment",
    );
}

#[test]
#[ignore = "needs systemd-socket-activate; tests/run runs it"]
fn server_listens_on_all_sockets_of_systemd_socket_activate() {
    let folder = Folder::new("systemd-activate");
    let paths = [folder.path("one"), folder.path("two")];
    let parlor = command();
    let mut activate = Command::new("systemd-socket-activate");
    for path in &paths {
        activate.arg("-l").arg(path);
    }
    activate.args([
        "--fdname=one:two",
        "-E",
        "PARLOR_STORE",
        "-E",
        "PARLOR_CONFIG",
    ]);
    for (name, value) in parlor.get_envs() {
        match value {
            Some(value) => activate.env(name, value),
            None => activate.env_remove(name),
        };
    }
    let activate = activate.arg(parlor.get_program()).stdin(Stdio::null());
    let server = activate.stdout(Stdio::null()).stderr(Stdio::null());
    let server = Activated(server.spawn().expect("it starts"));
    for path in &paths {
        let mut stream = None;
        eventually("it can be connected to", || {
            stream = UnixStream::connect(path).ok();
            stream.is_some()
        });
        assert_eq!(health(stream.expect("it listens")), "HTTP/1.1 200 OK");
    }
    server.stops();
}

// The unit files

/// Exposure of the unit as systemd-analyze of version 252 rates it, in tenths: 0 is none.
const EXPOSURE_MAX: u32 = 15;

/// The units as they are in docs, with the program that is there.
fn units(folder: &Folder) -> [String; 2] {
    ["parlor.service", "parlor.socket"].map(|name| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systemd");
        let text = fs::read_to_string(source.join(name)).expect("a unit");
        let program = env!("CARGO_BIN_EXE_parlor");
        let path = folder.path(name);
        let text = text.replace("ExecStart=/usr/bin/parlor", &format!("ExecStart={program}"));
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    })
}

#[test]
#[ignore = "needs systemd-analyze; tests/run runs it"]
fn units_are_what_systemd_understands() {
    let folder = Folder::new("systemd-verify");
    let mut verify = Command::new("systemd-analyze");
    let verify = verify.args(["verify", "--man=no"]).args(units(&folder));
    let (status, output, errors) = finish(verify);
    assert!(status.success(), "{output}{errors}");
    let ours: Vec<&str> = errors
        .lines()
        .filter(|line| line.contains("parlor"))
        .collect();
    assert_eq!(ours, [""; 0]);
}

#[test]
#[ignore = "needs systemd-analyze; tests/run runs it"]
fn unit_exposes_little() {
    let folder = Folder::new("systemd-security");
    let [service, _] = units(&folder);
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]);
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let (status, output, errors) = finish(security.arg(threshold).arg(service));
    let figure = output
        .lines()
        .find(|line| line.contains("Overall exposure"));
    eprintln!("{}", figure.unwrap_or(&errors));
    assert!(status.success(), "{output}{errors}");
}
