//! What a user may do, and to whom: the only place that decides it. Knows no user and no room.

use crate::carry::carried;

/// How high a user stands in a room, the lowest first. The two highest stand above every room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    #[default]
    Member,
    /// May speak in a moderated room.
    Voiced,
    /// Keeps order in one room.
    Moderator,
    /// Decides what a room is like, and who keeps order in it.
    Owner,
    /// Keeps order in all rooms.
    ServerModerator,
    /// Decides everything. An operator is one while connected.
    Admin,
}

carried!(enum Role {
    0 = Member,
    1 = Voiced,
    2 = Moderator,
    3 = Owner,
    4 = ServerModerator,
    5 = Admin,
});

/// What a role allows or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Speak while only voiced members may.
    SpeakInModerated,
    /// Speak at any pace: without the room's slow mode and the limit of messages.
    SpeakFast,
    /// Say what the word filter would replace or refuse.
    SpeakUnfiltered,
    SetTopic,
    Kick,
    Mute,
    Ban,
    /// Ban or mute everywhere, and lift that again.
    BanEverywhere,
    /// Delete, or remove all that a member said lately.
    DeleteOthers,
    ReadReports,
    ReadSanctions,
    /// Read what moderators have done in the room.
    ReadAudit,
    /// Read what was done on the whole server.
    ReadAuditOfAll,
    /// Slow mode, moderated, locked.
    SetPace,
    /// Hidden, a password, what newcomers may read, how long entries are kept.
    SetRoom,
    CloseRoom,
    /// Give a role in the room, or take it. The target is the higher one of the role that the
    /// account has and the one that it gets.
    GiveRole,
    /// Give a role on the server, or take it.
    GiveServerRole,
    /// Read what was said before one came where newcomers do not.
    ReadPast,
    /// Make a room where others may not, and as many as one likes.
    MakeRoom,
    /// See rooms that are hidden.
    SeeHidden,
}

impl Role {
    /// All of them, the lowest first.
    pub const ALL: [Self; 6] = [
        Self::Member,
        Self::Voiced,
        Self::Moderator,
        Self::Owner,
        Self::ServerModerator,
        Self::Admin,
    ];

    /// The least role for an action.
    const fn least(action: Action) -> Self {
        match action {
            Action::SpeakInModerated => Self::Voiced,
            Action::SpeakFast
            | Action::SpeakUnfiltered
            | Action::SetTopic
            | Action::Kick
            | Action::Mute
            | Action::Ban
            | Action::DeleteOthers
            | Action::ReadReports
            | Action::ReadSanctions
            | Action::ReadAudit
            | Action::ReadPast
            | Action::SetPace => Self::Moderator,
            Action::SetRoom | Action::CloseRoom | Action::GiveRole => Self::Owner,
            Action::BanEverywhere
            | Action::ReadAuditOfAll
            | Action::SeeHidden
            | Action::MakeRoom => Self::ServerModerator,
            Action::GiveServerRole => Self::Admin,
        }
    }

    /// Whether this role is one of the whole server.
    pub const fn is_of_server(self) -> bool {
        matches!(self, Self::ServerModerator | Self::Admin)
    }

    /// As clients see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Voiced => "voiced",
            Self::Moderator | Self::ServerModerator => "moderator",
            Self::Owner => "owner",
            Self::Admin => "admin",
        }
    }
}

/// Whether a role may do something, to a user of another role if to one. A user never acts on one
/// of an equal or a higher role; the highest acts on all but its own.
pub fn may(actor: Role, action: Action, target: Option<Role>) -> bool {
    actor >= Role::least(action) && target.is_none_or(|target| target < actor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As docs/moderation.md has it: `.` is no, `x` is yes, in the order of [`Role::ALL`].
    const TABLE: [(Action, &str, &str); 21] = [
        (
            Action::SpeakInModerated,
            "speak in a moderated room",
            ".xxxxx",
        ),
        (Action::SpeakFast, "speak at any pace", "..xxxx"),
        (
            Action::SpeakUnfiltered,
            "say words of the word filter",
            "..xxxx",
        ),
        (Action::SetTopic, "change the topic", "..xxxx"),
        (Action::Kick, "kick", "..xxxx"),
        (Action::Mute, "mute, and lift it", "..xxxx"),
        (Action::Ban, "ban from the room, and lift it", "..xxxx"),
        (
            Action::BanEverywhere,
            "ban or mute everywhere, and lift it",
            "....xx",
        ),
        (Action::DeleteOthers, "delete what others said", "..xxxx"),
        (Action::ReadReports, "see reports", "..xxxx"),
        (
            Action::ReadSanctions,
            "list bans and mutes of the room",
            "..xxxx",
        ),
        (
            Action::ReadAudit,
            "read the audit log of the room",
            "..xxxx",
        ),
        (
            Action::ReadAuditOfAll,
            "read the audit log of the server",
            "....xx",
        ),
        (
            Action::ReadPast,
            "read what was said before, where newcomers do not",
            "..xxxx",
        ),
        (Action::SetPace, "slow mode, moderated, locked", "..xxxx"),
        (
            Action::SetRoom,
            "hide the room, its password, its history",
            "...xxx",
        ),
        (Action::CloseRoom, "close the room", "...xxx"),
        (Action::GiveRole, "give roles in the room", "...xxx"),
        (Action::GiveServerRole, "give roles on the server", ".....x"),
        (
            Action::MakeRoom,
            "make a room where members may not, or too often",
            "....xx",
        ),
        (Action::SeeHidden, "see hidden rooms", "....xx"),
    ];

    #[test]
    fn every_role_may_do_what_the_table_says_to_every_other() {
        for (action, _, row) in TABLE {
            for (actor, cell) in Role::ALL.into_iter().zip(row.chars()) {
                assert_eq!(
                    may(actor, action, None),
                    cell == 'x',
                    "{actor:?} {action:?}"
                );
                for target in Role::ALL {
                    let expected = cell == 'x' && target < actor;
                    let found = may(actor, action, Some(target));
                    assert_eq!(found, expected, "{actor:?} {action:?} {target:?}");
                }
            }
        }
    }

    #[test]
    fn documentation_has_this_table() {
        let page = include_str!("../../docs/moderation.md");
        let rows = page
            .lines()
            .skip_while(|line| !line.starts_with("| action |"));
        let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 2 + TABLE.len());
        for (action, words, row) in TABLE {
            let cells = row
                .chars()
                .map(|cell| if cell == 'x' { " yes |" } else { " no |" });
            let expected = format!("| {words} |{}", cells.collect::<String>());
            assert!(rows.contains(&expected.as_str()), "{action:?}: {expected}");
        }
    }
}
