//! Entries as rows of `messages`, both ways. The only place that knows the numbers of kinds.

use super::error::Fault;
use super::schema::millis;
use crate::chat::{Act, Author, Content, Draft, Form, Manner};
use crate::id::{AccountId, Millis, Seq};
use crate::log::{PageEntry, Record, StoredRoom};
use rusqlite::Row;
use smol_str::SmolStr;
use std::num::NonZeroU32;

/// The columns that [`entry`] reads, in this order.
pub(super) const COLUMNS: &str =
    "id, at, kind, target, nick, actor, body, session, account, changed_by";

pub(super) const SAID: u8 = 0;
pub(super) const ACTED: u8 = 1;
pub(super) const EDITED: u8 = 2;
pub(super) const DELETED: u8 = 3;
const KICKED: u8 = 5;
/// The first of the acts, which follow by their numbers.
const ACTS: u8 = 16;
/// Kinds that the tables may have besides acts.
const KINDS: [u8; 5] = [SAID, ACTED, EDITED, DELETED, KICKED];

/// Whether the tables may have a kind.
pub(super) fn is_known(kind: u8) -> bool {
    KINDS.contains(&kind) || act(kind).is_some()
}

fn act(kind: u8) -> Option<Act> {
    let place = kind.checked_sub(ACTS)?;
    Act::numbered(place)
}

/// A record as a row.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    pub(super) id: i64,
    pub(super) at: i64,
    pub(super) kind: u8,
    pub(super) target: Option<u32>,
    pub(super) nick: &'a str,
    pub(super) actor: Option<&'a str>,
    pub(super) body: &'a str,
    pub(super) session: Option<i64>,
    pub(super) account: Option<u32>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let row = |kind, target, actor, body| Self {
            id: id(record.stored_room, record.seq),
            at: millis(record.at),
            kind,
            target,
            nick: &record.draft.nick,
            actor,
            body,
            session: None,
            account: None,
        };
        match record.draft.content.as_ref() {
            Content::Said {
                manner,
                text,
                reply_to,
                author,
                // What changed it since is in its row, or comes behind it.
                form: _,
            } => {
                let kind = match manner {
                    Manner::Message => SAID,
                    Manner::Action => ACTED,
                };
                let (session, account) = match author {
                    // A connection means nothing to the next start.
                    Author::Unknown | Author::Connection(_) => (None, None),
                    Author::Session(session) => (Some(session.cast_signed()), None),
                    Author::Account(account) => (None, Some(account.0.get())),
                };
                Self {
                    session,
                    account,
                    ..row(kind, reply_to.map(|seq| seq.0), None, text)
                }
            }
            Content::Edited { of, text } => row(EDITED, Some(of.0), None, text),
            Content::Deleted { of } => row(DELETED, Some(of.0), None, ""),
            Content::Kicked { by, reason } => row(KICKED, None, Some(by), reason),
            Content::Act {
                act,
                by,
                detail,
                until,
            } => {
                // The end takes the place of the number of an entry.
                row(ACTS + act.number(), until, Some(by), detail)
            }
        }
    }
}

/// The number of an entry among those of all rooms. A room's are next to each other.
pub(super) fn id(room: StoredRoom, seq: Seq) -> i64 {
    i64::from(room.0) << 32 | i64::from(seq.0)
}

/// The smallest and the largest id of a room.
pub(super) fn ids(room: StoredRoom) -> (i64, i64) {
    (id(room, Seq(0)), id(room, Seq(u32::MAX)))
}

/// The other way, of an id that came from the table.
pub(super) fn seq(id: i64) -> Seq {
    Seq((id & i64::from(u32::MAX)) as u32)
}

/// The entry in a row of [`COLUMNS`].
pub(super) fn entry(row: &Row<'_>) -> Result<PageEntry, Fault> {
    let id: i64 = row.get(0)?;
    let at: u64 = row.get(1)?;
    let kind: u8 = row.get(2)?;
    let target: Option<u32> = row.get(3)?;
    let nick = SmolStr::from(text(row, 4)?);
    let of = || {
        let why = || Fault::damaged(format!("entry {} changes no entry", seq(id).0));
        target.map(Seq).ok_or_else(why)
    };
    let content = match kind {
        SAID | ACTED => Content::Said {
            manner: if kind == SAID {
                Manner::Message
            } else {
                Manner::Action
            },
            text: text(row, 6)?.to_owned(),
            reply_to: target.map(Seq),
            author: author(row)?,
            form: form(row)?,
        },
        EDITED => Content::Edited {
            of: of()?,
            text: text(row, 6)?.to_owned(),
        },
        DELETED => Content::Deleted { of: of()? },
        KICKED => Content::Kicked {
            by: text(row, 5)?.to_owned(),
            reason: text(row, 6)?.to_owned(),
        },
        _ => match act(kind) {
            Some(act) => Content::Act {
                act,
                by: text(row, 5)?.to_owned(),
                detail: text(row, 6)?.to_owned(),
                until: target,
            },
            None => {
                return Err(Fault::damaged(format!(
                    "entry {} has the unknown kind {kind}",
                    seq(id).0
                )));
            }
        },
    };
    Ok(PageEntry {
        seq: seq(id),
        at: Millis(at),
        draft: Draft { nick, content },
    })
}

fn author(row: &Row<'_>) -> Result<Author, Fault> {
    let session: Option<i64> = row.get(7)?;
    let account: Option<u32> = row.get(8)?;
    let account = account.and_then(NonZeroU32::new).map(AccountId);
    Ok(match (account, session) {
        (Some(account), _) => Author::Account(account),
        (None, Some(session)) => Author::Session(session.cast_unsigned()),
        (None, None) => Author::Unknown,
    })
}

/// A message is never empty, unless it was deleted.
fn form(row: &Row<'_>) -> Result<Form, Fault> {
    let change: Option<u32> = row.get(9)?;
    Ok(match change {
        None => Form::Original,
        Some(_) if text(row, 6)?.is_empty() => Form::Deleted,
        Some(by) => Form::Edited { by: Seq(by) },
    })
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, Fault> {
    row.get_ref(column)?
        .as_str()
        .map_err(|error| Fault::damaged(error.to_string()))
}
