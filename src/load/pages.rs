//! Clients that read their room from its newest entry to its oldest, and again from the newest on:
//! which page each asks for next, and whether the one it got is right. Knows numbers, not sockets.

use crate::net::dial::Micros;

/// The place of one client.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The next page ends below this number; `None`: at the newest entry.
    before: Option<u32>,
    /// What was asked, if no answer has come.
    asked: Option<Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Micros,
    /// The client's position in the room: the newest entry has this number or a higher one.
    position: u32,
}

pub(super) struct Pages {
    limit: usize,
    places: Vec<Place>,
}

/// A page that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) asked_at: Micros,
    pub(super) is_right: bool,
}

impl Pages {
    pub(super) fn new(clients: usize, limit: usize) -> Self {
        Self {
            limit,
            places: vec![Place::default(); clients],
        }
    }

    /// The client asks for its next page now: the newest entries, or those below a number.
    pub(super) fn ask(&mut self, client: usize, position: u32, at: Micros) -> Option<u32> {
        let place = &mut self.places[client];
        place.asked = Some(Asked { at, position });
        place.before
    }

    /// A request was not answered with a page; the client may ask again.
    pub(super) fn give_up(&mut self, client: usize) {
        self.places[client].asked = None;
    }

    /// The numbers of a page, in its order. `oldest`: the number of the room's oldest entry, where
    /// that is known. `None`: the client has not asked.
    pub(super) fn take(
        &mut self,
        client: usize,
        numbers: &[u32],
        more: Option<bool>,
        oldest: Option<u32>,
    ) -> Option<Answer> {
        let place = &mut self.places[client];
        let asked = place.asked.take()?;
        let ends_well = match (numbers.last(), place.before) {
            (Some(last), Some(before)) => last + 1 == before,
            (Some(last), None) => *last >= asked.position,
            // Nothing is below the first entry.
            (None, Some(before)) => before == 1,
            (None, None) => asked.position == 0,
        };
        let has_no_hole = numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        let first = numbers.first().copied();
        let says_more_rightly = match (more, first) {
            (None, _) | (Some(true), None | Some(0..=1)) => false,
            (Some(true), Some(first)) => oldest.is_none_or(|oldest| first > oldest),
            (Some(false), Some(first)) => oldest.is_none_or(|oldest| first <= oldest),
            (Some(false), None) => true,
        };
        place.before = first.filter(|_| more == Some(true));
        Some(Answer {
            asked_at: asked.at,
            is_right: ends_well && has_no_hole && says_more_rightly && numbers.len() <= self.limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client at entry 9 that has asked for its first page.
    fn asked() -> Pages {
        let mut pages = Pages::new(1, 3);
        assert_eq!(pages.ask(0, 9, 100), None);
        pages
    }

    fn is_right(pages: &mut Pages, numbers: &[u32], more: bool) -> bool {
        let answer = pages.take(0, numbers, Some(more), Some(1)).expect("asked");
        answer.is_right
    }

    #[test]
    fn room_is_read_to_its_oldest_entry_and_again_from_the_newest() {
        let mut pages = asked();
        assert!(is_right(&mut pages, &[7, 8, 9], true));
        assert_eq!(pages.ask(0, 9, 200), Some(7));
        assert!(is_right(&mut pages, &[4, 5, 6], true));
        assert_eq!(pages.ask(0, 9, 300), Some(4));
        assert!(is_right(&mut pages, &[1, 2, 3], false));
        assert_eq!(pages.ask(0, 9, 400), None);
        let answer = pages.take(0, &[9], Some(true), Some(1)).expect("asked");
        assert_eq!(answer.asked_at, 400);
    }

    #[test]
    fn wrong_pages_are_noticed() {
        for (numbers, more, what) in [
            (&[6, 7, 8][..], true, "not the newest"),
            (&[7, 9], true, "a hole"),
            (&[8, 8, 9], true, "twice"),
            (&[8, 7, 9], true, "disordered"),
            (&[6, 7, 8, 9], true, "more than asked for"),
            (&[8, 9], false, "an end that is none"),
            (&[], false, "nothing"),
        ] {
            assert!(!is_right(&mut asked(), numbers, more), "{what}");
        }
        let mut pages = asked();
        assert!(is_right(&mut pages, &[8, 9], true));
        pages.ask(0, 9, 200);
        assert!(!is_right(&mut pages, &[5, 6], true), "not below the last");
        pages.ask(0, 9, 300);
        assert!(is_right(&mut pages, &[2, 3, 4], true));
        pages.ask(0, 9, 400);
        assert!(!is_right(&mut pages, &[1], true), "more below the first");
    }

    #[test]
    fn page_that_was_not_asked_for_is_none() {
        let mut pages = asked();
        pages.give_up(0);
        assert_eq!(pages.take(0, &[9], Some(true), None), None);
    }

    /// A room that was there before may have lost its oldest entries.
    #[test]
    fn room_of_unknown_age_may_begin_with_any_number() {
        let mut pages = asked();
        let answer = pages.take(0, &[8, 9], Some(false), None).expect("asked");
        assert!(answer.is_right);
    }
}
