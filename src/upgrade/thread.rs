//! The thread that has a program check a state, and the loop's end of it. There is one only during
//! a check.

use super::Upgrade;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

/// What checks: given a state, it returns when the outcome is there, within a bound of its own.
type Check = dyn Fn(&[u8]) -> Result<(), String> + Send + Sync;

/// The loop's end.
pub struct Handle {
    check: Arc<Check>,
    wake: Arc<dyn Fn() + Send + Sync>,
    coming: Option<Receiver<Result<(), String>>>,
}

impl Handle {
    /// `wake` is called after each outcome.
    pub fn new(
        check: impl Fn(&[u8]) -> Result<(), String> + Send + Sync + 'static,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            check: Arc::new(check),
            wake: Arc::new(wake),
            coming: None,
        }
    }
}

impl Upgrade for Handle {
    fn check(&mut self, state: Vec<u8>) {
        let (check, wake) = (Arc::clone(&self.check), Arc::clone(&self.wake));
        // It has room for the outcome, so the thread never waits.
        let (done, coming) = sync_channel(1);
        let failed = done.clone();
        let started = thread::Builder::new()
            .name(String::from("parlor-upgrade"))
            .spawn(move || {
                let _ = done.send(check(&state));
                wake();
            });
        if let Err(error) = started {
            let _ = failed.send(Err(format!("no thread can be started: {error}")));
            (self.wake)();
        }
        self.coming = Some(coming);
    }

    fn receive(&mut self) -> Option<Result<(), String>> {
        let outcome = match self.coming.as_ref()?.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(String::from(
                "the thread that had the state checked has failed",
            )),
        };
        self.coming = None;
        Some(outcome)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("is_checking", &self.coming.is_some())
            .finish_non_exhaustive()
    }
}
