//! Bans and mutes: who may impose them on whom, what they cover, and how they are lifted. Whom they
//! keep from what is `bans.rs`'s.

use super::super::registry::{
    Audit, Fact, FactKey, Prefix, Sanction, SanctionKind, Scope, Subject,
};
use super::super::{
    Act, Action, Chat, Content, Draft, Effect, Effects, Event, Nick, Now, Order, Reach, Refused,
    Role, Whom, may, refuse, text,
};
use super::PURGE_SECONDS_MAX;
use crate::id::{ConnId, Millis, RoomId};
use smol_str::{SmolStr, ToSmolStr, format_smolstr};
use std::net::IpAddr;

/// Bans and mutes that there may be.
const SANCTIONS_MAX: usize = 50_000;

/// Whom a sanction is about, once it is known.
struct Target {
    subjects: Vec<Subject>,
    /// As a room is shown it, and the audit log has it.
    shown: SmolStr,
    kind: TargetKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TargetKind {
    Nick,
    Account,
    /// Which no room is shown.
    Address,
}

/// Where a sanction is to hold, and how high its author stands there.
struct Place {
    room: Option<RoomId>,
    scope: Scope,
    actor: Role,
    action: Action,
}

impl Chat {
    /// Bans or mutes. `room` is the one of the command, unless it is about the server.
    pub(in super::super) fn sanction(
        &mut self,
        id: ConnId,
        room: Option<RoomId>,
        order: &Order<'_>,
        now: Now,
        effects: &mut Effects,
    ) {
        let place = self.place(id, room, order.kind, order.reach);
        let target = self.target(id, &place, order, now.address);
        let target = target.and_then(|target| Ok((self.purged(id, &place, order)?, target)));
        match target {
            Ok((purge, target)) => {
                self.impose(id, &place, order, &target, now, effects);
                // Before the banned members are gone, and behind the change, whose number is given.
                let is_end = |effect: &Effect| matches!(effect, Effect::Enforce { .. });
                let end = effects.iter().position(is_end).unwrap_or(effects.len());
                if let Some(purge) = purge {
                    effects.insert(end, purge);
                }
            }
            Err(why) => effects.push(refuse(id, why)),
        }
    }

    /// What is to be deleted with a ban, if that is wanted.
    fn purged(
        &self,
        id: ConnId,
        place: &Place,
        order: &Order<'_>,
    ) -> Result<Option<Effect>, Refused> {
        let (Some(seconds), Some(room)) = (order.purge_seconds, place.room) else {
            return Ok(None);
        };
        let (Whom::Nick(nick) | Whom::Account(nick)) = order.whom else {
            return Ok(None);
        };
        let writer = self.writer(id, room, nick)?;
        Ok(Some(Effect::Purge {
            from: id,
            room,
            writer: Box::new(writer),
            seconds: seconds.min(PURGE_SECONDS_MAX),
            is_answer: false,
        }))
    }

    fn place(&self, id: ConnId, room: Option<RoomId>, kind: SanctionKind, reach: Reach) -> Place {
        let room = room.filter(|_| reach == Reach::Room);
        let name = room.and_then(|room| self.room_name(room));
        Place {
            room,
            scope: name.map_or(Scope::Server, |name| Scope::Room(name.clone())),
            actor: self.role_in(id, room),
            action: match (room, kind) {
                (None, _) => Action::BanEverywhere,
                (Some(_), SanctionKind::Ban) => Action::Ban,
                (Some(_), SanctionKind::Mute) => Action::Mute,
            },
        }
    }

    /// What a sanction is to cover.
    fn target(
        &self,
        id: ConnId,
        place: &Place,
        order: &Order<'_>,
        own_address: Option<IpAddr>,
    ) -> Result<Target, Refused> {
        if !may(place.actor, place.action, None) {
            return Err(Refused::NotAllowed);
        }
        if self.registry.sanction_count() >= SANCTIONS_MAX {
            return Err(Refused::TooManySanctions);
        }
        match order.whom {
            Whom::Nick(nick) => {
                // An address of one's own would shut out its owner.
                let address = order.address.filter(|address| {
                    Some(*address) != own_address && !address.to_canonical().is_loopback()
                });
                self.target_of_nick(id, place, nick, address)
            }
            Whom::Account(name) => self.target_of_account(id, place, name),
            Whom::Address(prefix) => {
                let prefix = subscriber(prefix);
                if own_address.is_some_and(|own| prefix.contains(own)) {
                    return Err(Refused::Oneself);
                }
                Ok(Target {
                    subjects: vec![Subject::Address(prefix)],
                    shown: prefix.to_smolstr(),
                    kind: TargetKind::Address,
                })
            }
        }
    }

    /// A nick, and of a user who has it the account, or else the address.
    fn target_of_nick(
        &self,
        id: ConnId,
        place: &Place,
        wanted: &str,
        address: Option<IpAddr>,
    ) -> Result<Target, Refused> {
        let nick = Nick::parse(wanted).map_err(|why| Refused::NoNick {
            nick: text::excerpt(wanted),
            why,
        })?;
        let mut shown = nick.as_smol_str().clone();
        let mut subjects = Vec::new();
        let mut is_guest = false;
        for owner in self.owners_of(&nick) {
            let Some(user) = self.user(owner) else {
                continue;
            };
            if self.is_oneself(id, owner) {
                return Err(Refused::Oneself);
            }
            shown = user.nick.as_smol_str().clone();
            self.may_do_to(place, self.role_in(owner, place.room), &shown)?;
            match user.account {
                Some(account) => subjects.push(Subject::Account(account)),
                None => is_guest = true,
            }
        }
        if let Some(operator) = self.operator_elsewhere(&nick) {
            self.may_do_to(place, Role::Admin, operator.as_str())?;
        }
        // A name that an account has reserved, and that no user has now.
        let reserved = self.registry.account_like(&nick);
        if let Some(account) = reserved
            && !subjects.contains(&Subject::Account(account.id))
        {
            let role = self.role_of_account(account.id, &place.scope);
            self.may_do_to(place, role, &account.name)?;
            subjects.push(Subject::Account(account.id));
        }
        for subject in &subjects {
            self.leaves_an_owner(place, subject)?;
        }
        subjects.insert(0, Subject::Nick(shown.clone()));
        if is_guest && let Some(address) = address {
            subjects.push(Subject::Address(subscriber(Prefix::new(address, 128))));
        }
        Ok(Target {
            subjects,
            shown,
            kind: TargetKind::Nick,
        })
    }

    fn target_of_account(&self, id: ConnId, place: &Place, name: &str) -> Result<Target, Refused> {
        let nick = Nick::parse(name).ok();
        let account = nick.and_then(|nick| self.registry.account_like(&nick));
        let Some(account) = account else {
            let name = text::excerpt(name);
            return Err(Refused::NoSuchAccount { name });
        };
        if self.user(id).and_then(|user| user.account) == Some(account.id) {
            return Err(Refused::Oneself);
        }
        let role = self.role_of_account(account.id, &place.scope);
        self.may_do_to(place, role, &account.name)?;
        let subject = Subject::Account(account.id);
        self.leaves_an_owner(place, &subject)?;
        Ok(Target {
            subjects: vec![subject],
            shown: account.name.clone(),
            kind: TargetKind::Account,
        })
    }

    /// Whether another connection has the same user: of an account, any of its own.
    pub(super) fn is_oneself(&self, id: ConnId, other: ConnId) -> bool {
        let account = self.account_of(id);
        other == id || account.is_some() && account == self.account_of(other)
    }

    fn may_do_to(&self, place: &Place, role: Role, nick: &str) -> Result<(), Refused> {
        if may(place.actor, place.action, Some(role)) {
            return Ok(());
        }
        let nick = nick.to_owned();
        Err(Refused::Outranked { nick })
    }

    /// A room whose only owner is kept out would have none.
    fn leaves_an_owner(&self, place: &Place, subject: &Subject) -> Result<(), Refused> {
        match subject {
            Subject::Account(account) if self.is_only_one(&place.scope, *account, Role::Owner) => {
                Err(Refused::OnlyOwner)
            }
            _ => Ok(()),
        }
    }

    fn impose(
        &mut self,
        id: ConnId,
        place: &Place,
        order: &Order<'_>,
        target: &Target,
        now: Now,
        effects: &mut Effects,
    ) {
        let by = self.nick_of(id).map(|nick| nick.as_smol_str().clone());
        let (by, known_as) = (by.unwrap_or_default(), self.known_as(id));
        let reason = SmolStr::from(text::remark(order.reason));
        let until = order.seconds.map(|seconds| end(now.wall, seconds));
        let at = self.moment(now.wall);
        let sanctions = target.subjects.iter().map(|subject| Sanction {
            scope: place.scope.clone(),
            kind: order.kind,
            subject: subject.clone(),
            until,
            by: known_as.clone(),
            at,
            reason: reason.clone(),
        });
        let sanctions: Vec<Sanction> = sanctions.collect();
        let audit = Audit {
            action: action_name(order.kind, false),
            by: known_as,
            room: place.room_name(),
            target: target.audited(),
            detail: reason.clone(),
            until,
        };
        let forgets = self.replaced(place, order.kind, target);
        let puts = sanctions.iter().cloned().map(Fact::Sanction).collect();
        let change = self.registry.propose(now.wall, puts, forgets, Some(audit));
        let shown_room = place.room.filter(|_| target.kind != TargetKind::Address);
        effects.push(Effect::Change {
            change: Box::new(change),
            to: Some(id),
            event: shown_room
                .is_none()
                .then(|| Event::Done(sentence(order.kind, &target.audited(), until))),
        });
        if let Some(room) = shown_room {
            let act = match (order.kind, target.kind == TargetKind::Account) {
                (SanctionKind::Ban, false) => Act::Ban,
                (SanctionKind::Ban, true) => Act::BanAccount,
                (SanctionKind::Mute, false) => Act::Mute,
                (SanctionKind::Mute, true) => Act::MuteAccount,
            };
            let nick = target.shown.clone();
            effects.push(act_in(room, id, nick, (act, &by, &reason, until)));
        }
        if order.kind == SanctionKind::Ban {
            effects.extend(sanctions.into_iter().map(|ban| Effect::Enforce {
                room: place.room,
                ban: Box::new(ban),
            }));
        }
    }

    /// What a new sanction takes the place of: those about the same nick or account, with all that
    /// they cover.
    fn replaced(&self, place: &Place, kind: SanctionKind, target: &Target) -> Vec<FactKey> {
        let scope = &place.scope;
        let mut keys = Vec::new();
        for subject in &target.subjects {
            let earlier = match subject {
                Subject::Nick(nick) => Nick::parse(nick).map_or_else(
                    |_| Vec::new(),
                    |nick| self.registry.sanctions_of_nick(scope, kind, &nick),
                ),
                Subject::Account(_) => vec![subject.clone()],
                Subject::Address(_) => Vec::new(),
            };
            let earlier = earlier.iter();
            for found in earlier.filter_map(|one| self.registry.sanction(scope, kind, one)) {
                let together = self.registry.imposed_at(scope, kind, found.at);
                keys.extend(together.map(Sanction::key));
            }
        }
        keys
    }

    /// Lifts bans or mutes: all that are about a nick or one that looks like it, with what they
    /// cover besides.
    pub(in super::super) fn lift(
        &mut self,
        id: ConnId,
        room: Option<RoomId>,
        (kind, reach, whom): (SanctionKind, Reach, Whom<'_>),
        now: Now,
        effects: &mut Effects,
    ) {
        let place = self.place(id, room, kind, reach);
        let (keys, target) = match self.lifted(id, &place, kind, whom, now) {
            Ok(lifted) => lifted,
            Err(why) => return effects.push(refuse(id, why)),
        };
        let by = self.nick_of(id).map(|nick| nick.as_smol_str().clone());
        let audit = Audit {
            action: action_name(kind, true),
            by: self.known_as(id),
            room: place.room_name(),
            target: target.audited(),
            detail: SmolStr::default(),
            until: None,
        };
        let change = self
            .registry
            .propose(now.wall, Vec::new(), keys, Some(audit));
        let shown_room = place.room.filter(|_| target.kind != TargetKind::Address);
        effects.push(Effect::Change {
            change: Box::new(change),
            to: Some(id),
            event: shown_room.is_none().then(|| {
                let done = if kind == SanctionKind::Ban {
                    "banned"
                } else {
                    "muted"
                };
                Event::Done(format!("{} is not {done} any more", target.audited()))
            }),
        });
        if let Some(room) = shown_room {
            let act = match (kind, target.kind == TargetKind::Account) {
                (SanctionKind::Ban, false) => Act::Unban,
                (SanctionKind::Ban, true) => Act::UnbanAccount,
                (SanctionKind::Mute, false) => Act::Unmute,
                (SanctionKind::Mute, true) => Act::UnmuteAccount,
            };
            let by = by.unwrap_or_default();
            effects.push(act_in(room, id, target.shown, (act, &by, "", None)));
        }
    }

    /// What is to be forgotten.
    fn lifted(
        &self,
        id: ConnId,
        place: &Place,
        kind: SanctionKind,
        whom: Whom<'_>,
        now: Now,
    ) -> Result<(Vec<FactKey>, Target), Refused> {
        if !may(place.actor, place.action, None) {
            return Err(Refused::NotAllowed);
        }
        let user = self.user(id);
        let (subjects, shown, target_kind) = match whom {
            Whom::Nick(wanted) => {
                let nick = Nick::parse(wanted).map_err(|why| Refused::NoNick {
                    nick: text::excerpt(wanted),
                    why,
                })?;
                // A muted moderator must not lift that mute.
                if self
                    .owners_of(&nick)
                    .any(|owner| self.is_oneself(id, owner))
                {
                    return Err(Refused::Oneself);
                }
                let subjects = self.registry.sanctions_of_nick(&place.scope, kind, &nick);
                let shown = nick.as_smol_str().clone();
                (subjects, shown, TargetKind::Nick)
            }
            Whom::Account(name) => {
                let nick = Nick::parse(name).ok();
                let account = nick.and_then(|nick| self.registry.account_like(&nick));
                let Some(account) = account else {
                    let name = text::excerpt(name);
                    return Err(Refused::NoSuchAccount { name });
                };
                if user.and_then(|user| user.account) == Some(account.id) {
                    return Err(Refused::Oneself);
                }
                let subjects = vec![Subject::Account(account.id)];
                (subjects, account.name.clone(), TargetKind::Account)
            }
            Whom::Address(prefix) => {
                let prefix = subscriber(prefix);
                let subjects = vec![Subject::Address(prefix)];
                (subjects, prefix.to_smolstr(), TargetKind::Address)
            }
        };
        let mut keys = Vec::new();
        for subject in &subjects {
            let found = self.registry.sanction(&place.scope, kind, subject);
            let Some(found) = found.filter(|found| found.holds(now.wall)) else {
                continue;
            };
            for sibling in self.registry.imposed_at(&place.scope, kind, found.at) {
                let key = sibling.key();
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        if keys.is_empty() {
            return Err(Refused::NoSuchSanction);
        }
        let target = Target {
            subjects,
            shown,
            kind: target_kind,
        };
        Ok((keys, target))
    }

    /// When something is done to keep order: a moment at which nothing else is, so that what was
    /// imposed at once can be told from the rest.
    fn moment(&mut self, wall: Millis) -> Millis {
        self.last_act = Millis(wall.0.max(self.last_act.0 + 1));
        self.last_act
    }
}

impl Place {
    fn room_name(&self) -> Option<SmolStr> {
        match &self.scope {
            Scope::Server => None,
            Scope::Room(name) => Some(name.clone()),
        }
    }
}

impl Target {
    /// As the audit log has it.
    fn audited(&self) -> SmolStr {
        match self.kind {
            TargetKind::Nick | TargetKind::Address => self.shown.clone(),
            TargetKind::Account => format_smolstr!("@{}", self.shown),
        }
    }
}

/// The prefix that is known of a client's address: of IPv6 the first half.
fn subscriber(prefix: Prefix) -> Prefix {
    let most = if prefix.address.is_ipv4() { 32 } else { 64 };
    Prefix::new(prefix.address, prefix.bits.min(most))
}

/// The end of what lasts for so many seconds: a whole second, as entries have it.
fn end(wall: Millis, seconds: u32) -> Millis {
    Millis((wall.0.div_ceil(1000) + u64::from(seconds)) * 1000)
}

fn action_name(kind: SanctionKind, is_lifted: bool) -> SmolStr {
    SmolStr::new_static(match (kind, is_lifted) {
        (SanctionKind::Ban, false) => "ban",
        (SanctionKind::Ban, true) => "unban",
        (SanctionKind::Mute, false) => "mute",
        (SanctionKind::Mute, true) => "unmute",
    })
}

fn sentence(kind: SanctionKind, target: &str, until: Option<Millis>) -> String {
    let done = match kind {
        SanctionKind::Ban => "banned",
        SanctionKind::Mute => "muted",
    };
    match until {
        Some(until) => format!("{target} is {done} until {until}"),
        None => format!("{target} is {done}"),
    }
}

/// Asks for an entry about an act.
pub(in super::super) fn act_in(
    room: RoomId,
    from: ConnId,
    nick: SmolStr,
    (act, by, detail, until): (Act, &str, &str, Option<Millis>),
) -> Effect {
    let content = Content::Act {
        act,
        by: by.to_owned(),
        detail: detail.to_owned(),
        until: until.and_then(|until| u32::try_from(until.unix_seconds()).ok()),
    };
    Effect::Append {
        room,
        from,
        draft: Draft { nick, content },
    }
}
