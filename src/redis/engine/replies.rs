//! What Redis answers, sorted by what was asked; errors, and what is pushed. Knows no state of a
//! room.

use super::super::link::{Asked, Fault, Which, said};
use super::super::messages::{Found, Published, Said, State, read_hint, read_top};
use super::super::report::Report;
use super::super::resp::{List, Replies, Value, command};
use super::super::rooms::Stage;
use super::super::told::Page;
use super::super::{counts, keys, members, scripts};
use super::{AGAIN_TICKS, Ask, Engine};
use crate::id::RoomId;
use crate::log::{Answer, RefusedWhy, Unnumbered};

impl Engine {
    pub(super) fn take_replies(
        &mut self,
        which: Which,
        replies: &mut Replies,
    ) -> Result<(), Fault> {
        while self.link(which).is_there() {
            match replies.take()? {
                None => break,
                Some(Value::Push(list)) => self.pushed(list),
                Some(value) => self.answered(which, value)?,
            }
        }
        Ok(())
    }

    pub(super) fn answered(&mut self, which: Which, value: Value<'_>) -> Result<(), Fault> {
        let Some((since, asked)) = self.link(which).answered() else {
            return Err(Fault::Broken(format!(
                "it answers what was not asked: {}",
                said(value)
            )));
        };
        match asked {
            Asked::Probe => self.link(which).probed(value, since),
            Asked::Shake(step) => {
                let mut warnings = Vec::new();
                let is_last = self
                    .link(which)
                    .shaken((step, since), value, &mut warnings)?;
                self.reports
                    .extend(warnings.into_iter().map(Report::Warning));
                if is_last {
                    self.shaken();
                }
                Ok(())
            }
            Asked::Other(ask) => match value {
                Value::Error(error) => self.erred(which, ask, error),
                value => self.take(ask, value),
            },
        }
    }

    pub(super) fn take(&mut self, ask: Ask, value: Value<'_>) -> Result<(), Fault> {
        let unclear = || Fault::Broken(String::from("a script gives an answer that is unclear"));
        match ask {
            Ask::Open(id) => {
                self.opening = self.opening.saturating_sub(1);
                let state = State::read(value).ok_or_else(unclear)?;
                self.opened(id, state);
            }
            Ask::Say(asked) => {
                let said = Said::read(value).ok_or_else(unclear)?;
                self.was_said(asked, said);
            }
            Ask::Refill {
                room,
                generation,
                first,
                last,
            } => {
                let found = Found::read(value).ok_or_else(unclear)?;
                self.refilled(room, generation, (first, last), found);
            }
            Ask::Read(id, read) => {
                let found = Found::read(value).ok_or_else(unclear)?;
                self.was_read(id, read, found);
            }
            Ask::Tops(rooms) => {
                self.tops_asked = false;
                let mut tops = value.list().ok_or_else(unclear)?;
                for (id, top) in rooms.into_iter().zip(tops.by_ref()) {
                    self.top_came(id, top.text().and_then(read_top));
                }
                let registry = tops.next().ok_or_else(unclear)?;
                self.facts_top(registry.text().and_then(read_top));
            }
            Ask::Keys { session } => {
                let list = value.list().ok_or_else(unclear)?;
                let keys = keys::read(list, &self.rooms);
                self.answers.push(Answer::Keys { session, keys });
            }
            Ask::Registry { generation } => {
                let state = State::read(value).ok_or_else(unclear)?;
                self.facts_are_at(generation, &state);
            }
            Ask::Facts { generation } => self.facts_came(generation, value)?,
            Ask::Changes { generation } => {
                let found = Found::read(value).ok_or_else(unclear)?;
                self.changes_came(generation, found);
            }
            Ask::Change(proposed) => {
                let said = Said::read(value).ok_or_else(unclear)?;
                self.was_changed(&proposed, said);
            }
            Ask::Beat => self.has_beaten(value)?,
            Ask::Times => self.times_came(value),
            Ask::Claim(claims) => self.has_claimed(&claims, value)?,
            Ask::Sweep => self.has_swept(value)?,
            Ask::Nodes { tag } => self.nodes_came(tag, value.list().ok_or_else(unclear)?),
            Ask::Audit(search) => self.rows_came(search, value.list().ok_or_else(unclear)?)?,
            Ask::See(id, _) => {
                let page = Page::read(value, members::kept).ok_or_else(unclear)?;
                self.was_seen(id, page);
            }
            Ask::SeeList(_) => {
                let page = Page::read(value, counts::kept).ok_or_else(unclear)?;
                self.list_was_seen(page);
            }
            Ask::Present(..) | Ask::Count | Ask::Load => {}
        }
        Ok(())
    }

    /// Redis has refused what was asked.
    pub(super) fn erred(&mut self, which: Which, ask: Ask, error: &[u8]) -> Result<(), Fault> {
        let why = String::from_utf8_lossy(error).into_owned();
        if why.starts_with("NOSCRIPT") {
            self.ask_with_text(which, ask);
            return Ok(());
        }
        let ends = [
            "READONLY",
            "LOADING",
            "MASTERDOWN",
            "BUSY",
            "NOAUTH",
            "NOREPLICAS",
            // Of the script `say`: the request took longer than the link waits.
            "LATE",
        ];
        if ends.iter().any(|code| why.starts_with(code)) {
            // Those that were asked behind it fail for the same reason.
            self.fail(ask, &why);
            return Err(Fault::Broken(why));
        }
        let is_full = is_full(&why);
        if which == Which::Subscriptions && !is_full {
            // This may be the answer to a SUBSCRIBE, of which nothing is remembered.
            return Err(if why.starts_with("NOPERM") {
                Fault::Unfit(format!("Redis refuses a subscription: {why}"))
            } else {
                Fault::Broken(why)
            });
        }
        match ask {
            Ask::Say(asked) => self.was_refused(&asked, why),
            Ask::Open(id) => {
                self.opening = self.opening.saturating_sub(1);
                self.open_failed(id, why);
            }
            Ask::Read(..) | Ask::Keys { .. } | Ask::Nodes { .. } | Ask::Audit(_) => {
                self.fail(ask, &why);
            }
            Ask::Change(proposed) => self.was_not_changed(&proposed, why),
            // Asked again with the next comparison.
            Ask::Registry { .. } => {
                self.facts.wants_again();
                let what = "open the registry";
                self.reports.push(Report::Refused { what, why });
            }
            Ask::Beat => self.beat_failed(why),
            Ask::Claim(claims) => self.claim_failed(&claims, why),
            Ask::Sweep => self.sweep_failed(why),
            // A user who may not ask for it sees no times.
            Ask::Times => {}
            Ask::Present((id, _)) => self.not_presented(id),
            Ask::Count => self.not_counted(),
            Ask::Refill { .. }
            | Ask::Tops(_)
            | Ask::Facts { .. }
            | Ask::Changes { .. }
            | Ask::See(..)
            | Ask::SeeList(_)
            | Ask::Load => return Err(Fault::Broken(why)),
        }
        Ok(())
    }

    pub(super) fn was_refused(&mut self, asked: &Unnumbered, why: String) {
        let refused = match &*why {
            text if is_full(text) => RefusedWhy::Full,
            text if text.starts_with("ROOMFULL") => RefusedWhy::NotOpen,
            text if text.starts_with("STALE") => RefusedWhy::Stale,
            _ => RefusedWhy::Failed,
        };
        let answer = Answer::Refused {
            room: asked.room,
            tag: asked.tag,
            why: refused,
        };
        if let Some(why) = self.answers_when_known(&why, answer) {
            let what = "keep a message";
            self.reports.push(Report::Refused { what, why });
        }
    }

    pub(super) fn open_failed(&mut self, id: RoomId, why: String) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        if room.is_told() {
            room.stage = Stage::Wanted;
            self.wanted.push_back(id);
            self.wanted_from = self.now + AGAIN_TICKS;
        } else {
            self.close(id);
            self.answers.push(Answer::OpenFailed {
                room: id,
                why: why.clone(),
            });
        }
        let what = "open a room";
        self.reports.push(Report::Refused { what, why });
    }

    /// Redis has forgotten the scripts. Each call comes again with the text of its script, in the
    /// order of the answers.
    pub(super) fn ask_with_text(&mut self, which: Which, ask: Ask) {
        let now = self.now;
        for script in scripts::Script::ALL {
            self.link(which).ask(Ask::Load, now, |out, _| {
                command(out, &[b"SCRIPT", b"LOAD", script.text().as_bytes()]);
            });
        }
        match ask {
            Ask::Say(asked) => self.say(asked, true),
            Ask::Open(id) => {
                self.opening = self.opening.saturating_sub(1);
                self.open(id, None, true);
            }
            Ask::Refill {
                room,
                generation,
                first,
                last,
            } => self.read_stream(room, generation, first, last, true),
            Ask::Read(id, read) => self.read(id, read, true),
            Ask::Tops(_) => self.tops_asked = false,
            Ask::Registry { .. } => self.ask_facts(true),
            Ask::Changes { .. } => self.changes_again(),
            Ask::Change(proposed) => self.propose(proposed, true),
            Ask::Beat => self.beat(true),
            Ask::Claim(claims) => self.claim(claims, true),
            Ask::Sweep => self.sweep(true),
            Ask::See(id, place) => self.see(id, place, true),
            Ask::Present(room) => self.present_again(room),
            Ask::SeeList(place) => self.see_list(place, true),
            // Later ones may have been taken meanwhile.
            Ask::Count => self.wants_rooms(),
            Ask::Keys { .. }
            | Ask::Facts { .. }
            | Ask::Nodes { .. }
            | Ask::Audit(_)
            | Ask::Times
            | Ask::Load => {}
        }
    }

    pub(super) fn pushed(&mut self, mut list: List<'_>) {
        let [kind, channel, message] =
            [list.next(), list.next(), list.next()].map(|value| value.and_then(Value::text));
        if kind != Some(b"message") {
            return;
        }
        let (Some(channel), Some(message)) = (channel, message) else {
            return;
        };
        if channel == scripts::CHANGES_CHANNEL.as_bytes() {
            self.change_published(message);
            return;
        }
        if channel == scripts::HINTS_CHANNEL.as_bytes() {
            let hint = read_hint(message);
            self.answers
                .extend(hint.map(|(seq, name)| Answer::Hint { name, seq }));
            return;
        }
        if channel == scripts::ROOMS_CHANNEL.as_bytes() {
            self.rooms_moved(message);
            return;
        }
        if let Some(name) = scripts::room_of_members(channel) {
            if let Some(id) = self.rooms.find(name) {
                self.members_moved(id, message);
            }
            return;
        }
        let id = scripts::room_of(channel).and_then(|name| self.rooms.find(name));
        let room = id.and_then(|id| self.rooms.get_mut(id));
        let Some(room) = room.filter(|room| room.stage == Stage::Live) else {
            return;
        };
        let id = room.id;
        if let Some(state) = State::published(message) {
            self.note_epoch(&state);
            if self.is_too_low(id, &state).is_some() {
                self.ask_again(id);
            } else {
                self.with_room(id, |room, out| room.state_came(state, out));
            }
        } else if let Some(published) = Published::read(message) {
            self.published(id, published);
        }
    }
}

/// Whether Redis takes no more for the time being: its memory is full, or its disk.
fn is_full(why: &str) -> bool {
    why.contains("OOM ") || why.starts_with("MISCONF")
}
