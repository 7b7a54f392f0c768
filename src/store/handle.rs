//! The loop's end of the store: hands requests over and fetches answers. Never waits for the
//! thread: a lock that is taken is tried again in the next turn.

use super::figures::Counters;
use crate::log::{Answer, Figures, Health, Request, Store};
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// How long the end of the server waits until everything is stored.
pub const STOP_MAX: Duration = Duration::from_secs(10);

/// What the loop and the thread share. Each lock is held for a swap of two vectors, never longer.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    /// For the thread: the inbox has changed.
    came: Condvar,
    answers: Mutex<Vec<Answer>>,
    /// The loop found the inbox locked: it must be woken to try again.
    is_refused: AtomicBool,
    is_ended: Mutex<bool>,
    /// For the end of the server: the thread has ended.
    ended: Condvar,
    pub(super) counters: Counters,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Inbox {
    requests: Vec<Request>,
    parked: Parked,
    stop: Stop,
}

/// Whether the thread waits, and what must wake it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Parked {
    #[default]
    No,
    UntilAnyRequest,
    /// It waits for more appends, and commits by itself in time.
    UntilMoreThanAppends,
}

impl Inbox {
    fn must_wake(&self) -> bool {
        match self.parked {
            Parked::No => false,
            Parked::UntilAnyRequest => true,
            Parked::UntilMoreThanAppends => self.has_more_than_appends(),
        }
    }

    fn has_more_than_appends(&self) -> bool {
        let is_append = |request: &Request| matches!(request, Request::Append(_));
        !self.requests.iter().all(is_append)
    }
}

/// How long the thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Not,
    /// Until a request comes.
    AtMost(Duration),
    /// So long, but for a request that is no append.
    ForCompany(Duration),
}

/// Whether the thread is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stop {
    #[default]
    No,
    /// When everything is stored.
    WhenStored,
    /// Without what cannot be stored now.
    AtOnce,
}

/// The holders of these locks cannot panic in between.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            inbox: Mutex::default(),
            came: Condvar::new(),
            answers: Mutex::default(),
            is_refused: AtomicBool::new(false),
            is_ended: Mutex::default(),
            ended: Condvar::new(),
            counters: Counters::default(),
            wake,
        }
    }

    /// For the thread: what came, into `requests`, which is empty.
    pub(super) fn take(&self, requests: &mut Vec<Request>, wait: Wait) -> Stop {
        let mut inbox = locked(&self.inbox);
        let (parked, longest) = match wait {
            Wait::Not => (Parked::No, Duration::ZERO),
            Wait::AtMost(longest) => (Parked::UntilAnyRequest, longest),
            Wait::ForCompany(longest) => (Parked::UntilMoreThanAppends, longest),
        };
        let has_work = match parked {
            Parked::No => true,
            Parked::UntilAnyRequest => !inbox.requests.is_empty(),
            Parked::UntilMoreThanAppends => inbox.has_more_than_appends(),
        };
        if !has_work && inbox.stop == Stop::No && longest > Duration::ZERO {
            inbox.parked = parked;
            let waited = self.came.wait_timeout(inbox, longest);
            inbox = waited.unwrap_or_else(PoisonError::into_inner).0;
            inbox.parked = Parked::No;
        }
        mem::swap(&mut inbox.requests, requests);
        let stop = inbox.stop;
        drop(inbox);
        if self.is_refused.swap(false, Ordering::SeqCst) {
            (self.wake)();
        }
        stop
    }

    /// For the thread: while it stops, waits for this long, or until it is to stop at once.
    pub(super) fn pause(&self, wait: Duration) {
        let inbox = locked(&self.inbox);
        if inbox.stop != Stop::AtOnce {
            drop(self.came.wait_timeout(inbox, wait));
        }
    }

    /// For the thread: hands its answers to the loop and wakes it.
    pub(super) fn answer(&self, answers: &mut Vec<Answer>) {
        if answers.is_empty() {
            return;
        }
        locked(&self.answers).append(answers);
        (self.wake)();
    }

    /// For the thread: its last action.
    pub(super) fn end(&self) {
        *locked(&self.is_ended) = true;
        self.ended.notify_all();
    }

    fn stop(&self, stop: Stop) {
        locked(&self.inbox).stop = stop;
        self.came.notify_one();
    }

    /// False: it did not end in time.
    fn wait_for_end(&self, wait: Duration) -> bool {
        let is_ended = locked(&self.is_ended);
        *self
            .ended
            .wait_timeout_while(is_ended, wait, |is_ended| !*is_ended)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// The store, as the loop has it. Dropping it stores what was handed over and ends the thread; that
/// takes at most [`STOP_MAX`], unless the disk does not answer.
pub struct Handle {
    shared: Arc<Shared>,
    /// What was not handed over because the inbox was locked.
    kept: Vec<Request>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            kept: Vec::new(),
        }
    }

    fn hand_over(&mut self) -> bool {
        let mut inbox = match self.shared.inbox.try_lock() {
            Ok(inbox) => inbox,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        inbox.requests.append(&mut self.kept);
        if inbox.must_wake() {
            // Not again for what comes before it runs.
            inbox.parked = Parked::No;
            self.shared.came.notify_one();
        }
        true
    }
}

impl Store for Handle {
    fn send(&mut self, requests: &mut Vec<Request>) {
        self.kept.append(requests);
        if self.kept.is_empty() || self.hand_over() {
            return;
        }
        // The thread wakes the loop after its unlock if it sees the flag. Where it had unlocked
        // before the flag was set, the second attempt finds the inbox free.
        self.shared.is_refused.store(true, Ordering::SeqCst);
        self.hand_over();
    }

    fn receive(&mut self, answers: &mut Vec<Answer>) {
        // Locked: the thread wakes the loop when it has unlocked.
        match self.shared.answers.try_lock() {
            Ok(mut waiting) => answers.append(&mut waiting),
            Err(TryLockError::Poisoned(poisoned)) => answers.append(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn figures(&self) -> Option<Figures> {
        Some(self.shared.counters.read())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        locked(&self.shared.inbox).requests.append(&mut self.kept);
        self.shared.stop(Stop::WhenStored);
        if self.shared.wait_for_end(STOP_MAX) {
            return;
        }
        self.shared.stop(Stop::AtOnce);
        // One commit may be under way.
        if !self.shared.wait_for_end(Duration::from_secs(1)) {
            ::log::error!("the store does not end: the disk does not answer");
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("kept", &self.kept.len())
            .finish_non_exhaustive()
    }
}

/// Lives on the thread. If the thread ends by a panic, the log hears that nothing is stored any
/// more.
pub(super) struct EndOfThread {
    pub(super) shared: Arc<Shared>,
}

impl Drop for EndOfThread {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let why = String::from("the store's thread has failed; restart the server");
            ::log::error!("{why}");
            self.shared
                .answer(&mut vec![Answer::Health(Health::Failing { why })]);
        }
        self.shared.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_that_waits_for_more_entries_is_woken_by_other_requests_alone() {
        let mut inbox = Inbox {
            parked: Parked::UntilMoreThanAppends,
            ..Inbox::default()
        };
        assert!(!inbox.must_wake());
        inbox.requests.push(Request::Check { tag: 1 });
        assert!(inbox.must_wake());
        inbox.parked = Parked::No;
        assert!(!inbox.must_wake(), "it is under way");
    }
}
