//! Reports of messages to the moderators of a room. Knows no log: the server reads what is
//! reported.

use super::super::registry::Audit;
use super::super::{Action, Chat, Effect, Effects, Event, Now, may, tell, text};
use crate::id::{ConnId, RoomId, Seq};
use smol_str::{SmolStr, format_smolstr};

/// What moderators see of a message that is reported: a line, not all of a long text.
const EXCERPT_CHARS: usize = 200;

/// A message that was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub room: SmolStr,
    pub seq: Seq,
    /// The reporter's nick.
    pub by: SmolStr,
    /// The author's.
    pub nick: SmolStr,
    /// How the message begins.
    pub text: String,
    /// Perhaps empty.
    pub reason: String,
}

impl Chat {
    /// Asks for the message that a member reports.
    pub(in super::super) fn report(
        id: ConnId,
        room: RoomId,
        (of, reason): (Seq, &str),
        effects: &mut Effects,
    ) {
        effects.push(Effect::Report {
            from: id,
            room,
            of,
            reason: text::remark(reason),
        });
    }

    /// The message is there: the moderators who are in the room see the report, and the audit log
    /// keeps it, without the text, for the absent ones. The room sees nothing.
    pub fn has_reported(
        &mut self,
        (id, room): (ConnId, RoomId),
        (of, nick, words): (Seq, &str, &str),
        reason: &str,
        now: Now,
        effects: &mut Effects,
    ) {
        let (Some(name), Some(by)) = (self.room_name(room).cloned(), self.nick_of(id)) else {
            return;
        };
        let report = Report {
            room: name.clone(),
            seq: of,
            by: by.as_smol_str().clone(),
            nick: SmolStr::new(nick),
            text: text::line(words, EXCERPT_CHARS),
            reason: reason.to_owned(),
        };
        let reaches =
            |one: &ConnId| *one != id && may(self.role_of(*one, room), Action::ReadReports, None);
        let moderators: Vec<ConnId> = self
            .members(room)
            .iter()
            .copied()
            .filter(|one| reaches(one))
            .collect();
        let listed = moderators.iter().filter(|one| self.is_listed(**one, room));
        let count = u32::try_from(listed.count()).unwrap_or(u32::MAX);
        let colon = if reason.is_empty() { "" } else { ": " };
        let audit = Audit {
            action: SmolStr::new_static("report"),
            by: self.known_as(id),
            room: Some(name),
            target: format_smolstr!("#{}", of.0),
            detail: format_smolstr!("{nick}{colon}{reason}"),
            until: None,
        };
        let kept = Event::ReportKept { moderators: count };
        self.note_act(audit, Some((id, kept)), now, effects);
        for moderator in moderators {
            effects.push(tell(moderator, Event::Reported(Box::new(report.clone()))));
        }
    }
}
