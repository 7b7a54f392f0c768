//! What a token states, as JSON. Strict: a name that is there twice makes it wrong, for two readers
//! might not take the same one. Claims that are not known are skipped. Knows no signature.

use crate::id::Millis;
use serde_core::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// The longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 128;
/// Names in one of the lists of a token.
pub const NAMES_MAX: usize = 64;
/// The end of the year 9999: beyond it are mistakes, and numbers of which nothing is to overflow.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// What a token states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is for, as the site calls them. Never empty.
    pub subject: String,
    /// The nick that the user is to have.
    pub nick: Option<String>,
    /// The roles that the user is to have on the server. `None`: those that it has.
    pub roles: Option<Vec<String>>,
    /// The only rooms that the user may enter. `None`: any.
    pub rooms: Option<Vec<String>>,
    pub expires: Millis,
}

/// All that is verified.
pub(super) struct Stated {
    pub(super) claims: Claims,
    pub(super) not_before: Millis,
    pub(super) audiences: Vec<String>,
}

/// The fields of an object, each of them once.
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Null is a value, and no claim may have it.
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(ReadFields)
    }
}

struct ReadFields;

impl<'de> Visitor<'de> for ReadFields {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        const KNOWN: [&str; 10] = [
            "alg", "crit", "b64", "sub", "nick", "roles", "rooms", "exp", "nbf", "aud",
        ];
        let mut names = BTreeSet::new();
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if KNOWN.contains(&name.as_str()) {
                fields.push((name.clone(), map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if !names.insert(name) {
                return Err(A::Error::custom("a name is there twice"));
            }
        }
        Ok(Fields(fields))
    }
}

/// The algorithm that a header names. `None`: it names none, or asks for an extension, which must be
/// understood (RFC 7515 §4.1.11).
pub(super) fn algorithm(header: &[u8]) -> Option<String> {
    let fields = Fields::read(header)?;
    if fields.get("crit").is_some() || fields.get("b64").is_some() {
        return None;
    }
    fields.get("alg")?.as_str().map(str::to_owned)
}

/// `None`: a claim is missing or of a wrong type.
pub(super) fn read(body: &[u8]) -> Option<Stated> {
    let fields = Fields::read(body)?;
    let subject = fields.get("sub")?.as_str()?;
    let is_subject = (1..=SUBJECT_BYTES_MAX).contains(&subject.len());
    if !is_subject || subject.chars().any(char::is_control) {
        return None;
    }
    let nick = match fields.get("nick") {
        Some(nick) => Some(nick.as_str()?.to_owned()),
        None => None,
    };
    let list = |name| match fields.get(name) {
        Some(value) => names(value).map(Some),
        None => Some(None),
    };
    let audiences = match fields.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(several) => names(several)?,
        None => Vec::new(),
    };
    let not_before = match fields.get("nbf") {
        Some(value) => moment(value)?,
        None => Millis(0),
    };
    Some(Stated {
        claims: Claims {
            subject: subject.to_owned(),
            nick,
            roles: list("roles")?,
            rooms: list("rooms")?,
            expires: moment(fields.get("exp")?)?,
        },
        not_before,
        audiences,
    })
}

fn names(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array().filter(|list| list.len() <= NAMES_MAX)?;
    let names = list.iter().map(|name| name.as_str().map(str::to_owned));
    names.collect()
}

/// A NumericDate: seconds, perhaps with a fraction (RFC 7519 §2).
fn moment(value: &Value) -> Option<Millis> {
    let seconds = value.as_f64()?;
    // False for what is no number, too.
    (0.0..=SECONDS_MAX)
        .contains(&seconds)
        .then_some(Millis((seconds * 1000.0) as u64))
}

impl Claims {
    /// As JSON.
    pub(super) fn written(&self, audience: Option<&str>) -> String {
        let mut body = json!({ "sub": self.subject, "exp": self.expires.unix_seconds() });
        if let Some(nick) = &self.nick {
            body["nick"] = json!(nick);
        }
        if let Some(roles) = &self.roles {
            body["roles"] = json!(roles);
        }
        if let Some(rooms) = &self.rooms {
            body["rooms"] = json!(rooms);
        }
        if let Some(audience) = audience {
            body["aud"] = json!(audience);
        }
        body.to_string()
    }
}
