//! `parlor completions` and `parlor man`, made from the same rows as the options. A new subcommand
//! with a manual page is named in `PAGES`.

use super::{FAILED, misused, print};
use parlor::config::{self, AdminCommand, OrderCommand, StoreCommand};
use parlor::load;
use parlor::options;
use std::ffi::OsString;
use std::process::ExitCode;

/// The subcommands with a manual page.
const PAGES: &[&str] = &[
    "load",
    "token",
    "backup",
    "export",
    "audit",
    "store-check",
    "drain",
    "kick",
    "ban",
    "unban",
    "mute",
    "unmute",
    "sanctions",
    "topic",
    "delete",
    "purge",
    "close-room",
    "role",
    "room",
    "reload",
    "upgrade",
    "admin-connections",
    "admin-show",
    "admin-close",
    "admin-rooms",
    "admin-members",
    "admin-notice",
    "admin-log-level",
];

pub(super) fn completions(arguments: &[OsString]) -> ExitCode {
    let [shell] = arguments else {
        eprintln!("parlor completions: which shell? It is bash, elvish, fish, powershell or zsh");
        return misused();
    };
    let program = config::TABLE
        .described("parlor")
        .subcommand(load::described("load"));
    let program = program.subcommand(config::TOKEN.described("token"));
    let program = config::with_store_commands(program);
    let program = config::with_account_commands(program);
    let program = config::with_orders(program);
    let program = config::with_admin_commands(program);
    let program = options::with_printers(program, PAGES);
    match options::completions(program, &shell.to_string_lossy()) {
        Ok(script) => print(&script),
        Err(sentence) => {
            eprintln!("parlor completions: {sentence}");
            misused()
        }
    }
}

pub(super) fn manual(arguments: &[OsString]) -> ExitCode {
    let page = match arguments {
        [] => config::TABLE.described("parlor"),
        [which] if which == "load" => load::described("parlor-load"),
        [which] if which == "token" => config::TOKEN.described("parlor-token"),
        [which] if which == "backup" => StoreCommand::Backup.described("parlor-backup"),
        [which] if which == "export" => StoreCommand::Export.described("parlor-export"),
        [which] if which == "drain" => StoreCommand::Drain.described("parlor-drain"),
        [which] if which == "audit" => StoreCommand::Audit.described("parlor-audit"),
        [which] if which == "store-check" => StoreCommand::Check.described("parlor-store-check"),
        _ => match arguments.first().and_then(|which| which.to_str()) {
            Some(word) if arguments.len() == 1 && OrderCommand::named(word).is_some() => {
                let order = OrderCommand::named(word).expect("it was found");
                order.described(order.page)
            }
            Some(word) if arguments.len() == 1 && operating(word).is_some() => {
                let command = operating(word).expect("it was found");
                command.described(command.page)
            }
            _ => {
                let pages = PAGES.join(", ");
                eprintln!("parlor man: expected nothing more, or one of {pages}");
                return misused();
            }
        },
    };
    match options::manual(page) {
        Ok(page) => print(&page),
        Err(error) => {
            eprintln!("parlor man: {error}");
            FAILED
        }
    }
}

/// `reload`, or a command behind `admin`.
fn operating(page: &str) -> Option<&'static AdminCommand> {
    match page.strip_prefix("admin-") {
        Some(word) => AdminCommand::named(word),
        None => [&config::RELOAD, &config::UPGRADE]
            .into_iter()
            .find(|command| page == command.name),
    }
}
