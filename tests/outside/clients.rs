//! The server with independent clients: Python's websockets, node's ws and curl.
//! `tests/clients/install.sh`, called by `tests/run`, puts them into `target/clients`.

use super::support::{Server, contains, finish};
use super::traffic::Recording;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub(super) fn installed(path: &str) -> PathBuf {
    let path = folder("target/clients").join(path);
    assert!(
        path.exists(),
        "{} is missing: run tests/clients/install.sh first",
        path.display()
    );
    path
}

/// Runs a script of tests/clients against the server. The script prints what is wrong.
fn passes(mut command: Command, server: &Server) {
    let url = &server.addresses[0];
    let (status, output, errors) = finish(command.arg(url));
    assert!(status.success(), "{output}{errors}");
}

/// A script of tests/clients.
pub(super) fn script(name: &str) -> PathBuf {
    folder("tests/clients").join(name)
}

static SHARED: Once = Once::new();

/// Node looks for packages beside the script, so scripts run from a copy beside the packages.
pub(super) fn node_script(script: &str) -> Command {
    installed("node_modules");
    let copy = |script| {
        let to = folder("target/clients").join(script);
        std::fs::copy(folder("tests/clients").join(script), &to).expect("a script");
        to
    };
    // Shared, so it must not be written while another test reads it.
    SHARED.call_once(|| _ = copy("recorded.mjs"));
    let copy = copy(script);
    let mut node = Command::new("node");
    node.arg(copy);
    node
}

#[test]
#[ignore = "needs Python with websockets; tests/run runs it"]
fn python_websockets_client_is_served() {
    let server = Server::start(&[]);
    let mut python = Command::new(installed("python/bin/python"));
    python.arg(folder("tests/clients/talk.py"));
    passes(python, &server);
    server.is_empty();
}

#[test]
#[ignore = "needs node with ws; tests/run runs it"]
fn node_ws_client_is_served() {
    let server = Server::start(&[]);
    passes(node_script("talk.mjs"), &server);
    server.is_empty();
}

#[test]
#[ignore = "needs Python with jsonschema; tests/run runs it"]
fn schema_of_the_protocol_is_one_and_has_every_example() {
    let mut python = Command::new(installed("python/bin/python"));
    python.arg("-B").arg(folder("tests/clients/schema.py"));
    let (status, output, errors) = finish(&mut python);
    assert!(status.success(), "{output}{errors}");
}

#[test]
#[ignore = "needs Python with websockets; tests/run runs it"]
fn every_request_of_the_documentation_is_answered_as_it_says() {
    let server = Server::start(&[]);
    let mut python = Command::new(installed("python/bin/python"));
    python.arg("-B").arg(folder("tests/clients/examples.py"));
    passes(python, &server);
    server.is_empty();
}

/// Runs a script that starts servers itself, with a folder for what they keep.
fn passes_with_servers(command: &mut Command, name: &str, client: Option<&Path>) {
    let keeps = std::env::temp_dir().join(format!("parlor-{name}-{}", std::process::id()));
    std::fs::create_dir(&keeps).expect("a folder");
    command.arg(env!("CARGO_BIN_EXE_parlor")).arg(&keeps);
    let (status, output, errors) = finish(command.args(client));
    std::fs::remove_dir_all(&keeps).expect("a folder");
    assert!(status.success(), "{output}{errors}");
}

#[test]
#[ignore = "needs Python with websockets; tests/run runs it"]
fn python_client_of_the_documentation_loses_and_repeats_nothing() {
    let mut python = Command::new(installed("python/bin/python"));
    python.arg("-B").arg(folder("tests/clients/resume.py"));
    passes_with_servers(&mut python, "resume-py", None);
}

#[test]
#[ignore = "needs node with ws; tests/run runs it"]
fn browser_client_of_the_documentation_loses_and_repeats_nothing() {
    let mut node = node_script("resume.mjs");
    let recording = Recording::of(&mut node, "resume-js");
    // By its name node knows that it is a module, as a page says.
    let client = folder("target/clients/parlor.mjs");
    std::fs::copy(folder("docs/clients/parlor.js"), &client).expect("a script");
    passes_with_servers(&mut node, "resume-js", Some(&client));
    recording.has_only_what_the_schema_has();
}

/// Copies the files of a folder of this repository, and returns them by their names in it.
fn copy_files(of: &str, to: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    std::fs::create_dir_all(to).expect("a folder");
    let entries = std::fs::read_dir(folder(of)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths.filter(|path| path.is_file()).collect();
    paths.sort();
    let copied = paths.iter().map(|path| {
        let name = PathBuf::from(path.file_name().expect("a name"));
        let content = std::fs::read(path).expect("a file");
        std::fs::write(to.join(&name), &content).expect("a copy");
        (name, content)
    });
    copied.collect()
}

/// By this file node knows that the scripts beside it are modules, as a page says.
fn say_modules(folder: &Path) {
    std::fs::write(folder.join("package.json"), r#"{"type":"module"}"#).expect("a file");
}

#[test]
#[ignore = "needs node; tests/run runs it"]
fn modules_of_the_page_pass_their_tests() {
    let copy = std::env::temp_dir().join(format!("parlor-page-{}", std::process::id()));
    copy_files("src/page", &copy.join("src/page"));
    let tests = copy_files("tests/page", &copy.join("tests/page"));
    say_modules(&copy);
    let mut node = Command::new("node");
    node.arg("--test").current_dir(&copy);
    for (name, content) in tests {
        // Others are what the tests share.
        if contains_bytes(&content, b" from \"node:test\"") {
            node.arg(Path::new("tests/page").join(name));
        }
    }
    // The tests have deadlines of their own, longer than those of other clients.
    let output = node.output().expect("node");
    std::fs::remove_dir_all(&copy).expect("a folder");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("# pass "), "{text}");
}

#[test]
#[ignore = "needs node with ws; tests/run runs it"]
fn model_of_the_page_loses_and_repeats_nothing() {
    let modules = folder("target/clients/model");
    copy_files("src/page", &modules);
    say_modules(&modules);
    let mut node = node_script("model.mjs");
    let recording = Recording::of(&mut node, "model");
    passes_with_servers(&mut node, "model", Some(&modules));
    recording.has_only_what_the_schema_has();
}

fn contains_bytes(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

#[test]
#[ignore = "needs curl; tests/run runs it"]
fn curl_fetches_the_page_and_then_gets_304() {
    let server = Server::start(&[]);
    let url = &server.addresses[0];
    let curl = |options: &[&str]| {
        let (status, output, errors) =
            finish(Command::new("curl").args(["-sS", "-m", "10"]).args(options));
        assert!(status.success(), "{errors}");
        output
    };
    let page = curl(&["-i", url]);
    contains(&page, "HTTP/1.1 200 OK");
    contains(&page, "<title>parlor</title>");
    let tag = page
        .lines()
        .find_map(|line| line.strip_prefix("ETag: "))
        .expect("a tag")
        .trim();
    let known = format!("If-None-Match: {tag}");
    assert_eq!(
        curl(&["-o", "/dev/null", "-w", "%{http_code}", "-H", &known, url]),
        "304\n"
    );
    let head = curl(&["-I", url]);
    contains(&head, "Content-Security-Policy: ");
    // Two requests over one connection.
    let health = format!("{url}healthz");
    let counted = curl(&["-w", "%{num_connects} ", &health, &health]);
    assert_eq!(counted, "ok\n1 ok\n0 \n");
}
