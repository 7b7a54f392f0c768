//! What another image of the program takes over of the real network: the listeners with their files,
//! and the clock's beginning. As values that are carried; how they become sockets again is `mio.rs`'s.

use super::unix::SocketFile;
use crate::carry::{Carry, Damaged, Reader, Writer, carried};
use crate::id::Millis;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The system's part of a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The process that saved. Another that inherits the variable does not take the state over.
    pub pid: u32,
    /// When ticks began, in microseconds of CLOCK_MONOTONIC.
    pub start_micros: u64,
    /// When the state was saved.
    pub saved_micros: u64,
    /// When the first image was set up.
    pub started: Millis,
    pub listeners: Vec<InheritedListener>,
    /// The number of the listener for monitors, and of that for operators.
    pub metrics: Option<u32>,
    pub admin: Option<u32>,
}

/// A listener. Those that were closed keep their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InheritedListener {
    pub kind: ListenerKind,
    pub descriptor: u32,
    /// The file of a Unix socket that is to be removed at the end.
    pub file: Option<SocketFileMark>,
}

/// What a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    Tcp,
    Unix,
    Admin,
    Closed,
    Tls,
}

/// Which file it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFileMark {
    pub path: PathBuf,
    pub device: u64,
    pub inode: u64,
}

carried!(struct Inherited {
    pid,
    start_micros,
    saved_micros,
    started,
    listeners,
    metrics,
    admin,
});
carried!(struct InheritedListener { kind, descriptor, file });
carried!(enum ListenerKind { 0 = Tcp, 1 = Unix, 2 = Admin, 3 = Closed, 4 = Tls });

impl Carry for SocketFileMark {
    fn write(&self, to: &mut Writer) {
        self.path.as_os_str().as_bytes().to_vec().write(to);
        (self.device, self.inode).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let path = PathBuf::from(OsString::from_vec(Carry::read(from)?));
        let (device, inode) = Carry::read(from)?;
        Ok(Self {
            path,
            device,
            inode,
        })
    }
}

impl SocketFileMark {
    pub(super) fn of(file: &SocketFile) -> Self {
        let (device, inode) = file.identity();
        Self {
            path: file.path().to_owned(),
            device,
            inode,
        }
    }

    pub(super) fn into_file(self) -> SocketFile {
        SocketFile::taken_over(self.path, self.device, self.inode)
    }
}
