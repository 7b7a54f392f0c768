//! Whether the process of `--pid` is the one that serves the URL. Without this check the figures of
//! a wrapper, a shell for instance, would be reported as the server's.
//!
//! The kernel lists every listening socket with its inode (/proc/PID/net), and every process the
//! inodes of its sockets (/proc/PID/fd). Reads /proc and nothing else.

use crate::net::dial::Target;
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// What was found out about a process and a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The process has a socket that listens there.
    Itself,
    /// There is no such process.
    NoProcess,
    /// The process belongs to another user, so its sockets are secret and its memory is too.
    Unreadable,
    /// The process has no listening socket at all, so it is no server. The process that has the
    /// one of the URL, if it was found.
    NoServer(Option<Process>),
    /// The process listens elsewhere: it may be a server behind a proxy.
    Elsewhere(Option<Process>),
}

/// A process for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// A sentence for the user, or nothing to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remark {
    Error(String),
    Warning(String),
}

/// Looks for the process that listens where the URL points.
pub(super) fn find(pid: u32, target: &Target) -> Holder {
    if !Path::new(&format!("/proc/{pid}")).exists() {
        return Holder::NoProcess;
    }
    let Some(own) = sockets(pid) else {
        return Holder::Unreadable;
    };
    // The process may live in another network namespace; its own table is the right one.
    let all = Listeners::read(pid);
    let wanted = all.of(target);
    if !own.is_disjoint(&wanted) {
        return Holder::Itself;
    }
    let other = holder_of(&wanted, pid);
    if own.is_disjoint(&all.inodes()) {
        Holder::NoServer(other)
    } else {
        Holder::Elsewhere(other)
    }
}

impl Holder {
    /// What to say about it; `None`: all is well.
    pub(super) fn remark(&self, pid: u32, url: &str) -> Option<Remark> {
        let other = |process: &Option<Process>| match process {
            Some(Process { pid, name }) => format!("; process {pid} ({name}) does"),
            None => String::new(),
        };
        match self {
            Self::Itself => None,
            Self::NoProcess => Some(Remark::Error(String::from("there is no such process"))),
            Self::Unreadable => Some(Remark::Warning(format!(
                "--pid {pid}: the process belongs to another user; its memory and its sockets \
                 cannot be read"
            ))),
            Self::NoServer(process) => Some(Remark::Error(format!(
                "the process does not listen on the address of {url}, nor on any other{}",
                other(process)
            ))),
            Self::Elsewhere(process) => Some(Remark::Warning(format!(
                "--pid {pid}: the process does not listen on the address of {url}{}; its figures \
                 are those of the server only if a proxy stands between",
                other(process)
            ))),
        }
    }
}

/// The inodes of a process's sockets; `None`: they may not be read.
fn sockets(pid: u32) -> Option<BTreeSet<u64>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let inode = |path: &Path| {
        let link = fs::read_link(path).ok()?;
        let text = link.to_str()?.strip_prefix("socket:[")?;
        text.strip_suffix(']')?.parse().ok()
    };
    let entries = entries.flatten();
    Some(entries.filter_map(|entry| inode(&entry.path())).collect())
}

/// The first other process that has one of these sockets.
fn holder_of(inodes: &BTreeSet<u64>, besides: u32) -> Option<Process> {
    if inodes.is_empty() {
        return None;
    }
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.find(|pid| {
        let has_one = || sockets(*pid).is_some_and(|own| !own.is_disjoint(inodes));
        *pid != besides && has_one()
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Process {
        pid,
        name: name.trim_end().to_owned(),
    })
}

/// All listening sockets of a network namespace.
#[derive(Default)]
struct Listeners {
    tcp: Vec<(SocketAddr, u64)>,
    unix: Vec<(String, u64)>,
}

impl Listeners {
    fn read(pid: u32) -> Self {
        let text =
            |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        let mut all = Self::default();
        for table in [text("tcp"), text("tcp6")] {
            all.tcp
                .extend(table.lines().skip(1).filter_map(tcp_listener));
        }
        let unix = text("unix");
        all.unix
            .extend(unix.lines().skip(1).filter_map(unix_listener));
        all
    }

    fn inodes(&self) -> BTreeSet<u64> {
        let tcp = self.tcp.iter().map(|(_, inode)| *inode);
        tcp.chain(self.unix.iter().map(|(_, inode)| *inode))
            .collect()
    }

    /// The sockets that accept connections to a target.
    fn of(&self, target: &Target) -> BTreeSet<u64> {
        match target {
            Target::Tcp(address) => {
                let listeners = self.tcp.iter();
                listeners
                    .filter(|(listener, _)| accepts(*listener, *address))
                    .map(|(_, inode)| *inode)
                    .collect()
            }
            Target::Unix(path) => {
                let real = |path: &Path| fs::canonicalize(path).ok();
                let wanted = real(path);
                let is_same = |listener: &str| {
                    Path::new(listener) == path
                        || wanted.is_some() && real(Path::new(listener)) == wanted
                };
                let listeners = self.unix.iter();
                listeners
                    .filter(|(listener, _)| is_same(listener))
                    .map(|(_, inode)| *inode)
                    .collect()
            }
        }
    }
}

/// Whether a listener on one address accepts connections to another.
fn accepts(listener: SocketAddr, target: SocketAddr) -> bool {
    let (own, wanted) = (listener.ip().to_canonical(), target.ip().to_canonical());
    listener.port() == target.port() && (own == wanted || own.is_unspecified())
}

/// A line of /proc/net/tcp or tcp6, if its socket listens: the local address is the second word,
/// the state the fourth, the inode the tenth.
fn tcp_listener(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTEN: &str = "0A";
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if words.get(3) != Some(&LISTEN) {
        return None;
    }
    let (ip, port) = words.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((
        SocketAddr::new(hex_ip(ip)?, port),
        words.get(9)?.parse().ok()?,
    ))
}

/// Words of 32 bits in the machine's order, each printed as a number.
fn hex_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(8 * at..8 * at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

/// A line of /proc/net/unix, if its socket has a path and listens: the flags are the fourth word,
/// the inode the seventh, the path is the rest.
fn unix_listener(line: &str) -> Option<(String, u64)> {
    /// `__SO_ACCEPTCON` of the kernel.
    const LISTENS: u32 = 0x1_0000;
    let mut words = line.split_ascii_whitespace();
    let flags = u32::from_str_radix(words.nth(3)?, 16).ok()?;
    let inode = words.nth(2)?.parse().ok()?;
    let path = line.split_once(&format!(" {inode} "))?.1;
    (flags & LISTENS != 0).then(|| (path.to_owned(), inode))
}

#[cfg(test)]
mod tests;
