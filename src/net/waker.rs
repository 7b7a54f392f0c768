//! How another thread ends the wait of the loop. Knows nothing of what that thread has for it.

#[cfg(doc)]
use super::Ready;
use std::fmt;
use std::sync::Arc;

/// Wakes the loop from another thread: its next poll reports [`Ready::Woken`], once for all calls
/// since the last.
///
/// Whatever the thread has for the loop must be in place before the call.
#[derive(Clone)]
pub struct Waker {
    waker: Arc<mio::Waker>,
}

impl Waker {
    pub(super) fn new(waker: mio::Waker) -> Self {
        Self {
            waker: Arc::new(waker),
        }
    }

    pub fn wake(&self) {
        // An event that is pending already is no error, and a descriptor that was opened for this
        // has no other.
        let _ = self.waker.wake();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

/// It goes to another thread.
const _: () = {
    const fn is_send<T: Send + Sync + Clone>() {}
    is_send::<Waker>();
};
