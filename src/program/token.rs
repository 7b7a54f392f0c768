//! `parlor token`: signs one.

use super::lists::read_bytes;
use super::settings::setting;
use super::{FAILED, misused, print};
use parlor::config::{TokenInvocation, TokenOptions, read_key};
use parlor::id::Millis;
use parlor::net::mio::wall_clock;
use parlor::token;
use std::ffi::OsString;
use std::process::ExitCode;

pub(super) fn run_token(arguments: Vec<OsString>) -> ExitCode {
    let options = match TokenInvocation::parse(arguments, setting) {
        Ok(TokenInvocation::Help(text)) => return print(text.as_bytes()),
        Ok(TokenInvocation::Sign(options)) => options,
        Err(bad) => {
            eprintln!("parlor token: {bad}");
            return misused();
        }
    };
    match signed_token(options) {
        Ok(token) => print(format!("{token}\n").as_bytes()),
        Err(why) => {
            eprintln!("parlor token: {why}");
            FAILED
        }
    }
}

fn signed_token(options: TokenOptions) -> Result<String, String> {
    let file = options.key.unwrap_or_default();
    let (key, _) = read_key(&file, &read_bytes)?;
    let lasts = u64::try_from(options.expires.as_millis()).unwrap_or(u64::MAX);
    let claims = token::Claims {
        subject: options.subject,
        nick: options.nick,
        roles: options.roles,
        rooms: options.rooms,
        expires: Millis(wall_clock().0.saturating_add(lasts)),
    };
    let signed = token::sign(&key, &claims, options.audience.as_deref());
    let signed = signed.ok_or_else(|| {
        let file = file.display();
        format!("{file} is a public key: sign with the private one")
    })?;
    // What this server would refuse is of no use.
    let verifier = token::Verifier::new(key, options.audience);
    match verifier.verify(&signed, wall_clock()) {
        Ok(_) => Ok(signed),
        Err(why) => Err(format!("such a token would be refused: {why}")),
    }
}
