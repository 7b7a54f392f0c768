//! Accounts: users register, log in and out, and are one person to their rooms however many
//! connections they have. Knows no password and no token: who calls has verified them. What changes
//! is changed in the registry at once, and answered when it is kept.

mod elsewhere;
mod leaving;
mod made;
mod person;

use super::registry::{Account, AccountSession, Change, Conversation, Fact, FactKey, Scope};
use super::{
    AccountReport, Chat, Effect, Effects, Event, Farewell, Nick, NickRefused, Refused, Role,
    refuse, reply, text,
};
use crate::id::{AccountId, ConnId, Millis, Tick};
use made::by_operator;
use smol_str::SmolStr;

/// Sessions of one account; one more ends the one that was longest not used.
pub const SESSIONS_MAX: usize = 16;

/// A session that is not used for so long ends: 30 days.
pub const SESSION_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// A session is noted to be in use once in so long: a change for each return would wear the disk.
const SEEN_MS: u64 = 24 * 60 * 60 * 1000;

/// A session that a login begins. The connection has it from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    pub number: u64,
    /// The secret to resume with, to be shown to the client.
    pub token: SmolStr,
}

/// How a user got into its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Registered,
    LoggedIn,
}

impl Chat {
    pub fn account_of(&self, id: ConnId) -> Option<AccountId> {
        self.user(id)?.account
    }

    /// The name of the account that a user is logged in to.
    pub fn account_name(&self, id: ConnId) -> Option<&SmolStr> {
        let account = self.registry.account(self.account_of(id)?)?;
        Some(&account.name)
    }

    /// Whether a user may register a name. The same is asked again by [`Chat::register`].
    ///
    /// # Errors
    /// Why not.
    pub fn may_register(&self, id: ConnId, name: &str) -> Result<Nick, Refused> {
        if let Some(account) = self.account_name(id) {
            let account = account.clone();
            return Err(Refused::IsLoggedIn { account });
        }
        let kept = || {
            let kept = self.nick_of(id).cloned();
            kept.ok_or(Refused::NotLoggedIn)
        };
        let nick = match Nick::parse(name) {
            Ok(nick) => nick,
            Err(why) => {
                let wanted = text::excerpt(name);
                return Err(Refused::Nick {
                    wanted,
                    why,
                    kept: kept()?,
                });
            }
        };
        if self.registry.account_of_nick(&nick).is_some() {
            let name = nick.as_smol_str().clone();
            return Err(Refused::AccountTaken { name });
        }
        if self.owners_of(&nick).any(|owner| owner != id) {
            return Err(Refused::Nick {
                wanted: nick.as_str().to_owned(),
                why: NickRefused::Taken,
                kept: kept()?,
            });
        }
        if self.registry.account_count() >= self.accounts_max {
            return Err(Refused::TooManyAccounts);
        }
        Ok(nick)
    }

    /// Makes an account and logs the user in to it. `password`: the hash.
    pub fn register(
        &mut self,
        id: ConnId,
        name: &str,
        password: SmolStr,
        session: Option<NewSession>,
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) {
        let nick = match self.may_register(id, name) {
            Ok(nick) => nick,
            Err(why) => return effects.push(refuse(id, why)),
        };
        let Some(account) = self.registry.next_account() else {
            return effects.push(refuse(id, Refused::TooManyAccounts));
        };
        let made = Account {
            id: account,
            name: nick.as_smol_str().clone(),
            password: Some(password),
            token_subject: None,
            created: wall,
        };
        let puts = vec![Fact::Account(made)];
        self.admit(
            id,
            account,
            How::Registered,
            (session, puts),
            (now, wall),
            effects,
        );
    }

    /// Logs a user in to an account whose password or token was right. One that is in it already is
    /// answered as the first time.
    pub fn log_in(
        &mut self,
        id: ConnId,
        account: AccountId,
        session: Option<NewSession>,
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) {
        if self
            .account_of(id)
            .is_some_and(|already| already != account)
        {
            let account = self.account_name(id).cloned().unwrap_or_default();
            return effects.push(refuse(id, Refused::IsLoggedIn { account }));
        }
        let new = (session, Vec::new());
        self.admit(id, account, How::LoggedIn, new, (now, wall), effects);
    }

    /// A returning client has a session: if it is one of an account, the user is logged in to it.
    pub fn resume_account(
        &mut self,
        id: ConnId,
        session: u64,
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) {
        let Some(known) = self.registry.session(session).copied() else {
            return;
        };
        if self.account_of(id).is_some() || self.registry.account(known.account).is_none() {
            return;
        }
        let silent = wall.0.saturating_sub(known.seen.0);
        if silent >= SESSION_MS {
            let forgets = vec![FactKey::Session(session)];
            return self.change(Vec::new(), forgets, (None, wall), effects);
        }
        if silent >= SEEN_MS {
            let seen = Fact::Session(AccountSession {
                seen: wall,
                ..known
            });
            self.change(vec![seen], Vec::new(), (None, wall), effects);
        }
        self.enter_account(id, known.account, now, effects);
    }

    /// A user goes on as a guest. `session`: the one that it has, which ends; `new`: the one that it
    /// has from here on.
    pub fn log_out(
        &mut self,
        id: ConnId,
        session: Option<u64>,
        new: Option<NewSession>,
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) {
        if self.account_of(id).is_none() {
            return effects.push(refuse(id, Refused::NotLoggedIn));
        }
        self.leave_account(id, now, effects);
        let Some(nick) = self.nick_of(id).cloned() else {
            return;
        };
        let event = Event::LoggedOut {
            nick,
            session: new.map(|session| session.token),
        };
        let session = session.filter(|session| self.registry.session(*session).is_some());
        match session {
            Some(session) => {
                let forgets = vec![FactKey::Session(session)];
                self.change(Vec::new(), forgets, (Some((id, event)), wall), effects);
            }
            None => effects.push(reply(id, event)),
        }
    }

    /// The password of an account changes, to one with this hash. All sessions but `kept` end, and
    /// all connections but the one that asked. `id`: `None` if an operator asks.
    pub fn change_password(
        &mut self,
        account: AccountId,
        password: SmolStr,
        (id, kept): (Option<ConnId>, Option<u64>),
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) {
        let Some(known) = self.registry.account(account) else {
            return;
        };
        let changed = Account {
            password: Some(password),
            ..known.clone()
        };
        let sessions = self.registry.sessions_of(account).iter();
        let ended = sessions.filter(|session| Some(**session) != kept);
        let forgets = ended.map(|session| FactKey::Session(*session)).collect();
        self.end_connections(account, id, now, effects);
        let name = changed.name.clone();
        let puts = vec![Fact::Account(changed)];
        match id {
            Some(id) => {
                let answer = Some((id, Event::PasswordChanged));
                self.change(puts, forgets, (answer, wall), effects);
            }
            None => {
                let audit = by_operator("password", &name, "");
                self.change_noted(puts, forgets, audit, wall, effects);
            }
        }
    }

    /// An account is gone, with all that names it. Its connections end, but for the one that asked,
    /// which keeps the nick as a guest.
    pub fn remove_account(
        &mut self,
        account: AccountId,
        id: Option<ConnId>,
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) {
        self.end_account(account, effects);
        self.end_connections(account, id, now, effects);
        if let Some(user) = id.and_then(|id| self.user_mut(id)) {
            user.account = None;
        }
        if let Some(id) = id {
            self.online.remove(account, id);
            self.is_other_person(id);
        }
        let forgets = self.registry.facts_of(account);
        let puts = self.sanctions_left_by(account, &forgets, wall);
        let name = self
            .registry
            .account(account)
            .map(|known| known.name.clone());
        match id {
            Some(id) => {
                let answer = Some((id, Event::Unregistered));
                self.change(puts, forgets, (answer, wall), effects);
            }
            None => {
                let audit = by_operator("account_deleted", &name.unwrap_or_default(), "");
                self.change_noted(puts, forgets, audit, wall, effects);
            }
        }
    }

    /// All connections of an account.
    pub fn connections_of_account(&self, account: AccountId) -> &[ConnId] {
        self.online.of(account)
    }

    /// All that is kept of an account, for whom it belongs to.
    pub fn report_account(&self, account: AccountId) -> Option<AccountReport> {
        let known = self.registry.account(account)?;
        let seen = |session: &u64| self.registry.session(*session).map(|one| one.seen);
        let other = |known: &Conversation| {
            let mut both = known.accounts.iter();
            let other = both.find(|other| **other != account)?;
            Some(self.registry.account(*other)?.name.clone())
        };
        Some(AccountReport {
            name: known.name.clone(),
            created: known.created,
            has_password: known.password.is_some(),
            token_subject: known.token_subject.clone(),
            sessions: self
                .registry
                .sessions_of(account)
                .iter()
                .filter_map(seen)
                .collect(),
            roles: self.registry.roles_of(account),
            conversations: self
                .registry
                .conversations_of(account)
                .filter_map(other)
                .collect(),
            ignored: self.ignored_by_account(account),
            connections: self.online.of(account).len() as u32,
        })
    }

    /// The roles that an account has on the server.
    pub fn server_roles(&self, account: AccountId) -> Vec<Role> {
        let roles = self.registry.roles_of(account).into_iter();
        let of_server = roles.filter(|(scope, _)| *scope == Scope::Server);
        of_server.map(|(_, role)| role).collect()
    }

    // What these share

    /// Makes a change and has it kept.
    pub(super) fn change(
        &mut self,
        puts: Vec<Fact>,
        forgets: Vec<FactKey>,
        (answer, wall): (Option<(ConnId, Event)>, Millis),
        effects: &mut Effects,
    ) {
        let change = self.registry.change(wall, puts, forgets, None);
        effects.push(keep(change, answer));
    }

    /// The user is in its account from here on, and is answered when the session is kept.
    fn admit(
        &mut self,
        id: ConnId,
        account: AccountId,
        how: How,
        (session, mut puts): (Option<NewSession>, Vec<Fact>),
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) {
        if self.user(id).is_none() {
            return;
        }
        let mut forgets = Vec::new();
        if let Some(session) = &session {
            let sessions = self.registry.sessions_of(account);
            let beyond = (sessions.len() + 1).saturating_sub(SESSIONS_MAX);
            forgets.extend(sessions[..beyond].iter().copied().map(FactKey::Session));
            puts.push(Fact::Session(AccountSession {
                session: session.number,
                account,
                seen: wall,
            }));
        }
        let name = puts.iter().find_map(|fact| match fact {
            Fact::Account(account) => Some(account.name.clone()),
            _ => None,
        });
        let known = || {
            self.registry
                .account(account)
                .map(|known| known.name.clone())
        };
        let Some(name) = name.or_else(known) else {
            return;
        };
        let event = Event::LoggedIn {
            nick: name.clone(),
            account: name,
            roles: self.server_roles(account),
            session: session.map(|session| session.token),
            is_new: how == How::Registered,
        };
        if puts.is_empty() && forgets.is_empty() {
            self.enter_account(id, account, now, effects);
            return effects.push(reply(id, event));
        }
        let change = self.registry.change(wall, puts, forgets, None);
        self.enter_account(id, account, now, effects);
        effects.push(keep(change, Some((id, event))));
    }

    /// Connections of an account end, all but one. The rooms of each have been settled.
    fn end_connections(
        &mut self,
        account: AccountId,
        except: Option<ConnId>,
        now: Tick,
        effects: &mut Effects,
    ) {
        let all = self.online.of(account).iter().copied();
        let others: Vec<ConnId> = all.filter(|other| Some(*other) != except).collect();
        for id in others {
            self.depart(id, "", now, effects);
            effects.push(Effect::Close {
                id,
                why: Farewell::LoggedOut,
            });
        }
    }
}

/// Has a change kept, and a user answered then.
pub(super) fn keep(change: Change, answer: Option<(ConnId, Event)>) -> Effect {
    let (to, event) = answer.map_or((None, None), |(to, event)| (Some(to), Some(event)));
    Effect::Change {
        change: Box::new(change),
        to,
        event,
    }
}
