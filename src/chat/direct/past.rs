//! Which accounts have talked to which, when, and what of it came while one was away. Knows no text:
//! the log of the two has what was said.

use super::super::registry::{Conversation, Fact, FactKey};
use super::super::{Chat, Effects, Event, Now, Recent, reply, tell};
use super::Pair;
use crate::id::{AccountId, ConnId, Millis, Seq};
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
        pair: Pair,
        next: Seq,
        now: Now,
        effects: &mut Effects,
    ) {
        let (Some(accounts), Some(own)) = (pair.accounts(), self.account_of(id)) else {
            return;
        };
        let other = usize::from(accounts[0] == own);
        let is_away = self.online.of(accounts[other]).is_empty();
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
        self.change(
            vec![Fact::Conversation(noted)],
            forgets,
            (None, now.wall),
            effects,
        );
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
