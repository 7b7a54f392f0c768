//! What is kept of a password: argon2id (RFC 9106) in the PHC format. Pure but for the salt, which is
//! an argument. Knows no thread.

use super::Outcome;
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64_NOPAD;
use subtle::ConstantTimeEq;

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// OWASP's first recommendation for argon2id, for one of our threads: 19 MiB, which are given back
/// after each hash, and some 25 ms.
pub const COST: Cost = Cost {
    memory_kib: 19 * 1024,
    passes: 2,
    lanes: 1,
};

/// What a kept password may cost at most: it may come from a store that others wrote.
const COST_MAX: Cost = Cost {
    memory_kib: 256 * 1024,
    passes: 16,
    lanes: 16,
};

const HASH_BYTES: usize = 32;
pub const SALT_BYTES: usize = 16;
/// Salts of other programs.
const SALT_BYTES_MAX: usize = 64;

/// Computes a hash. `None`: there is not enough memory. An argument, so that tests can count.
pub(super) type Compute<'a> = &'a mut dyn FnMut(Cost, &[u8], &[u8]) -> Option<[u8; HASH_BYTES]>;

pub(super) fn compute(cost: Cost, password: &[u8], salt: &[u8]) -> Option<[u8; HASH_BYTES]> {
    let Cost {
        memory_kib,
        passes,
        lanes,
    } = cost;
    let params = Params::new(memory_kib, passes, lanes, Some(HASH_BYTES)).ok()?;
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt, &mut hash)
        .ok()?;
    Some(hash)
}

/// What is to be kept of a new password.
pub(super) fn hash(password: &[u8], salt: &[u8; SALT_BYTES], compute: Compute<'_>) -> Outcome {
    match compute(COST, password, salt) {
        Some(hash) => Outcome::Hashed(written(COST, salt, &hash)),
        None => Outcome::Failed,
    }
}

/// The same in one call, for commands that wait for it. `None`: there is not enough memory.
pub fn hashed(password: &str, salt: &[u8; SALT_BYTES]) -> Option<String> {
    match hash(password.as_bytes(), salt, &mut compute) {
        Outcome::Hashed(kept) => Some(kept),
        Outcome::Matches | Outcome::Differs | Outcome::Failed => None,
    }
}

/// Compares a password with what is kept. Exactly one hash is computed, whatever is kept.
pub(super) fn verify(password: &[u8], kept: Option<&str>, compute: Compute<'_>) -> Outcome {
    let Some(kept) = kept.and_then(Kept::parse) else {
        // No account, none with a password, or one of which nothing can be read.
        return match compute(COST, password, &[0; SALT_BYTES]) {
            Some(_) => Outcome::Differs,
            None => Outcome::Failed,
        };
    };
    match compute(kept.cost, password, &kept.salt) {
        Some(hash) if bool::from(hash.ct_eq(&kept.hash)) => Outcome::Matches,
        Some(_) => Outcome::Differs,
        None => Outcome::Failed,
    }
}

fn written(cost: Cost, salt: &[u8], hash: &[u8]) -> String {
    format!(
        "$argon2id$v=19$m={},t={},p={}${}${}",
        cost.memory_kib,
        cost.passes,
        cost.lanes,
        BASE64_NOPAD.encode(salt),
        BASE64_NOPAD.encode(hash)
    )
}

/// Whether a text is what is kept of a password.
pub fn is_kept(text: &str) -> bool {
    Kept::parse(text).is_some()
}

struct Kept {
    cost: Cost,
    salt: Vec<u8>,
    hash: [u8; HASH_BYTES],
}

impl Kept {
    /// `None`: it was not written by us or a program with the same parameters.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let mut costs = costs.split(',');
        let mut cost = |name: &str, max: u32| {
            let value = costs.next()?.strip_prefix(name)?.strip_prefix('=')?;
            let value: u32 = value.parse().ok()?;
            (1..=max).contains(&value).then_some(value)
        };
        let cost = Cost {
            memory_kib: cost("m", COST_MAX.memory_kib)?,
            passes: cost("t", COST_MAX.passes)?,
            lanes: cost("p", COST_MAX.lanes)?,
        };
        let salt = BASE64_NOPAD.decode(salt.as_bytes()).ok()?;
        let is_salt = (8..=SALT_BYTES_MAX).contains(&salt.len());
        let hash = BASE64_NOPAD.decode(hash.as_bytes()).ok()?.try_into().ok()?;
        (costs.next().is_none() && is_salt).then_some(Self { cost, salt, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in that counts what it was asked for.
    #[derive(Default)]
    struct Counter(Vec<Cost>);

    impl Counter {
        fn verify(&mut self, password: &str, kept: Option<&str>) -> Outcome {
            let count = &mut |cost, password: &[u8], salt: &[u8]| {
                self.0.push(cost);
                let mut hash = [0; HASH_BYTES];
                for (at, byte) in password.iter().chain(salt).enumerate() {
                    hash[at % HASH_BYTES] ^= byte;
                }
                Some(hash)
            };
            verify(password.as_bytes(), kept, count)
        }
    }

    #[test]
    fn password_matches_what_is_kept_of_it_alone() {
        let kept = hashed("correct horse", &[7; SALT_BYTES]).unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        let verify = |password: &str| verify(password.as_bytes(), Some(&kept), &mut compute);
        assert_eq!(verify("correct horse"), Outcome::Matches);
        assert_eq!(verify("correct horsf"), Outcome::Differs);
        assert_eq!(verify(""), Outcome::Differs);
        assert_ne!(hashed("correct horse", &[8; SALT_BYTES]), Some(kept));
    }

    /// Made with the argon2 command of the reference implementation:
    /// `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -e`.
    #[test]
    fn hash_of_another_program_is_verified() {
        let kept = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                    CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let outcome = verify(b"password", Some(kept), &mut compute);
        assert_eq!(outcome, Outcome::Matches);
    }

    #[test]
    fn same_work_is_done_whether_the_account_exists_or_not() {
        let kept = hashed("correct horse", &[7; SALT_BYTES]).unwrap();
        let mut counter = Counter::default();
        for (password, kept) in [
            ("correct horse", Some(kept.as_str())),
            ("wrong", Some(&kept)),
            ("wrong", None),
            ("wrong", Some("nothing that can be read")),
            ("", None),
        ] {
            counter.verify(password, kept);
        }
        assert_eq!(counter.0, [COST; 5]);
    }

    #[test]
    fn nothing_matches_an_account_without_a_password() {
        for password in ["", "x", "nothing"] {
            assert_eq!(Counter::default().verify(password, None), Outcome::Differs);
            let kept = Some("$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA");
            assert_eq!(Counter::default().verify(password, kept), Outcome::Differs);
        }
    }

    #[test]
    fn what_costs_too_much_is_not_computed() {
        let hash = BASE64_NOPAD.encode(&[0; HASH_BYTES]);
        let salt = BASE64_NOPAD.encode(&[0; SALT_BYTES]);
        for costs in [
            "m=4294967295,t=2,p=1",
            "m=19456,t=17,p=1",
            "m=19456,t=2,p=0",
            "m=8,t=1",
        ] {
            let kept = format!("$argon2id$v=19${costs}${salt}${hash}");
            assert!(Kept::parse(&kept).is_none(), "{kept}");
        }
        let kept = format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}");
        assert!(Kept::parse(&kept).is_some());
        for broken in ["$", "$more", "=", "\0"] {
            assert!(Kept::parse(&format!("{kept}{broken}")).is_none());
        }
        for length in 0..kept.len() {
            assert!(Kept::parse(&kept[..length]).is_none());
        }
    }
}
