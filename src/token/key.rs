//! The key of signed tokens: a secret for HS256, or an Ed25519 key in PEM for EdDSA. What it is
//! decides which algorithm a token must have. Knows no token.

use data_encoding::BASE64;
use ed25519_compact::{KeyPair, PublicKey, Seed, Signature};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// The shortest secret: as long as the hash (RFC 7518 §3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// SubjectPublicKeyInfo of Ed25519 up to the 32 bytes of the key (RFC 8410 §4).
const PUBLIC_DER: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// PrivateKeyInfo of Ed25519 up to the 32 bytes of the seed (RFC 8410 §7).
const PRIVATE_DER: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// What tokens are signed and verified with.
pub struct Key(Kind);

enum Kind {
    /// HS256.
    Secret(Vec<u8>),
    /// EdDSA, to verify.
    Public(PublicKey),
    /// EdDSA, to sign as well.
    Pair(Box<KeyPair>),
}

/// Why a file is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefused {
    /// A secret that can be guessed.
    TooShort,
    /// PEM, but no Ed25519 key: it must not be taken for a secret, for it may be public.
    NotEd25519,
}

impl fmt::Display for KeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(
                f,
                "a secret needs at least {SECRET_BYTES_MIN} bytes: make one with openssl rand \
                 -base64 48"
            ),
            Self::NotEd25519 => f.write_str(
                "expected an Ed25519 key in PEM (openssl genpkey -algorithm ed25519), or a secret",
            ),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.algorithm())
    }
}

impl Key {
    /// The key in the contents of a file: PEM, or a secret with a line feed behind it or not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(contents: &[u8]) -> Result<Self, KeyRefused> {
        let is_pem = contents
            .windows(b"-----BEGIN".len())
            .any(|part| part == b"-----BEGIN");
        if is_pem {
            let text = str::from_utf8(contents).map_err(|_| KeyRefused::NotEd25519)?;
            return ed25519(text).map(Self).ok_or(KeyRefused::NotEd25519);
        }
        let secret = contents.strip_suffix(b"\n").unwrap_or(contents);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.len() < SECRET_BYTES_MIN {
            return Err(KeyRefused::TooShort);
        }
        Ok(Self(Kind::Secret(secret.to_owned())))
    }

    /// As the header of a token has it.
    pub(super) const fn algorithm(&self) -> &'static str {
        match self.0 {
            Kind::Secret(_) => "HS256",
            Kind::Public(_) | Kind::Pair(_) => "EdDSA",
        }
    }

    /// Whether a token may name this algorithm. RFC 9864 gives EdDSA with this curve its own name.
    pub(super) fn is_for(&self, algorithm: &str) -> bool {
        match self.0 {
            Kind::Secret(_) => algorithm == "HS256",
            Kind::Public(_) | Kind::Pair(_) => matches!(algorithm, "EdDSA" | "Ed25519"),
        }
    }

    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        let public = match &self.0 {
            // In constant time.
            Kind::Secret(secret) => {
                return mac(secret, signed).verify_slice(signature).is_ok();
            }
            Kind::Public(public) => *public,
            Kind::Pair(pair) => pair.pk,
        };
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|signature| public.verify(signed, &signature).is_ok())
    }

    /// `None`: it is a public key.
    pub(super) fn sign(&self, signed: &[u8]) -> Option<Vec<u8>> {
        match &self.0 {
            Kind::Secret(secret) => {
                let mac = mac(secret, signed).finalize();
                Some(mac.into_bytes().to_vec())
            }
            Kind::Public(_) => None,
            Kind::Pair(pair) => Some(pair.sk.sign(signed, None).to_vec()),
        }
    }
}

fn mac(secret: &[u8], signed: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(signed);
    mac
}

fn ed25519(pem: &str) -> Option<Kind> {
    if let Some(der) = der(pem, "PRIVATE KEY") {
        let seed = der.strip_prefix(PRIVATE_DER)?;
        let pair = KeyPair::from_seed(Seed::from_slice(seed).ok()?);
        return Some(Kind::Pair(Box::new(pair)));
    }
    let der = der(pem, "PUBLIC KEY")?;
    let public = PublicKey::from_slice(der.strip_prefix(PUBLIC_DER)?).ok()?;
    // A key of small order would verify signatures that anyone can make.
    public.validate().ok()?;
    Some(Kind::Public(public))
}

/// The contents of the only block of a PEM file (RFC 7468).
fn der(pem: &str, label: &str) -> Option<Vec<u8>> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let (before, rest) = pem.split_once(&begin)?;
    let (base64, after) = rest.split_once(&end)?;
    if before.contains("-----") || after.contains("-----") {
        return None;
    }
    let base64: String = base64.split_ascii_whitespace().collect();
    BASE64.decode(base64.as_bytes()).ok()
}
