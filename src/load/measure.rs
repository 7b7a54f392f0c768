//! What Linux reports about the server's processes and about the kernel, and what follows from it.
//! Reads /proc and nothing else; what cannot be read is `None`.

use std::fs;
use std::path::Path;

/// What the server's processes use at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// User and system time of all threads.
    pub(super) cpu_nanos: Option<u64>,
    /// Proportional set size: memory that several processes share counts in part.
    pub(super) user_bytes: Option<u64>,
}

/// The CPU time of a process so far.
pub(super) fn cpu_nanos(pid: u32) -> Option<u64> {
    // The schedstat of the process is that of its first thread only.
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut sum = 0;
    for task in tasks.flatten() {
        // A thread may end between the listing and the read.
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        sum += first_number(&text).unwrap_or(0);
    }
    Some(sum)
}

/// The CPU time of this process so far.
pub(super) fn own_cpu_nanos() -> Option<u64> {
    cpu_nanos(std::process::id())
}

/// The memory of a process.
pub(super) fn user_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    kib(&text, "Pss:")
}

/// The most memory that a process had at any time, as the kernel counts what is resident.
pub(super) fn resident_bytes_peak(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kib(&text, "VmHWM:")
}

pub(super) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The sum of what several processes use; unknown if it is for one of them.
pub(super) fn sum(pids: &[u32], of: fn(u32) -> Option<u64>) -> Option<u64> {
    if pids.is_empty() {
        return None;
    }
    pids.iter().map(|pid| of(*pid)).sum()
}

pub(super) fn read(pids: &[u32]) -> Reading {
    Reading {
        cpu_nanos: sum(pids, cpu_nanos),
        user_bytes: sum(pids, user_bytes),
    }
}

pub(super) fn descriptors(pid: u32) -> Option<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(entries.count() as u64)
}

/// What the kernel of this machine holds in its slabs and in buffers of TCP: for both ends of
/// connections within the machine, and for all its other processes.
pub(super) fn kernel_bytes() -> Option<u64> {
    const PAGE_BYTES: u64 = 4096;
    let slabs = kib(&fs::read_to_string("/proc/meminfo").ok()?, "Slab:")?;
    let sockets = fs::read_to_string("/proc/net/sockstat").ok()?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:"))?;
    let mut words = tcp.split_ascii_whitespace();
    words.find(|word| *word == "mem")?;
    let pages: u64 = words.next()?.parse().ok()?;
    Some(slabs + pages * PAGE_BYTES)
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    first_number(line).map(|kib| kib * 1024)
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// The slope of the line that fits the points best (least squares). `None` for fewer than two
/// different x.
pub(super) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
    let mut above = 0.0;
    let mut below = 0.0;
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    (below > 0.0).then(|| above / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_of_a_line_is_exact() {
        let points = [(2000.0, 1300.0), (10_000.0, 5300.0), (18_000.0, 9300.0)];
        assert_eq!(slope(&points), Some(0.5));
    }

    #[test]
    fn slope_of_scattered_points_is_that_of_the_least_squares() {
        // By hand: sum of (x - 2)(y - 3) is 6, sum of (x - 2)^2 is 10.
        let points = [(0.0, 2.0), (1.0, 1.0), (2.0, 4.0), (3.0, 5.0), (4.0, 3.0)];
        assert_eq!(slope(&points), Some(0.6));
    }

    #[test]
    fn points_with_a_single_x_have_no_slope() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 2.0)]), None);
        assert_eq!(slope(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }

    #[test]
    fn own_process_can_be_measured() {
        let pid = std::process::id();
        let before = read(&[pid]);
        let mut sum = 0_u64;
        let mut after = before;
        // The kernel updates CPU times a few times a second.
        for round in 0..1_000_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(round));
            if round % 10_000_000 == 0 {
                after = read(&[pid]);
                if after.cpu_nanos > before.cpu_nanos {
                    break;
                }
            }
        }
        assert!(after.cpu_nanos > before.cpu_nanos);
        assert!(after.user_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(resident_bytes_peak(pid).is_some_and(|bytes| bytes > 100_000));
        assert!(descriptors(pid).is_some_and(|count| count >= 3));
        assert!(kernel_bytes().is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn several_processes_have_the_sum_of_their_figures() {
        let sum = sum(&[3, 4], |pid| Some(u64::from(pid)));
        assert_eq!(sum, Some(7));
    }

    #[test]
    fn process_that_does_not_exist_has_no_figures() {
        assert_eq!(read(&[u32::MAX]), Reading::default());
        assert_eq!(read(&[std::process::id(), u32::MAX]), Reading::default());
        assert_eq!(read(&[]), Reading::default());
        assert_eq!(descriptors(u32::MAX), None);
    }
}
