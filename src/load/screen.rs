//! The progress of a run: on a terminal one line that is drawn again and again, elsewhere a new
//! line every two seconds.

use crate::net::dial::Micros;
use std::io::Write;

/// Where to print. `errors` takes the progress, so that `output` can be read by a program.
pub struct Screen<'a> {
    pub output: &'a mut dyn Write,
    pub errors: &'a mut dyn Write,
    /// `errors` is a terminal.
    pub is_terminal: bool,
}

/// The progress line.
pub(super) struct Progress {
    is_terminal: bool,
    due: Micros,
    is_drawn: bool,
}

const BAR_WIDTH: usize = 24;
const REDRAW_MICROS: Micros = 100_000;
const LINE_MICROS: Micros = 2_000_000;

impl Progress {
    pub(super) const fn new(is_terminal: bool) -> Self {
        Self {
            is_terminal,
            due: 0,
            is_drawn: false,
        }
    }

    /// Whether it is time to draw again.
    pub(super) const fn is_due(&self, now: Micros) -> bool {
        now >= self.due
    }

    /// `part`: how much of the phase is done, from 0 to 1.
    pub(super) fn show(
        &mut self,
        now: Micros,
        phase: &str,
        part: f64,
        text: &str,
        to: &mut dyn Write,
    ) {
        let part = part.clamp(0.0, 1.0);
        // A closed standard error is no reason to stop the run.
        if self.is_terminal {
            self.due = now + REDRAW_MICROS;
            let full = (part * BAR_WIDTH as f64) as usize;
            let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR_WIDTH - full));
            let _ = write!(to, "\r\x1b[K{phase:<8} {bar} {text}");
            self.is_drawn = true;
        } else {
            self.due = now + LINE_MICROS;
            let _ = writeln!(to, "{phase} {:.0} %: {text}", part * 100.0);
        }
        let _ = to.flush();
    }

    /// Removes a drawn line.
    pub(super) fn clear(&mut self, to: &mut dyn Write) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(to, "\r\x1b[K");
            let _ = to.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(is_terminal: bool) -> String {
        let mut text = Vec::new();
        let mut progress = Progress::new(is_terminal);
        progress.show(0, "opening", 0.5, "500 open", &mut text);
        assert!(!progress.is_due(99_999));
        progress.clear(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn terminal_has_one_line_that_disappears() {
        let bar = format!("{}{}", "█".repeat(12), "░".repeat(12));
        assert_eq!(
            shown(true),
            format!("\r\x1b[Kopening  {bar} 500 open\r\x1b[K")
        );
    }

    #[test]
    fn other_outputs_have_plain_lines() {
        assert_eq!(shown(false), "opening 50 %: 500 open\n");
    }
}
