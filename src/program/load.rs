//! `parlor load`: gives the load tester its screen, and its verdict an exit code.

use super::{FAILED, misused};
use parlor::load::{self, LoadError, Screen, Verdict};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

pub(super) fn run_load(arguments: Vec<OsString>) -> ExitCode {
    let screen = Screen {
        output: &mut io::stdout(),
        errors: &mut io::stderr(),
        is_terminal: io::stderr().is_terminal(),
    };
    match load::run(arguments, screen) {
        Ok(Verdict::AsExpected) => ExitCode::SUCCESS,
        Ok(Verdict::NotAsExpected) => FAILED,
        Err(LoadError::Misused(bad)) => {
            eprintln!("parlor load: {bad}");
            misused()
        }
        Err(LoadError::System(why)) => {
            eprintln!("parlor load: {why}");
            FAILED
        }
    }
}
