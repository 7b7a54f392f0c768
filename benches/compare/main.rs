//! Compares what servers cost under the same load: parlor with the floor and every installed peer
//! (`cargo bench --bench compare -- --quick`), two builds of parlor (`-- --base PATH`),
//! parlor with and without a store (`-- --store`), what TLS costs (`-- --tls`),
//! or how long an upgrade in place takes (`-- --upgrade`).
//!
//! Every server is started anew for every setting, on a core of its own; the tester, which is
//! `parlor load`, has another. A server that fails is named in the table and stops no other.

pub(crate) mod figures;
pub(crate) mod options;
pub(crate) mod paired;
mod place;
mod programs;
mod restart;
mod rounds;
pub(crate) mod servers;
pub(crate) mod statistics;
pub(crate) mod table;
mod tester;
pub(crate) mod tls;
pub(crate) mod upgrade;

use options::{HELP, Options};
use place::Place;
use rounds::Comparison;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Descriptors that the largest setting needs.
const DESCRIPTORS: usize = 18_100;
/// The longest time to build the floor.
const BUILD_MAX: Duration = Duration::from_secs(300);

#[expect(
    clippy::disallowed_methods,
    reason = "the server's rule about its clock; this measures it from outside"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn compare() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let place = Place::find(&options)?;
    // The servers inherit the limit.
    let descriptors = parlor::net::mio::raise_descriptor_limit();
    if descriptors < DESCRIPTORS {
        println!("only {descriptors} descriptors: the largest settings will fail");
    }
    if let Some(base) = &options.base {
        return paired::run(&options, &place, base);
    }
    if options.tls {
        return tls::run(&options, &place);
    }
    if options.upgrade {
        return upgrade::run(&options, &place);
    }
    if options.store {
        return paired::run(&options, &place, &place.parlor);
    }
    let mut build = Command::new(place.root.join("benches/peers/build.sh"));
    servers::run_bounded(build.arg("floor"), BUILD_MAX)
        .map_err(|why| format!("benches/peers/build.sh floor: {why}"))?;
    Comparison::new(&options, place)?.run(options.rounds())
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.split_first() {
        Some((role, rest)) if role == tls::hellos::ROLE => tls::hellos::run(rest),
        _ => compare(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
