//! The options of the commands that work on a store: `parlor backup`, `parlor export`,
//! `parlor audit` and `parlor store check`. Pure, as the options of the server are.

use super::StorePlace;
use super::table::{ADMIN_SOCKET_DEFAULT, STORE_DEFAULT};
use crate::admin::AdminSocket;
use crate::options::{Asked, BadOption, Command, Group, Positional, Row, Table, custom, help};
use std::ffi::OsString;

/// Where a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    pub store_place: StorePlace,
    pub admin_socket: AdminSocket,
}

impl AsMut<Self> for Whereabouts {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

/// A command on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreCommand {
    Backup,
    Export,
    Audit,
    Check,
    /// Asks the running server alone.
    Drain,
}

/// What a command is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandInvocation {
    Run {
        whereabouts: Whereabouts,
        /// The argument that is no option.
        argument: Option<String>,
    },
    /// Print this.
    Help(String),
}

/// What the two rows say where a command works on the store if no server uses it.
pub(super) const STORE_OF_COMMAND: &str = "the directory of the history";
pub(super) const SOCKET_OF_COMMAND: &str = "where the server that uses it answers, if one does";
/// The same where a command only asks a running server.
pub(super) const STORE_OF_SERVER: &str =
    "the directory of the server's history, in which its admin socket may be";
pub(super) const SOCKET_OF_SERVER: &str = "where the server answers";

/// `--store` of a command.
pub(super) const fn store<C: AsMut<Whereabouts>>(help: &'static str) -> Row<C> {
    custom(
        "store",
        "PATH",
        help,
        |c, value| {
            c.as_mut().store_place = value.parse()?;
            Ok(())
        },
        |_| String::from(STORE_DEFAULT),
    )
}

/// `--admin-socket` of a command.
pub(super) const fn admin_socket<C: AsMut<Whereabouts>>(help: &'static str) -> Row<C> {
    custom(
        "admin-socket",
        "PATH",
        help,
        |c, value| {
            c.as_mut().admin_socket = value.parse()?;
            Ok(())
        },
        |_| String::from(ADMIN_SOCKET_DEFAULT),
    )
}

const GROUPS: &[Group<Whereabouts>] = &[Group {
    title: "Options",
    rows: &[
        store(STORE_OF_COMMAND),
        admin_socket(SOCKET_OF_COMMAND),
        help(),
    ],
}];

const INTRO: &str = "\
While a server uses the store, the command asks it over its admin socket; otherwise it works on the
store by itself. --store and --admin-socket can be set in the environment, as for the server.
";

static BACKUP: Table<Whereabouts> = Table {
    program: "parlor backup",
    about: "copies the history into one new file",
    usage: "parlor backup FILE [OPTION]...",
    intro: INTRO,
    groups: GROUPS,
    outro: "\
To restore a backup: stop the server, move the files of the history away, copy the backup to
parlor.db in their directory, start the server.
",
    positional: Some(Positional {
        name: "FILE",
        values: &[],
        is_required: true,
    }),
    environment: Some("PARLOR_"),
    defaults: Whereabouts::default,
};

static EXPORT: Table<Whereabouts> = Table {
    program: "parlor export",
    about: "writes what is kept of a room as JSON lines",
    usage: "parlor export ROOM [OPTION]...",
    intro: INTRO,
    groups: GROUPS,
    outro: "",
    positional: Some(Positional {
        name: "ROOM",
        values: &[],
        is_required: true,
    }),
    environment: Some("PARLOR_"),
    defaults: Whereabouts::default,
};

static AUDIT: Table<Whereabouts> = Table {
    program: "parlor audit",
    about: "writes what was done to keep order as JSON lines, the newest first",
    usage: "parlor audit [ROOM] [OPTION]...",
    intro: INTRO,
    groups: GROUPS,
    outro: "",
    positional: Some(Positional {
        name: "ROOM",
        values: &[],
        is_required: false,
    }),
    environment: Some("PARLOR_"),
    defaults: Whereabouts::default,
};

static CHECK: Table<Whereabouts> = Table {
    program: "parlor store check",
    about: "looks for damage in the history, or in the FILE of a backup",
    usage: "parlor store check [FILE] [OPTION]...",
    intro: INTRO,
    groups: GROUPS,
    outro: "",
    positional: Some(Positional {
        name: "FILE",
        values: &[],
        is_required: false,
    }),
    environment: Some("PARLOR_"),
    defaults: Whereabouts::default,
};

static DRAIN: Table<Whereabouts> = Table {
    program: "parlor drain",
    about: "sends the members of a running server away, a few at a time, and ends it",
    usage: "parlor drain [OPTION]...",
    intro: "\
The server accepts no client any more, closes its connections within --drain-timeout (of the server)
and exits. Programs are closed with 1012 and a time after which to come back, others with 1001.
--store and --admin-socket can be set in the environment, as for the server.
",
    groups: GROUPS,
    outro: "",
    positional: None,
    environment: Some("PARLOR_"),
    defaults: Whereabouts::default,
};

impl StoreCommand {
    fn table(self) -> &'static Table<Whereabouts> {
        match self {
            Self::Backup => &BACKUP,
            Self::Export => &EXPORT,
            Self::Audit => &AUDIT,
            Self::Check => &CHECK,
            Self::Drain => &DRAIN,
        }
    }

    /// As it is called.
    pub fn program(self) -> &'static str {
        self.table().program
    }

    /// Understands its arguments and the environment.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(
        self,
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<CommandInvocation, BadOption> {
        let table = self.table();
        match table.read(arguments, variable)? {
            Asked::Help | Asked::Version => Ok(CommandInvocation::Help(table.help())),
            Asked::Run(given) => {
                let mut whereabouts = Whereabouts::default();
                given.apply(&mut whereabouts)?;
                let argument = given.positional().map(str::to_owned);
                if let (None, Some(wanted)) = (&argument, table.positional)
                    && wanted.is_required
                {
                    return Err(table.bad(format!("the {} is missing", wanted.name)));
                }
                Ok(CommandInvocation::Run {
                    whereabouts,
                    argument,
                })
            }
        }
    }

    /// For completions and manual pages.
    pub fn described(self, name: &'static str) -> Command {
        self.table().described(name)
    }
}

/// The commands on a store as subcommands of the program.
pub fn with_store_commands(program: Command) -> Command {
    let check = StoreCommand::Check.described("check");
    let store = Command::new("store")
        .about("commands on the history")
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .subcommand(check);
    program
        .subcommand(StoreCommand::Backup.described("backup"))
        .subcommand(StoreCommand::Export.described("export"))
        .subcommand(StoreCommand::Audit.described("audit"))
        .subcommand(StoreCommand::Drain.described("drain"))
        .subcommand(store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn parse(command: StoreCommand, arguments: &[&str]) -> Result<CommandInvocation, String> {
        let arguments = arguments.iter().map(OsString::from);
        let variable = |name: &str| (name == "PARLOR_STORE").then(|| OsString::from("/from/it"));
        let parsed = command.parse(arguments, variable);
        parsed.map_err(|bad| bad.to_string())
    }

    #[test]
    fn argument_and_options_are_understood_in_any_order() {
        let expected = |directory| CommandInvocation::Run {
            whereabouts: Whereabouts {
                store_place: StorePlace::Directory(PathBuf::from(directory)),
                admin_socket: AdminSocket::Unnamed,
            },
            argument: Some(String::from("lobby")),
        };
        let export = |arguments: &[&str]| parse(StoreCommand::Export, arguments).unwrap();
        assert_eq!(export(&["lobby"]), expected("/from/it"));
        assert_eq!(export(&["lobby", "--store", "/s"]), expected("/s"));
        assert_eq!(export(&["--store=/s", "lobby"]), expected("/s"));
    }

    #[test]
    fn missing_argument_is_named() {
        assert_eq!(
            parse(StoreCommand::Backup, &[]).unwrap_err(),
            "the FILE is missing; parlor backup --help lists the options"
        );
        assert!(parse(StoreCommand::Check, &[]).is_ok());
    }

    #[test]
    fn help_has_lines_of_at_most_100_columns() {
        for command in [
            StoreCommand::Backup,
            StoreCommand::Export,
            StoreCommand::Audit,
            StoreCommand::Check,
            StoreCommand::Drain,
        ] {
            let Ok(CommandInvocation::Help(help)) = parse(command, &["--help"]) else {
                panic!("no help");
            };
            assert!(
                help.lines().all(|line| line.chars().count() <= 100),
                "{help}"
            );
        }
    }
}
