//! Reading the settings again while the server runs, on a thread of its own: a list of words takes
//! longer to build than the loop may stand. Begun by the loop, which fetches what came of it. Knows
//! no connection and takes nothing over.
//!
//! The seam is [`Reload`]: behind it is the thread ([`Handle`]), or the stand-in of the simulator.

mod thread;
mod watch;

use crate::config::Config;
use crate::options::Change;
use crate::tls::Identities;
use crate::token::Verifier;

pub use thread::{Handle, Surroundings, fitting};

/// Reads the settings again. The loop calls it, so nothing here may wait.
pub trait Reload {
    /// Begins. Not to be called again before [`Reload::receive`] has had the outcome.
    fn begin(&mut self);

    /// The outcome, once, when there is one.
    fn receive(&mut self) -> Option<Outcome>;

    /// What came of reading certificates whose files have changed, once.
    fn renewed(&mut self) -> Option<Renewed> {
        None
    }
}

/// Certificates, or what is wrong with them.
pub type Renewed = Result<Identities, String>;

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
    /// The certificates of TLS.
    pub identities: Option<Identities>,
    /// What has another value than before, also what takes a restart.
    pub changes: Vec<Change>,
}
