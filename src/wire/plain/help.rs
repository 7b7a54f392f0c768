//! What each slash command is for: its usage, what it does, who may, an example. The parser knows no
//! command that is not here, so none is without help. Knows no user.

use std::fmt::{self, Write};

/// A command.
struct Help {
    /// The first is the usual one.
    names: &'static [&'static str],
    /// What follows the name.
    usage: &'static str,
    about: &'static str,
    who: Who,
    /// What follows the slash.
    example: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    All,
    Accounts,
    Authors,
    Moderators,
    Owners,
}

const fn help(
    names: &'static [&'static str],
    usage: &'static str,
    about: &'static str,
    who: Who,
    example: &'static str,
) -> Help {
    Help {
        names,
        usage,
        about,
        who,
        example,
    }
}

const SUBJECT: &str = "[-s] NICK|@ACCOUNT|ADDRESS[/BITS]";

/// All commands.
static ALL: &[Help] = &[
    help(
        &["help"],
        "[COMMAND]",
        "lists the commands, or says more about one",
        Who::All,
        "help kick",
    ),
    help(
        &["nick"],
        "NAME",
        "gives you another name, unless it is taken",
        Who::All,
        "nick ann",
    ),
    help(
        &["me"],
        "DOES SOMETHING",
        "shows the room what you do",
        Who::All,
        "me waves",
    ),
    help(&["who"], "", "lists who is here", Who::All, "who"),
    help(
        &["rooms"],
        "",
        "lists the rooms, and how many are in each",
        Who::All,
        "rooms",
    ),
    help(
        &["history"],
        "[NUMBER]",
        "shows what was said here before: the last 20 messages, or so many, up to 100",
        Who::All,
        "history 50",
    ),
    help(
        &["numbers"],
        "[NUMBER]",
        "the same with the numbers of messages, for /edit, /delete and /report",
        Who::All,
        "numbers 10",
    ),
    help(
        &["search"],
        "WORDS",
        "finds what was said here with these words",
        Who::All,
        "search tea time",
    ),
    help(
        &["msg"],
        "NICK WORDS",
        "says something to one alone; one with an account may be away",
        Who::All,
        "msg bob hello",
    ),
    help(
        &["msgs"],
        "[NICK [NUMBER]]",
        "lists whom you have talked to alone, or shows what was said",
        Who::All,
        "msgs bob 20",
    ),
    help(
        &["ignore"],
        "NICK",
        "takes no messages to you alone from NICK; what is said in rooms you see as before",
        Who::All,
        "ignore mallory",
    ),
    help(
        &["unignore"],
        "NICK",
        "takes them again",
        Who::All,
        "unignore mallory",
    ),
    help(
        &["ignored"],
        "",
        "lists whom you ignore",
        Who::All,
        "ignored",
    ),
    help(
        &["edit"],
        "[#NUMBER] TEXT",
        "gives your last message another text, or the message of that number",
        Who::Authors,
        "edit #12 at eight, not at nine",
    ),
    help(
        &["delete"],
        "[#NUMBER]",
        "deletes your last message, or the message of that number; moderators may delete those of \
         others",
        Who::Authors,
        "delete #12",
    ),
    help(
        &["report"],
        "NUMBER [REASON]",
        "shows a message to the moderators, and to no other member",
        Who::All,
        "report 12 it is rude",
    ),
    help(
        &["register"],
        "NAME PASSWORD",
        "makes an account, by which NAME is yours alone",
        Who::All,
        "register ann correct horse battery",
    ),
    help(
        &["login"],
        "[NAME] PASSWORD",
        "makes you NAME, which you registered",
        Who::All,
        "login ann correct horse battery",
    ),
    help(
        &["logout"],
        "",
        "makes you a guest again",
        Who::Accounts,
        "logout",
    ),
    help(
        &["password"],
        "OLD NEW",
        "changes your password, and ends your other sessions",
        Who::Accounts,
        "password correct-horse staple battery",
    ),
    help(
        &["account"],
        "",
        "shows what is kept about you",
        Who::Accounts,
        "account",
    ),
    help(
        &["unregister"],
        "PASSWORD",
        "removes your account; NAME is free then",
        Who::Accounts,
        "unregister correct horse battery",
    ),
    help(
        &["quit"],
        "[WORD]",
        "leaves, with a last word",
        Who::All,
        "quit good night",
    ),
    help(
        &["op"],
        "TOKEN",
        "makes you an operator until you leave",
        Who::All,
        "op 3q2+7w",
    ),
    help(
        &["kick"],
        "NICK [REASON]",
        "removes a member from the room; it may come again",
        Who::Moderators,
        "kick mallory that is enough",
    ),
    help(
        &["ban"],
        "[-s] NICK|@ACCOUNT|ADDRESS[/BITS] [10m|2h|7d] [purge 1h] [REASON]",
        "keeps a member out: of the room, or with -s of the server; without a time until that is \
         lifted; with purge what it said so lately is deleted",
        Who::Moderators,
        "ban mallory 2h purge 10m spam",
    ),
    help(
        &["unban"],
        SUBJECT,
        "lifts a ban",
        Who::Moderators,
        "unban mallory",
    ),
    help(
        &["mute"],
        "[-s] NICK|@ACCOUNT|ADDRESS[/BITS] [10m|2h|7d] [REASON]",
        "keeps a member silent: in the room, or with -s everywhere; without a time until that is \
         lifted",
        Who::Moderators,
        "mute mallory 10m too loud",
    ),
    help(
        &["unmute"],
        SUBJECT,
        "lifts a mute",
        Who::Moderators,
        "unmute mallory",
    ),
    help(
        &["sanctions"],
        "[-s]",
        "lists bans and mutes: of the room, or with -s of the server",
        Who::Moderators,
        "sanctions",
    ),
    help(
        &["purge"],
        "NICK 10m|2h|7d",
        "deletes all that NICK said here lately, of the last 7 days at most",
        Who::Moderators,
        "purge mallory 10m",
    ),
    help(
        &["topic"],
        "[WORDS]",
        "says what the room is about; without words: nothing",
        Who::Moderators,
        "topic tea and cake",
    ),
    help(
        &["role"],
        "[-s] @ACCOUNT owner|moderator|voiced|member",
        "gives an account a role in the room, or takes it; with -s admin, moderator or member on \
         the server",
        Who::Owners,
        "role @bob moderator",
    ),
    help(
        &["room"],
        "[slow 10s|off] [moderated|locked|hidden|newcomers on|off] [password WORD|off] [keep DAYS|off]",
        "shows what the room is like, or changes it; hidden, newcomers, password and keep are for owners",
        Who::Moderators,
        "room slow 30s",
    ),
    help(
        &["close", "close_room"],
        "[REASON]",
        "closes the room: all leave, and its roles, bans and settings are gone",
        Who::Owners,
        "close we meet in the attic",
    ),
    help(
        &["audit"],
        "[-s] [NUMBER]",
        "shows what was done to keep order: in the room, or with -s on the server; with a number \
         what was done before",
        Who::Moderators,
        "audit",
    ),
];

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "everybody",
            Self::Accounts => "those who are logged in",
            Self::Authors => "authors, for some time",
            Self::Moderators => "moderators",
            Self::Owners => "owners of the room",
        })
    }
}

fn find(name: &str) -> Option<&'static Help> {
    let is = |known: &&str| name.eq_ignore_ascii_case(known);
    ALL.iter().find(|help| help.names.iter().any(is))
}

/// The command of this name, whatever its case.
pub(super) fn known(name: &str) -> Option<&'static str> {
    find(name).map(|help| help.names[0])
}

/// The command that was perhaps meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let names = ALL.iter().flat_map(|help| help.names.iter().copied());
    let near = names.filter_map(|known| {
        let steps = distance(&name, known);
        (steps <= known.len().min(name.len()) / 2 && steps <= 2).then_some((steps, known))
    });
    near.min_by_key(|(steps, _)| *steps).map(|(_, known)| known)
}

/// How many letters are to be changed, added, removed or exchanged with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    const BYTES_MAX: usize = 16;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() > BYTES_MAX || other.len() > BYTES_MAX {
        return BYTES_MAX;
    }
    let mut rows = [[0; BYTES_MAX + 1]; BYTES_MAX + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let is_other = usize::from(one[i - 1] != other[j - 1]);
                let mut least = rows[i - 1][j - 1] + is_other;
                least = least.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[one.len()][other.len()]
}

/// Appends the lines about a command.
pub(super) fn write(name: &str, text: &mut String) -> fmt::Result {
    let Some(help) = find(name) else {
        return Ok(());
    };
    let space = if help.usage.is_empty() { "" } else { " " };
    let Help {
        names,
        usage,
        about,
        who,
        example,
    } = help;
    write!(
        text,
        "* /{}{space}{usage}\n* {about}\n* who may: {who}",
        names[0]
    )?;
    write!(text, "\n* as in: /{example}")
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::chat::Command;
    use crate::wire::Ask;

    fn is_unknown(ask: &Ask<'_>) -> bool {
        matches!(ask, Ask::Chat(Command::Unknown { .. }))
    }

    #[test]
    fn parser_knows_all_commands_that_have_help_and_no_other() {
        for name in ALL.iter().flat_map(|help| help.names) {
            for message in [format!("/{name}"), format!("/{} me b", name.to_uppercase())] {
                assert!(!is_unknown(&parse(&message)), "{message}");
            }
            assert!(!is_unknown(&parse(&format!("/help {name}"))), "{name}");
        }
        for message in ["/dance", "/help dance"] {
            assert!(is_unknown(&parse(message)), "{message}");
        }
    }

    #[test]
    fn examples_are_of_their_commands_and_complete() {
        for help in ALL {
            let name = help.example.split(' ').next().unwrap_or_default();
            assert!(help.names.contains(&name), "{}", help.example);
            let message = format!("/{}", help.example);
            let ask = parse(&message);
            let is_whole =
                !matches!(ask, Ask::Chat(Command::Incomplete { .. })) && !is_unknown(&ask);
            assert!(is_whole, "{message}: {ask:?}");
        }
    }

    #[test]
    fn list_of_commands_names_each() {
        for help in ALL {
            let slashed = format!("/{}", help.names[0]);
            assert!(super::super::HELP.contains(&slashed), "{slashed}");
        }
    }

    #[test]
    fn help_says_how_what_who_and_for_example() {
        let mut text = String::new();
        write("KICK", &mut text).expect("a string");
        let expected = "* /kick NICK [REASON]\n* removes a member from the room; it may come again\n\
                        * who may: moderators\n* as in: /kick mallory that is enough";
        assert_eq!(text, expected);
        for help in ALL {
            let mut text = String::new();
            write(help.names[0], &mut text).expect("a string");
            assert!(text.lines().all(|line| line.starts_with("* ")), "{text}");
        }
    }

    #[test]
    fn command_that_was_perhaps_meant_is_suggested() {
        for (name, expected) in [
            ("kikc", Some("kick")),
            ("bann", Some("ban")),
            ("HLEP", Some("help")),
            ("serach", Some("search")),
            ("unmut", Some("unmute")),
            ("dance", None),
            ("x", None),
            ("", None),
            ("a-very-long-word-that-is-no-command", None),
        ] {
            assert_eq!(nearest(name), expected, "{name}");
        }
    }
}
