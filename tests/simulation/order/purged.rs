//! What a purge must delete, and what it must not: written down a second time from
//! docs/moderation.md. Knows no connection.

use super::model::{Model, Who, look};
use parlor::chat::{Content, Draft};
use parlor::id::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the messages of all rooms.
#[derive(Default)]
pub(crate) struct Messages {
    /// By room and number: when it was numbered, and who said it under which nick.
    said: BTreeMap<(String, u32), Said>,
    /// The messages that are deleted, and in which turn.
    deleted: BTreeMap<(String, u32), u64>,
}

struct Said {
    at: Millis,
    nick: String,
    who: Who,
    /// The number of the person.
    person: usize,
}

/// A purge that was asked for.
pub(crate) struct Asked<'a> {
    pub(crate) room: &'a str,
    pub(crate) nick: &'a str,
    pub(crate) seconds: u32,
    pub(crate) actor: &'a Who,
    /// When it was asked for, and when it was done.
    pub(crate) from: Millis,
    pub(crate) to: Millis,
    /// The newest entry of the room when it was asked for.
    pub(crate) head: u32,
    /// The people who have the nick.
    pub(crate) wearers: &'a BTreeSet<usize>,
}

impl Messages {
    pub(crate) fn takes(&mut self, room: &str, seq: u32, at: Millis, draft: &Draft, who: &Who) {
        let Content::Said { text, .. } = &draft.content else {
            return;
        };
        let number = text
            .split(' ')
            .nth(1)
            .and_then(|name| name.strip_prefix('p'));
        let said = Said {
            at,
            nick: draft.nick.to_string(),
            who: who.clone(),
            person: number
                .and_then(|number| number.parse().ok())
                .expect("a name"),
        };
        self.said.insert((room.to_owned(), seq), said);
    }

    pub(crate) fn are_deleted(&mut self, room: &str, of: u32, turn: u64) {
        let before = self.deleted.insert((room.to_owned(), of), turn);
        assert!(before.is_none(), "message {of} of {room} is deleted twice");
    }

    pub(crate) fn head(&self, room: &str) -> u32 {
        let keys = self.said.keys().filter(|(known, _)| known == room);
        keys.map(|(_, seq)| *seq).max().unwrap_or(0)
    }

    /// In which turn a message was deleted.
    pub(crate) fn deleted_in(&self, room: &str, seq: u32) -> Option<u64> {
        self.deleted.get(&(room.to_owned(), seq)).copied()
    }

    pub(crate) fn deleted(&self) -> impl Iterator<Item = &(String, u32)> {
        self.deleted.keys()
    }

    /// All messages that are not deleted.
    pub(crate) fn there(&self) -> impl Iterator<Item = &(String, u32)> {
        let said = self.said.keys();
        said.filter(|key| !self.deleted.contains_key(key))
    }

    /// The server has crashed: what is behind these heads is lost.
    pub(crate) fn fall_back(&mut self, is_lost: impl Fn(&str, u32) -> bool) {
        self.said.retain(|(room, seq), _| !is_lost(room, *seq));
    }

    /// What was deleted by entries that are lost.
    pub(crate) fn undelete(&mut self, is_there: impl Fn(&str, u32) -> bool) {
        self.deleted.retain(|(room, of), _| is_there(room, *of));
    }

    /// A message that is deleted is one that was meant.
    pub(crate) fn check_deleted(&self, asked: &Asked<'_>, of: u32, model: &Model) {
        let said = &self.said[&(asked.room.to_owned(), of)];
        let since = Millis(asked.from.0.saturating_sub(u64::from(asked.seconds) * 1000));
        assert!(said.at >= since, "message {of} is too old to be purged");
        assert!(
            is_meant(said, asked, model) || asked.wearers.contains(&said.person),
            "message {of} of {:?} is purged as one of {}",
            said.who,
            asked.nick
        );
        assert!(
            !is_spared(said, asked, model),
            "message {of} is of an equal"
        );
    }

    /// Nothing that was meant is left, of the entries that are kept, from `oldest` on.
    pub(crate) fn check_left(&self, asked: &Asked<'_>, oldest: u32, model: &Model) {
        let since = Millis(asked.to.0.saturating_sub(u64::from(asked.seconds) * 1000));
        let is_kept = |(room, seq): &&(String, u32)| room == asked.room && *seq >= oldest;
        for key in self.there().filter(is_kept) {
            let said = &self.said[key];
            let is_wanted = is_meant(said, asked, model) && !is_spared(said, asked, model);
            assert!(
                !is_wanted || said.at < since || key.1 > asked.head,
                "message {} of {:?} is left by a purge of {}",
                key.1,
                said.who,
                asked.nick
            );
        }
    }
}

fn is_meant(said: &Said, asked: &Asked<'_>, model: &Model) -> bool {
    let account = model.account_like(asked.nick).map(|account| account.id);
    look(&said.nick) == look(asked.nick) || account.is_some() && account == said.who.account
}

/// The author stands as high as the actor, or higher.
fn is_spared(said: &Said, asked: &Asked<'_>, model: &Model) -> bool {
    let room = Some(asked.room);
    let is_own = said.who.account.is_some() && said.who.account == asked.actor.account;
    !is_own && model.role_of(said.who.account, room) >= model.role(asked.actor, room)
}
