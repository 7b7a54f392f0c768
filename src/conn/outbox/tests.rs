//! The outbox: scenes by hand, and random operations against a plain list of frames.

use super::*;
use crate::frame::Run;

const LIMITS: Limits = Limits {
    frames_max: 3,
    bytes_max: 100,
};

fn frame(text: &str) -> Frame {
    Frame::text(text)
}

/// All that is queued.
fn rest(outbox: &Outbox) -> Vec<u8> {
    let mut slices = vec![IoSlice::new(&[]); outbox.frames()];
    outbox.slices(&mut slices);
    slices.iter().flat_map(|slice| slice.to_vec()).collect()
}

fn joined(frames: &[&Frame]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|frame| frame.bytes().to_vec())
        .collect()
}

#[test]
fn frames_come_out_in_order_wherever_writes_are_cut() {
    let (a, b) = (frame("one"), frame("two"));
    for cut in 0..=10 {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(a.clone(), LIMITS), Pushed::Queued);
        assert_eq!(outbox.push(b.clone(), LIMITS), Pushed::Queued);
        outbox.advance(cut);
        outbox.check_invariants();
        assert_eq!(rest(&outbox), joined(&[&a, &b])[cut..]);
        outbox.advance(10 - cut);
        assert!(outbox.is_empty());
    }
}

#[test]
fn a_frame_above_the_limit_does_not_fit() {
    let mut outbox = Outbox::default();
    for _ in 0..3 {
        assert_eq!(outbox.push(frame("x"), LIMITS), Pushed::Queued);
    }
    assert!(!outbox.has_room(&frame("x"), LIMITS));
    assert_eq!(outbox.push(frame("x"), LIMITS), Pushed::Full);
    assert_eq!(outbox.frames(), 3);
}

#[test]
fn bytes_are_limited_too_but_one_frame_always_fits() {
    let mut outbox = Outbox::default();
    assert_eq!(outbox.push(frame(&"x".repeat(500)), LIMITS), Pushed::Queued);
    assert_eq!(outbox.push(frame("x"), LIMITS), Pushed::Full);
}

#[test]
fn a_run_counts_as_its_messages_and_fits_whole_or_not_at_all() {
    let mut run = Run::default();
    run.push_text("one");
    run.push_text("two");
    let run = run.take().expect("it has two");
    let mut outbox = Outbox::default();
    assert_eq!(outbox.push(run.clone(), LIMITS), Pushed::Queued);
    assert_eq!(outbox.frames(), 2);
    assert_eq!(outbox.push(run, LIMITS), Pushed::Full);
    assert_eq!(outbox.frames(), 2);
    outbox.advance(6);
    outbox.check_invariants();
    assert_eq!(
        outbox.frames(),
        2,
        "a run is there until all of it is written"
    );
    outbox.advance(4);
    assert_eq!(outbox.frames(), 0);
}

#[test]
fn control_frames_fit_into_a_full_queue() {
    let mut outbox = Outbox::default();
    for _ in 0..3 {
        let _ = outbox.push(frame("x"), LIMITS);
    }
    outbox.push_control(frame("last line"));
    outbox.push_close(Frame::close(1008, "bye"));
    assert_eq!(outbox.frames(), 5);
}

#[test]
fn replies_fit_into_a_full_queue_and_are_counted_until_the_last_is_written() {
    let mut outbox = Outbox::default();
    for _ in 0..3 {
        let _ = outbox.push(frame("x"), LIMITS);
    }
    for count in 1..=REPLIES_MAX {
        assert!(!outbox.has_many_replies(LIMITS), "{count}");
        outbox.push_reply(frame("r"));
        assert_eq!(outbox.replies(), count);
    }
    assert!(outbox.has_many_replies(LIMITS));
    outbox.push_control(frame("x"));
    outbox.advance(outbox.bytes() - 4);
    assert_eq!(outbox.replies(), REPLIES_MAX);
    outbox.advance(1);
    assert_eq!(outbox.replies(), 0, "what waits is no reply");
    outbox.check_invariants();
}

#[test]
fn a_reply_that_does_not_fit_is_one_too_many() {
    let mut outbox = Outbox::default();
    let _ = outbox.push(frame(&"x".repeat(90)), LIMITS);
    outbox.push_reply(frame("fits"));
    assert!(!outbox.has_many_replies(LIMITS));
    outbox.push_reply(frame("does not"));
    assert!(outbox.has_many_replies(LIMITS));
    outbox.advance(outbox.bytes());
    assert!(!outbox.has_many_replies(LIMITS));
}

#[test]
fn a_long_run_without_a_reply_is_no_reason_to_hold() {
    let mut outbox = Outbox::default();
    let _ = outbox.push(frame(&"x".repeat(500)), LIMITS);
    assert!(!outbox.has_many_replies(LIMITS));
}

#[test]
fn dropped_replies_do_not_wait() {
    let mut outbox = Outbox::default();
    outbox.push_reply(frame("one"));
    outbox.push_reply(frame("two"));
    outbox.drop_unsent();
    assert_eq!(outbox.replies(), 0);
    outbox.check_invariants();
    outbox.push_reply(frame("one"));
    outbox.advance(1);
    outbox.push_control(frame("two"));
    outbox.drop_unsent();
    assert_eq!(outbox.replies(), 1, "it is begun");
    outbox.advance(outbox.bytes());
    assert_eq!(outbox.replies(), 0);
}

#[test]
fn nothing_follows_the_close_frame() {
    let mut outbox = Outbox::default();
    let close = Frame::close(1000, "");
    outbox.push_close(close.clone());
    assert_eq!(outbox.push(frame("x"), LIMITS), Pushed::Queued);
    outbox.push_control(frame("x"));
    outbox.push_reply(frame("x"));
    outbox.push_pong(Frame::pong(b""));
    outbox.push_close(Frame::close(1001, ""));
    assert_eq!(rest(&outbox), close.bytes());
}

#[test]
fn a_later_pong_takes_the_place_of_an_unsent_one() {
    let mut outbox = Outbox::default();
    let (text, last) = (frame("x"), Frame::pong(b"later"));
    assert!(!outbox.has_pong());
    outbox.push_pong(Frame::pong(b"first"));
    assert!(outbox.has_pong());
    let _ = outbox.push(text.clone(), LIMITS);
    outbox.push_pong(last.clone());
    assert_eq!(rest(&outbox), joined(&[&last, &text]));
    outbox.check_invariants();
}

#[test]
fn a_later_pong_takes_the_place_of_one_that_waits_alone() {
    let mut outbox = Outbox::default();
    let last = Frame::pong(b"later");
    outbox.push_pong(Frame::pong(b"first"));
    outbox.push_pong(last.clone());
    assert_eq!(outbox.single(), Some(last.bytes()));
    outbox.check_invariants();
}

#[test]
fn one_frame_is_written_as_one_piece_from_where_it_was_cut() {
    let mut outbox = Outbox::default();
    assert_eq!(outbox.single(), None);
    let one = frame("one");
    let _ = outbox.push(one.clone(), LIMITS);
    outbox.advance(2);
    assert_eq!(outbox.single(), Some(&one.bytes()[2..]));
    let _ = outbox.push(frame("two"), LIMITS);
    assert_eq!(outbox.single(), None);
}

#[test]
fn exactly_the_limit_of_bytes_fits() {
    let mut outbox = Outbox::default();
    let _ = outbox.push(frame(&"x".repeat(38)), LIMITS);
    assert!(outbox.has_room(&frame(&"x".repeat(58)), LIMITS));
    assert!(!outbox.has_room(&frame(&"x".repeat(59)), LIMITS));
}

#[test]
fn it_is_closed_from_its_close_frame_on() {
    let mut outbox = Outbox::default();
    outbox.push_control(frame("x"));
    assert!(!outbox.is_closed());
    outbox.push_close(Frame::close(1000, ""));
    assert!(outbox.is_closed());
}

#[test]
#[should_panic(expected = "bytes are counted")]
fn a_wrong_count_of_bytes_is_found() {
    let outbox = Outbox {
        bytes: 1,
        ..Outbox::default()
    };
    outbox.check_invariants();
}

#[test]
fn a_pong_behind_others_is_still_found_when_they_have_gone() {
    let mut outbox = Outbox::default();
    let _ = outbox.push(frame("x"), LIMITS);
    outbox.push_pong(Frame::pong(b"first"));
    outbox.advance(3);
    let last = Frame::pong(b"later");
    outbox.push_pong(last.clone());
    assert_eq!(rest(&outbox), last.bytes());
}

#[test]
fn a_pong_that_is_begun_is_finished() {
    let mut outbox = Outbox::default();
    let (first, later) = (Frame::pong(b"first"), Frame::pong(b"later"));
    outbox.push_pong(first.clone());
    outbox.advance(1);
    outbox.push_pong(later.clone());
    assert_eq!(rest(&outbox), joined(&[&first, &later])[1..]);
}

#[test]
fn dropping_the_unsent_keeps_a_begun_frame_whole() {
    let mut outbox = Outbox::default();
    let a = frame("one");
    let _ = outbox.push(a.clone(), LIMITS);
    let _ = outbox.push(frame("two"), LIMITS);
    outbox.advance(2);
    outbox.drop_unsent();
    outbox.check_invariants();
    assert_eq!(rest(&outbox), a.bytes()[2..]);
    outbox.advance(3);
    let _ = outbox.push(frame("two"), LIMITS);
    outbox.drop_unsent();
    assert!(outbox.is_empty());
    assert_eq!(outbox.bytes(), 0);
}

#[test]
fn dropping_the_unsent_returns_how_many_messages_were_dropped() {
    let mut outbox = Outbox::default();
    let mut run = Run::default();
    run.push_text("two");
    run.push_text("three");
    outbox.push_control(frame("one"));
    outbox.advance(1);
    outbox.push_pong(Frame::pong(b""));
    outbox.push_control(run.take().expect("it has two"));
    outbox.push_control(Frame::ping());
    assert_eq!(
        outbox.drop_unsent(),
        2,
        "not the begun one, nor control frames"
    );
    outbox.advance(4);
    assert_eq!(outbox.drop_unsent(), 0);
}

#[test]
fn dropping_the_unsent_keeps_the_response_that_a_close_follows() {
    let mut outbox = Outbox::default();
    let (response, close) = (Frame::http(b"HTTP/1.1 101"), Frame::close(1013, ""));
    outbox.push_control(response.clone());
    outbox.push_control(frame("one"));
    outbox.drop_unsent();
    outbox.push_close(close.clone());
    outbox.check_invariants();
    assert_eq!(rest(&outbox), joined(&[&response, &close]));
    outbox.end();
    assert!(outbox.is_empty());
}

#[test]
fn what_comes_first_after_a_response_is_one_with_it() {
    let mut outbox = Outbox::default();
    let (response, one, two) = (Frame::http(b"HTTP/1.1 101"), frame("one"), frame("two"));
    outbox.push_control(response.clone());
    outbox.push_reply(one.clone());
    outbox.check_invariants();
    let both = joined(&[&response, &one]);
    assert_eq!(outbox.single(), Some(&both[..]));
    assert_eq!(outbox.frames(), 2);
    let _ = outbox.push(two.clone(), LIMITS);
    assert_eq!(outbox.single(), None, "one is enough");
    assert_eq!(rest(&outbox), joined(&[&response, &one, &two]));
    outbox.drop_unsent();
    assert_eq!(rest(&outbox), both);
}

#[test]
fn nothing_joins_a_response_that_is_begun() {
    let mut outbox = Outbox::default();
    outbox.push_control(Frame::http(b"HTTP/1.1 101"));
    outbox.advance(4);
    let _ = outbox.push(frame("one"), LIMITS);
    outbox.check_invariants();
    assert_eq!(outbox.single(), None);
    assert_eq!(rest(&outbox), b"/1.1 101\x81\x03one");
}

#[test]
fn a_sealed_one_is_empty_and_takes_nothing_more() {
    let mut outbox = Outbox::default();
    let _ = outbox.push(frame("one"), LIMITS);
    outbox.end();
    assert!(outbox.is_empty());
    let _ = outbox.push(frame("two"), LIMITS);
    outbox.push_control(frame("three"));
    outbox.push_pong(Frame::pong(b""));
    outbox.push_close(Frame::close(1000, ""));
    assert!(outbox.is_empty());
}

#[test]
fn a_sealed_one_keeps_only_what_it_has_begun() {
    let mut outbox = Outbox::default();
    let one = frame("one");
    let _ = outbox.push(one.clone(), LIMITS);
    let _ = outbox.push(frame("two"), LIMITS);
    outbox.advance(2);
    outbox.end();
    outbox.check_invariants();
    assert_eq!(outbox.single(), Some(&one.bytes()[2..]));
}

#[test]
fn the_heap_goes_when_the_queue_has_drained() {
    let mut outbox = Outbox::default();
    for _ in 0..3 {
        let _ = outbox.push(frame("x"), LIMITS);
    }
    assert!(matches!(outbox.queue, Queue::Many(_)));
    outbox.advance(outbox.bytes());
    assert!(matches!(outbox.queue, Queue::Empty));
}

#[test]
fn it_is_small() {
    assert!(size_of::<Outbox>() <= 48);
}

#[test]
#[should_panic(expected = "more was written than was queued")]
fn writing_more_than_was_queued_is_a_bug() {
    Outbox::default().advance(1);
}

/// Random operations against a plain list of frames: no byte is lost, doubled or interleaved,
/// and the bounds hold.
#[test]
fn it_agrees_with_a_list_of_frames() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut chance = move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % limit
    };
    for game in 0..if cfg!(miri) { 10 } else { 2_000 } {
        let mut outbox = Outbox::default();
        let (mut wanted, mut sent) = (Vec::new(), Vec::new());
        let mut last_reply = 0;
        for step in 0..60 {
            let text = frame(&"x".repeat(chance(60)));
            match chance(9) {
                8 => {
                    outbox.push_reply(text.clone());
                    wanted.extend_from_slice(text.bytes());
                    last_reply = wanted.len();
                }
                0..4 => match outbox.push(text.clone(), LIMITS) {
                    Pushed::Queued => wanted.extend_from_slice(text.bytes()),
                    Pushed::Full => assert!(!outbox.is_empty(), "an empty one takes anything"),
                },
                4 => {
                    outbox.push_control(text.clone());
                    wanted.extend_from_slice(text.bytes());
                }
                _ => {
                    let bytes = rest(&outbox);
                    let count = chance(bytes.len() + 1);
                    sent.extend_from_slice(&bytes[..count]);
                    outbox.advance(count);
                }
            }
            outbox.check_invariants();
            assert_eq!(outbox.bytes(), wanted.len() - sent.len());
            let waits = last_reply > sent.len();
            assert_eq!(outbox.replies() > 0, waits, "game {game}, step {step}");
        }
        sent.extend(rest(&outbox));
        assert_eq!(sent, wanted, "game {game}");
    }
}

#[test]
fn sealed_bytes_go_first_and_count_and_are_never_dropped() {
    let mut outbox = Outbox::default();
    outbox.push_control(Frame::text("one"));
    outbox.push_control(Frame::text("two"));
    // A record with the first frame and a part of the second.
    outbox.advance(7);
    outbox.push_sealed(b"record");
    assert_eq!((outbox.bytes(), outbox.frames()), (3 + 6, 1));
    assert_eq!(
        (outbox.single(), outbox.sealed()),
        (None, Some(&b"record"[..]))
    );
    outbox.check_invariants();
    outbox.advance_sealed(2);
    outbox.push_control(Frame::text("three"));
    assert_eq!(outbox.drop_unsent(), 1, "the begun frame stays");
    assert_eq!(
        (outbox.bytes(), outbox.sealed()),
        (3 + 4, Some(&b"cord"[..]))
    );
    outbox.check_invariants();
    outbox.push_sealed(b"alert");
    outbox.advance_sealed(4);
    assert_eq!(outbox.sealed(), Some(&b"alert"[..]));
    outbox.advance_sealed(5);
    assert_eq!(
        (outbox.sealed(), outbox.single()),
        (None, Some(&b"two"[..]))
    );
    outbox.check_invariants();
    outbox.advance(3);
    assert!(outbox.is_empty());
}

#[test]
fn sealed_bytes_outlive_the_frames_and_the_end() {
    let mut outbox = Outbox::default();
    outbox.push_control(Frame::text("one"));
    outbox.advance(2);
    outbox.push_sealed(b"record");
    outbox.drop_unsealed();
    assert_eq!((outbox.bytes(), outbox.frames()), (6, 0));
    assert!(!outbox.is_empty());
    outbox.push_control(Frame::text("two"));
    outbox.end();
    assert_eq!((outbox.bytes(), outbox.sealed()), (6, Some(&b"record"[..])));
    outbox.check_invariants();
    outbox.advance_sealed(6);
    assert!(outbox.is_empty());
}

#[test]
fn sealed_bytes_fill_the_outbox_and_a_pong_behind_them_is_replaced() {
    let limits = Limits {
        frames_max: 8,
        bytes_max: 100,
    };
    let mut outbox = Outbox::default();
    outbox.push_sealed(&[0; 90]);
    assert_eq!(outbox.push(Frame::text("123456789"), limits), Pushed::Full);
    assert_eq!(outbox.push(Frame::text("1234567"), limits), Pushed::Queued);
    outbox.push_pong(Frame::pong(b"1"));
    outbox.push_pong(Frame::pong(b"2"));
    assert_eq!(outbox.frames(), 2);
    outbox.advance_sealed(90);
    let mut copy = Vec::new();
    outbox.copy_front(10, &mut copy);
    assert_eq!(copy, b"\x81\x071234567\x8a");
    outbox.check_invariants();
}
