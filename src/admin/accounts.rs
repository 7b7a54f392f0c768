//! What an operator asks about accounts: the commands as JSON between the command line and a running
//! server, and what they do to a chat, running or made of a store for one command. Knows no socket
//! and no table.

use crate::chat::registry::Account;
use crate::chat::{Chat, Effects, Nick, Role};
use crate::id::{AccountId, Millis, Tick};
use crate::password;
use serde_json::{Value, json};

/// Accounts of one answer.
const LISTED_MAX: usize = 500;

/// What is asked about accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountCommand {
    /// The accounts with an id above this one.
    List {
        after: u32,
    },
    /// Make one. The password is its hash.
    Add {
        name: String,
        password: String,
        role: Option<Role>,
    },
    /// Give it another password, whose hash this is.
    Password {
        name: String,
        password: String,
    },
    /// Give it a role on the server, or none.
    Role {
        name: String,
        role: Option<Role>,
    },
    Delete {
        name: String,
    },
    /// When its sessions were used.
    Sessions {
        name: String,
    },
}

/// A role on the server as operators write it; `member` is none. An error names what is allowed.
pub fn parse_role(name: &str) -> Result<Option<Role>, String> {
    match name {
        "admin" => Ok(Some(Role::Admin)),
        "moderator" => Ok(Some(Role::ServerModerator)),
        "member" => Ok(None),
        _ => Err(String::from("expected admin, moderator or member")),
    }
}

impl AccountCommand {
    pub(super) fn to_json(&self) -> Value {
        let role_name = |role: &Option<Role>| role.map_or("member", Role::name);
        match self {
            Self::List { after } => json!({ "do": "list", "after": after }),
            Self::Add {
                name,
                password,
                role,
            } => json!({ "do": "add", "name": name, "password": password,
                         "role": role_name(role) }),
            Self::Password { name, password } => {
                json!({ "do": "password", "name": name, "password": password })
            }
            Self::Role { name, role } => {
                json!({ "do": "role", "name": name, "role": role_name(role) })
            }
            Self::Delete { name } => json!({ "do": "delete", "name": name }),
            Self::Sessions { name } => json!({ "do": "sessions", "name": name }),
        }
    }

    pub(super) fn from_json(value: &Value) -> Result<Self, String> {
        let text = |field: &str| {
            let found = value.get(field).and_then(Value::as_str);
            let found = found.map(str::to_owned);
            found.ok_or_else(|| format!("the field {field} is missing"))
        };
        let role = || {
            parse_role(
                value
                    .get("role")
                    .and_then(Value::as_str)
                    .unwrap_or("member"),
            )
        };
        // What is no hash would lock the account.
        let hash = || {
            let hash = text("password")?;
            let is_hash = password::is_kept(&hash);
            is_hash.then_some(hash).ok_or_else(|| {
                String::from("the field password must be a hash of argon2id in the PHC format")
            })
        };
        Ok(match text("do")?.as_str() {
            "list" => Self::List {
                after: value
                    .get("after")
                    .and_then(Value::as_u64)
                    .and_then(|after| u32::try_from(after).ok())
                    .unwrap_or(0),
            },
            "add" => Self::Add {
                name: text("name")?,
                password: hash()?,
                role: role()?,
            },
            "password" => Self::Password {
                name: text("name")?,
                password: hash()?,
            },
            "role" => Self::Role {
                name: text("name")?,
                role: role()?,
            },
            "delete" => Self::Delete {
                name: text("name")?,
            },
            "sessions" => Self::Sessions {
                name: text("name")?,
            },
            other => return Err(format!("there is no command {other}")),
        })
    }

    /// The account that the command ends connections of, whose rooms must be settled before.
    pub fn ends(&self, chat: &Chat) -> Option<AccountId> {
        match self {
            Self::Password { name, .. } | Self::Delete { name } => find(chat, name).ok(),
            Self::List { .. } | Self::Add { .. } | Self::Role { .. } | Self::Sessions { .. } => {
                None
            }
        }
    }

    /// Does it, and returns the answer. An error is a sentence, and nothing has changed.
    pub fn carry_out(
        &self,
        chat: &mut Chat,
        (now, wall): (Tick, Millis),
        effects: &mut Effects,
    ) -> Result<Value, String> {
        match self {
            Self::List { after } => return Ok(list(chat, *after)),
            Self::Sessions { name } => {
                let account = find(chat, name)?;
                let report = chat.report_account(account);
                let sessions = report.map(|report| report.sessions).unwrap_or_default();
                let seen: Vec<u64> = sessions.iter().map(|seen| seen.0).collect();
                return Ok(json!({ "sessions": seen }));
            }
            Self::Add {
                name,
                password,
                role,
            } => {
                let hash = Some(password.as_str().into());
                chat.add_account(name, hash, *role, wall, effects)?;
            }
            Self::Password { name, password } => {
                let account = find(chat, name)?;
                let by = (None, None);
                chat.change_password(account, password.into(), by, (now, wall), effects);
            }
            Self::Role { name, role } => {
                let account = find(chat, name)?;
                chat.set_server_role(account, *role, wall, effects);
            }
            Self::Delete { name } => {
                let account = find(chat, name)?;
                chat.remove_account(account, None, (now, wall), effects);
            }
        }
        Ok(json!({}))
    }
}

fn find(chat: &Chat, name: &str) -> Result<AccountId, String> {
    let nick = Nick::parse(name).ok();
    let account = nick.and_then(|nick| chat.registry().account_of_nick(&nick));
    account.ok_or_else(|| format!("there is no account {name}"))
}

fn list(chat: &Chat, after: u32) -> Value {
    let is_behind = |account: &&Account| account.id.0.get() > after;
    let mut behind = chat.registry().accounts().filter(is_behind);
    let listed: Vec<&Account> = behind.by_ref().take(LISTED_MAX).collect();
    let more = behind.next().is_some();
    let next = listed.last().filter(|_| more).map(|last| last.id.0.get());
    let accounts: Vec<Value> = listed
        .into_iter()
        .map(|account| {
            let roles = chat.server_roles(account.id);
            json!({
                "name": account.name.as_str(),
                "created": account.created.0,
                "role": roles.first().map_or("member", |role| role.name()),
                "has_password": account.password.is_some(),
                "token_subject": account.token_subject.as_deref(),
                "sessions": chat.registry().sessions_of(account.id).len(),
                "connections": chat.connections_of_account(account.id).len(),
            })
        })
        .collect();
    json!({ "accounts": accounts, "next": next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Effect, Settings};

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn commands() -> [AccountCommand; 6] {
        let (name, password) = (|| String::from("ann"), || String::from(HASH));
        [
            AccountCommand::Add {
                name: name(),
                password: password(),
                role: Some(Role::Admin),
            },
            AccountCommand::Password {
                name: name(),
                password: password(),
            },
            AccountCommand::Role {
                name: name(),
                role: None,
            },
            AccountCommand::List { after: 0 },
            AccountCommand::Sessions { name: name() },
            AccountCommand::Delete { name: name() },
        ]
    }

    #[test]
    fn command_is_read_as_it_was_written() {
        for command in commands() {
            assert_eq!(AccountCommand::from_json(&command.to_json()), Ok(command));
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for password in ["correct horse", "", "$argon2id$"] {
            let add = json!({ "do": "add", "name": "ann", "password": password });
            assert!(AccountCommand::from_json(&add).is_err(), "{password}");
        }
    }

    #[test]
    fn commands_make_list_and_remove_an_account() {
        let mut chat = Chat::new(&Settings::default(), 1);
        let mut changes = 0;
        let mut answers = Vec::new();
        for command in commands() {
            let mut effects = Effects::new();
            let answer = command.carry_out(&mut chat, (Tick(0), Millis(7)), &mut effects);
            answers.push(answer.unwrap());
            let is_change = |effect: &&Effect| matches!(effect, Effect::Change { .. });
            changes += effects.iter().filter(is_change).count();
        }
        assert_eq!(changes, 4);
        let listed = &answers[3]["accounts"][0];
        assert_eq!(
            (&listed["name"], &listed["role"]),
            (&json!("ann"), &json!("member"))
        );
        assert!(!answers[3].to_string().contains("argon2"));
        assert!(chat.registry().is_empty());
        let mut effects = Effects::new();
        let gone = AccountCommand::Delete {
            name: String::from("ann"),
        };
        let gone = gone.carry_out(&mut chat, (Tick(0), Millis(7)), &mut effects);
        assert_eq!(gone, Err(String::from("there is no account ann")));
    }
}
