//! The processes that do the work: this one alone, or several helpers of the same program. Passes
//! commands on and adds up the counts. Each process has connections and descriptors of its own;
//! they share nothing. Every wait for a helper is bounded.

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

/// How often helpers report their counts.
const REPORT_MICROS: Micros = 50_000;
/// The longest time a helper may take to obey a command. Starting and resolving a name is part of
/// the first one.
const OBEY_MICROS_MAX: Micros = 30_000_000;

/// One worker, or several helpers.
pub(super) enum Crew {
    Own(Box<Worker>),
    Others(Others),
}

impl Crew {
    /// `arguments` is the command line after `load`, with which helpers are started.
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

    /// Returns when all processes have obeyed: the counts from then on contain the effect.
    ///
    /// # Errors
    /// A helper has ended or does not obey.
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
    /// A helper has ended.
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

    /// Closes all connections, for as long as the patience lasts, and adds up the tallies.
    ///
    /// # Errors
    /// A helper has ended early or does not end.
    pub(super) fn dismiss(self, patience: Micros) -> io::Result<Tally> {
        match self {
            Self::Own(mut worker) => {
                worker.obey(Command::Leave);
                let deadline = worker.now() + patience;
                while !worker.is_empty() && worker.now() < deadline {
                    worker.run(worker.now() + 10_000);
                }
                worker.abandon();
                Ok(worker.tally().clone())
            }
            Self::Others(others) => others.dismiss(patience),
        }
    }
}

/// Processes of the same program, commanded through their standard input.
pub(super) struct Others {
    clock: Clock,
    helpers: Vec<Helper>,
    lines: Receiver<(usize, String)>,
    commands: u64,
    obey_micros_max: Micros,
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
            obey_micros_max: OBEY_MICROS_MAX,
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
                return Err(io::Error::other("a helper process has no pipes"));
            };
            let sender = sender.clone();
            thread::spawn(move || pass_lines(index, output, &sender));
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
        let deadline = self.clock.now() + self.obey_micros_max;
        while self.counts().of(Count::Obeyed) < obeyed {
            if self.clock.now() > deadline {
                let seconds = self.obey_micros_max as f64 / 1e6;
                return Err(io::Error::other(format!(
                    "a helper process has not obeyed a command within {seconds} s"
                )));
            }
            self.advance(self.clock.now() + REPORT_MICROS)?;
        }
        Ok(())
    }

    /// Takes the reports of the helpers.
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
        // The helpers have the same patience; their last reports take a moment longer.
        let deadline = self.clock.now() + 2 * patience;
        while !self.helpers.iter().all(|helper| helper.is_done) {
            if self.clock.now() > deadline {
                return Err(io::Error::other("a helper process does not end"));
            }
            self.advance(self.clock.now() + REPORT_MICROS)?;
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
            // The helper has ended, or has nothing left to do.
            let _ = helper.child.kill();
            let _ = helper.child.wait();
        }
    }
}

/// The last line of a helper that has done its work.
const DONE: &str = "done";
/// Follows when the helper's output has ended.
const GONE: &str = "gone";

impl Helper {
    fn take(&mut self, line: &str) -> io::Result<()> {
        if line == DONE {
            self.is_done = true;
        } else if line == GONE {
            if !self.is_done {
                return Err(io::Error::other("a helper process has ended early"));
            }
        } else if !self.tally.take_line(line) {
            return Err(io::Error::other(format!(
                "a helper process has reported a line without meaning: {line}"
            )));
        }
        Ok(())
    }
}

fn pass_lines(index: usize, output: impl io::Read, sender: &Sender<(usize, String)>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if sender.send((index, line)).is_err() {
            return;
        }
    }
    // Fails if the run is over already.
    let _ = sender.send((index, GONE.to_owned()));
}

fn write_command(command: Command, to: &mut impl Write) -> io::Result<()> {
    match command {
        Command::Open(total) => writeln!(to, "open {total}"),
        Command::Begin => writeln!(to, "begin"),
        Command::Count => writeln!(to, "count"),
        Command::Stop => writeln!(to, "stop"),
        Command::Wake => writeln!(to, "wake"),
        Command::Say => writeln!(to, "say"),
        Command::Vanish => writeln!(to, "vanish"),
        Command::Return => writeln!(to, "return"),
        Command::SayLast => writeln!(to, "say-last"),
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
        "say" => Some(Command::Say),
        "vanish" => Some(Command::Vanish),
        "return" => Some(Command::Return),
        "say-last" => Some(Command::SayLast),
        "leave" => Some(Command::Leave),
        _ => {
            let total = line.strip_prefix("open ")?;
            total.parse().ok().map(Command::Open)
        }
    }
}

/// What a helper does: obeys the commands on standard input, reports its counts on `output`, and
/// ends after [`Command::Leave`] or when standard input ends.
///
/// # Errors
/// The output is closed, a command is unknown, or the work cannot begin.
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
    let mut reported = 0;
    loop {
        worker.run(worker.now() + 5_000);
        let mut is_asked = false;
        loop {
            match commands.try_recv() {
                Ok(line) => {
                    let command = parse_command(&line)
                        .ok_or_else(|| io::Error::other(format!("unknown command {line:?}")))?;
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
        if is_asked || worker.now() > reported + REPORT_MICROS {
            reported = worker.now();
            worker.tally().counts.write(output)?;
            output.flush()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Helpers that are played by a shell script.
    fn others(script: &str) -> Others {
        let (sender, lines) = mpsc::channel();
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        thread::spawn(move || pass_lines(0, output, &sender));
        Others {
            clock: Clock::new(),
            helpers: vec![Helper {
                commands: child.stdin.take().unwrap(),
                child,
                tally: Tally::default(),
                is_done: false,
            }],
            lines,
            commands: 0,
            obey_micros_max: 200_000,
        }
    }

    #[test]
    fn helper_that_does_not_obey_is_not_waited_for_longer_than_allowed() {
        let error = others("exec sleep 60").command(Command::Begin).unwrap_err();
        assert!(error.to_string().contains("has not obeyed"), "{error}");
    }

    #[test]
    fn helper_that_ends_early_is_an_error() {
        let error = others("read line").command(Command::Begin).unwrap_err();
        assert!(error.to_string().contains("has ended early"), "{error}");
    }

    #[test]
    fn helper_that_does_not_end_is_not_waited_for_longer_than_allowed() {
        let error = others("exec sleep 60").dismiss(100_000).unwrap_err();
        assert!(error.to_string().contains("does not end"), "{error}");
    }

    #[test]
    fn written_commands_are_parsed_as_the_same() {
        for command in [
            Command::Open(12),
            Command::Begin,
            Command::Count,
            Command::Stop,
            Command::Wake,
            Command::Say,
            Command::Vanish,
            Command::Return,
            Command::SayLast,
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
