//! Why the server closes a WebSocket: a code for the client, a sentence for the person who uses it.
//! Knows the codes of RFC 6455 §7.4.1, and no connection.

use crate::frame::Frame;
use std::borrow::Cow;

/// Why the server closes a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The member sent `/quit`.
    Quit,
    ServerStopping,
    /// The frames break the protocol.
    Protocol(Violation),
    /// The client sent a binary message, for which there is no use here.
    Binary,
    /// Text, or the text of a close frame, is not UTF-8.
    NotUtf8,
    TooBig {
        max_bytes: usize,
    },
    TooManyFragments {
        max: u32,
    },
    /// More work than the peer may cause, three times within a minute.
    Flood,
    /// A message was begun and not completed by its deadline.
    MessageTooSlow,
    /// An operator removed the member; the reason as given, perhaps empty.
    Kicked {
        reason: String,
    },
    /// The user is banned: until when and why, in whole sentences.
    Banned {
        sentence: String,
    },
    /// The client did not read for longer than the stall deadline allows.
    Stalled,
    /// A newer connection of the same session takes the place of this one.
    Replaced,
    /// The URL names no possible room, or a nick that the client cannot have; the rule that says so.
    BadName {
        rule: String,
    },
    /// The request for the WebSocket is refused to a client that would not see the HTTP status.
    Refused {
        status: u16,
        text: Cow<'static, str>,
    },
    /// Only accounts are admitted, or the account of the client is gone or has another password.
    LoginRequired,
    /// The signed token by which the client is logged in has expired.
    TokenExpired,
    /// The room of the URL has a password: the client has shown none, or another.
    RoomPassword {
        is_missing: bool,
    },
    /// The client cannot enter the room of the URL now, and may try again later.
    TryLater {
        sentence: String,
    },
    /// The store did not open the room in time.
    StoreUnavailable,
    /// The server is replaced by another one: the client should come back after so long.
    Restarting {
        retry_ms: u32,
    },
}

/// The rule of the protocol that a client broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    Unmasked,
    ReservedBits,
    UnknownOpcode,
    FragmentedControl,
    ControlTooLong,
    NothingToContinue,
    MessageNotFinished,
    BadClose,
    Other,
}

impl Violation {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Unmasked => "frames from a client must be masked",
            Self::ReservedBits => "reserved bits must be zero: no extension was agreed on",
            Self::UnknownOpcode => "there is no frame of that kind",
            Self::FragmentedControl => "control frames must not be fragmented",
            Self::ControlTooLong => "a control frame has at most 125 bytes of payload",
            Self::NothingToContinue => "a continuation frame, but no message to continue",
            Self::MessageNotFinished => "a new message before the last one was finished",
            Self::BadClose => "a close frame with a bad code or half a code",
            Self::Other => "the frames break the WebSocket protocol",
        }
    }
}

impl CloseReason {
    /// The status code in the close frame.
    pub fn code(&self) -> u16 {
        match self {
            Self::Quit => 1000,
            Self::ServerStopping => 1001,
            Self::Restarting { .. } => 1012,
            Self::Protocol(_) => 1002,
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::TooManyFragments { .. }
            | Self::Flood
            | Self::MessageTooSlow
            | Self::Kicked { .. } => 1008,
            Self::TooBig { .. } => 1009,
            Self::Stalled | Self::StoreUnavailable | Self::TryLater { .. } => 1013,
            Self::Replaced => 4001,
            Self::Banned { .. } => 4002,
            Self::BadName { .. } => 4003,
            Self::LoginRequired => 4004,
            Self::TokenExpired => 4005,
            Self::RoomPassword { .. } => 4006,
            // It may succeed later, which a 503 says to other clients.
            Self::Refused { status: 503, .. } => 1013,
            Self::Refused { status, .. } => 4000 + status,
        }
    }

    /// The codes that are sent in any case, for metrics; [`CloseReason::Refused`] has others.
    pub const CODES: [u16; 18] = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1012, 1013, 4001, 4002, 4003, 4004, 4005, 4006,
        4400, 4403, 4404,
    ];

    /// The sentence in the close frame; [`Frame::close`] cuts it to what fits.
    pub fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Quit => "goodbye".into(),
            Self::ServerStopping => "the server is stopping; try again in a moment".into(),
            Self::Protocol(violation) => violation.sentence().into(),
            Self::Binary => "only text messages are understood here".into(),
            Self::NotUtf8 => "text must be valid UTF-8".into(),
            Self::TooBig { max_bytes } => {
                format!("a message may have at most {max_bytes} bytes").into()
            }
            Self::TooManyFragments { max } => {
                format!("a message may come in at most {max} fragments").into()
            }
            Self::Flood => "too many messages, pings or pongs: slow down".into(),
            Self::MessageTooSlow => "the message was not finished in time".into(),
            Self::Kicked { reason } if reason.is_empty() => "kicked".into(),
            Self::Kicked { reason } => format!("kicked: {reason}").into(),
            Self::Banned { sentence } => sentence.clone().into(),
            Self::Replaced => "a newer connection of this session has taken over".into(),
            Self::LoginRequired => "log in to go on".into(),
            Self::TokenExpired => "your token has expired; come again with a new one".into(),
            Self::RoomPassword { is_missing: true } => {
                "the room has a password: come again with ?password=PASSWORD in the URL".into()
            }
            Self::RoomPassword { is_missing: false } => {
                "this is not the password of the room".into()
            }
            Self::TryLater { sentence } => sentence.clone().into(),
            Self::BadName { rule } => rule.clone().into(),
            Self::Refused { text, .. } => text.clone(),
            Self::StoreUnavailable => {
                "the room cannot be opened at the moment; try again in a moment".into()
            }
            Self::Restarting { retry_ms } => format!("{{\"retry_ms\":{retry_ms}}}").into(),
            Self::Stalled => "you did not take your messages for too long; come again".into(),
        }
    }
}

/// The codes of clients that metrics tell apart: those of browsers and libraries that end in order
/// (1000, 1001), give none (1005) or found a fault; 0 for all others.
pub const CLIENT_CODES: [u16; 7] = [1000, 1001, 1002, 1005, 1009, 1011, 0];

/// The one of [`CLIENT_CODES`] that a peer's close frame counts for.
pub fn client_code(code: Option<u16>) -> u16 {
    let code = code.unwrap_or(1005);
    if CLIENT_CODES.contains(&code) {
        code
    } else {
        0
    }
}

/// The answer to the peer's close frame: its own code, or none if it gave none (RFC 6455 §5.5.1).
pub fn reply_to(code: Option<u16>) -> Frame {
    code.map_or_else(Frame::close_without_code, |code| Frame::close(code, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_of_a_kick_is_in_the_close_frame() {
        let reason = CloseReason::Kicked {
            reason: String::from("too loud"),
        };
        assert_eq!((reason.code(), &*reason.text()), (1008, "kicked: too loud"));
        let reason = CloseReason::Kicked {
            reason: String::new(),
        };
        assert_eq!(&*reason.text(), "kicked");
    }

    #[test]
    fn reason_of_a_restart_is_an_object_for_programs() {
        let reason = CloseReason::Restarting { retry_ms: 1_500 };
        assert_eq!(
            (reason.code(), &*reason.text()),
            (1012, r#"{"retry_ms":1500}"#)
        );
    }

    #[test]
    fn each_reason_has_its_code_and_a_text_that_fits() {
        use crate::frame::CLOSE_TEXT_MAX;
        let rule = String::from("a nick has 1 to 24 characters");
        let refused = |status| CloseReason::Refused {
            status,
            text: "not here".into(),
        };
        let reasons = [
            (CloseReason::Quit, 1000),
            (CloseReason::ServerStopping, 1001),
            (CloseReason::Protocol(Violation::BadClose), 1002),
            (CloseReason::Binary, 1003),
            (CloseReason::NotUtf8, 1007),
            (CloseReason::Flood, 1008),
            (CloseReason::MessageTooSlow, 1008),
            (CloseReason::TooManyFragments { max: u32::MAX }, 1008),
            (
                CloseReason::TooBig {
                    max_bytes: usize::MAX,
                },
                1009,
            ),
            (CloseReason::Restarting { retry_ms: u32::MAX }, 1012),
            (CloseReason::Stalled, 1013),
            (CloseReason::StoreUnavailable, 1013),
            (CloseReason::RoomPassword { is_missing: true }, 4006),
            (CloseReason::RoomPassword { is_missing: false }, 4006),
            (CloseReason::Replaced, 4001),
            (CloseReason::BadName { rule }, 4003),
            (refused(503), 1013),
            (refused(403), 4403),
        ];
        for (reason, code) in reasons {
            assert_eq!(reason.code(), code, "{reason:?}");
            let length = reason.text().len();
            assert!((1..=CLOSE_TEXT_MAX).contains(&length), "{reason:?}");
        }
    }

    #[test]
    fn a_close_is_answered_with_its_own_code() {
        assert_eq!(reply_to(Some(1000)).bytes(), b"\x88\x02\x03\xe8");
        assert_eq!(reply_to(None).bytes(), b"\x88\x00");
    }
}
