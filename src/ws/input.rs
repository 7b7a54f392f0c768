//! The received bytes as the stream that a tungstenite context reads from. Knows no frame.
//! The fuzz targets include this file, so that they feed their contexts as the decoder does.

use std::io::{self, ErrorKind, Read, Write};

/// Bytes to read, then `WouldBlock`. What is written to it is discarded.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            // Ok(0) would mean the end of the stream.
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Input<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
