//! A person of the game, who uses a program that speaks `parlor.v1.json`: who it is at the moment, as
//! far as the server has said so, and what it has asked. Knows no rule.

use super::super::chance::Chance;
use super::super::client::{self, Ear};
use super::super::history::json;
use super::deed::{Deed, Present};
use super::model::Who;
use parlor::id::AccountId;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A request that is not answered.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// With the right password of the room, if it has one.
    Join(usize, bool),
    Leave(usize),
    /// Say something that nobody else says.
    Say {
        room: usize,
    },
    Nick,
    Op,
    /// With the name and the password.
    Register(String, String),
    Login(String, String),
    Logout,
    /// With the new one.
    Password(String),
    Unregister,
    Resume(String),
    /// Entries of the past of a room, or some of them by their words.
    Past(usize),
    Deed(Deed),
}

/// A connection of a person.
pub(crate) struct Connection {
    pub(crate) socket: usize,
    pub(crate) ear: Ear,
    /// `hello` has come, and no close frame.
    pub(crate) is_open: bool,
    /// Empty: not known, since a nick that is given to somebody in no room is not said.
    pub(crate) nick: String,
    pub(crate) account: Option<AccountId>,
    pub(crate) is_operator: bool,
    pub(crate) rooms: BTreeSet<usize>,
    /// The session that it has, as the game counts them.
    pub(crate) session: u32,
    /// In rooms whose newcomers do not see the past: the oldest entry that it may read.
    pub(crate) floors: BTreeMap<usize, u32>,
    pub(crate) asked: BTreeMap<u64, Asked>,
}

pub(crate) struct Person {
    pub(crate) number: usize,
    pub(crate) address: IpAddr,
    pub(crate) connection: Option<Connection>,
    /// With which it returns.
    pub(crate) session: Option<String>,
    next_id: u64,
    /// What it has said.
    pub(crate) said: u32,
}

impl Person {
    pub(crate) fn new(number: usize, address: IpAddr) -> Self {
        Self {
            number,
            address,
            connection: None,
            session: None,
            next_id: 1,
            said: 0,
        }
    }

    /// The nick that it asks for first, and the name of its account.
    pub(crate) fn name(&self) -> String {
        format!("p{}", self.number)
    }

    pub(crate) fn connects(&mut self, socket: usize) -> Vec<u8> {
        self.connection = Some(Connection {
            socket,
            ear: Ear::default(),
            is_open: false,
            nick: String::new(),
            account: None,
            is_operator: false,
            rooms: BTreeSet::new(),
            session: 0,
            floors: BTreeMap::new(),
            asked: BTreeMap::new(),
        });
        let path = format!("/ws?nick={}", self.name());
        client::upgrade_to(&path, "Sec-WebSocket-Protocol: parlor.v1.json\r\n")
    }

    /// Its connection, if it can ask something.
    pub(crate) fn open(&self) -> Option<&Connection> {
        self.connection.as_ref().filter(|one| one.is_open)
    }

    /// Nothing that would change who it is is under way.
    pub(crate) fn is_itself(&self) -> bool {
        let is_change = |asked: &Asked| {
            matches!(
                asked,
                Asked::Nick
                    | Asked::Op
                    | Asked::Register(..)
                    | Asked::Login(..)
                    | Asked::Logout
                    | Asked::Password(_)
                    | Asked::Unregister
                    | Asked::Resume(_)
            )
        };
        self.open()
            .is_some_and(|one| !one.asked.values().any(is_change))
    }

    pub(crate) fn who(&self) -> Option<Who> {
        self.open().map(|one| Who {
            nick: one.nick.clone(),
            account: one.account,
            address: self.address,
            is_operator: one.is_operator,
        })
    }

    pub(crate) fn present<'a>(&self, names: &[&'a str]) -> Option<Present<'a>> {
        let rooms = &self.open()?.rooms;
        Some(Present {
            who: self.who()?,
            rooms: rooms.iter().map(|room| names[*room]).collect(),
        })
    }

    pub(crate) fn asks(
        &mut self,
        kind: &str,
        fields: &[(&str, Value)],
        asked: Asked,
        chance: &mut Chance,
    ) -> Vec<u8> {
        let id = self.next_id;
        self.next_id += 1;
        let text = json::request(kind, Some(id), fields);
        json::check_request(&text);
        let connection = self.connection.as_mut().expect("it asks something");
        connection.asked.insert(id, asked);
        client::frame(0x81, text.as_bytes(), chance)
    }
}
