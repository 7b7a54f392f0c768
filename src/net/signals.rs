//! Signals to the process as something to read, signalfd(2). Every thread blocks them, so that none is
//! handled in the middle of anything, and one that comes while another image of the program is executed
//! waits for that image.

use super::Signal;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal as Number};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Those that a server takes. SIGHUP also where nohup(1) has it ignored: it ends no server.
const TAKEN: [(Number, Signal); 5] = [
    (Number::SIGTERM, Signal::Stop),
    (Number::SIGINT, Signal::Stop),
    (Number::SIGHUP, Signal::Reload),
    (Number::SIGUSR1, Signal::Report),
    (Number::SIGUSR2, Signal::Upgrade),
];

/// The signals that have come and were not taken.
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Blocks them in this thread and in those that it starts later, and has the poll report them.
    pub(super) fn watch(registry: &Registry, token: Token) -> io::Result<Self> {
        let set: SigSet = TAKEN.iter().map(|(number, _)| *number).collect();
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&set, flags)?;
        let descriptor = signals.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
        Ok(Self(signals))
    }

    /// The next one that has come.
    pub(super) fn next(&self) -> Option<Signal> {
        loop {
            match self.0.read_signal() {
                // No further event would report the signal.
                Err(Errno::EINTR) => {}
                Ok(Some(report)) => {
                    let is_it = |(number, _): &&_| *number as u32 == report.ssi_signo;
                    return TAKEN.iter().find(is_it).map(|(_, signal)| *signal);
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }
}
