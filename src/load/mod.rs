//! The load tester: `parlor load`. Opens connections to any WebSocket server, holds them, sends
//! messages over them, and accounts for every message. Knows a server only by its sockets and, with
//! `--pid`, by what the system reports about its process.
//!
//! In the order of a run: `options` and `url` parse what is wanted; `holder` checks that the
//! process of `--pid` is the server; `conduct` decides how long each phase lasts and watches the
//! server (`measure`); it commands a `crew`, which is this process or several helpers; each has a
//! `worker`, the loop over its connections (`client`, `request`, `reader`, `inbound`, `schedule`,
//! `timeouts`, `tls`), and the `talk` that they make (`marker`, `ledger`). Clients of `parlor.v1.json`
//! decode an `object` and have a `seat`; those that were away are accounted for by `storm`, pages
//! of history by `pages`. Everything is counted in a `tally` and reported by `report`.
//!
//! Every wait of the tester has a bound, but for three: the resolver's for a host name, the one for
//! a reader of the tester's output, and that of `--pause`.

mod client;
mod conduct;
mod crew;
mod holder;
mod inbound;
mod ledger;
mod marker;
mod measure;
mod object;
mod options;
mod pages;
mod reader;
mod report;
mod request;
mod schedule;
mod screen;
mod seat;
mod storm;
mod talk;
mod tally;
mod timeouts;
mod tls;
mod url;
mod worker;

pub use screen::Screen;

use crate::net::dial::Target;
use crate::net::mio::raise_descriptor_limit;
use crate::options::{BadOption, Command};
use holder::Remark;
use options::{Asked, Options, TABLE};
use report::Outcome;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use url::Place;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    AsExpected,
    /// An expectation is broken, no connection was made, or the server ended all connections.
    NotAsExpected,
}

/// Why there was no run, or no result.
#[derive(Debug)]
pub enum LoadError {
    Misused(BadOption),
    System(String),
}

/// The options, as clap knows them, for completions and the manual page.
pub fn described(name: &'static str) -> Command {
    TABLE.described(name)
}

/// Parses the arguments after `load`, runs the scenario, and reports the result.
///
/// # Errors
/// A sentence about what prevented it.
pub fn run(arguments: Vec<OsString>, mut screen: Screen<'_>) -> Result<Verdict, LoadError> {
    let options = match Options::parse(arguments.iter().cloned()) {
        Ok(Asked::Run(options)) => *options,
        Ok(Asked::Help) => {
            // Fails if the reader has closed standard output, and so does not want the rest.
            let _ = screen.output.write_all(TABLE.help().as_bytes());
            return Ok(Verdict::AsExpected);
        }
        Err(bad) => return Err(LoadError::Misused(bad)),
    };
    raise_descriptor_limit();
    if options.share.is_some() {
        return crew::help(options, conduct::LEAVE_MICROS_MAX, screen.output)
            .map(|()| Verdict::AsExpected)
            .map_err(|error| LoadError::System(error.to_string()));
    }
    check_pid(&options, &mut screen)?;
    let outcome = conduct::conduct(&options, &arguments, &mut screen)
        .map_err(|error| LoadError::System(error.to_string()))?;
    let broken = outcome.broken();
    show(&outcome, &broken, &mut screen)?;
    Ok(if broken.is_empty() {
        Verdict::AsExpected
    } else {
        Verdict::NotAsExpected
    })
}

/// Where the URL points.
fn target(options: &Options) -> io::Result<Target> {
    match &options.url.place {
        Place::Host { name, port } => Target::resolve(name, *port),
        Place::Socket(path) => Ok(Target::Unix(path.clone())),
    }
}

/// The first process of `--pid` should be the server: if it surely is not, there is no run.
fn check_pid(options: &Options, screen: &mut Screen<'_>) -> Result<(), LoadError> {
    let Some((&pid, behind)) = options.pids.split_first() else {
        return Ok(());
    };
    if let Some(pid) = behind.iter().find(|pid| !measure::exists(**pid)) {
        let sentence = format!("--pid {pid}: there is no such process");
        return Err(LoadError::Misused(TABLE.bad(sentence)));
    }
    let target = target(options).map_err(|error| LoadError::System(error.to_string()))?;
    match holder::find(pid, &target).remark(pid, &options.url.text) {
        None => Ok(()),
        Some(Remark::Warning(sentence)) => {
            warn(&sentence, screen);
            Ok(())
        }
        Some(Remark::Error(sentence)) => {
            let sentence = format!("--pid {pid}: {sentence}");
            Err(LoadError::Misused(TABLE.bad(sentence)))
        }
    }
}

fn warn(sentence: &str, screen: &mut Screen<'_>) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(screen.errors, "parlor load: warning: {sentence}");
}

fn show(outcome: &Outcome, broken: &[String], screen: &mut Screen<'_>) -> Result<(), LoadError> {
    let options = &outcome.options;
    let json = options
        .json
        .as_ref()
        .map(|_| report::json(outcome, broken).to_string());
    let is_json_shown = options.json.as_deref() == Some(Path::new("-"));
    let table = report::table(outcome);
    // A closed standard output is no reason to leave out the files.
    if let Some(json) = json.as_ref().filter(|_| is_json_shown) {
        let _ = writeln!(screen.output, "{json}");
        let _ = screen.errors.write_all(table.as_bytes());
    } else {
        let _ = screen.output.write_all(table.as_bytes());
    }
    let _ = screen.output.flush();
    if let (Some(json), Some(path)) = (&json, &options.json)
        && !is_json_shown
    {
        write_file(path, &format!("{json}\n"))?;
    }
    if let Some(path) = &options.report {
        write_file(path, &report::page(outcome, broken))?;
    }
    for sentence in outcome.warnings() {
        warn(&sentence, screen);
    }
    for sentence in broken {
        let _ = writeln!(screen.errors, "parlor load: not as expected: {sentence}");
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<(), LoadError> {
    fs::write(path, text)
        .map_err(|error: io::Error| LoadError::System(format!("{}: {error}", path.display())))
}
