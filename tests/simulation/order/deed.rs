//! What people do to each other to keep order, or try to: as a request, as a row of the audit log,
//! and whether it was allowed. Knows no connection.

use super::model::{Model, Who, look};
use parlor::chat::Role;
use parlor::chat::registry::{Audit, SanctionKind};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Whom it is done to.
#[derive(Clone, Debug)]
pub(crate) enum Whom {
    Nick(String),
    Account(String),
    Address(IpAddr),
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Kick(String),
    Impose(SanctionKind, Whom, Option<u32>),
    Lift(SanctionKind, Whom),
    Topic,
    /// Of a nick, in the last so many seconds.
    Purge(String, u32),
    /// Of the entry with this number.
    Report(u32),
}

/// Something that is done in a room, or on the server.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    pub(crate) room: Option<&'static str>,
    pub(crate) act: Act,
    /// No two have the same: the reason, or the topic.
    pub(crate) mark: String,
}

/// Somebody who is connected.
#[derive(Clone)]
pub(crate) struct Present<'a> {
    pub(crate) who: Who,
    pub(crate) rooms: Vec<&'a str>,
}

impl Deed {
    fn word(&self) -> &'static str {
        match self.act {
            Act::Kick(_) => "kick",
            Act::Impose(SanctionKind::Ban, ..) => "ban",
            Act::Impose(SanctionKind::Mute, ..) => "mute",
            Act::Lift(SanctionKind::Ban, _) => "unban",
            Act::Lift(SanctionKind::Mute, _) => "unmute",
            Act::Topic => "topic",
            Act::Purge(..) => "purge",
            Act::Report(_) => "report",
        }
    }

    /// The type and the fields of the request.
    pub(crate) fn request(&self) -> (&'static str, Vec<(&'static str, Value)>) {
        let mut fields = Vec::new();
        if let Some(room) = self.room {
            fields.push(("room", json!(room)));
        }
        let whom = |whom: &Whom| match whom {
            Whom::Nick(nick) => ("nick", json!(nick)),
            Whom::Account(name) => ("account", json!(name)),
            Whom::Address(address) => ("address", json!(address.to_string())),
        };
        match &self.act {
            Act::Kick(nick) => {
                fields.push(("nick", json!(nick)));
                fields.push(("reason", json!(self.mark)));
            }
            Act::Impose(_, one, seconds) => {
                fields.push(whom(one));
                fields.push(("reason", json!(self.mark)));
                fields.extend(seconds.map(|seconds| ("seconds", json!(seconds))));
            }
            Act::Lift(_, one) => fields.push(whom(one)),
            Act::Topic => fields.push(("topic", json!(self.mark))),
            Act::Purge(nick, seconds) => {
                fields.push(("nick", json!(nick)));
                fields.push(("seconds", json!(seconds)));
            }
            Act::Report(seq) => {
                fields.push(("seq", json!(seq)));
                fields.push(("reason", json!(self.mark)));
            }
        }
        (self.word(), fields)
    }

    /// Whether a row of the audit log is about this.
    pub(crate) fn is(&self, audit: &Audit) -> bool {
        let is_marked = match &self.act {
            Act::Kick(_) | Act::Impose(..) | Act::Topic => audit.detail == self.mark,
            Act::Lift(..) => true,
            Act::Purge(nick, _) => look(&audit.target) == look(nick),
            Act::Report(seq) => {
                audit.target == format!("#{seq}") && audit.detail.ends_with(&self.mark)
            }
        };
        audit.action == self.word() && audit.room.as_deref() == self.room && is_marked
    }

    /// The lowest role that may do it.
    fn least(&self) -> Role {
        match (self.room, &self.act) {
            (None, _) => Role::ServerModerator,
            (Some(_), Act::Report(_)) => Role::Member,
            (Some(_), _) => Role::Moderator,
        }
    }

    /// The roles of all that it is done to.
    fn targets(&self, model: &Model, present: &[Present<'_>]) -> Vec<Role> {
        let of_account = |name: &str| {
            let account = model.account_like(name).map(|account| account.id);
            account.map(|account| model.role_of(Some(account), self.room))
        };
        match &self.act {
            Act::Kick(nick) => {
                let is_meant = |one: &&Present<'_>| {
                    let is_in = self.room.is_some_and(|room| one.rooms.contains(&room));
                    look(&one.who.nick) == look(nick) && is_in
                };
                let meant = present.iter().filter(is_meant);
                meant.map(|one| model.role(&one.who, self.room)).collect()
            }
            Act::Impose(_, Whom::Nick(nick), _) => {
                let is_meant = |one: &&Present<'_>| look(&one.who.nick) == look(nick);
                let meant = present.iter().filter(is_meant);
                let roles = meant.map(|one| model.role(&one.who, self.room));
                roles.chain(of_account(nick)).collect()
            }
            Act::Impose(_, Whom::Account(name), _) => of_account(name).into_iter().collect(),
            Act::Purge(nick, _) => {
                let is_meant = |one: &&Present<'_>| look(&one.who.nick) == look(nick);
                let meant = present.iter().filter(is_meant);
                let roles = meant.map(|one| model.role(&one.who, self.room));
                roles.chain(of_account(nick)).collect()
            }
            Act::Impose(_, Whom::Address(_), _) | Act::Lift(..) | Act::Topic | Act::Report(_) => {
                Vec::new()
            }
        }
    }

    /// Whether it is a purge of what the actor said itself, which every moderator may.
    fn is_about(&self, actor: &Who) -> bool {
        matches!(&self.act, Act::Purge(nick, _) if look(nick) == look(&actor.nick))
    }

    /// Whether somebody may do it.
    pub(crate) fn is_allowed(&self, actor: &Who, model: &Model, present: &[Present<'_>]) -> bool {
        let role = model.role(actor, self.room);
        let targets = self.targets(model, present);
        if self.is_about(actor) {
            return role >= self.least();
        }
        role >= self.least() && targets.iter().all(|target| *target < role)
    }
}
