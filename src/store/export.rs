//! A room's entries as JSON lines, a part at a time. The names are those of `parlor.v1.json`.

use super::append::Heads;
use super::error::StoreError;
use super::read::{self, Wanted};
use crate::chat::{Act, Content, Form, Manner};
use crate::id::Seq;
use crate::log::PageEntry;
use rusqlite::Connection;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// Entries of one part.
const PART_ENTRIES: u32 = 1000;
/// Bytes of text of one part.
const PART_BYTES: u32 = 64 * 1024;

/// Some lines, and after which entry to go on.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) lines: String,
    pub(super) next: Option<Seq>,
}

/// The entries of a room after one of them; a sentence if that cannot be.
pub(super) fn part(
    db: &Connection,
    heads: &mut Heads,
    name: &str,
    after: Seq,
) -> Result<Part, String> {
    let Some(room) = read::number(db, name).map_err(|fault| fault.why)? else {
        return Err(no_room(name).to_string());
    };
    let wanted = Wanted {
        room,
        after,
        entries_max: PART_ENTRIES,
        bytes_max: PART_BYTES,
    };
    let page = read::page(db, heads, wanted).map_err(|fault| fault.why)?;
    let mut lines = String::new();
    for entry in &page.entries {
        line(name, entry, &mut lines);
    }
    Ok(Part {
        lines,
        next: (!page.entries.is_empty()).then_some(page.complete_to),
    })
}

/// Writes all that is kept of a room.
pub(super) fn all(
    db: &Connection,
    file: &Path,
    name: &str,
    to: &mut dyn Write,
) -> Result<(), StoreError> {
    let other = |why| StoreError::Other {
        path: file.to_owned(),
        why,
    };
    let mut heads = Heads::default();
    let known = read::number(db, name).map_err(|fault| StoreError::from_fault(file, fault))?;
    if known.is_none() {
        return Err(no_room(name));
    }
    let mut after = Some(Seq(0));
    while let Some(from) = after {
        let part = part(db, &mut heads, name, from).map_err(other)?;
        to.write_all(part.lines.as_bytes())
            .map_err(|error| other(format!("the export cannot be written: {error}")))?;
        after = part.next;
    }
    Ok(())
}

fn no_room(name: &str) -> StoreError {
    StoreError::NoSuchRoom {
        room: name.to_owned(),
    }
}

fn line(room: &str, entry: &PageEntry, to: &mut String) {
    let kind = match &entry.draft.content {
        Content::Said { .. } => "message",
        Content::Edited { .. } => "edited",
        Content::Deleted { .. } => "deleted",
        Content::Kicked { .. } => "kicked",
        Content::Act { act, .. } => act.name(),
    };
    // Writing to a string does not fail.
    let _ = write!(
        to,
        "{{\"type\":\"{kind}\",\"room\":{},\"seq\":{},\"time\":{}",
        json(room),
        entry.seq.0,
        entry.at.0,
    );
    let who = match &entry.draft.content {
        Content::Deleted { .. } => "by",
        _ => "nick",
    };
    let _ = write!(to, ",\"{who}\":{}", json(&entry.draft.nick));
    let _ = match &entry.draft.content {
        Content::Said {
            manner,
            text,
            reply_to,
            author: _,
            form,
        } => {
            let manner = match manner {
                Manner::Message => "message",
                Manner::Action => "action",
            };
            let _ = write!(to, ",\"kind\":\"{manner}\",\"text\":{}", json(text));
            if let Some(seq) = reply_to {
                let _ = write!(to, ",\"reply_to\":{}", seq.0);
            }
            to.write_str(match form {
                Form::Original => "",
                Form::Edited { .. } => ",\"edited\":true",
                Form::Deleted => ",\"deleted\":true",
            })
        }
        Content::Edited { of, text } if text.is_empty() => write!(to, ",\"of\":{}", of.0),
        Content::Edited { of, text } => {
            write!(to, ",\"of\":{},\"text\":{}", of.0, json(text))
        }
        Content::Deleted { of } => write!(to, ",\"of\":{}", of.0),
        Content::Kicked { by, reason } => {
            write!(to, ",\"by\":{},\"reason\":{}", json(by), json(reason))
        }
        Content::Act {
            act,
            by,
            detail,
            until,
        } => {
            let _ = write!(to, ",\"by\":{}", json(by));
            let name = match act {
                Act::Topic => "topic",
                Act::Role => "role",
                Act::Settings => "settings",
                _ => "reason",
            };
            let _ = write!(to, ",\"{name}\":{}", json(detail));
            match until {
                Some(until) => write!(to, ",\"until\":{}", u64::from(*until) * 1000),
                None => Ok(()),
            }
        }
    };
    to.push_str("}\n");
}

fn json(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}
