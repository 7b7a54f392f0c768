//! Accounts that no user registered: those of signed tokens, and what operators do to accounts.
//! Knows no user but those whose nick becomes an account's.

use crate::chat::registry::{Account, Audit, Fact, FactKey, Scope};
use crate::chat::{Chat, Effects, Nick, Role};
use crate::id::{AccountId, Millis};
use smol_str::SmolStr;

impl Chat {
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

    /// An operator gives an account a role on the server, or none.
    pub fn set_server_role(
        &mut self,
        account: AccountId,
        role: Option<Role>,
        wall: Millis,
        effects: &mut Effects,
    ) {
        let name = self
            .registry
            .account(account)
            .map(|known| known.name.clone());
        let word = role.map_or("member", Role::name);
        let audit = by_operator("role", &name.unwrap_or_default(), word);
        let (puts, forgets) = role_facts(account, role);
        self.change_noted(puts, forgets, audit, wall, effects);
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
        let (puts, forgets) = role_facts(account, wanted);
        self.change(puts, forgets, (None, wall), effects);
    }

    /// Makes an account for an operator. A guest that has its name as a nick loses it.
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
        let audit = by_operator("account_added", nick.as_str(), "");
        self.change_noted(puts, Vec::new(), audit, wall, effects);
        self.take_from_guests(&nick, None, effects);
        Ok(account)
    }

    /// Makes a change that the audit log has.
    pub(super) fn change_noted(
        &mut self,
        puts: Vec<Fact>,
        forgets: Vec<FactKey>,
        audit: Audit,
        wall: Millis,
        effects: &mut Effects,
    ) {
        let change = self.registry.change(wall, puts, forgets, Some(audit));
        effects.push(super::keep(change, None));
    }
}

/// What an operator did to an account by a command.
pub(super) fn by_operator(action: &str, target: &str, detail: &str) -> Audit {
    Audit {
        action: action.into(),
        by: "operator".into(),
        room: None,
        target: target.into(),
        detail: detail.into(),
        until: None,
    }
}

fn role_facts(account: AccountId, role: Option<Role>) -> (Vec<Fact>, Vec<FactKey>) {
    let scope = Scope::Server;
    match role {
        Some(role) => {
            let fact = Fact::Role {
                scope,
                account,
                role,
            };
            (vec![fact], Vec::new())
        }
        None => (Vec::new(), vec![FactKey::Role { scope, account }]),
    }
}
