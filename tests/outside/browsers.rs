//! The page in three real engines: `tests/browsers/run.mjs` starts servers and browsers, and prints
//! the result of each spec. Knows no spec.

use super::clients::{folder, installed};
use super::support::{in_memory, now};
use super::traffic::Recording;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// One engine at a time: a browser is several processes.
static ONE: Mutex<()> = Mutex::new(());

/// For all specs of one engine, which have deadlines of their own, and one together, before this.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

fn passes(engine: &str) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    installed("node_modules");
    let mut node = Command::new("node");
    node.arg(folder("tests/browsers/run.mjs"))
        .arg(engine)
        .env("PARLOR", env!("CARGO_BIN_EXE_parlor"));
    // One engine shows the traffic of its pages.
    let recording = (engine == "chromium").then(|| Recording::of(&mut node, engine));
    // The output is that of this process, so it is seen where the test passes too.
    let mut node = in_memory(&mut node)
        .stdin(Stdio::null())
        .spawn()
        .expect("node starts");
    let deadline = now() + DEADLINE;
    let status = loop {
        if let Some(status) = node.try_wait().expect("it can be waited for") {
            break status;
        }
        if now() > deadline {
            let _ = node.kill();
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{engine}: the failed specs are above");
    if let Some(recording) = recording {
        recording.has_only_what_the_schema_has();
    }
}

#[test]
#[ignore = "needs node and Chromium; tests/run runs it"]
fn page_works_in_chromium() {
    passes("chromium");
}

#[test]
#[ignore = "needs node and Firefox; tests/run runs it"]
fn page_works_in_firefox() {
    passes("firefox");
}

#[test]
#[ignore = "needs node and WebKit; tests/run runs it"]
fn page_works_in_webkit() {
    passes("webkit");
}
