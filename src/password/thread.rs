//! The thread that hashes, and the loop's end of it. Two channels: the one with work is bounded, the
//! other has at most as many outcomes as there was work.

use super::hash::{self, SALT_BYTES};
use super::{Busy, Outcome, Passwords, QUEUE_MAX, Work};
use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

/// The thread, as the loop has it. When it is dropped, the thread ends with the work in hand.
pub struct Handle {
    work: SyncSender<(u64, Work)>,
    outcomes: Receiver<(u64, Outcome)>,
}

/// Starts the thread. `wake` is called after each outcome.
///
/// # Errors
/// No thread can be started.
pub fn start(wake: Box<dyn Fn() + Send>) -> io::Result<Handle> {
    let (work, coming) = sync_channel(QUEUE_MAX);
    let (done, outcomes) = channel();
    thread::Builder::new()
        .name(String::from("parlor-passwords"))
        .spawn(move || run(&coming, &done, &wake))?;
    Ok(Handle { work, outcomes })
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
        // A thread that has ended takes nothing either.
        self.work.try_send((tag, work)).map_err(|_| Busy)
    }

    fn receive(&mut self, outcomes: &mut Vec<(u64, Outcome)>) {
        outcomes.extend(self.outcomes.try_iter());
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
        let handle = start(Box::new(move || wake.send(()).unwrap_or_default())).unwrap();
        (handle, woken)
    }

    fn next(handle: &mut Handle, woken: &Receiver<()>) -> (u64, Outcome) {
        woken.recv().expect("the thread is there");
        let mut outcomes = Vec::new();
        handle.receive(&mut outcomes);
        outcomes.pop().expect("it wakes with an outcome")
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
        let mut handle = Handle { work, outcomes };
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
