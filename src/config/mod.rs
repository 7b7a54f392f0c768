//! Everything that can be set: the settings of each module and the server's own, and how the
//! command line, the environment and a file set them. Pure: arguments, environment and files come in
//! as values.

mod account;
mod check;
mod commands;
mod contents;
mod engine;
mod file;
mod operate;
mod order;
mod place;
mod reload;
mod table;
#[cfg(test)]
mod tests;
mod token;

use crate::admin::AdminSocket;
use crate::options::{Asked, BadOption, Given};
use crate::{budget, chat, conn, http, log, logging, net, page, store, tls, ws};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use account::{AccountAction, AccountInvocation, AccountOptions, with_account_commands};
pub use commands::{CommandInvocation, StoreCommand, Whereabouts, with_store_commands};
pub use contents::{CONTENTS_BYTES_MAX, Contents, Digests, ReadBytes, read_identities, read_key};
pub use engine::{EngineOptions, EnginePlace};
pub use file::{ConfigFile, FILE_BYTES_MAX, Read, find_file};
pub use operate::{
    ADMIN, AdminCommand, OperateInvocation, OperateOptions, RELOAD, UPGRADE, admin_help,
    with_admin_commands,
};
pub use order::{ORDERS, OrderCommand, OrderInvocation, OrderOptions, with_orders};
pub use place::{StorePlace, runtime_directory, state_directory};
pub use reload::{Reread, Running};
pub use table::TABLE;
pub use token::{TOKEN, TokenInvocation, TokenOptions};

/// The settings of each module, and the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub net: net::Settings,
    pub tls: tls::Settings,
    pub http: http::Settings,
    pub page: page::Settings,
    pub ws: ws::Limits,
    pub conn: conn::Settings,
    pub chat: chat::Settings,
    pub budget: budget::Settings,
    pub log: log::Settings,
    /// Without its directory, which follows from `store_place`.
    pub store: store::Settings,

    /// Connections at the same time; `None`: as many as the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// Connections from one address at the same time; 0: no limit.
    pub max_connections_per_address: u32,
    /// From the signal to stop to the exit.
    pub grace_timeout: Duration,
    /// From a request to drain to the exit.
    pub drain_timeout: Duration,
    /// Filters in the form of env_logger (see the crate env_filter): `warn`, `parlor=debug`.
    pub log_filters: String,
    pub log_format: logging::Format,
    pub store_place: StorePlace,
    /// What orders the rooms. The owner reaches it, and reads the password from its file.
    pub engine: EngineOptions,
    pub admin_socket: AdminSocket,
    /// The file with the key of signed tokens; `None`: none is accepted.
    pub token_key: Option<PathBuf>,
    pub token_audience: Option<String>,
    /// Where monitors read the metrics without a token; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The file with the token by which clients read the metrics; `None`: they do not.
    pub metrics_token_file: Option<PathBuf>,
    /// Lines with a name and a token: the owner reads them into the settings of the chat.
    pub operators: Option<PathBuf>,
    /// A word a line; likewise.
    pub word_filter: Option<PathBuf>,
    /// Send every message back to its sender instead of chatting. For conformance suites.
    pub echo: bool,
}

impl Default for Config {
    /// A server for this machine only.
    fn default() -> Self {
        Self {
            net: net::Settings::default(),
            tls: tls::Settings::default(),
            http: http::Settings::default(),
            page: page::Settings::default(),
            ws: ws::Limits::default(),
            conn: conn::Settings::default(),
            chat: chat::Settings::default(),
            budget: budget::Settings::default(),
            log: log::Settings::default(),
            store: store::Settings::default(),
            max_connections: None,
            max_connections_per_address: 256,
            grace_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            log_filters: String::from("warn,parlor::reload=info,parlor::upgrade=info"),
            log_format: logging::Format::default(),
            store_place: StorePlace::default(),
            engine: EngineOptions::default(),
            admin_socket: AdminSocket::default(),
            token_key: None,
            token_audience: None,
            metrics_listen: None,
            metrics_token_file: None,
            operators: None,
            word_filter: None,
            echo: false,
        }
    }
}

/// What the command line asks for.
pub enum Invocation {
    Serve(Box<Running>),
    Help,
    Version,
}

/// The settings with all that is wrong with them.
pub struct Examined {
    pub config: Config,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// The settings as a file, each with where it came from. Without secrets.
    pub listing: String,
    pub problems: Vec<BadOption>,
    given: Given<Config>,
}

impl Invocation {
    /// Understands the arguments (without the program's name), the environment, in which `variable`
    /// looks up a name, and the configuration file. An option wins over its variable, a variable over
    /// the key in the file, a key over the default.
    ///
    /// # Errors
    /// The first option, variable or key that is wrong, or two that do not go together.
    pub fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
        read: Read<'_>,
    ) -> Result<Self, BadOption> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let given = match TABLE.read(arguments.clone(), &variable)? {
            Asked::Help => return Ok(Self::Help),
            Asked::Version => return Ok(Self::Version),
            Asked::Run(given) => given,
        };
        let examined = examine(given, variable, read)?;
        if let Some(first) = examined.problems.into_iter().next() {
            return Err(first);
        }
        let running = Running::new(examined.config, arguments, examined.given);
        Ok(Self::Serve(Box::new(running)))
    }
}

impl Examined {
    /// The same, for the commands that show the settings. `None`: the help is asked for.
    ///
    /// # Errors
    /// The options cannot be understood, or the file cannot be read.
    pub fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
        read: Read<'_>,
    ) -> Result<Option<Self>, BadOption> {
        match TABLE.read(arguments, &variable)? {
            Asked::Help | Asked::Version => Ok(None),
            Asked::Run(given) => examine(given, variable, read).map(Some),
        }
    }
}

fn examine(
    mut given: Given<Config>,
    variable: impl Fn(&str) -> Option<OsString>,
    read: Read<'_>,
) -> Result<Examined, BadOption> {
    let file = find_file(given.value_of("config"), variable, read);
    let file = file.map_err(|sentence| TABLE.bad(sentence))?;
    let mut problems = Vec::new();
    if let Some(file) = &file {
        let name = file.path.display().to_string();
        problems.extend(given.add_file(&TABLE, &name, &file.text));
    }
    let mut config = Config::default();
    problems.extend(given.apply_all(&mut config));
    if problems.is_empty()
        && let Err(sentence) = config.check()
    {
        problems.push(TABLE.bad(given.with_places(sentence)));
    }
    Ok(Examined {
        config,
        file: file.map(|file| file.path),
        listing: TABLE.listing(&given),
        problems,
        given,
    })
}

/// The settings of a file as variables of the environment, for commands that know few of them. What
/// is wrong with the file is left to the server.
pub fn variables_of(file: &ConfigFile) -> Vec<(String, OsString)> {
    let mut given = Given::nothing(TABLE.program);
    let _ = given.add_file(&TABLE, &file.path.display().to_string(), &file.text);
    given.as_variables("PARLOR_")
}
