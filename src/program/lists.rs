//! Files of the machine as bytes: those that settings name. Does not know their form.

use parlor::config::CONTENTS_BYTES_MAX;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file that a setting names.
pub(super) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(CONTENTS_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > CONTENTS_BYTES_MAX {
        return Err(io::Error::other("the file is longer than 16 MiB"));
    }
    Ok(bytes)
}
