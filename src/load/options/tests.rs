//! Defaults, wrong options and what follows from several.

use super::*;

fn parse(arguments: &[&str]) -> Result<Options, String> {
    match Options::parse(arguments.iter().map(OsString::from)) {
        Ok(Asked::Run(options)) => Ok(*options),
        Ok(Asked::Help) => panic!("help"),
        Err(bad) => Err(bad.to_string()),
    }
}

/// Every default that the help shows can be typed, and means what it says.
#[test]
fn the_defaults_of_the_help_can_be_given_as_options() {
    let help = TABLE.help();
    let mut arguments = vec![String::from("chat")];
    let mut option = None;
    for line in help.lines() {
        if let Some(name) = line.strip_prefix("  --") {
            option = name.split(' ').next();
        }
        if let (Some(name), Some((_, default))) = (option, line.rsplit_once('['))
            && let Some(default) = default.strip_suffix(']')
            && default != "none"
            && !default.contains(' ')
        {
            option = None;
            arguments.push(format!("--{name}={default}"));
        }
    }
    assert_eq!(arguments.len(), 1 + 23, "{arguments:?}");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parsed = parse(&arguments).unwrap();
    assert_eq!(parsed.pace(), Options::new(Scenario::Chat).pace());
    let parsed = Options {
        send_rate: None,
        ..parsed
    };
    assert_eq!(parsed, Options::new(Scenario::Chat));
}

#[test]
fn wrong_option_is_named_with_what_is_allowed() {
    for (arguments, part) in [
        (&[][..], "which scenario?"),
        (&["talk"], "there is no scenario \"talk\""),
        (&["chat", "idle"], "unexpected argument \"idle\""),
        (&["chat", "--roms", "1"], "there is no option --roms"),
        (&["chat", "--rooms"], "--rooms needs a value"),
        (&["chat", "--rooms", "0"], "expected a number from 1"),
        (&["chat", "--url", "http://x/"], "expected a URL"),
        (&["chat", "--header", "no colon"], "expected a line like"),
        (&["chat", "--header", "A: b\r\nC: d"], "without line ends"),
        (
            &["chat", "--window", "1", "--send-rate", "1"],
            "exclude each other",
        ),
        (&["chat", "--members", "9"], "more than --members"),
        (
            &["slow", "--members", "10", "--slow-members", "1"],
            "more than --members",
        ),
        (&["chat", "--processes", "2"], "a room cannot be split"),
        (&["chat", "--protocol", "xml"], "expected plain or json"),
        (
            &["chat", "--protocol", "json", "--join", "x"],
            "leave out --subprotocol and --join",
        ),
        (
            &["chat", "--protocol", "json", "--url", "ws://x/{room}"],
            "leave {room} out",
        ),
        (&["resume", "--protocol", "plain"], "need --protocol json"),
        (&["history", "--processes", "2"], "take one of --processes"),
        (
            &["idle", "--connections", "1", "--processes", "2"],
            "more than --connections",
        ),
        (&["idle", "--slope-from", "1000"], "must be less than"),
        (
            &["chat", "--expect-bytes-per-connection", "1", "--pid", "1"],
            "needs the scenario idle",
        ),
        (&["idle", "--ca", "x.pem"], "need a --url with wss://"),
        (&["idle", "--insecure"], "need a --url with wss://"),
        (
            &["idle", "--url", "wss://x/", "--insecure", "--ca", "y"],
            "exclude each other",
        ),
        (
            &["idle", "--sources", "2", "--url", "ws://[::1]:1/"],
            "127.0.0.0/8",
        ),
        (
            &[
                "chat",
                "--rooms",
                "2000000",
                "--members",
                "2",
                "--senders",
                "1",
            ],
            "2000000 connections",
        ),
        (
            &["chat", "--members", "50000", "--senders", "50000"],
            "too many pairs",
        ),
    ] {
        let sentence = parse(arguments).unwrap_err();
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn tenth_of_the_members_is_slow_without_the_option() {
    let options = parse(&["slow", "--members", "11", "--senders", "1"]).unwrap();
    assert_eq!(options.slow_members(), 2);
    let options = parse(&["slow", "--members", "1000", "--slow-members", "1"]).unwrap();
    assert_eq!(options.slow_members(), 1);
    assert_eq!(parse(&["chat"]).unwrap().slow_members(), 0);
}

#[test]
fn help_wins_over_a_wrong_value_before_it() {
    let arguments = ["--rooms", "0", "--help"].map(OsString::from);
    assert_eq!(Options::parse(arguments), Ok(Asked::Help));
}

#[test]
fn programs_have_a_default_url_without_a_room() {
    for arguments in [
        &["idle", "--protocol", "json"][..],
        &["resume"],
        &["history"],
    ] {
        let options = parse(arguments).unwrap();
        assert_eq!(options.protocol, Protocol::Json);
        assert_eq!(options.url.path, "/ws?nick={nick}");
    }
    assert_eq!(parse(&["resume"]).unwrap().total(), 1001);
}
