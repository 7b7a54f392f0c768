//! Which rooms let whom in, and what their members may read, as the game knows it: a room with a
//! password, and one whose newcomers see nothing of before. Knows which sessions may come back to
//! where they were, by what their clients were sent.

use super::passwords::hashed;
use super::person::{Asked, Connection};
use parlor::chat::Role;
use parlor::chat::registry::{Fact, Rules};
use std::collections::BTreeMap;

/// The password of the room that has one.
pub(crate) const WORD: &str = "open sesame";

/// The sessions of clients, and the seats that those have whose connection was lost.
#[derive(Default)]
pub(crate) struct Seats {
    count: u32,
    /// By the token with which it is resumed.
    sessions: BTreeMap<String, u32>,
    /// By session and room: the oldest entry that it may have read.
    kept: BTreeMap<(u32, usize), u32>,
}

/// The rules of a game's rooms: the first shows newcomers nothing, the second has a password.
pub(crate) fn rules(rooms: [&str; 2]) -> Vec<Fact> {
    let hidden = Rules {
        newcomers_read: false,
        ..Rules::default()
    };
    let closed = Rules {
        password: Some(hashed(WORD).into()),
        ..Rules::default()
    };
    let each = rooms.into_iter().zip([hidden, closed]);
    each.map(|(room, rules)| Fact::Rules {
        room: room.into(),
        rules,
    })
    .collect()
}

impl Seats {
    /// A client has this token from here on: of another session, or of the one that it has resumed.
    pub(crate) fn has_token(&mut self, token: &str, resumed: Option<&str>) -> u32 {
        let old = resumed.and_then(|token| self.sessions.get(token).copied());
        let session = old.unwrap_or_else(|| {
            self.count += 1;
            self.count
        });
        self.sessions.insert(token.to_owned(), session);
        session
    }

    /// The connection is lost, and its session may come back to its rooms, also to one that it
    /// does not know to be in.
    pub(crate) fn are_kept(&mut self, connection: &Connection) {
        for room in &connection.rooms {
            let floor = connection.floors.get(room).copied().unwrap_or(0);
            self.kept.insert((connection.session, *room), floor);
        }
        let resumed = connection.asked.values().find_map(|asked| match asked {
            Asked::Resume(token) => self.sessions.get(token).copied(),
            _ => None,
        });
        for asked in connection.asked.values() {
            if let Asked::Join(room, _) = asked {
                for session in [Some(connection.session), resumed].into_iter().flatten() {
                    self.kept.insert((session, *room), 0);
                }
            }
        }
    }

    pub(crate) fn has(&self, session: u32, room: usize) -> bool {
        self.kept.contains_key(&(session, room))
    }

    /// A client has joined a room. Returns the oldest entry that it may read, where that is hidden
    /// from newcomers; `newest` is the newest entry at that moment.
    pub(crate) fn joined(
        &mut self,
        session: u32,
        room: usize,
        rules: &Rules,
        newest: u32,
    ) -> Option<u32> {
        let kept = self.kept.remove(&(session, room));
        (!rules.newcomers_read).then(|| kept.unwrap_or(newest + 1))
    }

    /// The server has ended, and with it all seats.
    pub(crate) fn end(&mut self) {
        self.kept.clear();
    }
}

/// Whether a role lets somebody into every room, and whether it reads all of one.
pub(crate) fn needs_no_password(role: Role) -> bool {
    role > Role::Member
}

pub(crate) fn reads_past(role: Role) -> bool {
    role >= Role::Moderator
}
