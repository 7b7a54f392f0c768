//! The client's side of one Unix socket, for commands that wait for each answer. Knows bytes, not
//! what they mean.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a read or a write may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection whose reads and writes wait, each for at most 30 s.
#[derive(Debug)]
pub struct Caller {
    stream: UnixStream,
}

impl Caller {
    /// # Errors
    /// The system's: nothing listens there, or this user may not connect.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// # Errors
    /// The connection broke, or the server took too long.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Appends some bytes.
    ///
    /// # Errors
    /// The connection ended or broke, or the server took too long.
    pub fn receive(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut buffer = [0; 64 * 1024];
        let count = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        bytes.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}
