//! What stands before the body of a state: what it is, in which version, how long, and a checksum.
//! Knows nothing of the body.

use super::{Damaged, Reader, Writer};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// In which form this image writes. To be raised with every change of the form after a release.
pub const VERSION: u32 = 1;

/// The oldest form that this image reads: that of the release before.
pub const OLDEST: u32 = 1;

const MAGIC: &[u8; 8] = b"parlor\x1bU";
const HEAD_BYTES: usize = 8 + 4 + 8 + 8;

/// The bytes for the next image.
pub fn seal(body: Writer) -> Vec<u8> {
    let body = body.into_bytes();
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&checksum(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// The body of a state.
///
/// # Errors
/// It is none, or of a version that this image does not read, or not whole.
pub fn open(bytes: &[u8]) -> Result<Reader<'_>, Damaged> {
    let head = bytes.get(..HEAD_BYTES).ok_or(Damaged("it is no state"))?;
    let body = &bytes[HEAD_BYTES..];
    let mut head = Reader::new(head, VERSION);
    if head.take(MAGIC.len())? != MAGIC {
        return Err(Damaged("it is no state"));
    }
    let version: u32 = super::Carry::read(&mut head)?;
    if version < OLDEST {
        return Err(Damaged(
            "the state is of an older version than this program reads",
        ));
    }
    if version > VERSION {
        return Err(Damaged(
            "the state is of a newer version than this program reads",
        ));
    }
    let (length, sum): (u64, u64) = super::Carry::read(&mut head)?;
    if length != body.len() as u64 {
        return Err(Damaged("the state is not whole"));
    }
    if sum != checksum(body) {
        return Err(Damaged("the checksum of the state is wrong"));
    }
    Ok(Reader::new(body, version))
}

fn checksum(body: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(body);
    hasher.finish()
}
