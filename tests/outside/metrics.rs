//! The metrics, read as a monitor reads them: on the admin socket, at a listener of their own and
//! with a token where clients connect. The parser here is stricter than those of monitors: it takes
//! nothing that OpenMetrics 1.0 does not allow. Python's own parser reads them too, where there is one.

use super::admin::{ask, get};
use super::clients::{folder as source, installed};
use super::nodes::{prepared, readiness};
use super::redis::RedisServer;
use super::store::{keeping, keeping_in};
use super::support::{Client, Server, command, contains, eventually, finish, upgrade_request};
use super::unix::Folder;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

/// Samples by their name and labels as they are written.
struct Metrics {
    samples: HashMap<String, f64>,
    families: HashSet<String>,
}

impl Metrics {
    fn of_operators(folder: &Folder) -> Self {
        let (status, text) = ask(&folder.path("admin.sock"), &get("/metrics"));
        assert_eq!(status, 200);
        parse(&text)
    }

    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        let found = self.samples.get(sample);
        *found.unwrap_or_else(|| panic!("there is no {sample}"))
    }
}

/// Takes an exposition apart. Panics at the first line that is not as the format demands.
fn parse(text: &str) -> Metrics {
    let body = text.strip_suffix("# EOF\n").expect("an end");
    let mut metrics = Metrics {
        samples: HashMap::new(),
        families: HashSet::new(),
    };
    let mut lines = body.lines().peekable();
    while let Some(line) = lines.next() {
        let head = line
            .strip_prefix("# TYPE ")
            .expect("a family begins with its type");
        let (family, kind) = head.split_once(' ').expect("a name and a type");
        assert!(is_name(family), "{line}");
        assert!(
            metrics.families.insert(family.to_owned()),
            "{line} is there twice"
        );
        let unit = family.rsplit_once('_').map_or("", |(_, unit)| unit);
        if ["seconds", "bytes"].contains(&unit) {
            assert_eq!(
                lines.next(),
                Some(format!("# UNIT {family} {unit}").as_str())
            );
        }
        let help = lines.next().expect("a help");
        let help = help.strip_prefix(&format!("# HELP {family} "));
        assert!(help.expect("a help").ends_with('.'), "{family}");
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let value: f64 = value.parse().expect("a number");
            let before = metrics.samples.insert(name.to_owned(), value);
            assert_eq!(before, None, "{name} is there twice");
            samples.push((name, value));
        }
        check_family(family, kind, &samples);
    }
    metrics
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    !name.is_empty() && name.chars().all(is_part)
}

/// The labels of a sample must be well-formed, and its suffix one of its family's type.
fn check_family(family: &str, kind: &str, samples: &[(&str, f64)]) {
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "gauge" => &[""],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_count", "_sum"],
        "gaugehistogram" => &["_bucket", "_gcount", "_gsum"],
        other => panic!("{family} is a {other}"),
    };
    assert!(!samples.is_empty(), "{family} has no sample");
    let mut buckets = Vec::new();
    let mut count = None;
    for (name, value) in samples {
        let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
        let suffix = name.strip_prefix(family).expect("a sample of this family");
        assert!(suffixes.contains(&suffix), "{name}");
        let labels = labels.strip_suffix('}').expect("an end of the labels");
        for pair in labels.split(',').filter(|pair| !pair.is_empty()) {
            let (label, quoted) = pair.split_once('=').expect("a label and a value");
            assert!(is_name(label), "{pair}");
            let inner = quoted
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            assert!(!inner.expect("quotes").contains(['"', '\\']), "{pair}");
        }
        assert!(kind == "gauge" || *value >= 0.0, "{name}");
        match suffix {
            "_bucket" => buckets.push((labels, *value)),
            "_count" | "_gcount" => count = Some(*value),
            _ => {}
        }
    }
    if let Some(count) = count {
        assert!(
            buckets.is_sorted_by(|one, next| one.1 <= next.1),
            "{buckets:?}"
        );
        assert_eq!(buckets.last(), Some(&("le=\"+Inf\"", count)), "{family}");
    }
}

/// A server with a listener for monitors, and its address.
fn with_listener(options: &[&str]) -> (Server, SocketAddr) {
    listens(command().args(["--listen", "127.0.0.1:0"]).args(options))
}

fn listens(command: &mut Command) -> (Server, SocketAddr) {
    let server = Server::spawn(command.args(["--metrics-listen", "127.0.0.1:0"]), 1);
    let line = server.output_line();
    let address = line.strip_prefix("parlor shows its metrics at http://");
    let address = address.and_then(|rest| rest.strip_suffix("/metrics"));
    let address = address.unwrap_or_else(|| panic!("{line}"));
    (server, address.parse().expect("an address"))
}

fn fetch(address: SocketAddr, request: &str) -> (u16, String) {
    let mut client = Client::connect(address);
    client.send(request.as_bytes());
    let response = client.response();
    (response.status, response.body)
}

#[test]
#[ignore = "needs redis-server"]
fn scripts_of_redis_are_counted_and_timed() {
    let redis = RedisServer::start("metrics-scripts", &[]);
    let (server, address) = listens(&mut prepared(&redis));
    eventually("the server has reached Redis", || readiness(&server) == 200);
    let (mut ann, mut bob) = server.ann_and_bob();
    ann.says("hello");
    bob.hears_at_last("ann: hello");
    eventually("Redis has told how long its scripts took", || {
        let (status, text) = fetch(address, &get("/metrics"));
        let metrics = parse(&text);
        status == 200
            && metrics.value("parlor_engine_scripts_total") >= 5.0
            && metrics.value("parlor_engine_script_seconds_total") > 0.0
    });
}

#[test]
fn what_happens_is_seen_in_the_metrics() {
    let folder = Folder::new("metrics-move");
    let server = keeping_in(&folder.0);
    let before = Metrics::of_operators(&folder);
    for (sample, value) in [
        ("parlor_connections{phase=\"open\"}", 0.0),
        ("parlor_messages_total", 0.0),
        ("parlor_refusals_total{reason=\"no_such_path\"}", 0.0),
        ("parlor_closes_total{code=\"1000\"}", 0.0),
        ("parlor_lifecycle{state=\"serving\"}", 1.0),
        ("parlor_ready{state=\"ready\"}", 1.0),
        ("parlor_store{state=\"ok\"}", 1.0),
        ("parlor_engine_info{engine=\"local\"}", 1.0),
        ("parlor_users", 0.0),
    ] {
        assert_eq!(before.value(sample), value, "{sample}");
    }
    let (mut ann, mut bob) = server.ann_and_bob();
    ann.says("hello");
    bob.hears_at_last("ann: hello");
    assert_eq!(fetch(server.address(), &get("/nothing")).0, 404);
    let present = Metrics::of_operators(&folder);
    assert_eq!(present.value("parlor_connections{phase=\"open\"}"), 2.0);
    assert_eq!(present.value("parlor_users"), 2.0);
    assert_eq!(present.value("parlor_rooms"), 1.0);
    ann.says("/quit");
    ann.is_closed_with(1000);
    bob.leaves();
    eventually("the message is stored, and both are gone", || {
        let present = Metrics::of_operators(&folder);
        present.value("parlor_store_commit_seconds_count") >= 1.0
            && present.value("parlor_connections{phase=\"open\"}") == 0.0
            && present.value("parlor_users") == 0.0
    });
    let after = Metrics::of_operators(&folder);
    for (sample, least) in [
        ("parlor_accepts_total", 3.0),
        ("parlor_upgrades_total", 2.0),
        ("parlor_messages_total", 2.0),
        // Ann sees Bob join, both see what she says, Bob sees her leave.
        ("parlor_deliveries_total", 4.0),
        ("parlor_refusals_total{reason=\"no_such_path\"}", 1.0),
        ("parlor_closes_total{code=\"1000\"}", 1.0),
        ("parlor_client_closes_total{code=\"1000\"}", 1.0),
        ("parlor_responses_total", 2.0),
        ("parlor_disconnects_total", 3.0),
        ("parlor_turn_seconds_count", 5.0),
        ("parlor_turn_seconds_sum", 0.000_001),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 10.0),
        ("process_max_fds", 10.0),
        ("process_start_time_seconds", 1e9),
        ("parlor_store_disk_free_bytes", 1.0),
        ("parlor_store_disk_low_bytes", 268_435_456.0),
    ] {
        let value = after.value(sample);
        assert!(value >= least, "{sample} is {value}");
    }
    assert_eq!(after.value("parlor_missed_total"), 0.0);
    assert_eq!(after.value("parlor_closes_total{code=\"1013\"}"), 0.0);
}

#[test]
fn listener_of_the_metrics_has_nothing_else_and_serves_while_the_server_is_full() {
    let (server, address) = with_listener(&["--max-connections", "1"]);
    let _ann = server.join("ann");
    let (status, text) = fetch(address, &get("/metrics"));
    assert_eq!(status, 200);
    let metrics = parse(&text);
    assert_eq!(metrics.value("parlor_connections{phase=\"open\"}"), 1.0);
    assert_eq!(metrics.value("parlor_connections_limit"), 1.0);
    assert_eq!(metrics.value("parlor_store{state=\"memory\"}"), 1.0);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(fetch(address, &get(path)), (200, String::from("ok\n")));
    }
    for path in ["/", "/style.css", "/ws", "/status"] {
        assert_ne!(fetch(address, &get(path)).0, 200, "{path}");
    }
    assert_eq!(fetch(address, &upgrade_request("/ws")).0, 404);
    let mut client = Client::connect(address);
    client.send(get("/metrics").replace("GET", "HEAD").as_bytes());
    let head = client.response_to_head();
    assert_eq!(head.status, 200);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(head.field("Content-Type"), Some(content_type));
    assert_eq!(head.field("Cache-Control"), Some("no-store"));
    // Clients have none of it.
    assert_eq!(fetch(server.address(), &get("/metrics")).0, 503);
}

#[test]
fn clients_read_the_metrics_with_the_token_alone() {
    let folder = Folder::new("metrics-token");
    let token = "correct-horse-battery";
    fs::write(folder.path("token"), format!("{token}\n")).expect("a file");
    let file = folder.path("token").display().to_string();
    let server = Server::start(&["--metrics-token-file", &file]);
    let with = |authorization: &str| {
        get("/metrics").replace("Host:", &format!("Authorization: {authorization}\r\nHost:"))
    };
    let (status, text) = fetch(server.address(), &with(&format!("bearer {token}")));
    assert_eq!(status, 200);
    assert_eq!(parse(&text).value("parlor_accepts_total"), 1.0);
    let (_, nothing) = fetch(server.address(), &get("/nothing"));
    for request in [
        get("/metrics"),
        with(token),
        with("Bearer"),
        with("Bearer "),
        with(&format!("Bearer {token}x")),
        with(&format!("Bearer {}", &token[1..])),
        with(&format!("Basic {token}")),
        with(&format!("Bearer {token}\r\nAuthorization: Bearer {token}")),
    ] {
        assert_eq!(
            fetch(server.address(), &request),
            (404, nothing.clone()),
            "{request}"
        );
    }
    let without = Server::start(&[]);
    let request = with(&format!("Bearer {token}"));
    assert_eq!(fetch(without.address(), &request).0, 404);
}

#[test]
fn token_that_can_be_guessed_is_refused_at_the_start() {
    let folder = Folder::new("metrics-token-short");
    let file = folder.path("token");
    for content in ["", "fifteen-letters", "two words of sufficient length"] {
        fs::write(&file, content).expect("a file");
        let (status, _, errors) = finish(command().arg("--metrics-token-file").arg(&file));
        assert_eq!(status.code(), Some(1), "{errors}");
        contains(errors, "expected one token of at least 16 letters");
    }
}

#[test]
fn alert_rules_name_metrics_that_there_are() {
    let folder = Folder::new("metrics-alerts");
    let _server = keeping_in(&folder.0);
    let looked_at = "parlor_store_disk_free_bytes";
    eventually("the store has looked at its disk", || {
        Metrics::of_operators(&folder)
            .samples
            .contains_key(looked_at)
    });
    let metrics = Metrics::of_operators(&folder);
    let name_of = |sample: &String| sample.split('{').next().map(str::to_owned);
    let names: HashSet<String> = metrics.samples.keys().filter_map(name_of).collect();
    let rules = fs::read_to_string(source("docs/alerts.yml")).expect("the rules");
    let expressions = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    let mut count = 0;
    for expression in expressions {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named =
            words.filter(|word| word.starts_with("parlor_") || word.starts_with("process_"));
        for name in named {
            assert!(names.contains(name), "{name} in {expression}");
            count += 1;
        }
        for state in expression.split('"').filter(|part| part.contains('|')) {
            for state in state.split('|') {
                metrics.value(&format!("parlor_store{{state=\"{state}\"}}"));
            }
        }
    }
    assert!(count >= 10, "{count}");
}

#[test]
#[ignore = "needs Python with prometheus-client; tests/run runs it"]
fn prometheus_own_parser_reads_the_metrics() {
    let folder = Folder::new("metrics-python");
    let server = Server::spawn(keeping(&folder.0).args(["--listen", "127.0.0.1:0"]), 1);
    let (mut ann, _bob) = server.ann_and_bob();
    ann.says("hello");
    ann.hears_at_last("ann: hello");
    let (_, text) = ask(&folder.path("admin.sock"), &get("/metrics"));
    let file = folder.path("metrics");
    fs::write(&file, &text).expect("a file");
    let mut python = Command::new(installed("python/bin/python"));
    python.arg(source("tests/clients/metrics.py")).arg(&file);
    let (status, output, errors) = finish(&mut python);
    assert!(status.success(), "{output}{errors}");
    let families = parse(&text).families.len();
    assert_eq!(output.trim(), families.to_string());
}
