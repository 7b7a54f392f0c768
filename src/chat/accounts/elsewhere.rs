//! Changes of the registry that another server has made, or that a shared engine has refused: what
//! follows from them for the users who are here. Knows no order and no engine.

use crate::chat::registry::{Account, Change, Fact, FactKey, Snapshot};
use crate::chat::{Chat, Effects, Nick};
use crate::id::{AccountId, ConnId, Millis, Tick};

impl Chat {
    /// Other servers share the engine that puts changes of the registry in order: what it has put in
    /// order is made by [`Chat::apply_change`] from here on.
    pub fn shares_changes(&mut self) {
        self.registry.share();
        self.name_moves = Some(Box::default());
    }

    /// What of a change in order is still to be made here. `own`: the number under which this server
    /// has made it.
    pub fn absorb_change(&mut self, change: &Change, own: Option<u64>) -> Change {
        self.registry.absorb(change, own)
    }

    /// What is to be changed so that all facts are these.
    pub fn difference(&mut self, kept: Snapshot, wall: Millis) -> Change {
        self.registry.difference(kept, wall)
    }

    /// The changes of this server up to a number are in order. Returns what is to be changed.
    pub fn settle_changes(&mut self, upto: u64) -> Change {
        self.registry.settle(upto)
    }

    /// A change of this server was refused. Returns what is to be changed.
    pub fn take_back(&mut self, number: u64) -> Change {
        self.registry.take_back(number)
    }

    /// The accounts whose connections end by a change: the account goes, or is entered by something
    /// else from here on. Their rooms must be settled before the change is made.
    pub fn ended_by(&self, change: &Change) -> Vec<AccountId> {
        let gone = change.forgets.iter().filter_map(|key| match key {
            FactKey::Account(account) => Some(*account),
            _ => None,
        });
        let other = change.puts.iter().filter_map(|fact| match fact {
            Fact::Account(new) => {
                let known = self.registry.account(new.id)?;
                let is_same = known.password == new.password
                    && known.token_subject == new.token_subject
                    && known.name == new.name;
                (!is_same).then_some(new.id)
            }
            _ => None,
        });
        gone.chain(other).collect()
    }

    /// Makes a change of another server, and logs out the connections whose accounts it removes or
    /// changes. The caller removes the members that it bans.
    pub fn apply_change(&mut self, change: &Change, now: Tick, effects: &mut Effects) {
        for account in self.ended_by(change) {
            if change.forgets.contains(&FactKey::Account(account)) {
                self.end_account(account, effects);
            }
            self.end_connections(account, None, now, effects);
        }
        self.registry.apply(change);
        for fact in &change.puts {
            match fact {
                Fact::Account(account) => self.gives_way_to(account, effects),
                Fact::Sanction(sanction) => self.last_act = self.last_act.max(sanction.at),
                _ => {}
            }
        }
    }

    /// Guests that wear the name of an account lose it.
    fn gives_way_to(&mut self, account: &Account, effects: &mut Effects) {
        if let Ok(nick) = Nick::parse(&account.name) {
            self.take_from_guests(&nick, None, effects);
        }
    }

    /// The change by which a user has entered an account is refused: it goes on as a guest, with the
    /// nick that it has. False: it is in no account.
    pub fn is_guest_again(&mut self, id: ConnId) -> bool {
        let Some(account) = self.user_mut(id).and_then(|user| user.account.take()) else {
            return false;
        };
        self.online.remove(account, id);
        true
    }
}
