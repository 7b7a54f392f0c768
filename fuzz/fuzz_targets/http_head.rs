//! Any bytes, however they are cut, lead to one response or one upgrade per request, and never are
//! more bytes kept than the limit. Responses are read back by httparse.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::http::{self, AllowedOrigin, Date, Method, Refusal, Request, Settings};
use parlor::page::{self, Pages};

/// The outcome of a request that arrives in pieces, which are kept as the server keeps them.
fn receive_in_pieces<'b>(
    bytes: &'b [u8],
    cuts: &[u8],
    from_proxy: bool,
    settings: &Settings,
) -> Request<'b> {
    let mut cuts = cuts.iter().cycle();
    let (mut already, mut end) = (0, 0);
    while end < bytes.len() {
        end = bytes
            .len()
            .min(end + usize::from(*cuts.next().unwrap_or(&0)) + 1);
        match http::receive(&bytes[..end], already, from_proxy, settings) {
            Request::Partial => {
                assert!(end < settings.max_head_bytes, "{end} bytes are kept");
                already = end;
            }
            outcome => return outcome,
        }
    }
    Request::Partial
}

/// Checks that these bytes are one response with the body that its head announces, and returns its
/// status.
fn check_response(response: &[u8], to_head: bool) -> u16 {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    let head_len = parsed.parse(response).expect("a response").unwrap();
    let lengths = parsed
        .headers
        .iter()
        .filter(|field| field.name == "Content-Length");
    let lengths: Vec<usize> = lengths
        .map(|field| {
            str::from_utf8(field.value)
                .expect("text")
                .parse()
                .expect("a number")
        })
        .collect();
    let dates = parsed.headers.iter().filter(|field| field.name == "Date");
    let status = parsed.code.expect("a status");
    assert_eq!(dates.count(), usize::from(status != 101));
    let body = &response[head_len..];
    match lengths[..] {
        [] => assert!(body.is_empty(), "a body without a length"),
        [len] => assert!(body.len() == len || to_head && body.is_empty()),
        _ => panic!("two lengths"),
    }
    status
}

/// Checks the outcome of the first `bytes`; true if another request may follow.
fn check(request: &Request<'_>, bytes: &[u8], max_head_bytes: usize) -> bool {
    let start = bytes
        .iter()
        .position(|byte| !b"\r\n".contains(byte))
        .unwrap_or(0);
    let is_head = bytes[start..].starts_with(b"HEAD ");
    let date = Date::at(784_111_777);
    match request {
        Request::Partial => assert!(bytes.len() < max_head_bytes, "too long to be kept"),
        Request::Upgrade { upgrade, consumed } => {
            assert!((1..=max_head_bytes).contains(consumed) && *consumed <= bytes.len());
            assert_eq!(check_response(&upgrade.response, false), 101);
            assert!(upgrade.room.as_deref() != Some("") && upgrade.nick.as_deref() != Some(""));
            let is_other = upgrade.subprotocol.is_none() && upgrade.wrong.is_none();
            assert!(upgrade.is_browser || is_other);
        }
        Request::Get { get, consumed } => {
            assert!((1..=max_head_bytes).contains(consumed) && *consumed <= bytes.len());
            assert_eq!(get.method == Method::Head, is_head);
            match Pages::new(&page::Settings::default()).answer(get, Ok(()), date) {
                Ok(response) => {
                    let status = check_response(&response, is_head);
                    assert_eq!(status == 204, get.method == Method::Options);
                    assert!(matches!(status, 200 | 204 | 304), "{status}");
                    return get.keep_alive;
                }
                Err(why) => assert_eq!(why, Refusal::NoSuchPath),
            }
        }
        Request::Refused { why, to_head } => {
            assert!(!to_head || is_head);
            let response = if *to_head {
                why.response_to_head(date)
            } else {
                why.response(date)
            };
            assert_eq!(check_response(&response, *to_head), why.status());
            assert!(why.status() >= 400);
        }
    }
    false
}

fuzz_target!(|input: (u8, [u8; 3], &[u8])| {
    let (options, cuts, mut bytes) = input;
    let mut settings = Settings {
        require_origin: options & 1 != 0,
        // The corpus has long heads for the first of them.
        max_head_bytes: if options & 8 == 0 { 8192 } else { 500 },
        subprotocols: &["parlor.v1.json", "chat"],
        ..Settings::default()
    };
    if options & 2 != 0 {
        settings.allow_origins = vec![
            "https://a.example".parse().expect("an origin"),
            AllowedOrigin::Null,
        ];
    }
    let from_proxy = options & 4 != 0;
    // One request after the other, as long as the connection is kept.
    while !bytes.is_empty() {
        let whole = http::receive(bytes, 0, from_proxy, &settings);
        let goes_on = check(&whole, bytes, settings.max_head_bytes);
        assert_eq!(
            whole,
            receive_in_pieces(bytes, &cuts, from_proxy, &settings),
            "cut"
        );
        assert_eq!(
            whole,
            receive_in_pieces(bytes, &[0], from_proxy, &settings),
            "one by one"
        );
        match whole {
            Request::Get { consumed, .. } if goes_on => bytes = &bytes[consumed..],
            Request::Upgrade { consumed, .. } | Request::Get { consumed, .. } => {
                // What follows a head does not change its meaning.
                assert_eq!(
                    whole,
                    http::receive(&bytes[..consumed], 0, from_proxy, &settings)
                );
                return;
            }
            Request::Partial | Request::Refused { .. } => return,
        }
    }
});
