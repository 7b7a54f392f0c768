//! One simulated person that speaks plain text: what its client sends, and its place in the log,
//! which it finds by the texts that it receives. A slow one gets its lines late, and what it cannot
//! get is counted in one line. Knows no server.

use super::super::chance::Chance;
use super::super::client::{self, Ear, Seen};
use super::super::trace::Trace;
use super::follower::Bounds;
use super::program::Conduct;
use super::truth::RoomTruth;
use parlor::id::Tick;

pub(crate) struct Reader {
    pub(crate) number: usize,
    pub(crate) conduct: Conduct,
    pub(crate) room: usize,
    pub(crate) socket: Option<usize>,
    ear: Ear,
    pub(crate) nick: String,
    /// How many earlier lines it asks for; `None`: it does not say.
    pub(crate) wish: Option<u32>,
    /// The first entry that it may receive in this connection: the newest of those that were there
    /// when it connected, less the history.
    first: u32,
    /// The last entry that it received, or was informed of having missed.
    pub(crate) at: Option<u32>,
    /// The last entry before it asked for earlier lines, until the first of them comes.
    before: Option<u32>,
    is_welcome: bool,
    /// It has sent a close frame, or received one.
    pub(crate) is_closed: bool,
    /// It speaks TLS.
    pub(crate) is_secure: bool,
    is_operator: bool,
    asked_for_more: bool,
    kicks: u32,
    edits: u32,
    pub(crate) is_behind: bool,
    pub(crate) is_blocked: bool,
    pub(crate) asleep_until: Tick,
    pub(crate) comes_back_at: Tick,
    /// What it has said, each with how often it may be in the log.
    pub(crate) texts: Vec<String>,
    pub(crate) missed: u64,
}

impl Reader {
    pub(crate) fn new(number: usize, conduct: Conduct, room: usize, wish: Option<u32>) -> Self {
        Self {
            number,
            conduct,
            room,
            socket: None,
            ear: Ear::default(),
            nick: format!("p{number}"),
            wish,
            first: 0,
            at: None,
            before: None,
            is_welcome: false,
            is_closed: false,
            is_secure: false,
            is_operator: false,
            asked_for_more: false,
            kicks: 0,
            edits: 0,
            is_behind: true,
            is_blocked: false,
            asleep_until: Tick(0),
            comes_back_at: Tick(0),
            texts: Vec::new(),
            missed: 0,
        }
    }

    /// It has connected: the request for the upgrade. `lines` earlier lines come by default.
    pub(crate) fn connects(
        &mut self,
        socket: usize,
        name: &str,
        room: &RoomTruth,
        lines: u32,
    ) -> Vec<u8> {
        *self = Self {
            texts: std::mem::take(&mut self.texts),
            missed: self.missed,
            kicks: self.kicks,
            edits: self.edits,
            is_secure: self.is_secure,
            socket: Some(socket),
            ..Self::new(self.number, self.conduct, self.room, self.wish)
        };
        self.first = (room.head() + 1).saturating_sub(self.wish.unwrap_or(lines));
        let wish = self
            .wish
            .map_or_else(String::new, |n| format!("&history={n}"));
        client::upgrade(&format!("{name}?nick={}{wish}", self.nick))
    }

    pub(crate) fn is_in(&self) -> bool {
        self.socket.is_some() && self.is_welcome && !self.is_closed
    }

    /// Bytes that the client has read. Judges the lines, and returns the rest.
    pub(crate) fn hears(
        &mut self,
        bytes: &[u8],
        room: &RoomTruth,
        bounds: Bounds,
        trace: &mut Trace,
    ) -> Vec<Seen> {
        self.ear.hear(bytes);
        let mut others = Vec::new();
        while let Some(seen) = self.ear.next() {
            trace.note(|| format!("        {} is sent {seen:?}", self.nick));
            match seen {
                Seen::Line(line) => self.takes(&line, room, bounds),
                other => others.push(other),
            }
        }
        others
    }

    fn takes(&mut self, line: &str, room: &RoomTruth, bounds: Bounds) {
        self.is_welcome |= line.starts_with("* welcome to ");
        if line == EARLIER {
            // Earlier lines that it asked for may begin anywhere before.
            self.first = match self.asked_for_more {
                true => 0,
                false => self.first,
            };
            self.before = self.at.take();
            self.is_behind = true;
            return;
        }
        if let Some(count) = missed(line) {
            return self.has_missed(count, room, bounds);
        }
        if let Some(seq) = room.find(line) {
            let is_next = match self.at {
                Some(at) => at < seq && seq <= room.next_line(at),
                // What it was not sent yet before it asked for earlier lines must be among them.
                None => match self.before.take() {
                    Some(before) => {
                        let is_too_far = room.head() - before > bounds.catch_up_max;
                        seq <= room.next_line(before) || is_too_far || seq <= room.oldest()
                    }
                    None => seq >= self.first || bounds.may_be_gone,
                },
            };
            assert!(
                is_next,
                "{} was sent entry {seq} after {:?} (first {}): {line:?}",
                self.nick, self.at, self.first
            );
            self.at = Some(seq);
        } else {
            assert!(
                line.starts_with("* "),
                "{} was sent what is not in the room's log: {line:?}",
                self.nick
            );
        }
    }

    fn has_missed(&mut self, count: u32, room: &RoomTruth, bounds: Bounds) {
        self.missed += u64::from(count);
        // Where it began is not known before the first entry.
        let Some(at) = self.at else {
            self.before = None;
            return;
        };
        if room.next_line(at) > at + 1 {
            // It may have passed entries that have no line.
            self.at = None;
            self.first = at + 1;
            return;
        }
        let to = at + count;
        let is_gone = to < room.oldest() || bounds.may_be_gone;
        let is_too_far =
            room.head() - at > bounds.catch_up_max && room.head() >= to + bounds.catch_up_max / 2;
        assert!(
            to <= room.head() && (is_gone || is_too_far),
            "{} has missed {count} lines after {at} without a reason: the room is at {} and begins \
             at {}",
            self.nick,
            room.head(),
            room.oldest()
        );
        self.at = Some(to);
    }

    /// A message, or a command.
    pub(crate) fn says(&mut self, target: &str, chance: &mut Chance) -> Vec<u8> {
        let words = match chance.below(20) {
            0 => String::from("/who"),
            1 => {
                self.asked_for_more = true;
                format!("/history {}", 1 + chance.below(20))
            }
            2 if !self.is_operator => {
                self.is_operator = true;
                String::from("/op secret")
            }
            3 if self.is_operator => {
                self.kicks += 1;
                format!("/kick {target} out {} {}", self.number, self.kicks)
            }
            4 if !self.texts.is_empty() => {
                self.edits += 1;
                format!("/edit corrects p{} {}.", self.number, self.edits)
            }
            5 if !self.texts.is_empty() => String::from("/delete"),
            _ => {
                let filling = "y".repeat(chance.below(60));
                let text = format!("says p{} {} {filling}.", self.number, self.texts.len());
                self.texts.push(text.clone());
                match chance.percent(20) {
                    true => format!("/me {text}"),
                    false => text,
                }
            }
        };
        client::frame(0x81, words.as_bytes(), chance)
    }

    /// Everything of the room has come.
    pub(crate) fn is_at_the_end(&self, room: &RoomTruth) -> bool {
        // What was said before it entered is not known.
        self.at.is_none_or(|at| room.next_line(at) > room.head())
    }
}

/// What begins earlier lines.
const EARLIER: &str = "* earlier:";

/// The number of missed messages that a line reports.
fn missed(line: &str) -> Option<u32> {
    let count = line.strip_prefix("* you missed ")?;
    count.split(' ').next()?.parse().ok()
}
