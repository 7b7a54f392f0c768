//! What the service manager (systemd) is informed of, as sd_notify(3) describes it: datagrams to the
//! socket that it names. Knows no server; the loop's poll keeps its watchdog calm, and a loop that
//! does not turn does not.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The service manager that has started this process and wants to be informed.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Watchdog>,
}

/// It ends a service of which it hears nothing for twice as long as `every`.
#[derive(Debug)]
struct Watchdog {
    every: Duration,
    due: Option<Instant>,
}

impl Manager {
    /// `variable` looks up a name in the environment, `pid` is this process. `None`: no manager wants
    /// to be informed.
    ///
    /// # Errors
    /// The address in NOTIFY_SOCKET is none.
    pub fn find(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> io::Result<Option<Self>> {
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Some(Self {
            socket,
            address: address(name.as_bytes())?,
            watchdog: interval(&variable, pid).map(|every| Watchdog { every, due: None }),
        }))
    }

    /// Sends assignments, one a line. A manager that is gone, or takes nothing at the moment, is no
    /// reason to end or to wait.
    pub(super) fn notify(&self, assignments: &str) {
        let _ = self
            .socket
            .send_to_addr(assignments.as_bytes(), &self.address);
    }

    /// A reload begins or is over. A manager compares the moment with that at which it asked for one.
    pub(super) fn reloads(&self, begins: bool) {
        if begins {
            let micros = monotonic_micros();
            self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
        } else {
            self.notify("READY=1");
        }
    }

    /// To be called once a turn, with the time that the turn may wait: sends what keeps the watchdog
    /// calm if that is due, and returns how long the turn may wait at most.
    pub(super) fn keep_alive(
        &mut self,
        now: impl FnOnce() -> Instant,
        wait: Option<Duration>,
    ) -> Option<Duration> {
        let Some(watchdog) = &mut self.watchdog else {
            return wait;
        };
        let now = now();
        let due = match watchdog.due {
            Some(due) if now < due => due,
            Some(_) | None => {
                let due = now + watchdog.every;
                watchdog.due = Some(due);
                self.notify("WATCHDOG=1");
                due
            }
        };
        let left = due.saturating_duration_since(now);
        Some(wait.map_or(left, |wait| wait.min(left)))
    }
}

/// The clock that the manager compares with (CLOCK_MONOTONIC), which std's `Instant` does not show.
pub(super) fn monotonic_micros() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(unsafe_code, reason = "no library in the tree asks this clock by name")]
    // SAFETY: the pointer is to a timespec, which the call fills and does not keep.
    let outcome = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let micros = u64::try_from(now.tv_nsec / 1000).unwrap_or(0);
    if outcome == 0 {
        seconds * 1_000_000 + micros
    } else {
        0
    }
}

/// A path, or with `@` in front a name in Linux's abstract namespace.
fn address(name: &[u8]) -> io::Result<SocketAddr> {
    match name {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is neither a path nor begins with @",
        )),
    }
}

/// Half of the time within which the watchdog must hear something of this process.
fn interval(variable: &impl Fn(&str) -> Option<OsString>, pid: u32) -> Option<Duration> {
    let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
    let is_ours = variable("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(pid.into());
    let micros = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_ours)?;
    Some(Duration::from_micros(micros / 2).max(Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::mio::clock;

    fn in_environment(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        let pairs: Vec<(String, OsString)> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
            .collect();
        move |name: &str| {
            let found = pairs.iter().find(|(known, _)| known == name)?;
            Some(found.1.clone())
        }
    }

    #[test]
    fn watchdog_is_kept_calm_at_half_of_its_time_if_it_is_ours() {
        for (pairs, expected) in [
            (&[][..], None),
            (&[("WATCHDOG_USEC", "30000000")], Some(15_000)),
            (
                &[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "7")],
                Some(15_000),
            ),
            (
                &[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "8")],
                None,
            ),
            (
                &[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "x")],
                None,
            ),
            (&[("WATCHDOG_USEC", "0")], None),
            (&[("WATCHDOG_USEC", "soon")], None),
            (&[("WATCHDOG_USEC", "1")], Some(1)),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(interval(&in_environment(pairs), 7), expected, "{pairs:?}");
        }
    }

    #[test]
    fn address_of_the_manager_is_a_path_or_an_abstract_name() {
        let path = address(b"/run/systemd/notify").unwrap();
        assert_eq!(path.as_pathname(), Some("/run/systemd/notify".as_ref()));
        let name = address(b"@/org/freedesktop/systemd1/notify").unwrap();
        let expected = &b"/org/freedesktop/systemd1/notify"[..];
        assert_eq!(name.as_abstract_name(), Some(expected));
        for other in [&b""[..], b"vsock:2:1234", b"relative"] {
            assert!(address(other).is_err());
        }
    }

    #[test]
    fn a_turn_waits_no_longer_than_the_watchdog_allows() {
        let receiver = UnixDatagram::bind_addr(&address(b"@parlor-test-keep-alive").unwrap());
        let receiver = receiver.expect("the name is free");
        receiver.set_nonblocking(true).unwrap();
        let heard = || {
            let mut bytes = [0; 64];
            receiver.recv(&mut bytes).is_ok()
        };
        let environment = in_environment(&[
            ("NOTIFY_SOCKET", "@parlor-test-keep-alive"),
            ("WATCHDOG_USEC", "20000000"),
        ]);
        let mut manager = Manager::find(environment, 7).unwrap().expect("a manager");
        let start = clock();
        let seconds = Duration::from_secs;
        let mut at = |after, wait| manager.keep_alive(|| start + seconds(after), wait);
        assert_eq!(at(0, None), Some(seconds(10)));
        assert!(heard());
        assert_eq!(at(4, None), Some(seconds(6)));
        assert_eq!(at(4, Some(seconds(1))), Some(seconds(1)));
        assert!(!heard());
        assert_eq!(at(10, Some(seconds(60))), Some(seconds(10)));
        assert!(heard());
    }

    #[test]
    fn without_a_watchdog_the_clock_is_not_asked() {
        let environment = in_environment(&[("NOTIFY_SOCKET", "@parlor-test-nobody")]);
        let mut manager = Manager::find(environment, 7).unwrap().expect("a manager");
        let wait = manager.keep_alive(|| panic!("it is asked"), None);
        assert_eq!(wait, None);
        assert!(Manager::find(in_environment(&[]), 7).unwrap().is_none());
    }
}
