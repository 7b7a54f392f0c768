//! The client's side: connections to a server, many at a time, without waiting for any of them.
//! For the load tester. Knows addresses and bytes, not what the bytes mean.

use super::mio::{EVENTS_MAX, Stream, clock, connection_event, wait, watch_stream};
use super::{Read, Ready, Write};
use crate::id::ConnId;
use mio::net::{TcpStream, UnixStream};
use mio::{Events, Poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A moment: microseconds since its clock was started. Or a length of time.
pub type Micros = u64;

/// A clock with its own start. Never goes back.
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts at zero.
    #[expect(
        clippy::new_without_default,
        reason = "a running clock is no default value"
    )]
    pub fn new() -> Self {
        Self(clock())
    }

    pub fn now(&self) -> Micros {
        clock().duration_since(self.0).as_micros() as Micros
    }
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Target {
    /// The first address that a host's name and a port stand for.
    ///
    /// # Errors
    /// The resolver's error.
    pub fn resolve(host: &str, port: u16) -> io::Result<Self> {
        let mut addresses = (host.trim_matches(['[', ']']), port).to_socket_addrs()?;
        addresses
            .next()
            .map(Self::Tcp)
            .ok_or_else(|| io::Error::other("the name has no address"))
    }
}

/// Why a connection was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialError {
    Refused,
    Reset,
    /// The server did not answer in the system's time, or the backlog of its Unix socket is full.
    TimedOut,
    /// The process has no descriptor left.
    Descriptors,
    /// All ports of the source address are in use.
    Ports,
    Other,
}

impl DialError {
    fn of(error: &io::Error) -> Self {
        let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
        if is(Errno::CONNREFUSED) || is(Errno::NOENT) {
            Self::Refused
        } else if is(Errno::CONNRESET) || is(Errno::CONNABORTED) || is(Errno::PIPE) {
            Self::Reset
        } else if is(Errno::TIMEDOUT) || is(Errno::AGAIN) {
            // A Unix socket with a full backlog answers a nonblocking connect with EAGAIN.
            Self::TimedOut
        } else if is(Errno::MFILE) || is(Errno::NFILE) {
            Self::Descriptors
        } else if is(Errno::ADDRNOTAVAIL) || is(Errno::ADDRINUSE) {
            Self::Ports
        } else {
            Self::Other
        }
    }
}

/// A poll with a clock in microseconds.
///
/// As with [`super::Net`], readiness is edge-triggered and every stream is watched both ways.
pub struct Dialer {
    poll: Poll,
    events: Events,
    clock: Clock,
}

impl Dialer {
    /// # Errors
    /// When the system has no poll to give.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            clock: Clock::new(),
        })
    }

    /// The moment. Never goes back.
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// Begins to connect. After the first writable event [`Dialer::connected`] has the outcome.
    /// `from` is the source address, `receive_bytes` the size of the kernel's receive buffer;
    /// `None`: the system's choice.
    ///
    /// # Errors
    /// Why the attempt could not begin.
    pub fn connect(
        &self,
        target: &Target,
        from: Option<IpAddr>,
        receive_bytes: Option<usize>,
        id: ConnId,
    ) -> Result<Stream, DialError> {
        let mut stream =
            open(target, from, receive_bytes).map_err(|error| DialError::of(&error))?;
        watch_stream(&self.poll, &mut stream, id).map_err(|error| DialError::of(&error))?;
        Ok(stream)
    }

    /// Whether an attempt to connect has succeeded; `Ok(false)`: it is still under way.
    ///
    /// # Errors
    /// Why it failed.
    pub fn connected(&self, stream: &Stream) -> Result<bool, DialError> {
        outcome(stream).map_err(|error| DialError::of(&error))
    }

    /// Waits until something happens or a moment is reached, and appends what happened. `until`
    /// may be exceeded by a millisecond, the resolution of the poll's timeout. `exactly` is not:
    /// in the last fraction of a millisecond before it the call only yields the processor and
    /// returns, and the caller calls again.
    pub fn poll(&mut self, until: Micros, exactly: Option<Micros>, ready: &mut Vec<Ready>) {
        let now = self.now();
        let left = until.saturating_sub(now).div_ceil(1000);
        let exact = exactly.map_or(Micros::MAX, |exactly| exactly.saturating_sub(now));
        let timeout = Duration::from_millis(left.min(exact / 1000));
        if !wait(&mut self.poll, &mut self.events, Some(timeout)) {
            return;
        }
        for event in &self.events {
            let id = ConnId::from_u64(event.token().0 as u64);
            ready.push(connection_event(id, event));
        }
        if exact < 1000 && self.events.is_empty() {
            std::thread::yield_now();
        }
    }

    pub fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> Read {
        stream.read(buffer)
    }

    /// Writes one slice. `bytes` is not empty.
    pub fn write(&mut self, stream: &mut Stream, bytes: &[u8]) -> Write {
        stream.write(bytes)
    }

    /// Ends the client's side of the connection (FIN).
    pub fn shutdown_write(&mut self, stream: &mut Stream) {
        stream.shutdown_write();
    }
}

/// Whether an attempt to connect has succeeded; `Ok(false)`: it is still under way.
pub(super) fn outcome(stream: &Stream) -> io::Result<bool> {
    let (error, is_there) = match stream {
        Stream::Tcp(stream) => (stream.take_error(), stream.peer_addr().is_ok()),
        Stream::Unix(stream) => (stream.take_error(), stream.peer_addr().is_ok()),
    };
    match error? {
        None => Ok(is_there),
        Some(error) => Err(error),
    }
}

/// Begins to connect.
pub(super) fn open(
    target: &Target,
    from: Option<IpAddr>,
    receive_bytes: Option<usize>,
) -> io::Result<Stream> {
    let (socket, address) = match target {
        Target::Tcp(address) => {
            let domain = Domain::for_address(*address);
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_tcp_nodelay(true)?;
            if let Some(from) = from {
                socket.bind(&SocketAddr::new(from, 0).into())?;
            }
            (socket, SockAddr::from(*address))
        }
        Target::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            (socket, SockAddr::unix(path)?)
        }
    };
    if let Some(bytes) = receive_bytes {
        // Before connecting: the window of the SYN is already announced by this size.
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_nonblocking(true)?;
    match socket.connect(&address) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(match target {
        Target::Tcp(_) => Stream::Tcp(TcpStream::from_std(socket.into())),
        Target::Unix(_) => Stream::Unix(UnixStream::from_std(
            std::os::unix::net::UnixStream::from(socket),
        )),
    })
}
