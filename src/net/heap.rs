//! The allocator's free memory and the system. With `defer.rs` and `unsent.rs` the only unsafe code: a call that has
//! no safe name.

/// Gives what is free back to the system, also from between what is in use. Nothing where the
/// allocator is not glibc's.
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
