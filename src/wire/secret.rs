//! What people type instead of a command with a password: without the slash, with a space before it.
//! Knows no protocol.

use crate::chat::Nick;

/// A password has as many characters at least.
const PASSWORD_CHARS_MIN: usize = 8;

/// Whether what is to be said looks like a command with a password that was typed wrongly. Of what
/// begins with a slash after all, any; of other words, only what has the form of the command, so
/// that "login is broken again" can be said.
pub(super) fn is_in(text: &str) -> bool {
    // Nearly all that is said ends here.
    let trimmed = text.trim_start();
    let bare = trimmed.trim_start_matches(['/', '\\', '.', '!', ':', ' ']);
    let Some(command) = command(bare) else {
        return false;
    };
    let mut words = bare.split_whitespace().skip(1);
    let (first, second, third) = (words.next(), words.next(), words.next());
    let has_slash = bare.len() < trimmed.len() && trimmed.starts_with('/');
    let is_password = |word: &str| word.eq_ignore_ascii_case("password");
    if has_slash {
        let is_secret = !matches!(command, Form::Room) || first.is_some_and(is_password);
        return first.is_some() && is_secret;
    }
    let may_be_password = |word: &str| word.chars().count() >= PASSWORD_CHARS_MIN;
    let may_be_name = |word: &str| Nick::parse(word).is_ok();
    match (command, first, second, third) {
        (Form::NameAndPassword, Some(name), Some(password), None) => {
            may_be_name(name) && may_be_password(password)
        }
        (Form::TwoPasswords, Some(old), Some(new), None) => {
            may_be_password(old) && may_be_password(new)
        }
        (Form::NameAndPassword | Form::Password, Some(password), None, _) => {
            may_be_password(password)
        }
        (Form::Room, Some(word), Some(password), None) => {
            is_password(word) && may_be_password(password)
        }
        (
            Form::NameAndPassword | Form::TwoPasswords | Form::Password | Form::Token | Form::Room,
            ..,
        ) => false,
    }
}

#[derive(Clone, Copy)]
enum Form {
    NameAndPassword,
    TwoPasswords,
    Password,
    /// Only with a slash: as a word of its own it is short and common.
    Token,
    /// The word `password` and one.
    Room,
}

fn command(text: &str) -> Option<Form> {
    const COMMANDS: [(&str, Form); 7] = [
        ("login", Form::NameAndPassword),
        ("register", Form::NameAndPassword),
        ("identify", Form::NameAndPassword),
        ("password", Form::TwoPasswords),
        ("unregister", Form::Password),
        ("op", Form::Token),
        ("room", Form::Room),
    ];
    let is_word = |rest: &[u8]| rest.first().is_some_and(u8::is_ascii_whitespace);
    let bytes = text.as_bytes();
    let found = COMMANDS.iter().find(|(name, _)| {
        let head = bytes.get(..name.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
            && is_word(&bytes[name.len()..])
    });
    found.map(|(_, form)| *form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_with_a_password_that_were_typed_wrongly_are_found() {
        for text in [
            "login ann correcthorse",
            "Login ann correcthorse",
            "login correcthorse",
            "register ann correcthorse",
            "identify correcthorse",
            "password correcthorse newerhorse",
            "unregister correcthorse",
            " /login ann secret",
            "\t/register ann secret",
            "/ login ann secret",
            "//login ann secret",
            " /op token",
            ".login ann correcthorse",
            "\\login ann correcthorse",
            "!login ann correcthorse",
            "  login ann correcthorse",
            " /room password open sesame",
            "/ room Password sesame",
            "room password opensesame",
        ] {
            assert!(is_in(text), "{text}");
        }
    }

    #[test]
    fn what_people_say_about_logging_in_can_be_said() {
        for text in [
            "login is broken again",
            "login works",
            "login",
            "how do I login",
            "password please",
            "register here: example.org",
            "my password is long",
            "the /login command",
            "/login",
            "logins everywhere, really",
            "op amps are nice",
            "room password please",
            "room for one more",
            " /room slow 10s",
            "op",
            "",
            " ",
            "päß",
        ] {
            assert!(!is_in(text), "{text}");
        }
    }
}
