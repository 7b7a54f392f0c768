//! `parlor account`: asks for a password where one is needed, and gives the command to a running
//! server or to the store.

use super::commands::carry_out;
use super::settings::setting;
use super::{fill, misused, print};
use parlor::admin::{self, AccountCommand};
use parlor::config::{AccountAction, AccountInvocation, AccountOptions};
use parlor::net::ask_secret;
use parlor::net::mio::wall_clock;
use parlor::password;
use std::ffi::OsString;
use std::process::ExitCode;

pub(super) fn run_account(mut arguments: Vec<OsString>) -> ExitCode {
    let wanted = arguments.first().cloned().unwrap_or_default();
    let mut actions = AccountAction::ALL.into_iter();
    let Some(action) = actions.find(|action| wanted == action.name()) else {
        let names = AccountAction::ALL.map(AccountAction::name).join(", ");
        eprintln!("parlor account: expected {names}; parlor account add --help says more");
        return misused();
    };
    let program = action.program();
    let (options, name) = match action.parse(arguments.split_off(1), setting) {
        Ok(AccountInvocation::Help(text)) => return print(text.as_bytes()),
        Ok(AccountInvocation::Run { options, name }) => (options, name),
        Err(bad) => {
            eprintln!("{program}: {bad}");
            return misused();
        }
    };
    let command = account_command(action, &options, name);
    carry_out(program, options.whereabouts, |place, screen| {
        admin::account(place, &command?, wall_clock(), screen).map(|()| ExitCode::SUCCESS)
    })
}

fn account_command(
    action: AccountAction,
    options: &AccountOptions,
    name: String,
) -> Result<AccountCommand, String> {
    let password = if action.has_password() {
        new_password(&name)?
    } else {
        String::new()
    };
    let role = options.role.flatten();
    Ok(match action {
        AccountAction::List => AccountCommand::List { after: 0 },
        AccountAction::Add => AccountCommand::Add {
            name,
            password,
            role,
        },
        AccountAction::Password => AccountCommand::Password { name, password },
        AccountAction::Role => AccountCommand::Role { name, role },
        AccountAction::Delete => AccountCommand::Delete { name },
        AccountAction::Sessions => AccountCommand::Sessions { name },
    })
}

/// The hash of a password that the operator types.
fn new_password(name: &str) -> Result<String, String> {
    let password = ask_secret(&format!("new password of {name}"));
    let password = password.map_err(|error| format!("no password can be read: {error}"))?;
    let weak = |why| format!("this password is too weak: {why}");
    password::check(&password, name).map_err(weak)?;
    let mut salt = [0; password::SALT_BYTES];
    fill(&mut salt)?;
    let hash = password::hashed(&password, &salt);
    hash.ok_or_else(|| String::from("there is not enough memory to hash a password"))
}
