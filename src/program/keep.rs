//! Where the server keeps its history: the directory, the store with its thread, or memory alone.

use super::fill;
use super::settings::variable;
use log::Level;
use parlor::config::{Config, StorePlace, state_directory};
use parlor::log::{Keeping, Origin};
use parlor::logging;
use parlor::net::mio::{MioNet, clock, wall_clock};
use parlor::store::{self, StoreError};
use std::path::PathBuf;

pub(super) const NO_DIRECTORY: &str =
    "the environment has no directory for it (HOME is not set): name one with --store";

/// The directory of the history; an error says why it is in memory, and is empty if that is wanted.
pub(super) fn store_directory(config: &Config) -> Result<PathBuf, &'static str> {
    match &config.store_place {
        // Nothing is kept of an echo.
        _ if config.echo => Err(""),
        StorePlace::Memory => Err(""),
        StorePlace::Directory(directory) => Ok(directory.clone()),
        StorePlace::Unnamed => state_directory(variable).ok_or(NO_DIRECTORY),
    }
}

/// Opens the store and starts its thread, or keeps the history in memory.
pub(super) fn keep(
    config: &mut Config,
    net: &MioNet,
    directory: Result<PathBuf, &'static str>,
    origin: Option<&Origin>,
) -> Result<(Keeping, Option<PathBuf>), String> {
    let random = match origin {
        // The memory goes on as what it was.
        Some(origin) => origin.random(),
        None => {
            let mut random = [0; 36];
            fill(&mut random)?;
            random
        }
    };
    let directory = match origin {
        Some(origin) if !origin.has_store => Err(""),
        Some(_) | None => directory,
    };
    let in_memory = |why: &str| {
        if !why.is_empty() {
            let why = format!("the history is kept in memory only and ends with the server: {why}");
            logging::say(Level::Warn, &why);
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
        report: |sentence| logging::say(Level::Warn, sentence),
    };
    let opened = match origin {
        Some(origin) => store::reopen(&config.store, surroundings, origin.epoch),
        None => store::open(&config.store, surroundings),
    };
    match opened {
        Ok((started, handle)) => {
            let store = Some(Box::new(handle) as Box<_>);
            let is_shared = false;
            Ok((
                Keeping {
                    started,
                    store,
                    is_shared,
                },
                Some(directory),
            ))
        }
        Err(error) if origin.is_some() || is_named(config) || !cannot_be_written(&error) => {
            Err(error.to_string())
        }
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
