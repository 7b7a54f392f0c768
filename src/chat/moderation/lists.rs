//! Lists of bans and mutes, a page at a time, in the order in which they were imposed. What was
//! imposed at once is one row. An address that the server added to a nick is shown to those alone
//! who keep order on the whole server.

use super::super::registry::{AuditRow, Sanction, SanctionKind, Scope, Subject};
use super::super::{Action, Chat, Effect, Effects, Event, Listed, Now, Part, Role, reply};
use crate::id::{ConnId, Millis, RoomId};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// Rows that a line of text takes.
const LINES_MAX: u32 = 50;
/// Rows of a page at most.
const PAGE_MAX: u32 = 100;
/// Bytes of a page at most when rendered: no list is longer than that of a room's members.
const PAGE_BYTES_MAX: usize = 20 * 1024;
/// What is written around the texts of a row: names of fields, times, an address.
const ROW_BYTES: usize = 200;

impl Chat {
    /// Answers with bans and mutes of a room, or of the server.
    pub(in super::super) fn list_sanctions(
        &self,
        id: ConnId,
        room: Option<RoomId>,
        part: Option<Part>,
        now: Now,
        effects: &mut Effects,
    ) {
        let action = match room {
            Some(_) => Action::ReadSanctions,
            None => Action::BanEverywhere,
        };
        if !self.may_or_refuse(id, room, action, effects) {
            return;
        }
        let name = room.and_then(|room| self.room_name(room)).cloned();
        let scope = name.clone().map_or(Scope::Server, Scope::Room);
        let part = part.unwrap_or(Part {
            after: 0,
            limit: LINES_MAX,
        });
        let limit = part.limit.min(PAGE_MAX) as usize;
        let mut rows: BTreeMap<(Millis, SanctionKind), Listed> = BTreeMap::new();
        for sanction in self.registry.sanctions(&scope) {
            if sanction.holds(now.wall) && sanction.at.0 > part.after {
                self.add_row(&mut rows, sanction);
                if rows.len() > limit + 1 {
                    rows.pop_last();
                }
            }
        }
        let count = fitting(rows.values().map(|row| {
            let names = row.nick.iter().chain(&row.account).map(|name| name.len());
            names.sum::<usize>() + row.by.len() + row.reason.len()
        }));
        let limit = limit.min(count);
        let more = rows.len() > limit;
        let sees_all = self.role_in(id, room) >= Role::ServerModerator;
        let rows = rows.into_values().take(limit).map(|row| Listed {
            // A room's moderators typed the others themselves.
            address: row.address.filter(|_| sees_all || row.nick.is_none()),
            ..row
        });
        let event = Event::Sanctions {
            room: name,
            sanctions: rows.collect(),
            more,
        };
        effects.push(reply(id, event));
    }

    /// Asks for rows of the audit log.
    pub(in super::super) fn read_audit(
        &self,
        id: ConnId,
        room: Option<RoomId>,
        (before, limit): (u64, u32),
        effects: &mut Effects,
    ) {
        let action = match room {
            Some(_) => Action::ReadAudit,
            None => Action::ReadAuditOfAll,
        };
        if self.may_or_refuse(id, room, action, effects) {
            effects.push(Effect::ReadAudit {
                to: id,
                room: room.and_then(|room| self.room_name(room)).cloned(),
                before,
                limit: limit.min(PAGE_MAX),
            });
        }
    }

    fn add_row(&self, rows: &mut BTreeMap<(Millis, SanctionKind), Listed>, sanction: &Sanction) {
        let row = rows.entry((sanction.at, sanction.kind));
        let row = row.or_insert_with(|| Listed {
            kind: sanction.kind,
            nick: None,
            account: None,
            address: None,
            until: sanction.until,
            by: sanction.by.clone(),
            at: sanction.at,
            reason: sanction.reason.clone(),
        });
        match &sanction.subject {
            Subject::Nick(nick) => row.nick = Some(nick.clone()),
            Subject::Account(account) => {
                let known = self.registry.account(*account);
                row.account = Some(known.map_or_else(SmolStr::default, |known| known.name.clone()));
            }
            Subject::Address(prefix) => row.address = Some(*prefix),
        }
    }
}

/// How many rows with texts of these lengths fit into a page: one at least.
fn fitting(texts: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = texts.take_while(|text| {
        let is_first = bytes == 0;
        // A quotation mark becomes two bytes.
        bytes += ROW_BYTES + 2 * text;
        is_first || bytes <= PAGE_BYTES_MAX
    });
    fits.count()
}

impl Event {
    /// A page of the audit log: as many of the rows as it takes.
    pub fn audit(mut rows: Vec<AuditRow>, more: bool) -> Self {
        let count = fitting(rows.iter().map(|row| {
            let audit = &row.audit;
            let room = audit.room.as_ref().map_or(0, |room| room.len());
            audit.by.len() + audit.target.len() + audit.detail.len() + room
        }));
        let more = more || count < rows.len();
        rows.truncate(count);
        Self::Audit { rows, more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_has_one_row_at_least_and_no_more_than_fit() {
        assert_eq!(fitting([].into_iter()), 0);
        assert_eq!(fitting([1_000_000, 1].into_iter()), 1);
        let each = ROW_BYTES + 2 * 10;
        assert_eq!(fitting([10; 1000].into_iter()), PAGE_BYTES_MAX / each);
    }
}
