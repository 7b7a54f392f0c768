//! What the kernel still holds of a connection that is to be closed.
//!
//! After an ordinary close the kernel goes on sending what the peer has not acknowledged, and probes
//! a peer that accepts nothing for minutes (RFC 9293 §3.8.6.1), outside every limit of the server.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Bytes that were written and that the peer has not acknowledged, a FIN counted as one (SIOCOUTQ,
/// tcp(7)). `None`: the kernel does not say.
pub(super) fn unsent_bytes(stream: &impl AsFd) -> Option<usize> {
    let mut count: c_int = 0;
    #[expect(unsafe_code, reason = "no library in the tree names this request")]
    // SAFETY: the request stores one int, which `count` has room for, and keeps no pointer. The
    // descriptor is open for as long as `stream` is borrowed.
    let outcome =
        unsafe { libc::ioctl(stream.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    usize::try_from(count).ok().filter(|_| outcome == 0)
}

/// Lets the close of a socket discard what is unsent and reset the connection (SO_LINGER with a time
/// of zero, socket(7)).
pub(super) fn reset_on_close(stream: &impl AsFd) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO))
}
