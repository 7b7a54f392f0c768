//! The options of `parlor token`, which signs a token. Pure, as the options of the server are.

use super::table::path;
use crate::options::{Asked, BadOption, Group, Table, custom, help, list, time};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What the token is to state, and what it is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOptions {
    pub key: Option<PathBuf>,
    pub audience: Option<String>,
    pub subject: String,
    pub nick: Option<String>,
    pub expires: Duration,
    pub roles: Option<Vec<String>>,
    pub rooms: Option<Vec<String>>,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            key: None,
            audience: None,
            subject: String::new(),
            nick: None,
            expires: Duration::from_secs(3600),
            roles: None,
            rooms: None,
        }
    }
}

/// What the command is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenInvocation {
    Sign(TokenOptions),
    /// Print this.
    Help(String),
}

/// The options of `parlor token`.
pub static TOKEN: Table<TokenOptions> = Table {
    program: "parlor token",
    about: "signs a token that lets a user in",
    usage: "parlor token --sub WHO [OPTION]...",
    intro: "\
Prints a JSON Web Token for the server with the same --token-key. A client logs in with it, or puts
it into the URL: /ws?token=TOKEN. A site makes such tokens by itself, with any library for them.
--token-key and --token-audience can be set in the environment, as for the server.
",
    groups: &[Group {
        title: "Options",
        rows: &[
            custom(
                "token-key",
                "FILE",
                "what the token is signed with: a secret of at least 32 bytes, or an Ed25519 \
                 private key in PEM",
                |c, value| {
                    c.key = Some(path(value)?);
                    Ok(())
                },
                |_| String::from("none"),
            ),
            custom(
                "token-audience",
                "NAME",
                "the audience (aud) of the token",
                |c, value| {
                    c.audience = (!value.is_empty()).then(|| value.to_owned());
                    Ok(())
                },
                |_| String::from("none"),
            ),
            custom(
                "sub",
                "WHO",
                "by which the server knows the user the next time",
                |c, value| {
                    c.subject = value.to_owned();
                    Ok(())
                },
                |_| String::from("none"),
            ),
            custom(
                "nick",
                "NAME",
                "what the user is called",
                |c, value| {
                    c.nick = Some(value.to_owned());
                    Ok(())
                },
                |_| String::from("WHO"),
            ),
            time(
                "expires",
                1000,
                "how long the token is valid, and the user stays in",
                |c| &mut c.expires,
            ),
            list(
                "role",
                "ROLE",
                "the user's role on the server: admin, moderator, or none to take it away",
                |c| c.roles = Some(Vec::new()),
                |c, value| {
                    if !["admin", "moderator", "none"].contains(&value) {
                        return Err(String::from("expected admin, moderator or none"));
                    }
                    if value != "none" {
                        c.roles.get_or_insert_default().push(value.to_owned());
                    }
                    Ok(())
                },
                |_| String::from("the one that the account has"),
            ),
            list(
                "room",
                "ROOM",
                "a room that the user may enter; may be given several times",
                |c| c.rooms = None,
                |c, value| {
                    c.rooms.get_or_insert_default().push(value.to_owned());
                    Ok(())
                },
                |_| String::from("any"),
            ),
            help(),
        ],
    }],
    outro: "",
    positional: None,
    environment: Some("PARLOR_"),
    defaults: TokenOptions::default,
};

impl TokenInvocation {
    /// Understands the arguments and the environment.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, BadOption> {
        match TOKEN.read(arguments, variable)? {
            Asked::Help | Asked::Version => Ok(Self::Help(TOKEN.help())),
            Asked::Run(given) => {
                let mut options = TokenOptions::default();
                given.apply(&mut options)?;
                if options.subject.is_empty() {
                    return Err(TOKEN.bad(String::from("--sub is missing")));
                }
                if options.key.is_none() {
                    return Err(TOKEN.bad(String::from("--token-key is missing")));
                }
                Ok(Self::Sign(options))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<TokenInvocation, String> {
        let parsed = TokenInvocation::parse(arguments.iter().map(OsString::from), |_| None);
        parsed.map_err(|bad| bad.to_string())
    }

    #[test]
    fn what_a_token_is_to_state_is_understood() {
        let options = parse(&[
            "--token-key=/k",
            "--sub",
            "user-7",
            "--nick",
            "ann",
            "--expires",
            "2m",
            "--role",
            "moderator",
            "--room",
            "a",
            "--room",
            "b",
        ]);
        let expected = TokenOptions {
            key: Some(PathBuf::from("/k")),
            audience: None,
            subject: String::from("user-7"),
            nick: Some(String::from("ann")),
            expires: Duration::from_secs(120),
            roles: Some(vec![String::from("moderator")]),
            rooms: Some(vec![String::from("a"), String::from("b")]),
        };
        assert_eq!(options, Ok(TokenInvocation::Sign(expected)));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(
            parse(&["--sub", "x"])
                .unwrap_err()
                .starts_with("--token-key is missing")
        );
        assert!(
            parse(&["--token-key", "k"])
                .unwrap_err()
                .starts_with("--sub is missing")
        );
        let wrong = parse(&["--role", "king"]).unwrap_err();
        assert!(
            wrong.contains("expected admin, moderator or none"),
            "{wrong}"
        );
    }

    #[test]
    fn help_has_lines_of_at_most_100_columns() {
        for line in TOKEN.help().lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}
