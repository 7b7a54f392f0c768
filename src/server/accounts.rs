//! Requests about accounts: what must be verified before the chat is asked. A password goes to the
//! thread that hashes, and the connection is held until the outcome comes, so that its requests stay
//! in order. Knows what was asked, not what an account is.

use super::Server;
use super::ask::Asking;
use super::doors;
use super::guesses::Guesses;
use super::opening::Waiter;
use super::terms::Terms;
use crate::carry::{Carrier, Damaged};
use crate::chat::registry::Account;
use crate::chat::{
    AccountPolicy, Chat, Command, Effect, Effects, Event, NewSession, Nick, NickRefused, Refused,
    RoomChange, RoomName,
};
use crate::conn::Wait;
use crate::id::{AccountId, ConnId, Millis, RoomId, Tick};
use crate::net::Net;
use crate::password::{self, Outcome, Passwords, Secret, Work};
use crate::token::{Claims, TokenRefused, Verifier};
use crate::wire::{Ask, Problem, RequestId};
use crate::ws::CloseReason;
use log::warn;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::{fmt, mem};

/// Accounts that one address may register at once, and after how many ticks one more: a quarter of
/// an hour.
const REGISTRATIONS: (u32, u32) = (4, 9_000);

/// What is under way, and who may try again.
pub(super) struct Accounts {
    pub(super) policy: AccountPolicy,
    /// `None`: nothing can be hashed.
    passwords: Option<Box<dyn Passwords>>,
    /// `None`: no signed token is accepted.
    pub(super) verifier: Option<Verifier>,
    next_tag: u64,
    /// By the tag of the work; at most one of each connection.
    pending: BTreeMap<u64, Pending>,
    /// Empty between turns.
    outcomes: Vec<(u64, Outcome)>,
    logins: Guesses,
    registrations: Guesses,
    /// Passwords of rooms.
    pub(super) doors: Guesses,
    /// The nicks that clients asked for and that are those of accounts.
    wanted: BTreeMap<ConnId, String>,
    pub(super) terms: Terms,
}

/// A request that waits for the thread.
struct Pending {
    conn: ConnId,
    request: Option<RequestId>,
    step: Step,
}

/// What follows from the outcome.
pub(super) enum Step {
    Register {
        name: String,
    },
    Login {
        account: Option<Entered>,
    },
    /// The old password is verified.
    Change {
        account: Entered,
        new: Secret,
    },
    /// The new one is hashed.
    ChangeTo {
        account: Entered,
    },
    Unregister {
        account: Entered,
    },
    /// A client has shown the password of a room, of which `kept` is kept, and joins it.
    Enter {
        name: SmolStr,
        kept: SmolStr,
        waiter: Box<Waiter>,
    },
    /// The new password of a room is hashed.
    RoomPassword {
        room: RoomId,
        change: RoomChange,
    },
}

/// The account that a password was verified for. If it has another one by the time the outcome
/// comes, the outcome says nothing.
pub(super) struct Entered {
    id: AccountId,
    kept: Option<SmolStr>,
}

impl Entered {
    fn of(account: &Account) -> Self {
        Self {
            id: account.id,
            kept: account.password.clone(),
        }
    }
}

impl Accounts {
    pub(super) fn new(policy: AccountPolicy, seed: u64) -> Self {
        Self {
            policy,
            passwords: None,
            verifier: None,
            next_tag: 0,
            pending: BTreeMap::new(),
            outcomes: Vec::new(),
            logins: Guesses::new(seed),
            registrations: Guesses::with(seed, REGISTRATIONS),
            doors: Guesses::with(seed, doors::TRIES),
            wanted: BTreeMap::new(),
            terms: Terms::default(),
        }
    }

    /// Who may try again, and whose time is limited: no password is under way.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        self.logins.carry(carrier)?;
        self.registrations.carry(carrier)?;
        self.doors.carry(carrier)?;
        carrier.field(&mut self.wanted)?;
        self.terms.carry(carrier)
    }

    /// No password is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.wanted.is_empty() && self.terms.is_empty()
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.wanted.remove(&id);
        self.terms.forget(id);
        self.remove(id);
    }

    /// Hands work to the thread.
    ///
    /// # Errors
    /// The thread takes none at the moment; the step comes back.
    pub(super) fn hand_over(
        &mut self,
        conn: ConnId,
        request: Option<RequestId>,
        work: Work,
        step: Step,
    ) -> Result<(), Step> {
        let tag = self.next_tag;
        let passwords = self.passwords.as_mut();
        if passwords.is_none_or(|passwords| passwords.begin(tag, work).is_err()) {
            return Err(step);
        }
        self.next_tag += 1;
        let pending = Pending {
            conn,
            request,
            step,
        };
        self.pending.insert(tag, pending);
        Ok(())
    }

    /// Takes what a connection waits for.
    fn remove(&mut self, id: ConnId) -> Option<Pending> {
        if self.pending.is_empty() {
            return None;
        }
        let found = self.pending.iter().find(|(_, one)| one.conn == id);
        let tag = *found?.0;
        self.pending.remove(&tag)
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl<N: Net> Server<N> {
    /// Passwords are hashed and verified by this from here on. Without it, every request with one is
    /// answered with `busy`.
    pub fn use_passwords(&mut self, passwords: Box<dyn Passwords>) {
        self.accounts.passwords = Some(passwords);
    }

    /// Signed tokens are accepted from here on.
    pub fn accept_tokens(&mut self, verifier: Verifier) {
        self.accounts.verifier = Some(verifier);
    }

    /// Signed tokens are verified with this from here on, or refused.
    pub(super) fn set_verifier(&mut self, verifier: Option<Verifier>) {
        self.accounts.verifier = verifier;
    }

    /// Whether a client must log in before it may do this.
    pub(super) fn must_log_in(&self, id: ConnId, ask: &Ask<'_>) -> bool {
        if self.accounts.policy != AccountPolicy::Required
            || self.talk.chat().account_of(id).is_some()
        {
            return false;
        }
        !matches!(
            ask,
            Ask::Register { .. }
                | Ask::Login { .. }
                | Ask::LoginByToken { .. }
                | Ask::Logout
                | Ask::Account
                | Ask::Resume { .. }
                | Ask::Ping
                | Ask::Bad(_)
                | Ask::Secret
                | Ask::Chat(
                    Command::Help
                        | Command::Quit(_)
                        | Command::Unknown { .. }
                        | Command::Incomplete { .. }
                )
        )
    }

    pub(super) fn ask_account(&mut self, id: ConnId, ask: &Ask<'_>, now: Tick) {
        match *ask {
            Ask::Register { account, password } => self.begin_register(id, account, password, now),
            Ask::Login { account, password } => self.begin_login(id, account, password, now),
            Ask::LoginByToken { token } => self.login_by_token(id, token, now),
            Ask::Logout => self.log_out(id, now),
            Ask::Password { old, new } => self.begin_change(id, old, new, now),
            Ask::Unregister { password } => self.begin_unregister(id, password, now),
            Ask::Account => self.show_account(id, now),
            _ => {}
        }
    }

    fn begin_register(&mut self, id: ConnId, name: &str, password: &str, now: Tick) {
        if self.accounts.policy == AccountPolicy::Closed {
            return self.answer_problem(id, Problem::AccountsClosed, now);
        }
        let nick = match self.talk.chat().may_register(id, name) {
            Ok(nick) => nick,
            Err(why) => return self.answer_refused(id, why, now),
        };
        if let Err(weak) = password::check(password, nick.as_str()) {
            let why = weak.to_string();
            return self.answer_problem(id, Problem::WeakPassword { why: &why }, now);
        }
        let address = self.address_of(id);
        if !self.accounts.registrations.may_try(address, now) {
            return self.answer_problem(id, Problem::TooManyRegistrations, now);
        }
        let work = Work::Hash {
            password: Secret::new(password),
        };
        let name = name.to_owned();
        self.begin(id, work, Step::Register { name }, now);
    }

    fn begin_login(&mut self, id: ConnId, name: Option<&str>, password: &str, now: Tick) {
        if let Some(account) = self.talk.chat().account_name(id).cloned() {
            return self.answer_refused(id, Refused::IsLoggedIn { account }, now);
        }
        let name = match name.map(str::to_owned) {
            Some(name) => name,
            None => match self.accounts.wanted.get(&id) {
                Some(wanted) => wanted.clone(),
                None => {
                    let problem = Problem::Missing { field: "account" };
                    return self.answer_problem(id, problem, now);
                }
            },
        };
        let registry = self.talk.chat().registry();
        let nick = Nick::parse(&name).ok();
        let account = nick.and_then(|nick| registry.account_of_nick(&nick));
        let account = account.and_then(|account| registry.account(account));
        let account = account.map(Entered::of);
        let kept = account.as_ref().and_then(|account| account.kept.clone());
        self.begin_verify(id, password, kept, Step::Login { account }, now);
    }

    fn begin_change(&mut self, id: ConnId, old: &str, new: &str, now: Tick) {
        let Some(account) = self.own_account(id, now) else {
            return;
        };
        let name = self.talk.chat().account_name(id).cloned();
        if let Err(weak) = password::check(new, &name.unwrap_or_default()) {
            let why = weak.to_string();
            return self.answer_problem(id, Problem::WeakPassword { why: &why }, now);
        }
        let kept = account.kept.clone();
        let new = Secret::new(new);
        self.begin_verify(id, old, kept, Step::Change { account, new }, now);
    }

    fn begin_unregister(&mut self, id: ConnId, password: &str, now: Tick) {
        if let Some(account) = self.own_account(id, now) {
            let kept = account.kept.clone();
            self.begin_verify(id, password, kept, Step::Unregister { account }, now);
        }
    }

    /// The account that the client is logged in to; an error is the answer if it is in none.
    fn own_account(&mut self, id: ConnId, now: Tick) -> Option<Entered> {
        let chat = self.talk.chat();
        let account = chat.account_of(id);
        let account = account.and_then(|account| chat.registry().account(account));
        let account = account.map(Entered::of);
        if account.is_none() {
            self.answer_refused(id, Refused::NotLoggedIn, now);
        }
        account
    }

    /// Has a password verified, which counts as a failed try of the address until it is right.
    fn begin_verify(
        &mut self,
        id: ConnId,
        password: &str,
        kept: Option<SmolStr>,
        step: Step,
        now: Tick,
    ) {
        let address = self.address_of(id);
        if !self.accounts.logins.may_try(address, now) {
            return self.answer_problem(id, Problem::TooManyLogins, now);
        }
        // One that is longer than any is not right either, but the time must not say so.
        let length = password.len().min(password::BYTES_MAX);
        let is_whole = length == password.len();
        let work = Work::Verify {
            password: Secret::of(&password.as_bytes()[..length]),
            kept: kept.filter(|_| is_whole).map(String::from),
        };
        if self.begin(id, work, step, now) {
            self.accounts.logins.failed(address, now);
        }
    }

    /// Hands work to the thread, and holds the connection until it is done. False: it is refused.
    pub(super) fn begin(&mut self, id: ConnId, work: Work, step: Step, now: Tick) -> bool {
        if !self.can_change() {
            self.answer_problem(id, Problem::StoreUnavailable, now);
            return false;
        }
        let request = self.asking.request.clone();
        if self.accounts.hand_over(id, request, work, step).is_err() {
            self.answer_problem(id, Problem::Busy, now);
            return false;
        }
        self.asking.is_answered = true;
        self.hold(id, Wait::Password, now);
        true
    }

    /// A step of the turn: what the thread has done since the last one.
    pub(super) fn hear_passwords(&mut self, now: Tick) {
        let Some(passwords) = &mut self.accounts.passwords else {
            return;
        };
        let mut outcomes = mem::take(&mut self.accounts.outcomes);
        passwords.receive(&mut outcomes);
        for (tag, outcome) in outcomes.drain(..) {
            if let Some(pending) = self.accounts.pending.remove(&tag) {
                let id = pending.conn;
                self.answering(pending.request.clone(), |server| {
                    server.password_done(pending, outcome, now);
                });
                // Unless a second step of the same request has begun.
                if !self.accounts.pending.values().any(|other| other.conn == id) {
                    self.release(id, Wait::Password, now);
                }
            }
        }
        self.accounts.outcomes = outcomes;
    }

    /// The thread has not answered in time.
    pub(super) fn password_fails(&mut self, id: ConnId, now: Tick) {
        let Some(pending) = self.accounts.remove(id) else {
            return;
        };
        match pending.step {
            Step::Enter { waiter, .. } => self.not_opened_to(&waiter, Problem::Busy, now),
            _ => self.fail(id, pending.request.as_ref(), Problem::Busy, now),
        }
    }

    /// Goes on with a request that waited.
    pub(super) fn answering(&mut self, request: Option<RequestId>, go_on: impl FnOnce(&mut Self)) {
        let asking = Asking {
            request,
            ..Asking::default()
        };
        let outer = mem::replace(&mut self.asking, asking);
        go_on(self);
        self.asking = outer;
    }

    fn password_done(&mut self, pending: Pending, outcome: Outcome, now: Tick) {
        let id = pending.conn;
        let address = self.address_of(id);
        match (pending.step, outcome) {
            (Step::Enter { name, kept, waiter }, outcome) => {
                self.password_shown(*waiter, (name, kept), &outcome, now);
            }
            (_, Outcome::Failed) => self.answer_problem(id, Problem::Busy, now),
            (Step::Register { name }, Outcome::Hashed(hash)) => {
                self.accounts.registrations.failed(address, now);
                self.enter(id, now, |chat, session, moment, effects| {
                    chat.register(id, &name, hash.into(), session, moment, effects);
                });
            }
            (Step::RoomPassword { room, change }, Outcome::Hashed(hash)) => {
                self.room_password_hashed(id, (room, change), &hash, now);
            }
            (Step::ChangeTo { account }, Outcome::Hashed(hash)) if self.is_same(&account) => {
                self.settle_account(account.id, now);
                let kept = self.sessions.of(id);
                let moment = (now, self.net.wall());
                self.chat_step(now, |chat, effects| {
                    let by = (Some(id), kept);
                    chat.change_password(account.id, hash.into(), by, moment, effects);
                });
            }
            (
                Step::Login {
                    account: Some(account),
                },
                Outcome::Matches,
            ) if self.is_same(&account) => {
                self.accounts.logins.succeeded(address);
                self.enter(id, now, |chat, session, moment, effects| {
                    chat.log_in(id, account.id, session, moment, effects);
                });
            }
            (Step::Change { account, new }, Outcome::Matches) if self.is_same(&account) => {
                self.accounts.logins.succeeded(address);
                let work = Work::Hash { password: new };
                self.begin(id, work, Step::ChangeTo { account }, now);
            }
            (Step::Unregister { account }, Outcome::Matches) if self.is_same(&account) => {
                self.accounts.logins.succeeded(address);
                self.settle_account(account.id, now);
                let moment = (now, self.net.wall());
                self.chat_step(now, |chat, effects| {
                    chat.remove_account(account.id, Some(id), moment, effects);
                });
                self.is_guest_again(id, now);
            }
            (_, Outcome::Differs | Outcome::Matches | Outcome::Hashed(_)) => {
                self.login_failed(id, address, now);
            }
        }
    }

    fn login_failed(&mut self, id: ConnId, address: Option<IpAddr>, now: Tick) {
        let from = address.map_or_else(|| String::from("no address"), |ip| ip.to_string());
        warn!(target: "parlor::account", "a wrong password from {from}");
        self.answer_problem(id, Problem::LoginFailed, now);
    }

    /// Whether an account is what it was when its password was sent to the thread.
    fn is_same(&self, account: &Entered) -> bool {
        let known = self.talk.chat().registry().account(account.id);
        known.is_some_and(|known| known.password == account.kept)
    }

    /// Lets a user in to an account by `step`, with a session of its own where the client can
    /// resume: not the one that it had as a guest, which others may know.
    fn enter(
        &mut self,
        id: ConnId,
        now: Tick,
        step: impl FnOnce(&mut Chat, Option<NewSession>, (Tick, Millis), &mut Effects),
    ) {
        let session = self.new_session(id);
        let number = session.as_ref().map(|session| session.number);
        let moment = (now, self.net.wall());
        self.chat_step(now, |chat, effects| step(chat, session, moment, effects));
        if self.talk.chat().account_of(id).is_none() {
            return;
        }
        if let Some(number) = number {
            self.sessions.adopt(id, number);
        }
        self.has_logged_in(id, now);
    }

    /// `None`: the client has none to return with.
    fn new_session(&mut self, id: ConnId) -> Option<NewSession> {
        self.sessions.of(id)?;
        let number = self.sessions.number();
        let token = self.token(id, number).into();
        Some(NewSession { number, token })
    }

    /// Shows a client that is logged in with whom it has talked.
    pub(super) fn greet_account(&mut self, id: ConnId, now: Tick) {
        let wall = self.net.wall();
        self.chat_step(now, |chat, effects| chat.greet_account(id, wall, effects));
    }

    /// A client is logged in. If it waited for that in order to enter a room, it enters it.
    pub(super) fn has_logged_in(&mut self, id: ConnId, now: Tick) {
        self.accounts.wanted.remove(&id);
        let waiting = self.accounts.terms.logged_in(id);
        self.leaves_where_banned(id, now);
        self.greet_account(id, now);
        if let Some((room, waiter)) = waiting
            && self.talk.chat().is_user(id)
        {
            self.join(room, waiter, now);
        }
    }

    fn log_out(&mut self, id: ConnId, now: Tick) {
        if self.log.is_shared() && !self.can_change() {
            return self.answer_problem(id, Problem::StoreUnavailable, now);
        }
        let session = self.sessions.of(id);
        let new = self.new_session(id);
        let number = new.as_ref().map(|session| session.number);
        let moment = (now, self.net.wall());
        let was_in = self.talk.chat().account_of(id).is_some();
        self.chat_step(now, |chat, effects| {
            chat.log_out(id, session, new, moment, effects);
        });
        if !was_in {
            return;
        }
        if let Some(number) = number {
            self.sessions.adopt(id, number);
        }
        self.accounts.terms.forget(id);
        self.is_guest_again(id, now);
    }

    /// A guest is known by its nick and its address, which may be banned. Where guests are not
    /// admitted, one that has been an account must go.
    fn is_guest_again(&mut self, id: ConnId, now: Tick) {
        self.leaves_where_banned(id, now);
        if self.accounts.policy == AccountPolicy::Required && self.talk.chat().is_user(id) {
            self.part(id, &CloseReason::LoginRequired, now);
        }
    }

    fn show_account(&mut self, id: ConnId, now: Tick) {
        let chat = self.talk.chat();
        let report = chat
            .account_of(id)
            .and_then(|account| chat.report_account(account));
        let event = match report {
            Some(report) => Event::Account(Box::new(report)),
            None => Event::Refused(Refused::NotLoggedIn),
        };
        self.chat_step(now, |_, effects| {
            effects.push(Effect::Reply { to: id, event });
        });
    }

    // Signed tokens

    fn login_by_token(&mut self, id: ConnId, token: &str, now: Tick) {
        let claims = match self.verify_token(token) {
            Ok(claims) => claims,
            Err(None) => return self.answer_problem(id, Problem::NoTokens, now),
            Err(Some(TokenRefused::Expired)) => {
                return self.answer_problem(id, Problem::TokenExpired, now);
            }
            Err(Some(_)) => return self.answer_problem(id, Problem::LoginFailed, now),
        };
        self.enter_by_token(id, &claims, true, now);
    }

    /// What a token states; `None` as an error: no token is accepted.
    pub(super) fn verify_token(&self, token: &str) -> Result<Claims, Option<TokenRefused>> {
        let verifier = self.accounts.verifier.as_ref().ok_or(None)?;
        verifier.verify(token, self.net.wall()).map_err(|why| {
            // The reason is for the operator, who may have set the wrong key; the client has tried
            // to get in.
            warn!(target: "parlor::account", "a signed token is refused: {why}");
            Some(why)
        })
    }

    /// Logs a client in as the token says, for as long as it is valid. A client that is logged in by
    /// a token may extend its time by a newer one.
    /// `is_asked`: by a request, which is answered.
    pub(super) fn enter_by_token(
        &mut self,
        id: ConnId,
        claims: &Claims,
        is_asked: bool,
        now: Tick,
    ) {
        if !self.can_change() {
            return self.answer_problem(id, Problem::StoreUnavailable, now);
        }
        let was_in = self.talk.chat().account_of(id).is_some();
        let moment = (now, self.net.wall());
        let nick = claims.nick.as_deref().unwrap_or(&claims.subject);
        let account = self.chat_step(now, |chat, effects| {
            let account = chat.account_for_token(&claims.subject, nick, moment.1, effects);
            if let Some(account) = account {
                if let Some(roles) = &claims.roles {
                    chat.set_token_roles(account, roles, moment.1, effects);
                }
                // Without a session: the token decides until when.
                if is_asked {
                    chat.log_in(id, account, None, moment, effects);
                } else {
                    chat.enter_account(id, account, now, effects);
                }
            }
            account
        });
        let Some(account) = account else {
            return self.answer_refused(id, Refused::TooManyAccounts, now);
        };
        if self.talk.chat().account_of(id) == Some(account) {
            let rooms = claims.rooms.as_ref().map(|rooms| {
                let names = rooms.iter().filter_map(|room| RoomName::parse(room).ok());
                names.map(RoomName::into_smol_str).collect()
            });
            let waiting = self.accounts.terms.logged_in(id);
            let due = now + ticks_until(claims.expires.0, moment.1.0);
            self.accounts
                .terms
                .set_token(id, (due, claims.expires), rooms);
            self.accounts.wanted.remove(&id);
            self.leaves_where_banned(id, now);
            if is_asked && !was_in {
                self.greet_account(id, now);
            }
            if let Some((room, waiter)) = waiting
                && self.talk.chat().is_user(id)
            {
                self.join(room, waiter, now);
            }
        }
    }

    // Small things

    pub(super) fn answer_refused(&mut self, id: ConnId, why: Refused, now: Tick) {
        self.chat_step(now, |_, effects| {
            let event = Event::Refused(why);
            effects.push(Effect::Reply { to: id, event });
        });
    }

    /// A client was not given the nick that it asked for when it connected.
    pub(super) fn nick_refused(&mut self, id: ConnId, why: &Refused) {
        if let Refused::Nick {
            wanted,
            why: NickRefused::Reserved,
            ..
        } = why
        {
            self.accounts.wanted.insert(id, wanted.clone());
        }
    }

    /// Delivers what the rooms of an account's connections were sent, some of which end.
    pub(super) fn settle_account(&mut self, account: AccountId, now: Tick) {
        for id in self.talk.chat().connections_of_account(account).to_vec() {
            self.settle_rooms_of(id, now);
        }
    }

    pub(super) fn address_of(&mut self, id: ConnId) -> Option<IpAddr> {
        self.connections.get_mut(id)?.source.counted_for()
    }
}

/// From one wall time to a later one, rounded up; a day at most, for clocks are set.
pub(super) fn ticks_until(later: u64, now: u64) -> u32 {
    const DAY_TICKS: u64 = 864_000;
    later
        .saturating_sub(now)
        .div_ceil(Tick::MILLIS)
        .clamp(1, DAY_TICKS) as u32
}
