//! The topic of a room. It is one of the room's rules, and each new one is an entry.

use super::super::registry::{Audit, Fact, FactKey, Rules};
use super::super::{Act, Action, Chat, Effect, Effects, Now, text};
use super::sanction::act_in;
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;

impl Chat {
    /// Gives a room another topic; an empty one takes it away.
    pub(in super::super) fn set_topic(
        &mut self,
        id: ConnId,
        room: RoomId,
        topic: &str,
        now: Now,
        effects: &mut Effects,
    ) {
        if !self.may_or_refuse(id, Some(room), Action::SetTopic, effects) {
            return;
        }
        let topic = SmolStr::from(text::remark(topic));
        self.change_rules(id, room, ("topic", &topic), now, effects, |rules| {
            rules.topic.clone_from(&topic);
        });
        effects.push(self.act_on_room(id, room, Act::Topic, &topic));
    }

    /// Asks for an entry about what a member did to the room itself.
    pub(super) fn act_on_room(&self, id: ConnId, room: RoomId, act: Act, detail: &str) -> Effect {
        let by = self.nick_of(id).map(|nick| nick.as_smol_str().clone());
        let by = by.unwrap_or_default();
        act_in(room, id, by.clone(), (act, &by, detail, None))
    }

    /// Changes the rules of a room, and answers when they are kept.
    pub(super) fn change_rules(
        &mut self,
        id: ConnId,
        room: RoomId,
        (action, detail): (&'static str, &str),
        now: Now,
        effects: &mut Effects,
        change: impl FnOnce(&mut Rules),
    ) {
        let Some(name) = self.room_name(room).cloned() else {
            return;
        };
        let mut rules = self.registry.rules(&name).cloned().unwrap_or_default();
        change(&mut rules);
        let audit = Audit {
            action: SmolStr::new_static(action),
            by: self.known_as(id),
            room: Some(name.clone()),
            target: SmolStr::default(),
            detail: SmolStr::new(detail),
            until: None,
        };
        let (puts, forgets) = if rules == Rules::default() {
            (Vec::new(), vec![FactKey::Rules { room: name }])
        } else {
            (vec![Fact::Rules { room: name, rules }], Vec::new())
        };
        let change = self.registry.propose(now.wall, puts, forgets, Some(audit));
        effects.push(Effect::Change {
            change: Box::new(change),
            to: Some(id),
            event: None,
        });
    }

    /// The topic of a room; empty: it has none.
    pub fn topic(&self, room: RoomId) -> &str {
        let name = self.room_name(room);
        let rules = name.and_then(|name| self.registry.rules(name));
        rules.map_or("", |rules| rules.topic.as_str())
    }
}
