//! The options of the commands about accounts: `parlor account add NAME` and its like. Pure, as the
//! options of the server are.

use super::commands::{SOCKET_OF_COMMAND, STORE_OF_COMMAND, admin_socket, store};
use super::{StorePlace, Whereabouts};
use crate::admin::parse_role;
use crate::chat::Role;
use crate::options::{Asked, BadOption, Command, Group, Positional, Row, Table, custom, help};
use std::ffi::OsString;

/// A command about accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountAction {
    List,
    Add,
    Password,
    Role,
    Delete,
    Sessions,
}

/// What is given to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOptions {
    pub whereabouts: Whereabouts,
    /// `None`: it is not given.
    pub role: Option<Option<Role>>,
}

impl AsMut<Whereabouts> for AccountOptions {
    fn as_mut(&mut self) -> &mut Whereabouts {
        &mut self.whereabouts
    }
}

/// What a command is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountInvocation {
    Run {
        options: AccountOptions,
        /// Empty where the command needs none.
        name: String,
    },
    /// Print this.
    Help(String),
}

const STORE: Row<AccountOptions> = store(STORE_OF_COMMAND);
const ADMIN_SOCKET: Row<AccountOptions> = admin_socket(SOCKET_OF_COMMAND);

const ROLE: Row<AccountOptions> = custom(
    "role",
    "ROLE",
    "the role on the server: admin, moderator or member",
    |c, value| {
        c.role = Some(parse_role(value)?);
        Ok(())
    },
    |_| String::from("member"),
);

const PLAIN: &[Group<AccountOptions>] = &[Group {
    title: "Options",
    rows: &[STORE, ADMIN_SOCKET, help()],
}];

const WITH_ROLE: &[Group<AccountOptions>] = &[Group {
    title: "Options",
    rows: &[ROLE, STORE, ADMIN_SOCKET, help()],
}];

const INTRO: &str = "\
While a server uses the store, the command asks it over its admin socket; otherwise it works on the
store by itself. --store and --admin-socket can be set in the environment, as for the server.
";

const INTRO_PASSWORD: &str = "\
The password is asked for, or read from standard input up to the end of its first line.
While a server uses the store, the command asks it over its admin socket; otherwise it works on the
store by itself. --store and --admin-socket can be set in the environment, as for the server.
";

const NAME: Option<Positional> = Some(Positional {
    name: "NAME",
    values: &[],
    is_required: true,
});

const fn table(
    program: &'static str,
    about: &'static str,
    usage: &'static str,
    intro: &'static str,
    groups: &'static [Group<AccountOptions>],
    positional: Option<Positional>,
) -> Table<AccountOptions> {
    Table {
        program,
        about,
        usage,
        intro,
        groups,
        outro: "",
        positional,
        environment: Some("PARLOR_"),
        defaults: AccountOptions::default,
    }
}

static LIST: Table<AccountOptions> = table(
    "parlor account list",
    "lists all accounts, as JSON lines",
    "parlor account list [OPTION]...",
    INTRO,
    PLAIN,
    None,
);

static ADD: Table<AccountOptions> = table(
    "parlor account add",
    "registers an account",
    "parlor account add NAME [OPTION]...",
    INTRO_PASSWORD,
    WITH_ROLE,
    NAME,
);

static PASSWORD: Table<AccountOptions> = table(
    "parlor account password",
    "gives an account another password, and ends its sessions",
    "parlor account password NAME [OPTION]...",
    INTRO_PASSWORD,
    PLAIN,
    NAME,
);

static ROLE_TABLE: Table<AccountOptions> = table(
    "parlor account role",
    "gives an account a role on the server, or takes it",
    "parlor account role NAME --role ROLE [OPTION]...",
    INTRO,
    WITH_ROLE,
    NAME,
);

static DELETE: Table<AccountOptions> = table(
    "parlor account delete",
    "removes an account and all that names it",
    "parlor account delete NAME [OPTION]...",
    INTRO,
    PLAIN,
    NAME,
);

static SESSIONS: Table<AccountOptions> = table(
    "parlor account sessions",
    "lists when the sessions of an account were used",
    "parlor account sessions NAME [OPTION]...",
    INTRO,
    PLAIN,
    NAME,
);

impl AccountAction {
    pub const ALL: [Self; 6] = [
        Self::List,
        Self::Add,
        Self::Password,
        Self::Role,
        Self::Delete,
        Self::Sessions,
    ];

    /// The word that names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Add => "add",
            Self::Password => "password",
            Self::Role => "role",
            Self::Delete => "delete",
            Self::Sessions => "sessions",
        }
    }

    fn table(self) -> &'static Table<AccountOptions> {
        match self {
            Self::List => &LIST,
            Self::Add => &ADD,
            Self::Password => &PASSWORD,
            Self::Role => &ROLE_TABLE,
            Self::Delete => &DELETE,
            Self::Sessions => &SESSIONS,
        }
    }

    /// As it is called.
    pub fn program(self) -> &'static str {
        self.table().program
    }

    /// Whether it needs a password.
    pub const fn has_password(self) -> bool {
        matches!(self, Self::Add | Self::Password)
    }

    /// Understands its arguments and the environment.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(
        self,
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<AccountInvocation, BadOption> {
        let table = self.table();
        match table.read(arguments, variable)? {
            Asked::Help | Asked::Version => Ok(AccountInvocation::Help(table.help())),
            Asked::Run(given) => {
                let mut options = AccountOptions::default();
                given.apply(&mut options)?;
                let name = given.positional().unwrap_or_default().to_owned();
                if name.is_empty() && table.positional.is_some() {
                    return Err(table.bad(String::from("the NAME is missing")));
                }
                if self == Self::Role && options.role.is_none() {
                    return Err(table.bad(String::from("--role is missing")));
                }
                if options.whereabouts.store_place == StorePlace::Memory {
                    return Err(table.bad(String::from("--store memory names no store")));
                }
                Ok(AccountInvocation::Run { options, name })
            }
        }
    }

    /// For completions and manual pages.
    pub fn described(self, name: &'static str) -> Command {
        self.table().described(name)
    }
}

/// The commands about accounts as a subcommand of the program.
pub fn with_account_commands(program: Command) -> Command {
    let account = Command::new("account")
        .about("commands on accounts")
        .disable_help_flag(true)
        .disable_help_subcommand(true);
    let all = AccountAction::ALL.into_iter();
    program.subcommand(all.fold(account, |account, action| {
        account.subcommand(action.described(action.name()))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(action: AccountAction, arguments: &[&str]) -> Result<AccountInvocation, String> {
        let parsed = action.parse(arguments.iter().map(OsString::from), |_| None);
        parsed.map_err(|bad| bad.to_string())
    }

    #[test]
    fn name_and_role_are_understood() {
        let parsed = parse(AccountAction::Add, &["ann", "--role", "admin"]);
        let Ok(AccountInvocation::Run { options, name }) = parsed else {
            panic!("{parsed:?}");
        };
        assert_eq!(
            (name.as_str(), options.role),
            ("ann", Some(Some(Role::Admin)))
        );
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (action, arguments, part) in [
            (AccountAction::Add, &[][..], "the NAME is missing"),
            (AccountAction::Role, &["ann"], "--role is missing"),
            (
                AccountAction::Role,
                &["ann", "--role", "king"],
                "expected admin, moderator",
            ),
            (
                AccountAction::List,
                &["--role", "admin"],
                "there is no option --role",
            ),
            (
                AccountAction::List,
                &["--store", "memory"],
                "names no store",
            ),
        ] {
            let sentence = parse(action, arguments).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn help_has_lines_of_at_most_100_columns() {
        for action in AccountAction::ALL {
            let Ok(AccountInvocation::Help(help)) = parse(action, &["--help"]) else {
                panic!("no help");
            };
            assert!(
                help.lines().all(|line| line.chars().count() <= 100),
                "{help}"
            );
        }
    }
}
