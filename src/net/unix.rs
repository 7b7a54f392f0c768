//! The file of a Unix listener: which one may be replaced, who may connect, and which one is
//! removed at the end.
//!
//! Every decision is about a file's identity (device and inode) or its type, never about its name
//! or an error number alone. Replacing and removing are done under a lock file beside the socket,
//! so that of several servers that start or stop at once only one looks and acts at a time.

use super::Settings;
use nix::unistd::Group;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, fchmod, fstat, lstat};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{fmt, str::FromStr};

/// Why there is no listener at a path.
#[derive(Debug)]
pub enum UnixError {
    /// Something that is no socket is there.
    Occupied {
        what: &'static str,
    },
    /// A server listens there.
    InUse,
    /// Another server that starts or stops holds the lock of the path.
    Locked,
    /// The file at the place of the lock was not made for this.
    NoLock {
        path: PathBuf,
    },
    NoGroup {
        name: String,
    },
    System(io::Error),
}

impl UnixError {
    /// What is wrong and what to do; `option` is the one that chooses the path.
    pub(super) fn say(&self, option: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied { what } => write!(
                f,
                "there is {what}, which is not replaced; remove it or choose another path with \
                 {option}"
            ),
            Self::InUse => write!(f, "it is in use; choose another with {option}"),
            Self::Locked => f.write_str("another server is starting or stopping there; try again"),
            Self::NoLock { path } => write!(
                f,
                "{} is no lock of a server; remove it or choose another path with {option}",
                path.display()
            ),
            Self::NoGroup { name } => write!(
                f,
                "--unix-group {name:?}: there is no such group; expected a name or a number"
            ),
            Self::System(error) => write!(f, "{error}"),
        }
    }
}

impl<E: Into<io::Error>> From<E> for UnixError {
    fn from(error: E) -> Self {
        Self::System(error.into())
    }
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    const fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}

/// The file of a listening socket. Dropping it removes the file, if it is still this one.
///
/// To be dropped before the socket: an open socket keeps its inode, so that no other file can have
/// its number.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its device and inode.
    pub(super) const fn identity(&self) -> (u64, u64) {
        (self.identity.device, self.identity.inode)
    }

    /// The file of a socket that an earlier image has made.
    pub(super) const fn taken_over(path: PathBuf, device: u64, inode: u64) -> Self {
        let identity = Identity { device, inode };
        Self { path, identity }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A server that is starting there holds the lock, and replaces the file or leaves it.
        let Ok(_lock) = Lock::of(&self.path) else {
            return;
        };
        if lstat(&self.path).is_ok_and(|stat| Identity::of(&stat) == self.identity) {
            // If it cannot be removed, the next start finds it left over.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`. A socket file that no server listens on is replaced.
pub(super) fn bind(path: &Path, settings: &Settings) -> Result<(Socket, SocketFile), UnixError> {
    let group = settings.unix_group.as_deref().map(find_group).transpose()?;
    let address = SockAddr::unix(path)?;
    let _lock = Lock::of(path)?;
    make_way(path, &address)?;

    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_send_buffer_size(settings.send_buffer_bytes)?;
    socket.set_nonblocking(true)?;
    bind_with_mode(&socket, &address, settings.unix_mode)?;
    match begin(&socket, path, group, settings) {
        Ok(identity) => {
            let path = path.to_owned();
            Ok((socket, SocketFile { path, identity }))
        }
        Err(error) => {
            // Made a moment ago, and the lock is still held.
            let _ = fs::remove_file(path);
            Err(error.into())
        }
    }
}

/// Gives the file of a bound socket to its group, and listens. Until then every attempt to connect
/// is refused, so that no client comes in before the file is as it should be.
fn begin(
    socket: &Socket,
    path: &Path,
    group: Option<Gid>,
    settings: &Settings,
) -> io::Result<Identity> {
    // A handle, so that another file of the same name cannot be meant.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::open(path, flags, Mode::empty())?;
    if group.is_some() {
        rustix::fs::chownat(&handle, "", None, group, AtFlags::EMPTY_PATH)?;
    }
    socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
    Ok(Identity::of(&fstat(&handle)?))
}

/// Sees to it that nothing is at `path`, or says what is.
fn make_way(path: &Path, address: &SockAddr) -> Result<(), UnixError> {
    let stat = match lstat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind != FileType::Socket {
        return Err(UnixError::Occupied { what: name(kind) });
    }
    if !is_left_over(address)? {
        return Err(UnixError::InUse);
    }
    if lstat(path).is_ok_and(|again| Identity::of(&again) == Identity::of(&stat)) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Whether no socket listens any more at a socket file. Does not wait: a listener that does not
/// accept makes a blocking connect wait once its backlog is full.
fn is_left_over(address: &SockAddr) -> io::Result<bool> {
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(true),
        // The backlog is full, or it is a socket of datagrams.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => Ok(false),
        // It went away in the meantime.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

const fn name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Socket => "a socket",
        FileType::Unknown => "a file of an unknown type",
    }
}

/// Binds so that the file has exactly this mode from its first moment: Linux takes it from the
/// socket's own, less the umask. The umask belongs to the whole process, which has one thread at
/// this time.
fn bind_with_mode(socket: &Socket, address: &SockAddr, mode: u32) -> io::Result<()> {
    fchmod(socket, Mode::from_raw_mode(mode))?;
    let umask = rustix::process::umask(Mode::empty());
    let outcome = socket.bind(address);
    rustix::process::umask(umask);
    outcome
}

/// A group by its name, wherever the system keeps groups, or by its number.
fn find_group(name: &str) -> Result<Gid, UnixError> {
    if let Ok(number) = u32::from_str(name)
        && number != u32::MAX
    {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(Gid::from_raw(group.gid.as_raw())),
        Ok(None) | Err(_) => Err(UnixError::NoGroup {
            name: name.to_owned(),
        }),
    }
}

/// The right to replace or remove the file at a path, by an advisory lock (flock(2)) on an empty
/// file beside it. The kernel releases it when its owner dies. The file is removed with the lock
/// still held, and after locking it is compared with what the name stands for then: of two servers
/// that opened the same file, the second finds that its own is gone and opens the next.
struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Does not wait.
    fn of(socket: &Path) -> Result<Self, UnixError> {
        let mut name = OsString::from(socket);
        name.push(".parlor-lock");
        let path = PathBuf::from(name);
        loop {
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(flags.bits().cast_signed())
                .open(&path);
            let file = match opened {
                Ok(file) => file,
                Err(error) if lstat(&path).is_ok_and(|stat| !is_lock(&stat)) => {
                    drop(error);
                    return Err(UnixError::NoLock { path });
                }
                Err(error) => return Err(error.into()),
            };
            let stat = fstat(&file)?;
            if !is_lock(&stat) {
                return Err(UnixError::NoLock { path });
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(UnixError::Locked),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            if lstat(&path).is_ok_and(|named| Identity::of(&named) == Identity::of(&stat)) {
                return Ok(Self { file, path });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file that is left behind hinders no later start.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn is_lock(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_file_has_a_name() {
        for (mode, expected) in [
            (0o100_644, "a regular file"),
            (0o040_755, "a directory"),
            (0o120_777, "a symbolic link"),
            (0o010_644, "a FIFO"),
            (0o020_666, "a character device"),
            (0o060_660, "a block device"),
            (0o140_777, "a socket"),
        ] {
            assert_eq!(name(FileType::from_raw_mode(mode)), expected);
        }
    }
}
