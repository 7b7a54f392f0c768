//! The thread that hashes, and the loop's end of it. Two channels: the one with work is bounded, the
//! other has at most as many outcomes as there was work.

use super::hash::{self, SALT_BYTES};
use super::{Busy, Outcome, Passwords, QUEUE_MAX, Work};
use log::warn;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// The thread, as the loop has it. It starts with the first work: a server without accounts runs as one
/// thread but for its store, and each system call of a process with several costs more. When this is
/// dropped, the thread ends with the work in hand.
pub struct Handle {
    wake: Arc<dyn Fn() + Send + Sync>,
    thread: Option<Thread>,
}

struct Thread {
    work: SyncSender<(u64, Work)>,
    outcomes: Receiver<(u64, Outcome)>,
}

impl Handle {
    /// `wake` is called after each outcome.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            wake: Arc::new(wake),
            thread: None,
        }
    }

    fn thread(&mut self) -> io::Result<&Thread> {
        let thread = match self.thread.take() {
            Some(thread) => thread,
            None => Thread::start(Arc::clone(&self.wake))?,
        };
        Ok(self.thread.insert(thread))
    }
}

impl Thread {
    fn start(wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        let (work, coming) = sync_channel(QUEUE_MAX);
        let (done, outcomes) = channel();
        thread::Builder::new()
            .name(String::from("parlor-passwords"))
            .spawn(move || run(&coming, &done, &*wake))?;
        Ok(Self { work, outcomes })
    }
}

fn run(coming: &Receiver<(u64, Work)>, done: &Sender<(u64, Outcome)>, wake: &dyn Fn()) {
    while let Ok((tag, work)) = coming.recv() {
        if done.send((tag, carry_out(&work))).is_err() {
            return;
        }
        wake();
    }
}

fn carry_out(work: &Work) -> Outcome {
    match work {
        Work::Hash { password } => {
            let mut salt = [0; SALT_BYTES];
            match getrandom::fill(&mut salt) {
                Ok(()) => hash::hash(password.as_bytes(), &salt, &mut hash::compute),
                Err(_) => Outcome::Failed,
            }
        }
        Work::Verify { password, kept } => {
            hash::verify(password.as_bytes(), kept.as_deref(), &mut hash::compute)
        }
    }
}

impl Passwords for Handle {
    fn begin(&mut self, tag: u64, work: Work) -> Result<(), Busy> {
        let thread = self.thread().map_err(|error| {
            warn!(target: "parlor::account", "no thread for passwords can be started: {error}");
            Busy
        })?;
        // A thread that has ended takes nothing either.
        thread.work.try_send((tag, work)).map_err(|_| Busy)
    }

    fn receive(&mut self, outcomes: &mut Vec<(u64, Outcome)>) {
        if let Some(thread) = &self.thread {
            outcomes.extend(thread.outcomes.try_iter());
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::*;

    /// A handle whose thread wakes a test.
    fn started() -> (Handle, Receiver<()>) {
        let (wake, woken) = channel();
        let handle = Handle::new(move || wake.send(()).unwrap_or_default());
        (handle, woken)
    }

    fn next(handle: &mut Handle, woken: &Receiver<()>) -> (u64, Outcome) {
        woken.recv().expect("the thread is there");
        let mut outcomes = Vec::new();
        handle.receive(&mut outcomes);
        outcomes.pop().expect("it wakes with an outcome")
    }

    #[test]
    fn thread_starts_with_the_first_work() {
        let (mut handle, woken) = started();
        assert!(handle.thread.is_none());
        handle.receive(&mut Vec::new());
        assert!(handle.thread.is_none());
        let password = Secret::new("correct horse");
        handle.begin(7, Work::Hash { password }).unwrap();
        assert!(handle.thread.is_some());
        assert!(matches!(next(&mut handle, &woken), (7, Outcome::Hashed(_))));
    }

    #[test]
    fn outcome_comes_with_the_tag_of_its_work() {
        let (mut handle, woken) = started();
        let password = || Secret::new("correct horse");
        let hash = Work::Hash {
            password: password(),
        };
        handle.begin(7, hash).unwrap();
        let (7, Outcome::Hashed(kept)) = next(&mut handle, &woken) else {
            panic!("it was to be hashed");
        };
        for (tag, kept, expected) in [
            (8, Some(kept), Outcome::Matches),
            (9, None, Outcome::Differs),
        ] {
            let password = password();
            handle.begin(tag, Work::Verify { password, kept }).unwrap();
            assert_eq!(next(&mut handle, &woken), (tag, expected));
        }
    }

    #[test]
    fn more_work_than_may_wait_is_refused() {
        let (work, coming) = sync_channel(QUEUE_MAX);
        let (_, outcomes) = channel();
        let thread = Some(Thread { work, outcomes });
        let wake = Arc::new(|| {});
        let mut handle = Handle { wake, thread };
        let mut begin = |tag| {
            let password = Secret::new("correct horse");
            handle.begin(tag, Work::Hash { password })
        };
        for tag in 0..QUEUE_MAX as u64 {
            assert_eq!(begin(tag), Ok(()));
        }
        assert_eq!(begin(99), Err(Busy));
        coming.recv().unwrap();
        assert_eq!(begin(99), Ok(()));
        drop(coming);
        assert_eq!(begin(99), Err(Busy), "the thread has ended");
    }
}
