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
    assert!(closing.close(&lengths, START));
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
        let is_open = name == "open";
        assert_eq!(state.close(&lengths(), LATER), is_open, "{name}");
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
