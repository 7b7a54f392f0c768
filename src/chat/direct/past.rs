//! Which accounts have talked to which, when, and what of it came while one was away. Knows no text:
//! the log of the two has what was said.

use super::super::accounts::keep;
use super::super::registry::{Conversation, Fact, FactKey};
use super::super::{Chat, Effects, Event, Now, Recent, reply, tell};
use super::{Pair, Party};
use crate::id::{AccountId, ConnId, Millis, RoomId, Seq};
use smol_str::format_smolstr;

/// Conversations of one account that are kept; with one more the oldest is forgotten, and what was
/// said in it is removed from the store.
const CONVERSATIONS_MAX: usize = 500;
/// Conversations that a list has.
const LISTED_MAX: usize = 50;
/// That two have talked is noted once in so long.
const NOTED_MS: u64 = 60 * 1000;

impl Chat {
    /// Something is about to be said in a conversation of two accounts, with this number or a later
    /// one: notes it, before it is.
    pub(super) fn note_conversation(
        &mut self,
        id: ConnId,
        (room, pair, next): (RoomId, Pair, Seq),
        now: Now,
        effects: &mut Effects,
    ) {
        let (Some(accounts), Some(own)) = (pair.accounts(), self.account_of(id)) else {
            return;
        };
        let other = usize::from(accounts[0] == own);
        let is_away = self.is_away(room, accounts[other]);
        let known = self.registry.conversation(accounts).copied();
        let mut noted = known.unwrap_or(Conversation {
            accounts,
            at: Millis(0),
            unseen: [Seq(0); 2],
        });
        let is_first = is_away && noted.unseen[other] == Seq(0);
        if !is_first && now.wall.0 < noted.at.0.saturating_add(NOTED_MS) {
            return;
        }
        noted.at = noted.at.max(now.wall);
        if is_first {
            noted.unseen[other] = next;
        }
        let mut forgets = Vec::new();
        if known.is_none() {
            forgets.extend(
                accounts
                    .iter()
                    .filter_map(|account| self.one_too_many(*account)),
            );
        }
        // A shared engine notes it with what is said, or neither.
        let puts = vec![Fact::Conversation(noted)];
        let change = self.registry.propose(now.wall, puts, forgets, None);
        effects.push(keep(change, None));
    }

    /// Whether no connection of an account is here, and none is known elsewhere to be a member of a
    /// conversation of it.
    fn is_away(&self, room: RoomId, account: AccountId) -> bool {
        self.online.of(account).is_empty() && !self.is_at_another(room, Party::Account(account))
    }

    /// Something has come that was said in a conversation, and was shown to those of the two that
    /// are here: with which number, and by whom. `None`: all that came was shown.
    ///
    /// Where servers share the registry, none knows of all connections of an account. The server of
    /// the author takes one that it does not know of to be away, and those that have shown it what
    /// came take that back. One that was away from its last server by then is noted by that.
    pub fn has_come(
        &mut self,
        room: RoomId,
        accounts: [AccountId; 2],
        said: Option<(Seq, AccountId)>,
        wall: Millis,
        effects: &mut Effects,
    ) {
        let Some(known) = self.registry.conversation(accounts).copied() else {
            return;
        };
        let mut noted = known;
        for (account, unseen) in accounts.into_iter().zip(&mut noted.unseen) {
            if !self.online.of(account).is_empty() {
                *unseen = Seq(0);
            } else if let Some((seq, by)) = said
                && *unseen == Seq(0)
                && by != account
                && self.is_away(room, account)
            {
                *unseen = seq;
            }
        }
        if noted != known {
            let puts = vec![Fact::Conversation(noted)];
            self.change(puts, Vec::new(), (None, wall), effects);
        }
    }

    /// The oldest conversation of an account that has as many as it may.
    fn one_too_many(&self, account: AccountId) -> Option<FactKey> {
        let all = || self.registry.conversations_of(account);
        if all().count() < CONVERSATIONS_MAX {
            return None;
        }
        let oldest = all().min_by_key(|conversation| conversation.at)?;
        Some(FactKey::Conversation(oldest.accounts))
    }

    /// The newest conversations of an account first. Of those that came while it was away, the
    /// number of the first message.
    fn recent(&self, account: AccountId) -> Vec<Recent> {
        let mut all: Vec<&Conversation> = self.registry.conversations_of(account).collect();
        all.sort_unstable_by_key(|conversation| std::cmp::Reverse(conversation.at));
        let listed = all.into_iter().filter_map(|conversation| {
            let own = usize::from(conversation.accounts[1] == account);
            let other = self.registry.account(conversation.accounts[1 - own])?;
            Some(Recent {
                room: format_smolstr!("@{}", other.name),
                at: conversation.at,
                unseen: conversation.unseen[own],
            })
        });
        listed.take(LISTED_MAX).collect()
    }

    /// Answers with the conversations of a user.
    pub(in super::super) fn list_conversations(&self, id: ConnId, effects: &mut Effects) {
        let account = self.account_of(id);
        let list = account.map_or_else(Vec::new, |account| self.recent(account));
        effects.push(reply(
            id,
            Event::Conversations {
                list,
                is_new: false,
            },
        ));
    }

    /// An account is here: it is shown its conversations, and what came while it was away counts as
    /// seen from here on.
    pub fn greet_account(&mut self, id: ConnId, wall: Millis, effects: &mut Effects) {
        let Some(account) = self.account_of(id) else {
            return;
        };
        let list = self.recent(account);
        if list.is_empty() {
            return;
        }
        effects.push(tell(id, Event::Conversations { list, is_new: true }));
        let unseen = self.registry.conversations_of(account).filter_map(|known| {
            let own = usize::from(known.accounts[1] == account);
            let mut seen = *known;
            seen.unseen[own] = Seq(0);
            (seen != *known).then_some(Fact::Conversation(seen))
        });
        let puts: Vec<Fact> = unseen.collect();
        if !puts.is_empty() {
            self.change(puts, Vec::new(), (None, wall), effects);
        }
    }
}
