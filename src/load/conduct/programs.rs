//! The phases of the scenarios that only a server with numbered entries has: messages are said and
//! stored, all clients vanish, and all return.

use super::{Conductor, OPENING_STEP_MICROS, STEP_MICROS, micros};
use crate::load::tally::Count;
use crate::load::worker::Command;
use crate::net::dial::Micros;
use std::io::{self, BufRead};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

/// Without an event for so long, while no connection is begun, no more will come.
const QUIET_MICROS_MAX: Micros = 4_000_000;

impl Conductor<'_, '_, '_> {
    /// Fills the rooms with what will be read.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        self.open_until(self.options.speakers())?;
        if self.options.fill > 0 && self.crew.counts().of(Count::Open) > 0 {
            self.say()?;
        }
        Ok(())
    }

    /// Clients vanish, miss messages and return.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        self.crew.command(Command::Vanish)?;
        self.settle()?;
        self.say()?;
        if self.outcome.aborted.is_some() {
            return Ok(());
        }
        if self.options.pause {
            self.pause()?;
        }
        self.settle()?;
        self.crew.command(Command::Count)?;
        let before = self.server_cpu();
        self.outcome.counted_from = self.crew.now();
        self.crew.command(Command::Return)?;
        let away = self.crew.counts().of(Count::Vanished);
        self.wait_for("returning", Count::Live, away, OPENING_STEP_MICROS)?;
        let after = self.server_cpu();
        self.outcome.counted_to = self.crew.now();
        self.crew.command(Command::Stop)?;
        self.outcome.cpu_nanos = after.zip(before).map(|(after, before)| after - before);
        self.crew.command(Command::SayLast)?;
        self.drain()
    }

    /// Returns when all that the speakers say is acknowledged.
    fn say(&mut self) -> io::Result<()> {
        self.crew.command(Command::Say)?;
        let sent = self.crew.counts().of(Count::Sent);
        let wanted = (self.options.speakers() * self.options.said()) as u64;
        self.wait_for("talking", Count::Acked, sent, STEP_MICROS)?;
        if self.crew.counts().of(Count::Acked) < wanted {
            self.outcome.aborted =
                Some("the server did not take all messages (its --message-rate may forbid it)");
        }
        Ok(())
    }

    /// Waits until so much is counted, as long as anything happens.
    fn wait_for(&mut self, phase: &str, what: Count, goal: u64, step: Micros) -> io::Result<()> {
        let mut before = 0;
        let mut changed = self.crew.now();
        loop {
            let counts = self.crew.counts();
            let now = self.crew.now();
            if counts.of(what) >= goal {
                return Ok(());
            }
            let happened = counts.of(Count::Frames) + counts.of(Count::Connected) + counts.failed();
            // A connection that is begun ends its own wait.
            let is_connecting = counts.of(Count::Unopened) + counts.of(Count::Pending) > 0;
            if happened != before || is_connecting {
                before = happened;
                changed = now;
            }
            if now > changed + QUIET_MICROS_MAX {
                return Ok(());
            }
            self.step(now + step)?;
            self.show(phase, counts.of(what) as f64 / goal as f64);
        }
    }

    /// Waits for a line on standard input, which may state the process of another server.
    fn pause(&mut self) -> io::Result<()> {
        self.progress.clear(self.screen.errors);
        // A closed standard error is no reason to stop.
        let _ = writeln!(
            self.screen.errors,
            "parlor load: paused until a line arrives on standard input"
        );
        let line = next_line();
        loop {
            match line.try_recv() {
                Ok(line) => {
                    if let (Ok(pid), Some(first)) = (line.trim().parse(), self.pids.first_mut()) {
                        *first = pid;
                    }
                    return Ok(());
                }
                // Standard input has ended.
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => self.step(self.crew.now() + STEP_MICROS)?,
            }
        }
    }

    /// Without messages for a while, so that one that arrives again is noticed.
    pub(super) fn rest(&mut self) -> io::Result<()> {
        self.pass(micros(self.options.rest), "resting")
    }
}

fn next_line() -> Receiver<String> {
    let (sender, line) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        if io::stdin()
            .lock()
            .read_line(&mut text)
            .is_ok_and(|len| len > 0)
        {
            // Fails if the run is over.
            let _ = sender.send(text);
        }
    });
    line
}
