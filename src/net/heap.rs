//! The allocator's free memory and the system. With `defer.rs` and `unsent.rs` the only unsafe code:
//! a call that has no safe name.
//!
//! `malloc_trim` is glibc's. On other targets nothing is called: musl's allocator returns whole
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
