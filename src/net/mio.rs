//! The real [`Net`]: mio's poll, the listeners, the sockets, the signals and the clocks.
//! `dial.rs` is its counterpart for clients and uses its clock.

use super::defer::defer_accept;
use super::dial::{self, Target};
use super::notify::{Manager, monotonic_micros};
use super::passed::{Passed, PassedError, own};
use super::signals::Signals;
use super::unix::{self, SocketFile, UnixError};
use super::unsent::{reset_on_close, unsent_bytes};
use super::{
    Accept, Inherited, InheritedListener, ListenAddr, ListenerKind, Net, Process, Read, Ready,
    Settings, SocketFileMark, TurnAway, Waker, Write, heap, process,
};
use crate::id::{ConnId, Millis, Peer, Tick};
use mio::event::{Event, Source};
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token};
use rustix::io::{Errno, writev};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A token is a [`ConnId`] in one word.
const _: () = assert!(usize::BITS == 64, "a token holds a slot and a generation");

/// No connection has this generation: it marks listeners, signals and the waker.
const OURS: u32 = u32::MAX;
const SIGNALS: ConnId = ConnId::new(u32::MAX, OURS);
const WAKER: ConnId = ConnId::new(u32::MAX - 1, OURS);
/// Links to other servers have the numbers below this one.
const LINKS_END: u32 = u32::MAX - 1;
/// So many links there may be.
const LINKS_MAX: u32 = 16;

/// The identity of a link to another server.
const fn link_id(link: usize) -> ConnId {
    ConnId::new(LINKS_END - 1 - link as u32 % LINKS_MAX, OURS)
}

/// The link that has this identity.
const fn link_of(id: ConnId) -> Option<usize> {
    match (id.generation(), (LINKS_END - 1).checked_sub(id.slot())) {
        (OURS, Some(link @ 0..LINKS_MAX)) => Some(link as usize),
        _ => None,
    }
}

/// Only the user of the server may connect.
const ADMIN_MODE: u32 = 0o600;

/// Events taken by one poll. More wait in the kernel, so this bounds a turn, not the load.
pub(super) const EVENTS_MAX: usize = 1024;

/// Why the server cannot start.
#[derive(Debug)]
pub enum StartError {
    Tcp {
        address: SocketAddr,
        error: io::Error,
    },
    Tls {
        address: SocketAddr,
        error: io::Error,
    },
    Metrics {
        address: SocketAddr,
        error: io::Error,
    },
    Unix {
        path: PathBuf,
        error: UnixError,
    },
    Admin {
        path: PathBuf,
        error: UnixError,
    },
    Passed(PassedError),
    Poll(io::Error),
    Signals(io::Error),
    /// A listener that an earlier image has left is not there.
    NotInherited,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, error } if error.kind() == ErrorKind::AddrInUse => {
                write!(
                    f,
                    "cannot listen on {address}: it is in use; choose another with --listen"
                )
            }
            Self::Tcp { address, error } => write!(f, "cannot listen on {address}: {error}"),
            Self::Tls { address, error } => write!(
                f,
                "cannot listen on {address}: {error}; choose another with --tls-listen"
            ),
            Self::Metrics { address, error } => write!(
                f,
                "cannot listen on {address}: {error}; choose another with --metrics-listen"
            ),
            Self::Unix { path, error } => {
                write!(f, "cannot listen on unix:{}: ", path.display())?;
                error.say("--listen", f)
            }
            Self::Admin { path, error } => {
                write!(f, "cannot make the admin socket {}: ", path.display())?;
                error.say("--admin-socket", f)
            }
            Self::Passed(error) => write!(f, "{error}"),
            Self::Poll(error) => write!(f, "cannot set up the poll: {error}"),
            Self::NotInherited => f.write_str("a listener of the image before is not there"),
            Self::Signals(error) => write!(f, "cannot watch for signals: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Raises the soft limit of open descriptors to the hard one and returns it.
pub fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.map_or(usize::MAX, |count| {
        usize::try_from(count).unwrap_or(usize::MAX)
    })
}

/// The operating system as a [`Net`].
pub struct MioNet {
    poll: Poll,
    events: Events,
    listeners: Vec<Listener>,
    /// The one of the listeners that is for monitors.
    metrics: Option<usize>,
    signals: Signals,
    waker: Waker,
    /// Closed for a moment to accept a connection and turn it away when no other descriptor is left.
    reserve: Option<File>,
    /// The service manager, if there is one that wants to be informed.
    manager: Option<Manager>,
    start: Instant,
    /// The same as another image reads it.
    start_micros: u64,
    started: Millis,
    /// The one of the listeners that is for operators.
    admin: Option<usize>,
    /// When the last wait for events ended.
    woke: Option<Instant>,
    worked: Option<Duration>,
}

impl MioNet {
    /// Listens on the sockets that were passed to this process or, if none was, on all addresses of
    /// the settings, and watches for signals.
    pub fn bind(settings: &Settings, passed: Vec<Passed>) -> Result<Self, StartError> {
        let poll = Poll::new().map_err(StartError::Poll)?;
        // First, so that a signal during the start does not leave a socket's file behind.
        let signals = Signals::watch(poll.registry(), token(SIGNALS));
        let signals = signals.map_err(StartError::Signals)?;
        let waker = mio::Waker::new(poll.registry(), token(WAKER)).map_err(StartError::Poll)?;
        let mut listeners = Listener::all(settings, passed)?;
        for (number, listener) in listeners.iter_mut().enumerate() {
            let id = ConnId::new(number as u32, OURS);
            listener.watch(&poll, id).map_err(StartError::Poll)?;
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            listeners,
            metrics: None,
            signals,
            waker: Waker::new(waker),
            reserve: reserve(),
            manager: None,
            start: clock(),
            start_micros: monotonic_micros(),
            started: wall_clock(),
            admin: None,
            woke: None,
            worked: None,
        })
    }

    /// Goes on with the listeners and the clock of an earlier image of this process.
    ///
    /// # Errors
    /// A listener is not there, or the system refuses.
    pub fn inherit(inherited: Inherited) -> Result<Self, StartError> {
        let none = Settings {
            listen: Vec::new(),
            ..Settings::default()
        };
        let mut net = Self::bind(&none, Vec::new())?;
        for (number, listener) in inherited.listeners.into_iter().enumerate() {
            let mut listener = Listener::inherit(listener).ok_or(StartError::NotInherited)?;
            let id = ConnId::new(number as u32, OURS);
            listener.watch(&net.poll, id).map_err(StartError::Poll)?;
            net.listeners.push(listener);
        }
        net.metrics = inherited.metrics.map(|number| number as usize);
        net.admin = inherited.admin.map(|number| number as usize);
        let since = monotonic_micros().saturating_sub(inherited.start_micros);
        let now = clock();
        net.start = now.checked_sub(Duration::from_micros(since)).unwrap_or(now);
        net.start_micros = inherited.start_micros;
        net.started = inherited.started;
        Ok(net)
    }

    /// The numbers of the listeners for monitors and for operators.
    pub const fn aside(&self) -> (Option<usize>, Option<usize>) {
        (self.metrics, self.admin)
    }

    /// The numbers of the listeners where TLS is spoken.
    pub fn secure(&self) -> Vec<usize> {
        let listeners = self.listeners.iter().enumerate();
        let secure = listeners.filter(|(_, listener)| matches!(listener, Listener::Tls(_)));
        secure.map(|(number, _)| number).collect()
    }

    /// How long ago a moment of [`Inherited`] was.
    pub fn since(micros: u64) -> Duration {
        Duration::from_micros(monotonic_micros().saturating_sub(micros))
    }

    /// The sockets of the listeners.
    pub fn listening(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listeners.iter().filter_map(Listener::descriptor)
    }

    /// Informs a service manager from here on: of a stop, and of each turn if it has a watchdog.
    pub fn informs(&mut self, manager: Manager) {
        self.manager = Some(manager);
    }

    /// Sends assignments of sd_notify(3), one a line, to the service manager if there is one.
    pub fn notify(&self, assignments: &str) {
        if let Some(manager) = &self.manager {
            manager.notify(assignments);
        }
    }

    /// Listens for operators at `path`, where only the user of this process may connect, and
    /// returns the number of the listener. To be called while the process has one thread.
    pub fn bind_admin(&mut self, path: &Path, settings: &Settings) -> Result<usize, StartError> {
        let settings = Settings {
            unix_mode: ADMIN_MODE,
            unix_group: None,
            ..settings.clone()
        };
        let refused = |error| StartError::Admin {
            path: path.to_owned(),
            error,
        };
        let (socket, file) = unix::bind(path, &settings).map_err(refused)?;
        let socket = std::os::unix::net::UnixListener::from(socket);
        let mut listener = Listener::Admin(file, UnixListener::from_std(socket));
        let number = self.listeners.len();
        let id = ConnId::new(number as u32, OURS);
        listener.watch(&self.poll, id).map_err(StartError::Poll)?;
        self.listeners.push(listener);
        self.admin = Some(number);
        Ok(number)
    }

    /// Listens for monitors, and returns the number of the listener.
    pub fn bind_metrics(
        &mut self,
        address: SocketAddr,
        settings: &Settings,
    ) -> Result<usize, StartError> {
        let settings = Settings {
            // A monitor asks one server.
            reuse_port: false,
            ..settings.clone()
        };
        let mut listener = match bind_tcp(address, &settings) {
            Ok(listener) => Listener::Tcp(listener),
            Err(error) => return Err(StartError::Metrics { address, error }),
        };
        let number = self.listeners.len();
        let id = ConnId::new(number as u32, OURS);
        listener.watch(&self.poll, id).map_err(StartError::Poll)?;
        self.listeners.push(listener);
        self.metrics = Some(number);
        Ok(number)
    }

    /// Listens where TLS is spoken, and returns the number of the listener.
    pub fn bind_tls(
        &mut self,
        address: SocketAddr,
        settings: &Settings,
    ) -> Result<usize, StartError> {
        let mut listener = match bind_tcp(address, settings) {
            Ok(listener) => Listener::Tls(listener),
            Err(error) => return Err(StartError::Tls { address, error }),
        };
        let number = self.listeners.len();
        let id = ConnId::new(number as u32, OURS);
        listener.watch(&self.poll, id).map_err(StartError::Poll)?;
        self.listeners.push(listener);
        Ok(number)
    }

    /// Where monitors read the metrics, in the form of [`MioNet::addresses`].
    pub fn metrics_address(&self) -> Option<String> {
        self.listeners.get(self.metrics?)?.address()
    }

    /// The addresses of the listeners for clients, in the form in which a browser or `--listen` takes them; a
    /// port 0 is replaced by the port that the kernel chose.
    pub fn addresses(&self) -> Vec<String> {
        let is_for_clients = |(number, _): &(usize, &Listener)| self.metrics != Some(*number);
        let listeners = self.listeners.iter().enumerate().filter(is_for_clients);
        listeners
            .filter_map(|(_, listener)| listener.address())
            .collect()
    }

    /// For threads that have something for the loop.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

/// The monotonic clock of the whole program.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clock is asked"
)]
pub fn clock() -> Instant {
    Instant::now()
}

/// The system's time of day; 0 for times before 1970, as of a clock that was never set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clock is asked"
)]
pub fn wall_clock() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

fn token(id: ConnId) -> Token {
    Token(id.to_u64() as usize)
}

fn watch(poll: &Poll, source: &mut impl Source, id: ConnId, interest: Interest) -> io::Result<()> {
    poll.registry().register(source, token(id), interest)
}

/// Watches a connection for reading and writing, once and for its whole life.
pub(super) fn watch_stream(poll: &Poll, stream: &mut Stream, id: ConnId) -> io::Result<()> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    match stream {
        Stream::Tcp(stream) => watch(poll, stream, id, interest),
        Stream::Unix(stream) => watch(poll, stream, id, interest),
    }
}

/// Waits for events. False: the wait was interrupted, as by a debugger.
pub(super) fn wait(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> bool {
    match poll.poll(events, timeout) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::Interrupted => false,
        Err(error) => panic!("the poll does not work any more: {error}"),
    }
}

/// An event of the connection that its token names.
pub(super) fn connection_event(id: ConnId, event: &Event) -> Ready {
    Ready::Connection {
        id,
        readable: event.is_readable(),
        writable: event.is_writable(),
        ended: event.is_read_closed() || event.is_error(),
    }
}

fn link_event(link: usize, event: &Event) -> Ready {
    Ready::Link {
        link,
        readable: event.is_readable(),
        writable: event.is_writable(),
        ended: event.is_read_closed() || event.is_error(),
    }
}

impl Net for MioNet {
    type Stream = Stream;

    fn now(&self) -> Tick {
        Tick::at(clock().duration_since(self.start))
    }

    fn wall(&self) -> Millis {
        wall_clock()
    }

    fn poll(&mut self, until: Option<Tick>, ready: &mut Vec<Ready>) {
        let begins = clock();
        self.worked = self.woke.map(|woke| begins.duration_since(woke));
        let timeout = until.map(|tick| {
            tick.since_start()
                .saturating_sub(begins.duration_since(self.start))
        });
        let timeout = match &mut self.manager {
            Some(manager) => manager.keep_alive(clock, timeout),
            None => timeout,
        };
        let has_events = wait(&mut self.poll, &mut self.events, timeout);
        self.woke = Some(clock());
        if !has_events {
            return;
        }
        for event in &self.events {
            let id = ConnId::from_u64(event.token().0 as u64);
            if id == SIGNALS {
                let signals = std::iter::from_fn(|| self.signals.next());
                ready.extend(signals.map(Ready::Signal));
            } else if id == WAKER {
                ready.push(Ready::Woken);
            } else if let Some(link) = link_of(id) {
                ready.push(link_event(link, event));
            } else if id.generation() == OURS {
                ready.push(Ready::Listener(id.slot() as usize));
            } else {
                ready.push(connection_event(id, event));
            }
        }
    }

    fn accept(&mut self, listener: usize) -> Accept<Stream> {
        let Some(listener) = self.listeners.get(listener) else {
            return Accept::Empty;
        };
        listener
            .accept()
            .map_or_else(Failure::of, |(stream, peer)| {
                Accept::Connection(stream, peer)
            })
    }

    fn turn_away(&mut self, listener: usize, last_words: &[u8]) -> TurnAway {
        let Some(listener) = self.listeners.get(listener) else {
            return TurnAway::Empty;
        };
        self.reserve = None;
        let outcome = match listener.accept() {
            Ok((stream, _)) => {
                stream.say_last(last_words);
                TurnAway::Done
            }
            Err(error) => match Failure::sort(&error) {
                Failure::Empty => TurnAway::Empty,
                // The connection was aborted by its client.
                Failure::Again => TurnAway::Done,
                Failure::Exhausted => TurnAway::Failed,
            },
        };
        self.reserve = reserve();
        outcome
    }

    fn register(&mut self, stream: &mut Stream, id: ConnId) -> bool {
        watch_stream(&self.poll, stream, id).is_ok()
    }

    fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> Read {
        stream.read(buffer)
    }

    fn write(&mut self, stream: &mut Stream, bytes: &[u8]) -> Write {
        stream.write(bytes)
    }

    fn write_vectored(&mut self, stream: &mut Stream, slices: &[IoSlice<'_>]) -> Write {
        sort_write(|| writev(&*stream, slices))
    }

    fn shutdown_write(&mut self, stream: &mut Stream) {
        stream.shutdown_write();
    }

    fn has_unsent(&self, stream: &Stream) -> bool {
        stream.has_unsent()
    }

    fn reset(&mut self, stream: &mut Stream) {
        stream.reset();
    }

    fn worked(&self) -> Option<Duration> {
        self.worked
    }

    fn process(&self) -> Process {
        process::read(self.started)
    }

    fn stop_listening(&mut self, but: &[usize]) {
        self.notify("STOPPING=1\nSTATUS=closing all connections");
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            if !but.contains(&number) {
                *listener = Listener::Closed;
            }
        }
    }

    fn reloads(&mut self, begins: bool) {
        if let Some(manager) = &self.manager {
            manager.reloads(begins);
        }
    }

    fn inherited(&self) -> Inherited {
        let number = |number: usize| u32::try_from(number).ok();
        Inherited {
            pid: std::process::id(),
            start_micros: self.start_micros,
            saved_micros: monotonic_micros(),
            started: self.started,
            listeners: self.listeners.iter().map(Listener::inherited).collect(),
            metrics: self.metrics.and_then(number),
            admin: self.admin.and_then(number),
        }
    }

    fn passes(&self, stream: &Stream) -> u64 {
        let descriptor = u64::try_from(stream.as_fd().as_raw_fd()).unwrap_or(0);
        descriptor << 1 | u64::from(matches!(stream, Stream::Unix(_)))
    }

    fn takes(&mut self, number: u64) -> Option<Stream> {
        let descriptor = RawFd::try_from(number >> 1)
            .ok()
            .filter(|number| *number > 2)?;
        let owned = own(descriptor)?;
        Some(if number & 1 == 0 {
            Stream::Tcp(TcpStream::from_std(owned.into()))
        } else {
            Stream::Unix(UnixStream::from_std(owned.into()))
        })
    }

    fn dial(&mut self, target: &Target, link: usize) -> Result<Stream, String> {
        let begun = || {
            let mut stream = dial::open(target, None, None)?;
            watch_stream(&self.poll, &mut stream, link_id(link))?;
            Ok(stream)
        };
        begun().map_err(|error: io::Error| error.to_string())
    }

    fn dialed(&self, stream: &Stream) -> Result<bool, String> {
        dial::outcome(stream).map_err(|error| error.to_string())
    }

    fn trim_memory(&mut self) {
        heap::trim();
    }
}

fn sort_write(write: impl Fn() -> Result<usize, Errno>) -> Write {
    loop {
        match write() {
            Ok(0) => return Write::Gone,
            Ok(count) => return Write::Bytes(count),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Write::Blocked,
            Err(error) if is_passing(error) => return Write::Retry,
            Err(_) => return Write::Gone,
        }
    }
}

/// An error that says nothing about the peer: the system is short of memory for a moment. epoll
/// reports no edge when it has some again.
fn is_passing(error: Errno) -> bool {
    matches!(error, Errno::NOBUFS | Errno::NOMEM)
}

/// Why no connection was accepted.
enum Failure {
    Empty,
    Again,
    Exhausted,
}

impl Failure {
    /// accept(2) also returns pending errors of the connection that it would have returned. Those,
    /// and errors that are not known here, are no reason to stop accepting.
    fn sort(error: &io::Error) -> Self {
        const EXHAUSTED: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        if error.kind() == ErrorKind::WouldBlock {
            return Self::Empty;
        }
        let raw = error.raw_os_error();
        if EXHAUSTED
            .iter()
            .any(|errno| raw == Some(errno.raw_os_error()))
        {
            return Self::Exhausted;
        }
        Self::Again
    }

    fn of<S>(error: io::Error) -> Accept<S> {
        match Self::sort(&error) {
            Self::Empty => Accept::Empty,
            Self::Again => Accept::Again,
            Self::Exhausted => Accept::Exhausted,
        }
    }
}

/// One connection, accepted or dialed.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// The bare system calls: those of libc are cancellation points, which cost two atomic operations
/// each as soon as the process has a second thread, and the store is one.
impl Stream {
    pub(super) fn read(&self, buffer: &mut [u8]) -> Read {
        loop {
            match recv(self, &mut *buffer, RecvFlags::empty()) {
                Ok((_, 0)) => return Read::End,
                Ok((_, count)) => return Read::Bytes(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Read::Blocked,
                Err(error) if is_passing(error) => return Read::Retry,
                Err(_) => return Read::Gone,
            }
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Write {
        sort_write(|| send(self, bytes, SendFlags::NOSIGNAL))
    }

    pub(super) fn shutdown_write(&self) {
        // An error means that the peer is gone already, which the next read reports.
        let _ = shutdown(self, Shutdown::Write);
    }

    /// What a Unix socket has accepted is in the peer's queue already, and goes with the peer.
    fn has_unsent(&self) -> bool {
        match self {
            Self::Tcp(stream) => unsent_bytes(stream) != Some(0),
            Self::Unix(_) => false,
        }
    }

    fn reset(&self) {
        if let Self::Tcp(stream) = self {
            // If it fails, the kernel gives the connection up by itself, but later.
            let _ = reset_on_close(stream);
        }
    }

    /// Best effort for a connection that is closed at once: what the client already sent is read,
    /// because a close with unread input resets the connection, and the words could be lost.
    fn say_last(&self, words: &[u8]) {
        if let Write::Bytes(_) = self.write(words) {
            // Nothing of it is used.
            let _ = self.read(&mut [0; 4096]);
        }
        self.shutdown_write();
    }
}

/// One listening socket.
enum Listener {
    Tcp(TcpListener),
    /// The same, where TLS is spoken.
    Tls(TcpListener),
    /// The file comes first: it is removed while the socket is still open. A socket that was passed
    /// has none here, and keeps its own.
    Unix(Option<SocketFile>, UnixListener),
    /// The same, for operators.
    Admin(SocketFile, UnixListener),
    /// The others keep their numbers.
    Closed,
}

impl Listener {
    fn all(settings: &Settings, passed: Vec<Passed>) -> Result<Vec<Self>, StartError> {
        if passed.is_empty() {
            let addresses = settings.listen.iter();
            return addresses
                .map(|address| Self::bind(address, settings))
                .collect();
        }
        let adopt = |passed| Self::adopt(passed, settings).map_err(StartError::Passed);
        passed.into_iter().map(adopt).collect()
    }

    fn adopt(passed: Passed, settings: &Settings) -> Result<Self, PassedError> {
        if let Err(error) = passed.prepare(settings) {
            return Err(passed.refused(error));
        }
        let is_unix = passed.is_unix();
        let socket = OwnedFd::from(passed.socket);
        Ok(if is_unix {
            let listener = std::os::unix::net::UnixListener::from(socket);
            Self::Unix(None, UnixListener::from_std(listener))
        } else {
            Self::Tcp(TcpListener::from_std(socket.into()))
        })
    }

    fn bind(address: &ListenAddr, settings: &Settings) -> Result<Self, StartError> {
        match address {
            ListenAddr::Tcp(address) => match bind_tcp(*address, settings) {
                Ok(listener) => Ok(Self::Tcp(listener)),
                Err(error) => Err(StartError::Tcp {
                    address: *address,
                    error,
                }),
            },
            ListenAddr::Unix(path) => match unix::bind(path, settings) {
                Ok((socket, file)) => {
                    let listener = std::os::unix::net::UnixListener::from(socket);
                    Ok(Self::Unix(Some(file), UnixListener::from_std(listener)))
                }
                Err(error) => Err(StartError::Unix {
                    path: path.clone(),
                    error,
                }),
            },
        }
    }

    /// `None`: it is not there.
    fn inherit(inherited: InheritedListener) -> Option<Self> {
        let InheritedListener {
            kind,
            descriptor,
            file,
        } = inherited;
        if kind == ListenerKind::Closed {
            return Some(Self::Closed);
        }
        let descriptor = RawFd::try_from(descriptor)
            .ok()
            .filter(|number| *number > 2)?;
        let socket = own(descriptor)?;
        let file = file.map(SocketFileMark::into_file);
        Some(match kind {
            ListenerKind::Tcp => Self::Tcp(TcpListener::from_std(socket.into())),
            ListenerKind::Tls => Self::Tls(TcpListener::from_std(socket.into())),
            ListenerKind::Unix => Self::Unix(file, UnixListener::from_std(socket.into())),
            ListenerKind::Admin => Self::Admin(file?, UnixListener::from_std(socket.into())),
            ListenerKind::Closed => Self::Closed,
        })
    }

    /// The same for another image.
    fn inherited(&self) -> InheritedListener {
        let (kind, file) = match self {
            Self::Tcp(_) => (ListenerKind::Tcp, None),
            Self::Tls(_) => (ListenerKind::Tls, None),
            Self::Unix(file, _) => (ListenerKind::Unix, file.as_ref()),
            Self::Admin(file, _) => (ListenerKind::Admin, Some(file)),
            Self::Closed => (ListenerKind::Closed, None),
        };
        let descriptor = self.descriptor().map_or(-1, |socket| socket.as_raw_fd());
        InheritedListener {
            kind,
            descriptor: u32::try_from(descriptor).unwrap_or(0),
            file: file.map(SocketFileMark::of),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener) => Some(listener.as_fd()),
            Self::Unix(_, listener) | Self::Admin(_, listener) => Some(listener.as_fd()),
            Self::Closed => None,
        }
    }

    fn watch(&mut self, poll: &Poll, id: ConnId) -> io::Result<()> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener) => {
                watch(poll, listener, id, Interest::READABLE)
            }
            Self::Unix(_, listener) | Self::Admin(_, listener) => {
                watch(poll, listener, id, Interest::READABLE)
            }
            Self::Closed => Ok(()),
        }
    }

    fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener) => {
                let (stream, address) = listener.accept()?;
                // A socket that was passed may serve IPv4 as well, in IPv4-mapped addresses.
                Ok((Stream::Tcp(stream), Peer::Ip(address.ip().to_canonical())))
            }
            Self::Unix(_, listener) | Self::Admin(_, listener) => {
                let (stream, _) = listener.accept()?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
            Self::Closed => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn address(&self) -> Option<String> {
        match self {
            Self::Tcp(listener) => Some(tcp_address("http", listener)),
            Self::Tls(listener) => Some(tcp_address("https", listener)),
            Self::Unix(Some(file), _) => Some(format!("unix:{}", file.path().display())),
            Self::Unix(None, listener) => Some(passed_address(listener)),
            Self::Admin(..) | Self::Closed => None,
        }
    }
}

fn tcp_address(scheme: &str, listener: &TcpListener) -> String {
    match listener.local_addr() {
        Ok(address) => format!("{scheme}://{address}/"),
        Err(error) => format!("an unknown address: {error}"),
    }
}

/// Where a Unix socket that was passed listens.
fn passed_address(listener: &UnixListener) -> String {
    let address = listener.local_addr().ok();
    let path = address
        .as_ref()
        .and_then(|address| Some(address.as_pathname()?.display().to_string()));
    format!(
        "unix:{}",
        path.as_deref().unwrap_or("a socket without a path")
    )
}

/// Accepted connections inherit the send buffer, the low-water mark and no-delay, which saves three
/// system calls each.
fn bind_tcp(address: SocketAddr, settings: &Settings) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    if settings.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // [::] serves IPv6 alone on every system, and can be given beside 0.0.0.0. Addresses then
        // never come as IPv4-mapped ones.
        socket.set_only_v6(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    // With the default the kernel buffers 4 MB for a client that never reads before a write
    // blocks: the bound of the outbox would mean nothing.
    socket.set_send_buffer_size(settings.send_buffer_bytes)?;
    socket.set_tcp_notsent_lowat(u32::try_from(settings.send_buffer_bytes).unwrap_or(u32::MAX))?;
    defer_accept(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // mio and std listen with a backlog of 128, too few for a crowd that reconnects.
    socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from_std(socket.into()))
}
