//! Bans where connections are: which address a command is about, who must go, and who is not let in.
//! Knows addresses and connections; whom a ban keeps from what is the chat's.

use super::Server;
use crate::chat::registry::{Sanction, Subject};
use crate::chat::{BanNotice, Command, Now, Order, Whom};
use crate::id::{ConnId, RoomId, Tick};
use crate::net::Net;
use std::net::IpAddr;

/// Ticks until the end of a ban is looked for again, since the time of day may be set: a minute.
const LOOK_TICKS: u32 = 600;

impl<N: Net> Server<N> {
    /// When and from where a command of a connection comes.
    pub(super) fn now_of(&mut self, id: ConnId, tick: Tick) -> Now {
        Now {
            tick,
            wall: self.net.wall(),
            address: self.guest_address(id),
        }
    }

    /// The address by which a connection can be known again.
    fn guest_address(&mut self, id: ConnId) -> Option<IpAddr> {
        let counted_for = self.connections.get_mut(id)?.source.counted_for();
        // What clients count for that their proxy does not name.
        counted_for.filter(|address| !address.is_unspecified())
    }

    /// The same command with what only the server knows: the address of the user it is about.
    pub(super) fn with_address<'a>(&mut self, command: Command<'a>) -> Command<'a> {
        let Command::Sanction(order) = command else {
            return command;
        };
        let address = match order.whom {
            Whom::Nick(nick) => {
                let user = self.talk.chat().user_called(nick);
                user.and_then(|user| self.guest_address(user))
            }
            Whom::Account(_) | Whom::Address(_) => None,
        };
        Command::Sanction(Order { address, ..order })
    }

    /// Removes the members that are banned since from a room, or from the server.
    pub(super) fn enforce(&mut self, room: Option<RoomId>, ban: &Sanction, now: Tick) {
        let users = match &ban.subject {
            Subject::Address(prefix) => {
                let connections = self.connections.iter_with_ids();
                let counted = connections
                    .filter_map(|(id, connection)| Some((id, connection.source.counted_for()?)));
                let within = counted.filter(|(_, address)| prefix.contains(*address));
                within.map(|(id, _)| id).collect()
            }
            subject => self.talk.chat().users_under(subject),
        };
        for id in users {
            let when = self.now_of(id, now);
            self.expel(id, room, when);
        }
    }

    /// A user is known by its account from here on, or by it no more, and may be banned as what it
    /// is now where it is.
    pub(super) fn leaves_where_banned(&mut self, id: ConnId, now: Tick) {
        if self.talk.chat().registry().sanction_count() == 0 {
            return;
        }
        let when = self.now_of(id, now);
        self.expel(id, None, when);
        let rooms: Vec<RoomId> = self.talk.chat().rooms_of(id).collect();
        for room in rooms {
            self.expel(id, Some(room), when);
        }
    }

    /// Why a request for a WebSocket is refused to a banned user, in whole sentences.
    pub(super) fn turned_away(
        &mut self,
        id: ConnId,
        nick: Option<&str>,
        room: Option<&str>,
        now: Tick,
    ) -> Option<String> {
        let when = self.now_of(id, now);
        let notice = self.talk.chat().turned_away(nick, room, when)?;
        Some(sentence(&notice))
    }

    /// When bans and mutes that end by themselves are to be looked at.
    pub(super) fn next_end(&self) -> Option<Tick> {
        let end = self.talk.chat().next_end()?;
        let millis = end.0.saturating_sub(self.net.wall().0);
        let ticks = u32::try_from(millis.div_ceil(Tick::MILLIS)).unwrap_or(u32::MAX);
        Some(self.net.now() + ticks.min(LOOK_TICKS))
    }

    /// Forgets the bans and mutes that have ended.
    pub(super) fn end_sanctions(&mut self, now: Tick) {
        let Some(end) = self.talk.chat().next_end() else {
            return;
        };
        let wall = self.net.wall();
        if end <= wall {
            self.chat_step(now, |chat, effects| chat.end_sanctions(wall, effects));
        }
    }
}

/// What a banned user is shown, in whole sentences.
pub(super) fn sentence(notice: &BanNotice) -> String {
    let mut sentence = match notice.until {
        Some(until) => format!("You are banned until {until}"),
        None => String::from("You are banned"),
    };
    if !notice.reason.is_empty() {
        sentence.push_str(": ");
        sentence.push_str(&notice.reason);
    }
    sentence.push('.');
    sentence
}
