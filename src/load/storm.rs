//! Clients that were away: which of them has received which message that was said meanwhile. Knows
//! numbers, not sockets. One message more is said when all are back, so that a client that is not
//! live, or gets the end of its gap twice, is noticed.

use super::ledger::{Arrival, Ledger};

pub(super) struct Storm {
    ledger: Ledger,
    /// By client: messages of its gap that have arrived.
    received: Vec<u32>,
    /// Messages that were said while all were away.
    missed: u32,
}

/// What a message is to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Return {
    Doubled,
    Once {
        is_late: bool,
        /// The gap is complete with it: the client is live.
        is_last: bool,
    },
}

impl Storm {
    pub(super) fn new(clients: usize, missed: usize) -> Self {
        Self {
            ledger: Ledger::new(clients),
            received: vec![0; clients],
            missed: missed as u32,
        }
    }

    /// The number of the message that is said when all are back.
    pub(super) const fn final_number(&self) -> u32 {
        self.missed + 1
    }

    /// A client has received the message `number`, from 1. `None`: there is no such message.
    pub(super) fn hear(&mut self, client: usize, number: u32) -> Option<Return> {
        if number == 0 || number > self.final_number() {
            return None;
        }
        let is_late = match self.ledger.take(client, number) {
            Arrival::Doubled => return Some(Return::Doubled),
            Arrival::Late => true,
            Arrival::InOrder => false,
        };
        let is_of_gap = number <= self.missed;
        self.received[client] += u32::from(is_of_gap);
        let is_last = is_of_gap && self.received[client] == self.missed;
        Some(Return::Once { is_late, is_last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(numbers: &[u32]) -> Vec<Option<Return>> {
        let mut storm = Storm::new(2, 3);
        let heard = numbers.iter().map(|number| storm.hear(1, *number));
        heard.collect()
    }

    const fn once(is_late: bool, is_last: bool) -> Option<Return> {
        Some(Return::Once { is_late, is_last })
    }

    #[test]
    fn client_is_live_with_the_last_message_of_its_gap() {
        let (next, last) = (once(false, false), once(false, true));
        assert_eq!(heard(&[1, 2, 3, 4]), [next, next, last, next]);
    }

    #[test]
    fn client_with_a_hole_is_not_live_until_it_is_filled() {
        let (next, last) = (once(false, false), once(true, true));
        let again = Some(Return::Doubled);
        assert_eq!(heard(&[1, 3, 4, 1, 2]), [next, next, next, again, last]);
    }

    #[test]
    fn number_that_was_not_said_is_unknown() {
        assert_eq!(heard(&[0, 5]), [None, None]);
    }
}
