//! Accounts: users register, log in and out, and are one person to their rooms however many
//! connections they have. Knows no password and no token: who calls has verified them. What changes
//! is changed in the registry at once, and answered when it is kept.

use super::online::CONNECTIONS_MAX;
use super::registry::{Account, AccountSession, Change, Fact, FactKey, Scope};
use super::room::Notice;
use super::{
    AccountReport, Chat, Effect, Effects, Event, Farewell, Nick, NickRefused, Refused, Role,
    notice, refuse, reply, tell, text,
};
use crate::id::{AccountId, ConnId, Millis, RoomId, Tick};
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

    /// Logs a user in to an account whose password or token was right.
    pub fn log_in(
        &mut self,
        id: ConnId,
        account: AccountId,
        session: Option<NewSession>,
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) {
        if let Some(account) = self.account_name(id) {
            let account = account.clone();
            return effects.push(refuse(id, Refused::IsLoggedIn { account }));
        }
        let new = (session, Vec::new());
        self.admit(id, account, How::LoggedIn, new, (now, wall), effects);
    }

    /// The account of whom a signed token calls `subject`: the one that there is, or a new one with
    /// this nick or one like it. `None`: there are too many.
    pub fn account_for_token(
        &mut self,
        subject: &str,
        nick: &str,
        wall: Millis,
        effects: &mut Effects,
    ) -> Option<AccountId> {
        if let Some(account) = self.registry.account_of_subject(subject) {
            return Some(account);
        }
        if self.registry.account_count() >= self.accounts_max {
            return None;
        }
        let account = self.registry.next_account()?;
        let made = Account {
            id: account,
            name: self.nick_for_token(nick, account),
            password: None,
            token_subject: Some(SmolStr::new(subject)),
            created: wall,
        };
        self.change(vec![Fact::Account(made)], Vec::new(), (None, wall), effects);
        Some(account)
    }

    /// Makes an account for an operator, whoever wears its name: a guest who does loses it.
    ///
    /// # Errors
    /// The name is an account's, or cannot be one.
    pub fn add_account(
        &mut self,
        name: &str,
        password: Option<SmolStr>,
        role: Option<Role>,
        wall: Millis,
        effects: &mut Effects,
    ) -> Result<AccountId, String> {
        let nick = Nick::parse(name).map_err(|why| format!("the name cannot be one: {why}"))?;
        if self.registry.account_of_nick(&nick).is_some() {
            return Err(format!(
                "{nick} is registered, or a name that looks like it"
            ));
        }
        let full = || String::from("there are too many accounts");
        if self.registry.account_count() >= self.accounts_max {
            return Err(full());
        }
        let account = self.registry.next_account().ok_or_else(full)?;
        let mut puts = vec![Fact::Account(Account {
            id: account,
            name: nick.as_smol_str().clone(),
            password,
            token_subject: None,
            created: wall,
        })];
        let scope = Scope::Server;
        puts.extend(role.map(|role| Fact::Role {
            scope,
            account,
            role,
        }));
        self.change(puts, Vec::new(), (None, wall), effects);
        self.take_from_guests(&nick, None, effects);
        Ok(account)
    }

    /// The nick that a token wants, if it can be one and is free, else one that can be recognised.
    fn nick_for_token(&self, wanted: &str, account: AccountId) -> SmolStr {
        let is_free = |nick: &Nick| {
            self.registry.account_of_nick(nick).is_none() && self.owners_of(nick).next().is_none()
        };
        let wanted = Nick::parse(wanted).ok();
        let base = wanted.as_ref().map_or("user", Nick::as_str);
        let alike = (2..10).map(|number| format!("{base}-{number}"));
        // There are fewer accounts and users than numbers.
        let made_up = (1_u64..).map(|number| format!("user-{}-{number}", account.0.get()));
        let others = alike.chain(made_up);
        let others = others.filter_map(|name| Nick::parse(&name).ok());
        let free = wanted.iter().cloned().chain(others).find(is_free);
        free.map(|nick| nick.as_smol_str().clone())
            .unwrap_or_default()
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
        let answer = id.map(|id| (id, Event::PasswordChanged));
        let puts = vec![Fact::Account(changed)];
        self.change(puts, forgets, (answer, wall), effects);
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
        self.end_connections(account, id, now, effects);
        if let Some(user) = id.and_then(|id| self.user_mut(id)) {
            user.account = None;
        }
        if let Some(id) = id {
            self.online.remove(account, id);
        }
        let forgets = self.registry.facts_of(account);
        let answer = id.map(|id| (id, Event::Unregistered));
        self.change(Vec::new(), forgets, (answer, wall), effects);
    }

    /// The roles on the server that a signed token gives an account: these and no others.
    pub fn set_token_roles(
        &mut self,
        account: AccountId,
        roles: &[String],
        wall: Millis,
        effects: &mut Effects,
    ) {
        let mut of_server = [Role::ServerModerator, Role::Admin].into_iter();
        let wanted = of_server.rfind(|role| roles.iter().any(|name| name == role.name()));
        if self.server_roles(account).first().copied() == wanted {
            return;
        }
        let scope = Scope::Server;
        let (puts, forgets) = match wanted {
            Some(role) => {
                let fact = Fact::Role {
                    scope,
                    account,
                    role,
                };
                (vec![fact], Vec::new())
            }
            None => (Vec::new(), vec![FactKey::Role { scope, account }]),
        };
        self.change(puts, forgets, (None, wall), effects);
    }

    /// All connections of an account.
    pub fn connections_of_account(&self, account: AccountId) -> &[ConnId] {
        self.online.of(account)
    }

    /// All that is kept of an account, for whom it belongs to.
    pub fn report_account(&self, account: AccountId) -> Option<AccountReport> {
        let known = self.registry.account(account)?;
        let seen = |session: &u64| self.registry.session(*session).map(|one| one.seen);
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
    fn change(
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

    /// Gives a user its account and the account's nick. Guests that wear that nick lose it.
    pub(super) fn enter_account(
        &mut self,
        id: ConnId,
        account: AccountId,
        now: Tick,
        effects: &mut Effects,
    ) {
        let name = self
            .registry
            .account(account)
            .map(|known| known.name.clone());
        let Some(nick) = name.and_then(|name| Nick::parse(&name).ok()) else {
            return;
        };
        self.take_from_guests(&nick, Some(id), effects);
        let Some(user) = self.user_mut(id) else {
            return;
        };
        user.account = Some(account);
        let old = std::mem::replace(&mut user.nick, nick.clone());
        self.leave_names(&old, id);
        if self.online.of(account).is_empty() {
            self.enter_names(&nick, id);
        }
        self.online.add(account, id);
        self.is_one_person_more(id, &old, now, effects);
        if self.online.of(account).len() > CONNECTIONS_MAX {
            let oldest = self.online.of(account)[0];
            effects.push(Effect::Close {
                id: oldest,
                why: Farewell::Replaced,
            });
        }
    }

    /// The user is a guest with a made-up nick from here on.
    fn leave_account(&mut self, id: ConnId, now: Tick, effects: &mut Effects) {
        let Some(account) = self.user_mut(id).and_then(|user| user.account.take()) else {
            return;
        };
        let rooms: Vec<RoomId> = self.rooms_of(id).collect();
        for room in &rooms {
            if self.is_elsewhere(account, id, *room)
                && let Some(room) = self.rooms.get_mut(*room)
            {
                room.doubles -= 1;
            }
        }
        self.leave_online(account, id);
        let nick = self.made_up_nick();
        let Some(user) = self.user_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut user.nick, nick.clone());
        self.enter_names(&nick, id);
        for room in rooms {
            if self.is_elsewhere(account, id, room) {
                self.announce_joined(id, room, now, effects);
            } else {
                self.announce_renamed(room, &old, &nick, effects);
            }
        }
    }

    /// A connection leaves the list of its account. The nick in the table of names becomes the next
    /// one's, or is free.
    pub(super) fn leave_online(&mut self, account: AccountId, id: ConnId) {
        let had_names = self.online.of(account).first() == Some(&id);
        self.online.remove(account, id);
        let Some(nick) = self.nick_of(id).cloned().filter(|_| had_names) else {
            return;
        };
        self.leave_names(&nick, id);
        if let Some(next) = self.online.of(account).first().copied() {
            self.enter_names(&nick, next);
        }
    }

    /// The rooms of a user see that it is the account: as another nick, or, where another
    /// connection of the account is there, as a guest that is gone.
    fn is_one_person_more(&mut self, id: ConnId, old: &Nick, now: Tick, effects: &mut Effects) {
        let (Some(account), Some(nick)) = (self.account_of(id), self.nick_of(id).cloned()) else {
            return;
        };
        let rooms: Vec<RoomId> = self.rooms_of(id).collect();
        for room in rooms {
            if !self.is_elsewhere(account, id, room) {
                if *old != nick {
                    self.announce_renamed(room, old, &nick, effects);
                }
                continue;
            }
            if let Some(room) = self.rooms.get_mut(room) {
                room.doubles += 1;
            }
            self.announce_left(room, old, "", now, effects);
        }
    }

    /// Other users with this nick, or one that looks like it, are guests: they get a made-up one.
    pub(super) fn take_from_guests(
        &mut self,
        nick: &Nick,
        owner: Option<ConnId>,
        effects: &mut Effects,
    ) {
        let guests: Vec<ConnId> = self
            .owners_of(nick)
            .filter(|wearer| Some(*wearer) != owner && self.account_of(*wearer).is_none())
            .collect();
        for guest in guests {
            let kept = self.made_up_nick();
            let Some(user) = self.user_mut(guest) else {
                continue;
            };
            let old = std::mem::replace(&mut user.nick, kept.clone());
            self.leave_names(&old, guest);
            self.enter_names(&kept, guest);
            let rooms: Vec<RoomId> = self.rooms_of(guest).collect();
            for room in rooms {
                self.announce_renamed(room, &old, &kept, effects);
            }
            let event = Event::Refused(Refused::Nick {
                wanted: old.as_str().to_owned(),
                why: NickRefused::Reserved,
                kept,
            });
            effects.push(tell(guest, event));
        }
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

    /// Whether another connection of the account than this one is in the room.
    pub(super) fn is_elsewhere(&self, account: AccountId, id: ConnId, room: RoomId) -> bool {
        let mut others = self.online.of(account).iter();
        others.any(|other| *other != id && self.is_member(*other, room))
    }

    /// Whether a member is the one by which its account is listed in the room: guests always are.
    pub(super) fn is_listed(&self, id: ConnId, room: RoomId) -> bool {
        let Some(account) = self.account_of(id) else {
            return true;
        };
        let mut connections = self.online.of(account).iter();
        connections.find(|one| self.is_member(**one, room)) == Some(&id)
    }

    /// All connections of the user of this one.
    pub(super) fn connections_of(&self, id: ConnId) -> Vec<ConnId> {
        match self.account_of(id) {
            Some(account) => self.online.of(account).to_vec(),
            None => vec![id],
        }
    }

    fn announce_renamed(&self, room: RoomId, old: &Nick, new: &Nick, effects: &mut Effects) {
        if let Some(name) = self.room_name(room) {
            let event = Event::Renamed {
                room: name.clone(),
                old: old.clone(),
                new: new.clone(),
            };
            effects.push(notice(room, event));
        }
    }

    /// The others in a room see that a user left it, by itself or in a sum.
    pub(super) fn announce_left(
        &mut self,
        room: RoomId,
        nick: &Nick,
        word: &str,
        now: Tick,
        effects: &mut Effects,
    ) {
        let Some(left) = self.rooms.get_mut(room) else {
            return;
        };
        match left.member_left(now, &self.notices) {
            Notice::Single => {
                let event = Event::Left {
                    room: left.name.clone(),
                    nick: nick.clone(),
                    word: word.to_owned(),
                };
                effects.push(notice(room, event));
            }
            Notice::Summed => self.will_sum_up(room),
        }
    }

    /// The others in a room see that a user joined it, by itself or in a sum.
    pub(super) fn announce_joined(
        &mut self,
        id: ConnId,
        room: RoomId,
        now: Tick,
        effects: &mut Effects,
    ) {
        let Some(user) = self.user(id) else {
            return;
        };
        let (nick, has_account) = (user.nick.clone(), user.account.is_some());
        let Some(joined) = self.rooms.get_mut(room) else {
            return;
        };
        match joined.member_joined(now, &self.notices) {
            Notice::Single => effects.push(Effect::Notice {
                room,
                event: Event::Joined {
                    room: joined.name.clone(),
                    nick,
                    has_account,
                },
                except: Some(id),
            }),
            Notice::Summed => self.will_sum_up(room),
        }
    }

    /// Panics if accounts and users contradict each other: a reserved nick is worn by its owner
    /// alone. For tests.
    pub(super) fn check_accounts(&self) {
        for (account, connections) in self.online.iter() {
            assert!(!connections.is_empty(), "an account without a connection");
            for id in connections {
                assert_eq!(
                    self.account_of(*id),
                    Some(account),
                    "a connection of another"
                );
            }
        }
        let listed: usize = self.online.iter().map(|(_, all)| all.len()).sum();
        let users = self.users.iter().flatten();
        let with_account = users.filter(|user| user.account.is_some());
        assert_eq!(
            with_account.count(),
            listed,
            "connections of accounts are listed"
        );
        for user in self.users.iter().flatten() {
            let reserved = self.registry.account_of_nick(&user.nick);
            assert_eq!(reserved, user.account, "{} is worn by another", user.nick);
        }
    }
}

/// Has a change kept, and a user answered then.
fn keep(change: Change, answer: Option<(ConnId, Event)>) -> Effect {
    let (to, event) = answer.map_or((None, None), |(to, event)| (Some(to), Some(event)));
    Effect::Change {
        change: Box::new(change),
        to,
        event,
    }
}
