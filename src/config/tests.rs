//! What the command line and the environment mean.

use super::*;
use crate::net::ListenAddr;
use std::ffi::OsStr;
use std::path::PathBuf;

fn parse_in(environment: &[(&str, &str)], arguments: &[&str]) -> Result<Config, String> {
    let arguments = arguments.iter().map(OsString::from);
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    match Invocation::parse(arguments, variable, &no_file) {
        Ok(Invocation::Serve(running)) => Ok(running.config),
        Ok(Invocation::Help | Invocation::Version) => panic!("it does not serve"),
        Err(bad) => Err(bad.to_string()),
    }
}

fn no_file(_: &std::path::Path) -> std::io::Result<String> {
    Err(std::io::ErrorKind::NotFound.into())
}

fn parse(arguments: &[&str]) -> Result<Config, String> {
    parse_in(&[], arguments)
}

#[test]
fn without_options_it_is_the_default() {
    assert_eq!(parse(&[]), Ok(Config::default()));
}

/// Options whose default is no value that could be given.
const WITHOUT_VALUE: [&str; 16] = [
    "engine-user",
    "engine-password",
    "engine-password-file",
    "listed-room",
    "max-connections",
    "operator-token",
    "operators",
    "word-filter",
    "unix-group",
    "store",
    "admin-socket",
    "token-key",
    "token-audience",
    "metrics-token-file",
    "tls-cert",
    "tls-key",
];

/// The names and defaults of the options in the help that have a value to give.
fn defaults_of_the_help() -> Vec<(String, String)> {
    let help = TABLE.help();
    let mut defaults = Vec::new();
    let mut option = None;
    for line in help.lines() {
        if let Some(name) = line.strip_prefix("  --") {
            option = name.split(' ').next();
        }
        if let (Some(name), Some((_, default))) = (option, line.rsplit_once('['))
            && let Some(default) = default.strip_suffix(']')
            && !WITHOUT_VALUE.contains(&name)
        {
            option = None;
            defaults.push((name.to_owned(), default.to_owned()));
        }
    }
    assert!(defaults.len() > 36, "{defaults:?}");
    defaults
}

#[test]
fn defaults_of_the_help_can_be_given_as_options() {
    let mut arguments = Vec::new();
    for (name, default) in defaults_of_the_help() {
        arguments.extend(default.split(' ').map(|value| format!("--{name}={value}")));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_eq!(parse(&arguments), Ok(Config::default()));
}

#[test]
fn every_option_can_be_set_in_the_environment() {
    let variable = |name: &str| format!("PARLOR_{}", name.replace('-', "_").to_uppercase());
    for (name, default) in defaults_of_the_help() {
        let name = variable(&name);
        assert_eq!(parse_in(&[(&name, &default)], &[]), Ok(Config::default()));
        let sentence = parse_in(&[(&name, "no such value")], &[]).unwrap_err();
        assert!(sentence.starts_with(&name), "{sentence}");
    }
    for name in WITHOUT_VALUE.into_iter().chain(["echo"]) {
        let changed = parse_in(&[(&variable(name), "1")], &[]).unwrap();
        assert_ne!(changed, Config::default(), "{name}");
    }
}

#[test]
fn a_port_is_shared_by_servers_that_share_their_rooms() {
    let check = |arguments: &[&str]| {
        let mut config = parse(arguments).expect("it can be read");
        let no_bytes = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        config.read_contents(&no_bytes).map(|_| ())
    };
    let why = check(&["--reuse-port"]).expect_err("it has no engine");
    assert!(why.starts_with("--reuse-port needs --engine"), "{why}");
    assert!(check(&["--reuse-port", "--engine", "redis://localhost"]).is_ok());
}

#[test]
fn what_is_of_no_use_with_an_engine_is_refused_with_a_sentence() {
    let check = |arguments: &[&str]| {
        let mut config = parse(arguments).expect("it can be read");
        let no_bytes = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        config.read_contents(&no_bytes).map(|_| ())
    };
    let shared = ["--engine", "redis://localhost"];
    for option in [
        ["--store", "/var/lib/parlor"],
        ["--store-sync", "normal"],
        ["--max-store-mib", "5"],
        ["--low-disk-mib", "5"],
        ["--keep-days", "5"],
        ["--keep-messages", "5"],
        ["--audit-days", "5"],
    ] {
        let why = check(&[shared, option].concat()).expect_err(option[0]);
        let sentence = format!("{} is of no use with --engine: ", option[0]);
        assert!(why.starts_with(&sentence), "{why}");
    }
    let why = check(&["--engine", "redis://localhost", "--engine-user", "parlor"]);
    assert!(
        why.expect_err("it has no password")
            .starts_with("--engine-user needs")
    );
    for option in [
        "--engine-user",
        "--engine-password",
        "--engine-password-file",
    ] {
        let why = check(&[option, "x"]).expect_err(option);
        assert!(why.contains("of no use without --engine"), "{why}");
    }
}

#[test]
fn help_has_lines_of_at_most_100_columns() {
    for line in TABLE.help().lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_first_value_of_a_list_replaces_the_default_and_the_next_are_added() {
    let config = parse(&["--listen", "[::1]:0", "--listen=unix:/tmp/p"]).unwrap();
    assert_eq!(
        config.net.listen,
        [
            ListenAddr::Tcp("[::1]:0".parse().unwrap()),
            ListenAddr::Unix(PathBuf::from("/tmp/p"))
        ]
    );
    let config = parse(&["--trusted-proxy", "none"]).unwrap();
    assert_eq!(config.http.trusted_proxies, []);
}

#[test]
fn the_last_of_two_values_counts() {
    let config = parse(&["--backlog", "1", "--backlog", "2"]).unwrap();
    assert_eq!(config.net.backlog, 2);
}

#[test]
fn a_value_may_begin_with_a_hyphen() {
    let config = parse(&["--operator-token", "-x"]).unwrap();
    assert_eq!(config.chat.operator_token.as_deref(), Some("-x"));
}

#[test]
fn a_wrong_option_is_named_with_its_value_and_what_is_allowed() {
    for (arguments, part) in [
        (
            &["--lisen", "x"][..],
            "there is no option --lisen, but there is --listen; parlor --help",
        ),
        (
            &["--wholly-unknown=1"],
            "there is no option --wholly-unknown;",
        ),
        (&["-x"], "there is no option -x;"),
        (
            &["--listen", "localhost"],
            "--listen \"localhost\": expected an address",
        ),
        (&["--listen"], "--listen needs a value;"),
        (
            &["--outbox-frames", "0"],
            "--outbox-frames \"0\": expected a number from 1 to 65535",
        ),
        (
            &["--close-timeout", "199ms"],
            "--close-timeout \"199ms\": expected a time of at least 200ms",
        ),
        (
            &["--ping-after", "99ms"],
            "expected a time of at least 100ms",
        ),
        (&["--unix-mode", "0o660"], "expected permissions in octal"),
        (&["--unix-group", ""], "expected a name or a number"),
        (
            &["--store", ""],
            "--store \"\": expected a directory or memory",
        ),
        (&["--store-sync", "off"], "expected full or normal"),
        (&["--admin-socket", ""], "expected a path or none"),
        (&["--accounts", "all"], "expected open, closed or required"),
        (&["--token-key", ""], "--token-key \"\": expected a path"),
        (
            &["--operator-token", ""],
            "--operator-token: the operator token must not be empty",
        ),
        (
            &["--trusted-proxy", "10.0.0.0/33"],
            "--trusted-proxy \"10.0.0.0/33\": expected an address",
        ),
        (
            &["--allow-origin", "example.org"],
            "--allow-origin \"example.org\": expected an origin",
        ),
        (
            &["--frame-ancestor", "https://example.org/path"],
            "--frame-ancestor \"https://example.org/path\": expected an origin",
        ),
        (
            &["--log", "loud"],
            "--log \"loud\": expected error, warn, info",
        ),
        (&["--log", "parlor=loud"], "expected error, warn, info"),
        (&["--require-origin=maybe"], "expected on or off"),
        (&["--help=x"], "--help takes no value"),
        (&["x"], "unexpected argument \"x\""),
        (&["--", "x"], "unexpected argument \"x\""),
    ] {
        let sentence = parse(arguments).unwrap_err();
        assert!(sentence.contains(part), "{arguments:?}: {sentence}");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
    }
}

#[test]
fn a_wrong_variable_is_named_with_its_value_and_what_is_allowed() {
    for (name, value, part) in [
        (
            "PARLOR_OUTBOX_FRAMES",
            "0",
            "PARLOR_OUTBOX_FRAMES \"0\": expected a number from 1 to 65535; parlor --help",
        ),
        (
            "PARLOR_LISTEN",
            "127.0.0.1:1,localhost",
            "PARLOR_LISTEN \"localhost\": expected an address",
        ),
        (
            "PARLOR_TRUSTED_PROXY",
            " ",
            "PARLOR_TRUSTED_PROXY \" \": expected an address",
        ),
        ("PARLOR_REQUIRE_ORIGIN", "", "expected on or off"),
        (
            "PARLOR_OPERATOR_TOKEN",
            "",
            "PARLOR_OPERATOR_TOKEN: the operator token must not be empty",
        ),
    ] {
        let sentence = parse_in(&[(name, value)], &[]).unwrap_err();
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn a_value_that_is_not_utf_8_is_refused_by_its_name() {
    use std::os::unix::ffi::OsStrExt;
    let garbage = OsStr::from_bytes(b"unix:/tmp/\xff").to_owned();
    let bad = Invocation::parse(
        [OsString::from("--listen"), garbage.clone()],
        |_| None,
        &no_file,
    );
    assert_eq!(
        bad.err().expect("it is wrong").to_string(),
        "the value of --listen is not valid UTF-8; parlor --help lists the options"
    );
    let variable = |name: &str| (name == "PARLOR_LISTEN").then(|| garbage.clone());
    let bad = Invocation::parse([], variable, &no_file);
    assert_eq!(
        bad.err().expect("it is wrong").to_string(),
        "the value of PARLOR_LISTEN is not valid UTF-8; parlor --help lists the options"
    );
}

#[test]
fn an_option_wins_over_its_variable_and_that_over_the_default() {
    let environment = [
        ("PARLOR_LISTEN", "127.0.0.1:1, [::1]:2 unix:/tmp/p"),
        ("PARLOR_REQUIRE_ORIGIN", "on"),
        ("PARLOR_OPERATOR_TOKEN", "from outside, with a comma"),
        ("PARLOR_LOG", "info"),
        ("PARLOR_PING_AFTER", "10s"),
        ("PARLOR_MAX_CONNECTIONS", "7"),
    ];
    let config = parse_in(&environment, &[]).unwrap();
    assert_eq!(config.net.listen.len(), 3);
    assert!(config.http.require_origin);
    assert_eq!(config.max_connections, Some(7));
    assert_eq!(
        config.chat.operator_token.as_deref(),
        Some("from outside, with a comma")
    );

    let options = [
        "--listen=127.0.0.1:3",
        "--require-origin=off",
        "--log=debug",
    ];
    let config = parse_in(&environment, &options).unwrap();
    assert_eq!(config.net.listen, ["127.0.0.1:3".parse().unwrap()]);
    assert!(!config.http.require_origin);
    assert_eq!(config.log_filters, "debug");
    assert_eq!(config.conn.ping_after, Duration::from_secs(10));
}

#[test]
fn help_and_version_are_found_before_a_mistake_that_follows() {
    for (option, is_help) in [
        ("--help", true),
        ("-h", true),
        ("--version", false),
        ("-V", false),
    ] {
        let arguments = ["--outbox-frames=0", option, "--wrong"].map(OsString::from);
        let asked = Invocation::parse(arguments, |_| None, &no_file);
        assert!(match asked {
            Ok(Invocation::Help) => is_help,
            Ok(Invocation::Version) => !is_help,
            Ok(Invocation::Serve(_)) | Err(_) => false,
        });
    }
}

#[test]
fn filters_of_the_log_are_checked() {
    for filters in [
        "warn",
        "OFF",
        "warn,parlor::connection=debug",
        "parlor=trace, mio=warn",
        "parlor",
        "parlor::loop",
        "debug/closed",
    ] {
        assert!(parse(&["--log", filters]).is_ok(), "{filters}");
    }
}

/// Both are given in milliseconds but counted in ticks of 100 ms.
#[test]
fn silence_must_outlast_the_wait_for_a_ping_by_a_tick() {
    for (ping, silent, why) in [
        (
            "410ms",
            "450ms",
            "both count as 500ms; it must be at least 600ms",
        ),
        ("410ms", "500ms", "both count as 500ms"),
        ("401ms", "500ms", "both count as 500ms"),
        ("60s", "60s", "before the answer to a ping could"),
        ("25s", "24s", "it must be at least 25100ms"),
    ] {
        let sentence = parse(&["--ping-after", ping, "--silent-timeout", silent]).unwrap_err();
        assert!(
            sentence.starts_with("--silent-timeout ") && sentence.contains(why),
            "{sentence}"
        );
    }
    for (ping, silent) in [("400ms", "401ms"), ("410ms", "501ms"), ("100ms", "200ms")] {
        assert!(parse(&["--ping-after", ping, "--silent-timeout", silent]).is_ok());
    }
}

/// The allowance grows once a tick, and never beyond the burst.
#[test]
fn burst_holds_what_the_rate_allows_in_a_tick() {
    for (rate, burst, is_right) in [
        ("10", "1", true),
        ("11", "1", false),
        ("10000", "1000", true),
        ("10000", "999", false),
        ("0", "1", true),
    ] {
        let outcome = parse(&["--message-rate", rate, "--message-burst", burst]);
        assert_eq!(outcome.is_ok(), is_right, "{rate} {burst}");
        if let Err(sentence) = outcome {
            assert!(sentence.contains("raise --message-burst to"), "{sentence}");
        }
    }
}

#[test]
fn outbox_holds_the_longest_message() {
    let sentence = parse(&["--outbox-bytes", "16383"]).unwrap_err();
    assert!(
        sentence
            .starts_with("--outbox-bytes 16383 must not be less than --max-message-bytes 16384: "),
        "{sentence}"
    );
    assert!(parse(&["--outbox-bytes", "16384"]).is_ok());
    assert!(parse(&["--echo", "--max-message-bytes", "1000000"]).is_ok());
}

#[test]
fn tail_holds_two_outboxes() {
    let sentence = parse(&["--tail-bytes", "131071"]).unwrap_err();
    assert!(
        sentence.starts_with("--tail-bytes 131071 must be at least twice --outbox-bytes 65536: ")
            && sentence.contains("it must be at least 131072"),
        "{sentence}"
    );
    assert!(parse(&["--tail-bytes", "131072"]).is_ok());
}

#[test]
fn newcomer_begins_within_what_can_be_caught_up() {
    let sentence = parse(&["--history-lines", "21", "--catch-up-max", "20"]).unwrap_err();
    assert!(
        sentence.starts_with("--history-lines 21 must not be more than --catch-up-max 20: "),
        "{sentence}"
    );
    assert!(parse(&["--history-lines", "20", "--catch-up-max", "20"]).is_ok());
}

#[test]
fn proxy_protocol_needs_a_proxy() {
    let sentence = parse(&["--proxy-protocol", "--trusted-proxy", "none"]).unwrap_err();
    assert!(
        sentence.starts_with("--proxy-protocol needs a --trusted-proxy: "),
        "{sentence}"
    );
    let config = parse(&["--proxy-protocol"]).unwrap();
    assert!(config.http.proxy_protocol);
}

// The file

fn in_file(text: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Examined {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let arguments = ["--config", "p.toml"].iter().chain(arguments);
    let read = |_: &std::path::Path| Ok(text.to_owned());
    let examined = Examined::parse(arguments.map(OsString::from), variable, &read);
    examined.expect("options").expect("no help")
}

fn problems(text: &str) -> Vec<String> {
    let all = in_file(text, &[], &[]).problems;
    let sentence = |bad: &BadOption| {
        let sentence = bad.to_string();
        let (sentence, _) = sentence.split_once("; parlor --help").expect("the end");
        sentence.to_owned()
    };
    all.iter().map(sentence).collect()
}

#[test]
fn option_wins_over_its_variable_and_the_variable_over_the_file() {
    let text = "backlog = 7\nping-after = \"20s\"\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\n";
    let variable = [("PARLOR_BACKLOG", "8")];
    let backlog = |environment: &[(&str, &str)], arguments: &[&str]| {
        in_file(text, environment, arguments).config.net.backlog
    };
    assert_eq!(backlog(&[], &[]), 7);
    assert_eq!(backlog(&variable, &[]), 8);
    assert_eq!(backlog(&variable, &["--backlog", "9"]), 9);
    let config = in_file(text, &[], &["--listen", "127.0.0.1:3"]).config;
    assert_eq!(config.net.listen.len(), 1, "lists are replaced, not joined");
    assert_eq!(config.conn.ping_after, Duration::from_secs(20));
}

#[test]
fn every_option_can_be_set_in_a_file() {
    for (name, default) in defaults_of_the_help() {
        if name == "config" {
            continue;
        }
        let elements: Vec<String> = default.split(' ').map(|one| format!("{one:?}")).collect();
        let text = match &elements[..] {
            [only] => format!("{name} = {only}\n"),
            several => format!("{name} = [{}]\n", several.join(", ")),
        };
        assert_eq!(problems(&text), Vec::<String>::new(), "{text}");
        assert_eq!(in_file(&text, &[], &[]).config, Config::default(), "{text}");
    }
    for name in WITHOUT_VALUE.into_iter().chain(["echo"]) {
        let changed = in_file(&format!("{name} = 1\n"), &[], &[]).config;
        assert_ne!(changed, Config::default(), "{name}");
    }
}

#[test]
fn all_that_is_wrong_with_a_file_is_named_with_its_line() {
    let text = "\n# Deadlines\nping_after = \"20s\"\nbacklog = \"many\"\nwholly-unknown = 1\n\
                config = \"other.toml\"\nmessage-rate = 1.5\nlisten = []\n[rooms]\nmax = 1\n";
    assert_eq!(
        problems(text),
        [
            "p.toml:3: there is no setting \"ping_after\", but there is \"ping-after\"",
            "p.toml:5: there is no setting \"wholly-unknown\"",
            "p.toml:6: there is no setting \"config\"",
            "p.toml:7: message-rate is a number with a fraction; expected a string, a number, true \
             or false",
            "p.toml:8: listen is an empty list; leave it out instead",
            "p.toml:9: rooms is a table; all settings stand at the top, without one",
            "p.toml:4: backlog \"many\": expected a number from 1 to 65535",
        ]
    );
    let syntax = problems("backlog = 1\nlisten = \"\nlog = \"warn\"\n");
    assert!(syntax[0].starts_with("p.toml:2: "), "{syntax:?}");
}

#[test]
fn settings_that_do_not_go_together_are_named_with_where_they_are_set() {
    let all = problems("silent-timeout = \"20s\"\nping-after = \"30s\"\n");
    let [only] = &all[..] else {
        panic!("{all:?}");
    };
    assert!(
        only.contains("silent-timeout is set by p.toml:1")
            && only.contains("ping-after is set by p.toml:2"),
        "{only}"
    );
}

#[test]
fn place_is_that_of_the_value_that_counts() {
    let text = "silent-timeout = \"20s\"\nping-after = \"10s\"\n";
    let all = in_file(text, &[], &["--ping-after", "30s"]).problems;
    let [only] = &all[..] else {
        panic!("{all:?}");
    };
    let only = only.to_string();
    assert!(only.contains("silent-timeout is set by p.toml:1"), "{only}");
    assert!(!only.contains("p.toml:2"), "the option counts: {only}");
}

#[test]
fn listing_is_a_file_with_the_same_settings_and_without_secrets() {
    let text = "listen = [\"127.0.0.1:1\", \"unix:/tmp/a\\\"b\"]\nbacklog = 7\nrequire-origin = true\n\
                operator-token = \"hidden\"\n";
    let environment = [("PARLOR_PING_AFTER", "20s")];
    let examined = in_file(text, &environment, &["--message-rate", "3"]);
    assert!(examined.problems.is_empty());
    let listing = examined.listing;
    for line in [
        "listen = [\"127.0.0.1:1\", \"unix:/tmp/a\\\"b\"]  # p.toml:1, restart",
        "ping-after = \"20s\"  # PARLOR_PING_AFTER",
        "message-rate = 3  # --message-rate",
        "require-origin = true  # p.toml:3",
        "# silent-timeout = \"60s\"  # default",
        "# operator-token is set by p.toml:4, and not shown",
    ] {
        assert!(listing.lines().any(|one| one == line), "{line}\n{listing}");
    }
    assert!(!listing.contains("hidden"));
    let mut again = in_file(&listing, &[], &[]).config;
    again
        .chat
        .operator_token
        .clone_from(&examined.config.chat.operator_token);
    assert_eq!(again, examined.config);
}
