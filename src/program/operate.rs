//! `parlor reload` and `parlor admin`: finds the command and the server; what is asked is the
//! library's.

use super::commands::carry_out;
use super::settings::setting;
use super::{misused, print};
use parlor::admin;
use parlor::config::{AdminCommand, OperateInvocation, OperateOptions, admin_help};
use std::ffi::OsString;
use std::process::ExitCode;

/// `parlor admin WHAT`
pub(super) fn run_admin(mut arguments: Vec<OsString>) -> ExitCode {
    let word = arguments.first().and_then(|word| word.to_str());
    if let Some("--help" | "-h") = word {
        return print(admin_help().as_bytes());
    }
    match word.and_then(AdminCommand::named) {
        Some(command) => run(command, arguments.split_off(1)),
        None => {
            let names: Vec<&str> = parlor::config::ADMIN.iter().map(|one| one.name).collect();
            let names = names.join(", ");
            eprintln!("parlor admin: expected {names}; parlor admin --help says more");
            misused()
        }
    }
}

pub(super) fn run(command: &AdminCommand, arguments: Vec<OsString>) -> ExitCode {
    let (options, operation) = match command.parse(arguments, setting) {
        Ok(OperateInvocation::Help(text)) => return print(text.as_bytes()),
        Ok(OperateInvocation::Run(options, operation)) => (options, operation),
        Err(bad) => {
            eprintln!("{}: {bad}", command.program());
            return misused();
        }
    };
    let OperateOptions {
        whereabouts,
        is_json,
    } = options;
    carry_out(command.program(), whereabouts, |place, screen| {
        admin::operate(place, &operation, is_json, screen).map(|()| ExitCode::SUCCESS)
    })
}
