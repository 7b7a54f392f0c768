//! Reading the settings again while the server runs, on a thread of its own: a list of words takes
//! longer to build than the loop may stand. Begun by the loop, which fetches what came of it. Knows
//! no connection and takes nothing over.
//!
//! The seam is [`Reload`]: behind it is the thread ([`Handle`]), or the stand-in of the simulator.

mod thread;

use crate::config::Config;
use crate::options::Change;
use crate::token::Verifier;

pub use thread::{Handle, Surroundings, fitting};

/// Reads the settings again. The loop calls it, so nothing here may wait.
pub trait Reload {
    /// Begins. Not to be called again before [`Reload::receive`] has had the outcome.
    fn begin(&mut self);

    /// The outcome, once, when there is one.
    fn receive(&mut self) -> Option<Outcome>;
}

/// The settings, or all that is wrong with them, a sentence each.
pub type Outcome = Result<Box<Reloaded>, Vec<String>>;

/// What holds from here on.
#[derive(Debug)]
pub struct Reloaded {
    /// With operators and words. What takes a restart is in it as it was.
    pub config: Config,
    pub max_connections: usize,
    /// What signed tokens are verified with.
    pub verifier: Option<Verifier>,
    /// What has another value than before, also what takes a restart.
    pub changes: Vec<Change>,
}
