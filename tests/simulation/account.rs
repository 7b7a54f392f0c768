//! What one member must hear: the lines of their room from their welcome on, the answers to what
//! they ask, and nothing else; less what they were told they missed, to the line.
//!
//! Where exactly an answer stands between the lines of the room cannot always be known from
//! outside, so all places where the member may be are followed at once. Knows no connection.

/// An answer to one member.
struct Reply {
    begins: String,
    /// The lines of the room between which it comes.
    earliest: usize,
    latest: usize,
    /// It is sent however full the queue is.
    is_sure: bool,
}

/// How far a member may be: so many lines of the room and so many answers are behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    reply: usize,
}

pub(crate) struct Account {
    replies: Vec<Reply>,
    places: Vec<Place>,
}

impl Account {
    /// Of somebody who was welcomed between two lines of the room.
    pub(crate) fn new(earliest: usize, latest: usize) -> Self {
        let place = |line| Place { line, reply: 0 };
        Self {
            replies: Vec::new(),
            places: (earliest..=latest).map(place).collect(),
        }
    }

    /// They were welcomed before this line.
    pub(crate) fn began_by(&mut self, line: usize) {
        self.places.retain(|place| place.line <= line);
    }

    /// They must be answered, somewhere from `earliest` on; returns which answer that is.
    pub(crate) fn expects(&mut self, begins: &str, earliest: usize) -> usize {
        self.replies.push(Reply {
            begins: begins.to_owned(),
            earliest,
            latest: usize::MAX,
            is_sure: false,
        });
        self.replies.len() - 1
    }

    /// They must be told a last line, which cannot be missed, exactly here.
    pub(crate) fn expects_at_last(&mut self, begins: &str, line: usize) {
        self.replies.push(Reply {
            begins: begins.to_owned(),
            earliest: line,
            latest: line,
            is_sure: true,
        });
    }

    /// An answer comes before this line.
    pub(crate) fn comes_by(&mut self, reply: usize, line: usize) {
        self.replies[reply].latest = self.replies[reply].latest.min(line);
    }

    /// They see a line. False: they should not.
    #[must_use]
    pub(crate) fn sees(&mut self, line: &str, room: &[String]) -> bool {
        let mut next = Vec::new();
        for place in &self.places {
            if room.get(place.line).is_some_and(|said| said == line) {
                next.push(Place {
                    line: place.line + 1,
                    ..*place
                });
            }
            let reply = self.replies.get(place.reply);
            if reply.is_some_and(|reply| line.starts_with(&reply.begins)) {
                next.push(Place {
                    reply: place.reply + 1,
                    ..*place
                });
            }
        }
        self.moves(next)
    }

    /// They were behind when they were told their last line: what they missed before it, nobody told
    /// them any more.
    pub(crate) fn may_have_missed_the_rest(&mut self) {
        if let Some(last) = self.replies.last()
            && last.is_sure
        {
            self.places.push(Place {
                line: last.latest,
                reply: self.replies.len() - 1,
            });
        }
    }

    /// They are told that they missed so many. False: they cannot have.
    #[must_use]
    pub(crate) fn missed(&mut self, count: usize, room: &[String]) -> bool {
        let mut next = Vec::new();
        for place in &self.places {
            for lines in 0..=count {
                let line = place.line + lines;
                let reply = place.reply + count - lines;
                if line > room.len() || reply > self.replies.len() {
                    continue;
                }
                let skipped = &self.replies[place.reply..reply];
                if skipped.iter().all(|reply| !reply.is_sure) {
                    next.push(Place { line, reply });
                }
            }
        }
        self.moves(next)
    }

    fn moves(&mut self, mut next: Vec<Place>) -> bool {
        next.retain(|place| self.is_possible(*place));
        next.dedup();
        let moves = !next.is_empty();
        if moves {
            self.places = next;
        }
        moves
    }

    /// Whether the answers behind them can be, and those before them.
    fn is_possible(&self, place: Place) -> bool {
        let behind = place.reply.checked_sub(1).map(|last| &self.replies[last]);
        behind.is_none_or(|reply| reply.earliest <= place.line)
            && self
                .replies
                .get(place.reply)
                .is_none_or(|reply| place.line <= reply.latest)
    }

    /// They have seen, or were told that they missed, all lines of the room before some line from
    /// `earliest` to `latest`, and no more of them, and all answers.
    pub(crate) fn ends_between(&self, earliest: usize, latest: usize) -> bool {
        self.places.iter().any(|place| {
            (earliest..=latest).contains(&place.line) && place.reply == self.replies.len()
        })
    }

    /// What they should have seen next, for people.
    pub(crate) fn describe(&self, room: &[String]) -> String {
        let describe = |place: &Place| {
            let line = room.get(place.line).map_or("nothing", String::as_str);
            let reply = self.replies.get(place.reply);
            let reply = reply.map_or("nothing", |reply| reply.begins.as_str());
            format!(
                "line {} of the room: {line:?}, or answer {}: {reply:?}",
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
        assert!(account.sees("b", &room()));
        assert!(account.ends_between(2, 2));
        assert!(!account.sees("d", &room()));
    }

    #[test]
    fn a_gap_must_be_told_to_the_line() {
        for (count, is_right) in [(1, false), (2, true), (3, false)] {
            let mut account = Account::new(0, 0);
            assert!(account.sees("a", &room()));
            let could_be = account.missed(count, &room());
            assert_eq!(could_be && account.sees("d", &room()), is_right, "{count}");
        }
    }

    #[test]
    fn answers_count_among_what_was_missed() {
        let mut account = Account::new(0, 0);
        account.expects("* welcome", 0);
        account.expects("* in", 1);
        assert!(account.sees("* welcome to lobby", &room()));
        assert!(account.missed(3, &room()));
        assert!(account.ends_between(2, 2), "an answer and two lines");
        assert!(account.sees("c", &room()));
        assert!(!account.ends_between(0, 2));
    }

    #[test]
    fn an_answer_out_of_its_place_is_found() {
        let mut account = Account::new(0, 0);
        let reply = account.expects("* in", 1);
        assert!(!account.sees("* in lobby", &room()), "too early");
        assert!(account.sees("a", &room()));
        assert!(account.sees("b", &room()));
        account.comes_by(reply, 2);
        assert!(!account.sees("c", &room()), "the answer is lost");
        assert!(account.sees("* in lobby", &room()));
    }
}
