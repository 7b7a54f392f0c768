//! The schedule of a chat and its accounts, message by message.

use super::*;
use crate::load::options::Scenario;

/// One room of three members, two of them senders.
fn talk(pace: Pace) -> Talk {
    let mut options = Options {
        members: 3,
        senders: 2,
        ..Options::new(Scenario::Chat)
    };
    match pace {
        Pace::Rate(rate) => options.send_rate = Some(rate),
        Pace::Window(window) => options.window = Some(window),
    }
    let mut talk = Talk::new(&options, 5, 1);
    for member in 0..3 {
        talk.joined(member);
    }
    talk.count();
    talk.begin(1000);
    talk
}

fn due(talk: &mut Talk, now: Micros) -> Vec<Due> {
    std::iter::from_fn(|| talk.next(now, |_| true)).collect()
}

const HEARD: Heard = Heard::Once {
    is_counted: true,
    is_late: false,
};

#[test]
fn senders_with_a_rate_take_turns_at_their_moments_however_late_the_call_is() {
    let mut talk = talk(Pace::Rate(100.0));
    assert_eq!(talk.due(), Some(1000));
    let sent: Vec<(u32, u32, Micros)> = due(&mut talk, 17_000)
        .iter()
        .map(|due| (due.marker.sender, due.marker.number, due.marker.intended))
        .collect();
    assert_eq!(
        sent,
        [(0, 1, 1000), (1, 1, 6000), (0, 2, 11_000), (1, 2, 16_000)]
    );
    assert_eq!(talk.due(), Some(21_000));
}

#[test]
fn window_opens_when_all_members_have_a_message() {
    let mut talk = talk(Pace::Window(2));
    let first = due(&mut talk, 1000);
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].expected, Some(3));
    for member in [0, 1] {
        assert_eq!(talk.hear(member, first[1].marker), HEARD);
    }
    assert_eq!(due(&mut talk, 1000), []);
    assert_eq!(talk.hear(2, first[1].marker), HEARD);
    let second = due(&mut talk, 1000);
    assert_eq!(second.len(), 1);
    assert_eq!((second[0].member, second[0].marker.number), (0, 2));
}

#[test]
fn lost_message_does_not_close_the_window_for_ever() {
    let mut talk = talk(Pace::Window(1));
    let lost = due(&mut talk, 1000);
    talk.give_up(1000 + GIVEN_UP_MICROS - 1);
    assert_eq!(due(&mut talk, 1000), []);
    talk.give_up(1000 + GIVEN_UP_MICROS);
    let next = due(&mut talk, 1000 + GIVEN_UP_MICROS);
    assert_eq!(next.len(), 1);
    // A late arrival counts, and does not open the window a second time.
    for member in 0..3 {
        assert_eq!(talk.hear(member, lost[0].marker), HEARD);
    }
    assert_eq!(due(&mut talk, 1000 + GIVEN_UP_MICROS), []);
}

#[test]
fn sender_without_a_connection_is_passed_over() {
    for pace in [Pace::Window(3), Pace::Rate(1000.0)] {
        let mut talk = talk(pace);
        let is_open = |member: usize| member == 1;
        let sent: Vec<Due> = std::iter::from_fn(|| talk.next(3000, is_open)).collect();
        assert!(!sent.is_empty() && sent.iter().all(|due| due.member == 1));
        let none = std::iter::from_fn(|| talk.next(3000, |_| false)).count();
        assert_eq!(none, 0);
    }
}

#[test]
fn messages_that_were_due_without_a_sender_are_counted() {
    let mut talk = talk(Pace::Rate(1000.0));
    let sent = std::iter::from_fn(|| talk.next(2999, |member| member == 1)).count();
    assert_eq!(sent, 2);
    let gone = SenderGone {
        messages: 2,
        deliveries: 6,
    };
    assert_eq!(talk.take_gone(), gone);
    assert_eq!(talk.take_gone(), SenderGone::default());
}

#[test]
fn message_that_was_not_sent_in_this_run_is_foreign() {
    let mut talk = talk(Pace::Window(1));
    let said = due(&mut talk, 1000)[0].marker;
    for marker in [
        Marker { room: 4, ..said },
        Marker { room: 6, ..said },
        Marker { sender: 1, ..said },
        Marker { sender: 2, ..said },
        Marker { number: 0, ..said },
        Marker { number: 2, ..said },
    ] {
        assert_eq!(talk.hear(0, marker), Heard::Foreign, "{marker:?}");
    }
    assert_eq!(talk.hear(3, said), Heard::Foreign);
    assert_eq!(talk.hear(0, said), HEARD);
    assert_eq!(talk.hear(0, said), Heard::Again { is_counted: true });
}

#[test]
fn message_from_before_the_count_is_received_and_not_counted() {
    let mut talk = talk(Pace::Window(1));
    let early = due(&mut talk, 1000)[0];
    talk.count();
    for member in 0..3 {
        let heard = talk.hear(member, early.marker);
        assert!(matches!(
            heard,
            Heard::Once {
                is_counted: false,
                ..
            }
        ));
    }
    assert_eq!(due(&mut talk, 1000)[0].expected, Some(3));
    talk.stop();
    assert_eq!(talk.due(), None);
    assert_eq!(due(&mut talk, 9_000_000), []);
}
