//! Counts, and the lines that carry them from one process to another.

use super::*;

fn sample(factor: u64) -> Tally {
    let mut tally = Tally::default();
    tally.counts.add(Count::Sent, 3 * factor);
    tally.counts.add(Count::CountedMicros, factor);
    tally.statuses.insert(503, factor);
    tally.codes.insert(0, 2);
    tally.add_tls_error("the certificate is none", factor);
    for (time, _) in Time::NAMES {
        for micros in [0, 1, 50, 1_000, 77_777, 9_000_000] {
            tally.record(time, micros * factor + time as u64);
        }
    }
    tally
}

/// A copy through the lines that one process writes and another reads.
fn copy(tally: &Tally) -> Tally {
    let mut lines = Vec::new();
    tally.write(&mut lines).unwrap();
    let mut copy = Tally::default();
    for line in String::from_utf8(lines).unwrap().lines() {
        assert!(copy.take_line(line), "{line}");
    }
    copy
}

fn assert_same(one: &Tally, other: &Tally) {
    assert_eq!(one.counts, other.counts);
    assert_eq!(one.statuses, other.statuses);
    assert_eq!(one.codes, other.codes);
    assert_eq!(one.tls_errors, other.tls_errors);
    assert_eq!(one.times, other.times);
}

#[test]
fn lines_carry_everything_that_was_counted() {
    assert_same(&copy(&sample(7)), &sample(7));
}

#[test]
fn every_time_has_a_name_at_its_own_place() {
    for (at, (time, _)) in Time::NAMES.into_iter().enumerate() {
        assert_eq!(time as usize, at);
    }
}

#[test]
fn merging_gives_what_one_process_would_have_counted() {
    let mut sum = sample(1);
    sum.merge(&copy(&sample(2)));
    assert_eq!(sum.counts.of(Count::Sent), 9);
    assert_eq!(sum.statuses[&503], 3);
    for (time, _) in Time::NAMES {
        assert_eq!(sum.of(time).len(), 12);
    }
}

#[test]
fn reasons_beyond_the_bound_are_counted_together() {
    let mut tally = Tally::default();
    for number in 0..20 {
        tally.add_tls_error(&format!("reason {number}"), 1);
    }
    assert_eq!(tally.tls_errors.len(), TLS_ERRORS_MAX + 1);
    assert_eq!(tally.tls_errors["others"], 20 - TLS_ERRORS_MAX as u64);
}

#[test]
fn missing_deliveries_are_those_lost_and_those_never_sent() {
    let mut counts = Counts::default();
    counts.add(Count::Expected, 10);
    counts.add(Count::Delivered, 7);
    counts.add(Count::Unsent, 5);
    assert_eq!((counts.lost(), counts.missing()), (3, 8));
}

#[test]
fn other_lines_are_refused() {
    let mut tally = Tally::default();
    for line in ["", "counts 1 2", "latency x 1", "hello 1 2", "status 1"] {
        assert!(!tally.take_line(line), "{line}");
    }
    assert_same(&tally, &Tally::default());
}
