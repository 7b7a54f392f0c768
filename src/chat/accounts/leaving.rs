//! What an account leaves behind when it goes. Knows no password and no connection.

use super::super::Chat;
use super::super::registry::{Fact, FactKey, Sanction, Subject};
use crate::id::{AccountId, Millis};

impl Chat {
    /// The bans and mutes of an account that is going, about its nick: it does not end them by
    /// going.
    pub(super) fn sanctions_left_by(
        &self,
        account: AccountId,
        gone: &[FactKey],
        wall: Millis,
    ) -> Vec<Fact> {
        let Some(name) = self.registry.account(account).map(|known| &known.name) else {
            return Vec::new();
        };
        let end = |sanction: &Sanction| sanction.until.map_or(u64::MAX, |until| until.0);
        let facts = gone.iter().filter_map(|key| self.registry.get(key));
        let left = facts.filter_map(|fact| {
            let Fact::Sanction(sanction) = fact else {
                return None;
            };
            let subject = Subject::Nick(name.clone());
            let known = self
                .registry
                .sanction(&sanction.scope, sanction.kind, &subject);
            let is_known = known.is_some_and(|known| end(known) >= end(sanction));
            let left = Sanction {
                subject,
                ..sanction.clone()
            };
            (sanction.holds(wall) && !is_known).then_some(Fact::Sanction(left))
        });
        left.collect()
    }
}
