//! How high a user stands, and as whom the audit log knows it. What a role allows is decided in
//! `role.rs` alone.

use super::super::registry::{Audit, Fact, FactKey, Scope};
use super::super::{
    Act, Action, Chat, Effect, Effects, Event, Nick, Now, Refused, Role, may, refuse, text,
};
use super::sanction::act_in;
use crate::id::{AccountId, ConnId, RoomId};
use smol_str::{SmolStr, format_smolstr};

impl Chat {
    /// How high a user stands in a room.
    pub fn role_of(&self, id: ConnId, room: RoomId) -> Role {
        match (self.user(id), self.room_name(room)) {
            (Some(user), None) if user.operator != 0 => Role::Admin,
            (Some(_), Some(name)) => self.role_in_room(id, name),
            (Some(_), None) => Role::Member,
            // A host, perhaps.
            (None, _) => self.role_on_server(id),
        }
    }

    /// The same in a room of this name, which need not have members.
    pub(in super::super) fn role_in_room(&self, id: ConnId, name: &SmolStr) -> Role {
        let Some(user) = self.user(id) else {
            return self.role_on_server(id);
        };
        if user.operator != 0 {
            return Role::Admin;
        }
        // Most users have no account, and then nothing is looked up.
        user.account.map_or(Role::Member, |account| {
            self.role_of_account(account, &Scope::Room(name.clone()))
        })
    }

    /// How high a member of a room stands by what it is at other servers; `None`: it is not there.
    pub fn role_elsewhere(&self, room: RoomId, nick: &Nick) -> Option<Role> {
        let standing = self.standing_elsewhere(room, nick)?;
        if standing.is_operator {
            return Some(Role::Admin);
        }
        let account = self.registry.account_like(nick);
        let Some(account) = account.filter(|_| standing.has_account) else {
            return Some(Role::Member);
        };
        let scope = Scope::Room(self.room_name(room)?.clone());
        Some(self.role_of_account(account.id, &scope))
    }

    /// How high a user stands outside of rooms.
    pub fn role_on_server(&self, id: ConnId) -> Role {
        match self.user(id) {
            Some(user) if user.operator != 0 => Role::Admin,
            Some(user) => user.account.map_or(Role::Member, |account| {
                self.role_of_account(account, &Scope::Server)
            }),
            None if self.is_host(id) => Role::Admin,
            None => Role::Member,
        }
    }

    /// The same of an account, whether it is connected or not.
    pub(in super::super) fn role_of_account(&self, account: AccountId, scope: &Scope) -> Role {
        let on_server = self.registry.role(&Scope::Server, account);
        match scope {
            Scope::Server => on_server,
            Scope::Room(_) => on_server.max(self.registry.role(scope, account)),
        }
    }

    /// How high a user stands where something is to hold.
    pub(super) fn role_in(&self, id: ConnId, room: Option<RoomId>) -> Role {
        match room {
            Some(room) => self.role_of(id, room),
            None => self.role_on_server(id),
        }
    }

    /// Whether a user may do something; if not, that is its answer.
    pub(super) fn may_or_refuse(
        &self,
        id: ConnId,
        room: Option<RoomId>,
        action: Action,
        effects: &mut Effects,
    ) -> bool {
        let may = may(self.role_in(id, room), action, None);
        if !may {
            effects.push(refuse(id, Refused::NotAllowed));
        }
        may
    }

    /// As which a room knows a user who has done something.
    pub fn shown_as(&self, id: ConnId) -> Option<SmolStr> {
        self.nick_of(id).map(|nick| nick.as_smol_str().clone())
    }

    /// As whom the audit log knows a user: by its account, or by its nick and its name as an
    /// operator.
    pub(in super::super) fn known_as(&self, id: ConnId) -> SmolStr {
        let Some(user) = self.user(id) else {
            return self.shown_as(id).unwrap_or_default();
        };
        if let Some(operator) = self
            .operators
            .get(usize::from(user.operator).wrapping_sub(1))
        {
            return format_smolstr!("{} (operator {})", user.nick, operator.name);
        }
        let account = user.account.and_then(|id| self.registry.account(id));
        match account {
            Some(account) => format_smolstr!("@{}", account.name),
            None => user.nick.as_smol_str().clone(),
        }
    }

    /// Gives an account a role in a room, or on the server; [`Role::Member`] takes it away.
    pub(in super::super) fn give_role(
        &mut self,
        id: ConnId,
        room: Option<RoomId>,
        (name, role): (&str, Role),
        now: Now,
        effects: &mut Effects,
    ) {
        let account = match self.may_give(id, room, name, role) {
            Ok(account) => account,
            Err(why) => return effects.push(refuse(id, why)),
        };
        let room_name = room.and_then(|room| self.room_name(room)).cloned();
        let scope = room_name.clone().map_or(Scope::Server, Scope::Room);
        let name = self.registry.account(account);
        let name = name.map_or_else(SmolStr::default, |known| known.name.clone());
        let audit = Audit {
            action: SmolStr::new_static("role"),
            by: self.known_as(id),
            room: room_name,
            target: format_smolstr!("@{name}"),
            detail: SmolStr::new_static(role.name()),
            until: None,
        };
        let (puts, forgets) = if role == Role::Member {
            (Vec::new(), vec![key(&scope, account)])
        } else {
            let fact = Fact::Role {
                scope,
                account,
                role,
            };
            (vec![fact], Vec::new())
        };
        let change = self.registry.propose(now.wall, puts, forgets, Some(audit));
        let done = || Event::Done(format!("@{name} is {} here", role.name()));
        effects.push(Effect::Change {
            change: Box::new(change),
            to: Some(id),
            event: room.is_none().then(done),
        });
        if let Some(room) = room {
            let by = self.nick_of(id).map(|nick| nick.as_smol_str().clone());
            let by = by.unwrap_or_default();
            effects.push(act_in(room, id, name, (Act::Role, &by, role.name(), None)));
        }
    }

    /// The account that is given a role. A user gives no role as high as its own, and takes none.
    fn may_give(
        &self,
        id: ConnId,
        room: Option<RoomId>,
        name: &str,
        role: Role,
    ) -> Result<AccountId, Refused> {
        let room_name = room.and_then(|room| self.room_name(room)).cloned();
        let scope = room_name.map_or(Scope::Server, Scope::Room);
        let action = match room {
            Some(_) => Action::GiveRole,
            None => Action::GiveServerRole,
        };
        let actor = self.role_in(id, room);
        if !may(actor, action, None) {
            return Err(Refused::NotAllowed);
        }
        let nick = Nick::parse(name).ok();
        let account = nick.and_then(|nick| self.registry.account_like(&nick));
        let Some(account) = account else {
            let name = text::excerpt(name);
            return Err(Refused::NoSuchAccount { name });
        };
        if self.account_of(id) == Some(account.id) {
            return Err(Refused::Oneself);
        }
        let target = role.max(self.role_of_account(account.id, &scope));
        if !may(actor, action, Some(target)) {
            let nick = account.name.to_string();
            return Err(Refused::Outranked { nick });
        }
        if role < Role::Owner && self.is_only_one(&scope, account.id, Role::Owner) {
            return Err(Refused::OnlyOwner);
        }
        Ok(account.id)
    }

    /// An account owns a room that it has made.
    pub(super) fn owns(
        &mut self,
        id: ConnId,
        account: AccountId,
        name: SmolStr,
        now: Now,
        effects: &mut Effects,
    ) {
        let known_as = self.known_as(id);
        let audit = Audit {
            action: SmolStr::new_static("create"),
            by: known_as.clone(),
            room: Some(name.clone()),
            target: known_as,
            detail: SmolStr::new_static(Role::Owner.name()),
            until: None,
        };
        let fact = Fact::Role {
            scope: Scope::Room(name),
            account,
            role: Role::Owner,
        };
        let change = self
            .registry
            .change(now.wall, vec![fact], Vec::new(), Some(audit));
        effects.push(Effect::Change {
            change: Box::new(change),
            to: None,
            event: None,
        });
    }

    /// Whether an account has a role in a room that no other account has.
    pub(super) fn is_only_one(&self, scope: &Scope, account: AccountId, role: Role) -> bool {
        let others = self.registry.roles(scope);
        self.registry.role(scope, account) == role
            && others
                .filter(|(_, other)| *other == role)
                .all(|(other, _)| other == account)
    }
}

/// The key of an account's role.
pub(super) fn key(scope: &Scope, account: AccountId) -> FactKey {
    FactKey::Role {
        scope: scope.clone(),
        account,
    }
}
