//! Looks now and then whether the files of the certificates have changed: what renews them need not
//! know this server, nor be allowed to signal it. A thread of its own, since a disk may be slow. Takes
//! nothing over, and reads no other setting: those are read again when an operator asks for it.

use super::Renewed;
use super::thread::Surroundings;
use crate::config::read_identities;
use crate::tls::Settings;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// A renewed certificate is not urgent, but an operator that has copied one looks for it at once.
/// Reading two small files every two seconds costs nothing.
const EVERY: Duration = Duration::from_secs(2);

/// The files that hold, and a digest of what was in them.
type Known = (Settings, u64);

/// The loop's end of the thread, which ends with it.
pub(super) struct Watch {
    known: Sender<Known>,
    coming: Receiver<Renewed>,
}

impl Watch {
    /// `None`: no thread can be started.
    pub(super) fn begin(known: Known, surroundings: Arc<Surroundings>) -> Option<Self> {
        let (sender, newer) = channel();
        let (found, coming) = channel();
        let named = thread::Builder::new().name(String::from("parlor-tls"));
        let watch = move || watches(known, &newer, &found, &surroundings);
        named.spawn(watch).ok()?;
        Some(Self {
            known: sender,
            coming,
        })
    }

    /// Other files hold, or what is in them was read by someone else.
    pub(super) fn follows(&self, known: Known) {
        // The thread ends with this side alone.
        let _ = self.known.send(known);
    }

    pub(super) fn renewed(&self) -> Option<Renewed> {
        self.coming.try_recv().ok()
    }
}

fn watches(
    mut known: Known,
    newer: &Receiver<Known>,
    found: &Sender<Renewed>,
    surroundings: &Surroundings,
) {
    // Between the copies of a certificate and its key they do not belong together: what is wrong is
    // reported when it is still wrong at the next look, and once.
    let mut wrong: Option<String> = None;
    let mut is_reported = false;
    loop {
        match newer.recv_timeout(EVERY) {
            Ok(other) => known = other,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let renewed = match read_identities(&known.0, &surroundings.read_bytes) {
                    Ok((Some(identities), digest)) if digest != known.1 => {
                        known.1 = digest;
                        Some(Ok(identities))
                    }
                    Ok(_) => None,
                    Err(why) if wrong.as_ref() == Some(&why) && !is_reported => {
                        is_reported = true;
                        Some(Err(why))
                    }
                    Err(why) => {
                        is_reported &= wrong.as_ref() == Some(&why);
                        wrong = Some(why);
                        continue;
                    }
                };
                if !matches!(renewed, Some(Err(_))) {
                    (wrong, is_reported) = (None, false);
                }
                if let Some(renewed) = renewed {
                    let _ = found.send(renewed);
                    (surroundings.wake)();
                }
            }
        }
    }
}
