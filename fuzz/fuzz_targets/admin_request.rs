//! Any bytes on the admin socket are a request or are refused with a response, the same however they
//! are cut, and never are more kept than a head and a body may have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::admin::{Answer, NOTICE_BYTES_MAX, Operation, Received, Request, receive};

/// A head and a body, and what comes with their last byte.
const KEPT_MAX: usize = 12 * 1024;

fn check_response(answer: &Answer) {
    assert!((400..600).contains(&answer.status()));
    for keep_alive in [false, true] {
        let response = answer.render(keep_alive);
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut parsed = httparse::Response::new(&mut headers);
        let head = parsed.parse(&response).expect("a response").unwrap();
        let length = parsed
            .headers
            .iter()
            .find(|field| field.name == "Content-Length");
        let length = str::from_utf8(length.expect("a length").value).expect("text");
        let body = &response[head..];
        assert_eq!(length.parse(), Ok(body.len()));
        serde_json::from_slice::<serde_json::Value>(body).expect("JSON");
    }
}

fn check(received: &Received, bytes: &[u8]) {
    match received {
        Received::Partial => assert!(bytes.len() < KEPT_MAX, "{} are kept", bytes.len()),
        Received::Request {
            request, consumed, ..
        } => {
            assert!((1..=bytes.len()).contains(consumed));
            if let Request::Operate(Operation::Notice { text }) = request {
                assert!((1..=NOTICE_BYTES_MAX).contains(&text.len()));
                assert!(!text.chars().any(char::is_control));
            }
        }
        Received::Refused {
            answer, consumed, ..
        } => {
            assert!((1..=bytes.len()).contains(consumed));
            check_response(answer);
        }
        Received::Broken { answer } => check_response(answer),
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let mut rest = bytes;
    loop {
        let whole = receive(rest);
        check(&whole, rest);
        let step = usize::from(cut) + 1;
        let mut end = 0;
        let in_pieces = loop {
            end = rest.len().min(end + step);
            let received = receive(&rest[..end]);
            if end == rest.len() || received != Received::Partial {
                break received;
            }
            check(&received, &rest[..end]);
        };
        let length = match (&whole, &in_pieces) {
            (
                Received::Request { consumed, .. } | Received::Refused { consumed, .. },
                in_pieces,
            ) => {
                assert_eq!(&whole, in_pieces);
                *consumed
            }
            // What is too long may be refused before all of it is there.
            (Received::Broken { .. }, Received::Broken { .. })
            | (Received::Partial, Received::Partial) => break,
            (whole, in_pieces) => panic!("whole {whole:?}, in pieces {in_pieces:?}"),
        };
        rest = &rest[length..];
        if rest.is_empty() {
            break;
        }
    }
});
