//! Whom bans and mutes keep from what: joining, speaking, having a nick, being here. A user with a
//! role that keeps order is known by its account, and only sanctions about that account count for it.

use super::super::registry::{FactKey, Person, Sanction, SanctionKind, Scope, Subject};
use super::super::{
    BanNotice, Chat, Effect, Effects, Event, Farewell, Nick, Now, Refused, Role, tell,
};
use crate::id::{AccountId, ConnId, Millis, RoomId};
use smol_str::SmolStr;
use std::net::IpAddr;

/// Sanctions that have ended and are removed at once.
const ENDED_PER_TICK: usize = 256;

impl Chat {
    /// Why a user must be silent in a room.
    pub(in super::super) fn muted(&self, id: ConnId, room: RoomId, now: Now) -> Option<&Sanction> {
        self.kept_from(id, Some(room), SanctionKind::Mute, now)
            .or_else(|| self.kept_from(id, None, SanctionKind::Mute, now))
    }

    /// Why a user must be silent on the whole server.
    pub(in super::super) fn muted_everywhere(&self, id: ConnId, now: Now) -> Option<&Sanction> {
        self.kept_from(id, None, SanctionKind::Mute, now)
    }

    /// Whether the rooms of a user must not be shown what it would say with its leaving.
    pub(in super::super) fn is_silenced(&self, id: ConnId, now: Now) -> bool {
        self.registry.sanction_count() > 0
            && self
                .rooms_of(id)
                .any(|room| self.muted(id, room, now).is_some())
    }

    /// Why a user must not have another nick: under it, a sanction about the old one would not be
    /// found, or there is one about the new one.
    pub(in super::super) fn keeps_nick(&self, id: ConnId, new: &Nick, now: Now) -> Option<Refused> {
        if self.registry.sanction_count() == 0 {
            return None;
        }
        let scopes = self.rooms_of(id).filter_map(|room| self.room_name(room));
        let scopes = scopes.map(|name| Scope::Room(name.clone()));
        for scope in scopes.chain([Scope::Server]) {
            let old = self.nick_of(id)?;
            let muted = self.about_nick(&scope, SanctionKind::Mute, old, now.wall);
            if let Some(mute) = muted.filter(|_| self.is_bound(id, &scope)) {
                return Some(silenced(mute, now.wall));
            }
            let banned = self.about_nick(&scope, SanctionKind::Ban, new, now.wall);
            if let Some(ban) = banned.filter(|_| self.is_bound(id, &scope)) {
                return Some(Refused::Banned(BanNotice::of(ban)));
            }
        }
        None
    }

    /// Whether sanctions about nicks and addresses count for a user.
    fn is_bound(&self, id: ConnId, scope: &Scope) -> bool {
        match self.user(id) {
            Some(user) if user.operator != 0 => false,
            Some(user) => user
                .account
                .is_none_or(|account| !self.keeps_order(account, scope)),
            None => true,
        }
    }

    fn keeps_order(&self, account: AccountId, scope: &Scope) -> bool {
        self.role_of_account(account, scope) >= Role::Moderator
    }

    /// Why a connection must not become one of a user: its address is banned, or the nick that it
    /// asks for, from the server or from the room that it asks for.
    pub fn turned_away(
        &self,
        wanted: Option<&str>,
        room: Option<&str>,
        now: Now,
    ) -> Option<BanNotice> {
        if self.registry.sanction_count() == 0 {
            return None;
        }
        let nick = wanted.and_then(|wanted| Nick::parse(wanted).ok());
        let room = room.map(|name| Scope::Room(SmolStr::new(name)));
        for scope in [Some(Scope::Server), room].into_iter().flatten() {
            let of_address = now.address.map(|address| {
                self.registry
                    .sanctions_of_address(&scope, SanctionKind::Ban, address)
            });
            let of_nick = nick.as_ref().map(|nick| {
                self.registry
                    .sanctions_of_nick(&scope, SanctionKind::Ban, nick)
            });
            let subjects = [of_address, of_nick].into_iter().flatten().flatten();
            if let Some(ban) = self.longest(&scope, SanctionKind::Ban, subjects, now.wall) {
                return Some(BanNotice::of(ban));
            }
        }
        None
    }

    /// The ban by which a user must not be in a room, or on the server.
    pub(in super::super) fn banned(
        &self,
        id: ConnId,
        room: Option<RoomId>,
        now: Now,
    ) -> Option<&Sanction> {
        self.kept_from(id, room, SanctionKind::Ban, now)
    }

    /// The same of a room by its name, which has perhaps no member yet.
    pub(in super::super) fn banned_from(
        &self,
        id: ConnId,
        name: &SmolStr,
        now: Now,
    ) -> Option<BanNotice> {
        if self.registry.sanction_count() == 0 {
            return None;
        }
        let scope = Scope::Room(name.clone());
        let ban = self.kept_from_scope(id, &scope, SanctionKind::Ban, now)?;
        Some(BanNotice::of(ban))
    }

    fn kept_from(
        &self,
        id: ConnId,
        room: Option<RoomId>,
        kind: SanctionKind,
        now: Now,
    ) -> Option<&Sanction> {
        if self.registry.sanction_count() == 0 {
            return None;
        }
        let scope = match room {
            Some(room) => Scope::Room(self.room_name(room)?.clone()),
            None => Scope::Server,
        };
        self.kept_from_scope(id, &scope, kind, now)
    }

    fn kept_from_scope(
        &self,
        id: ConnId,
        scope: &Scope,
        kind: SanctionKind,
        now: Now,
    ) -> Option<&Sanction> {
        let user = self.user(id)?;
        if user.operator != 0 {
            return None;
        }
        let person = Person {
            nick: &user.nick,
            account: user.account,
            address: now.address,
        };
        let mut subjects = self.registry.sanctions_about(scope, kind, person);
        if !self.is_bound(id, scope) {
            subjects.retain(|subject| matches!(subject, Subject::Account(_)));
        }
        self.longest(scope, kind, subjects, now.wall)
    }

    fn about_nick(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        nick: &Nick,
        wall: Millis,
    ) -> Option<&Sanction> {
        let subjects = self.registry.sanctions_of_nick(scope, kind, nick);
        self.longest(scope, kind, subjects, wall)
    }

    /// Of the sanctions that hold, the one that ends last.
    fn longest(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        subjects: impl IntoIterator<Item = Subject>,
        wall: Millis,
    ) -> Option<&Sanction> {
        let sanctions = subjects
            .into_iter()
            .filter_map(|subject| self.registry.sanction(scope, kind, &subject));
        let holding = sanctions.filter(|sanction| sanction.holds(wall));
        holding.max_by_key(|sanction| sanction.until.map_or(u64::MAX, |until| until.0))
    }

    /// The user who has a nick, or one that looks like it.
    pub fn user_called(&self, nick: &str) -> Option<ConnId> {
        let nick = Nick::parse(nick).ok()?;
        self.owners_of(&nick).next()
    }

    /// The users that a ban by nick or account may be about. Only the server knows who has
    /// an address.
    pub fn users_under(&self, subject: &Subject) -> Vec<ConnId> {
        match subject {
            Subject::Nick(nick) => match Nick::parse(nick) {
                Ok(nick) => {
                    let owners = self.owners_of(&nick);
                    owners
                        .flat_map(|owner| self.connections_of(owner))
                        .collect()
                }
                Err(_) => Vec::new(),
            },
            Subject::Account(account) => self.connections_of_account(*account).to_vec(),
            Subject::Address(_) => Vec::new(),
        }
    }

    /// Removes a user from a room, or from the server, if it is banned from there. What its rooms
    /// were sent must be delivered before.
    pub fn expel(&mut self, id: ConnId, room: Option<RoomId>, now: Now, effects: &mut Effects) {
        if room.is_some_and(|room| !self.is_member(id, room)) {
            return;
        }
        let Some(ban) = self.banned(id, room, now) else {
            return;
        };
        let notice = BanNotice::of(ban);
        let event = Event::YouWereBanned {
            room: room.and_then(|room| self.room_name(room)).cloned(),
            notice: notice.clone(),
        };
        if let Some(room) = room {
            self.leave(id, room, now.tick, effects);
        }
        effects.push(tell(id, event));
        if room.is_none() || self.rooms_of(id).next().is_none() {
            let why = Farewell::Banned {
                notice,
                from_server: room.is_none(),
            };
            effects.push(Effect::Close { id, why });
        }
    }

    /// When the next ban or mute ends by itself.
    pub fn next_end(&self) -> Option<Millis> {
        self.registry.next_end()
    }

    /// Forgets the bans and mutes that have ended.
    pub fn end_sanctions(&mut self, wall: Millis, effects: &mut Effects) {
        let ended: Vec<FactKey> = self.registry.ended(wall, ENDED_PER_TICK);
        if ended.is_empty() {
            return;
        }
        let change = self.registry.change(wall, Vec::new(), ended, None);
        effects.push(Effect::Change {
            change: Box::new(change),
            to: None,
            event: None,
        });
    }
}

/// How a user is refused who may not speak.
pub(in super::super) fn silenced(mute: &Sanction, wall: Millis) -> Refused {
    Refused::Muted {
        millis: mute.until.map(|until| until.0.saturating_sub(wall.0)),
        reason: mute.reason.clone(),
    }
}

impl BanNotice {
    fn of(ban: &Sanction) -> Self {
        Self {
            until: ban.until,
            reason: ban.reason.clone(),
        }
    }
}

/// What the server passes to [`Chat::turned_away`] of a connection that has no user yet.
impl Now {
    /// The same from another address.
    pub const fn from_address(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }
}
