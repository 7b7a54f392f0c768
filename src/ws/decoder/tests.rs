//! Streams of frames, whole and cut anywhere, and what [`Decoder::receive`] makes of them.

#[path = "../../../tests/framing/mod.rs"]
mod framing;

use super::*;

const MAX_BYTES: usize = 200;

fn limits() -> Limits {
    Limits {
        max_message_bytes: MAX_BYTES,
        max_fragments: 4,
    }
}

/// A masked frame, as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    framing::encode(first, [0x12, 0x34, 0x56, 0x78], payload)
}

type Outcome = (Vec<Received>, Option<CloseReason>);

/// All that comes of some pieces of a stream.
fn receive(spare: &mut Spare, pieces: &[&[u8]]) -> Outcome {
    let mut decoder = Decoder::new();
    let mut all = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            match decoder.receive(spare, &mut input) {
                Ok(Some(received @ Received::Close(_))) => {
                    all.push(received);
                    return (all, None);
                }
                Ok(Some(received)) => all.push(received),
                Ok(None) => break,
                Err(reason) => return (all, Some(reason)),
            }
        }
        assert_eq!(decoder.is_open(), !decoder.scanner.is_clean());
    }
    (all, None)
}

/// The same outcome whole, and cut at every position.
fn check(stream: &[u8], received: &[Received], reason: Option<CloseReason>) {
    let mut spare = Spare::new(&limits());
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        let outcome = receive(&mut spare, &[head, tail]);
        assert_eq!(outcome.0, received, "cut at {cut}");
        assert_eq!(outcome.1, reason, "cut at {cut}");
    }
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(receive(&mut spare, &single), (received.to_vec(), reason));
}

fn text(text: &str) -> Received {
    Received::Text(text.into())
}

fn refused(stream: &[u8], reason: CloseReason) {
    check(stream, &[], Some(reason));
}

#[test]
fn messages_are_decoded_as_they_were_sent() {
    let stream = [
        frame(0x81, b"one"),
        frame(0x82, b"\x00\xff"),
        frame(0x81, b""),
    ]
    .concat();
    check(
        &stream,
        &[
            text("one"),
            Received::Binary(vec![0, 0xFF].into()),
            text(""),
        ],
        None,
    );
}

#[test]
fn fragments_are_joined_and_control_frames_between_them_come_at_once() {
    let stream = [
        frame(0x01, "gr".as_bytes()),
        frame(0x89, b"ping"),
        frame(0x00, &"ü".as_bytes()[..1]),
        frame(0x8A, b""),
        frame(0x80, &"üße".as_bytes()[1..]),
    ]
    .concat();
    let ping = Received::Ping(Bytes::from_static(b"ping"));
    check(&stream, &[ping, Received::Pong, text("grüße")], None);
}

#[test]
fn nothing_is_decoded_after_a_close() {
    let stream = [frame(0x88, b"\x03\xe8bye"), frame(0x81, b"more")].concat();
    check(&stream, &[Received::Close(Some(1000))], None);
    check(&frame(0x88, b""), &[Received::Close(None)], None);
}

#[test]
fn violation_of_the_protocol_is_named() {
    use Violation::*;
    let protocol = |violation| CloseReason::Protocol(violation);
    refused(b"\x81\x02hi", protocol(Unmasked));
    refused(&frame(0xC1, b"hi"), protocol(ReservedBits));
    refused(&frame(0x83, b"hi"), protocol(UnknownOpcode));
    refused(&frame(0x8B, b"hi"), protocol(UnknownOpcode));
    refused(&frame(0x09, b"hi"), protocol(FragmentedControl));
    refused(&frame(0x89, &[0; 126]), protocol(ControlTooLong));
    refused(&frame(0x80, b"hi"), protocol(NothingToContinue));
    refused(&frame(0x00, b"hi"), protocol(NothingToContinue));
    refused(
        &[frame(0x01, b"a"), frame(0x81, b"b")].concat(),
        protocol(MessageNotFinished),
    );
    refused(&frame(0x88, b"\x03"), protocol(BadClose));
}

#[test]
fn each_close_code_that_may_be_sent_is_received_as_it_is() {
    let registered = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    ];
    for code in registered.into_iter().chain([3000, 3999, 4000, 4999]) {
        check(
            &frame(0x88, &u16::to_be_bytes(code)),
            &[Received::Close(Some(code))],
            None,
        );
    }
}

#[test]
fn a_close_code_that_may_not_be_sent_is_received_as_a_protocol_error() {
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        check(
            &frame(0x88, &u16::to_be_bytes(code)),
            &[Received::Close(Some(1002))],
            None,
        );
    }
}

/// tungstenite 0.30 does not know 1014, which the IANA registered for gateways.
#[test]
fn every_other_close_code_is_judged_as_tungstenite_does() {
    let mut spare = Spare::new(&limits());
    for code in (0..=u16::MAX).filter(|code| *code != 1014) {
        let stream = frame(0x88, &code.to_be_bytes());
        assert_eq!(
            receive(&mut spare, &[&stream]),
            dedicated(&[&stream]),
            "{code}"
        );
    }
}

#[test]
fn the_code_of_a_close_is_found_behind_a_length_of_any_size() {
    for header in [
        &b"\x88\x82"[..],
        b"\x88\xfe\0\x02",
        b"\x88\xff\0\0\0\0\0\0\0\x02",
    ] {
        let stream = [header, b"abcd", &[b'a' ^ 0x03, b'b' ^ 0xF6]].concat();
        check(&stream, &[Received::Close(Some(1014))], None);
    }
}

#[test]
fn the_code_of_a_close_between_fragments_is_its_own() {
    let stream = [frame(0x01, b"abcdefgh"), frame(0x88, b"\x03\xf6why")].concat();
    check(&stream, &[Received::Close(Some(1014))], None);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    refused(&frame(0x81, b"\xff"), CloseReason::NotUtf8);
    refused(
        &[frame(0x01, b"\xc3"), frame(0x80, b"x")].concat(),
        CloseReason::NotUtf8,
    );
    refused(&frame(0x88, b"\x03\xe8\xff"), CloseReason::NotUtf8);
}

#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
    let most = "x".repeat(MAX_BYTES);
    check(&frame(0x81, most.as_bytes()), &[text(&most)], None);
    let too_big = CloseReason::TooBig {
        max_bytes: MAX_BYTES,
    };
    refused(&frame(0x81, &[b'x'; MAX_BYTES + 1]), too_big.clone());
    let halves = [frame(0x01, &[b'x'; MAX_BYTES]), frame(0x80, b"x")].concat();
    refused(&halves, too_big.clone());
    refused(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xffmask", too_big);
}

#[test]
fn a_message_in_too_many_fragments_is_refused() {
    let mut stream = frame(0x01, b"");
    for _ in 0..4 {
        stream.extend(frame(0x00, b""));
    }
    refused(&stream, CloseReason::TooManyFragments { max: 4 });
}

#[test]
fn spare_is_clean_after_anything_another_connection_sent() {
    let mut spare = Spare::new(&limits());
    let hello = frame(0x81, b"hello");
    for before in [
        frame(0x88, b"\x03\xe8"),
        frame(0x83, b"x"),
        frame(0x81, b"\xff"),
        frame(0x81, &[b'x'; MAX_BYTES + 1]),
        frame(0x01, b"half"),
        frame(0x89, b"ping"),
        hello[..3].to_vec(),
    ] {
        receive(&mut spare, &[&before]);
        assert_eq!(receive(&mut spare, &[&hello]), (vec![text("hello")], None));
    }
}

#[test]
fn stopping_in_the_middle_of_the_input_leaves_nothing_to_the_next() {
    let mut spare = Spare::new(&limits());
    let stream = [frame(0x81, b"mine"), frame(0x81, b"also mine")].concat();
    let mut input = &stream[..];
    assert_eq!(
        Decoder::new().receive(&mut spare, &mut input),
        Ok(Some(text("mine")))
    );
    let other = frame(0x81, b"yours");
    assert_eq!(receive(&mut spare, &[&other]), (vec![text("yours")], None));
}

#[test]
fn an_idle_decoder_holds_nothing() {
    let mut spare = Spare::new(&limits());
    let mut decoder = Decoder::new();
    let stream = frame(0x81, b"hello");
    let mut input = &stream[..4];
    assert_eq!(decoder.receive(&mut spare, &mut input), Ok(None));
    assert!(decoder.held_bytes() > PARKED_BUFFER_BYTES);
    let mut input = &stream[4..];
    assert!(
        decoder
            .receive(&mut spare, &mut input)
            .is_ok_and(|received| received.is_some())
    );
    assert_eq!(decoder.held_bytes(), 0);
    assert!(size_of::<Decoder>() <= 32);
}

/// Random streams, some of them damaged, in random pieces: the pooled decoder says what a
/// context of its own would have said.
#[test]
fn decoder_agrees_with_a_dedicated_context() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut chance = move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % limit
    };
    let mut spare = Spare::new(&Limits {
        max_fragments: u32::MAX,
        ..limits()
    });
    for game in 0..if cfg!(miri) { 20 } else { 4_000 } {
        let mut stream = Vec::new();
        for _ in 0..chance(8) {
            const FIRST: [u8; 9] = [0x81, 0x81, 0x82, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88];
            let first = FIRST[chance(FIRST.len())];
            let len = if chance(10) == 0 {
                chance(260)
            } else {
                chance(20)
            };
            let payload: Vec<u8> = (0..len).map(|_| b"ab\xc3\xa4"[chance(4)]).collect();
            stream.extend(frame(first, &payload));
        }
        if chance(3) == 0 && !stream.is_empty() {
            let at = chance(stream.len());
            stream[at] ^= 1 << chance(8);
        }
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + chance(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        assert_eq!(
            receive(&mut spare, &pieces),
            dedicated(&pieces),
            "game {game}"
        );
    }
}

fn dedicated(pieces: &[&[u8]]) -> Outcome {
    let mut context = context(SPARE_BUFFER_BYTES, MAX_BYTES);
    let mut all = Vec::new();
    for piece in pieces {
        let mut input = Input(piece);
        loop {
            match context.read(&mut input) {
                Ok(Message::Text(text)) => all.push(Received::Text(text)),
                Ok(Message::Binary(bytes)) => all.push(Received::Binary(bytes)),
                Ok(Message::Ping(payload)) => all.push(Received::Ping(payload)),
                Ok(Message::Pong(_)) => all.push(Received::Pong),
                Ok(Message::Close(frame)) => {
                    all.push(Received::Close(frame.map(|frame| frame.code.into())));
                    return (all, None);
                }
                Ok(Message::Frame(_)) => unreachable!("reading gives no raw frames"),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return (all, Some(reason(&error, MAX_BYTES))),
            }
        }
    }
    (all, None)
}
