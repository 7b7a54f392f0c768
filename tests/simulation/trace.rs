//! The trace of a game, for people: printed as the game goes on, or only its last lines when a
//! promise was broken.

use std::collections::VecDeque;

/// The number of lines that are printed of a game that failed.
const LAST_MAX: usize = 60;

/// Where the lines of a trace go.
pub(crate) enum Trace {
    /// Nowhere.
    Off,
    /// To standard output.
    All,
    /// The last lines to standard output, if the game panics.
    Last(VecDeque<String>),
}

impl Trace {
    pub(crate) fn last() -> Self {
        Self::Last(VecDeque::new())
    }

    /// Adds a line. `line` is not called if the trace is off.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        match self {
            Self::Off => {}
            Self::All => println!("{}", line()),
            Self::Last(lines) => {
                if lines.len() == LAST_MAX {
                    lines.pop_front();
                }
                lines.push_back(line());
            }
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let Self::Last(lines) = self
            && std::thread::panicking()
        {
            for line in lines {
                println!("{line}");
            }
        }
    }
}
