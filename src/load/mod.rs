//! The load tester: `parlor load`. Opens connections to any WebSocket server, holds them, talks
//! over them, and tells what became of every message. Knows a server only by its sockets and, if
//! it is told its process, by what the system says about that.
//!
//! In the order in which a run goes through them: `options` and `url` say what is wanted; `conduct`
//! decides how long each phase lasts and watches the server (`measure`); it commands a `crew`,
//! which is this process or several like it; each has a `worker`, the loop over its connections
//! (`client`, `inbound`), and the `talk` they make (`marker`, `ledger`); all is counted in a
//! `tally`, and told by `report`.

mod client;
mod conduct;
mod crew;
mod inbound;
mod ledger;
mod marker;
mod measure;
mod options;
mod report;
mod screen;
mod talk;
mod tally;
mod url;
mod worker;

pub use screen::Screen;

use crate::net::mio::raise_descriptor_limit;
use crate::options::{BadOption, Command};
use options::{Asked, Options, TABLE};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    AsExpected,
    /// A stated expectation is broken, nobody could connect, or the server went away.
    NotAsExpected,
}

/// Why there was no run, or none that can be told of.
#[derive(Debug)]
pub enum LoadError {
    Misused(BadOption),
    System(String),
}

/// The options, as clap knows them, for completions and the manual page.
pub fn described(name: &'static str) -> Command {
    TABLE.described(name)
}

/// Understands the arguments after `load`, runs, and tells.
///
/// # Errors
/// A sentence about what stood in the way.
pub fn run(arguments: Vec<OsString>, mut screen: Screen<'_>) -> Result<Verdict, LoadError> {
    let options = match Options::parse(arguments.iter().cloned()) {
        Ok(Asked::Run(options)) => *options,
        Ok(Asked::Help) => {
            // Whoever closed our standard output does not want the rest.
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
    let outcome = conduct::conduct(&options, &arguments, &mut screen)
        .map_err(|error| LoadError::System(error.to_string()))?;
    let broken = outcome.broken();
    tell(&outcome, &broken, &mut screen)?;
    Ok(if broken.is_empty() {
        Verdict::AsExpected
    } else {
        Verdict::NotAsExpected
    })
}

fn tell(
    outcome: &report::Outcome,
    broken: &[String],
    screen: &mut Screen<'_>,
) -> Result<(), LoadError> {
    let options = &outcome.options;
    let json = options.json.as_ref().map(|_| report::json(outcome, broken));
    let is_json_shown = options.json.as_deref() == Some(Path::new("-"));
    let table = report::table(outcome);
    // Whoever closed our output does not want the rest.
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
    for sentence in broken {
        let _ = writeln!(screen.errors, "parlor load: not as expected: {sentence}");
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<(), LoadError> {
    fs::write(path, text)
        .map_err(|error: io::Error| LoadError::System(format!("{}: {error}", path.display())))
}
