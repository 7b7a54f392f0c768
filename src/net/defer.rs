//! Connections that have sent nothing yet stay in the kernel. With `heap.rs`, `notify.rs`, `passed.rs`
//! and `unsent.rs` the only unsafe code: an option that has no safe name.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How long the kernel keeps a connection that has sent nothing before it offers it nevertheless.
/// It rounds this up to its next retransmission of the SYN-ACK, some one to three seconds.
static DEFER_SECONDS: c_int = 1;

/// Lets a listener offer a connection when its request is there, or after [`DEFER_SECONDS`]
/// (TCP_DEFER_ACCEPT, tcp(7)). The client sends first in HTTP: its connection then costs one wake-up
/// instead of two, and one that sends nothing costs no descriptor at first.
pub(super) fn defer_accept(listener: &impl AsFd) -> io::Result<()> {
    let seconds = &raw const DEFER_SECONDS;
    #[expect(unsafe_code, reason = "no library in the tree names this option")]
    // SAFETY: the pointer is to an int that lives for ever, and the length is that of an int, which
    // is what the option takes; the kernel only reads it.
    let outcome = unsafe {
        libc::setsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            seconds.cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
