//! Requests that the log of a shared engine has no need of: the keys of a session, which the script
//! `say` knows by itself, and what is not offered. Knows no link.

use super::resp::{List, Value, number};
use super::rooms::Rooms;
use crate::id::{Millis, Seq};
use crate::log::{Answer, KeptKey, Request};
use smol_str::SmolStr;

/// Keys of a session that are read.
const KEYS_MAX: usize = 64;

/// The newest keys of a session, newest first, out of names and values. Those of rooms that this
/// server never had open are left out.
pub(super) fn read(mut list: List<'_>, rooms: &Rooms) -> Vec<KeptKey> {
    let mut keys = Vec::new();
    while let (Some(name), Some(value)) = (list.next(), list.next()) {
        keys.extend(read_one(name, value, rooms));
    }
    keys.sort_by_key(|key| std::cmp::Reverse((key.at, key.seq)));
    keys.truncate(KEYS_MAX);
    keys
}

fn read_one(name: Value<'_>, value: Value<'_>, rooms: &Rooms) -> Option<KeptKey> {
    let name = str::from_utf8(name.text()?).ok()?;
    let (room, key) = name.split_once('\0')?;
    let value = value.text()?;
    let space = value.iter().position(|byte| *byte == b' ')?;
    Some(KeptKey {
        key: SmolStr::from(key),
        stored_room: rooms.number(room)?,
        seq: Seq(number(&value[..space])?.try_into().ok()?),
        at: Millis(number(&value[space + 1..])?),
    })
}

/// The answer to a request that a shared engine does not carry out.
pub(super) fn not_offered(request: Request) -> Option<Answer> {
    let why = |what: &str| format!("{what} is not offered where several servers share an engine");
    let failed = |tag, what| {
        let why = why(what);
        Some(Answer::TaskFailed { tag, why })
    };
    match request {
        Request::Search { tag, .. } => {
            let why = why("search");
            Some(Answer::SearchFailed { tag, why })
        }
        Request::Backup { tag, .. } => failed(tag, "a backup"),
        Request::Export { tag, .. } => failed(tag, "an export"),
        Request::Check { tag } => failed(tag, "a check"),
        // What such an engine is not asked, and what needs no answer.
        Request::Append(_)
        | Request::Change(_)
        | Request::Bounds(_)
        | Request::Open { .. }
        | Request::Close { .. }
        | Request::Number(_)
        | Request::Propose(_)
        | Request::Nodes(_)
        | Request::Audit { .. }
        | Request::AuditExport { .. }
        | Request::Read { .. }
        | Request::Present { .. }
        | Request::Count(_)
        | Request::Keys { .. } => None,
    }
}
