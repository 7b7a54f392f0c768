//! Another image of the program that takes over this process: is its file one that understands the
//! state? Asked on a thread of its own, since starting a program and waiting for it takes longer
//! than the loop may stand. Knows no state and no connection.
//!
//! The seam is [`Upgrade`]: behind it is the thread ([`Handle`]), or the stand-in of the simulator.

mod thread;

pub use thread::Handle;

/// Checks the program that is to take over. The loop calls it, so nothing here may wait.
pub trait Upgrade {
    /// Begins. Not to be called again before [`Upgrade::receive`] has had the outcome.
    fn check(&mut self, state: Vec<u8>);

    /// The outcome, once, when there is one: the program understands the state, or a sentence says
    /// why it cannot take over.
    fn receive(&mut self) -> Option<Result<(), String>>;
}
