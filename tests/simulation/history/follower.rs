//! One membership of a JSON client: its position in the room, which moves only as the protocol
//! allows, and its place between the lines that a member receives which is never behind. Panics at
//! an entry out of order, a gap or a rewinding without a reason, and a notice at a wrong place.
//! Knows what was received, not how.

use super::json::{Entry, Joined};
use super::truth::{Line, RoomTruth, Truth};
use serde_json::Value;

/// With what a client asked to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// What it missed since it had this entry in this epoch.
    Since { epoch: String, seq: u32 },
    /// So many of the newest entries.
    Newest(u32),
}

/// The most entries of one answer.
const HISTORY_MAX: u32 = 100;

/// What the configuration says of gaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) catch_up_max: u32,
    /// The most entries of a history at joining.
    pub(crate) history_max: u32,
    /// Entries may be missing for another reason: they were in memory alone, or cannot be read.
    pub(crate) may_be_gone: bool,
}

/// A membership.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) room: usize,
    pub(crate) epoch: String,
    /// The client has all that it can have up to here.
    pub(crate) at: u32,
    /// The newest entry when the client asked to join: what it is sent has a form since then.
    from: u32,
    /// Lines of the room before this one were received or lost.
    place: usize,
    /// Notices before this place may have been received in place of equal ones before them.
    sure_from: usize,
    /// The place is known exactly: notices may be compared one by one.
    is_placed: bool,
    /// Notices were lost, and no `presence` has reported it.
    has_lost: bool,
    /// Notices were passed over since the client was live; of those before its place was known it
    /// may have received some.
    may_have_lost: bool,
    /// A `presence` has reported a loss since the client was live.
    was_reported: bool,
    /// The server has promised everything up to here without a gap.
    promised_upto: u32,
    /// Something may not have reached the client yet: its connection was blocked, or it has joined
    /// and reads what it missed.
    pub(crate) is_behind: bool,
}

impl Follower {
    /// The client was informed that it has joined. `place` is a number of lines of the room that
    /// were there before it asked.
    pub(crate) fn joins(
        joined: &Joined,
        wish: &Wish,
        (place, from): (usize, u32),
        nick: &str,
        truth: &Truth,
        bounds: Bounds,
    ) -> Self {
        let index = truth.index(&joined.room).expect("a room that it named");
        let room = &truth.rooms[index];
        assert!(
            joined.seq <= room.head(),
            "{joined:?}, but the room is at {}",
            room.head()
        );
        let mut this = Self {
            room: index,
            epoch: joined.epoch.clone(),
            at: joined.after,
            from,
            place,
            sure_from: 0,
            is_placed: false,
            has_lost: false,
            may_have_lost: false,
            was_reported: false,
            promised_upto: 0,
            is_behind: true,
        };
        let newest = |count: u32| {
            let count = joined.seq.min(count).min(bounds.history_max);
            let all = joined.seq - count;
            let is_gone = joined.after < room.oldest() || bounds.may_be_gone;
            assert!(
                joined.after == all || all < joined.after && is_gone,
                "after {wish:?}: {joined:?}, and the log begins at {}",
                room.oldest()
            );
        };
        match wish {
            Wish::Since { epoch, .. } if !truth.is_known(epoch) => {
                // It must forget all that it has, and gets the newest.
                assert!(
                    joined.rewound == Some(0) && !joined.recovered,
                    "after {wish:?}, of which the server cannot know: {joined:?}"
                );
                newest(HISTORY_MAX);
            }
            Wish::Since { epoch, seq } => {
                let valid = room.valid_upto(truth.life_of(epoch), *seq).min(joined.seq);
                let expected = (valid < *seq).then_some(valid);
                assert_eq!(
                    joined.rewound, expected,
                    "rewound after {wish:?} at {joined:?}"
                );
                let is_after = joined.after == valid || joined.after > valid && !joined.recovered;
                assert!(is_after, "after {wish:?}: {joined:?}");
                let is_too_far = joined.seq - valid > bounds.catch_up_max;
                let is_gone = room.oldest() > valid + 1 || bounds.may_be_gone;
                if joined.recovered {
                    assert!(!is_too_far, "recovered: {joined:?} after {wish:?}");
                    this.promised_upto = joined.seq;
                } else {
                    assert!(
                        is_too_far || is_gone,
                        "not recovered without a reason: {joined:?} after {wish:?}"
                    );
                }
            }
            Wish::Newest(count) => {
                assert_eq!(joined.rewound, None, "a newcomer has seen nothing");
                newest(*count);
            }
        }
        // What was said before it joined is no line for it.
        let newest = Line::Entry(joined.seq);
        let known = room.lines.iter().rposition(|line| *line == newest);
        this.place = this.place.max(known.map_or(0, |place| place + 1));
        this.finds_its_joining(nick, room);
        this
    }

    /// The lines of a room begin for a member after the notice of its own joining.
    fn finds_its_joining(&mut self, nick: &str, room: &RoomTruth) {
        let later = room.lines.iter().enumerate().skip(self.place);
        let mut own = later.filter(|(_, line)| is_own_joining(line, nick));
        if let (Some((place, _)), None) = (own.next(), own.next()) {
            self.place = place + 1;
            self.is_placed = true;
        }
    }

    pub(crate) fn takes_entry(&mut self, entry: &Entry, room: &RoomTruth) {
        room.check(entry.seq, &entry.said, Some(entry.time), self.from);
        assert!(
            entry.seq == self.at + 1,
            "entry {} after {}: {:?}",
            entry.seq,
            self.at,
            entry.said
        );
        self.at = entry.seq;
        let rest = room.lines.iter().enumerate().skip(self.place);
        let mut own = rest.filter(|(_, line)| **line == Line::Entry(entry.seq));
        if let Some((place, _)) = own.next() {
            self.moves_to(place, room, "an entry");
        }
    }

    pub(crate) fn takes_gap(&mut self, from: u32, to: u32, room: &RoomTruth, bounds: Bounds) {
        assert!(
            from == self.at + 1 && from <= to && to <= room.head(),
            "a gap from {from} to {to} after {}, and the room is at {}",
            self.at,
            room.head()
        );
        let is_gone = to < room.oldest() || bounds.may_be_gone;
        let is_too_far = room.head() - self.at > bounds.catch_up_max
            && room.head() - to >= bounds.catch_up_max / 2
            && to > self.promised_upto;
        assert!(
            is_gone || is_too_far,
            "a gap from {from} to {to} without a reason: the room is at {}, and its log begins at \
             {}",
            room.head(),
            room.oldest()
        );
        self.at = to;
    }

    pub(crate) fn is_rewound(&mut self, epoch: &str, to: u32) {
        assert!(
            to <= self.at,
            "rewound to {to}, which is ahead of {}",
            self.at
        );
        epoch.clone_into(&mut self.epoch);
        self.at = to;
    }

    /// A notice came. If it reports a loss, no other member receives it.
    pub(crate) fn takes_notice(&mut self, all: &Value, is_lost: bool, room: &RoomTruth) {
        if is_lost {
            let rest = room.lines.iter().skip(self.place);
            let mut notices = rest.filter(|line| matches!(line, Line::Notice(_)));
            assert!(
                self.may_have_lost
                    || !self.is_placed
                    || !room.is_witnessed
                    || notices.next().is_some(),
                "a loss is reported, and nothing was lost: {all}"
            );
            self.has_lost = false;
            self.was_reported = true;
            return;
        }
        if !room.is_witnessed {
            return;
        }
        let wanted = Line::Notice(all.clone());
        let mut later = room.lines.iter().enumerate().skip(self.place);
        let found = later.find(|(_, line)| match line {
            Line::Entry(seq) => *seq > self.at,
            Line::Notice(_) => **line == wanted,
        });
        let Some((place, line)) = found else {
            panic!("a notice that the room did not receive: {all}");
        };
        assert!(
            *line == wanted,
            "a notice before entry {}: {all}",
            self.at + 1
        );
        self.moves_to(place, room, "a notice");
        if self.is_behind {
            // Of several sums that are equal it may have received a later one.
            let later = room.lines.iter().enumerate().skip(self.place);
            let same_place = later.take_while(|(_, line)| match line {
                Line::Entry(seq) => *seq <= self.at,
                Line::Notice(_) => true,
            });
            let equal = same_place.filter(|(_, line)| **line == wanted);
            self.sure_from = equal.last().map_or(self.sure_from, |(place, _)| place + 1);
        }
        assert!(
            !self.has_lost,
            "notices were lost before {all}, and it was not reported"
        );
    }

    /// The client received the line at `place`; notices before it were lost.
    fn moves_to(&mut self, place: usize, room: &RoomTruth, what: &str) {
        let is_notice = |line: &Line| matches!(line, Line::Notice(_));
        self.may_have_lost |= room.lines[self.place..place].iter().any(is_notice);
        let skipped = &room.lines[self.sure_from.clamp(self.place, place)..place];
        let has_notice = skipped.iter().any(is_notice);
        if has_notice && self.is_placed {
            assert!(
                self.is_behind,
                "{skipped:?} did not come before {what} at {place}"
            );
            self.has_lost = !self.was_reported;
        }
        self.is_placed = true;
        self.place = place + 1;
    }

    /// What the client names as its position when it comes back.
    pub(crate) fn position(&self) -> (String, u32) {
        (self.epoch.clone(), self.at)
    }

    /// Everything that was to come has come: returns whether the client is at the end. A loss at
    /// the end must have been reported.
    pub(crate) fn is_at_the_end(&self, room: &RoomTruth) -> bool {
        let from = self.place.max(self.sure_from).min(room.lines.len());
        let mut notices = room.lines[from..].iter().filter(|line| match line {
            Line::Notice(_) => true,
            Line::Entry(seq) => *seq > self.at,
        });
        let lost_none = !self.is_placed || !self.has_lost && notices.next().is_none();
        self.at == room.head() && (self.was_reported || !room.is_witnessed || lost_none)
    }

    /// The client is at the end: from here on it must receive each line. What it passes over may be
    /// reported as lost only now: the server takes a client for live when the last of its outbox was
    /// accepted, which is later, and a report before does not cover what was lost after it.
    pub(crate) fn becomes_live(&mut self, room: &RoomTruth) {
        let rest = &room.lines[self.place.min(room.lines.len())..];
        let passed = rest.iter().any(|line| matches!(line, Line::Notice(_)));
        self.place = room.lines.len();
        self.is_placed = true;
        self.has_lost = false;
        // Rooms take turns, so that a report may be some turns late.
        self.may_have_lost = passed || self.may_have_lost && !self.was_reported;
        self.was_reported = false;
        self.is_behind = false;
    }
}

fn is_own_joining(line: &Line, nick: &str) -> bool {
    match line {
        Line::Notice(all) => all["type"] == "member_joined" && all["nick"] == nick,
        Line::Entry(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::Joined;
    use super::super::truth::{Mark, Said, What};
    use super::*;
    use serde_json::json;

    const BOUNDS: Bounds = Bounds {
        catch_up_max: 4,
        history_max: 20,
        may_be_gone: false,
    };

    fn said(number: u32) -> Said {
        Said {
            nick: String::from("ann"),
            what: What::Message {
                text: number.to_string(),
                reply_to: None,
            },
            mark: Mark::AsSaid,
        }
    }

    fn entry(seq: u32) -> Entry {
        Entry {
            room: String::from("lobby"),
            seq,
            time: 0,
            said: said(seq),
        }
    }

    fn left(nick: &str) -> Value {
        json!({"type": "member_left", "room": "lobby", "nick": nick})
    }

    /// A room of `head` entries, with a notice after each.
    fn truth(head: u32) -> Truth {
        let mut truth = Truth::new(&["lobby"]);
        truth.hears_epoch("e");
        truth.rooms[0].is_witnessed = true;
        for seq in 1..=head {
            truth.rooms[0].numbers(seq, said(seq), 0, None);
            truth.rooms[0].lines.push(Line::Entry(seq));
            let notice = Line::Notice(left(&format!("n{seq}")));
            truth.rooms[0].lines.push(notice);
        }
        truth
    }

    fn joined(seq: u32, after: u32, recovered: bool, rewound: Option<u32>) -> Joined {
        Joined {
            room: String::from("lobby"),
            epoch: String::from("e"),
            seq,
            after,
            recovered,
            rewound,
            count: 1,
            members: Vec::new(),
        }
    }

    fn follower(truth: &Truth, joined: &Joined, since: u32) -> Follower {
        let wish = Wish::Since {
            epoch: String::from("e"),
            seq: since,
        };
        Follower::joins(joined, &wish, (0, 0), "bob", truth, BOUNDS)
    }

    #[test]
    fn contiguous_entries_and_their_notices_are_right() {
        let truth = truth(3);
        let room = &truth.rooms[0];
        let mut bob = follower(&truth, &joined(1, 1, true, None), 1);
        for seq in 2..=3 {
            assert!(!bob.is_at_the_end(room));
            bob.takes_entry(&entry(seq), room);
            bob.takes_notice(&left(&format!("n{seq}")), false, room);
        }
        assert!(bob.is_at_the_end(room));
    }

    #[test]
    #[should_panic(expected = "entry 3 after 1")]
    fn entry_that_is_left_out_is_found() {
        let truth = truth(3);
        let mut bob = follower(&truth, &joined(1, 1, true, None), 1);
        bob.takes_entry(&entry(3), &truth.rooms[0]);
    }

    #[test]
    #[should_panic(expected = "entry 2 after 2")]
    fn entry_that_comes_twice_is_found() {
        let truth = truth(3);
        let mut bob = follower(&truth, &joined(1, 1, true, None), 1);
        bob.takes_entry(&entry(2), &truth.rooms[0]);
        bob.takes_entry(&entry(2), &truth.rooms[0]);
    }

    #[test]
    #[should_panic(expected = "a notice before entry 2")]
    fn notice_before_the_entry_that_it_follows_is_found() {
        let truth = truth(3);
        let mut bob = follower(&truth, &joined(1, 1, true, None), 1);
        bob.takes_notice(&left("n2"), false, &truth.rooms[0]);
    }

    #[test]
    #[should_panic(expected = "did not come before an entry")]
    fn notice_that_a_live_member_does_not_receive_is_found() {
        let truth = truth(3);
        let mut bob = follower(&truth, &joined(1, 1, true, None), 1);
        bob.takes_entry(&entry(2), &truth.rooms[0]);
        bob.is_behind = false;
        bob.takes_entry(&entry(3), &truth.rooms[0]);
    }

    #[test]
    fn member_that_was_behind_is_informed_of_lost_notices() {
        let truth = truth(3);
        let room = &truth.rooms[0];
        let lost = json!({"type": "presence", "room": "lobby", "lost": true});
        for is_reported in [true, false] {
            let mut bob = follower(&truth, &joined(1, 1, true, None), 1);
            bob.takes_entry(&entry(2), room);
            bob.takes_entry(&entry(3), room);
            if is_reported {
                bob.takes_notice(&lost, true, room);
            }
            assert_eq!(bob.is_at_the_end(room), is_reported);
        }
    }

    #[test]
    #[should_panic(expected = "a loss is reported, and nothing was lost")]
    fn report_of_a_loss_without_one_is_found() {
        let truth = truth(1);
        let room = &truth.rooms[0];
        let mut bob = follower(&truth, &joined(0, 0, true, None), 0);
        bob.takes_entry(&entry(1), room);
        bob.takes_notice(&left("n1"), false, room);
        let lost = json!({"type": "presence", "room": "lobby", "lost": true});
        bob.takes_notice(&lost, true, room);
    }

    #[test]
    #[should_panic(expected = "a gap from 2 to 3 without a reason")]
    fn gap_without_a_reason_is_found() {
        let truth = truth(4);
        let mut bob = follower(&truth, &joined(1, 1, true, None), 1);
        bob.takes_gap(2, 3, &truth.rooms[0], BOUNDS);
    }

    #[test]
    fn gap_beyond_the_bound_is_right_if_it_leaves_half_of_it() {
        let truth = truth(9);
        let mut bob = follower(&truth, &joined(9, 1, false, None), 1);
        bob.takes_gap(2, 7, &truth.rooms[0], BOUNDS);
        bob.takes_entry(&entry(8), &truth.rooms[0]);
    }

    #[test]
    #[should_panic(expected = "rewound after")]
    fn rewinding_that_is_not_sent_is_found() {
        let mut truth = truth(3);
        truth.life = 1;
        truth.rooms[0] = RoomTruth::default();
        truth.rooms[0].numbers(1, said(1), 1, None);
        follower(&truth, &joined(1, 3, true, None), 3);
    }

    #[test]
    #[should_panic(expected = "not recovered without a reason")]
    fn resume_that_gives_up_without_a_reason_is_found() {
        let truth = truth(3);
        follower(&truth, &joined(3, 1, false, None), 1);
    }
}
