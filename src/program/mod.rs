//! The program: which command the first word is, and the exit codes. This folder is the only place
//! that prints or exits; one file for each concern, and none of them knows a rule of the chat.

mod accounts;
mod commands;
mod engine;
mod health;
mod keep;
mod lists;
mod load;
mod operate;
mod printers;
mod serve;
mod settings;
mod token;
mod upgrade;

use parlor::config::{self, Invocation, OrderCommand, StoreCommand};
use parlor::net::Image;
use settings::{read_config, variable};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// The admin socket's name in its directory.
const ADMIN_SOCKET: &str = "admin.sock";

/// Something outside the program is wrong, such as an address in use, or a second signal came.
const FAILED: ExitCode = ExitCode::FAILURE;

/// An option or a variable is wrong.
fn misused() -> ExitCode {
    ExitCode::from(2)
}

/// Does what the arguments ask.
pub(crate) fn run() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let rest = |arguments: &mut Vec<OsString>| arguments.split_off(1);
    match arguments.first().and_then(|first| first.to_str()) {
        Some("load") => load::run_load(rest(&mut arguments)),
        Some("completions") => printers::completions(&rest(&mut arguments)),
        Some("man") => printers::manual(&rest(&mut arguments)),
        Some("backup") => commands::run_command(StoreCommand::Backup, rest(&mut arguments)),
        Some("export") => commands::run_command(StoreCommand::Export, rest(&mut arguments)),
        Some("drain") => commands::run_command(StoreCommand::Drain, rest(&mut arguments)),
        Some("account") => accounts::run_account(rest(&mut arguments)),
        Some("reload") => operate::run(&config::RELOAD, rest(&mut arguments)),
        Some("upgrade") => operate::run(&config::UPGRADE, rest(&mut arguments)),
        Some(Image::CHECK) => upgrade::check(rest(&mut arguments)),
        Some("admin") => operate::run_admin(rest(&mut arguments)),
        Some("token") => token::run_token(rest(&mut arguments)),
        Some("audit") => commands::run_command(StoreCommand::Audit, rest(&mut arguments)),
        Some("store") => commands::run_store(rest(&mut arguments)),
        Some("health") => health::run_health(rest(&mut arguments)),
        Some("config") => settings::show_settings(rest(&mut arguments)),
        Some("check") => settings::check_settings(rest(&mut arguments)),
        Some(word) => match OrderCommand::named(word) {
            Some(order) => commands::run_order(order, rest(&mut arguments)),
            None => start(arguments),
        },
        None => start(arguments),
    }
}

fn start(arguments: Vec<OsString>) -> ExitCode {
    match Invocation::parse(arguments, variable, &read_config) {
        Ok(Invocation::Serve(running)) => serve::serve(*running),
        Ok(Invocation::Help) => print(config::TABLE.help().as_bytes()),
        Ok(Invocation::Version) => {
            print(format!("parlor {}\n", parlor::version::version()).as_bytes())
        }
        Err(bad) => {
            eprintln!("parlor: {bad}");
            misused()
        }
    }
}

fn print(text: &[u8]) -> ExitCode {
    // A reader that closed our standard output does not want the rest.
    let _ = io::stdout().write_all(text);
    ExitCode::SUCCESS
}

fn fill(bytes: &mut [u8]) -> Result<(), String> {
    getrandom::fill(bytes).map_err(|error| format!("the system gives no random numbers: {error}"))
}
