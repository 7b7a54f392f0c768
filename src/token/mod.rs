//! Signed tokens: by which a site that has users of its own lets them in. A JSON Web Token (RFC 7519)
//! in the compact form, with HS256 or EdDSA, which the key decides and never the token. Bytes in,
//! [`Claims`] out. Knows no account, no connection and no clock.
//!
//! Written on the MAC and the signature alone: the crate for it takes RSA, P-256 and P-384 with it.

mod claims;
mod key;

use crate::id::Millis;
use data_encoding::BASE64URL_NOPAD;
use std::fmt;

pub use claims::{Claims, NAMES_MAX, SUBJECT_BYTES_MAX};
pub use key::{Key, KeyRefused, SECRET_BYTES_MIN};

/// The longest token, in bytes. It is also a part of a URL, whose head has 8 KiB.
pub const BYTES_MAX: usize = 4096;

/// How far the clocks of the site and of this server may be apart.
pub const LEEWAY_MS: u64 = 10_000;

/// What tokens are verified with.
#[derive(Debug)]
pub struct Verifier {
    key: Key,
    /// One of the token's audiences must be this one. `None`: it must have none (RFC 7519 §4.1.3).
    audience: Option<String>,
}

/// Why a token is refused. The client is shown no more than that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefused {
    TooLong,
    /// It has not three parts in Base64url, each in its only spelling.
    NotAToken,
    /// The header is no object, or asks for what is not done here.
    Header,
    /// The header names another algorithm than the key's.
    Algorithm,
    Signature,
    /// The claims are no object of the right types, or one is there twice.
    Claims,
    Expired,
    NotYetValid,
    Audience,
}

impl fmt::Display for TokenRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "it is longer than 4 KiB",
            Self::NotAToken => "it is no JSON Web Token",
            Self::Header => "its header cannot be understood",
            Self::Algorithm => "it is not signed with the algorithm of the key",
            Self::Signature => "its signature is wrong",
            Self::Claims => "its claims are incomplete or of a wrong type",
            Self::Expired => "it has expired",
            Self::NotYetValid => "it is not valid yet",
            Self::Audience => "it is for another audience",
        })
    }
}

impl Verifier {
    pub const fn new(key: Key, audience: Option<String>) -> Self {
        Self { key, audience }
    }

    /// What a token states, if it was signed with the key and is valid at `now`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, token: &str, now: Millis) -> Result<Claims, TokenRefused> {
        if token.len() > BYTES_MAX {
            return Err(TokenRefused::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenRefused::NotAToken)?;
        let (header, body) = signed.split_once('.').ok_or(TokenRefused::NotAToken)?;
        // Strict: no padding, no unused bits, no other characters, so a second full stop fails.
        let decode = |part: &str| {
            let decoded = BASE64URL_NOPAD.decode(part.as_bytes());
            decoded.map_err(|_| TokenRefused::NotAToken)
        };
        let (header, body, signature) = (decode(header)?, decode(body)?, decode(signature)?);
        let algorithm = claims::algorithm(&header).ok_or(TokenRefused::Header)?;
        if !self.key.is_for(&algorithm) {
            return Err(TokenRefused::Algorithm);
        }
        if !self.key.verify(signed.as_bytes(), &signature) {
            return Err(TokenRefused::Signature);
        }
        let stated = claims::read(&body).ok_or(TokenRefused::Claims)?;
        if now.0 >= stated.claims.expires.0.saturating_add(LEEWAY_MS) {
            return Err(TokenRefused::Expired);
        }
        if stated.not_before.0 > now.0.saturating_add(LEEWAY_MS) {
            return Err(TokenRefused::NotYetValid);
        }
        let is_for_us = match &self.audience {
            Some(audience) => stated.audiences.contains(audience),
            None => stated.audiences.is_empty(),
        };
        if !is_for_us {
            return Err(TokenRefused::Audience);
        }
        Ok(stated.claims)
    }
}

/// A new token with these claims. `None`: the key can only verify.
pub fn sign(key: &Key, claims: &Claims, audience: Option<&str>) -> Option<String> {
    let header = format!("{{\"alg\":\"{}\",\"typ\":\"JWT\"}}", key.algorithm());
    let body = claims.written(audience);
    let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let signed = format!("{}.{}", part(header.as_bytes()), part(body.as_bytes()));
    let signature = key.sign(signed.as_bytes())?;
    Some(format!("{signed}.{}", part(&signature)))
}

#[cfg(test)]
mod tests;
