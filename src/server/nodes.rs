//! What comes from an engine that several servers share: entries of this server and of others in
//! one order, answers to drafts, lost entries, and the link itself. Knows no key of the engine and
//! no encoding.

use super::Server;
use super::acks::Ack;
use super::under_way::Sent;
use crate::chat::{Pair, Role};
use crate::id::{ConnId, Millis, RoomId, Seq, Tick};
use crate::log::{Answer, EpochInfo, NodesAnswer, PageEntry, RefusedWhy};
use crate::net::Net;
use crate::wire::{Done, Problem, Protocol, Shown};
use log::{debug, warn};

impl<N: Net> Server<N> {
    /// Takes one answer of the engine, with all that follows from it.
    pub(super) fn engine_answered(&mut self, answer: Answer, now: Tick) {
        match answer {
            Answer::Entry { room, entry, by } => self.entry_came(room, &entry, by, now),
            Answer::Applied {
                change,
                version,
                own,
            } => self.change_came(&change, version, own, now),
            Answer::Facts { facts, version } => self.facts_came(*facts, version, now),
            Answer::NotChanged { number, is_stale } => self.not_changed(number, is_stale, now),
            Answer::Numbered {
                room,
                tag,
                seq,
                at,
                is_duplicate,
            } => {
                if let Some(sent) = self.draft_answered(tag, now) {
                    self.is_numbered(room, sent, (seq, at), is_duplicate, now);
                }
                self.retry_parked(now);
            }
            Answer::Refused {
                tag,
                why: RefusedWhy::Stale,
                ..
            } => {
                self.judge_again(tag, now);
                self.retry_parked(now);
            }
            Answer::Refused { tag, why, .. } => {
                if let Some(sent) = self.draft_answered(tag, now) {
                    self.is_not_numbered(&sent, why, now);
                }
                self.retry_parked(now);
            }
            Answer::Gap { room, oldest } => self.entries_are_missing(room, oldest, now),
            Answer::Epoch {
                room,
                kept_to,
                epoch,
            } => self.epoch_begins(room, kept_to, epoch, now),
            Answer::Link { is_up, why } => self.link_changes(is_up, &why, now),
            Answer::Nodes(answer) => {
                if let NodesAnswer::Changed { dead, .. } = &answer {
                    self.servers_died(dead);
                }
                self.nodes_answered(answer, now);
            }
            Answer::Sighted { room, what } => self.members_sighted(room, what, now),
            Answer::MembersWanted { room } => self.members_wanted(room),
            Answer::RoomsSighted(what) => self.talk.chat_mut().rooms_sighted(what),
            Answer::RoomsWanted => self.counting.is_wanted = true,
            Answer::Hint { name, seq } => self.hinted(&name, seq, now),
            _ => {}
        }
    }

    /// An entry has its place in a room, whichever server it is of.
    fn entry_came(&mut self, room: RoomId, entry: &PageEntry, by: Option<Role>, now: Tick) {
        let Some(entered) = self.log.enter(room, entry) else {
            return;
        };
        self.has_come_on(room);
        self.was_amended(room, entry.seq, &entry.draft.content, entered.before);
        // Not all that are shown a conversation are members of it.
        let is_pair = || Pair::named(self.log.name(room)).is_some();
        if !self.talk.chat().members(room).is_empty() || is_pair() {
            let entry = entry.as_entry();
            if by.is_some_and(|by| self.talk.chat().outranks(room, entry.nick, by)) {
                self.show_entry(room, &entry, now);
            } else {
                self.ordered(room, &entry, now);
            }
            self.apply(now);
        }
    }

    pub(super) fn draft_answered(&mut self, tag: u64, now: Tick) -> Option<Sent> {
        self.log.was_answered(tag);
        self.is_ordered(tag, now)
    }

    fn is_numbered(
        &mut self,
        room: RoomId,
        sent: Sent,
        (seq, at): (Seq, Millis),
        is_duplicate: bool,
        now: Tick,
    ) {
        let Some(id) = sent.request.filter(|_| self.log.is_open(room)) else {
            return;
        };
        if !sent.is_said {
            let (re, done) = (Some(&id), Done::Nothing);
            return self.show(sent.conn, &Shown::Ok { re, done }, now);
        }
        let ack = Ack {
            seq,
            at,
            conn: sent.conn,
            id,
            is_duplicate,
        };
        self.answer_stored(room, &ack, now);
    }

    fn is_not_numbered(&mut self, sent: &Sent, why: RefusedWhy, now: Tick) {
        warn!(target: "parlor::engine", "the engine has not numbered a message: {why:?}");
        let request = sent.request.as_ref();
        self.fail(sent.conn, request, Problem::StoreUnavailable, now);
    }

    /// Entries before `oldest` did not come and are not kept any more.
    fn entries_are_missing(&mut self, room: RoomId, oldest: Seq, now: Tick) {
        self.settle_room(room, now);
        let Some(head) = self.log.skip(room, oldest) else {
            return;
        };
        let to = Seq(oldest.0.saturating_sub(1));
        let live = self.talk.chat().live(room).to_vec();
        for id in live {
            self.misses(id, room, (head, to), now);
        }
    }

    /// Entries that were numbered above `kept_to` are lost, and the room goes on in a new epoch.
    fn epoch_begins(&mut self, room: RoomId, kept_to: Seq, epoch: EpochInfo, now: Tick) {
        self.settle_room(room, now);
        let Some(begun) = self.log.begin_epoch(room, kept_to, epoch) else {
            return;
        };
        self.has_come_on(room);
        let to = begun.head;
        warn!(
            target: "parlor::engine",
            "a room has a new epoch, in which it goes on after entry {}", to.0
        );
        self.catch_up.rewind(room, to);
        self.seats.rewind(room, to);
        self.stops_reading(room, now);
        let epoch = self.log.epoch(room);
        for id in self.talk.chat().members(room).to_vec() {
            let name = self.name_for(id, room);
            let shown = Shown::Rewound {
                room: &name,
                epoch: &epoch,
                to,
            };
            // Lines have no epoch: they name what is lost.
            if begun.has_lost || self.protocol_of(id) == Some(Protocol::Json) {
                self.show(id, &shown, now);
            }
        }
        self.page_came(room);
    }

    fn link_changes(&mut self, is_up: bool, why: &str, now: Tick) {
        if !self.log.link_changes(is_up) {
            return;
        }
        if !is_up {
            self.under_way.all_wait();
        }
        debug!(target: "parlor::engine", "the link is {}: {why}", if is_up { "up" } else { "down" });
        for id in self.connections.ids() {
            if self.talk.chat().is_user(id) && !self.claims.is_entering(id) {
                self.show(id, &Shown::Link { is_up }, now);
            }
        }
        self.link_of_claims(is_up, now);
        self.retry_parked(now);
    }

    fn nodes_answered(&mut self, answer: NodesAnswer, now: Tick) {
        match answer {
            NodesAnswer::Changed { is_lost, .. } => {
                if is_lost {
                    self.lease_was_lost();
                }
            }
            NodesAnswer::Claimed { tag, granted } => self.nicks_claimed(tag, granted, now),
            NodesAnswer::Resumed { session, earlier } => self.resumed(session, earlier, now),
            NodesAnswer::Held { keys } => self.keys_are_held(keys),
            NodesAnswer::List { tag, nodes } => self.nodes_listed(tag, &nodes, now),
        }
    }

    /// A client that comes while the link is lost is shown that as well.
    pub(super) fn show_link(&mut self, id: ConnId, now: Tick) {
        if self.log.is_cut_off() {
            self.show(id, &Shown::Link { is_up: false }, now);
        }
    }

    /// What has waited for the link for too long is refused.
    pub(super) fn refuse_cut_off(&mut self, now: Tick) {
        while let Some(tag) = self.log.give_up() {
            if let Some(sent) = self.is_ordered(tag, now) {
                let request = sent.request.as_ref();
                self.fail(sent.conn, request, Problem::StoreUnavailable, now);
            }
        }
        while let Some(number) = self.log.give_up_change() {
            self.not_changed(number, false, now);
        }
    }

    pub(super) fn protocol_of(&mut self, id: ConnId) -> Option<Protocol> {
        self.connections.get_mut(id).map(|c| c.protocol)
    }
}
