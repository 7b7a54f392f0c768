//! Where the programs and the results are, and on which core each process runs.

use super::options::Options;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

pub(crate) const CORE_OF_SERVER: &str = "0";
pub(crate) const CORE_OF_TESTER: &str = "1";

#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) peers: PathBuf,
    pub(crate) results: PathBuf,
    /// The server under test.
    pub(crate) parlor: PathBuf,
    /// The program whose `load` puts the servers under load.
    pub(crate) tester: PathBuf,
    /// Before the names of the files of one measurement, if another may run at the same time.
    pub(crate) prefix: &'static str,
    pub(crate) is_pinning: bool,
    /// The server keeps its history in a directory, not in memory.
    pub(crate) is_storing: bool,
}

impl Place {
    pub(crate) fn find(options: &Options) -> Result<Self, String> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let built = || PathBuf::from(env!("CARGO_BIN_EXE_parlor"));
        let place = Self {
            parlor: options.parlor.clone().unwrap_or_else(built),
            tester: options.tester.clone().unwrap_or_else(built),
            peers: root.join("target/peers"),
            results: root.join("target/bench"),
            prefix: "",
            is_pinning: can_pin(),
            is_storing: false,
            root,
        };
        fs::create_dir_all(&place.results)
            .map_err(|error| format!("{}: {error}", place.results.display()))?;
        Ok(place)
    }

    /// A command that runs on one core.
    pub(crate) fn pinned(&self, core: &str, words: &[String]) -> Command {
        let taskset = ["taskset", "-c", core].map(String::from);
        let prefix = if self.is_pinning { &taskset[..] } else { &[] };
        let mut words = prefix.iter().chain(words);
        let mut command = Command::new(words.next().map_or("", String::as_str));
        // An older build of parlor does not know the variable.
        let store = if self.is_storing {
            self.store()
        } else {
            PathBuf::from("memory")
        };
        command.args(words).env("PARLOR_STORE", store);
        command
    }

    /// The directory of the server's history.
    pub(crate) fn store(&self) -> PathBuf {
        self.scratch("store")
    }

    /// A file of one measurement, which the next one replaces.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.results.join(format!("{}{name}", self.prefix))
    }

    /// Writes a result as `NAME.md` and `NAME.json`.
    pub(crate) fn write(&self, name: &str, markdown: &str, json: &str) -> Result<(), String> {
        for (ending, text) in [("md", markdown), ("json", json)] {
            let path = self.results.join(format!("{name}.{ending}"));
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }

    /// One line about the machine, for the head of a result. `both`: servers run at the same time.
    pub(crate) fn machine(&self, both: bool) -> String {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = thread::available_parallelism().map_or(0, usize::from);
        let pinning = match (self.is_pinning, both) {
            (true, true) => {
                "the servers of a row at the same time on core 0, a tester for each on core 1"
            }
            (true, false) => "each server on core 0, the tester on core 1",
            (false, _) => "nothing pinned to a core, because there is no taskset or no second core",
        };
        format!(
            "{} ({cores} cores, {} of memory), Linux {}; {pinning}",
            first_value("/proc/cpuinfo", "model name"),
            first_value("/proc/meminfo", "MemTotal"),
            kernel.trim(),
        )
    }
}

fn can_pin() -> bool {
    Command::new("taskset")
        .args(["-c", CORE_OF_TESTER, "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The value in the first line of a file that begins with `name`.
fn first_value(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, value)| value.trim());
    value.unwrap_or("unknown").to_owned()
}
