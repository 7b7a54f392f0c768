//! What one member must receive: the lines of the room from its welcome on, less those that were
//! reported as missed, to the exact number; all replies to its requests; and nothing else.
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
    /// Lines before it that were missed and not reported.
    owed: usize,
}

pub(crate) struct Account {
    replies: Vec<Reply>,
    places: Vec<Place>,
}

impl Account {
    /// The account of a member that entered somewhere between two lines of the room.
    pub(crate) fn new(earliest: usize, latest: usize) -> Self {
        let place = |line| Place {
            line,
            reply: 0,
            owed: 0,
        };
        Self {
            replies: Vec::new(),
            places: (earliest..=latest).map(place).collect(),
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

    /// The member received a line. `may_miss`: it may have missed lines of the room before a reply,
    /// and the report of that comes later. Returns false if the line is not possible.
    #[must_use]
    pub(crate) fn sees(&mut self, line: &str, room: &[String], may_miss: bool) -> bool {
        let mut next = Vec::new();
        for place in &self.places {
            let is_said = room.get(place.line).is_some_and(|said| said == line);
            if is_said && place.owed == 0 {
                next.push(Place {
                    line: place.line + 1,
                    ..*place
                });
            }
            let Some(reply) = self.replies.get(place.reply) else {
                continue;
            };
            if line.starts_with(&reply.begins) {
                let last = if may_miss { room.len() } else { place.line };
                let at = |line| Place {
                    line,
                    reply: place.reply + 1,
                    owed: place.owed + line - place.line,
                };
                next.extend((place.line..=last.min(reply.latest)).map(at));
            }
        }
        self.moves(next)
    }

    /// A report said that the member missed `count` lines. Returns false if that is not possible.
    #[must_use]
    pub(crate) fn missed(&mut self, count: usize, room: &[String]) -> bool {
        let after = |place: &Place| {
            let line = place.line + count.checked_sub(place.owed)?;
            let place = Place {
                line,
                owed: 0,
                ..*place
            };
            (line <= room.len()).then_some(place)
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
        behind.is_none_or(|reply| reply.earliest <= place.line)
            && self
                .replies
                .get(place.reply)
                .is_none_or(|reply| place.line <= reply.latest)
    }

    /// Whether the member has received, or a report has counted as missed, all replies and exactly
    /// the lines of the room before some line from `earliest` to `latest`.
    pub(crate) fn ends_between(&self, earliest: usize, latest: usize) -> bool {
        self.places.iter().any(|place| {
            let is_at_end = place.reply == self.replies.len() && place.owed == 0;
            is_at_end && (earliest..=latest).contains(&place.line)
        })
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
    fn reply_after_missed_lines_comes_before_their_report() {
        for (count, is_right) in [(1, false), (2, true), (3, true)] {
            let mut account = Account::new(0, 0);
            account.expects("* in", 2);
            assert!(!account.sees("* in lobby", &room(), false));
            assert!(account.sees("* in lobby", &room(), true));
            assert!(!account.ends_between(0, 4), "lines are owed");
            assert!(!account.sees("c", &room(), true), "before the report");
            assert_eq!(account.missed(count, &room()), is_right, "{count}");
            assert_eq!(account.ends_between(count, count), is_right);
        }
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
