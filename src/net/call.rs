//! The client's side of one connection, for commands that wait for each answer. Knows bytes, not
//! what they mean.

use super::ListenAddr;
use super::mio::clock;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a command waits for each part of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection whose reads and writes wait for a bounded time.
#[derive(Debug)]
pub struct Caller {
    socket: Socket,
    /// When the whole call must be over. `None`: each step may take the time of its socket.
    until: Option<Instant>,
}

impl Caller {
    /// A connection to a Unix socket; each of its steps may take 30 s.
    ///
    /// # Errors
    /// The system's: nothing listens there, or this user may not connect.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        open(Domain::UNIX, None, &address, PATIENCE, None)
    }

    /// A connection to where a server was to listen; all of its steps together may take `patience`.
    /// A server that listens on all addresses of the machine is asked on the loopback one.
    ///
    /// # Errors
    /// The system's: nothing listens there, it is too slow, or this user may not connect.
    pub fn call(listener: &ListenAddr, patience: Duration) -> io::Result<Self> {
        let until = clock().checked_add(patience);
        match listener {
            ListenAddr::Unix(path) => {
                open(Domain::UNIX, None, &SockAddr::unix(path)?, patience, until)
            }
            ListenAddr::Tcp(address) => {
                let address = reachable(*address);
                let domain = Domain::for_address(address);
                open(
                    domain,
                    Some(Protocol::TCP),
                    &address.into(),
                    patience,
                    until,
                )
            }
        }
    }

    /// # Errors
    /// The connection broke, or the server took too long.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).map_err(too_long)
    }

    /// Appends some bytes.
    ///
    /// # Errors
    /// The connection ended or broke, or the server took too long.
    pub fn receive(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        if let Some(until) = self.until {
            let left = until.saturating_duration_since(clock());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
        }
        let mut buffer = [0; 64 * 1024];
        let count = loop {
            match self.socket.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome.map_err(too_long)?,
            }
        };
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        bytes.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}

/// Linux bounds a connect by the time for writing, too (socket(7), SO_SNDTIMEO).
fn open(
    domain: Domain,
    protocol: Option<Protocol>,
    address: &SockAddr,
    patience: Duration,
    until: Option<Instant>,
) -> io::Result<Caller> {
    let socket = Socket::new(domain, Type::STREAM, protocol)?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    socket.connect(address).map_err(too_long)?;
    Ok(Caller { socket, until })
}

/// The errors by which Linux says that the time of a socket is over.
fn too_long(error: io::Error) -> io::Error {
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    if is(Errno::AGAIN) || is(Errno::INPROGRESS) {
        return io::ErrorKind::TimedOut.into();
    }
    error
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_listens_on_all_addresses_is_reached_on_the_loopback_one() {
        for (listened, called) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            let address = reachable(listened.parse().unwrap());
            assert_eq!(address.to_string(), called);
        }
    }
}
