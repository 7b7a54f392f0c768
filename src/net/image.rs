//! Another image of the program: asked as a child whether it understands a state, and executed in
//! the place of this one with the descriptors that it takes over. Knows no state.
//!
//! A state goes from one to the other in memory that has no name (memfd_create(2)). Nothing is
//! dropped at an exec: files of sockets stay, and every descriptor that is not named here is closed
//! by the system, since all are opened with close-on-exec.

use super::passed::own;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// The variable that has the number of the descriptor of a state.
const STATE_VARIABLE: &str = "PARLOR_UPGRADE";

/// How long it may take.
const CHECK_SECONDS: i64 = 5;

/// How much is read of what a child says.
const SENTENCE_BYTES: usize = 4096;

/// The program that takes over: what is at this path when it is asked.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// The file that has understood a state last.
    checked: Mutex<Option<Identity>>,
}

/// Which file, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    length: u64,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
        })
    }
}

impl Image {
    /// The argument, before all others, with which an image looks at the state on its standard input.
    pub const CHECK: &'static str = "--check-upgrade";

    /// What an image that understands the state writes to its standard output.
    pub const UNDERSTOOD: &'static str = "parlor understands the state\n";

    /// `path`: where this program was found when it started, before links are followed, for a
    /// package replaces the file there. `arguments`: those of this process.
    pub const fn new(path: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            path,
            arguments,
            checked: Mutex::new(None),
        }
    }

    /// Has the program at the path look at a state, and waits for that, at most 5 s.
    ///
    /// # Errors
    /// A sentence: it cannot take over.
    pub fn check(&self, state: &[u8]) -> Result<(), String> {
        let shown = self.path.display();
        let identity = Identity::of(&self.path)
            .map_err(|error| format!("there is no program at {shown}: {error}"))?;
        let state = in_memory(state)
            .map_err(|error| format!("there is no memory for the state: {error}"))?;
        let child = Command::new(&self.path)
            .arg(Self::CHECK)
            .args(self.arguments.iter().skip(1))
            .stdin(Stdio::from(state))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{shown} cannot be executed: {error}"))?;
        outcome_of(child).map_err(|why| format!("{shown} does not take over: {why}"))?;
        if let Ok(mut checked) = self.checked.lock() {
            *checked = Some(identity);
        }
        Ok(())
    }

    /// Executes the program with the state and these descriptors besides. Returns only if that
    /// fails: with the reason, and nothing has changed.
    pub fn execute(&self, state: &[u8], kept: &[BorrowedFd<'_>]) -> String {
        let shown = self.path.display();
        let checked = self.checked.lock().map_or(None, |checked| *checked);
        if checked.is_none() || Identity::of(&self.path).ok() != checked {
            return format!("{shown} was replaced since it was checked; try again");
        }
        let state = match in_memory(state) {
            Ok(state) => state,
            Err(error) => return format!("there is no memory for the state: {error}"),
        };
        let keeps = |flags: FdFlags| {
            fcntl_setfd(&state, flags)?;
            kept.iter()
                .try_for_each(|descriptor| fcntl_setfd(descriptor, flags))
        };
        let error = match keeps(FdFlags::empty()) {
            Ok(()) => {
                let mut command = Command::new(&self.path);
                if let Some(name) = self.arguments.first() {
                    command.arg0(name);
                }
                command
                    .args(self.arguments.iter().skip(1))
                    .env(STATE_VARIABLE, state.as_raw_fd().to_string())
                    .exec()
            }
            Err(error) => error.into(),
        };
        // Otherwise a child would have them.
        let _ = keeps(FdFlags::CLOEXEC);
        format!("{shown} cannot be executed: {error}")
    }
}

/// A file in memory with these bytes, at its beginning.
fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("parlor-state", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// What a child has said of the state.
fn outcome_of(mut child: Child) -> Result<(), String> {
    let ended = wait(&child);
    if !matches!(ended, Ok(true)) {
        // It may have ended just now.
        let _ = child.kill();
    }
    let status = child.wait();
    match ended {
        Ok(true) => {}
        Ok(false) => return Err(format!("it has not answered within {CHECK_SECONDS} s")),
        Err(error) => return Err(format!("it cannot be waited for: {error}")),
    }
    let is_success = status.is_ok_and(|status| status.success());
    if is_success && said(child.stdout.take()) == Image::UNDERSTOOD {
        return Ok(());
    }
    let words = said(child.stderr.take());
    let words = words.lines().next().unwrap_or_default();
    let printable = |c: &char| !c.is_control();
    let words: String = words.chars().filter(printable).take(200).collect();
    Err(if words.is_empty() {
        String::from("it does not say that it understands the state")
    } else {
        words
    })
}

/// False: it has not ended in time.
fn wait(child: &Child) -> io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let most = Timespec {
        tv_sec: CHECK_SECONDS,
        tv_nsec: 0,
    };
    let mut waiting = [PollFd::new(&process, PollFlags::IN)];
    Ok(poll(&mut waiting, Some(&most))? > 0)
}

/// What is in a pipe whose writer has ended. A child of the child that holds it open is not waited
/// for.
fn said(pipe: Option<impl Read + AsFd>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let has_some = {
            let mut waiting = [PollFd::new(&pipe, PollFlags::IN)];
            poll(&mut waiting, Some(&Timespec::default())).is_ok_and(|count| count > 0)
        };
        let mut buffer = [0; SENTENCE_BYTES];
        if has_some && let Ok(count) = pipe.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Lets no descriptor but the standard streams go on to a program that is executed later. To be called
/// before anything is opened.
pub fn close_on_exec() {
    #[expect(unsafe_code, reason = "the call has no safe name")]
    // SAFETY: it closes nothing with this flag, and takes plain numbers. An older kernel refuses it.
    let _ = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// The state that the image before has left to this process. `variable` looks up a name in the
/// environment. `None`: there was none.
pub fn take_state(variable: impl Fn(&str) -> Option<OsString>) -> Option<Vec<u8>> {
    let number = variable(STATE_VARIABLE)?.to_str()?.parse().ok()?;
    if number < 3 {
        return None;
    }
    let link = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    if !link.to_string_lossy().starts_with("/memfd:parlor-state") {
        return None;
    }
    let mut file = File::from(own(number)?);
    let mut state = Vec::new();
    file.rewind().ok()?;
    file.read_to_end(&mut state).ok()?;
    Some(state)
}
