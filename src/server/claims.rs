//! Nicks of users where several servers share the chat: each is claimed from the engine before its
//! user enters, or has it by a request; what users leave is given back, once a turn. After the
//! link was lost all are claimed again. Knows keys of nicks and no engine; whose nick a key is, is
//! the chat's.
//!
//! The engine is told which server holds a key, not which user: among the users of this server the
//! chat decides, so that a key is needed here or not. With the key goes the session of the client:
//! a client that proves by a token that the session is its own has the nick at another server at once.

use super::Server;
use super::ask::Asking;
use super::request::Entrance;
use crate::chat::{Nick, NickRefused, Refused};
use crate::conn::Wait;
use crate::id::{ConnId, Tick};
use crate::log::{Earlier, NickClaim, NickClaims, NodesRequest};
use crate::net::Net;
use crate::session::Claim;
use crate::wire::{Problem, Protocol, RequestId};
use crate::ws::CloseReason;
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;

/// Nicks in one request to the engine. After a cut, the next is made when one is answered.
const BATCH_MAX: usize = 512;
/// What the engine has refused is asked again after so long: 5 s.
const RETRY_TICKS: u32 = 50;

/// Nicks of users, as far as something is under way.
#[derive(Default)]
pub(super) struct Claims {
    /// New users that were not greeted yet, and how they go on.
    entering: BTreeMap<ConnId, Entrance>,
    /// Users that have asked for another nick.
    renaming: BTreeMap<ConnId, Renaming>,
    /// Clients that go on with the session of a connection to another server.
    resuming: BTreeMap<ConnId, Resuming>,
    /// Nicks that programs have wished for and another server holds: theirs if they prove that the
    /// session that has it is their own.
    wished: BTreeMap<ConnId, String>,
    /// To be claimed with the next batch.
    queue: Vec<Claimed>,
    /// To be given back with it, unless they are needed by then.
    released: Vec<SmolStr>,
    /// Users whose nicks are to be claimed again.
    again: VecDeque<ConnId>,
    /// The batch of those that is under way.
    again_tag: Option<u64>,
    retry_at: Option<Tick>,
    under_way: BTreeMap<u64, Vec<Claimed>>,
    /// How often each key is in the queue or under way.
    pending: HashMap<SmolStr, u32>,
    last_tag: u64,
}

/// A nick that is claimed for a user.
struct Claimed {
    conn: ConnId,
    keys: Vec<SmolStr>,
    /// The session with which the client goes on, as it has proved.
    resumed: Option<Claim>,
}

/// A client that has proved that it goes on with a session.
struct Resuming {
    claim: Claim,
    /// The nick that it wishes for, if it has another.
    nick: Option<Nick>,
    request: Option<RequestId>,
}

struct Renaming {
    wanted: String,
    keys: Vec<SmolStr>,
    request: Option<RequestId>,
}

impl Claims {
    pub(super) fn is_empty(&self) -> bool {
        self.entering.is_empty()
            && self.renaming.is_empty()
            && self.resuming.is_empty()
            && self.wished.is_empty()
    }

    /// The client was not greeted yet.
    pub(super) fn is_entering(&self, id: ConnId) -> bool {
        !self.entering.is_empty() && self.entering.contains_key(&id)
    }

    /// A connection has ended. Its nick is given back by the chat's moves.
    pub(super) fn forget(&mut self, id: ConnId) {
        if !self.is_empty() {
            self.entering.remove(&id);
            self.renaming.remove(&id);
            self.resuming.remove(&id);
            self.wished.remove(&id);
        }
    }

    /// When what was refused is asked again.
    pub(super) const fn next_tick(&self) -> Option<Tick> {
        self.retry_at
    }

    fn push(&mut self, conn: ConnId, keys: Vec<SmolStr>, resumed: Option<Claim>) {
        for key in &keys {
            *self.pending.entry(key.clone()).or_default() += 1;
        }
        self.queue.push(Claimed {
            conn,
            keys,
            resumed,
        });
    }

    fn is_answered(&mut self, claimed: &Claimed) {
        for key in &claimed.keys {
            if let Some(count) = self.pending.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.pending.remove(key);
                }
            }
        }
    }

    /// The link was lost, and with it all that was under way.
    fn cut(&mut self) {
        *self = Self {
            entering: mem::take(&mut self.entering),
            renaming: mem::take(&mut self.renaming),
            resuming: mem::take(&mut self.resuming),
            wished: mem::take(&mut self.wished),
            last_tag: self.last_tag,
            ..Self::default()
        };
    }

    pub(super) fn check_invariants(&self, is_held: impl Fn(ConnId) -> bool) {
        let waiting = self.entering.keys().chain(self.renaming.keys());
        for id in waiting.chain(self.resuming.keys()) {
            assert!(is_held(*id), "a client goes on before its nick is claimed");
        }
        let claimed = self.under_way.values().flatten().chain(&self.queue);
        let count: usize = claimed.map(|claimed| claimed.keys.len()).sum();
        let pending: u32 = self.pending.values().sum();
        assert_eq!(count, pending as usize, "keys that are claimed are counted");
    }
}

impl<N: Net> Server<N> {
    /// A new user goes in: at once, or when its nick is known to be no other server's.
    pub(super) fn enters(&mut self, id: ConnId, mut entrance: Entrance, now: Tick) {
        if !self.log.is_shared() || self.talk.chat().keys_to_claim(id).is_none() {
            return self.goes_in(id, entrance, now);
        }
        if self.log.is_cut_off() {
            self.enters_unclaimed(id, &mut entrance, now);
            return self.goes_in(id, entrance, now);
        }
        if self.protocol_of(id) == Some(Protocol::Json) {
            self.sessions.begin(id); // Its nick is claimed with it.
        }
        self.hold(id, Wait::Nick, now);
        self.claims.entering.insert(id, entrance);
    }

    /// Nicks that were wished for belong to those that have claimed them.
    fn enters_unclaimed(&mut self, id: ConnId, entrance: &mut Entrance, now: Tick) {
        if !entrance.has_wished {
            return;
        }
        self.has_another_nick(id, entrance, NickRefused::Unclaimed, now);
    }

    /// A user that was shown nothing yet gets a made-up nick.
    fn has_another_nick(
        &mut self,
        id: ConnId,
        entrance: &mut Entrance,
        why: NickRefused,
        now: Tick,
    ) {
        let refused = self.chat_step(now, |chat, _| chat.enters_as_another(id, why));
        if let Some(Refused::Nick { wanted, .. }) = &refused
            && entrance.has_wished
            && self.protocol_of(id) == Some(Protocol::Json)
        {
            self.claims.wished.insert(id, wanted.clone());
        }
        if let Some(refused) = refused {
            entrance.has_another(refused);
        }
    }

    /// A user's other nick is claimed before it has it: its request is answered later.
    pub(super) fn claim_wanted(
        &mut self,
        id: ConnId,
        (wanted, keys): (&str, Vec<SmolStr>),
        now: Tick,
    ) {
        if self.log.is_cut_off() {
            return self.answer_problem(id, Problem::StoreUnavailable, now);
        }
        self.asking.is_answered = true;
        let renaming = Renaming {
            wanted: wanted.to_owned(),
            keys: keys.clone(),
            request: self.asking.request.clone(),
        };
        self.hold(id, Wait::Nick, now);
        self.claims.renaming.insert(id, renaming);
        self.claims.push(id, keys, None);
    }

    /// A client goes on with the session of a connection to another server: its request is answered
    /// when it is known whether the nick that it wished for is of that session. False: there is
    /// nothing to wait for.
    pub(super) fn resumes_later(&mut self, id: ConnId, claim: Claim, now: Tick) -> bool {
        let is_of_this_start = claim.epoch == self.log.epoch_info().epoch;
        if !self.log.is_shared() || self.log.is_cut_off() || is_of_this_start {
            return false;
        }
        let wished = self.claims.wished.remove(&id);
        let chat = self.talk.chat();
        let wished = wished.and_then(|wished| chat.keys_wished(id, &wished));
        let (nick, keys) = wished.map_or_else(Default::default, |(nick, keys)| (Some(nick), keys));
        self.asking.is_answered = true;
        let resuming = Resuming {
            claim,
            nick,
            request: self.asking.request.clone(),
        };
        self.hold(id, Wait::Nick, now);
        self.claims.resuming.insert(id, resuming);
        self.claims.push(id, keys, Some(claim));
        true
    }

    /// A client goes on with a session: its nick is claimed with that. `resumed`: this was not told
    /// to the other servers yet.
    pub(super) fn claims_with_session(&mut self, id: ConnId, resumed: Option<Claim>) {
        if self.log.is_shared()
            && !self.log.is_cut_off()
            && let Some(keys) = self.talk.chat().keys_to_claim(id)
        {
            self.claims.push(id, keys, resumed);
        }
    }

    // What goes to the engine

    /// A step of the turn: what users have and leave.
    pub(super) fn claim_nicks(&mut self, now: Tick) {
        if !self.log.is_shared() {
            return;
        }
        let moves = self.chat_step(now, |chat, _| chat.take_name_moves());
        if self.log.is_cut_off() {
            return;
        }
        if self.claims.retry_at.is_some_and(|due| due <= now) {
            self.claims_again();
        }
        if let Some(moves) = moves {
            self.claims.released.extend(moves.left);
            for id in moves.came {
                if let Some(keys) = self.talk.chat().keys_to_claim(id) {
                    self.claims.push(id, keys, None);
                }
            }
        }
        let mut released = mem::take(&mut self.claims.released);
        released.retain(|key| !self.is_needed(key));
        let mut queue = mem::take(&mut self.claims.queue);
        while !queue.is_empty() || !released.is_empty() {
            let rest = queue.split_off(queue.len().min(BATCH_MAX));
            let later = released.split_off(released.len().min(BATCH_MAX));
            self.hand_over_claims(released, queue);
            (released, queue) = (later, rest);
        }
        self.claim_some_again();
    }

    /// Whether a user of this server has the nick of a key, or is about to.
    fn is_needed(&self, key: &str) -> bool {
        self.claims.pending.contains_key(key) || self.talk.chat().has_nick_of_key(key)
    }

    fn hand_over_claims(&mut self, released: Vec<SmolStr>, claimed: Vec<Claimed>) -> u64 {
        self.claims.last_tag += 1;
        let tag = self.claims.last_tag;
        let claims = NickClaims {
            tag,
            released,
            claimed: claimed.iter().map(|one| self.claim_of(one)).collect(),
        };
        let request = NodesRequest::Claim(Box::new(claims));
        self.log.ask_of_nodes(request);
        self.claims.under_way.insert(tag, claimed);
        tag
    }

    fn claim_of(&self, claimed: &Claimed) -> NickClaim {
        let resumed = claimed.resumed;
        let session = resumed.map(|claim| claim.session);
        NickClaim {
            keys: claimed.keys.clone(),
            session: session
                .or_else(|| self.sessions.of(claimed.conn))
                .unwrap_or(0),
            resumes: resumed.map(|claim| Earlier {
                start: claim.epoch,
                connection: claim.connection,
            }),
        }
    }

    /// All nicks are claimed again: nothing is known of the claims before.
    fn claims_again(&mut self) {
        self.claims.retry_at = None;
        self.claims.again = self.talk.chat().guests().collect();
    }

    fn claim_some_again(&mut self) {
        if self.claims.again_tag.is_some() || self.claims.again.is_empty() {
            return;
        }
        let count = self.claims.again.len().min(BATCH_MAX);
        for id in self.claims.again.drain(..count).collect::<Vec<_>>() {
            if let Some(keys) = self.talk.chat().keys_to_claim(id) {
                self.claims.push(id, keys, None);
            }
        }
        let claimed = mem::take(&mut self.claims.queue);
        self.claims.again_tag = Some(self.hand_over_claims(Vec::new(), claimed));
    }

    // What comes of it

    /// The engine has answered a batch. `None`: it has refused all of it.
    pub(super) fn nicks_claimed(&mut self, tag: u64, granted: Option<Vec<bool>>, now: Tick) {
        let Some(batch) = self.claims.under_way.remove(&tag) else {
            return;
        };
        if self.claims.again_tag == Some(tag) {
            self.claims.again_tag = None;
        }
        if granted.is_none() {
            self.claims.retry_at.get_or_insert(now + RETRY_TICKS);
        }
        let outcomes = granted.map(|granted| granted.into_iter().map(Some).collect());
        let outcomes: Vec<Option<bool>> = outcomes.unwrap_or_else(|| vec![None; batch.len()]);
        for (claimed, granted) in batch.into_iter().zip(outcomes) {
            self.claims.is_answered(&claimed);
            self.nick_claimed(&claimed, granted, now);
            if granted == Some(true) {
                // Those that are not needed any more.
                self.claims.released.extend(claimed.keys);
            }
        }
    }

    fn nick_claimed(&mut self, claimed: &Claimed, granted: Option<bool>, now: Tick) {
        let id = claimed.conn;
        let renaming = self.claims.renaming.get(&id);
        if renaming.is_some_and(|renaming| renaming.keys == claimed.keys) {
            return self.goes_on_renaming(id, granted, now);
        }
        let resuming = self.claims.resuming.get(&id);
        if resuming.is_some_and(|one| Some(one.claim) == claimed.resumed) {
            return self.goes_on_resuming(id, granted, now);
        }
        if self.talk.chat().keys_to_claim(id).as_ref() != Some(&claimed.keys) {
            return; // It is gone, or has another nick by now.
        }
        let is_entering = self.claims.is_entering(id);
        match granted {
            Some(true) if is_entering => self.has_entered(id, now),
            Some(true) => {}
            Some(false) if is_entering => {
                if let Some(mut entrance) = self.claims.entering.remove(&id) {
                    self.has_another_nick(id, &mut entrance, NickRefused::Taken, now);
                    self.claims.entering.insert(id, entrance);
                }
            }
            Some(false) => self.chat_step(now, |chat, effects| chat.loses_nick(id, effects)),
            None if is_entering => self.enters_without(id, now),
            None => {}
        }
    }

    fn has_entered(&mut self, id: ConnId, now: Tick) {
        if let Some(entrance) = self.claims.entering.remove(&id) {
            self.release(id, Wait::Nick, now);
            self.goes_in(id, entrance, now);
        }
    }

    /// A client does not wait any longer for its nick to be claimed.
    pub(super) fn enters_without(&mut self, id: ConnId, now: Tick) {
        if let Some(mut entrance) = self.claims.entering.remove(&id) {
            self.enters_unclaimed(id, &mut entrance, now);
            self.release(id, Wait::Nick, now);
            self.goes_in(id, entrance, now);
        }
    }

    /// A client that has asked for another nick is answered. `None`: nothing is known of the nick.
    pub(super) fn goes_on_renaming(&mut self, id: ConnId, granted: Option<bool>, now: Tick) {
        let Some(renaming) = self.claims.renaming.remove(&id) else {
            return;
        };
        let Renaming {
            wanted, request, ..
        } = renaming;
        self.release(id, Wait::Nick, now);
        let Some(granted) = granted else {
            return self.fail(id, request.as_ref(), Problem::StoreUnavailable, now);
        };
        self.asking = Asking {
            request,
            ..Asking::default()
        };
        let when = self.now_of(id, now);
        self.chat_step(now, |chat, effects| {
            if granted {
                chat.rename_claimed(id, &wanted, when, effects);
            } else {
                chat.refuse_nick(id, &wanted, NickRefused::Taken, effects);
            }
        });
        let asking = mem::take(&mut self.asking);
        if let Some(re) = asking.request.filter(|_| !asking.is_answered) {
            self.answer_at_last(id, &re, true, true, now);
        }
    }

    /// A client goes on with its session, and with its nick where that is granted.
    pub(super) fn goes_on_resuming(&mut self, id: ConnId, granted: Option<bool>, now: Tick) {
        let Some(resuming) = self.claims.resuming.remove(&id) else {
            return;
        };
        self.release(id, Wait::Nick, now);
        if let Some(nick) = resuming.nick.filter(|_| granted == Some(true)) {
            self.user_takes_nick(id, &nick);
        }
        self.asking = Asking {
            request: resuming.request,
            ..Asking::default()
        };
        self.resumes(id, resuming.claim, now);
        self.asking = Asking::default();
        self.claims_with_session(id, None);
    }

    /// A client of a session goes on elsewhere: the connection that it has left is over.
    pub(super) fn resumed(&mut self, session: u64, earlier: Earlier, now: Tick) {
        let id = earlier.connection;
        let is_of_this_start = earlier.start == self.log.epoch_info().epoch;
        let is_there = is_of_this_start && self.talk.chat().is_user(id);
        if is_there && self.sessions.of(id) == Some(session) {
            self.part(id, &CloseReason::Replaced, now);
        }
    }

    /// The link to the engine was lost, or is back.
    pub(super) fn link_of_claims(&mut self, is_up: bool, now: Tick) {
        self.claims.cut();
        if is_up {
            return self.claims_again();
        }
        for id in self.claims.entering.keys().copied().collect::<Vec<_>>() {
            self.enters_without(id, now);
        }
        for id in self.claims.renaming.keys().copied().collect::<Vec<_>>() {
            self.goes_on_renaming(id, None, now);
        }
        for id in self.claims.resuming.keys().copied().collect::<Vec<_>>() {
            self.goes_on_resuming(id, None, now);
        }
    }

    /// This server was taken for gone: others may have its nicks.
    pub(super) fn lease_was_lost(&mut self) {
        self.claims_again();
    }

    /// Keys were found that this server holds: those that no user needs are given back.
    pub(super) fn keys_are_held(&mut self, keys: Vec<SmolStr>) {
        self.claims.released.extend(keys);
    }
}
