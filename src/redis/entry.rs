//! Drafts as bytes, which all servers of an engine read and write. Owns the layout, which stays for good: a program that knows a later one knows this too.
//! Knows no number and no key of Redis.

use crate::carry::{Carry, Damaged, Reader, Writer};
use crate::chat::{Act, Author, Content, Draft, Form, Manner, Role};
use crate::id::{AccountId, ConnId, Millis, Seq};
use crate::log::PageEntry;
use smol_str::SmolStr;

/// The first byte of each entry.
const LAYOUT: u8 = 1;

const SAID: u8 = 0;
const ACTED: u8 = 1;
const EDITED: u8 = 2;
const DELETED: u8 = 3;
const KICKED: u8 = 4;
const ACT: u8 = 5;

const UNKNOWN: u8 = 0;
const CONNECTION: u8 = 1;
const SESSION: u8 = 2;
const ACCOUNT: u8 = 3;

/// An entry that can be given to the log.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) seq: Seq,
    pub(super) at: Millis,
    pub(super) draft: Draft,
    pub(super) by: Option<Role>,
}

/// An entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    pub draft: Draft,
    /// The role of who removes a member.
    pub by: Option<Role>,
}

/// `by`: the role of who removes a member. `node`: the number of this server, of which connections
/// mean nothing to others.
pub fn encode(draft: &Draft, by: Option<Role>, node: u64) -> Vec<u8> {
    let mut to = Writer::default();
    to.put(&[LAYOUT]);
    match draft.content.as_ref() {
        Content::Said {
            manner,
            text,
            reply_to,
            author,
            // What changed it since is kept beside it.
            form: _,
        } => {
            to.put(&[match manner {
                Manner::Message => SAID,
                Manner::Action => ACTED,
            }]);
            write_text(text, &mut to);
            reply_to.map_or(0, |seq| seq.0).write(&mut to);
            write_author(author, node, &mut to);
        }
        Content::Edited { of, text } => {
            to.put(&[EDITED]);
            of.write(&mut to);
            write_text(text, &mut to);
        }
        Content::Deleted { of } => {
            to.put(&[DELETED]);
            of.write(&mut to);
        }
        Content::Kicked { by: name, reason } => {
            to.put(&[KICKED]);
            write_text(name, &mut to);
            write_text(reason, &mut to);
            by.unwrap_or(Role::Member).write(&mut to);
        }
        Content::Act {
            act,
            by,
            detail,
            until,
        } => {
            to.put(&[ACT, act.number()]);
            write_text(by, &mut to);
            write_text(detail, &mut to);
            until.write(&mut to);
        }
    }
    write_text(&draft.nick, &mut to);
    to.into_bytes()
}

fn write_text(text: &str, to: &mut Writer) {
    to.length(text.len());
    to.put(text.as_bytes());
}

fn write_author(author: Author, node: u64, to: &mut Writer) {
    match author {
        Author::Unknown => to.put(&[UNKNOWN]),
        Author::Connection(connection) => {
            to.put(&[CONNECTION]);
            node.write(to);
            connection.to_u64().write(to);
        }
        Author::Session(session) => {
            to.put(&[SESSION]);
            session.write(to);
        }
        Author::Account(account) => {
            to.put(&[ACCOUNT]);
            account.write(to);
        }
    }
}

/// # Errors
/// The bytes are no entry, or of a layout that this program does not know.
pub fn decode(bytes: &[u8], node: u64) -> Result<Decoded, Damaged> {
    let mut from = Reader::new(bytes, u32::from(LAYOUT));
    if u8::read(&mut from)? != LAYOUT {
        return Err(Damaged("the entry is of a layout that is not known"));
    }
    let content = read_content(&mut from, node)?;
    let by = match content {
        Content::Kicked { .. } => Some(Role::read(&mut from)?),
        _ => None,
    };
    let nick = SmolStr::from(read_text(&mut from)?);
    from.end()?;
    let draft = Draft { nick, content };
    Ok(Decoded { draft, by })
}

fn read_content(from: &mut Reader<'_>, node: u64) -> Result<Content<String>, Damaged> {
    Ok(match u8::read(from)? {
        kind @ (SAID | ACTED) => {
            let manner = if kind == SAID {
                Manner::Message
            } else {
                Manner::Action
            };
            let text = read_text(from)?;
            let reply_to = Seq::read(from)?;
            let reply_to = (reply_to > Seq(0)).then_some(reply_to);
            Content::said(manner, text, reply_to, read_author(from, node)?)
        }
        EDITED => Content::Edited {
            of: Seq::read(from)?,
            text: read_text(from)?,
        },
        DELETED => Content::Deleted {
            of: Seq::read(from)?,
        },
        KICKED => Content::Kicked {
            by: read_text(from)?,
            reason: read_text(from)?,
        },
        ACT => Content::Act {
            act: Act::numbered(u8::read(from)?).ok_or(Damaged("the act is not known"))?,
            by: read_text(from)?,
            detail: read_text(from)?,
            until: Option::read(from)?,
        },
        _ => return Err(Damaged("the kind of the entry is not known")),
    })
}

fn read_text(from: &mut Reader<'_>) -> Result<String, Damaged> {
    let length = from.length()?;
    let text = str::from_utf8(from.take(length)?);
    text.map(str::to_owned)
        .map_err(|_| Damaged("a text is not UTF-8"))
}

fn read_author(from: &mut Reader<'_>, node: u64) -> Result<Author, Damaged> {
    Ok(match u8::read(from)? {
        UNKNOWN => Author::Unknown,
        CONNECTION => {
            let (of, connection) = (u64::read(from)?, u64::read(from)?);
            if of == node {
                Author::Connection(ConnId::from_u64(connection))
            } else {
                Author::Unknown
            }
        }
        SESSION => Author::Session(u64::read(from)?),
        ACCOUNT => Author::Account(AccountId::read(from)?),
        _ => return Err(Damaged("the author is of no kind that is known")),
    })
}

/// An entry in its present form. `change`: what the room's hash of changes has of it, or of the
/// entry that it changes; empty: nothing.
///
/// # Errors
/// The change is none.
pub fn present(
    seq: Seq,
    at: Millis,
    mut draft: Draft,
    change: &[u8],
) -> Result<PageEntry, Damaged> {
    let change = match change {
        [] => None,
        [kind @ (b'e' | b'd'), rest @ ..] => {
            let text = str::from_utf8(rest).ok();
            let parts = text.and_then(|text| text.split_once(' '));
            let by = parts.and_then(|(by, text)| Some((by.parse().ok()?, text)));
            let (by, text) = by.ok_or(Damaged("the change of an entry is none"))?;
            Some((*kind, Seq(by), text))
        }
        _ => {
            return Err(Damaged(
                "the change of an entry is of no kind that is known",
            ));
        }
    };
    match (&mut draft.content, change) {
        (Content::Said { text, form, .. }, Some((kind, by, present))) => {
            present.clone_into(text);
            *form = if kind == b'd' {
                Form::Deleted
            } else {
                Form::Edited { by }
            };
        }
        (Content::Edited { text, .. }, Some((_, by, _))) if by != seq => text.clear(),
        _ => {}
    }
    Ok(PageEntry { seq, at, draft })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    const NODE: u64 = 0x0102_0304_0506_0708;

    fn account() -> AccountId {
        AccountId(NonZeroU32::new(9).expect("not 0"))
    }

    fn said(author: Author) -> Draft {
        Draft {
            nick: "ann".into(),
            content: Content::said(Manner::Action, String::from("waves"), Some(Seq(7)), author),
        }
    }

    fn drafts() -> Vec<Draft> {
        let contents = [
            Content::Edited {
                of: Seq(3),
                text: String::from("hi"),
            },
            Content::Deleted { of: Seq(3) },
            Content::Kicked {
                by: String::from("op"),
                reason: String::new(),
            },
            Content::Act {
                act: Act::Topic,
                by: String::from("op"),
                detail: String::from("tea"),
                until: Some(5),
            },
        ];
        let mut drafts: Vec<Draft> = [
            Author::Unknown,
            Author::Connection(ConnId::new(1, 2)),
            Author::Session(5),
            Author::Account(account()),
        ]
        .map(said)
        .into();
        drafts.extend(contents.map(|content| Draft {
            nick: "bob".into(),
            content,
        }));
        drafts
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        for draft in drafts() {
            let is_kick = matches!(draft.content, Content::Kicked { .. });
            let by = is_kick.then_some(Role::Moderator);
            let bytes = encode(&draft, by, NODE);
            assert_eq!(decode(&bytes, NODE), Ok(Decoded { draft, by }));
        }
    }

    #[test]
    fn bytes_that_are_cut_or_longer_are_no_entry() {
        let mut bytes = encode(&drafts()[0], None, NODE);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], NODE).is_err(), "{length}");
        }
        bytes.push(0);
        assert!(decode(&bytes, NODE).is_err());
    }

    #[test]
    fn connection_of_another_server_is_no_author() {
        let bytes = encode(&said(Author::Connection(ConnId::new(1, 2))), None, NODE);
        let decoded = decode(&bytes, NODE + 1).expect("an entry");
        assert_eq!(decoded.draft, said(Author::Unknown));
    }

    /// Servers of different versions read each other's entries: this layout does not change.
    #[test]
    fn layout_is_the_one_that_was_released() {
        let bytes = encode(&said(Author::Session(5)), None, NODE);
        let expected = b"\x01\x01\x05\0\0\0waves\x07\0\0\0\x02\x05\0\0\0\0\0\0\0\x03\0\0\0ann";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn changes_show_as_the_present_form() {
        let original = |seq: u32, change: &[u8]| {
            let entry = present(Seq(seq), Millis(1), said(Author::Unknown), change);
            entry.map(|entry| entry.draft.content)
        };
        assert_eq!(original(7, b"").ok(), Some(said(Author::Unknown).content));
        let Ok(Content::Said { text, form, .. }) = original(7, b"e12 two words") else {
            panic!("a message");
        };
        assert_eq!(
            (text.as_str(), form),
            ("two words", Form::Edited { by: Seq(12) })
        );
        let Ok(Content::Said { text, form, .. }) = original(7, b"d12 ") else {
            panic!("a message");
        };
        assert_eq!((text.as_str(), form), ("", Form::Deleted));
        for change in [&b"e12"[..], b"x12 a", b"e a", b"e12 \xff"] {
            assert!(original(7, change).is_err());
        }
    }
}
