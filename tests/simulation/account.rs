//! What one member must receive: the lines of the room from its welcome on, less the entries that
//! were reported as missed, to the exact number; all replies to its requests; and nothing else. One
//! that is behind gets its lines late, after replies that were sent later, and without the notices.
//!
//! The place of a reply between the lines of the room cannot always be known from outside, so the
//! account keeps all places that are possible. Knows no connection.

/// A line to one member alone.
struct Reply {
    begins: String,
    /// The range of its place: the number of lines of the room before it.
    earliest: usize,
    latest: usize,
}

/// A place that a member may have reached: how many lines of the room and replies are before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    line: usize,
    reply: usize,
}

pub(crate) struct Account {
    replies: Vec<Reply>,
    places: Vec<Place>,
    /// The member was behind: replies may have come before lines that were sent earlier.
    is_late: bool,
}

impl Account {
    /// The account of a member that entered somewhere between two lines of the room.
    pub(crate) fn new(earliest: usize, latest: usize) -> Self {
        let place = |line| Place { line, reply: 0 };
        Self {
            replies: Vec::new(),
            places: (earliest..=latest).map(place).collect(),
            is_late: false,
        }
    }

    /// The member entered before this line.
    pub(crate) fn began_by(&mut self, line: usize) {
        self.places.retain(|place| place.line <= line);
    }

    /// The member must receive a reply, at `earliest` or later. Returns the index of the reply.
    pub(crate) fn expects(&mut self, begins: &str, earliest: usize) -> usize {
        self.replies.push(Reply {
            begins: begins.to_owned(),
            earliest,
            latest: usize::MAX,
        });
        self.replies.len() - 1
    }

    /// The member must receive a last line, exactly at `line`.
    pub(crate) fn expects_at_last(&mut self, begins: &str, line: usize) {
        self.replies.push(Reply {
            begins: begins.to_owned(),
            earliest: line,
            latest: line,
        });
    }

    /// A reply comes before this line.
    pub(crate) fn comes_by(&mut self, reply: usize, line: usize) {
        self.replies[reply].latest = self.replies[reply].latest.min(line);
    }

    /// The member received a line. `is_behind`: it may be behind, or have been until now. Returns
    /// false if the line is not possible.
    #[must_use]
    pub(crate) fn sees(&mut self, line: &str, room: &[String], is_behind: bool) -> bool {
        self.is_late |= is_behind;
        let mut next = Vec::new();
        for place in &self.places {
            let notices = room[place.line.min(room.len())..].iter();
            let lost = notices.take_while(|said| *said != line && is_notice(said));
            let at = place.line + if is_behind { lost.count() } else { 0 };
            if room.get(at).is_some_and(|said| said == line) {
                next.push(Place {
                    line: at + 1,
                    ..*place
                });
            }
            let reply = self.replies.get(place.reply);
            // Each line of it is one way in which the reply may begin.
            if reply.is_some_and(|reply| reply.begins.lines().any(|one| line.starts_with(one))) {
                next.push(Place {
                    reply: place.reply + 1,
                    ..*place
                });
            }
        }
        self.moves(next)
    }

    /// A report said that the member missed `count` entries. Returns false if that is not possible.
    #[must_use]
    pub(crate) fn missed(&mut self, count: usize, room: &[String]) -> bool {
        self.is_late = true;
        let after = |place: &Place| {
            let lines = room.iter().enumerate().skip(place.line);
            let mut entries = lines.filter(|(_, line)| !is_notice(line));
            let (last, _) = entries.nth(count.checked_sub(1)?)?;
            Some(Place {
                line: last + 1,
                ..*place
            })
        };
        let next = self.places.iter().filter_map(after).collect();
        self.moves(next)
    }

    fn moves(&mut self, mut next: Vec<Place>) -> bool {
        next.retain(|place| self.is_possible(*place));
        next.sort_unstable();
        next.dedup();
        let moves = !next.is_empty();
        if moves {
            self.places = next;
        }
        moves
    }

    /// Whether a place is within the ranges of the last reply before it and the first one after it.
    fn is_possible(&self, place: Place) -> bool {
        let behind = place.reply.checked_sub(1).map(|last| &self.replies[last]);
        behind.is_none_or(|reply| self.is_late || reply.earliest <= place.line)
            && self
                .replies
                .get(place.reply)
                .is_none_or(|reply| place.line <= reply.latest)
    }

    /// Whether the member has received, or a report has counted as missed, all replies and exactly
    /// the lines of the room before some line from `earliest` to `latest`.
    pub(crate) fn ends_between(&self, earliest: usize, latest: usize) -> bool {
        self.places.iter().any(|place| {
            let has_all_replies = place.reply == self.replies.len();
            has_all_replies && (earliest..=latest).contains(&place.line)
        })
    }

    /// Whether a member that was behind has received all entries and replies for certain. If so,
    /// it must receive each line from here on.
    pub(crate) fn catches_up(&mut self, room: &[String]) -> bool {
        let is_at_the_end = |place: &Place| {
            let mut rest = room[place.line..].iter();
            place.reply == self.replies.len() && rest.all(|line| is_notice(line))
        };
        if !self.places.iter().all(is_at_the_end) {
            return false;
        }
        self.is_late = false;
        self.places = vec![Place {
            line: room.len(),
            reply: self.replies.len(),
        }];
        true
    }

    /// The possible next lines, for a panic message.
    pub(crate) fn describe(&self, room: &[String]) -> String {
        let describe = |place: &Place| {
            let line = room.get(place.line).map_or("nothing", String::as_str);
            let reply = self.replies.get(place.reply);
            let reply = reply.map_or("nothing", |reply| reply.begins.as_str());
            format!(
                "line {} of the room: {line:?}, or reply {}: {reply:?}",
                place.line, place.reply
            )
        };
        let all: Vec<String> = self.places.iter().map(describe).collect();
        all.join("; or ")
    }
}

/// Whether a line of the room is a notice: it is not kept for members that are behind.
fn is_notice(line: &str) -> bool {
    line.starts_with("* ") && !line.contains(" was kicked by ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_run_without_a_gap_is_right_and_a_lost_line_is_found() {
        let mut account = Account::new(0, 2);
        assert!(account.sees("b", &room(), false));
        assert!(account.ends_between(2, 2));
        assert!(!account.sees("d", &room(), false));
    }

    #[test]
    fn reported_gap_must_be_right_to_the_line() {
        for (count, is_right) in [(1, false), (2, true), (3, false)] {
            let mut account = Account::new(0, 0);
            assert!(account.sees("a", &room(), false));
            let could_be = account.missed(count, &room());
            assert_eq!(
                could_be && account.sees("d", &room(), false),
                is_right,
                "{count}"
            );
        }
    }

    #[test]
    fn member_that_is_behind_gets_all_entries_after_a_reply_and_loses_notices() {
        let room = ["a", "* ann left", "b"].map(str::to_owned);
        let mut account = Account::new(0, 0);
        account.expects("* in", 2);
        assert!(!account.sees("* in lobby", &room, false), "too early");
        assert!(account.sees("* in lobby", &room, true));
        assert!(!account.catches_up(&room), "two entries are to come");
        assert!(!account.sees("b", &room, true), "before the other");
        assert!(account.sees("a", &room, true));
        assert!(!account.sees("b", &room, false), "a notice was lost");
        assert!(account.sees("b", &room, true));
        assert!(account.catches_up(&room));
    }

    #[test]
    fn reply_that_is_missed_is_found() {
        let mut account = Account::new(0, 0);
        let reply = account.expects("* in", 1);
        account.comes_by(reply, 2);
        assert!(!account.missed(3, &room()));
    }

    #[test]
    fn reply_out_of_its_place_is_found() {
        let mut account = Account::new(0, 0);
        let reply = account.expects("* in", 1);
        assert!(!account.sees("* in lobby", &room(), false), "too early");
        assert!(account.sees("a", &room(), false));
        assert!(account.sees("b", &room(), false));
        account.comes_by(reply, 2);
        assert!(!account.sees("c", &room(), false), "the reply is lost");
        assert!(account.sees("* in lobby", &room(), false));
    }
}
