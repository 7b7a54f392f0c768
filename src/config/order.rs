//! The options of the commands that keep order on a running server: `parlor ban` and its like, one
//! row each. What is given becomes a request of `parlor.v1.json`. Pure, as the options of the server
//! are.

use super::commands::{SOCKET_OF_SERVER, STORE_OF_SERVER, admin_socket, store};
use super::{StorePlace, Whereabouts};
use crate::chat::{PURGE_SECONDS_MAX, Whom};
use crate::options::{
    Asked, BadOption, Command, Group, Positional, Row, Table, custom, help, parse_count, switch,
};
use serde_json::{Map, Value, json};
use std::ffi::OsString;

/// What is given to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderOptions {
    pub whereabouts: Whereabouts,
    /// The fields of the request.
    pub fields: Map<String, Value>,
    /// Lists are JSON lines.
    pub is_json: bool,
}

impl AsMut<Whereabouts> for OrderOptions {
    fn as_mut(&mut self) -> &mut Whereabouts {
        &mut self.whereabouts
    }
}

/// What a command is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderInvocation {
    Run(OrderOptions),
    /// Print this.
    Help(String),
}

/// A command.
pub struct OrderCommand {
    /// The word that names it.
    pub name: &'static str,
    /// Its manual page.
    pub page: &'static str,
    /// The type of the request.
    kind: &'static str,
    table: Table<OrderOptions>,
    /// What the argument becomes.
    argument: fn(&str, &mut Map<String, Value>) -> Result<(), String>,
    /// Options that must be given, as the fields that they become.
    needs: &'static [(&'static str, &'static str)],
}

const STORE: Row<OrderOptions> = store(STORE_OF_SERVER);
const ADMIN_SOCKET: Row<OrderOptions> = admin_socket(SOCKET_OF_SERVER);

const JSON: Row<OrderOptions> = switch("json", "print JSON lines", |c| &mut c.is_json);

const fn text(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut OrderOptions, &str) -> Result<(), String>,
) -> Row<OrderOptions> {
    custom(name, value, help, set, |_| String::from("none"))
}

const ROOM: Row<OrderOptions> = text("room", "ROOM", "the room", |c, value| {
    put(c, "room", json!(value))
});

const PLACE: Row<OrderOptions> = text(
    "room",
    "ROOM",
    "in this room; without it on the whole server",
    |c, value| put(c, "room", json!(value)),
);

const FOR: Row<OrderOptions> = text(
    "for",
    "TIME",
    "for so long: 10m, 2h, 7d; without it until it is lifted",
    |c, value| put(c, "seconds", json!(seconds(value)?)),
);

const REASON: Row<OrderOptions> = text("reason", "TEXT", "why", |c, value| {
    put(c, "reason", json!(value))
});

const PURGE: Row<OrderOptions> = text(
    "purge",
    "TIME",
    "delete what was said there in the last 10m, 2h, at most 7d, too; needs --room",
    |c, value| put(c, "purge_seconds", json!(reach_back(value)?)),
);

const LAST: Row<OrderOptions> = text(
    "last",
    "TIME",
    "how far back: 10m, 2h, at most 7d",
    |c, value| put(c, "seconds", json!(reach_back(value)?)),
);

const ROLE: Row<OrderOptions> = text(
    "role",
    "ROLE",
    "owner, moderator, voiced or member; without --room admin, moderator or member",
    |c, value| put(c, "role", json!(value)),
);

const SLOW: Row<OrderOptions> = text(
    "slow",
    "TIME",
    "one message of a member in so long; off: as fast as they like",
    |c, value| {
        let seconds = if value == "off" { 0 } else { seconds(value)? };
        put(c, "slow_seconds", json!(seconds))
    },
);

const MODERATED: Row<OrderOptions> = text(
    "moderated",
    "on|off",
    "whether only voiced members speak",
    |c, value| put(c, "moderated", is_on(value)?),
);

const LOCKED: Row<OrderOptions> = text(
    "locked",
    "on|off",
    "whether only accounts join",
    |c, value| put(c, "locked", is_on(value)?),
);

const HIDDEN: Row<OrderOptions> = text(
    "hidden",
    "on|off",
    "whether it is not on the list of rooms",
    |c, value| put(c, "hidden", is_on(value)?),
);

const NEWCOMERS: Row<OrderOptions> = text(
    "newcomers",
    "on|off",
    "whether newcomers read what was said before",
    |c, value| put(c, "newcomers_read", is_on(value)?),
);

const KEEP: Row<OrderOptions> = text(
    "keep",
    "DAYS",
    "messages are removed after so many days; off: as those of other rooms",
    |c, value| {
        let days = match value {
            "off" => 0,
            days => parse_count(days, 1, KEEP_DAYS_MAX)?,
        };
        put(c, "keep_days", json!(days))
    },
);

/// Longer than any server runs.
const KEEP_DAYS_MAX: usize = 36_500;

fn put(options: &mut OrderOptions, field: &str, value: Value) -> Result<(), String> {
    options.fields.insert(field.to_owned(), value);
    Ok(())
}

fn is_on(value: &str) -> Result<Value, String> {
    match value {
        "on" => Ok(json!(true)),
        "off" => Ok(json!(false)),
        _ => Err(String::from("expected on or off")),
    }
}

/// The seconds of a time.
fn seconds(value: &str) -> Result<u32, String> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let each = match &value[digits.len()..] {
        "s" | "" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(24 * 3_600),
        "w" => Some(7 * 24 * 3_600),
        _ => None,
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.parse::<u32>().ok().filter(|_| is_number);
    let seconds = count
        .zip(each)
        .and_then(|(count, each)| count.checked_mul(each));
    seconds
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| String::from("expected a time like 90s, 10m, 2h or 7d"))
}

fn reach_back(value: &str) -> Result<u32, String> {
    let seconds = seconds(value)?;
    if seconds > PURGE_SECONDS_MAX {
        return Err(String::from(
            "expected a time like 90s, 10m or 2h, at most 7d",
        ));
    }
    Ok(seconds)
}

type Fields = Map<String, Value>;

fn nothing(_: &str, _: &mut Fields) -> Result<(), String> {
    Ok(())
}

fn a_nick(word: &str, fields: &mut Fields) -> Result<(), String> {
    fields.insert(String::from("nick"), json!(word));
    Ok(())
}

fn whom(word: &str, fields: &mut Fields) -> Result<(), String> {
    let (field, value) = match Whom::parse(word) {
        Some(Whom::Nick(nick)) => ("nick", nick.to_owned()),
        Some(Whom::Account(account)) => ("account", account.to_owned()),
        Some(Whom::Address(prefix)) => ("address", prefix.to_string()),
        None => {
            return Err(String::from(
                "expected NICK, @ACCOUNT, ADDRESS or ADDRESS/BITS",
            ));
        }
    };
    fields.insert(field.to_owned(), json!(value));
    Ok(())
}

fn an_account(word: &str, fields: &mut Fields) -> Result<(), String> {
    let name = word.strip_prefix('@').unwrap_or(word);
    fields.insert(String::from("account"), json!(name));
    Ok(())
}

fn a_number(word: &str, fields: &mut Fields) -> Result<(), String> {
    let digits = word.strip_prefix('#').unwrap_or(word);
    let number = digits.parse::<u32>().ok().filter(|number| *number > 0);
    let number = number.ok_or_else(|| String::from("expected the NUMBER of a message"))?;
    fields.insert(String::from("seq"), json!(number));
    Ok(())
}

fn a_topic(words: &str, fields: &mut Fields) -> Result<(), String> {
    fields.insert(String::from("topic"), json!(words));
    Ok(())
}

const INTRO: &str = "\
Asks the running server over its admin socket, by the rules of an admin; the audit log has it as by
operator. --store and --admin-socket can be set in the environment, as for the server.
";

const IN_ROOM: (&str, &str) = ("room", "room");

/// A row of the table: its name, its type in the protocol, what it does, its arguments for people,
/// its options, its argument, what the argument becomes, what it needs.
macro_rules! order {
    (
        $name:literal, $kind:literal, $about:literal, $usage:literal,
        [$($row:expr),*], $positional:expr, $argument:expr, $needs:expr
    ) => {
        OrderCommand {
            name: $name,
            page: concat!("parlor-", $name),
            kind: $kind,
            table: Table {
                program: concat!("parlor ", $name),
                about: $about,
                usage: concat!("parlor ", $name, $usage, " [OPTION]..."),
                intro: INTRO,
                groups: &[Group {
                    title: "Options",
                    rows: &[$($row,)* STORE, ADMIN_SOCKET, help()],
                }],
                outro: "",
                positional: $positional,
                environment: Some("PARLOR_"),
                defaults: OrderOptions::default,
            },
            argument: $argument,
            needs: $needs,
        }
    };
}

const fn named(name: &'static str, is_required: bool) -> Option<Positional> {
    Some(Positional {
        name,
        values: &[],
        is_required,
    })
}

/// All of them.
pub static ORDERS: [OrderCommand; 12] = [
    order!(
        "kick",
        "kick",
        "removes a member from a room",
        " NICK --room ROOM",
        [ROOM, REASON],
        named("NICK", true),
        a_nick,
        &[IN_ROOM]
    ),
    order!(
        "ban",
        "ban",
        "keeps a user out of a room or of the server",
        " NICK|@ACCOUNT|ADDRESS[/BITS]",
        [PLACE, FOR, REASON, PURGE],
        named("WHOM", true),
        whom,
        &[]
    ),
    order!(
        "unban",
        "unban",
        "lifts a ban",
        " NICK|@ACCOUNT|ADDRESS[/BITS]",
        [PLACE],
        named("WHOM", true),
        whom,
        &[]
    ),
    order!(
        "mute",
        "mute",
        "keeps a user silent in a room or on the server",
        " NICK|@ACCOUNT|ADDRESS[/BITS]",
        [PLACE, FOR, REASON],
        named("WHOM", true),
        whom,
        &[]
    ),
    order!(
        "unmute",
        "unmute",
        "lifts a mute",
        " NICK|@ACCOUNT|ADDRESS[/BITS]",
        [PLACE],
        named("WHOM", true),
        whom,
        &[]
    ),
    order!(
        "sanctions",
        "sanctions",
        "lists the bans and mutes of a room or of the server",
        "",
        [PLACE, JSON],
        None,
        nothing,
        &[]
    ),
    order!(
        "topic",
        "topic",
        "says what a room is about; without a TOPIC nothing any more",
        " [TOPIC] --room ROOM",
        [ROOM],
        named("TOPIC", false),
        a_topic,
        &[IN_ROOM]
    ),
    order!(
        "delete",
        "delete",
        "deletes a message, by its number",
        " NUMBER --room ROOM",
        [ROOM],
        named("NUMBER", true),
        a_number,
        &[IN_ROOM]
    ),
    order!(
        "purge",
        "purge",
        "deletes what one author said lately in a room",
        " NICK --room ROOM --last TIME",
        [ROOM, LAST],
        named("NICK", true),
        a_nick,
        &[IN_ROOM, ("seconds", "last")]
    ),
    order!(
        "close-room",
        "close_room",
        "closes a room: all leave, roles and settings are gone",
        " --room ROOM",
        [ROOM, REASON],
        None,
        nothing,
        &[IN_ROOM]
    ),
    order!(
        "role",
        "role",
        "gives an account a role in a room or on the server",
        " ACCOUNT --role ROLE",
        [ROLE, PLACE],
        named("ACCOUNT", true),
        an_account,
        &[("role", "role")]
    ),
    order!(
        "room",
        "room",
        "changes what a room is like, or says it",
        " --room ROOM",
        [ROOM, SLOW, MODERATED, LOCKED, HIDDEN, NEWCOMERS, KEEP, JSON],
        None,
        nothing,
        &[IN_ROOM]
    ),
];

impl OrderCommand {
    /// The command that a word names.
    pub fn named(word: &str) -> Option<&'static Self> {
        ORDERS.iter().find(|order| order.name == word)
    }

    /// As it is called.
    pub const fn program(&self) -> &'static str {
        self.table.program
    }

    /// Understands its arguments and the environment.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(
        &self,
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<OrderInvocation, BadOption> {
        let table = &self.table;
        // Only where the server is may come from the environment, not what is to be done.
        let variable = |name: &str| {
            let is_place = matches!(name, "PARLOR_STORE" | "PARLOR_ADMIN_SOCKET");
            is_place.then(|| variable(name)).flatten()
        };
        let given = match table.read(arguments, variable)? {
            Asked::Help | Asked::Version => return Ok(OrderInvocation::Help(table.help())),
            Asked::Run(given) => given,
        };
        let mut options = OrderOptions::default();
        given.apply(&mut options)?;
        let argument = given.positional().unwrap_or_default();
        if let Some(wanted) = table.positional {
            if wanted.is_required && argument.is_empty() {
                return Err(table.bad(format!("the {} is missing", wanted.name)));
            }
            let read = (self.argument)(argument, &mut options.fields);
            read.map_err(|why| table.bad(why))?;
        }
        for (field, option) in self.needs {
            if !options.fields.contains_key(*field) {
                return Err(table.bad(format!("--{option} is missing")));
            }
        }
        if options.whereabouts.store_place == StorePlace::Memory {
            options.whereabouts.store_place = StorePlace::Unnamed;
        }
        options
            .fields
            .insert(String::from("type"), json!(self.kind));
        options.fields.insert(String::from("id"), json!(0));
        Ok(OrderInvocation::Run(options))
    }

    /// For completions and manual pages.
    pub fn described(&self, name: &'static str) -> Command {
        self.table.described(name)
    }
}

/// The commands as subcommands of the program.
pub fn with_orders(program: Command) -> Command {
    let all = ORDERS.iter();
    all.fold(program, |program, order| {
        program.subcommand(order.described(order.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Value, String> {
        let mut words = arguments.split(' ').filter(|word| !word.is_empty());
        let order = words
            .next()
            .and_then(OrderCommand::named)
            .expect("a command");
        let parsed = order.parse(words.map(OsString::from), |_| {
            Some(OsString::from("/from/it"))
        });
        match parsed.map_err(|bad| bad.to_string())? {
            OrderInvocation::Run(options) => Ok(Value::Object(options.fields)),
            OrderInvocation::Help(help) => Err(help),
        }
    }

    #[test]
    fn arguments_become_requests_of_the_protocol() {
        for (arguments, expected) in [
            (
                "kick mallory --room den --reason spam",
                json!({"type":"kick","id":0,"room":"den","nick":"mallory","reason":"spam"}),
            ),
            (
                "ban @mallory --for 2h",
                json!({"type":"ban","id":0,"account":"mallory","seconds":7200}),
            ),
            (
                "ban mallory --room den --purge 10m",
                json!({"type":"ban","id":0,"room":"den","nick":"mallory","purge_seconds":600}),
            ),
            (
                "unban 192.0.2.0/24",
                json!({"type":"unban","id":0,"address":"192.0.2.0/24"}),
            ),
            ("sanctions", json!({"type":"sanctions","id":0})),
            (
                "topic --room den",
                json!({"type":"topic","id":0,"room":"den","topic":""}),
            ),
            (
                "delete #12 --room den",
                json!({"type":"delete","id":0,"room":"den","seq":12}),
            ),
            (
                "purge mallory --room=den --last 1d",
                json!({"type":"purge","id":0,"room":"den","nick":"mallory","seconds":86400}),
            ),
            (
                "close-room --room den",
                json!({"type":"close_room","id":0,"room":"den"}),
            ),
            (
                "role @bob --role owner --room den",
                json!({"type":"role","id":0,"room":"den","account":"bob","role":"owner"}),
            ),
            (
                "room --room den --slow off --locked on",
                json!({"type":"room","id":0,"room":"den","slow_seconds":0,"locked":true}),
            ),
        ] {
            assert_eq!(parse(arguments), Ok(expected), "{arguments}");
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (arguments, part) in [
            ("kick", "the NICK is missing"),
            ("kick bob", "--room is missing"),
            ("ban @", "expected NICK, @ACCOUNT"),
            ("ban bob --for 0m", "expected a time"),
            ("ban bob --for ever", "expected a time"),
            ("purge bob --room den", "--last is missing"),
            ("purge bob --room den --last 8d", "at most 7d"),
            ("delete one --room den", "the NUMBER of a message"),
            ("role bob", "--role is missing"),
            ("room --room den --locked maybe", "expected on or off"),
            ("unmute bob --for 2h", "there is no option --for"),
        ] {
            let sentence = parse(arguments).unwrap_err();
            assert!(sentence.contains(part), "{arguments}: {sentence}");
        }
    }

    #[test]
    fn help_has_lines_of_at_most_100_columns() {
        for order in &ORDERS {
            let help = order.parse([OsString::from("--help")], |_| None);
            let Ok(OrderInvocation::Help(help)) = help else {
                panic!("no help");
            };
            let is_narrow = help.lines().all(|line| line.chars().count() <= 100);
            assert!(is_narrow, "{help}");
        }
    }
}
