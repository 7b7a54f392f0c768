//! Listening sockets that the service manager has opened and passes to this process (socket
//! activation, sd_listen_fds(3)). Comes in: the environment. Goes out: sockets with the options of
//! this server's own. Who passed them keeps them open, so that connections that come during a restart
//! wait in them.
//!
//! The variables stay in the environment: a child, if the server had one, would find another process
//! than itself in LISTEN_PID and ignore them, and the descriptors are closed on exec.

use super::Settings;
use super::defer::defer_accept;
use socket2::{Domain, Socket, Type};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The first descriptor (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;

/// More than any unit has; a number that is higher is a mistake.
const COUNT_MAX: RawFd = 64;

/// A socket with the name that its unit gives it (FileDescriptorName=).
#[derive(Debug)]
pub struct Passed {
    pub(super) socket: Socket,
    pub(super) name: String,
}

/// Why a socket that was passed cannot be used.
#[derive(Debug)]
pub enum PassedError {
    /// LISTEN_FDS is no number of descriptors.
    Count(OsString),
    /// The descriptor with this name is not open, or is no listening stream socket.
    NotListening {
        descriptor: RawFd,
        name: String,
    },
    Options {
        name: String,
        error: io::Error,
    },
}

impl fmt::Display for PassedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(value) => write!(
                f,
                "LISTEN_FDS {value:?} in the environment is not a number from 1 to {COUNT_MAX}"
            ),
            Self::NotListening { descriptor, name } => write!(
                f,
                "the descriptor {descriptor} ({name}), which LISTEN_FDS passes, is not a listening \
                 socket of TCP or a Unix socket of streams (ListenStream=)"
            ),
            Self::Options { name, error } => {
                write!(
                    f,
                    "cannot listen on the socket {name} that was passed: {error}"
                )
            }
        }
    }
}

impl std::error::Error for PassedError {}

/// Takes the sockets that were passed to this process. `variable` looks up a name in the environment,
/// `pid` is this process. To be called once, before the process has opened anything.
///
/// # Errors
/// What was passed cannot be listened on.
pub fn take_passed(
    variable: impl Fn(&str) -> Option<OsString>,
    pid: u32,
) -> Result<Vec<Passed>, PassedError> {
    let is_ours = variable("LISTEN_PID").is_some_and(|id| id == *pid.to_string());
    let Some(count) = variable("LISTEN_FDS").filter(|_| is_ours) else {
        return Ok(Vec::new());
    };
    let number = count.to_str().and_then(|count| count.parse().ok());
    let Some(number) = number.filter(|number| (1..=COUNT_MAX).contains(number)) else {
        return Err(PassedError::Count(count));
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.to_string_lossy();
    let mut names = names.split(':');
    (FIRST..FIRST + number)
        .map(|descriptor| {
            let name = names.next().filter(|name| !name.is_empty());
            let name = name.unwrap_or("unknown").to_owned();
            match take(descriptor) {
                Some(socket) => Ok(Passed { socket, name }),
                None => Err(PassedError::NotListening { descriptor, name }),
            }
        })
        .collect()
}

/// `None`: it is no listening stream socket.
fn take(descriptor: RawFd) -> Option<Socket> {
    let owned = own(descriptor)?;
    let socket = Socket::from(owned);
    let is_stream = socket.r#type().is_ok_and(|of| of == Type::STREAM);
    let is_known = socket
        .domain()
        .is_ok_and(|of| [Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&of));
    (is_stream && is_known && socket.is_listener().unwrap_or(false)).then_some(socket)
}

/// `None`: it is not open.
#[expect(unsafe_code, reason = "a number from outside becomes a descriptor")]
pub(super) fn own(descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl takes any number, and F_GETFD has no argument.
    if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and nothing else in this process owns it: the manager has passed it, and it
    // is taken once, at the start.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

impl Passed {
    pub(super) fn is_unix(&self) -> bool {
        self.socket.domain().is_ok_and(|of| of == Domain::UNIX)
    }

    /// Sets what this server sets for its own listeners and can be set after they are bound.
    pub(super) fn prepare(&self, settings: &Settings) -> io::Result<()> {
        let socket = &self.socket;
        socket.set_cloexec(true)?;
        socket.set_nonblocking(true)?;
        socket.set_send_buffer_size(settings.send_buffer_bytes)?;
        if !self.is_unix() {
            socket.set_tcp_nodelay(true)?;
            let low_water = u32::try_from(settings.send_buffer_bytes).unwrap_or(u32::MAX);
            socket.set_tcp_notsent_lowat(low_water)?;
            defer_accept(socket)?;
        }
        // The length of the queue is the unit's to say (Backlog=).
        Ok(())
    }

    pub(super) fn refused(&self, error: io::Error) -> PassedError {
        PassedError::Options {
            name: self.name.clone(),
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(pairs: &[(&str, &str)]) -> Result<usize, String> {
        let variable = |name: &str| {
            let found = pairs.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(found.1))
        };
        take_passed(variable, 7)
            .map(|sockets| sockets.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_passed_to_another_process_is_ignored() {
        for pairs in [
            &[][..],
            &[("LISTEN_FDS", "1")],
            &[("LISTEN_FDS", "1"), ("LISTEN_PID", "8")],
            &[("LISTEN_FDS", "1"), ("LISTEN_PID", "")],
            &[("LISTEN_PID", "7")],
        ] {
            assert_eq!(passed(pairs), Ok(0), "{pairs:?}");
        }
    }

    #[test]
    fn count_that_is_none_is_refused() {
        for count in ["", "0", "-1", "x", "65", "99999999999"] {
            let error = passed(&[("LISTEN_FDS", count), ("LISTEN_PID", "7")]).unwrap_err();
            assert!(error.contains("is not a number from 1 to 64"), "{error}");
        }
    }
}
