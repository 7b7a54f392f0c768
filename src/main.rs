//! The program: options, wiring, exit codes. The only place that prints or exits.

use log::LevelFilter;
use parlor::admin::{self, AccountCommand, AdminSocket};
use parlor::chat::{Filter, Operator};
use parlor::config::{
    self, AccountAction, AccountInvocation, AccountOptions, CommandInvocation, Config, Examined,
    FILE_BYTES_MAX, Invocation, OrderCommand, OrderInvocation, OrderOptions, StoreCommand,
    StorePlace, TokenInvocation, TokenOptions, Whereabouts, find_file, runtime_directory,
    state_directory, variables_of,
};
use parlor::id::Millis;
use parlor::load::{self, LoadError, Screen, Verdict};
use parlor::log::Keeping;
use parlor::net::ask_secret;
use parlor::net::mio::{MioNet, clock, raise_descriptor_limit, wall_clock};
use parlor::options;
use parlor::password;
use parlor::server::{Server, Turn, connections_within};
use parlor::store::{self, StoreError};
use parlor::token;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{self, IsTerminal, Read, Write};
use std::mem;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

/// The admin socket's name in its directory.
const ADMIN_SOCKET: &str = "admin.sock";

/// Where systemd puts it for the unit of the README. An operator's shell has no RUNTIME_DIRECTORY.
const SERVICE_RUNTIME: &str = "/run/parlor";

/// The subcommands with a manual page.
const PAGES: &[&str] = &[
    "load",
    "token",
    "backup",
    "export",
    "audit",
    "store-check",
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
];

/// Something outside the program is wrong, such as an address in use, or a second signal came.
const FAILED: ExitCode = ExitCode::FAILURE;
/// An option or a variable is wrong.
fn misused() -> ExitCode {
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let rest = |arguments: &mut Vec<OsString>| arguments.split_off(1);
    match arguments.first().and_then(|first| first.to_str()) {
        Some("load") => run_load(rest(&mut arguments)),
        Some("completions") => completions(&rest(&mut arguments)),
        Some("man") => manual(&rest(&mut arguments)),
        Some("backup") => run_command(StoreCommand::Backup, rest(&mut arguments)),
        Some("export") => run_command(StoreCommand::Export, rest(&mut arguments)),
        Some("account") => run_account(rest(&mut arguments)),
        Some("token") => run_token(rest(&mut arguments)),
        Some("audit") => run_command(StoreCommand::Audit, rest(&mut arguments)),
        Some("store") => run_store(rest(&mut arguments)),
        Some("config") => show_settings(rest(&mut arguments)),
        Some("check") => check_settings(rest(&mut arguments)),
        Some(word) => match OrderCommand::named(word) {
            Some(order) => run_order(order, rest(&mut arguments)),
            None => start(arguments),
        },
        None => start(arguments),
    }
}

fn start(arguments: Vec<OsString>) -> ExitCode {
    match Invocation::parse(arguments, variable, &read_config) {
        Ok(Invocation::Serve(config)) => serve(*config),
        Ok(Invocation::Help) => print(config::TABLE.help().as_bytes()),
        Ok(Invocation::Version) => {
            print(concat!("parlor ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())
        }
        Err(bad) => {
            eprintln!("parlor: {bad}");
            misused()
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A configuration file as text.
fn read_config(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("the file is longer than 1 MiB"));
    }
    Ok(text)
}

/// A variable of the environment, else what the configuration file has for it: commands find the
/// store where the server has it.
fn setting(name: &str) -> Option<OsString> {
    static FILE: OnceLock<Vec<(String, OsString)>> = OnceLock::new();
    variable(name).or_else(|| {
        let all = FILE.get_or_init(settings_of_file);
        let found = all.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    })
}

fn settings_of_file() -> Vec<(String, OsString)> {
    let named = variable("PARLOR_CONFIG");
    let named = named.as_deref().map(OsStr::to_string_lossy);
    match find_file(named.as_deref(), variable, &read_config) {
        Ok(file) => file.as_ref().map(variables_of).unwrap_or_default(),
        Err(why) => {
            eprintln!("parlor: warning: {why}");
            Vec::new()
        }
    }
}

fn show_settings(arguments: Vec<OsString>) -> ExitCode {
    match Examined::parse(arguments, variable, &read_config) {
        Ok(Some(examined)) if examined.problems.is_empty() => print(examined.listing.as_bytes()),
        Ok(Some(examined)) => report(&examined.problems),
        Ok(None) => print(config::TABLE.help().as_bytes()),
        Err(bad) => report(&[bad]),
    }
}

/// Whether the server would start with these settings, as far as can be seen without starting.
fn check_settings(arguments: Vec<OsString>) -> ExitCode {
    let mut examined = match Examined::parse(arguments, variable, &read_config) {
        Ok(Some(examined)) => examined,
        Ok(None) => return print(config::TABLE.help().as_bytes()),
        Err(bad) => return report(&[bad]),
    };
    let mut problems: Vec<String> = examined.problems.iter().map(ToString::to_string).collect();
    if problems.is_empty() {
        problems.extend(read_lists(&mut examined.config).err());
        let key = examined.config.token_key.as_deref();
        problems.extend(key.and_then(|file| token_key(file).err()));
    }
    if !problems.is_empty() {
        return report(&problems);
    }
    let file = examined.file.as_deref().map(Path::display);
    let file = file.map_or_else(|| String::from("no file"), |path| path.to_string());
    print(format!("the settings are in order ({file} was read)\n").as_bytes())
}

fn report(problems: &[impl fmt::Display]) -> ExitCode {
    for problem in problems {
        eprintln!("parlor: {problem}");
    }
    misused()
}

fn completions(arguments: &[OsString]) -> ExitCode {
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
    let program = options::with_printers(program, PAGES);
    match options::completions(program, &shell.to_string_lossy()) {
        Ok(script) => print(&script),
        Err(sentence) => {
            eprintln!("parlor completions: {sentence}");
            misused()
        }
    }
}

fn manual(arguments: &[OsString]) -> ExitCode {
    let page = match arguments {
        [] => config::TABLE.described("parlor"),
        [which] if which == "load" => load::described("parlor-load"),
        [which] if which == "token" => config::TOKEN.described("parlor-token"),
        [which] if which == "backup" => StoreCommand::Backup.described("parlor-backup"),
        [which] if which == "export" => StoreCommand::Export.described("parlor-export"),
        [which] if which == "audit" => StoreCommand::Audit.described("parlor-audit"),
        [which] if which == "store-check" => StoreCommand::Check.described("parlor-store-check"),
        _ => match arguments.first().and_then(|which| which.to_str()) {
            Some(word) if arguments.len() == 1 && OrderCommand::named(word).is_some() => {
                let order = OrderCommand::named(word).expect("it was found");
                order.described(order.page)
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

fn print(text: &[u8]) -> ExitCode {
    // A reader that closed our standard output does not want the rest.
    let _ = io::stdout().write_all(text);
    ExitCode::SUCCESS
}

fn run_load(arguments: Vec<OsString>) -> ExitCode {
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

fn run_account(mut arguments: Vec<OsString>) -> ExitCode {
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
    let outcome = account_command(action, &options, name).and_then(|command| {
        let place = place(options.whereabouts)?;
        let mut screen = admin::Screen {
            output: &mut io::stdout().lock(),
            errors: &mut io::stderr(),
            is_terminal: io::stderr().is_terminal(),
        };
        admin::account(&place, &command, wall_clock(), &mut screen)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{program}: {why}");
            FAILED
        }
    }
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

fn run_token(arguments: Vec<OsString>) -> ExitCode {
    let options = match TokenInvocation::parse(arguments, setting) {
        Ok(TokenInvocation::Help(text)) => return print(text.as_bytes()),
        Ok(TokenInvocation::Sign(options)) => options,
        Err(bad) => {
            eprintln!("parlor token: {bad}");
            return misused();
        }
    };
    match signed_token(options) {
        Ok(token) => print(format!("{token}\n").as_bytes()),
        Err(why) => {
            eprintln!("parlor token: {why}");
            FAILED
        }
    }
}

fn signed_token(options: TokenOptions) -> Result<String, String> {
    let file = options.key.unwrap_or_default();
    let key = token_key(&file)?;
    let lasts = u64::try_from(options.expires.as_millis()).unwrap_or(u64::MAX);
    let claims = token::Claims {
        subject: options.subject,
        nick: options.nick,
        roles: options.roles,
        rooms: options.rooms,
        expires: Millis(wall_clock().0.saturating_add(lasts)),
    };
    let signed = token::sign(&key, &claims, options.audience.as_deref());
    let signed = signed.ok_or_else(|| {
        let file = file.display();
        format!("{file} is a public key: sign with the private one")
    })?;
    // What this server would refuse is of no use.
    let verifier = token::Verifier::new(key, options.audience);
    match verifier.verify(&signed, wall_clock()) {
        Ok(_) => Ok(signed),
        Err(why) => Err(format!("such a token would be refused: {why}")),
    }
}

/// The key in a file.
fn token_key(file: &Path) -> Result<token::Key, String> {
    let contents = std::fs::read(file);
    let contents = contents.map_err(|error| format!("--token-key {}: {error}", file.display()))?;
    token::Key::parse(&contents).map_err(|why| format!("--token-key {}: {why}", file.display()))
}

/// A command that keeps order on a running server.
fn run_order(order: &OrderCommand, arguments: Vec<OsString>) -> ExitCode {
    let options = match order.parse(arguments, variable) {
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
    let outcome = place(whereabouts).and_then(|place| {
        let mut screen = admin::Screen {
            output: &mut io::stdout().lock(),
            errors: &mut io::stderr(),
            is_terminal: io::stderr().is_terminal(),
        };
        admin::order(&place, &fields, is_json, &mut screen)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{}: {why}", order.program());
            FAILED
        }
    }
}

fn run_store(mut arguments: Vec<OsString>) -> ExitCode {
    if arguments.first().is_some_and(|first| first == "check") {
        return run_command(StoreCommand::Check, arguments.split_off(1));
    }
    eprintln!("parlor store: expected check; parlor store check --help says more");
    misused()
}

fn run_command(command: StoreCommand, arguments: Vec<OsString>) -> ExitCode {
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
    let outcome = place(whereabouts).and_then(|place| {
        let mut screen = admin::Screen {
            output: &mut io::stdout().lock(),
            errors: &mut io::stderr(),
            is_terminal: io::stderr().is_terminal(),
        };
        let argument = argument.as_deref();
        let required = argument.unwrap_or_default();
        match command {
            StoreCommand::Backup => admin::backup(&place, Path::new(required), &mut screen),
            StoreCommand::Export => admin::export(&place, required, &mut screen),
            StoreCommand::Audit => admin::audit(&place, argument, &mut screen),
            StoreCommand::Check => {
                let is_whole = admin::check(&place, argument.map(Path::new), &mut screen)?;
                return Ok(if is_whole { ExitCode::SUCCESS } else { FAILED });
            }
        }
        .map(|()| ExitCode::SUCCESS)
    });
    outcome.unwrap_or_else(|why| {
        eprintln!("{}: {why}", command.program());
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

const NO_DIRECTORY: &str =
    "the environment has no directory for it (HOME is not set): name one with --store";

fn serve(config: Config) -> ExitCode {
    start_logging(&config.log_filters);
    match set_up(config) {
        Ok(server) => run(server),
        Err(why) => {
            eprintln!("parlor: {why}");
            FAILED
        }
    }
}

fn set_up(mut config: Config) -> Result<Server<MioNet>, String> {
    let descriptors = raise_descriptor_limit();
    let fitting = connections_within(descriptors);
    let max_connections = config.max_connections.unwrap_or(fitting);
    if max_connections > fitting {
        return Err(format!(
            "--max-connections {max_connections} is more than the limit of {descriptors} open \
             files leaves room for ({fitting}); raise it with ulimit -n or LimitNOFILE="
        ));
    }
    read_lists(&mut config)?;
    let mut net = MioNet::bind(&config.net).map_err(|error| error.to_string())?;
    let mut seed = [0; 8];
    fill(&mut seed)?;
    let directory = store_directory(&config);
    // The mode of a socket's file depends on the umask, which belongs to the whole process: before
    // the store's thread.
    let listener = bind_admin(
        &mut net,
        &config,
        directory.as_ref().ok().map(PathBuf::as_path),
    );
    let (keeping, kept_in) = keep(&mut config, &net, directory)?;
    let listener = listener.or_else(|why| match config.admin_socket {
        AdminSocket::Unnamed => {
            // Without a store there is nothing to command.
            if kept_in.is_some() {
                eprintln!("parlor: warning: operators' commands cannot reach this server: {why}");
            }
            Ok(None)
        }
        AdminSocket::None | AdminSocket::At(_) => Err(why),
    })?;
    let mut output = io::stdout();
    for address in net.addresses() {
        let _ = writeln!(output, "parlor is listening on {address}");
    }
    let shown = kept_in.as_deref().map(Path::display);
    let shown = shown.map_or_else(|| String::from("memory"), |path| path.to_string());
    let _ = writeln!(output, "parlor keeps its history in {shown}");
    let verifier = match &config.token_key {
        Some(file) => {
            let audience = config.token_audience.clone();
            Some(token::Verifier::new(token_key(file)?, audience))
        }
        None => None,
    };
    let waker = net.waker();
    let passwords = password::start(Box::new(move || waker.wake()));
    let passwords = passwords.map_err(|error| format!("no thread can be started: {error}"))?;
    let seed = u64::from_ne_bytes(seed);
    let mut server = Server::new(config, net, max_connections, seed, keeping);
    server.use_passwords(Box::new(passwords));
    if let Some(verifier) = verifier {
        server.accept_tokens(verifier);
    }
    if let Some(listener) = listener {
        server.serve_admin(listener, kept_in.is_some().then_some(shown));
    }
    Ok(server)
}

/// Reads the files with operators and words, before anything listens.
fn read_lists(config: &mut Config) -> Result<(), String> {
    if let Some(path) = &config.operators {
        let operators = Operator::parse_list(&read_list("--operators", path)?);
        let shown = path.display();
        config.chat.operators = operators.map_err(|why| format!("--operators {shown}: {why}"))?;
    }
    if let Some(path) = &config.word_filter {
        let filter = Filter::parse(&read_list("--word-filter", path)?);
        let shown = path.display();
        let filter = filter.map_err(|why| format!("--word-filter {shown}: {why}"))?;
        config.chat.filter = Some(filter);
    }
    Ok(())
}

/// The longest file that is read: a million words.
const LIST_BYTES_MAX: u64 = 16 << 20;

fn read_list(option: &str, path: &Path) -> Result<String, String> {
    let wrong = |why: &dyn fmt::Display| format!("{option} {}: {why}", path.display());
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let mut text = String::new();
    let read = file.take(LIST_BYTES_MAX + 1).read_to_string(&mut text);
    match read {
        Ok(bytes) if bytes as u64 <= LIST_BYTES_MAX => Ok(text),
        Ok(_) => Err(wrong(&"the file is longer than 16 MiB")),
        Err(error) => Err(wrong(&error)),
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), String> {
    getrandom::fill(bytes).map_err(|error| format!("the system gives no random numbers: {error}"))
}

/// The directory of the history; an error says why it is in memory, and is empty if that is wanted.
fn store_directory(config: &Config) -> Result<PathBuf, &'static str> {
    match &config.store_place {
        // Nothing is kept of an echo.
        _ if config.echo => Err(""),
        StorePlace::Memory => Err(""),
        StorePlace::Directory(directory) => Ok(directory.clone()),
        StorePlace::Unnamed => state_directory(variable).ok_or(NO_DIRECTORY),
    }
}

/// Opens the store and starts its thread, or keeps the history in memory.
fn keep(
    config: &mut Config,
    net: &MioNet,
    directory: Result<PathBuf, &'static str>,
) -> Result<(Keeping, Option<PathBuf>), String> {
    let mut random = [0; 36];
    fill(&mut random)?;
    let in_memory = |why: &str| {
        if !why.is_empty() {
            eprintln!(
                "parlor: warning: the history is kept in memory only and ends with the server: {why}"
            );
        }
        Ok((Keeping::in_memory(random), None))
    };
    let directory = match directory {
        Ok(directory) => directory,
        Err(why) => return in_memory(why),
    };
    let directory = std::path::absolute(&directory).unwrap_or(directory);
    config.store.directory.clone_from(&directory);
    let waker = net.waker();
    let surroundings = store::Surroundings {
        clocks: store::Clocks {
            wall: wall_clock,
            moment: clock,
        },
        random,
        wake: Box::new(move || waker.wake()),
        report: |sentence| eprintln!("parlor: warning: {sentence}"),
    };
    match store::open(&config.store, surroundings) {
        Ok((started, handle)) => {
            let store = Some(Box::new(handle) as Box<_>);
            Ok((Keeping { started, store }, Some(directory)))
        }
        Err(error) if is_named(config) || !cannot_be_written(&error) => Err(error.to_string()),
        Err(error) => in_memory(&error.to_string()),
    }
}

fn is_named(config: &Config) -> bool {
    config.store_place != StorePlace::Unnamed
}

/// Nothing can be kept there, and nothing is there that would be missed.
fn cannot_be_written(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Denied { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::NotADirectory { .. }
            | StoreError::NotThere { .. }
            | StoreError::Full { .. }
    )
}

/// Listens for operators, if there is a place for the socket. Returns the number of the listener.
fn bind_admin(
    net: &mut MioNet,
    config: &Config,
    directory: Option<&Path>,
) -> Result<Option<usize>, String> {
    let path = match &config.admin_socket {
        AdminSocket::None => return Ok(None),
        AdminSocket::At(path) => path.clone(),
        AdminSocket::Unnamed => {
            let Some(directory) = directory else {
                return Ok(None);
            };
            // The store says what is wrong if it cannot be made.
            let _ = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory);
            let parent = runtime_directory(variable);
            parent.as_deref().unwrap_or(directory).join(ADMIN_SOCKET)
        }
    };
    let bound = net.bind_admin(&path, &config.net);
    bound.map(Some).map_err(|error| error.to_string())
}

fn run(mut server: Server<MioNet>) -> ExitCode {
    loop {
        match server.turn() {
            Turn::Again => {}
            Turn::Report => {
                // The reader of standard error may be gone, which is no reason to end.
                let _ = writeln!(io::stderr(), "parlor: {}", server.summary());
            }
            Turn::Stopped => {
                end(server);
                return ExitCode::SUCCESS;
            }
            Turn::Aborted => {
                // At once: its drop would wait for the disk. All listeners are closed already.
                mem::forget(server);
                return FAILED;
            }
        }
    }
}

/// How long the last commit may take before that is mentioned.
const COMMIT_EXPECTED: Duration = Duration::from_secs(1);

/// Waits until everything is stored, within a bound of the store's.
fn end(server: Server<MioNet>) {
    let (is_over, over) = mpsc::channel::<()>();
    let watcher = thread::spawn(move || {
        if over.recv_timeout(COMMIT_EXPECTED) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("parlor: waiting for the disk to take the last messages");
        }
    });
    drop(server);
    drop(is_over);
    // It has nothing that could fail.
    let _ = watcher.join();
}

fn start_logging(filters: &str) {
    env_logger::Builder::new()
        .parse_filters(filters)
        // Its trace and debug lines contain what members write.
        .filter_module("tungstenite", LevelFilter::Warn)
        .init();
}
