//! The house rules that a compiler does not know: who may import whom, which crates belong where,
//! and that every file says what it is. Reads the sources as text.

use std::fs;
use std::path::{Path, PathBuf};

/// Who may name whom. An allow-list, not a ranking: `net` stands below `server` as `chat` does,
/// and still must not know it.
const MAY_NAME: [(&str, &[&str]); 34] = [
    (
        "server",
        &[
            "net",
            "redis",
            "http",
            "page",
            "ws",
            "wire",
            "chat",
            "conn",
            "frame",
            "wheel",
            "chance",
            "id",
            "rate",
            "config",
            "stats",
            "log",
            "admin",
            "session",
            "tls",
            "budget",
            "password",
            "token",
            "reload",
            "options",
            "logging",
            "metrics",
            "histogram",
            "version",
            "carry",
            "upgrade",
        ],
    ),
    ("carry", &[]),
    ("upgrade", &[]),
    (
        "config",
        &[
            "net", "http", "page", "ws", "conn", "chat", "log", "store", "admin", "id", "options",
            "budget", "tls", "token", "logging",
        ],
    ),
    ("net", &["id", "carry"]),
    ("http", &["id"]),
    ("page", &["http"]),
    ("ws", &["frame", "carry"]),
    ("wire", &["chat", "id", "carry"]),
    ("chat", &["chance", "rate", "id", "carry"]),
    ("conn", &["ws", "frame", "rate", "id", "carry"]),
    ("log", &["chat", "id", "histogram", "carry"]),
    ("store", &["log", "chat", "id", "histogram"]),
    (
        "admin",
        &["net", "store", "chat", "password", "id", "carry"],
    ),
    ("redis", &["log", "chat", "chance", "id", "carry"]),
    ("session", &["chance", "id", "carry"]),
    ("password", &["carry"]),
    ("reload", &["config", "options", "tls", "token"]),
    ("tls", &["id"]),
    ("token", &["id"]),
    ("logging", &["id"]),
    ("wheel", &["id", "histogram", "carry"]),
    ("rate", &["id", "carry"]),
    ("budget", &["id", "carry"]),
    ("chance", &[]),
    ("frame", &["carry"]),
    ("id", &["carry"]),
    ("options", &[]),
    ("stats", &["histogram", "carry"]),
    ("version", &[]),
    ("health", &["net", "http"]),
    ("histogram", &["carry"]),
    ("metrics", &["histogram"]),
    ("load", &["net", "http", "frame", "id", "options"]),
];

/// Crates with a place of their own.
const BELONGS: [(&str, &[&str]); 20] = [
    ("argon2", &["password"]),
    ("clap", &["options"]),
    ("clap_complete", &["options"]),
    ("clap_mangen", &["options"]),
    ("data_encoding", &["session", "password", "token"]),
    ("ed25519_compact", &["token"]),
    ("env_filter", &["logging"]),
    ("hmac", &["token"]),
    ("libc", &["net"]),
    ("mio", &["net"]),
    ("nix", &["net"]),
    ("socket2", &["net"]),
    ("rusqlite", &["store"]),
    ("rustix", &["net", "store"]),
    ("rustls", &["tls", "load"]),
    ("serde_core", &["wire", "load", "token"]),
    ("sha2", &["token"]),
    ("strsim", &["options"]),
    ("toml", &["options"]),
    ("tungstenite", &["ws", "http"]),
];

/// Calls that print or end the process, and who may make them. `net` asks for secrets on a terminal.
const PRINTS: [(&str, &[&str]); 5] = [
    // eprintln!( has it too.
    ("println!(", &["program"]),
    ("print!(", &["program"]),
    ("process::exit(", &["program"]),
    ("io::stdout(", &["program"]),
    ("io::stderr(", &["program", "net"]),
];

/// Every word directly after `crate::`, also in the braces of a list, with its line.
fn crate_paths(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("crate::") {
        if source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = source[..at].lines().count().max(1);
        let after = &source[at + "crate::".len()..];
        match after.strip_prefix('{') {
            None => found.push((line, first_word(after))),
            Some(list) => found.extend(list_heads(list).into_iter().map(|word| (line, word))),
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The first word of each element of a list that was opened before `list`.
fn list_heads(list: &str) -> Vec<String> {
    let mut depth = 1;
    let mut heads = Vec::new();
    let mut is_start = true;
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => is_start = true,
            c if is_start && !c.is_whitespace() => {
                heads.push(first_word(&list[at..]));
                is_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// What breaks the rules in one file of the module `module`.
fn violations(module: &str, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !source.starts_with("//!") {
        wrong.push(String::from("1: the file does not say what it is"));
    }
    let code: String = source
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line
            }
        })
        .collect::<Vec<&str>>()
        .join("\n");
    if let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) {
        for (line, named) in crate_paths(&code) {
            if named != module && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{line}: {module} must not name {named}"));
            }
        }
    }
    for (name, places) in BELONGS {
        let path = format!("{name}::");
        for (number, line) in code.lines().enumerate() {
            let names_it = line.match_indices(&path).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if names_it && !places.contains(&module) && module != "program" {
                wrong.push(format!(
                    "{}: {name} belongs in {}",
                    number + 1,
                    places.join(" and ")
                ));
            }
        }
    }
    wrong
}

/// Where one file of the module `module`, which is none of tests, prints or ends the process.
fn outputs(module: &str, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in source.lines().enumerate() {
        for (call, places) in PRINTS {
            if line.contains(call) && !places.contains(&module) {
                let number = number + 1;
                wrong.push(format!(
                    "{number}: only {} may {call}",
                    places.join(" and ")
                ));
            }
        }
    }
    wrong
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_keeps_the_house_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(files.len() > 20, "the sources are not where they were");
    let mut wrong = Vec::new();
    for path in files {
        let relative = path.strip_prefix(root.join("src")).expect("below src");
        let module = relative
            .iter()
            .next()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let module = module.trim_end_matches(".rs");
        let source = fs::read_to_string(&path).expect("a source is text");
        let is_of_tests = relative
            .iter()
            .any(|part| part == "tests" || part == "tests.rs");
        let outputs = if is_of_tests {
            Vec::new()
        } else {
            outputs(module, &source)
        };
        for sentence in violations(module, &source).into_iter().chain(outputs) {
            wrong.push(format!("src/{}:{sentence}", relative.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn an_arrow_that_points_back_is_found_with_its_line() {
    let source = "//! x\nuse crate::id::Tick;\nuse crate::server::Server;\n";
    assert_eq!(violations("chat", source), ["3: chat must not name server"]);
}

#[test]
fn a_list_that_is_broken_over_lines_is_found() {
    let source = "//! x\nuse crate::{\n    id::{ConnId, Tick},\n    net::Net,\n};\n";
    assert_eq!(violations("chat", source), ["2: chat must not name net"]);
}

#[test]
fn a_path_in_the_middle_of_code_is_found() {
    let source = "//! x\nfn f() {\n    crate::net::mio::now();\n}\n";
    assert_eq!(violations("http", source), ["3: http must not name net"]);
}

#[test]
fn a_crate_outside_its_place_is_found() {
    let source = "//! x\nuse mio::Poll;\n";
    assert_eq!(violations("server", source), ["2: mio belongs in net"]);
    assert_eq!(
        violations("server", "//! x\nuse crate::net::mio::MioNet;\n"),
        [""; 0]
    );
}

#[test]
fn a_line_that_prints_outside_the_program_is_found() {
    let source = "//! x\nfn f() {\n    eprintln!(\"x\");\n}\n";
    assert_eq!(outputs("chat", source), ["3: only program may println!("]);
    assert_eq!(outputs("program", source), [""; 0]);
}

#[test]
fn a_file_without_a_word_about_itself_is_found() {
    assert_eq!(
        violations("id", "use std::fmt;\n"),
        ["1: the file does not say what it is"]
    );
}

#[test]
fn the_page_of_options_lists_them_as_the_help_does() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md"))
        .expect("there is a page of options");
    assert!(page.contains(&parlor::config::TABLE.help()));
}

/// The targets of the links in a page that are no addresses and no places in the page itself.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files
        .map(|target| target.split('#').next().unwrap_or_default())
        .collect()
}

#[test]
fn links_between_pages_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("SECURITY.md")];
    let docs = fs::read_dir(root.join("docs")).expect("a folder of pages");
    pages.extend(docs.map(|entry| entry.expect("an entry").path()));
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.len() > 5, "the pages are not where they were");
    for path in pages {
        let page = fs::read_to_string(&path).expect("a page is text");
        for target in links(&page) {
            let file = path.parent().expect("a folder").join(target);
            assert!(file.exists(), "{}: {target}", path.display());
        }
    }
}

#[test]
fn readme_is_short() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
        .expect("there is a README");
    assert!(
        readme.lines().count() < 250,
        "move what is too long to docs/"
    );
}
