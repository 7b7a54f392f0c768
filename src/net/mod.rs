//! What the server asks of the operating system, as one trait.
//!
//! [`mio::MioNet`] implements it for the real system; the tests run the same server over a simulated
//! one. With [`dial`] and [`Caller`], the client's side of connections, this module is the only place
//! with sockets, signals and clocks. Elsewhere, `main` reads the environment and writes to the standard
//! streams, and the load tester starts processes and reads and writes files. Every error of a
//! socket is sorted here into what the server can do about it; no other module looks at an error
//! number.

mod call;
mod defer;
pub mod dial;
mod heap;
mod image;
mod inherit;
pub mod mio;
mod notify;
mod nowhere;
mod passed;
mod process;
mod settings;
mod signals;
mod terminal;
mod unix;
mod unsent;
mod waker;

pub use call::Caller;
pub use image::{Image, close_on_exec, take_state};
pub use inherit::{Inherited, InheritedListener, ListenerKind, SocketFileMark};
pub use notify::Manager;
pub use nowhere::Nowhere;
pub use passed::{Passed, PassedError, take_passed};
pub use settings::{ListenAddr, Settings, parse_mode};
pub use terminal::ask_secret;
pub use waker::Waker;

use crate::id::{ConnId, Millis, Peer, Tick};
use dial::Target;
use std::io::IoSlice;
use std::time::Duration;

/// The sockets, the poll and the clock under a server.
///
/// Readiness is edge-triggered: an event is reported once. After it the server must read until
/// [`Read::Blocked`] or remember that there is more, and write until [`Write::Blocked`].
pub trait Net {
    /// One accepted connection. Dropping it closes it.
    type Stream;

    /// The moment. Never goes back.
    fn now(&self) -> Tick;

    /// The time of day. May go back when the system's clock is set, so no deadline may depend on
    /// it.
    fn wall(&self) -> Millis;

    /// Waits until something happens or `until` is reached (`None`: for ever; a moment that has
    /// passed: not at all) and appends what happened. May return early with nothing.
    fn poll(&mut self, until: Option<Tick>, ready: &mut Vec<Ready>);

    /// Takes one waiting connection. It is not watched before [`Net::register`].
    fn accept(&mut self, listener: usize) -> Accept<Self::Stream>;

    /// Takes one waiting connection only to send it `last_words` and close it. Works when the
    /// process is out of descriptors: one is reserved for it.
    fn turn_away(&mut self, listener: usize, last_words: &[u8]) -> TurnAway;

    /// Watches the connection for reading and writing, once and for its whole life. False: the
    /// system refused, and the connection cannot be served.
    #[must_use]
    fn register(&mut self, stream: &mut Self::Stream, id: ConnId) -> bool;

    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> Read;

    /// Writes one slice. `bytes` is not empty.
    fn write(&mut self, stream: &mut Self::Stream, bytes: &[u8]) -> Write;

    /// Writes several slices by one system call.
    fn write_vectored(&mut self, stream: &mut Self::Stream, slices: &[IoSlice<'_>]) -> Write;

    /// Ends our side of the connection (FIN). Errors do not matter: the peer is gone then.
    fn shutdown_write(&mut self, stream: &mut Self::Stream);

    /// Whether the system holds bytes of ours that the peer has not acknowledged. After an ordinary
    /// close it would keep them for minutes if the peer accepts nothing.
    fn has_unsent(&self, stream: &Self::Stream) -> bool;

    /// Makes the close of the stream, which is its drop, discard what the peer has not acknowledged
    /// and reset the connection (RFC 9293 §3.10.4), so that the system holds nothing any more.
    fn reset(&mut self, stream: &mut Self::Stream);

    /// How long the last turn worked: from the end of the wait before it to the begin of the next.
    /// `None`: that is not measured.
    fn worked(&self) -> Option<Duration> {
        None
    }

    /// What the system says of the process, for metrics.
    fn process(&self) -> Process {
        Process::default()
    }

    /// Closes all listeners but these, for good.
    fn stop_listening(&mut self, but: &[usize]);

    /// Informs the service manager, where there is one, that the settings are being read again or,
    /// with `false`, that this is over.
    fn reloads(&mut self, _begins: bool) {}

    /// What another image must know of the listeners and the clock.
    fn inherited(&self) -> Inherited {
        Inherited::default()
    }

    /// By which number another image takes a connection over.
    fn passes(&self, _stream: &Self::Stream) -> u64 {
        0
    }

    /// Takes over the connection with this number; `None`: there is none. It is not watched before
    /// [`Net::register`].
    fn takes(&mut self, _number: u64) -> Option<Self::Stream> {
        None
    }

    /// Begins to connect to another server, and watches the connection for its whole life. The first
    /// writable event of this link tells that [`Net::dialed`] has the outcome.
    ///
    /// # Errors
    /// Why the attempt could not begin.
    fn dial(&mut self, _target: &Target, _link: usize) -> Result<Self::Stream, String> {
        Err(String::from(
            "connections to other servers are not made here",
        ))
    }

    /// Whether an attempt to connect has succeeded; `Ok(false)`: it is still under way.
    ///
    /// # Errors
    /// Why it failed.
    fn dialed(&self, _stream: &Self::Stream) -> Result<bool, String> {
        Ok(true)
    }

    /// Gives memory that the process does not use back to the system, where there is such a thing.
    fn trim_memory(&mut self) {}
}

/// What the process takes, as far as the system says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// When the server was set up.
    pub started: Option<Millis>,
    /// Memory that is not given back or swapped out.
    pub resident_bytes: Option<u64>,
    /// What is in use of it, as the allocator counts.
    pub allocated_bytes: Option<u64>,
    pub open_descriptors: Option<u64>,
    pub descriptors_max: Option<u64>,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Connections wait at this listener.
    Listener(usize),
    /// A connection can be read or written. `ended`: the peer closed its side or an error is
    /// pending, so that a short read does not yet mean that all was read.
    Connection {
        id: ConnId,
        readable: bool,
        writable: bool,
        ended: bool,
    },
    /// A connection that this server has made: see [`Net::dial`].
    Link {
        link: usize,
        readable: bool,
        writable: bool,
        ended: bool,
    },
    Signal(Signal),
    /// Another thread has something for the loop: see [`Waker`].
    Woken,
}

/// A signal to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP: read the settings again.
    Reload,
    /// SIGUSR1: write the counters.
    Report,
    /// SIGUSR2: let the program that is in the place of this one take over.
    Upgrade,
}

/// What came of accepting.
#[derive(Debug)]
pub enum Accept<S> {
    Connection(S, Peer),
    /// No connection waits; an event reports the next one.
    Empty,
    /// That one failed (it was aborted, or a signal came); there may be more.
    Again,
    /// No descriptor or no memory is left. The connections that wait go on waiting, and no event
    /// reports them again.
    Exhausted,
}

/// What came of turning a connection away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnAway {
    Done,
    /// No connection waits.
    Empty,
    /// Not even that was possible; to be tried again later.
    Failed,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing to read; an event reports when there is.
    Blocked,
    /// The system is short of memory for a moment. No event tells when it has some: try again.
    Retry,
    /// The peer has closed its side.
    End,
    /// The connection is gone.
    Gone,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// So many bytes, at least one.
    Bytes(usize),
    /// No room; an event reports when there is.
    Blocked,
    /// The system is short of memory for a moment. No event tells when it has some: try again.
    Retry,
    /// The connection is gone.
    Gone,
}
