//! The server as a process: what it needs is opened in order, then the loop turns until a signal
//! ends it. Comes in: a configuration. Goes out: an exit code.

use super::engine;
use super::keep::{keep, store_directory};
use super::lists::read_bytes;
use super::settings::{read_config, variable};
use super::upgrade::{self, Succession};
use super::{ADMIN_SOCKET, FAILED, fill};
use log::Level;
use parlor::admin::AdminSocket;
use parlor::config::{Config, EnginePlace, Running, runtime_directory};
use parlor::logging::{self, Sink};
use parlor::net::mio::{MioNet, raise_descriptor_limit, wall_clock};
use parlor::net::{Manager, close_on_exec, take_passed};
use parlor::password;
use parlor::reload::{self, fitting};
use parlor::server::{Server, Turn, connections_within};
use parlor::tls::Acceptor;
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

pub(super) fn serve(running: Running) -> ExitCode {
    let config = &running.config;
    let surroundings = logging::Surroundings {
        clock: wall_clock,
        // The reader of standard error may be gone, which is no reason to end.
        write: |line| drop(io::stderr().write_all(line.as_bytes())),
    };
    logging::start(&config.log_filters, sink(config), surroundings);
    match set_up(running) {
        Ok((server, succession)) => run(server, succession),
        Err(why) => {
            logging::say(Level::Info, &why);
            FAILED
        }
    }
}

fn set_up(running: Running) -> Result<(Server<MioNet>, Succession), String> {
    close_on_exec();
    let before = upgrade::inherited()?;
    let mut config = running.config.clone();
    let descriptors = raise_descriptor_limit();
    let room = (descriptors, connections_within(descriptors));
    let max_connections = fitting(&config, room)?;
    let contents = config.read_contents(&read_bytes)?;
    let net = match &before {
        Some((_, preface)) => MioNet::inherit(preface.inherited.clone()),
        None => {
            let passed = take_passed(variable, process::id());
            MioNet::bind(&config.net, passed.map_err(|error| error.to_string())?)
        }
    };
    let mut net = net.map_err(|error| error.to_string())?;
    match Manager::find(variable, process::id()) {
        Ok(Some(manager)) => net.informs(manager),
        Ok(None) => {}
        Err(error) => {
            let why = format!("NOTIFY_SOCKET in the environment: {error}");
            logging::say(Level::Warn, &why);
        }
    }
    let mut seed = [0; 8];
    fill(&mut seed)?;
    let directory = store_directory(&config);
    // The mode of a socket's file depends on the umask, which belongs to the whole process: before
    // the store's thread.
    let (monitors, listener) = match &before {
        Some(_) => (net.aside().0, Ok(net.aside().1)),
        None => {
            let directory = directory.as_ref().ok().map(PathBuf::as_path);
            let listener = bind_admin(&mut net, &config, directory);
            (bind_monitors(&mut net, &config)?, listener)
        }
    };
    let secure = match &before {
        Some(_) => net.secure(),
        None => bind_tls(&mut net, &config)?,
    };
    let origin = before.as_ref().map(|(_, preface)| &preface.origin);
    let kept_at = directory.as_ref().ok().cloned();
    let (keeping, kept_in, links) = if config.engine.is_shared() {
        let (keeping, links) = engine::share(&config, &net)?;
        (keeping, None, Some(links))
    } else {
        let (keeping, kept_in) = keep(&mut config, &net, directory, origin)?;
        (keeping, kept_in, None)
    };
    let succession = Succession {
        image: Arc::new(upgrade::image()),
        config: config.clone(),
        directory: kept_at,
    };
    let listener = listener.or_else(|why| match config.admin_socket {
        AdminSocket::Unnamed => {
            // Without a store there is nothing to command.
            if kept_in.is_some() {
                let why = format!("operators' commands cannot reach this server: {why}");
                logging::say(Level::Warn, &why);
            }
            Ok(None)
        }
        AdminSocket::None | AdminSocket::At(_) => Err(why),
    })?;
    let shown = kept_in.as_deref().map(Path::display);
    let place = &config.engine.place;
    let elsewhere = || match place {
        EnginePlace::Local => String::from("memory"),
        place => place.to_string(),
    };
    let shown = shown.map_or_else(elsewhere, |path| path.to_string());
    if before.is_none() {
        introduce(&net, &shown);
    }
    let addresses = net.addresses().join(" ");
    let waker = net.waker();
    let passwords = password::Handle::new(move || waker.wake());
    let seed = u64::from_ne_bytes(seed);
    let waker = net.waker();
    let surroundings = reload::Surroundings {
        variable,
        read_config,
        read_bytes,
        room,
        wake: Box::new(move || waker.wake()),
        taken_over: |config| {
            logging::set_sink(sink(config));
            logging::set_filters(&config.log_filters);
        },
    };
    let reload = reload::Handle::new(running, contents.digests, surroundings);
    let mut server = Server::new(config, net, max_connections, seed, keeping);
    if let Some(links) = links {
        server.use_engine(links);
    }
    server.use_passwords(Box::new(passwords));
    server.use_reload(Box::new(reload));
    let (image, waker) = (Arc::clone(&succession.image), server.net().waker());
    let check = move |state: &[u8]| image.check(state);
    let checking = parlor::upgrade::Handle::new(check, move || waker.wake());
    server.use_upgrade(Box::new(checking));
    if let Some(verifier) = contents.verifier {
        server.accept_tokens(verifier);
    }
    let status = format!("listening on {addresses}; its history is in {shown}");
    if let Some(listener) = monitors {
        server.serve_metrics(listener);
    }
    if let Some(identities) = contents.identities {
        server.serve_tls(secure, Acceptor::new(identities)?);
    }
    if let Some(token) = contents.metrics_token {
        server.show_metrics_to(token);
    }
    if let Some(listener) = listener {
        server.serve_admin(listener, kept_in.is_some().then_some(shown));
    }
    if let Some(before) = &before {
        upgrade::take_over(&mut server, before)?;
    }
    server.net().notify(&format!("READY=1\nSTATUS={status}"));
    Ok((server, succession))
}

/// Says on standard output where the server is.
fn introduce(net: &MioNet, history: &str) {
    let mut output = io::stdout();
    for address in net.addresses() {
        let _ = writeln!(output, "parlor is listening on {address}");
    }
    if let Some(address) = net.metrics_address() {
        let _ = writeln!(output, "parlor shows its metrics at {address}metrics");
    }
    let _ = writeln!(output, "parlor keeps its history in {history}");
}

/// Listens for clients that speak TLS, on all addresses. Returns the numbers of the listeners.
fn bind_tls(net: &mut MioNet, config: &Config) -> Result<Vec<usize>, String> {
    let addresses = config.tls.listen.iter();
    let bound = addresses.map(|address| net.bind_tls(*address, &config.net));
    let bound: Result<Vec<usize>, _> = bound.collect();
    bound.map_err(|error| error.to_string())
}

/// Listens for monitors, if there is an address. Returns the number of the listener.
fn bind_monitors(net: &mut MioNet, config: &Config) -> Result<Option<usize>, String> {
    let Some(address) = config.metrics_listen else {
        return Ok(None);
    };
    let bound = net.bind_metrics(address, &config.net);
    bound.map(Some).map_err(|error| error.to_string())
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

fn run(mut server: Server<MioNet>, mut succession: Succession) -> ExitCode {
    loop {
        let turn = server.turn();
        logging::settle(false);
        match turn {
            Turn::Again => {}
            Turn::Upgrade => {
                logging::settle(true);
                upgrade::execute(&mut server, &mut succession);
            }
            Turn::Report => logging::say(Level::Info, &server.summary()),
            Turn::Stopped => {
                logging::settle(true);
                end(server);
                return ExitCode::SUCCESS;
            }
            Turn::Unfit => {
                let why = server.unfit().unwrap_or_default().to_owned();
                logging::say(Level::Error, &why);
                logging::settle(true);
                return FAILED;
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
            logging::say(
                Level::Info,
                "waiting for the disk to take the last messages",
            );
        }
    });
    drop(server);
    drop(is_over);
    // It has nothing that could fail.
    let _ = watcher.join();
}

/// What the log is written for.
fn sink(config: &Config) -> Sink {
    Sink {
        format: config.log_format,
        is_journal: is_journal(),
    }
}

/// Whether standard error is the journal: systemd names its socket by device and inode.
fn is_journal() -> bool {
    let Some(stream) = variable("JOURNAL_STREAM") else {
        return false;
    };
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|errors| {
        let named = format!("{}:{}", errors.dev(), errors.ino());
        stream.to_str() == Some(named.as_str())
    })
}
