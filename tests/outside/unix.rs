//! Unix sockets: which file the server replaces, which it removes, and who may connect.

use super::support::{Server, command, contains, eventually, finish, in_memory, lines, now};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A folder of one test. Removed when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("parlor-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder is there");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a name")
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn server(path: &Path, options: &[&str]) -> Server {
    let listen = unix(path);
    let options = [&["--listen", &listen], options].concat();
    Server::spawn(command().args(options), 1)
}

/// Starts a server that must not start, and returns what it prints.
fn refused(path: &Path, options: &[&str]) -> String {
    let listen = unix(path);
    let options = [&["--listen", &listen], options].concat();
    let (status, output, errors) = finish(command().args(options));
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors
}

fn is_healthy(path: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(path) else {
        return false;
    };
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("it is written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is read");
    answer.starts_with("HTTP/1.1 200 ")
}

#[test]
fn socket_of_a_killed_server_is_replaced() {
    let folder = Folder::new("unix-killed");
    let path = folder.path("socket");
    for _ in 0..3 {
        // Dropping a server kills it, and its socket stays.
        let _server = server(&path, &[]);
        assert!(is_healthy(&path));
        assert_eq!(folder.names(), ["socket"]);
    }
    assert_eq!(folder.names(), ["socket"]);
}

#[test]
fn file_that_is_no_socket_is_kept_and_named() {
    let folder = Folder::new("unix-kept");
    let target = folder.path("target");
    fs::write(&target, "precious").expect("a file");
    let fifo = folder.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo is there").success());
    symlink(&target, folder.path("link")).expect("a link");
    symlink(folder.path("nothing"), folder.path("dangling")).expect("a link");
    fs::create_dir(folder.path("folder")).expect("a folder");
    // A link is not followed to a socket that no server listens on, either.
    drop(UnixListener::bind(folder.path("old")).expect("a socket"));
    symlink(folder.path("old"), folder.path("link-to-socket")).expect("a link");
    let before = folder.names();
    for (name, what) in [
        ("target", "a regular file"),
        ("fifo", "a FIFO"),
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("link-to-socket", "a symbolic link"),
        ("folder", "a directory"),
    ] {
        let path = folder.path(name);
        let listen = unix(&path);
        let errors = refused(&path, &[]);
        contains(
            &errors,
            &format!("cannot listen on {listen}: there is {what}"),
        );
        assert_eq!(folder.names(), before, "{name}");
    }
    assert_eq!(fs::read_to_string(&target).expect("a file"), "precious");
    let kind = fs::symlink_metadata(&fifo)
        .expect("it is there")
        .file_type();
    assert!(kind.is_fifo());
}

#[test]
fn socket_of_a_running_server_is_kept() {
    let folder = Folder::new("unix-running");
    let path = folder.path("socket");
    let _server = server(&path, &[]);
    contains(refused(&path, &[]), "it is in use");
    assert!(is_healthy(&path));
    assert_eq!(folder.names(), ["socket"]);
}

/// A server that accepts nothing while its backlog is full makes a blocking connect wait.
#[test]
fn socket_with_a_full_backlog_is_in_use_without_a_wait() {
    let folder = Folder::new("unix-full");
    let path = folder.path("socket");
    let address = SockAddr::unix(&path).expect("an address");
    let socket = || Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let frozen = socket();
    frozen.bind(&address).expect("the path is free");
    frozen.listen(0).expect("it listens");
    let mut waiting = Vec::new();
    loop {
        let client = socket();
        client.set_nonblocking(true).expect("a setting");
        if client.connect(&address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let start = now();
    contains(refused(&path, &[]), "it is in use");
    assert!(now() - start < Duration::from_secs(2));
    assert_eq!(folder.names(), ["socket"]);
}

#[test]
fn socket_of_another_kind_is_in_use() {
    let folder = Folder::new("unix-datagram");
    let path = folder.path("socket");
    let _other = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    contains(refused(&path, &[]), "cannot listen on unix:");
    assert_eq!(folder.names(), ["socket"]);
}

#[test]
fn one_of_several_starts_at_once_listens() {
    const STARTS: usize = 6;
    let folder = Folder::new("unix-at-once");
    let path = folder.path("socket");
    for _ in 0..8 {
        drop(UnixListener::bind(&path).expect("a socket that is left over"));
        let listen = unix(&path);
        let start = |_| {
            let mut command = command();
            let command = command.args(["--listen", &listen]);
            let piped = command.stdout(Stdio::piped()).stderr(Stdio::null());
            piped.spawn().expect("it starts")
        };
        let mut children: Vec<_> = (0..STARTS).map(start).collect();
        let mut winners = 0;
        for child in &mut children {
            let output = lines(child.stdout.take().expect("a pipe"));
            winners += usize::from(output.recv_timeout(Duration::from_secs(10)).is_ok());
        }
        let is_served = is_healthy(&path);
        for child in &mut children {
            child.kill().expect("it is a child");
            child.wait().expect("it is a child");
        }
        assert_eq!((winners, is_served), (1, true));
        assert_eq!(folder.names(), ["socket"], "no lock is left");
        fs::remove_file(&path).expect("the socket of the killed server");
    }
}

/// Both servers find a socket that is left over, and each waits before it removes what it found.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn start_does_not_remove_the_socket_of_another_that_was_faster() {
    let folder = Folder::new("unix-race");
    let path = folder.path("socket");
    drop(UnixListener::bind(&path).expect("a socket that is left over"));
    let start = |delay| {
        let parlor = command();
        let mut strace = Command::new("strace");
        // The process that is started becomes the server, and strace its child.
        strace.args([
            "-D",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=unlink,unlinkat",
        ]);
        strace.arg("-e");
        strace.arg(format!("inject=unlink,unlinkat:delay_enter={delay}ms"));
        strace
            .arg(parlor.get_program())
            .args(["--listen", &unix(&path)]);
        let piped = in_memory(&mut strace).stdout(Stdio::piped());
        let piped = piped.stderr(Stdio::null());
        piped.spawn().expect("strace is installed")
    };
    let mut children = [start(500), start(1000)];
    let outputs = children
        .each_mut()
        .map(|child| lines(child.stdout.take().expect("a pipe")));
    let listens = outputs.map(|output| output.recv_timeout(Duration::from_secs(10)).is_ok());
    for child in &mut children {
        child.kill().expect("it is a child");
        child.wait().expect("it is a child");
    }
    assert_eq!(listens.into_iter().filter(|listens| *listens).count(), 1);
}

#[test]
fn socket_is_removed_at_the_end() {
    let folder = Folder::new("unix-end");
    let path = folder.path("socket");
    let mut server = server(&path, &[]);
    server.signal("TERM");
    assert!(server.exit_status().success());
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn socket_of_a_successor_is_kept_at_the_end() {
    let folder = Folder::new("unix-successor");
    let path = folder.path("socket");
    let mut first = server(&path, &[]);
    fs::remove_file(&path).expect("the socket");
    let _second = server(&path, &[]);
    first.signal("TERM");
    assert!(first.exit_status().success());
    assert!(is_healthy(&path), "the successor can be reached");
    assert_eq!(folder.names(), ["socket"]);
}

#[test]
fn file_in_place_of_the_socket_is_kept_at_the_end() {
    let folder = Folder::new("unix-replaced");
    let path = folder.path("socket");
    let mut server = server(&path, &[]);
    fs::remove_file(&path).expect("the socket");
    fs::write(&path, "precious").expect("a file");
    server.signal("TERM");
    assert!(server.exit_status().success());
    assert_eq!(fs::read_to_string(&path).expect("a file"), "precious");
}

/// Under whatever umask.
#[test]
fn mode_of_a_socket_is_what_the_option_says() {
    let folder = Folder::new("unix-mode");
    for umask in ["000", "022", "077", "777"] {
        for (options, mode) in [
            ("", 0o660),
            ("--unix-mode 0666", 0o666),
            ("--unix-mode 600", 0o600),
        ] {
            let path = folder.path("socket");
            let script = format!("umask {umask}; exec \"$0\" --listen \"$1\" {options}");
            let parlor = command();
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(script).arg(parlor.get_program());
            let _server = Server::spawn(shell.arg(unix(&path)), 1);
            let metadata = fs::symlink_metadata(&path).expect("a socket");
            assert_eq!(metadata.mode() & 0o7777, mode, "umask {umask} {options}");
        }
    }
}

#[test]
fn group_of_a_socket_is_what_the_option_says() {
    let folder = Folder::new("unix-group");
    let own = fs::metadata(&folder.0).expect("a folder").gid();
    let names = Command::new("id").arg("-gn").output().expect("id is there");
    let name = String::from_utf8(names.stdout).expect("a name");
    let path = folder.path("socket");
    for group in [own.to_string().as_str(), name.trim()] {
        let _server = server(&path, &["--unix-group", group]);
        let metadata = fs::symlink_metadata(&path).expect("a socket");
        assert_eq!((metadata.gid(), metadata.mode() & 0o7777), (own, 0o660));
    }
    let errors = refused(&path, &["--unix-group", "no-such-group"]);
    contains(
        &errors,
        "--unix-group \"no-such-group\": there is no such group",
    );
}

/// A group that the process may not give away, unless it may do anything.
#[test]
fn socket_is_given_to_another_group_or_the_start_is_refused() {
    let folder = Folder::new("unix-other-group");
    let path = folder.path("socket");
    let other = 54_321;
    let listen = unix(&path);
    let mut parlor = command();
    let parlor = parlor.args(["--listen", &listen, "--unix-group", &other.to_string()]);
    let is_root = fs::metadata("/proc/self").expect("Linux").uid() == 0;
    if is_root {
        let _server = Server::spawn(parlor, 1);
        assert_eq!(fs::symlink_metadata(&path).expect("a socket").gid(), other);
    } else {
        let (status, _, errors) = finish(parlor);
        assert_eq!(status.code(), Some(1));
        contains(&errors, "cannot listen on unix:");
        assert_eq!(folder.names(), [""; 0]);
    }
}

#[test]
fn file_that_is_no_lock_of_a_server_is_kept() {
    let folder = Folder::new("unix-lock");
    let path = folder.path("socket");
    let lock = folder.path("socket.parlor-lock");
    fs::write(&lock, "precious").expect("a file");
    contains(refused(&path, &[]), "socket.parlor-lock is no lock");
    assert_eq!(fs::read_to_string(&lock).expect("a file"), "precious");
    // A lock whose owner was killed is no hindrance.
    fs::write(&lock, "").expect("a file");
    fs::set_permissions(&lock, Permissions::from_mode(0o600)).expect("our file");
    let mut server = server(&path, &[]);
    assert_eq!(folder.names(), ["socket"]);
    server.signal("TERM");
    eventually("the socket is removed", || !path.exists());
    assert!(server.exit_status().success());
}
