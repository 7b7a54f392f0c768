//! Any text as a configuration file is understood or refused with the lines that are wrong. What is
//! understood is listed as a file that has the same settings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::config::Examined;
use std::ffi::OsString;

fn examine(text: &str) -> Examined {
    let arguments = ["--config", "p.toml"].map(OsString::from);
    let read = |_: &std::path::Path| Ok(text.to_owned());
    let examined = Examined::parse(arguments, |_| None, &read).expect("options without a mistake");
    examined.expect("no help is asked for")
}

fuzz_target!(|text: &str| {
    let first = examine(text);
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for problem in &first.problems {
        let problem = problem.to_string();
        let Some(rest) = problem.strip_prefix("p.toml:") else {
            // Settings that do not go together.
            assert!(problem.contains("is set by p.toml:"), "{problem}");
            continue;
        };
        let (line, _) = rest.split_once(':').expect("a line");
        let line: usize = line.parse().expect("a number");
        assert!((1..=lines).contains(&line), "{problem}");
    }
    if first.problems.is_empty() {
        let mut again = examine(&first.listing);
        assert!(again.problems.is_empty(), "{}", first.listing);
        // What is not shown.
        again.config.chat.operator_token = first.config.chat.operator_token.clone();
        assert_eq!(again.config, first.config, "{}", first.listing);
    }
});
