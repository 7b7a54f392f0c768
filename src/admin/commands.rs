//! The commands that work on a store: they take its lock, and where a running server has it, they
//! ask that server. Every error is a sentence that says what to do.

use super::client::Client;
use super::{AccountCommand, Progress};
use crate::chat::registry::{Change, Snapshot};
use crate::chat::{Chat, Effect, Effects, Settings};
use crate::id::{Millis, Tick};
use crate::store::{self, Copied, StoreError};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// From one question of how far a server has come to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a store is, and where its server may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub directory: PathBuf,
    /// Tried in this order.
    pub sockets: Vec<PathBuf>,
}

/// Where a command writes.
pub struct Screen<'a> {
    pub output: &'a mut dyn Write,
    pub errors: &'a mut dyn Write,
    /// Whether errors go to a terminal: then they have the progress too.
    pub is_terminal: bool,
}

impl Screen<'_> {
    /// A line that replaces the last of its kind.
    fn show(&mut self, line: &str) {
        if self.is_terminal {
            // The reader of errors may be gone, which is no reason to end.
            let _ = write!(self.errors, "\r\x1b[K{line}");
            let _ = self.errors.flush();
        }
    }

    fn show_part(&mut self, done: u64, total: u64) {
        if let Some(percent) = (100 * done).checked_div(total) {
            self.show(&format!("{percent} %"));
        }
    }

    pub(super) fn print(&mut self, text: &str) -> Result<(), String> {
        let written = self.output.write_all(text.as_bytes());
        let written = written.and_then(|()| self.output.flush());
        written.map_err(|error| format!("the output cannot be written: {error}"))
    }
}

/// Copies the store into a new file.
///
/// # Errors
/// A sentence.
pub fn backup(place: &Place, file: &Path, screen: &mut Screen<'_>) -> Result<(), String> {
    let file = std::path::absolute(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let show = &mut |copied: Copied| screen.show_part(copied.done, copied.pages);
    match store::backup(&place.directory, &file, show) {
        Err(StoreError::InUse { directory, pid }) => {
            let mut server = reach(place, &directory, pid)?;
            let path = file
                .to_str()
                .ok_or_else(|| format!("{} is not valid UTF-8", file.display()))?;
            server.ask("POST", "/backup", &json!({ "file": path }).to_string())?;
            wait_for(&mut server, "/backup", screen)?;
        }
        outcome => outcome.map_err(|error| error.to_string())?,
    }
    screen.show("");
    screen.print(&format!("the store is copied to {}\n", file.display()))
}

/// Writes what is kept of a room as JSON lines.
///
/// # Errors
/// A sentence.
pub fn export(place: &Place, room: &str, screen: &mut Screen<'_>) -> Result<(), String> {
    match store::export(&place.directory, room, screen.output) {
        Err(StoreError::InUse { directory, pid }) => {
            let mut server = reach(place, &directory, pid)?;
            export_from(&mut server, room, screen)
        }
        outcome => outcome.map_err(|error| error.to_string()),
    }
}

fn export_from(server: &mut Client, room: &str, screen: &mut Screen<'_>) -> Result<(), String> {
    let room = percent_encoding::utf8_percent_encode(room, percent_encoding::NON_ALPHANUMERIC);
    let mut next = Some(0);
    while let Some(after) = next {
        let target = format!("/export?room={room}&after={after}");
        let part = server.ask("GET", &target, "")?;
        let written = screen.output.write_all(&part.body);
        written.map_err(|error| format!("the output cannot be written: {error}"))?;
        if let Some(upto) = part.next {
            screen.show(&format!("{upto} entries"));
        }
        next = part.next;
    }
    screen.show("");
    screen.print("")
}

/// Writes the audit log as JSON lines, the newest row first: of one room, or all of it.
///
/// # Errors
/// A sentence.
pub fn audit(place: &Place, room: Option<&str>, screen: &mut Screen<'_>) -> Result<(), String> {
    match store::audit(&place.directory, room, screen.output) {
        Err(StoreError::InUse { directory, pid }) => {
            let mut server = reach(place, &directory, pid)?;
            audit_from(&mut server, room, screen)
        }
        Err(error) => match without_store(place) {
            Some(mut server) => audit_from(&mut server, room, screen),
            None => Err(error.to_string()),
        },
        Ok(()) => Ok(()),
    }
}

/// A running server that keeps no store of its own, as one of several on an engine.
fn without_store(place: &Place) -> Option<Client> {
    place.sockets.iter().find_map(|socket| {
        let mut client = Client::connect(socket).ok()?;
        let status = client.ask("GET", "/status", "").ok()?.json().ok()?;
        status["store"].is_null().then_some(client)
    })
}

fn audit_from(
    server: &mut Client,
    room: Option<&str>,
    screen: &mut Screen<'_>,
) -> Result<(), String> {
    let room = room.map_or_else(String::new, |room| {
        let room = percent_encoding::utf8_percent_encode(room, percent_encoding::NON_ALPHANUMERIC);
        format!("&room={room}")
    });
    let mut next = Some(u64::MAX);
    while let Some(before) = next {
        let part = server.ask("GET", &format!("/audit?before={before}{room}"), "")?;
        let written = screen.output.write_all(&part.body);
        written.map_err(|error| format!("the output cannot be written: {error}"))?;
        next = part.next;
    }
    screen.print("")
}

/// Carries out a command about accounts. `wall`: the time.
///
/// # Errors
/// A sentence.
pub fn account(
    place: &Place,
    command: &AccountCommand,
    wall: Millis,
    screen: &mut Screen<'_>,
) -> Result<(), String> {
    let edit = |kept: Snapshot| edit(command, kept, wall);
    match store::edit_registry(&place.directory, edit) {
        Err(StoreError::InUse { directory, pid }) => {
            let mut server = reach(place, &directory, pid)?;
            let mut command = command.clone();
            loop {
                let body = command.to_json().to_string();
                let answer = server.ask("POST", "/accounts", &body)?.json()?;
                print_account(&command, &answer, screen)?;
                let next = answer.get("next").and_then(Value::as_u64);
                match next.and_then(|next| u32::try_from(next).ok()) {
                    Some(after) => command = AccountCommand::List { after },
                    None => return Ok(()),
                }
            }
        }
        outcome => {
            let answers = outcome.map_err(|error| error.to_string())??;
            let mut printed = answers.iter();
            printed.try_for_each(|answer| print_account(command, answer, screen))
        }
    }
}

/// What a command makes of the facts of a store, and its answers.
#[expect(clippy::vec_box, reason = "effects have them boxed")]
fn edit(
    command: &AccountCommand,
    kept: Snapshot,
    wall: Millis,
) -> Result<(Vec<Box<Change>>, Vec<Value>), String> {
    let mut chat = Chat::new(&Settings::default(), 0);
    chat.restore(kept);
    let mut effects = Effects::new();
    let mut answers = Vec::new();
    let mut command = command.clone();
    loop {
        let answer = command.carry_out(&mut chat, (Tick(0), wall), &mut effects)?;
        let next = answer.get("next").and_then(Value::as_u64);
        answers.push(answer);
        match next.and_then(|next| u32::try_from(next).ok()) {
            Some(after) => command = AccountCommand::List { after },
            None => break,
        }
    }
    let changes = effects.into_iter().filter_map(|effect| match effect {
        Effect::Change { change, .. } => Some(change),
        _ => None,
    });
    Ok((changes.collect(), answers))
}

fn print_account(
    command: &AccountCommand,
    answer: &Value,
    screen: &mut Screen<'_>,
) -> Result<(), String> {
    let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned();
    let done = match command {
        AccountCommand::List { .. } => {
            for account in list("accounts").unwrap_or_default() {
                screen.print(&format!("{account}\n"))?;
            }
            return Ok(());
        }
        AccountCommand::Sessions { .. } => {
            for seen in list("sessions").unwrap_or_default() {
                let seconds = seen.as_u64().unwrap_or(0) / 1000;
                screen.print(&format!("last seen at {seconds} (Unix time)\n"))?;
            }
            return Ok(());
        }
        AccountCommand::Add { name, .. } => format!("{name} is registered\n"),
        AccountCommand::Password { name, .. } => {
            format!("{name} has another password, and its sessions have ended\n")
        }
        AccountCommand::Role { name, role } => {
            let role = role.map_or("member", crate::chat::Role::name);
            format!("{name} is a {role} of the server\n")
        }
        AccountCommand::Delete { name } => format!("the account {name} is gone\n"),
    };
    screen.print(&done)
}

/// Looks for damage in a store, or in the file of a backup. False: there is some.
///
/// # Errors
/// A sentence.
pub fn check(place: &Place, file: Option<&Path>, screen: &mut Screen<'_>) -> Result<bool, String> {
    let path = file.unwrap_or(&place.directory);
    let problems = match store::check(path, &mut |line| screen.show(line)) {
        Err(StoreError::InUse { directory, pid }) => {
            let mut server = reach(place, &directory, pid)?;
            server.ask("POST", "/check", "")?;
            wait_for(&mut server, "/check", screen)?
        }
        outcome => outcome.map_err(|error| error.to_string())?.problems,
    };
    screen.show("");
    for problem in &problems {
        screen.print(&format!("{problem}\n"))?;
    }
    if problems.is_empty() {
        screen.print(&format!("{} is in order\n", path.display()))?;
    }
    Ok(problems.is_empty())
}

/// Waits for the end of a long task of a server, and returns the problems that it found.
fn wait_for(
    server: &mut Client,
    path: &str,
    screen: &mut Screen<'_>,
) -> Result<Vec<String>, String> {
    loop {
        let now = server.ask("GET", path, "")?.json()?;
        match Progress::from_json(&now) {
            Some(Progress::Running { done, total }) => screen.show_part(done, total),
            Some(Progress::Done { problems }) => return Ok(problems),
            Some(Progress::Failed { why }) => return Err(why),
            Some(Progress::None) | None => {
                return Err(String::from(
                    "the server has restarted meanwhile; try again",
                ));
            }
        }
        thread::sleep(PAUSE);
    }
}

/// The server that has the store.
fn reach(place: &Place, directory: &Path, pid: Option<u32>) -> Result<Client, String> {
    let mut tried = Vec::new();
    for socket in &place.sockets {
        match ask_for_store(socket, directory) {
            Ok(client) => return Ok(client),
            Err(why) => tried.push(format!("{}: {why}", socket.display())),
        }
    }
    let process = pid.map_or_else(|| String::from("a process"), |pid| format!("process {pid}"));
    let tried = if tried.is_empty() {
        String::from("no admin socket is known")
    } else {
        tried.join("; ")
    };
    Err(format!(
        "{process} uses the store {}, and cannot be asked ({tried}): name its socket with \
         --admin-socket, or stop it",
        directory.display()
    ))
}

fn ask_for_store(socket: &Path, directory: &Path) -> Result<Client, String> {
    let mut client = Client::connect(socket)?;
    let status = client.ask("GET", "/status", "")?.json()?;
    let store = status.get("store").and_then(Value::as_str);
    let same = |path: &Path| path.canonicalize().ok();
    match store.map(Path::new) {
        Some(path) if same(path).is_some() && same(path) == same(directory) => Ok(client),
        Some(path) => Err(format!("that server uses the store {}", path.display())),
        None => Err(String::from("that server keeps its history in memory")),
    }
}
