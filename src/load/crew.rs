//! Those who do the work: this process alone, or several of its kind. Passes commands on and adds
//! up what they count. Each has connections and descriptors of its own; they share nothing.

use super::options::Options;
use super::tally::{Count, Counts, Tally};
use super::worker::{Command, Worker};
use crate::net::dial::{Clock, Micros};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::Duration;

/// How often others tell what they have counted.
const TELLING_MICROS: Micros = 50_000;

/// One worker or many.
pub(super) enum Crew {
    Own(Box<Worker>),
    Others(Others),
}

impl Crew {
    /// `arguments` is the command line after `load`, for others to be started with.
    ///
    /// # Errors
    /// Why the work cannot begin.
    pub(super) fn hire(options: &Options, arguments: &[OsString]) -> io::Result<Self> {
        if options.processes == 1 {
            return Ok(Self::Own(Box::new(Worker::new(options.clone())?)));
        }
        Others::start(options.processes, arguments).map(Self::Others)
    }

    pub(super) fn now(&self) -> Micros {
        match self {
            Self::Own(worker) => worker.now(),
            Self::Others(others) => others.clock.now(),
        }
    }

    /// Returns when all have obeyed, so that what is counted next is what the command led to.
    ///
    /// # Errors
    /// One of the others is gone.
    pub(super) fn command(&mut self, command: Command) -> io::Result<()> {
        match self {
            Self::Own(worker) => {
                worker.obey(command);
                Ok(())
            }
            Self::Others(others) => others.command(command),
        }
    }

    /// Lets the work go on until the moment has come.
    ///
    /// # Errors
    /// One of the others is gone.
    pub(super) fn advance(&mut self, until: Micros) -> io::Result<()> {
        match self {
            Self::Own(worker) => {
                worker.run(until);
                Ok(())
            }
            Self::Others(others) => others.advance(until),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::Own(worker) => worker.tally().counts.clone(),
            Self::Others(others) => others.counts(),
        }
    }

    /// Leaves with everybody and adds up.
    ///
    /// # Errors
    /// One of the others is gone.
    pub(super) fn dismiss(self, patience: Micros) -> io::Result<Tally> {
        match self {
            Self::Own(mut worker) => {
                worker.obey(Command::Leave);
                let deadline = worker.now() + patience;
                while !worker.is_empty() && worker.now() < deadline {
                    worker.run(worker.now() + 10_000);
                }
                Ok(worker.tally().clone())
            }
            Self::Others(others) => others.dismiss(patience),
        }
    }
}

/// Processes of our own kind, commanded through their standard input.
pub(super) struct Others {
    clock: Clock,
    helpers: Vec<Helper>,
    lines: Receiver<(usize, String)>,
    commands: u64,
}

struct Helper {
    child: Child,
    commands: ChildStdin,
    tally: Tally,
    is_done: bool,
}

impl Others {
    fn start(count: usize, arguments: &[OsString]) -> io::Result<Self> {
        let (sender, lines) = mpsc::channel();
        let mut others = Self {
            clock: Clock::new(),
            helpers: Vec::with_capacity(count),
            lines,
            commands: 0,
        };
        for index in 0..count {
            let mut child = std::process::Command::new(std::env::current_exe()?)
                .arg("load")
                .args(arguments)
                .arg(format!("--share={index}/{count}"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (Some(commands), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(io::Error::other("a process without pipes"));
            };
            let sender = sender.clone();
            thread::spawn(move || tell_lines(index, output, &sender));
            others.helpers.push(Helper {
                child,
                commands,
                tally: Tally::default(),
                is_done: false,
            });
        }
        Ok(others)
    }

    fn command(&mut self, command: Command) -> io::Result<()> {
        self.commands += 1;
        for helper in &mut self.helpers {
            write_command(command, &mut helper.commands)?;
        }
        let obeyed = self.commands * self.helpers.len() as u64;
        while self.counts().of(Count::Obeyed) < obeyed {
            self.advance(self.clock.now() + TELLING_MICROS)?;
        }
        Ok(())
    }

    /// Takes what the others tell.
    fn advance(&mut self, until: Micros) -> io::Result<()> {
        loop {
            let left = Duration::from_micros(until.saturating_sub(self.clock.now()));
            match self.lines.recv_timeout(left) {
                Ok((index, line)) => self.helpers[index].take(&line)?,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(left);
                    return Ok(());
                }
            }
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for helper in &self.helpers {
            sum.merge(&helper.tally.counts);
        }
        sum
    }

    fn dismiss(mut self, patience: Micros) -> io::Result<Tally> {
        for helper in &mut self.helpers {
            write_command(Command::Leave, &mut helper.commands)?;
        }
        // They keep the same patience themselves; what they tell then needs a moment more.
        let deadline = self.clock.now() + 2 * patience;
        while !self.helpers.iter().all(|helper| helper.is_done) {
            if self.clock.now() > deadline {
                return Err(io::Error::other(
                    "a process of ours does not come to an end",
                ));
            }
            self.advance(self.clock.now() + TELLING_MICROS)?;
        }
        let mut sum = Tally::default();
        for helper in &self.helpers {
            sum.merge(&helper.tally);
        }
        Ok(sum)
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for helper in &mut self.helpers {
            // They have ended, or have nothing left to do.
            let _ = helper.child.kill();
            let _ = helper.child.wait();
        }
    }
}

/// The last line a helper tells.
const DONE: &str = "done";
/// What stands before its last counts and all the rest of its tally.
const GONE: &str = "gone";

impl Helper {
    fn take(&mut self, line: &str) -> io::Result<()> {
        if line == DONE {
            self.is_done = true;
        } else if line == GONE {
            if !self.is_done {
                return Err(io::Error::other("a process of ours has ended early"));
            }
        } else if !self.tally.take_line(line) {
            return Err(io::Error::other(format!(
                "a process of ours does not make sense: {line}"
            )));
        }
        Ok(())
    }
}

fn tell_lines(index: usize, output: impl io::Read, sender: &Sender<(usize, String)>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if sender.send((index, line)).is_err() {
            return;
        }
    }
    // Nobody listens any more if this fails.
    let _ = sender.send((index, GONE.to_owned()));
}

fn write_command(command: Command, to: &mut impl Write) -> io::Result<()> {
    match command {
        Command::Open(total) => writeln!(to, "open {total}"),
        Command::Begin => writeln!(to, "begin"),
        Command::Count => writeln!(to, "count"),
        Command::Stop => writeln!(to, "stop"),
        Command::Wake => writeln!(to, "wake"),
        Command::Leave => writeln!(to, "leave"),
    }?;
    to.flush()
}

fn parse_command(line: &str) -> Option<Command> {
    match line {
        "begin" => Some(Command::Begin),
        "count" => Some(Command::Count),
        "stop" => Some(Command::Stop),
        "wake" => Some(Command::Wake),
        "leave" => Some(Command::Leave),
        _ => {
            let total = line.strip_prefix("open ")?;
            total.parse().ok().map(Command::Open)
        }
    }
}

/// The life of one of the others: obeys what comes through standard input, tells on `output` what
/// it counts, and ends when it is told to leave or nobody commands it any more.
///
/// # Errors
/// Nobody listens, or the work cannot begin.
pub(super) fn help(options: Options, patience: Micros, output: &mut dyn Write) -> io::Result<()> {
    let (sender, commands) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut worker = Worker::new(options)?;
    let mut told = 0;
    loop {
        worker.run(worker.now() + 5_000);
        let mut is_asked = false;
        loop {
            match commands.try_recv() {
                Ok(line) => {
                    let command = parse_command(&line)
                        .ok_or_else(|| io::Error::other(format!("what is {line:?}?")))?;
                    if command == Command::Leave {
                        let tally = Crew::Own(Box::new(worker)).dismiss(patience)?;
                        tally.write(output)?;
                        writeln!(output, "{DONE}")?;
                        return output.flush();
                    }
                    worker.obey(command);
                    is_asked = true;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        if is_asked || worker.now() > told + TELLING_MICROS {
            told = worker.now();
            worker.tally().counts.write(output)?;
            output.flush()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_the_way_to_another_process() {
        for command in [
            Command::Open(12),
            Command::Begin,
            Command::Count,
            Command::Stop,
            Command::Wake,
            Command::Leave,
        ] {
            let mut line = Vec::new();
            write_command(command, &mut line).unwrap();
            let line = String::from_utf8(line).unwrap();
            assert_eq!(parse_command(line.trim_end()), Some(command));
        }
        assert_eq!(parse_command("open"), None);
        assert_eq!(parse_command("dance"), None);
    }
}
