//! Facts of the registry as rows, both ways, and changes of it as steps of a transaction. The only
//! place that knows how the tables write roles, sanctions and their subjects.

use super::error::Fault;
use super::schema::millis;
use crate::chat::Role;
use crate::chat::registry::{
    Account, AccountSession, Audit, Change, Conversation, Fact, FactKey, Prefix, Rules, Sanction,
    SanctionKind, Scope, Snapshot, Subject,
};
use crate::id::{AccountId, Millis, Seq};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use smol_str::{SmolStr, format_smolstr};
use std::num::NonZeroU32;

/// The name of the mark that has the number of the newest change.
const CHANGES: &str = "changes";
/// The name of the mark that has the largest id of an account.
const ACCOUNTS: &str = "accounts";

/// Makes changes, in order, within the transaction that is open. Those that are kept already are
/// ignored: a batch comes again after a commit whose report failed.
pub(super) fn change(db: &Connection, changes: &[Box<Change>]) -> Result<(), Fault> {
    let Some(newest) = changes.last() else {
        return Ok(());
    };
    let kept = mark(db, CHANGES)?;
    for change in changes {
        let number = signed(change.number);
        if number <= kept {
            continue;
        }
        for key in &change.forgets {
            forget(db, key)?;
        }
        for fact in &change.puts {
            put(db, fact)?;
        }
        if let Some(audit) = &change.audit {
            insert_audit(db, number, change.at, audit)?;
        }
    }
    raise(db, CHANGES, signed(newest.number))
}

/// All facts.
pub(super) fn read(db: &Connection) -> Result<Snapshot, Fault> {
    let mut facts = Vec::new();
    each(
        db,
        "SELECT id, name, password, token_subject, created FROM accounts",
        |row| {
            facts.push(Fact::Account(Account {
                id: account(row, 0)?,
                name: text(row, 1)?,
                password: optional(row, 2)?,
                token_subject: optional(row, 3)?,
                created: time(row, 4)?,
            }));
            Ok(())
        },
    )?;
    each(
        db,
        "SELECT session, account, seen FROM account_sessions",
        |row| {
            facts.push(Fact::Session(AccountSession {
                session: row.get::<_, i64>(0)?.cast_unsigned(),
                account: account(row, 1)?,
                seen: time(row, 2)?,
            }));
            Ok(())
        },
    )?;
    each(db, "SELECT room, account, role FROM roles", |row| {
        facts.push(Fact::Role {
            scope: scope(row, 0)?,
            account: account(row, 1)?,
            role: role(row.get(2)?)?,
        });
        Ok(())
    })?;
    let sanctions = "SELECT room, kind, subject, until, actor, at, reason FROM sanctions";
    each(db, sanctions, |row| {
        facts.push(Fact::Sanction(Sanction {
            scope: scope(row, 0)?,
            kind: kind(row.get(1)?)?,
            subject: subject(&text(row, 2)?)?,
            until: row.get::<_, Option<i64>>(3)?.map(at),
            by: text(row, 4)?,
            at: time(row, 5)?,
            reason: text(row, 6)?,
        }));
        Ok(())
    })?;
    let rules = "SELECT room, topic, slow_seconds, moderated, locked, hidden, password,
                 newcomers_read, keep_days FROM rules";
    each(db, rules, |row| {
        facts.push(Fact::Rules {
            room: text(row, 0)?,
            rules: Rules {
                topic: text(row, 1)?,
                slow_seconds: row.get(2)?,
                is_moderated: row.get(3)?,
                is_locked: row.get(4)?,
                is_hidden: row.get(5)?,
                password: optional(row, 6)?,
                newcomers_read: row.get(7)?,
                keep_days: row.get(8)?,
            },
        });
        Ok(())
    })?;
    each(db, "SELECT account, subject FROM ignored", |row| {
        facts.push(Fact::Ignored {
            account: account(row, 0)?,
            subject: subject(&text(row, 1)?)?,
        });
        Ok(())
    })?;
    let conversations = "SELECT one, other, at, unseen_by_one, unseen_by_other FROM conversations";
    each(db, conversations, |row| {
        facts.push(Fact::Conversation(Conversation {
            accounts: [account(row, 0)?, account(row, 1)?],
            at: time(row, 2)?,
            unseen: [Seq(row.get(3)?), Seq(row.get(4)?)],
        }));
        Ok(())
    })?;
    Ok(Snapshot {
        facts,
        changes: mark(db, CHANGES)?.cast_unsigned(),
        accounts: u32::try_from(mark(db, ACCOUNTS)?).unwrap_or(u32::MAX),
    })
}

fn each(
    db: &Connection,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

fn put(db: &Connection, fact: &Fact) -> Result<(), Fault> {
    match fact {
        Fact::Account(account) => {
            write(
                db,
                "REPLACE INTO accounts (id, name, password, token_subject, created)
                 VALUES (?, ?, ?, ?, ?)",
                params![
                    account.id.0.get(),
                    account.name.as_str(),
                    account.password.as_deref(),
                    account.token_subject.as_deref(),
                    millis(account.created)
                ],
            )?;
            raise(db, ACCOUNTS, account.id.0.get().into())
        }
        Fact::Session(session) => write(
            db,
            "REPLACE INTO account_sessions (session, account, seen) VALUES (?, ?, ?)",
            params![
                session.session.cast_signed(),
                session.account.0.get(),
                millis(session.seen)
            ],
        ),
        Fact::Role {
            scope,
            account,
            role,
        } => write(
            db,
            "REPLACE INTO roles (room, account, role) VALUES (?, ?, ?)",
            params![room(scope), account.0.get(), *role as u8],
        ),
        Fact::Sanction(sanction) => write(
            db,
            "REPLACE INTO sanctions (room, kind, subject, until, actor, at, reason)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                room(&sanction.scope),
                number_of(sanction.kind),
                written(&sanction.subject).as_str(),
                sanction.until.map(millis),
                sanction.by.as_str(),
                millis(sanction.at),
                sanction.reason.as_str()
            ],
        ),
        Fact::Rules { room, rules } => write(
            db,
            "REPLACE INTO rules (room, topic, slow_seconds, moderated, locked, hidden, password,
             newcomers_read, keep_days) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                room.as_str(),
                rules.topic.as_str(),
                rules.slow_seconds,
                rules.is_moderated,
                rules.is_locked,
                rules.is_hidden,
                rules.password.as_deref(),
                rules.newcomers_read,
                rules.keep_days
            ],
        ),
        Fact::Ignored { account, subject } => write(
            db,
            "REPLACE INTO ignored (account, subject) VALUES (?, ?)",
            params![account.0.get(), written(subject).as_str()],
        ),
        Fact::Conversation(conversation) => write(
            db,
            "REPLACE INTO conversations (one, other, at, unseen_by_one, unseen_by_other)
             VALUES (?, ?, ?, ?, ?)",
            params![
                conversation.accounts[0].0.get(),
                conversation.accounts[1].0.get(),
                millis(conversation.at),
                conversation.unseen[0].0,
                conversation.unseen[1].0
            ],
        ),
    }
}

fn forget(db: &Connection, key: &FactKey) -> Result<(), Fault> {
    match key {
        FactKey::Account(account) => write(
            db,
            "DELETE FROM accounts WHERE id = ?",
            params![account.0.get()],
        ),
        FactKey::Session(session) => write(
            db,
            "DELETE FROM account_sessions WHERE session = ?",
            params![session.cast_signed()],
        ),
        FactKey::Role { scope, account } => write(
            db,
            "DELETE FROM roles WHERE room = ? AND account = ?",
            params![room(scope), account.0.get()],
        ),
        FactKey::Sanction {
            scope,
            kind,
            subject,
        } => write(
            db,
            "DELETE FROM sanctions WHERE room = ? AND kind = ? AND subject = ?",
            params![room(scope), number_of(*kind), written(subject).as_str()],
        ),
        FactKey::Rules { room } => write(
            db,
            "DELETE FROM rules WHERE room = ?",
            params![room.as_str()],
        ),
        FactKey::Ignored { account, subject } => write(
            db,
            "DELETE FROM ignored WHERE account = ? AND subject = ?",
            params![account.0.get(), written(subject).as_str()],
        ),
        FactKey::Conversation([one, other]) => write(
            db,
            "DELETE FROM conversations WHERE one = ? AND other = ?",
            params![one.0.get(), other.0.get()],
        ),
    }
}

fn insert_audit(db: &Connection, number: i64, at: Millis, audit: &Audit) -> Result<(), Fault> {
    write(
        db,
        "INSERT INTO audit (number, at, action, actor, room, target, detail, until)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            number,
            millis(at),
            audit.action.as_str(),
            audit.by.as_str(),
            audit.room.as_deref(),
            audit.target.as_str(),
            audit.detail.as_str(),
            audit.until.map(millis)
        ],
    )
}

fn write(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<(), Fault> {
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn mark(db: &Connection, name: &str) -> Result<i64, Fault> {
    let value = db
        .prepare_cached("SELECT value FROM marks WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}

fn raise(db: &Connection, name: &str, value: i64) -> Result<(), Fault> {
    write(
        db,
        "INSERT INTO marks (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = max(value, ?2)",
        params![name, value],
    )
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn at(value: i64) -> Millis {
    Millis(value.max(0).cast_unsigned())
}

fn time(row: &Row<'_>, column: usize) -> Result<Millis, Fault> {
    Ok(at(row.get(column)?))
}

fn text(row: &Row<'_>, column: usize) -> Result<SmolStr, Fault> {
    let text = row.get_ref(column)?.as_str();
    Ok(SmolStr::new(
        text.map_err(|error| Fault::damaged(error.to_string()))?,
    ))
}

fn optional(row: &Row<'_>, column: usize) -> Result<Option<SmolStr>, Fault> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map(SmolStr::from))
}

fn account(row: &Row<'_>, column: usize) -> Result<AccountId, Fault> {
    let number = NonZeroU32::new(row.get(column)?);
    let number = number.ok_or_else(|| Fault::damaged(String::from("an account has the id 0")))?;
    Ok(AccountId(number))
}

fn room(scope: &Scope) -> &str {
    match scope {
        Scope::Server => "",
        Scope::Room(name) => name,
    }
}

fn scope(row: &Row<'_>, column: usize) -> Result<Scope, Fault> {
    let name = text(row, column)?;
    Ok(if name.is_empty() {
        Scope::Server
    } else {
        Scope::Room(name)
    })
}

fn role(number: u8) -> Result<Role, Fault> {
    let role = Role::ALL.get(usize::from(number)).copied();
    role.ok_or_else(|| Fault::damaged(format!("there is no role {number}")))
}

const fn number_of(kind: SanctionKind) -> u8 {
    match kind {
        SanctionKind::Ban => 0,
        SanctionKind::Mute => 1,
    }
}

fn kind(number: u8) -> Result<SanctionKind, Fault> {
    match number {
        0 => Ok(SanctionKind::Ban),
        1 => Ok(SanctionKind::Mute),
        _ => Err(Fault::damaged(format!("there is no sanction {number}"))),
    }
}

fn written(subject: &Subject) -> SmolStr {
    match subject {
        Subject::Nick(nick) => format_smolstr!("nick:{nick}"),
        Subject::Account(account) => format_smolstr!("account:{}", account.0),
        Subject::Address(prefix) => format_smolstr!("address:{}/{}", prefix.address, prefix.bits),
    }
}

fn subject(text: &str) -> Result<Subject, Fault> {
    let found = match text.split_once(':') {
        Some(("nick", nick)) => Some(Subject::Nick(SmolStr::new(nick))),
        Some(("account", id)) => id.parse().ok().map(|id| Subject::Account(AccountId(id))),
        Some(("address", prefix)) => prefix.split_once('/').and_then(|(address, bits)| {
            let prefix = Prefix::new(address.parse().ok()?, bits.parse().ok()?);
            Some(Subject::Address(prefix))
        }),
        _ => None,
    };
    found.ok_or_else(|| Fault::damaged(format!("a sanction is about {text:?}")))
}
