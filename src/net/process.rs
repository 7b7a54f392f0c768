//! What the system says of this process, for metrics: from /proc where there is one. Nothing here may
//! take long: it is read in the loop, whenever a monitor asks.

use super::{Process, heap};
use crate::id::Millis;
use rustix::process::{Resource, getrlimit};
use std::fs;

/// `started`: when the server was set up.
pub(super) fn read(started: Millis) -> Process {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Process {
        started: Some(started),
        resident_bytes: kibibytes(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024),
        allocated_bytes: heap::allocated(),
        open_descriptors: open_descriptors(),
        descriptors_max: getrlimit(Resource::Nofile).current,
    }
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Since Linux 6.2 the size of the folder is their number. Before, it is 0, and reading the folder
/// would take milliseconds with many connections.
fn open_descriptors() -> Option<u64> {
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    (size > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tparlor\nVmPeak:\t 9 kB\nVmRSS:\t   4321 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(4321));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
        assert_eq!(kibibytes("VmRSS: x kB", "VmRSS:"), None);
    }

    #[test]
    fn this_process_has_memory_and_a_limit_of_descriptors() {
        let process = read(Millis(7));
        assert_eq!(process.started, Some(Millis(7)));
        if cfg!(target_os = "linux") {
            assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20));
        }
        assert!(process.descriptors_max.is_some_and(|most| most > 10));
    }
}
