//! What happened in a room, and what the server must do about it. Knows no encoding.

use super::entry::Draft;
use super::moderation::{Report, Writer};
use super::nick::{Nick, NickRefused};
use super::registry::{AuditRow, Change, Prefix, Rules, Sanction, SanctionKind, Scope};
use super::role::Role;
use crate::id::{ConnId, Millis, RoomId, Seq};
use smol_str::SmolStr;

/// Something that clients see and that no room keeps. What concerns a room names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first event that a new member sees.
    Welcome {
        room: SmolStr,
        nick: Nick,
        /// The members who were there before, at most [`super::PRESENT_MAX`] of them.
        present: Vec<Nick>,
        /// Those of them whose nick is the name of their account.
        accounts: Vec<Nick>,
        /// How many more were there.
        more: u32,
    },
    /// A new member is in the room.
    Joined {
        room: SmolStr,
        nick: Nick,
        /// The nick is the name of the member's account.
        has_account: bool,
    },
    /// A member left, by `/quit` with an optional word, or because the connection ended.
    Left {
        room: SmolStr,
        nick: Nick,
        word: String,
    },
    /// A member is writing something.
    Typing {
        room: SmolStr,
        nick: Nick,
    },
    /// Joins and leaves that were counted instead of announced one by one.
    Summed {
        room: SmolStr,
        joined: u32,
        left: u32,
    },
    /// A member has another nick.
    Renamed {
        room: SmolStr,
        old: Nick,
        new: Nick,
    },
    /// An operator has removed the member who sees this from the room.
    YouWereKicked {
        room: SmolStr,
        by: SmolStr,
        reason: String,
    },
    /// The user who sees this is banned: from a room, or from the server.
    YouWereBanned {
        room: Option<SmolStr>,
        notice: BanNotice,
    },
    /// What was asked is done, and no room was shown it: a sentence that says what.
    Done(String),
    /// Bans and mutes of a room, or of the server, to the user who asked.
    Sanctions {
        room: Option<SmolStr>,
        sanctions: Vec<Listed>,
        more: bool,
    },
    /// What a room is like, to the user who asked.
    Settings {
        room: SmolStr,
        rules: Box<Rules>,
    },
    /// Messages of one author were deleted, to the user who asked for that.
    Purged {
        room: SmolStr,
        nick: SmolStr,
        count: u32,
        /// There may be more that are as new: so many are looked at, and deleted, at once.
        more: bool,
    },
    /// A message was reported: to a moderator.
    Reported(Box<Report>),
    /// The same to the member that reported it.
    ReportKept {
        /// How many have seen it.
        moderators: u32,
    },
    /// Rows of the audit log, the newest first, to the user who asked.
    Audit {
        rows: Vec<AuditRow>,
        more: bool,
    },
    /// The members of the room, to the member who asked; at most [`super::WHO_MAX`].
    Who {
        room: SmolStr,
        members: Vec<Nick>,
        /// Those of them whose nick is the name of their account.
        accounts: Vec<Nick>,
        more: u32,
    },
    /// The rooms and how many members each has, to the member who asked; at most
    /// [`super::ROOMS_MAX`].
    Rooms {
        rooms: Vec<(SmolStr, u32)>,
        more: u32,
    },
    /// How to use the chat, to the member who asked.
    Help,
    /// How to use one command.
    HelpOn {
        command: &'static str,
    },
    /// The member who sees this has become an operator.
    YouAreOperator,
    /// The user who sees this is logged in.
    LoggedIn {
        account: SmolStr,
        nick: SmolStr,
        /// Those on the server.
        roles: Vec<Role>,
        /// The secret to resume with from here on.
        session: Option<SmolStr>,
        /// The account was made by this.
        is_new: bool,
    },
    /// The user who sees this is a guest from here on.
    LoggedOut {
        nick: Nick,
        session: Option<SmolStr>,
    },
    PasswordChanged,
    /// The account of the user who sees this is gone.
    Unregistered,
    /// What is kept of the account of the user who sees this.
    Account(Box<AccountReport>),
    /// The conversations of the user who sees this, the newest first. `is_new`: it has just come.
    Conversations {
        list: Vec<Recent>,
        is_new: bool,
    },
    /// Whom the user who asked takes no messages from.
    Ignored {
        nicks: Vec<SmolStr>,
    },
    /// What a member asked for was not done; only that member sees it.
    Refused(Refused),
}

/// A conversation in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// As the user knows it.
    pub room: SmolStr,
    /// When something was said, to a minute.
    pub at: Millis,
    /// The first that was said while the user was away; 0: nothing was.
    pub unseen: Seq,
}

/// All that is kept of an account, but for what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountReport {
    pub name: SmolStr,
    pub created: Millis,
    pub has_password: bool,
    /// What signed tokens call it.
    pub token_subject: Option<SmolStr>,
    /// When each of its sessions was last noted to be in use.
    pub sessions: Vec<Millis>,
    pub roles: Vec<(Scope, Role)>,
    /// With whom it has talked alone.
    pub conversations: Vec<SmolStr>,
    pub ignored: Vec<SmolStr>,
    pub connections: u32,
}

/// Why a member did not get what they asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The nick is not allowed or taken; the member keeps `kept`, or was given it.
    Nick {
        wanted: String,
        why: NickRefused,
        kept: Nick,
    },
    UnknownCommand {
        name: String,
    },
    Incomplete {
        usage: &'static str,
    },
    /// Nothing was left of the message after control characters were removed.
    EmptyMessage,
    /// The message would be too long for the other members when rendered; it was not delivered.
    TooLong,
    /// Messages above the rate. Reported once; further ones are dropped until the member is within
    /// the rate again.
    TooFast {
        messages_per_second: u32,
    },
    /// The user is not in the room that the command is about.
    NotAMember,
    /// Only an operator may do that.
    NotOperator,
    /// The user is not the author of the message, or its author is not known.
    NotTheAuthor,
    /// There is no message with this number, or it was deleted.
    NoSuchMessage,
    /// The time in which the author may change a message is over.
    TooLate,
    /// The operator token is wrong, or the server has none.
    WrongToken,
    /// Too many wrong tokens came from the address of this member; this one was not compared.
    TooManyTokens,
    /// No member of the room has that nick.
    NoSuchMember {
        nick: String,
    },
    /// The one that was to be written to is here under no such nick, and no account has it.
    NotHere {
        nick: String,
    },
    /// The same where other servers share the chat: what is said to a guest, or by one, stays at
    /// its server.
    NotAtThisServer {
        nick: String,
    },
    /// The one that was to be written to does not want to be, by this user.
    NotTaken {
        nick: SmolStr,
    },
    /// The user ignores as many as it may.
    TooManyIgnored {
        most: usize,
    },
    /// The user is logged in already, and must log out first.
    IsLoggedIn {
        account: SmolStr,
    },
    /// Only a user who is logged in can do that.
    NotLoggedIn,
    /// An account has this name, or one that looks like it.
    AccountTaken {
        name: SmolStr,
    },
    /// There are as many accounts as there may be.
    TooManyAccounts,
    /// The nick of a user who is logged in is the name of the account.
    NickIsAccounts {
        account: SmolStr,
    },
    /// The user's role does not allow it.
    NotAllowed,
    /// The one that it would be done to stands as high, or higher.
    Outranked {
        nick: String,
    },
    /// It would be done to the user itself.
    Oneself,
    /// It would be done to the room's only owner.
    OnlyOwner,
    /// The user may not speak in the room.
    Muted {
        /// For how long still; `None`: until that is lifted.
        millis: Option<u64>,
        reason: SmolStr,
    },
    /// The user may not have this nick, join this room or be here.
    Banned(BanNotice),
    /// There is no such account.
    NoSuchAccount {
        name: String,
    },
    /// There is no such ban or mute to be lifted.
    NoSuchSanction,
    /// There are as many bans and mutes as there may be.
    TooManySanctions,
    /// A nick, to be banned or muted, that no member can have.
    NoNick {
        nick: String,
        why: NickRefused,
    },
    /// Only voiced members speak in the room.
    Moderated,
    /// The next message in the room may come after so long.
    SlowMode {
        millis: u64,
    },
    /// The message has a word that members do not say here.
    Filtered,
}

/// What a user who is banned is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanNotice {
    /// `None`: until it is lifted.
    pub until: Option<Millis>,
    /// Perhaps empty.
    pub reason: SmolStr,
}

/// A ban or a mute in a list, with what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub kind: SanctionKind,
    pub nick: Option<SmolStr>,
    pub account: Option<SmolStr>,
    /// Only where the user who asked may see it.
    pub address: Option<Prefix>,
    pub until: Option<Millis>,
    pub by: SmolStr,
    pub at: Millis,
    pub reason: SmolStr,
}

/// Why a user did not join a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinRefused {
    /// The connection has no user (any more).
    NoUser,
    IsMember,
    /// The user is in as many rooms as a user may be.
    TooManyRooms {
        max: usize,
    },
    /// The user is banned from the room.
    Banned(BanNotice),
    /// Only accounts join the room.
    Locked,
    /// The room has a password, which the user has not shown: what is kept of it.
    Password {
        kept: SmolStr,
    },
    /// It is a conversation of others, or with one that is gone.
    NoSuchRoom,
}

/// What the server must do. Effects are carried out in order, before the next command is handled,
/// so that "the members of the room" are those of this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The draft is to become the next entry of the room. When it has its number it goes back to
    /// [`super::Chat::ordered`], and then to every member of the room.
    Append {
        room: RoomId,
        /// The user that is waiting for it to be kept.
        from: ConnId,
        draft: Draft,
    },
    /// The change of the registry, which is made, is to be kept. When it is, `to` is answered with
    /// the event, or only that it is done.
    Change {
        change: Box<Change>,
        to: Option<ConnId>,
        event: Option<Event>,
    },
    /// The members of the room see the event, but for one. Members that are behind do not.
    Notice {
        room: RoomId,
        event: Event,
        except: Option<ConnId>,
    },
    /// The answer to the command that is being handled.
    Reply { to: ConnId, event: Event },
    /// One connection sees the event, which it did not ask for.
    Tell { to: ConnId, event: Event },
    /// A member of a direct conversation is one no more, and is shown the event.
    Ended {
        to: ConnId,
        room: RoomId,
        event: Event,
    },
    /// Users may be in a room, or on the server, who are banned from it since: they are to be
    /// [expelled](super::Chat::expel).
    Enforce {
        room: Option<RoomId>,
        ban: Box<Sanction>,
    },
    /// The members of a room are to [leave](super::Chat::vacate).
    Vacate {
        room: RoomId,
        by: SmolStr,
        reason: String,
    },
    /// The messages of a writer of the last so many seconds are to be deleted. The log is looked
    /// through, and [`super::Chat::has_purged`] called.
    Purge {
        from: ConnId,
        room: RoomId,
        writer: Box<Writer>,
        seconds: u32,
        /// The request that is being handled is answered by it.
        is_answer: bool,
    },
    /// A message is to be read, for [`super::Chat::has_reported`].
    Report {
        from: ConnId,
        room: RoomId,
        of: Seq,
        reason: String,
    },
    /// The user is to be shown rows of the audit log: of one room, or all.
    ReadAudit {
        to: ConnId,
        room: Option<SmolStr>,
        before: u64,
        limit: u32,
    },
    /// An operator token from this connection was wrong, which counts against its address.
    WrongToken { id: ConnId },
    /// The last member has left the room, or an opened room was not joined. What the members were
    /// sent before is delivered to them all the same.
    RoomIsEmpty { room: RoomId },
    /// The connection is to end.
    Close { id: ConnId, why: Farewell },
}

/// Why the chat wants a connection to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The user asked to leave, and is gone.
    Quit,
    /// An operator removed the user from its last room; the reason as the operator gave it, perhaps
    /// empty. The user is there until [`super::Chat::exit`]: a protocol that can join rooms may keep
    /// the connection.
    Kicked { reason: String },
    /// A newer connection of the account takes the place of this one. The user is there until
    /// [`super::Chat::exit`].
    Replaced,
    /// The password of the account was changed, or the account is gone, and so is the user.
    LoggedOut,
    /// The user is banned from its last room, or from the server.
    Banned {
        notice: BanNotice,
        /// Then no other room can be joined.
        from_server: bool,
    },
}
