//! How high a user stands, and as whom the audit log knows it. What a role allows is decided in
//! `role.rs` alone.

use super::super::registry::Scope;
use super::super::{Action, Chat, Effects, Refused, Role, may, refuse};
use crate::id::{AccountId, ConnId, RoomId};
use smol_str::{SmolStr, format_smolstr};

impl Chat {
    /// How high a user stands in a room.
    pub fn role_of(&self, id: ConnId, room: RoomId) -> Role {
        let Some(user) = self.user(id) else {
            return Role::Member;
        };
        if user.operator != 0 {
            return Role::Admin;
        }
        // Most users have no account, and then nothing is looked up.
        match (user.account, self.room_name(room)) {
            (Some(account), Some(name)) => {
                self.role_of_account(account, &Scope::Room(name.clone()))
            }
            _ => Role::Member,
        }
    }

    /// How high a user stands outside of rooms.
    pub fn role_on_server(&self, id: ConnId) -> Role {
        match self.user(id) {
            Some(user) if user.operator != 0 => Role::Admin,
            Some(user) => user.account.map_or(Role::Member, |account| {
                self.role_of_account(account, &Scope::Server)
            }),
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

    /// As whom the audit log knows a user: by its account, or by its nick and its name as an
    /// operator.
    pub(in super::super) fn known_as(&self, id: ConnId) -> SmolStr {
        let Some(user) = self.user(id) else {
            return SmolStr::default();
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

    /// Whether an account has a role in a room that no other account has.
    pub(super) fn is_only_one(&self, scope: &Scope, account: AccountId, role: Role) -> bool {
        let others = self.registry.roles(scope);
        self.registry.role(scope, account) == role
            && others
                .filter(|(_, other)| *other == role)
                .all(|(other, _)| other == account)
    }
}
