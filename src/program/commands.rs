//! Commands about a store or a running server: backup, export, audit, check, and those that keep
//! order. Finds the directory and the admin socket; what is done there is the library's.

use super::keep::NO_DIRECTORY;
use super::settings::{setting, variable};
use super::{ADMIN_SOCKET, FAILED, misused, print};
use parlor::admin::{self, AdminSocket};
use parlor::config::{
    CommandInvocation, OrderCommand, OrderInvocation, OrderOptions, StoreCommand, StorePlace,
    Whereabouts, runtime_directory, state_directory,
};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where systemd puts it for the unit in docs/systemd. An operator's shell has no RUNTIME_DIRECTORY.
const SERVICE_RUNTIME: &str = "/run/parlor";

/// A command that keeps order on a running server.
pub(super) fn run_order(order: &OrderCommand, arguments: Vec<OsString>) -> ExitCode {
    let options = match order.parse(arguments, setting) {
        Ok(OrderInvocation::Help(text)) => return print(text.as_bytes()),
        Ok(OrderInvocation::Run(options)) => options,
        Err(bad) => {
            eprintln!("{}: {bad}", order.program());
            return misused();
        }
    };
    let OrderOptions {
        whereabouts,
        fields,
        is_json,
    } = options;
    carry_out(order.program(), whereabouts, |place, screen| {
        admin::order(place, &fields, is_json, screen).map(|()| ExitCode::SUCCESS)
    })
}

pub(super) fn run_store(mut arguments: Vec<OsString>) -> ExitCode {
    if arguments.first().is_some_and(|first| first == "check") {
        return run_command(StoreCommand::Check, arguments.split_off(1));
    }
    eprintln!("parlor store: expected check; parlor store check --help says more");
    misused()
}

pub(super) fn run_command(command: StoreCommand, arguments: Vec<OsString>) -> ExitCode {
    let (whereabouts, argument) = match command.parse(arguments, setting) {
        Ok(CommandInvocation::Help(text)) => return print(text.as_bytes()),
        Ok(CommandInvocation::Run {
            whereabouts,
            argument,
        }) => (whereabouts, argument),
        Err(bad) => {
            eprintln!("{}: {bad}", command.program());
            return misused();
        }
    };
    let argument = argument.as_deref();
    let required = argument.unwrap_or_default();
    carry_out(command.program(), whereabouts, |place, screen| {
        match command {
            StoreCommand::Backup => admin::backup(place, Path::new(required), screen),
            StoreCommand::Export => admin::export(place, required, screen),
            StoreCommand::Drain => admin::drain(place, screen),
            StoreCommand::Audit => admin::audit(place, argument, screen),
            StoreCommand::Check => {
                let is_whole = admin::check(place, argument.map(Path::new), screen)?;
                return Ok(if is_whole { ExitCode::SUCCESS } else { FAILED });
            }
        }
        .map(|()| ExitCode::SUCCESS)
    })
}

/// Does the work of a command at its place, and names the program where that fails.
pub(super) fn carry_out(
    program: &str,
    whereabouts: Whereabouts,
    work: impl FnOnce(&admin::Place, &mut admin::Screen<'_>) -> Result<ExitCode, String>,
) -> ExitCode {
    let outcome = place(whereabouts).and_then(|place| {
        let mut screen = admin::Screen {
            output: &mut io::stdout().lock(),
            errors: &mut io::stderr(),
            is_terminal: io::stderr().is_terminal(),
        };
        work(&place, &mut screen)
    });
    outcome.unwrap_or_else(|why| {
        eprintln!("{program}: {why}");
        FAILED
    })
}

/// Where the store of a command is.
fn place(whereabouts: Whereabouts) -> Result<admin::Place, String> {
    let directory = match whereabouts.store_place {
        StorePlace::Directory(directory) => directory,
        StorePlace::Unnamed => state_directory(variable).ok_or(NO_DIRECTORY)?,
        StorePlace::Memory => return Err(String::from("--store memory names no store to work on")),
    };
    let sockets = match whereabouts.admin_socket {
        AdminSocket::At(path) => vec![path],
        AdminSocket::None => Vec::new(),
        AdminSocket::Unnamed => {
            let directories = runtime_directory(variable).into_iter();
            let directories =
                directories.chain([directory.clone(), PathBuf::from(SERVICE_RUNTIME)]);
            directories.map(|path| path.join(ADMIN_SOCKET)).collect()
        }
    };
    Ok(admin::Place { directory, sockets })
}
