//! The options of the commands by which an operator runs a server: `parlor reload` and
//! `parlor admin`. One row each. Pure, as the options of the server are.

use super::Whereabouts;
use super::commands::{SOCKET_OF_SERVER, STORE_OF_SERVER, admin_socket, store};
use crate::admin::Operation;
use crate::options::{Asked, BadOption, Command, Group, Positional, Row, Table, help, switch};
use std::ffi::OsString;

/// What is given to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperateOptions {
    pub whereabouts: Whereabouts,
    /// What is printed is JSON.
    pub is_json: bool,
}

impl AsMut<Whereabouts> for OperateOptions {
    fn as_mut(&mut self) -> &mut Whereabouts {
        &mut self.whereabouts
    }
}

/// What a command is to do.
#[derive(Debug)]
pub enum OperateInvocation {
    Run(OperateOptions, Operation),
    /// Print this.
    Help(String),
}

/// A command.
pub struct AdminCommand {
    /// The word that names it behind `admin`.
    pub name: &'static str,
    /// Its manual page.
    pub page: &'static str,
    table: Table<OperateOptions>,
    /// What the argument becomes, which is empty if none is given.
    operation: fn(&str) -> Result<Operation, String>,
}

const STORE: Row<OperateOptions> = store(STORE_OF_SERVER);
const ADMIN_SOCKET: Row<OperateOptions> = admin_socket(SOCKET_OF_SERVER);

const JSON: Row<OperateOptions> = switch("json", "print JSON, for scripts", |c| &mut c.is_json);

const INTRO: &str = "\
Asks the running server over its admin socket. --store and --admin-socket can be set in the
environment and in the configuration file, as for the server.
";

/// A row of the table: its name, how it is called, its page, what it does, its argument, what that
/// becomes, and what else there is to say.
macro_rules! command {
    ($name:literal, $program:literal, $page:literal, $about:literal, $usage:literal,
     $argument:expr, $operation:expr, $outro:literal) => {
        AdminCommand {
            name: $name,
            page: $page,
            table: Table {
                program: $program,
                about: $about,
                usage: concat!($program, $usage, " [OPTION]..."),
                intro: INTRO,
                groups: &[Group {
                    title: "Options",
                    rows: &[JSON, STORE, ADMIN_SOCKET, help()],
                }],
                outro: $outro,
                positional: $argument,
                environment: Some("PARLOR_"),
                defaults: OperateOptions::default,
            },
            operation: $operation,
        }
    };
}

const fn named(name: &'static str) -> Option<Positional> {
    Some(Positional {
        name,
        values: &[],
        is_required: true,
    })
}

/// `parlor reload`
pub static RELOAD: AdminCommand = command!(
    "reload",
    "parlor reload",
    "parlor-reload",
    "has a running server read its settings again",
    "",
    None,
    |_| Ok(Operation::Reload),
    "\
Prints what has changed, and what takes effect after a restart. If anything is wrong with the file,
or with a file that it names, nothing changes, all that is wrong is printed, and the exit code is 1.
"
);

/// `parlor upgrade`
pub static UPGRADE: AdminCommand = command!(
    "upgrade",
    "parlor upgrade",
    "parlor-upgrade",
    "has a running server go on as the program that was installed in its place",
    "",
    None,
    |_| Ok(Operation::Upgrade),
    "\
The new program takes over in the same process: no connection is dropped, and no message lost. It
is asked first whether it can; if not, nothing changes, the reason is printed, and the exit code is
1.
"
);

/// Those behind `parlor admin`.
pub static ADMIN: [AdminCommand; 8] = [
    command!(
        "connections",
        "parlor admin connections",
        "parlor-admin-connections",
        "lists the connections of a running server",
        "",
        None,
        |_| Ok(Operation::Connections { from: 0 }),
        "\
Address is what a connection counts for: the client's, also behind a trusted proxy. queued: bytes
that wait for the client. silent: seconds since bytes came from it.
"
    ),
    command!(
        "show",
        "parlor admin show",
        "parlor-admin-show",
        "shows one connection with its rooms",
        " ID",
        named("ID"),
        |id| Ok(Operation::Show { id: id.parse()? }),
        ""
    ),
    command!(
        "close",
        "parlor admin close",
        "parlor-admin-close",
        "closes a connection with 1008",
        " ID",
        named("ID"),
        |id| Ok(Operation::Close { id: id.parse()? }),
        "The client may come back at once; parlor ban keeps it away.\n"
    ),
    command!(
        "rooms",
        "parlor admin rooms",
        "parlor-admin-rooms",
        "lists the rooms that have members",
        "",
        None,
        |_| Ok(Operation::Rooms { from: 0 }),
        "behind: members that have not read so far as others.\n"
    ),
    command!(
        "members",
        "parlor admin members",
        "parlor-admin-members",
        "lists the members of a room",
        " ROOM",
        named("ROOM"),
        |room| {
            let room = room.to_owned();
            Ok(Operation::Members { room, from: 0 })
        },
        ""
    ),
    command!(
        "nodes",
        "parlor admin nodes",
        "parlor-admin-nodes",
        "lists the servers that share the chat of a running server",
        "",
        None,
        |_| Ok(Operation::Nodes),
        "\
Each server says so of itself every two seconds, and is listed until its lease of ten seconds is
over. Without --engine a server is alone.
"
    ),
    command!(
        "notice",
        "parlor admin notice",
        "parlor-admin-notice",
        "shows a line to all clients",
        " TEXT",
        named("TEXT"),
        |text| {
            let text = text.to_owned();
            Ok(Operation::Notice { text })
        },
        ""
    ),
    command!(
        "log-level",
        "parlor admin log-level",
        "parlor-admin-log-level",
        "changes what is logged, until the settings are read again",
        " FILTER",
        named("FILTER"),
        |filters| {
            let filters = filters.to_owned();
            Ok(Operation::Log { filters })
        },
        "FILTER is as for --log: error, warn, info, debug or off, also by target.\n"
    ),
];

impl AdminCommand {
    /// The command that a word behind `admin` names.
    pub fn named(word: &str) -> Option<&'static Self> {
        ADMIN.iter().find(|command| command.name == word)
    }

    /// As it is called.
    pub const fn program(&self) -> &'static str {
        self.table.program
    }

    /// Understands its arguments and the environment.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<OperateInvocation, BadOption> {
        let given = match self.table.read(arguments, variable)? {
            Asked::Help | Asked::Version => {
                return Ok(OperateInvocation::Help(self.table.help()));
            }
            Asked::Run(given) => given,
        };
        let mut options = OperateOptions::default();
        given.apply(&mut options)?;
        let argument = match (given.positional(), self.table.positional) {
            (None, Some(wanted)) => {
                return Err(self.table.bad(format!("the {} is missing", wanted.name)));
            }
            (Some(given), None) => {
                return Err(self.table.bad(format!("unexpected argument {given:?}")));
            }
            (argument, _) => argument.unwrap_or_default(),
        };
        let operation = (self.operation)(argument);
        let operation = operation.map_err(|why| self.table.bad(format!("{argument:?}: {why}")))?;
        Ok(OperateInvocation::Run(options, operation))
    }

    /// For completions and manual pages.
    pub fn described(&self, name: &'static str) -> Command {
        self.table.described(name)
    }
}

/// What `parlor admin --help` prints.
pub fn admin_help() -> String {
    let mut text = String::from(
        "parlor admin - asks a running server about itself\n\nUsage: parlor admin WHAT [OPTION]...\n\n",
    );
    for command in &ADMIN {
        text += &format!("  {:<14}{}\n", command.name, command.table.about);
    }
    text += "\n\
        parlor admin WHAT --help says more. kick, ban, mute and their like are commands of their\n\
        own, as backup, export, audit and account are: see parlor --help.\n";
    text
}

/// `reload` and `admin` as subcommands of the program.
pub fn with_admin_commands(program: Command) -> Command {
    let mut admin = Command::new("admin")
        .about("asks a running server about itself")
        .disable_help_flag(true)
        .disable_help_subcommand(true);
    for command in &ADMIN {
        admin = admin.subcommand(command.described(command.name));
    }
    program
        .subcommand(RELOAD.described("reload"))
        .subcommand(UPGRADE.described("upgrade"))
        .subcommand(admin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Operation, String> {
        let [name, rest @ ..] = words else {
            panic!("no word");
        };
        let command = AdminCommand::named(name).unwrap_or(&RELOAD);
        let arguments = rest.iter().map(OsString::from);
        match command.parse(arguments, |_| None) {
            Ok(OperateInvocation::Run(_, operation)) => Ok(operation),
            Ok(OperateInvocation::Help(text)) => Err(text),
            Err(bad) => Err(bad.to_string()),
        }
    }

    #[test]
    fn argument_becomes_what_is_asked() {
        assert_eq!(parse(&["reload", "--json"]), Ok(Operation::Reload));
        let id = "7.3".parse().expect("an id");
        assert_eq!(parse(&["show", "7.3"]), Ok(Operation::Show { id }));
        let text = String::from("back at 8");
        assert_eq!(
            parse(&["notice", "back at 8"]),
            Ok(Operation::Notice { text })
        );
        for (words, expected) in [
            (&["close"][..], "the ID is missing"),
            (&["close", "7"], "expected the id of a connection"),
            (&["rooms", "lobby"], "unexpected argument \"lobby\""),
        ] {
            let bad = parse(words).expect_err("it is wrong");
            assert!(bad.contains(expected), "{bad}");
        }
    }

    #[test]
    fn help_has_lines_of_at_most_100_columns() {
        for command in ADMIN.iter().chain([&RELOAD, &UPGRADE]) {
            let help = command.table.help();
            assert!(
                help.lines().all(|line| line.chars().count() <= 100),
                "{help}"
            );
        }
        assert!(admin_help().lines().all(|line| line.chars().count() <= 100));
    }
}
