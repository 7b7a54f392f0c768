//! The start of the server: options, variables and addresses, and what is wrong with them.

use super::support::{Client, Server, command, contains, finish};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

#[test]
fn help_explains_the_options_and_version_prints_the_version() {
    let (status, output, _) = finish(command().arg("--help"));
    assert!(status.success());
    contains(&output, "--listen ADDR");
    let (status, output, _) = finish(command().arg("--version"));
    assert!(status.success());
    assert_eq!(
        output.trim(),
        format!("parlor {}", parlor::version::version())
    );
}

#[test]
fn a_bad_option_is_one_line_and_exit_code_2() {
    for (option, part) in [
        (&["--lisen", "x"][..], "there is no option --lisen"),
        (&["--listen", "nowhere"], "expected an address like"),
        (&["--outbox-frames", "many"], "expected a number"),
    ] {
        let (status, output, errors) = finish(command().args(option));
        assert_eq!((status.code(), output.as_str()), (Some(2), ""));
        contains(&errors, part);
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn a_wrong_variable_is_one_line_and_exit_code_2() {
    let (status, output, errors) = finish(command().env("PARLOR_OUTBOX_FRAMES", "many"));
    assert_eq!((status.code(), output.as_str()), (Some(2), ""));
    assert_eq!(
        errors,
        "parlor: PARLOR_OUTBOX_FRAMES \"many\": expected a number from 1 to 65535; \
         parlor --help lists the options\n"
    );
}

/// The example of the fault: everybody was dropped without a ping.
#[test]
fn deadlines_in_the_same_tick_are_one_line_and_exit_code_2() {
    let options = ["--ping-after", "410ms", "--silent-timeout", "450ms"];
    let (status, output, errors) = finish(command().args(options));
    assert_eq!((status.code(), output.as_str()), (Some(2), ""));
    assert_eq!(
        errors,
        "parlor: --silent-timeout 450ms must be longer than --ping-after 410ms: both count as \
         500ms; it must be at least 600ms; parlor --help lists the options\n"
    );
}

#[test]
fn completions_and_manual_pages_have_the_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (status, output, errors) = finish(command().args(["completions", shell]));
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
        for name in [
            "notice-members",
            "connect-rate",
            "completions",
            "backup",
            "export",
            "check",
            "admin-socket",
            "close-room",
            "purge",
        ] {
            contains(&output, name);
        }
    }
    let (status, output, _) = finish(command().arg("man"));
    assert_eq!(status.code(), Some(0));
    contains(&output, ".TH parlor 1");
    contains(&output, "\\-\\-notice\\-members");
    let (status, output, _) = finish(command().args(["man", "load"]));
    assert_eq!(status.code(), Some(0));
    contains(&output, ".TH parlor-load 1");
    contains(&output, "\\-\\-connect\\-rate");
    for (page, part) in [
        ("backup", "copies the history"),
        ("export", "JSON lines"),
        ("store-check", "looks for damage"),
        ("ban", "keeps a user out"),
        ("close-room", "closes a room"),
    ] {
        let (status, output, _) = finish(command().args(["man", page]));
        assert_eq!(status.code(), Some(0));
        contains(&output, part);
    }
    for wrong in [&["completions"][..], &["completions", "sh"], &["man", "x"]] {
        let (status, output, errors) = finish(command().args(wrong));
        assert_eq!((status.code(), output.as_str()), (Some(2), ""));
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn an_address_in_use_is_one_line_and_exit_code_1() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let (status, output, errors) = finish(command().args(["--listen", &address]));
    assert_eq!((status.code(), output.as_str()), (Some(1), ""));
    contains(
        &errors,
        &format!("cannot listen on {address}: it is in use"),
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn more_connections_than_descriptors_are_refused_at_the_start() {
    let (status, _, errors) = finish(command().args(["--max-connections", "9000000"]));
    assert_eq!(status.code(), Some(1));
    contains(&errors, "--max-connections 9000000 is more than");
}

#[test]
fn server_listens_on_several_addresses_of_all_kinds() {
    let folder = std::env::temp_dir().join(format!("parlor-start-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("socket");
    let unix = format!("unix:{}", path.display());
    let options = [
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "[::1]:0",
        "--listen",
        &unix,
    ];
    let mut server = Server::spawn(command().args(options), 3);
    assert_eq!(server.addresses[2], unix);
    for address in &server.addresses[..2] {
        let address = address.trim_start_matches("http://").trim_end_matches('/');
        let mut client = Client::connect(address.parse().expect("an address"));
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
    let mut stream = UnixStream::connect(&path).expect("a socket");
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("it is written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is read");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"),
        "{answer}"
    );
    server.signal("TERM");
    assert!(server.exit_status().success());
    std::fs::remove_dir(&folder).expect("nothing is left in it");
}

#[test]
fn log_is_quiet_by_default_and_never_has_what_members_write() {
    for (options, is_quiet) in [(&[][..], true), (&["--log", "trace"][..], false)] {
        let server = Server::start(&[options, &["--operator-token", "hush"]].concat());
        let mut ann = server.join("ann");
        ann.says("a secret of mine");
        ann.hears("ann: a secret of mine");
        ann.says("/op hush");
        ann.hears("* you are an operator now");
        ann.leaves();
        server.signal("TERM");
        let mut log = String::new();
        let mut server = server;
        assert!(server.exit_status().success());
        while let Some(line) = server.try_error_line() {
            log += &(line + "\n");
        }
        assert_eq!(log.is_empty(), is_quiet, "{log}");
        assert!(
            !log.contains("secret") && !log.contains("hush") && !log.contains("ann"),
            "{log}"
        );
    }
}
