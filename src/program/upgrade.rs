//! How this program gives its place to another image of itself: finds the file, has it checked,
//! executes it, and takes over from the one before. Comes in: a settled server. Goes out: nothing, or
//! the reason why it goes on.

use super::keep::keep;
use super::lists::read_bytes;
use super::settings::{read_config, variable};
use super::{FAILED, misused, print};
use parlor::config::{Config, Invocation};
use parlor::net::mio::{MioNet, raise_descriptor_limit};
use parlor::net::{Image, Net, take_state};
use parlor::reload::fitting;
use parlor::server::{Preface, Server, connections_within, examine};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;

/// What this process needs to give its place to another image.
pub(super) struct Succession {
    pub(super) image: Arc<Image>,
    /// The store is opened again with these where that fails.
    pub(super) config: Config,
    pub(super) directory: Option<PathBuf>,
}

/// The program as it was started.
pub(super) fn image() -> Image {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let path = arguments.first().and_then(|name| found(Path::new(name)));
    let path = path.or_else(|| std::env::current_exe().ok());
    Image::new(path.unwrap_or_default(), arguments)
}

/// Where a shell has found the program. Links are not followed: a package may replace one.
fn found(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return std::path::absolute(name).ok();
    }
    let folders = variable("PATH")?;
    let places = std::env::split_paths(&folders).map(|folder| folder.join(name));
    let mut places = places.filter(|place| place.is_file());
    std::path::absolute(places.next()?).ok()
}

/// `parlor --check-upgrade ...`: whether this image understands the state on its standard input and
/// would start with these arguments. Opens no file of the server.
pub(super) fn check(arguments: Vec<OsString>) -> ExitCode {
    let mut config = match Invocation::parse(arguments, variable, &read_config) {
        Ok(Invocation::Serve(running)) => running.config,
        Ok(Invocation::Help | Invocation::Version) => return misused(),
        Err(bad) => {
            eprintln!("{bad}");
            return misused();
        }
    };
    let descriptors = raise_descriptor_limit();
    let room = (descriptors, connections_within(descriptors));
    let mut state = Vec::new();
    let read = io::stdin().read_to_end(&mut state);
    let outcome = read.map_err(|error| error.to_string()).and_then(|_| {
        fitting(&config, room)?;
        config.read_contents(&read_bytes)?;
        examine(config, &state).map_err(|damaged| damaged.to_string())
    });
    match outcome {
        Ok(()) => print(Image::UNDERSTOOD.as_bytes()),
        Err(why) => {
            eprintln!("{why}");
            FAILED
        }
    }
}

/// What the image before has left to this process.
pub(super) fn inherited() -> Result<Option<(Vec<u8>, Preface)>, String> {
    let Some(state) = take_state(variable) else {
        return Ok(None);
    };
    let preface = Preface::of(&state).map_err(|damaged| {
        format!("the state of the image before cannot be taken over: {damaged}")
    })?;
    let is_ours = preface.inherited.pid == process::id();
    Ok(is_ours.then_some((state, preface)))
}

/// Takes over all tables of the image before.
pub(super) fn take_over(
    server: &mut Server<MioNet>,
    (state, preface): &(Vec<u8>, Preface),
) -> Result<(), String> {
    let restored = server.restore(state);
    restored.map_err(|damaged| {
        format!("the state of the image before cannot be taken over: {damaged}")
    })?;
    server.watch_inherited();
    let paused = MioNet::since(preface.inherited.saved_micros);
    server.upgraded(&preface.version, paused);
    Ok(())
}

/// Executes the next image. Returns if that fails: the server goes on.
pub(super) fn execute(server: &mut Server<MioNet>, succession: &mut Succession) {
    server.close_store();
    server.net_mut().reloads(true);
    let state = server.save();
    let streams = server.streams().map(AsFd::as_fd);
    let kept: Vec<_> = streams.chain(server.net().listening()).collect();
    let why = succession.image.execute(&state, &kept);
    server.net_mut().reloads(false);
    let directory = succession.directory.clone().ok_or("");
    let origin = server.origin();
    if origin.has_store {
        let config = &mut succession.config;
        match keep(config, server.net(), directory, Some(&origin)) {
            Ok((keeping, _)) => {
                if let Some(store) = keeping.store {
                    server.reopen_store(store);
                }
            }
            Err(error) => {
                let why = format!("{why}; and the store cannot be opened again: {error}");
                return server.upgrade_failed(&why);
            }
        }
    }
    server.upgrade_failed(&why);
}
