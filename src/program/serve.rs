//! The server as a process: what it needs is opened in order, then the loop turns until a signal
//! ends it. Comes in: a configuration. Goes out: an exit code.

use super::keep::{keep, store_directory};
use super::lists::read_lists;
use super::settings::variable;
use super::token::token_key;
use super::{ADMIN_SOCKET, FAILED, fill};
use log::LevelFilter;
use parlor::admin::AdminSocket;
use parlor::config::{Config, runtime_directory};
use parlor::net::mio::{MioNet, raise_descriptor_limit};
use parlor::net::{Manager, take_passed};
use parlor::password;
use parlor::server::{Server, Turn, connections_within};
use parlor::token;
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(super) fn serve(config: Config) -> ExitCode {
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
    let passed = take_passed(variable, process::id()).map_err(|error| error.to_string())?;
    let mut net = MioNet::bind(&config.net, passed).map_err(|error| error.to_string())?;
    match Manager::find(variable, process::id()) {
        Ok(Some(manager)) => net.informs(manager),
        Ok(None) => {}
        Err(error) => eprintln!("parlor: warning: NOTIFY_SOCKET in the environment: {error}"),
    }
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
    let addresses = net.addresses().join(" ");
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
    let passwords = password::Handle::new(move || waker.wake());
    let seed = u64::from_ne_bytes(seed);
    let mut server = Server::new(config, net, max_connections, seed, keeping);
    server.use_passwords(Box::new(passwords));
    if let Some(verifier) = verifier {
        server.accept_tokens(verifier);
    }
    let status = format!("listening on {addresses}; its history is in {shown}");
    if let Some(listener) = listener {
        server.serve_admin(listener, kept_in.is_some().then_some(shown));
    }
    server.net().notify(&format!("READY=1\nSTATUS={status}"));
    Ok(server)
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
