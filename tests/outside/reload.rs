//! Settings that a running server reads again, for SIGHUP and for `parlor reload`: what is taken over,
//! what is named until a restart, and that nothing changes where anything is wrong.

use super::admin::{ask, fails, post, succeeds};
use super::store::keeping;
use super::support::{Server, command, contains, finish};
use super::unix::Folder;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// A server with a configuration file, and its history in the same folder.
pub(crate) struct Settings {
    pub(crate) folder: Folder,
    pub(crate) server: Server,
}

impl Settings {
    pub(crate) fn start(name: &str, text: &str) -> Self {
        let folder = Folder::new(name);
        let path = folder.path("parlor.toml");
        fs::write(&path, text).expect("a file");
        let mut start = keeping(&folder.path("state"));
        start.arg("--config").arg(&path);
        start.args([
            "--listen",
            "127.0.0.1:0",
            "--log",
            "warn,parlor::reload=info",
        ]);
        let server = Server::spawn(&mut start, 1);
        Self { folder, server }
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.path("parlor.toml"), text).expect("a file");
    }

    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        succeeds(&self.folder.path("state"), arguments)
    }

    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        fails(&self.folder.path("state"), arguments)
    }

    /// The changes that another file makes.
    fn reloads(&self, text: &str) -> Vec<Value> {
        self.write(text);
        let answer: Value =
            serde_json::from_str(&self.succeeds(&["reload", "--json"])).expect("JSON");
        answer["changes"].as_array().expect("a list").clone()
    }

    /// The next line of the log with this part.
    fn logs(&self, part: &str) {
        loop {
            let line = self.server.error_line();
            if line.contains(part) {
                return;
            }
        }
    }
}

/// Another value for each setting that can be reloaded.
const VALUES: &[(&str, &str)] = &[
    ("max-connections", "40"),
    ("max-connections-per-address", "30"),
    ("trusted-proxy", "\"10.0.0.1\""),
    ("allow-origin", "\"https://example.org\""),
    ("frame-ancestor", "\"https://example.org\""),
    ("require-origin", "true"),
    ("proxy-protocol", "true"),
    ("handshake-timeout", "\"7s\""),
    ("ping-after", "\"7s\""),
    ("silent-timeout", "\"17s\""),
    ("stall-timeout", "\"7s\""),
    ("message-timeout", "\"7s\""),
    ("close-timeout", "\"7s\""),
    ("grace-timeout", "\"7s\""),
    ("drain-timeout", "\"17s\""),
    ("max-head-bytes", "7000"),
    ("max-message-bytes", "7000"),
    ("max-fragments", "7"),
    ("outbox-frames", "7"),
    ("outbox-bytes", "70000"),
    ("message-rate", "7"),
    ("message-burst", "7"),
    ("joins-per-minute", "7"),
    ("nicks-per-minute", "7"),
    ("reads-per-minute", "7"),
    ("searches-per-minute", "7"),
    ("directs-per-minute", "7"),
    ("reports-per-minute", "7"),
    ("address-factor", "7"),
    ("notice-members", "7"),
    ("notice-interval", "\"7s\""),
    ("edit-window", "\"7s\""),
    ("rooms-per-connection", "7"),
    ("rooms", "\"listed\""),
    ("listed-room", "\"lounge\""),
    ("max-rooms", "7"),
    ("rooms-per-address-hour", "7"),
    ("operator-token", "\"a-new-token\""),
    ("operators", "FILE"),
    ("word-filter", "FILE"),
    ("word-filter-mode", "\"refuse\""),
    ("accounts", "\"closed\""),
    ("max-accounts", "7"),
    ("token-key", "FILE"),
    ("token-audience", "\"chat\""),
    ("max-store-mib", "70"),
    ("low-disk-mib", "7"),
    ("keep-days", "7"),
    ("keep-messages", "7000"),
    ("audit-days", "7"),
    ("catch-up-max", "700"),
    ("history-lines", "7"),
    ("log-format", "\"json\""),
];

/// What the help marks with a restart, and what it does not.
fn names_of_the_listing() -> (BTreeSet<String>, BTreeSet<String>) {
    let (_, listing, _) = finish(command().arg("config"));
    let mut names = (BTreeSet::new(), BTreeSet::new());
    for line in listing.lines() {
        let Some((name, rest)) = line.trim_start_matches("# ").split_once(" = ") else {
            continue;
        };
        let to = if rest.ends_with(", restart") {
            &mut names.1
        } else {
            &mut names.0
        };
        to.insert(name.to_owned());
    }
    names
}

#[test]
fn every_setting_without_a_mark_is_taken_over_and_reported_with_its_old_and_new_value() {
    let scene = Settings::start("reload-all", "");
    let key = scene.folder.path("list");
    // At once a list of words, an operator and a key of more than 32 bytes.
    fs::write(&key, "operator a-token-of-more-than-thirty-two-bytes\n").expect("a file");
    let value = |value: &str| match value {
        "FILE" => format!("{key:?}"),
        value => value.to_owned(),
    };
    let text: String = VALUES
        .iter()
        .map(|(name, text)| format!("{name} = {}\n", value(text)))
        .collect();
    let changes = scene.reloads(&text);
    let names: BTreeSet<&str> = changes.iter().filter_map(|c| c["name"].as_str()).collect();
    let given: BTreeSet<&str> = VALUES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, given);
    // The option --log wins, certificates need a place where TLS is spoken (tls.rs), and the listing
    // shows no secret.
    let (unmarked, _) = names_of_the_listing();
    let rest: Vec<&String> = unmarked
        .iter()
        .filter(|name| !given.contains(name.as_str()))
        .collect();
    assert_eq!(rest, ["log", "tls-cert", "tls-key"]);
    for change in &changes {
        assert_eq!(change["restart"], false, "{change}");
        assert!(!change.to_string().contains("a-new-token"), "{change}");
        assert_ne!(
            change["name"] == "operator-token",
            change["old"] != change["new"]
        );
    }
    assert!(scene.reloads(&text).is_empty(), "nothing has changed since");
}

#[test]
fn every_setting_with_a_mark_is_named_until_the_restart() {
    let scene = Settings::start("reload-restart", "");
    let values = [
        ("listen", "\"127.0.0.1:0\""),
        ("unix-mode", "\"0600\""),
        ("unix-group", "\"users\""),
        ("backlog", "7"),
        ("send-buffer-bytes", "7000"),
        ("store", "\"memory\""),
        ("store-sync", "\"normal\""),
        ("tail-bytes", "7000000"),
        ("admin-socket", "\"none\""),
    ];
    let (_, marked) = names_of_the_listing();
    let text: String = values
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    for _ in 0..2 {
        let changes = scene.reloads(&text);
        let names: BTreeSet<&str> = changes.iter().filter_map(|c| c["name"].as_str()).collect();
        for (name, _) in values {
            // Options say where the server listens and keeps its history.
            let is_option = ["listen", "store"].contains(&name);
            assert_eq!(names.contains(name), !is_option, "{name}");
            assert!(marked.contains(name), "{name}");
        }
        assert!(changes.iter().all(|change| change["restart"] == true));
    }
    let lines = scene.succeeds(&["reload"]);
    contains(lines, "backlog: 4096 -> 7 takes effect after a restart\n");
    scene.logs("backlog: 4096 -> 7 takes effect after a restart");
}

#[test]
fn hangup_has_the_file_read_again_and_the_log_says_what_changed() {
    let scene = Settings::start("reload-signal", "message-burst = 2\nmessage-rate = 1\n");
    let mut ann = scene.server.join("ann");
    scene.write("message-burst = 1000\nmessage-rate = 0\noperator-token = \"s3cret\"\n");
    scene.server.signal("HUP");
    for part in [
        "message-rate: 1 -> 0",
        "message-burst: 2 -> 1000",
        "operator-token: (not shown) -> (not shown)",
    ] {
        scene.logs(part);
    }
    for count in 0..50 {
        ann.says(&format!("{count}"));
    }
    for count in 0..50 {
        ann.hears(&format!("ann: {count}"));
    }
    ann.says("/op s3cret");
    ann.hears("* you are an operator now");
}

#[test]
fn wrong_file_changes_nothing_and_every_mistake_is_named() {
    let scene = Settings::start("reload-wrong", "message-burst = 7\n");
    let path = scene.folder.path("parlor.toml").display().to_string();
    let words = scene.folder.path("words");
    fs::write(&words, "fine\n*\n").expect("a file");
    let wrong = [
        (
            String::from("message-burst = 0\npong-after = 1\n"),
            format!("{path}:2: there is no setting \"pong-after\""),
        ),
        (
            String::from("message-burst = 1\nlisten = \"\n"),
            format!("{path}:2: "),
        ),
        (
            format!("message-burst = 1\nword-filter = {words:?}\n"),
            format!("--word-filter {}: line 2: ", words.display()),
        ),
        (
            format!("message-burst = 1\noperators = {words:?}\n"),
            format!("--operators {}: line 1: ", words.display()),
        ),
        (
            String::from("message-burst = 1\nmax-connections = 10000000\n"),
            String::from("--max-connections 10000000 is more than"),
        ),
        (
            String::from("message-burst = 1\nmessage-rate = 100\n"),
            String::from("--message-rate 100 cannot be reached with --message-burst 1"),
        ),
    ];
    for (text, expected) in wrong {
        scene.write(&text);
        let errors = scene.fails(&["reload"]);
        contains(&errors, "nothing has changed: the settings are wrong");
        contains(&errors, &expected);
        scene.logs(&expected);
        scene.server.signal("HUP");
        scene.logs(&expected);
        scene.logs("nothing has changed");
    }
    fs::remove_file(scene.folder.path("parlor.toml")).expect("it is there");
    contains(scene.fails(&["reload"]), "parlor.toml: No such file");
    // The last that was right still holds.
    let changes = scene.reloads("message-burst = 8\n");
    assert_eq!(
        changes,
        [json!({"name": "message-burst", "old": "7", "new": "8", "restart": false})]
    );
}

#[test]
fn connections_above_a_lowered_maximum_stay_and_new_ones_are_refused() {
    let scene = Settings::start("reload-fewer", "");
    let (mut ann, mut bob) = scene.server.ann_and_bob();
    // The command to reload is a third connection, from the admin socket.
    scene.reloads("max-connections = 2\n");
    let mut third = scene.server.connect();
    third.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(third.response().status, 503);
    ann.says("still here");
    bob.hears("ann: still here");
    scene.reloads("");
    let mut cat = scene.server.join("cat");
    cat.says("hello");
    bob.hears("* cat joined");
    ann.hears("ann: still here");
}

#[test]
fn operators_words_and_origins_are_those_of_the_files_as_they_are_now() {
    let folder = Folder::new("reload-lists");
    let (operators, words) = (folder.path("operators"), folder.path("words"));
    fs::write(&operators, "olga one\npeter two\n").expect("a file");
    fs::write(&words, "darn\n").expect("a file");
    let text = format!("operators = {operators:?}\nword-filter = {words:?}\n");
    let scene = Settings::start("reload-lists-server", &text);
    let mut ann = scene.server.join("ann");
    ann.says("/op one");
    ann.hears("* you are an operator now");
    let mut bob = scene.server.join("bob");
    ann.hears("* bob joined");
    fs::write(&operators, "peter two\n").expect("a file");
    fs::write(&words, "heck\n").expect("a file");
    let names: Vec<Value> = scene
        .reloads(&text)
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(names, ["operators", "word-filter"]);
    bob.says("darn heck");
    bob.hears("bob: darn ****");
    ann.hears("bob: darn ****");
    // Whose line is gone is no operator any more.
    ann.says("/kick bob");
    contains(ann.line(), "operator");
    bob.says("still here");
    bob.hears("bob: still here");
    bob.says("/op two");
    bob.hears("* you are an operator now");
}

#[test]
fn two_that_ask_at_once_are_both_answered() {
    let scene = Settings::start("reload-twice", "");
    let socket = scene.folder.path("state").join("admin.sock");
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ask(&socket, &post("/reload", "")).0))
            .collect();
        for status in asked {
            assert_eq!(status.join().expect("it is answered"), 200);
        }
    });
}
