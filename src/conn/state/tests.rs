//! The tables of `state.rs`, row by row.

use super::*;
use crate::conn::Settings;
use crate::frame::Frame;
use crate::rate::Rate;

/// The default lengths, in ticks.
const HANDSHAKE: u32 = 100;
const CLOSE: u32 = 30;
const STALL: u32 = 300;
const MESSAGE: u32 = 300;
const PING: u32 = 250;
const SILENT: u32 = 600;
const HOLD: u32 = 100;

const START: Tick = Tick(1000);
const LATER: Tick = Tick(1050);

fn lengths() -> Deadlines {
    Deadlines::new(&Settings::default(), Rate::new(10, 20))
}

fn queue_something(state: &mut State) {
    state.outbox.push_control(Frame::text("x"));
}

fn write_all(state: &mut State, now: Tick) -> Drained {
    let count = state.outbox.bytes();
    state.wrote(count, now);
    state.drained(&lengths(), now)
}

/// A connection in each state, entered at [`START`].
fn each() -> [(&'static str, State); 6] {
    let lengths = lengths();
    let new = || State::new(&lengths, START);
    let (head, mut answering, mut idle) = (new(), new(), new());
    let (mut open, mut closing, mut draining) = (new(), new(), new());
    queue_something(&mut answering);
    answering.answered(Vec::new(), &lengths, START);
    idle.answered(Vec::new(), &lengths, START);
    assert_eq!(idle.drained(&lengths, START), Drained::Read);
    open.upgraded();
    closing.upgraded();
    assert_eq!(closing.close(&lengths, START), Closed::Awaits);
    draining.drain(&lengths, START);
    [
        ("head", head),
        ("answering", answering),
        ("idle", idle),
        ("open", open),
        ("closing", closing),
        ("draining", draining),
    ]
}

fn due(state: &State) -> Tick {
    state.due(0, &lengths())
}

#[test]
fn each_state_has_its_deadline_from_its_entry() {
    let wanted = [HANDSHAKE, HANDSHAKE, HANDSHAKE, PING, CLOSE, CLOSE];
    for ((name, state), wanted) in each().iter().zip(wanted) {
        assert_eq!(due(state), START + wanted, "{name}");
    }
}

#[test]
fn no_state_inherits_the_deadline_of_another() {
    let [(_, head), (_, mut answering), (_, mut idle), (_, open), ..] = each();
    answering.outbox = Outbox::default();
    assert_eq!(answering.drained(&lengths(), LATER), Drained::Read);
    assert_eq!(due(&answering), LATER + HANDSHAKE, "idle after a response");
    assert!(matches!(idle.input(&lengths(), LATER), Input::Head(_)));
    assert_eq!(due(&idle), LATER + HANDSHAKE, "a head after idling");
    for mut state in [head, open] {
        queue_something(&mut state);
        assert_eq!(state.peer_ended(false, &lengths(), LATER), Ended::Drains);
        assert_eq!(due(&state), LATER + CLOSE, "draining after the peer's end");
    }
}

#[test]
fn a_request_that_waited_behind_a_response_has_its_own_deadline() {
    let mut state = State::new(&lengths(), START);
    queue_something(&mut state);
    state.answered(b"GET".to_vec(), &lengths(), START);
    assert_eq!(state.resume(&lengths(), LATER), Resume::Wait);
    assert_eq!(write_all(&mut state, LATER), Drained::Read);
    assert_eq!(
        state.resume(&lengths(), LATER),
        Resume::Head(b"GET".to_vec())
    );
    assert_eq!(due(&state), LATER + HANDSHAKE);
}

#[test]
fn a_deadline_that_comes_too_early_means_nothing() {
    for (name, mut state) in each() {
        let early = Tick(due(&state).0 - 1);
        assert_eq!(state.expired(&lengths(), early), Expired::Later, "{name}");
    }
}

#[test]
fn each_deadline_means_what_its_state_says() {
    let wanted = [
        Expired::Refuse,
        Expired::Over,
        Expired::Drain,
        Expired::Ping,
        Expired::Over,
        Expired::Over,
    ];
    for ((name, mut state), wanted) in each().into_iter().zip(wanted) {
        let now = due(&state);
        assert_eq!(state.expired(&lengths(), now), wanted, "{name}");
    }
}

#[test]
fn an_open_connection_is_over_if_a_ping_is_not_answered() {
    let [.., (_, mut open), _, _] = each();
    assert_eq!(open.expired(&lengths(), START + PING), Expired::Ping);
    assert_eq!(due(&open), START + SILENT);
    assert_eq!(open.expired(&lengths(), START + SILENT), Expired::Silent);
}

#[test]
fn an_open_connection_is_pinged_before_it_is_over_after_the_process_stood_still() {
    let [.., (_, mut open), _, _] = each();
    let late = START + 10 * SILENT;
    assert_eq!(open.expired(&lengths(), late), Expired::Ping);
    assert_eq!(due(&open), late + (SILENT - PING));
}

#[test]
fn an_open_connection_stalls_from_the_first_blocked_write_to_the_next_that_is_accepted() {
    let [.., (_, mut open), _, _] = each();
    queue_something(&mut open);
    queue_something(&mut open);
    assert!(open.stalls(START));
    assert!(!open.stalls(LATER), "it stalls already");
    let _ = open.heard(START + STALL);
    assert_eq!(open.expired(&lengths(), START + STALL), Expired::Stalled);
    open.wrote(1, LATER);
    assert_eq!(open.expired(&lengths(), START + STALL), Expired::Later);
    assert_eq!(open.expired(&lengths(), LATER + STALL), Expired::Stalled);
}

#[test]
fn half_a_message_has_a_deadline_and_a_whole_one_has_none() {
    let [.., (_, mut open), _, _] = each();
    let mut spare = Spare::new(&crate::ws::Limits::default());
    let message = Frame::client_text(b"hello", [0; 4]);
    let (mut begin, mut rest) = message.bytes().split_at(4);
    let decoded = open.decode(&mut spare, &mut begin, START);
    assert!(matches!(decoded, Decoded::UsedUp { begins: true }));
    let _ = open.heard(START + MESSAGE);
    assert_eq!(
        open.expired(&lengths(), START + MESSAGE),
        Expired::MessageTooSlow
    );
    let decoded = open.decode(&mut spare, &mut rest, LATER);
    assert!(matches!(
        decoded,
        Decoded::Message {
            was_parked: true,
            ..
        }
    ));
    assert_eq!(open.expired(&lengths(), START + MESSAGE), Expired::Later);
}

#[test]
fn the_end_of_the_peer_ends_a_connection_once_nothing_is_unsent() {
    for (name, mut state) in each() {
        state.outbox = Outbox::default();
        let in_the_system = state.peer_ended(true, &lengths(), LATER);
        assert_eq!(in_the_system, Ended::Drains, "{name}");
        queue_something(&mut state);
        assert_eq!(state.peer_ended(false, &lengths(), LATER), Ended::Drains);
        let shut = Drained::Shut { peer_ended: true };
        assert_eq!(write_all(&mut state, LATER), shut, "{name}");
        assert_eq!(write_all(&mut state, LATER), Drained::Nothing, "{name}");
        assert_eq!(state.peer_ended(false, &lengths(), LATER), Ended::Over);
    }
}

#[test]
fn the_end_of_the_peer_does_not_postpone_the_deadline_of_draining() {
    let [.., (_, mut draining)] = each();
    assert_eq!(draining.peer_ended(true, &lengths(), LATER), Ended::Drains);
    assert_eq!(due(&draining), START + CLOSE);
}

#[test]
fn only_an_open_connection_gets_a_close_frame() {
    for (name, mut state) in each() {
        let wanted = match name {
            "open" => Closed::Awaits,
            _ => Closed::NotOpen,
        };
        assert_eq!(state.close(&lengths(), LATER), wanted, "{name}");
    }
}

#[test]
fn each_state_hears_of_a_stop_in_its_own_way() {
    let wanted = [
        Stop::Refuse,
        Stop::Drain,
        Stop::Drain,
        Stop::Close,
        Stop::Nothing,
        Stop::Nothing,
    ];
    for ((name, state), wanted) in each().into_iter().zip(wanted) {
        assert_eq!(state.stop(), wanted, "{name}");
    }
}

#[test]
fn what_failed_for_want_of_memory_is_tried_again_once() {
    for (name, mut state) in each() {
        state.must_read_again();
        state.must_write_again();
        assert!(state.is_blocked() && state.has_retries(), "{name}");
        let both = Retries {
            read: true,
            write: true,
        };
        assert_eq!(state.take_retries(), both, "{name}");
        assert!(!state.is_blocked() && !state.has_retries(), "{name}");
    }
}

#[test]
fn an_event_makes_a_retry_of_a_write_unnecessary() {
    let mut state = State::new(&lengths(), START);
    state.must_write_again();
    state.unblocks();
    assert!(!state.take_retries().write);
}

#[test]
fn a_pause_ends_by_its_deadline_and_the_heartbeat_begins_anew() {
    let [.., (_, mut open), _, _] = each();
    open.pause(LATER);
    assert!(!open.may_read(&lengths(), LATER));
    assert_eq!(due(&open), LATER + PAUSE_TICKS);
    let over = LATER + PAUSE_TICKS;
    assert_eq!(open.expired(&lengths(), over), Expired::Resume);
    assert!(open.may_read(&lengths(), over));
    assert_eq!(due(&open), over + PING);
}

#[test]
fn any_byte_that_is_accepted_restarts_the_stall_deadline() {
    let mut open = open();
    queue_something(&mut open);
    assert!(open.stalls(START));
    open.wrote(1, LATER);
    assert_eq!(due(&open), START + PING);
    assert_eq!(open.expired(&lengths(), START + STALL), Expired::Ping);
    assert_eq!(open.expired(&lengths(), LATER + STALL), Expired::Stalled);
}

// Held connections

const EVERY_WAIT: [Wait; 8] = [
    Wait::Opening,
    Wait::Page,
    Wait::Acknowledgement,
    Wait::Number,
    Wait::Outbox,
    Wait::Password,
    Wait::Order,
    Wait::Nick,
];

fn open() -> State {
    let [.., (_, open), _, _] = each();
    open
}

fn held(wait: Wait) -> State {
    let mut state = open();
    state.hold(wait, &lengths(), START);
    state
}

/// Decodes as far as possible; returns the texts.
fn decode(state: &mut State, mut input: &[u8], now: Tick) -> Vec<String> {
    let mut spare = Spare::new(&crate::ws::Limits::default());
    let mut texts = Vec::new();
    loop {
        match state.decode(&mut spare, &mut input, now) {
            Decoded::Message {
                received: Received::Text(text),
                ..
            } => texts.push(text.to_string()),
            Decoded::UsedUp { .. } | Decoded::Held => return texts,
            other => panic!("{other:?}"),
        }
    }
}

fn said(text: &str) -> Vec<u8> {
    Frame::client_text(text.as_bytes(), [1, 2, 3, 4])
        .bytes()
        .to_vec()
}

#[test]
fn held_connection_decodes_and_reads_nothing_until_its_last_wait_is_over() {
    for wait in EVERY_WAIT {
        let mut state = held(wait);
        state.hold(Wait::Page, &lengths(), START);
        assert!(decode(&mut state, &said("one"), START).is_empty());
        assert!(state.is_held() && state.is_held_for(wait), "{wait:?}");
        assert!(!state.may_read(&lengths(), START), "{wait:?}");
        assert_eq!(state.resume(&lengths(), START), Resume::Wait);
        let is_last = state.release(wait, LATER);
        assert_eq!(is_last, wait == Wait::Page);
        assert!(is_last || state.take_kept().is_none());
        assert!(is_last || state.release(Wait::Page, LATER));
        assert!(!state.release(wait, LATER), "it is over already");
        assert_eq!(state.take_kept(), Some(said("one")));
        assert_eq!(state.resume(&lengths(), LATER), Resume::Read);
        assert!(state.may_read(&lengths(), LATER));
    }
}

#[test]
fn nothing_is_read_between_the_release_and_what_was_kept() {
    let mut state = held(Wait::Page);
    assert!(decode(&mut state, &said("one"), START).is_empty());
    assert!(state.release(Wait::Page, LATER));
    assert!(!state.is_held());
    assert_eq!(state.resume(&lengths(), LATER), Resume::Wait);
    assert!(decode(&mut state, &said("two"), LATER).is_empty());
    let kept = state.take_kept().expect("it was released");
    assert_eq!(decode(&mut state, &kept, LATER), ["one", "two"]);
}

#[test]
fn input_is_kept_in_order_wherever_it_is_cut_and_however_often_it_is_held() {
    let stream: Vec<u8> = ["one", "two", "three"].map(said).concat();
    for cut in 0..=stream.len() {
        let mut state = open();
        let (first, rest) = stream.split_at(cut);
        let mut texts = decode(&mut state, first, START);
        state.hold(Wait::Number, &lengths(), START);
        assert!(decode(&mut state, rest, START).is_empty());
        for _ in 0..3 {
            assert!(state.release(Wait::Number, LATER));
            let kept = state.take_kept().expect("it was released");
            let mut input = &kept[..];
            let mut spare = Spare::new(&crate::ws::Limits::default());
            // One message, then held again.
            match state.decode(&mut spare, &mut input, LATER) {
                Decoded::Message {
                    received: Received::Text(text),
                    ..
                } => texts.push(text.to_string()),
                Decoded::UsedUp { .. } => {}
                other => panic!("{other:?}"),
            }
            state.hold(Wait::Number, &lengths(), LATER);
            assert!(decode(&mut state, input, LATER).is_empty());
        }
        assert_eq!(texts, ["one", "two", "three"], "cut at {cut}");
    }
}

#[test]
fn what_is_kept_counts_as_held_bytes() {
    let mut state = open();
    assert_eq!(state.held_bytes(), 0);
    state.hold(Wait::Page, &lengths(), START);
    decode(&mut state, &[0; 1000], START);
    assert_eq!(state.kept_bytes(), Some(1000));
    assert!((1000..1100).contains(&state.held_bytes()));
    assert!(state.release(Wait::Page, LATER));
    assert_eq!(state.kept_bytes(), Some(1000));
    assert!(state.take_kept().is_some());
    assert_eq!((state.held_bytes(), state.kept_bytes()), (0, None));
}

#[test]
fn wait_for_the_store_has_a_deadline_of_its_own_and_one_for_the_peer_has_none() {
    for wait in EVERY_WAIT {
        let mut state = held(wait);
        if wait == Wait::Outbox {
            assert_eq!(state.expired(&lengths(), START + 10 * HOLD), Expired::Later);
            assert!(state.is_held());
            continue;
        }
        assert_eq!(due(&state), START + HOLD, "{wait:?}");
        let early = Tick(due(&state).0 - 1);
        assert_eq!(state.expired(&lengths(), early), Expired::Later);
        let Expired::HeldTooLong(waits) = state.expired(&lengths(), START + HOLD) else {
            panic!("{wait:?} has no deadline");
        };
        for other in EVERY_WAIT {
            assert_eq!(waits.has(other), other == wait, "{wait:?} {other:?}");
        }
        assert!(!state.is_held() && state.take_kept().is_some());
        assert_eq!(due(&state), START + HOLD + PING);
    }
}

#[test]
fn deadline_of_a_wait_for_the_store_counts_from_the_first_and_leaves_the_others() {
    let mut state = held(Wait::Outbox);
    let first = START + 10;
    state.hold(Wait::Acknowledgement, &lengths(), first);
    state.hold(Wait::Page, &lengths(), LATER);
    assert_eq!(due(&state), first + HOLD);
    assert!(!state.release(Wait::Acknowledgement, LATER));
    assert_eq!(due(&state), first + HOLD, "a page is awaited still");
    let expired = state.expired(&lengths(), first + HOLD);
    assert!(matches!(expired, Expired::HeldTooLong(waits) if waits.has(Wait::Page)));
    assert!(state.is_held_for(Wait::Outbox));
    assert!(state.take_kept().is_none());
    assert_eq!(state.expired(&lengths(), first + 2 * HOLD), Expired::Later);
}

#[test]
fn wait_for_the_store_that_is_over_has_no_deadline() {
    let mut state = held(Wait::Page);
    state.hold(Wait::Outbox, &lengths(), START);
    assert!(!state.release(Wait::Page, LATER));
    assert_eq!(state.expired(&lengths(), START + HOLD), Expired::Later);
}

#[test]
fn held_connection_is_neither_silent_nor_pinged_and_its_heartbeat_begins_anew() {
    for is_asked in [false, true] {
        let mut state = open();
        if is_asked {
            assert_eq!(state.expired(&lengths(), START + PING), Expired::Ping);
        }
        state.hold(Wait::Outbox, &lengths(), START + PING);
        let late = START + 10 * SILENT;
        assert_eq!(state.expired(&lengths(), late), Expired::Later);
        assert!(state.release(Wait::Outbox, late));
        assert_eq!(due(&state), late + if is_asked { SILENT } else { PING });
    }
}

#[test]
fn held_connection_is_stalled_if_its_peer_accepts_nothing() {
    let mut state = open();
    queue_something(&mut state);
    assert!(state.stalls(START));
    state.hold(Wait::Outbox, &lengths(), LATER);
    assert_eq!(due(&state), START + STALL);
    assert_eq!(state.expired(&lengths(), START + STALL), Expired::Stalled);
}

#[test]
fn deadline_of_half_a_message_moves_by_the_length_of_the_hold() {
    let message = said("hello");
    let mut state = open();
    decode(&mut state, &message[..4], START);
    state.hold(Wait::Page, &lengths(), LATER);
    assert!(state.release(Wait::Page, LATER + 70));
    let _ = state.heard(START + MESSAGE);
    assert_eq!(due(&state), START + MESSAGE + 70);
}

#[test]
fn hold_and_pause_that_overlap_move_the_deadline_of_a_message_once() {
    let message = said("hello");
    // The hold begins with the pause, within it, or after it.
    for (held_at, moved) in [(0, 70), (5, 75), (30, 90)] {
        for is_pause_first in [true, false] {
            let mut state = open();
            decode(&mut state, &message[..4], START);
            if is_pause_first || held_at > 0 {
                state.pause(LATER);
                state.hold(Wait::Page, &lengths(), LATER + held_at);
            } else {
                state.hold(Wait::Page, &lengths(), LATER + held_at);
                state.pause(LATER);
            }
            let over = LATER + PAUSE_TICKS;
            if held_at < PAUSE_TICKS {
                assert_eq!(state.expired(&lengths(), over), Expired::Resume);
                assert!(!state.may_read(&lengths(), over), "it is held still");
            } else {
                // The pause ended before.
                state.paused_until = None;
            }
            assert!(state.release(Wait::Page, LATER + held_at + 70));
            let _ = state.heard(START + MESSAGE);
            assert_eq!(due(&state), START + MESSAGE + moved, "{held_at}");
        }
    }
}

#[test]
fn released_connection_that_is_paused_is_read_when_the_pause_is_over() {
    let mut state = held(Wait::Page);
    state.pause(START);
    assert!(state.release(Wait::Page, START));
    assert!(state.take_kept().is_some(), "what was read is handled");
    assert!(!state.may_read(&lengths(), START));
    assert_eq!(due(&state), START + PAUSE_TICKS);
}

#[test]
fn close_frame_of_the_peer_is_found_in_what_was_kept() {
    let close = Frame::client_close(Some(1000), [1, 2, 3, 4]);
    let kept = [said("one"), close.bytes().to_vec()].concat();
    for (kept, wanted) in [
        (&kept[..], Closed::Answered),
        (&said("one"), Closed::Awaits),
    ] {
        let mut state = held(Wait::Number);
        decode(&mut state, kept, START);
        assert_eq!(state.close(&lengths(), LATER), wanted);
        assert!(!state.is_held());
    }
    // The rest of a frame that was cut comes after the close.
    let mut state = held(Wait::Number);
    let (begin, end) = kept.split_at(kept.len() - 1);
    decode(&mut state, begin, START);
    assert_eq!(state.close(&lengths(), LATER), Closed::Awaits);
    assert!(state.scan(end));
}

#[test]
fn only_an_open_connection_is_held() {
    for (name, mut state) in each() {
        state.hold(Wait::Page, &lengths(), LATER);
        assert_eq!(state.is_held(), name == "open", "{name}");
        state.drain(&lengths(), LATER);
        assert!(!state.is_held(), "{name}");
        assert!(!state.release(Wait::Page, LATER), "{name}");
    }
}
