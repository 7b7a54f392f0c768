//! What operators do: the admin socket, backups and their restoring, exports, checks; on a running
//! server and on a store that no server uses.

use super::store::{keeping, keeping_in, stops};
use super::support::{Server, command, contains, finish};
use super::unix::Folder;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What the admin socket answers to one request: the status and the body.
pub(crate) fn ask(socket: &Path, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream
        .set_read_timeout(Some(super::support::PATIENCE))
        .expect("a socket option");
    stream.write_all(request.as_bytes()).expect("it is written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is read");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

pub(crate) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A command that succeeds: what it prints.
pub(crate) fn succeeds(directory: &Path, arguments: &[&str]) -> String {
    let (status, output, errors) = finish(keeping_after(directory, arguments).env("LC_ALL", "C"));
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{output}");
    output
}

/// A command that fails: what it prints on standard error.
pub(crate) fn fails(directory: &Path, arguments: &[&str]) -> String {
    let (status, _, errors) = finish(&mut keeping_after(directory, arguments));
    assert_eq!(status.code(), Some(1), "{errors}");
    errors
}

fn keeping_after(directory: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = command();
    command.args(arguments).arg("--store").arg(directory);
    command
}

/// Ann says these words in the lobby, and they are stored.
fn ann_says(server: &Server, directory: &Path, all: &[&str]) {
    let mut ann = server.join_room("lobby", "ann");
    for words in all {
        ann.says(words);
        ann.hears_at_last(&format!("ann: {words}"));
    }
    ann.leaves();
    is_stored(directory, all);
}

/// Waits until an export of the lobby has these words.
fn is_stored(directory: &Path, all: &[&str]) {
    super::support::eventually("it is stored", || {
        let (_, lines, _) = finish(&mut keeping_after(directory, &["export", "lobby"]));
        all.iter().all(|words| lines.contains(words))
    });
}

#[test]
fn admin_socket_is_beside_the_history_for_its_owner_alone_and_goes_with_the_server() {
    let folder = Folder::new("admin-mode");
    let server = keeping_in(&folder.0);
    let socket = folder.path("admin.sock");
    let metadata = fs::symlink_metadata(&socket).expect("it is there");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.mode() & 0o7777, 0o600);
    stops(server);
    assert!(!socket.exists());
}

#[test]
fn admin_socket_is_in_the_runtime_directory_where_there_is_one() {
    let folder = Folder::new("admin-runtime");
    fs::create_dir(folder.path("run")).expect("a folder");
    let mut start = keeping(&folder.path("state"));
    start.env("RUNTIME_DIRECTORY", folder.path("run"));
    let server = Server::spawn(start.args(["--listen", "127.0.0.1:0"]), 1);
    assert!(folder.path("run/admin.sock").exists());
    assert!(!folder.path("state/admin.sock").exists());
    let mut export = keeping_after(&folder.path("state"), &["export", "lobby"]);
    export.env("RUNTIME_DIRECTORY", folder.path("run"));
    let (_, _, errors) = finish(&mut export);
    contains(&errors, "lobby");
    stops(server);
}

#[test]
fn status_has_the_counts() {
    let folder = Folder::new("admin-status");
    let server = keeping_in(&folder.0);
    let _ann = server.join("ann");
    let (status, body) = ask(&folder.path("admin.sock"), &get("/status"));
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["members"], 1);
    assert_eq!(body["store"], folder.0.display().to_string());
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let folder = Folder::new("admin-pipeline");
    let _server = keeping_in(&folder.0);
    let mut stream = UnixStream::connect(folder.path("admin.sock")).expect("it listens");
    let keep = "GET /check HTTP/1.1\r\n\r\n";
    let all = [keep, keep, &get("/backup")].concat();
    stream.write_all(all.as_bytes()).expect("it is written");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("it is read");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
}

#[test]
fn admin_socket_has_no_pages_and_no_websockets_and_clients_have_no_admin_requests() {
    let folder = Folder::new("admin-apart");
    let server = keeping_in(&folder.0);
    let socket = folder.path("admin.sock");
    for request in [
        get("/"),
        super::support::upgrade_request("/ws").replace("Connection: ", "Connection: close, "),
    ] {
        let (status, _) = ask(&socket, &request);
        assert_eq!(status, 404, "{request}");
    }
    for (request, expected) in [
        (get("/status"), 404),
        (get("/backup"), 404),
        (post("/backup", "{\"file\":\"/tmp/x\"}"), 405),
    ] {
        let mut client = server.connect();
        client.send(request.as_bytes());
        assert_eq!(client.response().status, expected, "{request}");
    }
}

#[test]
fn health_and_readiness_are_answered_for_clients_and_operators() {
    let folder = Folder::new("admin-health");
    let server = keeping_in(&folder.0);
    let socket = folder.path("admin.sock");
    for path in ["/healthz", "/readyz"] {
        let asked = ask(&socket, &get(path));
        assert_eq!(asked, (200, String::from("ok\n")), "{path}");
        let head = ask(&socket, &get(path).replace("GET", "HEAD"));
        assert_eq!(head, (200, String::new()), "{path}");
        let mut client = server.connect();
        client.send(get(path).as_bytes());
        let response = client.response();
        assert_eq!((response.status, &*response.body), (200, "ok\n"), "{path}");
    }
}

#[test]
fn long_bodies_and_malformed_requests_are_refused() {
    let folder = Folder::new("admin-malformed");
    let _server = keeping_in(&folder.0);
    let socket = folder.path("admin.sock");
    for (request, expected) in [
        (post("/check", &" ".repeat(4097)), 413),
        (post("/backup", "{}"), 400),
        (String::from("hello\r\n\r\n"), 400),
    ] {
        assert_eq!(ask(&socket, &request).0, expected);
    }
}

#[test]
fn server_in_memory_has_an_admin_socket_only_where_one_is_named() {
    let folder = Folder::new("admin-memory");
    let socket = folder.path("socket");
    let option = socket.display().to_string();
    let server = Server::start(&["--admin-socket", &option]);
    assert_eq!(
        fs::metadata(&socket).expect("it is there").mode() & 0o777,
        0o600
    );
    let (status, body) = ask(&socket, &post("/backup", "{\"file\":\"/tmp/x\"}"));
    assert_eq!(status, 409);
    contains(&body, "in memory only");
    stops(server);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn admin_socket_that_cannot_be_made_is_refused_if_named_and_else_a_warning() {
    let folder = Folder::new("admin-occupied");
    fs::write(folder.path("admin.sock"), "mine").expect("a file");
    let option = folder.path("admin.sock").display().to_string();
    let mut named = command();
    named.args(["--listen", "127.0.0.1:0", "--admin-socket", &option]);
    let (status, _, errors) = finish(&mut named);
    assert_eq!(status.code(), Some(1));
    contains(&errors, "there is a regular file, which is not replaced");
    contains(&errors, "--admin-socket");
    let server = keeping_in(&folder.0);
    contains(
        server.error_line(),
        "operators' commands cannot reach this server",
    );
    assert_eq!(
        fs::read(folder.path("admin.sock")).expect("it is there"),
        b"mine"
    );
}

#[test]
fn export_is_the_same_on_a_running_server_and_without_one() {
    let folder = Folder::new("admin-export");
    let mut start = keeping(&folder.0);
    start.args(["--listen", "127.0.0.1:0", "--message-rate", "0"]);
    let server = Server::spawn(&mut start, 1);
    // More than goes into one answer.
    let long = "x".repeat(1000);
    let mut all = vec!["hello \"you\"", "上海"];
    all.resize(120, &long);
    all.push("the last");
    let mut ann = server.join("ann");
    for words in &all {
        ann.says(words);
        ann.hears(&format!("ann: {words}"));
    }
    is_stored(&folder.0, &["the last"]);
    let running = succeeds(&folder.0, &["export", "lobby"]);
    assert_eq!(running.lines().count(), all.len());
    let first: Value = serde_json::from_str(running.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["seq"], 1);
    assert_eq!(first["text"], "hello \"you\"");
    ann.leaves();
    stops(server);
    assert_eq!(succeeds(&folder.0, &["export", "lobby"]), running);
}

#[test]
fn export_of_an_unknown_room_names_it() {
    let folder = Folder::new("admin-unknown");
    let server = keeping_in(&folder.0);
    contains(fails(&folder.0, &["export", "nowhere"]), "nowhere");
    stops(server);
    contains(fails(&folder.0, &["export", "nowhere"]), "nowhere");
}

#[test]
fn backup_of_a_running_server_is_restored_by_replacing_the_file() {
    let folder = Folder::new("admin-backup");
    let (state, file) = (folder.path("state"), folder.path("backup.db"));
    let backup = ["backup", file.to_str().expect("a name")];
    let server = keeping_in(&state);
    ann_says(&server, &state, &["before"]);
    contains(succeeds(&state, &backup), "backup.db");
    assert_eq!(
        fs::metadata(&file).expect("it is there").mode() & 0o777,
        0o600
    );
    ann_says(&server, &state, &["after"]);
    // It is not overwritten.
    contains(fails(&state, &backup), "backup.db");
    stops(server);
    contains(succeeds(&state, &["store", "check", backup[1]]), "in order");

    fs::remove_dir_all(&state).expect("it is removed");
    fs::create_dir(&state).expect("a folder");
    fs::copy(&file, state.join("parlor.db")).expect("it is copied");
    let server = keeping_in(&state);
    let lines = succeeds(&state, &["export", "lobby"]);
    contains(&lines, "before");
    assert!(!lines.contains("after"), "{lines}");
    ann_says(&server, &state, &["again"]);
    stops(server);
    let lines = succeeds(&state, &["export", "lobby"]);
    assert_eq!(lines.lines().count(), 2, "{lines}");
}

#[test]
fn backup_without_a_server_takes_the_lock_itself() {
    let folder = Folder::new("admin-offline");
    let (state, file) = (folder.path("state"), folder.path("backup.db"));
    let server = keeping_in(&state);
    ann_says(&server, &state, &["hello"]);
    stops(server);
    succeeds(&state, &["backup", file.to_str().expect("a name")]);
    contains(
        succeeds(&state, &["store", "check", file.to_str().expect("a name")]),
        "in order",
    );
}

#[test]
fn check_finds_damage_with_a_server_and_without_one() {
    let folder = Folder::new("admin-check");
    let server = keeping_in(&folder.0);
    ann_says(&server, &folder.0, &["hello"]);
    contains(succeeds(&folder.0, &["store", "check"]), "in order");
    stops(server);
    contains(succeeds(&folder.0, &["store", "check"]), "in order");
    let file = folder.path("parlor.db");
    let mut bytes = fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    fs::write(&file, bytes).expect("it is written");
    let (status, output, errors) = finish(&mut keeping_after(&folder.0, &["store", "check"]));
    assert_eq!(status.code(), Some(1));
    assert!(!(output + &errors).contains("in order"));
}

#[test]
fn command_that_finds_no_admin_socket_says_what_to_do() {
    let folder = Folder::new("admin-none");
    let mut start = keeping(&folder.0);
    start.args(["--listen", "127.0.0.1:0", "--admin-socket", "none"]);
    let server = Server::spawn(&mut start, 1);
    let errors = fails(&folder.0, &["export", "lobby"]);
    contains(&errors, &format!("process {} uses the store", server.pid()));
    contains(&errors, "--admin-socket");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn command_asks_no_server_that_has_another_store() {
    let folder = Folder::new("admin-other");
    let mut start = keeping(&folder.path("one"));
    start.args(["--listen", "127.0.0.1:0", "--admin-socket", "none"]);
    let _one = Server::spawn(&mut start, 1);
    let _other = keeping_in(&folder.path("other"));
    let socket = folder.path("other/admin.sock").display().to_string();
    let arguments = ["export", "lobby", "--admin-socket", &socket];
    let errors = fails(&folder.path("one"), &arguments);
    contains(&errors, "that server uses the store");
}

#[test]
fn command_without_a_store_or_with_a_wrong_option_is_one_line() {
    let folder = Folder::new("admin-wrong");
    let nothing = fails(&folder.path("nothing"), &["export", "lobby"]);
    contains(&nothing, "there is no store at");
    for (arguments, code) in [
        (&["backup"][..], 2),
        (&["store"], 2),
        (&["store", "mend"], 2),
        (&["export", "lobby", "--wrong"], 2),
        (&["export", "lobby", "--store", "memory"], 1),
    ] {
        let (status, output, errors) = finish(command().args(arguments));
        assert_eq!(
            (status.code(), output.as_str()),
            (Some(code), ""),
            "{arguments:?}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    assert_eq!(folder.names(), [""; 0], "nothing was made");
}
