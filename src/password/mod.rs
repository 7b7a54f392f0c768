//! Passwords: hashed and verified with argon2id, on a thread of its own. Work goes in, outcomes come
//! out; neither side waits for the other. Owns the parameters and the rule for what a password may
//! be. Knows no account, no connection and no store.
//!
//! The seam is [`Passwords`]: behind it is the thread ([`Handle`]), or the stand-in of the simulator.

mod hash;
mod thread;

use crate::carry::carried;
use std::fmt;

pub use hash::{COST, Cost, SALT_BYTES, hashed, is_kept};
pub use thread::Handle;

/// Work that may wait for the thread. With one hash in some 25 ms it is done within two seconds;
/// more is refused ([`Busy`]), so that a crowd of logins costs its senders and not the memory.
pub const QUEUE_MAX: usize = 64;

/// The shortest password, in characters (NIST SP 800-63B §3.1.1.2).
pub const CHARS_MIN: usize = 8;
/// The longest, in bytes: argon2 takes time for each.
pub const BYTES_MAX: usize = 256;

/// Hashes and verifies passwords. The loop calls it, so nothing here may compute a hash.
pub trait Passwords {
    /// Takes a piece of work, whose [`Outcome`] comes with the same tag.
    ///
    /// # Errors
    /// As many wait as may wait; nothing was taken.
    fn begin(&mut self, tag: u64, work: Work) -> Result<(), Busy>;

    /// Appends the outcomes that have come, in the order of their work.
    fn receive(&mut self, outcomes: &mut Vec<(u64, Outcome)>);
}

/// What is to be done with a password.
#[derive(Debug)]
pub enum Work {
    /// Make what is kept of a new password.
    Hash { password: Secret },
    /// Compare a password with what is kept of one. `None`: the account does not exist or has no
    /// password; the same work is done, so that the time does not tell, and the outcome is a
    /// mismatch.
    Verify {
        password: Secret,
        kept: Option<String>,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What is to be kept, in the PHC format.
    Hashed(String),
    Matches,
    Differs,
    /// There is not enough memory, or no random number. Trying again may help.
    Failed,
}

/// As much work waits as may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// A password or another secret of a client. Not shown by `{:?}`, so that no line of a log has it by
/// mistake, and overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

carried!(struct Secret(bytes));

impl Secret {
    pub fn new(text: &str) -> Self {
        Self::of(text.as_bytes())
    }

    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_owned())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Otherwise the compiler may leave out what nothing reads.
        std::hint::black_box(&self.0);
    }
}

/// What is wrong with a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    TooShort,
    TooLong,
    /// It is the name, or contains nothing but it.
    IsTheName,
    /// It is one of those that are tried first.
    IsCommon,
}

impl fmt::Display for Weak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "it needs at least {CHARS_MIN} characters"),
            Self::TooLong => write!(f, "it has more than {BYTES_MAX} bytes"),
            Self::IsTheName => f.write_str("it must not be the name"),
            Self::IsCommon => f.write_str("it is one of those that are guessed first"),
        }
    }
}

/// The passwords of at least [`CHARS_MIN`] characters that head every list of guesses.
const COMMON: &[&str] = &[
    "password",
    "password1",
    "password123",
    "12345678",
    "123456789",
    "1234567890",
    "11111111",
    "00000000",
    "qwertyui",
    "qwertyuiop",
    "qwerty123",
    "1q2w3e4r",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "letmein1",
    "abcd1234",
    "asdfghjk",
    "welcome1",
    "trustno1",
    "passw0rd",
];

/// Whether a new password of an account with this name may be taken. There is no rule for which
/// characters it has: such rules make passwords worse (NIST SP 800-63B, appendix A.3).
///
/// # Errors
/// What is wrong with it.
pub fn check(password: &str, name: &str) -> Result<(), Weak> {
    if password.len() > BYTES_MAX {
        return Err(Weak::TooLong);
    }
    if password.chars().count() < CHARS_MIN {
        return Err(Weak::TooShort);
    }
    let password = password.to_lowercase();
    if password == name.to_lowercase() {
        return Err(Weak::IsTheName);
    }
    let first = password.chars().next();
    if COMMON.contains(&password.as_str()) || password.chars().all(|c| Some(c) == first) {
        return Err(Weak::IsCommon);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_not_in_its_debug_form() {
        let work = Work::Verify {
            password: Secret::new("correct horse"),
            kept: None,
        };
        assert!(!format!("{work:?}").contains("correct"));
    }

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        for (password, expected) in [
            ("short12", Err(Weak::TooShort)),
            ("päßwörter", Ok(())),
            ("annabella", Err(Weak::IsTheName)),
            ("ANNABELLA", Err(Weak::IsTheName)),
            ("annabella1", Ok(())),
            ("Password123", Err(Weak::IsCommon)),
            ("zzzzzzzzzz", Err(Weak::IsCommon)),
            ("correct horse", Ok(())),
        ] {
            assert_eq!(check(password, "Annabella"), expected, "{password}");
        }
        let longest = "ab".repeat(BYTES_MAX / 2);
        assert_eq!(check(&longest, "ann"), Ok(()));
        assert_eq!(check(&format!("{longest}a"), "ann"), Err(Weak::TooLong));
    }
}
