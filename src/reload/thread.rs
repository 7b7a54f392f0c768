//! The thread that reads the settings again, and the loop's end of it. There is one only while it
//! reads.

use super::watch::Watch;
use super::{Outcome, Reload, Reloaded, Renewed};
use crate::config::{Config, Digests, Running};
use crate::tls;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

/// What the thread needs of the process.
pub struct Surroundings {
    /// Looks up a variable of the environment.
    pub variable: fn(&str) -> Option<OsString>,
    pub read_config: fn(&Path) -> io::Result<String>,
    pub read_bytes: fn(&Path) -> io::Result<Vec<u8>>,
    /// Descriptors that may be open, and the connections that fit.
    pub room: (usize, usize),
    /// Wakes the loop.
    pub wake: Box<dyn Fn() + Send + Sync>,
    /// Called with settings that hold from here on, for what belongs to the process.
    pub taken_over: fn(&Config),
}

/// What is known of the settings that hold.
struct Known {
    running: Running,
    digests: Digests,
}

/// The loop's end.
pub struct Handle {
    surroundings: Arc<Surroundings>,
    known: Arc<Known>,
    coming: Option<Receiver<(Outcome, Option<Known>)>>,
    /// Of the certificates. `None`: there are none.
    watch: Option<Watch>,
}

impl Known {
    fn certificates(&self) -> Option<(tls::Settings, u64)> {
        let digest = self.digests.of_certificates()?;
        Some((self.running.config.tls.clone(), digest))
    }
}

impl Handle {
    /// `digests`: of the files as they were read at the start.
    pub fn new(running: Running, digests: Digests, surroundings: Surroundings) -> Self {
        let surroundings = Arc::new(surroundings);
        let known = Known { running, digests };
        let certificates = known.certificates();
        let watch = certificates.and_then(|known| Watch::begin(known, surroundings.clone()));
        Self {
            surroundings,
            known: Arc::new(known),
            coming: None,
            watch,
        }
    }
}

impl Reload for Handle {
    fn begin(&mut self) {
        let (surroundings, known) = (Arc::clone(&self.surroundings), Arc::clone(&self.known));
        // It has room for the outcome, so the thread never waits.
        let (done, coming) = sync_channel(1);
        let failed = done.clone();
        let started = thread::Builder::new()
            .name(String::from("parlor-reload"))
            .spawn(move || {
                let (outcome, newer) = match read(&known, &surroundings) {
                    Ok((reloaded, newer)) => (Ok(Box::new(reloaded)), Some(newer)),
                    Err(wrong) => (Err(wrong), None),
                };
                let _ = done.send((outcome, newer));
                (surroundings.wake)();
            });
        if let Err(error) = started {
            let why = format!("no thread can be started: {error}");
            let _ = failed.send((Err(vec![why]), None));
            (self.surroundings.wake)();
        }
        self.coming = Some(coming);
    }

    fn receive(&mut self) -> Option<Outcome> {
        let (outcome, newer) = match self.coming.as_ref()?.try_recv() {
            Ok(received) => received,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => {
                let why = String::from("the thread that read the settings has failed");
                (Err(vec![why]), None)
            }
        };
        self.coming = None;
        if let Some(newer) = newer {
            (self.surroundings.taken_over)(&newer.running.config);
            if let (Some(watch), Some(known)) = (&self.watch, newer.certificates()) {
                watch.follows(known);
            }
            self.known = Arc::new(newer);
        }
        Some(outcome)
    }

    fn renewed(&mut self) -> Option<Renewed> {
        self.watch.as_ref()?.renewed()
    }
}

fn read(known: &Known, surroundings: &Surroundings) -> Result<(Reloaded, Known), Vec<String>> {
    let reread = known
        .running
        .reread(surroundings.variable, &surroundings.read_config);
    let reread = reread.map_err(|bad| bad.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let (running, mut changes) = (reread.running, reread.changes);
    let mut config = running.config.clone();
    let contents = config.read_contents(&surroundings.read_bytes);
    let contents = contents.map_err(|why| vec![why])?;
    changes.extend(config.changed_contents(&known.digests, &contents.digests));
    let max_connections = fitting(&config, surroundings.room).map_err(|why| vec![why])?;
    let reloaded = Reloaded {
        config,
        max_connections,
        verifier: contents.verifier,
        identities: contents.identities,
        changes,
    };
    let newer = Known {
        running,
        digests: contents.digests,
    };
    Ok((reloaded, newer))
}

/// The connections that there may be. `room`: descriptors that may be open, and the connections that
/// fit.
///
/// # Errors
/// A sentence: the settings ask for more.
pub fn fitting(config: &Config, room: (usize, usize)) -> Result<usize, String> {
    let (descriptors, fitting) = room;
    let wanted = config.max_connections.unwrap_or(fitting);
    if wanted > fitting {
        return Err(format!(
            "--max-connections {wanted} is more than the limit of {descriptors} open files leaves \
             room for ({fitting}); raise it with ulimit -n or LimitNOFILE="
        ));
    }
    Ok(wanted)
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("is_reading", &self.coming.is_some())
            .finish_non_exhaustive()
    }
}
