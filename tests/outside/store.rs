//! Where the history is kept, that it outlives the server, and what happens where it cannot be kept.

use super::support::{STORE, Server, command, contains, finish};
use super::unix::Folder;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A server with its history in a directory.
pub(crate) fn keeping_in(directory: &Path) -> Server {
    Server::spawn(keeping(directory).args(["--listen", "127.0.0.1:0"]), 1)
}

pub(crate) fn keeping(directory: &Path) -> Command {
    let mut command = command();
    command.arg("--store").arg(directory);
    command
}

pub(crate) fn stops(mut server: Server) {
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
}

/// A server to which nothing says where to keep its history.
fn silent() -> Command {
    let mut command = command();
    command.env_remove(STORE).env_remove("HOME");
    command.args(["--listen", "127.0.0.1:0"]);
    command
}

#[test]
fn history_survives_a_restart() {
    let folder = Folder::new("store-restart");
    let server = keeping_in(&folder.0);
    assert_eq!(server.keeps_history_in(), folder.0.display().to_string());
    let mut ann = server.join("ann");
    for words in ["first", "second"] {
        ann.says(words);
        ann.hears(&format!("ann: {words}"));
    }
    ann.leaves();
    stops(server);
    let server = keeping_in(&folder.0);
    let mut bob = server.join("bob");
    let lines = [bob.line(), bob.line(), bob.line(), bob.line()].join("\n");
    contains(&lines, "ann: first\n");
    contains(&lines, "ann: second\n");
}

#[test]
fn history_survives_a_kill() {
    let folder = Folder::new("store-kill");
    let mut server = keeping_in(&folder.0);
    let mut ann = server.join("ann");
    ann.says("is this kept?");
    ann.hears("ann: is this kept?");
    // A new start reads what the last one stored, which is not long after it was said.
    let database = folder.path("parlor.db-wal");
    super::support::eventually("it is stored", || {
        let wal = fs::read(&database).unwrap_or_default();
        wal.windows(13).any(|part| part == b"is this kept?")
    });
    server.signal("KILL");
    assert!(!server.exit_status().success());
    let server = keeping_in(&folder.0);
    let mut bob = server.join("bob");
    contains(
        [bob.line(), bob.line(), bob.line()].join("\n"),
        "ann: is this kept?",
    );
}

#[test]
fn history_is_in_the_directory_that_the_environment_has() {
    let folder = Folder::new("store-environment");
    let path = |name: &str| folder.path(name).display().to_string();
    for (variables, expected) in [
        (
            &[("STATE_DIRECTORY", path("service")), ("HOME", path("home"))][..],
            path("service"),
        ),
        (
            &[("XDG_STATE_HOME", path("state")), ("HOME", path("home"))],
            path("state/parlor"),
        ),
        (&[("HOME", path("home"))], path("home/.local/state/parlor")),
    ] {
        let server = Server::spawn(silent().envs(variables.iter().cloned()), 1);
        assert_eq!(server.keeps_history_in(), expected);
        assert!(Path::new(&expected).join("parlor.db").exists());
        stops(server);
    }
}

#[test]
fn history_is_in_memory_with_a_warning_where_no_directory_can_be_written() {
    for (variable, reason) in [
        (("HOME", "/dev/null"), "/dev/null/.local/state/parlor"),
        (("STATE_DIRECTORY", "/proc/nowhere"), "/proc/nowhere"),
        (("LC_ALL", "C"), "HOME is not set"),
    ] {
        let mut server = Server::spawn(silent().envs([variable]), 1);
        assert_eq!(server.keeps_history_in(), "memory");
        let warning = server.error_line();
        contains(&warning, "the history is kept in memory only");
        contains(&warning, reason);
        let mut ann = server.join("ann");
        ann.says("hello");
        ann.hears("ann: hello");
        server.signal("TERM");
        assert_eq!(server.exit_status().code(), Some(0));
    }
}

#[test]
fn history_in_memory_that_was_asked_for_is_no_warning() {
    let mut server = Server::start(&["--store", "memory"]);
    assert_eq!(server.keeps_history_in(), "memory");
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
    assert_eq!(server.try_error_line(), None);
}

#[test]
fn named_directory_that_cannot_be_written_is_one_line_and_exit_code_1() {
    let folder = Folder::new("store-named");
    fs::write(folder.path("file"), "").expect("a file");
    for path in [
        folder.path("file"),
        folder.path("file/below"),
        "/proc/x".into(),
    ] {
        let (status, output, errors) = finish(keeping(&path).args(["--listen", "127.0.0.1:0"]));
        assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
        contains(&errors, &path.display().to_string());
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn second_server_on_a_store_is_refused_with_the_process_of_the_first() {
    let folder = Folder::new("store-twice");
    let first = keeping_in(&folder.0);
    let (status, output, errors) = finish(keeping(&folder.0).args(["--listen", "127.0.0.1:0"]));
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    contains(&errors, &folder.0.display().to_string());
    contains(&errors, &format!("in use by process {}", first.pid()));
    assert_eq!(errors.lines().count(), 1, "{errors}");
    // The first goes on, and its admin socket is its own.
    let mut ann = first.join("ann");
    ann.says("hello");
    ann.hears("ann: hello");
    assert!(folder.names().contains(&String::from("admin.sock")));
}
