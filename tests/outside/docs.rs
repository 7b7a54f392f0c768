//! The commands in README.md and docs/*.md. Each one in a block of `sh`, and each after `$` in a block
//! of `console`, is run against a server with members, or is on one of the lists below with the
//! reason why not. All of them must be good syntax. Blocks in other languages are not looked at.

use super::support::{Client, Server, command, finish};
use super::unix::Folder;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Commands that are not run, by their beginning, and why. If it is one of parlor's, its help is asked
/// for with all options that are given, so that those at least are known.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "apt install",
        "changes the machine; tests/packages/run installs the package in a copy",
    ),
    (
        "docker ",
        "is not there; tests/packages/run runs the folder of the image",
    ),
    (
        "docs/packaging/build",
        "builds for minutes; tests/packages/run runs it",
    ),
    ("cargo bench", "measures for minutes"),
    (
        "cargo run",
        "builds a release for minutes; every test here runs what it would run",
    ),
    ("cargo test", "a test that runs tests"),
    (
        "PARLOR_",
        "a variable for one of the commands with cargo or node",
    ),
    ("tests/", "runs this test"),
    ("node tests/browsers", "needs browsers; browsers.rs runs it"),
    (
        "$ websocat",
        "is not in Debian; clients.rs has three other clients",
    ),
    ("systemctl ", "needs systemd as process 1"),
    (
        "cd /var/lib/parlor",
        "of a server under systemd; disk.rs restores a backup in this way",
    ),
    (
        "cp /backups",
        "of a server under systemd; disk.rs restores a backup in this way",
    ),
    ("certbot ", "changes the machine; certificates.rs runs it"),
    ("lego ", "changes the machine; certificates.rs runs it"),
    (
        "/etc/parlor/deploy",
        "changes the machine; certificates.rs runs it",
    ),
    (
        "install -m 755 docs/certificates",
        "changes the machine; certificates.rs runs it",
    ),
    (
        "openssl s_client -connect chat.example.org",
        "needs a server at another place",
    ),
    ("parlor drain", "ends the server; drain.rs runs it"),
    (
        "parlor load ",
        "thousands of connections; load.rs has the scenarios with fewer",
    ),
];

/// Programs that commands need and that `cargo test` must do without.
const TOOLS: &[&str] = &["curl ", "openssl "];

/// The commands of a page, block by block.
pub(crate) fn blocks(page: &str) -> Vec<Vec<String>> {
    let mut blocks = Vec::new();
    let mut language = None;
    for line in page.lines() {
        let line = line.trim_start();
        match (line.strip_prefix("```"), language) {
            (Some(named), None) => {
                language = Some(named);
                blocks.push(Vec::new());
            }
            (Some(_), Some(_)) => language = None,
            (None, Some("sh")) if !line.is_empty() && !line.starts_with('#') => {
                let block: &mut Vec<String> = blocks.last_mut().expect("it has begun");
                match block.last_mut() {
                    Some(last) if last.ends_with('\\') => {
                        last.pop();
                        last.push_str(line);
                    }
                    _ => block.push(line.to_owned()),
                }
            }
            (None, Some("console")) if line.starts_with("$ ") => {
                blocks
                    .last_mut()
                    .expect("it has begun")
                    .push(line.to_owned());
            }
            (None, _) => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// A server with ann in the lobby and mallory and eve in the den, and an account bob. Ann and mallory
/// have spoken.
struct Scene {
    home: Folder,
    server: Server,
    _members: Vec<Client>,
}

impl Scene {
    fn new(name: &str) -> Self {
        let home = Folder::new(name);
        fs::create_dir(home.path("bin")).expect("a folder");
        fs::create_dir(home.path("backups")).expect("a folder");
        symlink(env!("CARGO_BIN_EXE_parlor"), home.path("bin/parlor")).expect("a link");
        fs::write(home.path("passwords"), "correct horse battery\n".repeat(2)).expect("a file");
        // As openssl makes it.
        fs::write(home.path("token.key"), "c2VjcmV0".repeat(8)).expect("a file");
        for (file, name) in [("site.pem", "fullchain.pem"), ("site.key", "privkey.pem")] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/tls")
                .join(file);
            fs::copy(from, home.path(name)).expect("a file");
        }
        let mut start = command();
        start.args(["--listen", "127.0.0.1:0", "--message-rate", "0"]);
        start.env("PARLOR_STORE", home.path(".local/state/parlor"));
        let server = Server::spawn(&mut start, 1);
        let mut eve = server.join_room("den", "eve");
        let mut mallory = server.join_room("den", "mallory");
        for number in 1..=11 {
            mallory.says(&format!("spam {number}"));
            mallory.hears(&format!("mallory: spam {number}"));
        }
        eve.says("tea?");
        mallory.hears("eve: tea?");
        let mut ann = server.join("ann");
        ann.says("hello");
        ann.hears("ann: hello");
        let scene = Self {
            home,
            server,
            _members: vec![eve, mallory, ann],
        };
        assert_eq!(scene.runs("parlor account add bob"), None);
        scene
    }

    fn shell(&self, line: &str) -> Command {
        let home = self.home.0.to_str().expect("text");
        let line = line
            .replace("127.0.0.1:8080", &self.server.address().to_string())
            .replace("/backups/", &format!("{home}/backups/"))
            .replace("$!", &self.server.pid().to_string());
        let mut shell = Command::new("sh");
        let path = format!("{home}/bin:/usr/local/bin:/usr/bin:/bin");
        shell
            .args(["-ec", &format!("exec <\"$HOME/passwords\"\n{line}")])
            .current_dir(home)
            .env_clear()
            .env("PATH", path)
            .env("HOME", home)
            .env("PARLOR_CONFIG", "none")
            .env("PARLOR_STORE", self.home.path(".local/state/parlor"))
            .env("PARLOR_LISTEN", self.server.address().to_string());
        shell
    }

    /// What went wrong.
    fn runs(&self, line: &str) -> Option<String> {
        let (status, output, errors) = finish(&mut self.shell(line));
        (!status.success()).then(|| format!("{line}\n{status}\n{output}{errors}"))
    }
}

/// What stands for a command that cannot be run as it is; `None`: nothing does.
fn substitute(line: &str) -> Option<String> {
    let (line, _) = line.split_once(" #").unwrap_or((line, ""));
    let line = line.trim_end().trim_end_matches('&').trim_end();
    let options = line.strip_prefix("parlor")?;
    if options.is_empty() || options.starts_with(" --") && options != " --version" {
        // It would serve until it is stopped.
        return Some(format!("parlor check{options}"));
    }
    let is_listed = NOT_RUN.iter().any(|(begin, _)| line.starts_with(begin));
    is_listed.then(|| format!("{line} --help"))
}

/// Runs the commands of all pages, and those that need tools only `with_tools`. Returns which of the
/// reasons counted.
fn run_all(with_tools: bool) -> Vec<&'static str> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    let docs = fs::read_dir(root.join("docs")).expect("a folder of pages");
    pages.extend(docs.map(|entry| entry.expect("an entry").path()));
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    let (mut used, mut wrong) = (Vec::new(), Vec::new());
    for path in pages {
        let page = fs::read_to_string(&path).expect("a page is text");
        for block in blocks(&page) {
            let scene = Scene::new(if with_tools { "docs-tools" } else { "docs" });
            for line in block {
                let code = line.strip_prefix("$ ").unwrap_or(&line);
                let (status, _, errors) = finish(Command::new("sh").args(["-nc", code]));
                assert!(status.success(), "{}: {line}\n{errors}", path.display());
                let listed = NOT_RUN.iter().find(|(begin, _)| line.starts_with(begin));
                used.extend(listed.map(|(begin, _)| *begin));
                if let Some(instead) = substitute(&line) {
                    wrong.extend(scene.runs(&instead));
                } else if listed.is_none() {
                    let needs_tools = TOOLS.iter().any(|tool| code.contains(tool));
                    if with_tools || !needs_tools {
                        wrong.extend(scene.runs(code));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    used
}

#[test]
fn commands_of_the_pages_do_what_they_say() {
    let used = run_all(false);
    for (begin, _) in NOT_RUN {
        assert!(used.contains(begin), "no command begins with {begin:?}");
    }
}

#[test]
#[ignore = "needs curl and openssl; tests/run runs it"]
fn commands_of_the_pages_that_need_other_programs_do_what_they_say() {
    run_all(true);
}

#[test]
fn commands_are_found_in_blocks_with_their_continuations() {
    let page = "a\n```sh\none \\\n  more  # why\n# a remark\n\ntwo\n```\n```text\nno\n```\n  \
                ```console\n  $ three\n  its output\n  ```\n";
    let expected = [vec!["one more  # why", "two"], vec!["$ three"]];
    assert_eq!(blocks(page), expected);
}
