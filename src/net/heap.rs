//! The allocator's free memory and the system. With `defer.rs` and `unsent.rs` the only unsafe code:
//! calls that have no safe name.
//!
//! `malloc_trim` and `mallinfo2` are glibc's. On other targets nothing is called: musl's allocator returns whole
//! free groups of blocks by itself and keeps those that are partly in use, so memory that a crowd
//! took is used again for the next one, but the resident size may stay where it was.

/// Returns free memory to the system, also from between blocks that are in use. Does nothing where
/// the allocator is not glibc's.
pub(super) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "malloc_trim(3) is offered by the C library alone"
    )]
    // SAFETY: it takes no pointer, may be called at any time from any thread, and touches only
    // memory that the allocator holds free. Its result only says whether there was any.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes that the allocator has given away. `None` where the allocator is not glibc's.
pub(super) fn allocated() -> Option<u64> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "mallinfo2(3) is offered by the C library alone")]
        // SAFETY: it takes no pointer, may be called at any time from any thread, and returns
        // numbers.
        let info = unsafe { libc::mallinfo2() };
        // Blocks of their own are not in the arenas.
        Some((info.uordblks + info.hblkhd) as u64)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}
