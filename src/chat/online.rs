//! Which connections are logged in to which account. Costs nothing without accounts. Knows no nick.

use crate::carry::carried;
use crate::id::{AccountId, ConnId};
use std::collections::BTreeMap;

/// Connections of one account at once; one more takes the place of the oldest, which may be half
/// dead.
pub const CONNECTIONS_MAX: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Online {
    /// In the order in which they were logged in. Never empty.
    by_account: BTreeMap<AccountId, Vec<ConnId>>,
}

impl Online {
    /// The connections of an account. The first is the one that has its nick in the table of names.
    pub(super) fn of(&self, account: AccountId) -> &[ConnId] {
        self.by_account.get(&account).map_or(&[], Vec::as_slice)
    }

    pub(super) fn add(&mut self, account: AccountId, id: ConnId) {
        self.by_account.entry(account).or_default().push(id);
    }

    pub(super) fn remove(&mut self, account: AccountId, id: ConnId) {
        if let Some(connections) = self.by_account.get_mut(&account) {
            connections.retain(|other| *other != id);
            if connections.is_empty() {
                self.by_account.remove(&account);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (AccountId, &[ConnId])> {
        let all = self.by_account.iter();
        all.map(|(account, connections)| (*account, connections.as_slice()))
    }
}

carried!(struct Online { by_account });
