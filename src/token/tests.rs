//! What a token must be, and the attacks that other implementations have fallen for.

use super::*;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const SECRET: &[u8] = b"a secret of at least 32 bytes, of course";

/// Of RFC 8410 §10.
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

const NOW: Millis = Millis(1_800_000_000_000);
const SOON: u64 = 1_800_000_060;

fn secret() -> Key {
    Key::parse(SECRET).unwrap()
}

fn verifier(audience: Option<&str>) -> Verifier {
    Verifier::new(secret(), audience.map(str::to_owned))
}

/// A token with this header and these claims, signed with the secret whatever they say.
fn forged(header: &str, claims: &str) -> String {
    signed_with(&secret(), header, claims)
}

fn signed_with(key: &Key, header: &str, claims: &str) -> String {
    let part = |text: &[u8]| BASE64URL_NOPAD.encode(text);
    let signed = format!("{}.{}", part(header.as_bytes()), part(claims.as_bytes()));
    let signature = key.sign(signed.as_bytes()).expect("it can sign");
    format!("{signed}.{}", part(&signature))
}

fn outcome(claims: &str) -> Result<Claims, TokenRefused> {
    let token = forged(r#"{"alg":"HS256","typ":"JWT"}"#, claims);
    verifier(None).verify(&token, NOW)
}

fn claims() -> Claims {
    Claims {
        subject: String::from("user-7"),
        nick: Some(String::from("ann")),
        roles: Some(vec![String::from("moderator")]),
        rooms: Some(vec![String::from("lobby")]),
        expires: Millis(SOON * 1000),
    }
}

#[test]
fn token_is_verified_as_it_was_signed_with_either_key() {
    for (signing, verifying) in [(SECRET, SECRET), (PRIVATE.as_bytes(), PUBLIC.as_bytes())] {
        let token = sign(&Key::parse(signing).unwrap(), &claims(), Some("chat")).unwrap();
        let verifier = Verifier::new(Key::parse(verifying).unwrap(), Some("chat".into()));
        assert_eq!(verifier.verify(&token, NOW), Ok(claims()));
    }
    assert!(sign(&Key::parse(PUBLIC.as_bytes()).unwrap(), &claims(), None).is_none());
}

/// RFC 7515, appendix A.1.
#[test]
fn signature_of_the_rfc_is_right() {
    let key =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let key = Key::parse(&BASE64URL_NOPAD.decode(key.as_bytes()).unwrap()).unwrap();
    let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                  eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = BASE64URL_NOPAD
        .decode(b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        .unwrap();
    assert!(key.verify(signed.as_bytes(), &signature));
}

/// RFC 8037, appendix A.4.
#[test]
fn ed25519_signature_of_the_rfc_is_right() {
    let x = BASE64URL_NOPAD
        .decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
        .unwrap();
    let der = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", &x[..]].concat();
    let base64 = data_encoding::BASE64.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
    let key = Key::parse(pem.as_bytes()).unwrap();
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    assert!(key.verify(signed.as_bytes(), &signature));
}

#[test]
fn token_without_a_signature_is_refused() {
    let body = format!(r#"{{"sub":"x","exp":{SOON}}}"#);
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let unsigned = format!("{}.{}.", part(&header), part(&body));
        let outcome = verifier(None).verify(&unsigned, NOW);
        assert_eq!(outcome, Err(TokenRefused::Algorithm), "{algorithm}");
        let outcome = verifier(None).verify(&forged(&header, &body), NOW);
        assert_eq!(outcome, Err(TokenRefused::Algorithm), "{algorithm}");
    }
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let unsigned = format!("{}.{}.", part(r#"{"alg":"HS256"}"#), part(&body));
    let outcome = verifier(None).verify(&unsigned, NOW);
    assert_eq!(outcome, Err(TokenRefused::Signature));
}

#[test]
fn public_key_is_no_secret() {
    let body = format!(r#"{{"sub":"x","exp":{SOON}}}"#);
    let public = || Key::parse(PUBLIC.as_bytes()).unwrap();
    // The attacker has the public key, and takes its file or its bytes for the secret of HS256.
    let key = data_encoding::BASE64.decode(b"GUQlpZhM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbhA=");
    for secret in [
        PUBLIC.as_bytes(),
        PUBLIC.trim_end().as_bytes(),
        &key.unwrap(),
    ] {
        for algorithm in ["HS256", "EdDSA"] {
            let part = |text: &[u8]| BASE64URL_NOPAD.encode(text);
            let header = format!(r#"{{"alg":"{algorithm}"}}"#);
            let signed = format!("{}.{}", part(header.as_bytes()), part(body.as_bytes()));
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
            mac.update(signed.as_bytes());
            let token = format!("{signed}.{}", part(&mac.finalize().into_bytes()));
            let outcome = Verifier::new(public(), None).verify(&token, NOW);
            assert!(outcome.is_err(), "{algorithm}");
        }
    }
    let token = forged(r#"{"alg":"HS256"}"#, &body);
    let outcome = Verifier::new(public(), None).verify(&token, NOW);
    assert_eq!(outcome, Err(TokenRefused::Algorithm));
    // Neither can it be given as a secret by mistake.
    let rsa =
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n";
    for pem in [
        rsa,
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "\n -----BEGIN",
    ] {
        assert_eq!(
            Key::parse(pem.as_bytes()).err(),
            Some(KeyRefused::NotEd25519)
        );
    }
}

#[test]
fn key_decides_the_algorithm() {
    let body = format!(r#"{{"sub":"x","exp":{SOON}}}"#);
    for algorithm in [
        "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "HS256 ",
    ] {
        let token = forged(&format!(r#"{{"alg":"{algorithm}"}}"#), &body);
        let outcome = verifier(None).verify(&token, NOW);
        assert_eq!(outcome, Err(TokenRefused::Algorithm), "{algorithm}");
    }
    let private = Key::parse(PRIVATE.as_bytes()).unwrap();
    let verifier = Verifier::new(Key::parse(PUBLIC.as_bytes()).unwrap(), None);
    for algorithm in ["EdDSA", "Ed25519"] {
        let token = signed_with(&private, &format!(r#"{{"alg":"{algorithm}"}}"#), &body);
        assert!(verifier.verify(&token, NOW).is_ok(), "{algorithm}");
    }
}

#[test]
fn header_that_asks_for_more_is_refused() {
    let body = format!(r#"{{"sub":"x","exp":{SOON}}}"#);
    for header in [
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"typ":"JWT"}"#,
        r#"["HS256"]"#,
        r#"{"alg":"HS256"} x"#,
        "",
    ] {
        let outcome = verifier(None).verify(&forged(header, &body), NOW);
        assert_eq!(outcome, Err(TokenRefused::Header), "{header}");
    }
    // Of these nothing is fetched or believed.
    let header = r#"{"alg":"HS256","jku":"http://x/","jwk":{"kty":"oct","k":"AA"},"kid":"../x"}"#;
    assert!(verifier(None).verify(&forged(header, &body), NOW).is_ok());
}

#[test]
fn time_of_a_token_is_checked_with_a_small_leeway() {
    let at = |seconds: u64| outcome(&format!(r#"{{"sub":"x","exp":{seconds}}}"#));
    let now = NOW.unix_seconds();
    assert!(at(now + 1).is_ok());
    assert!(at(now - 9).is_ok());
    assert_eq!(at(now - 10), Err(TokenRefused::Expired));
    assert_eq!(at(0), Err(TokenRefused::Expired));
    let from = |seconds: u64| outcome(&format!(r#"{{"sub":"x","exp":{SOON},"nbf":{seconds}}}"#));
    assert!(from(now + 10).is_ok());
    assert_eq!(from(now + 11), Err(TokenRefused::NotYetValid));
    assert!(outcome(&format!(r#"{{"sub":"x","exp":{SOON}.5,"nbf":0.5}}"#)).is_ok());
}

#[test]
fn claims_of_a_wrong_type_are_refused() {
    for claims in [
        r#"{"sub":"x"}"#,
        r#"{"exp":1800000060}"#,
        r#"{"sub":"","exp":1800000060}"#,
        r#"{"sub":7,"exp":1800000060}"#,
        r#"{"sub":"a\nb","exp":1800000060}"#,
        r#"{"sub":"x","exp":"1800000060"}"#,
        r#"{"sub":"x","exp":null}"#,
        r#"{"sub":"x","exp":-1}"#,
        r#"{"sub":"x","exp":1e300}"#,
        r#"{"sub":"x","exp":1e999}"#,
        r#"{"sub":"x","exp":18446744073709551616}"#,
        r#"{"sub":"x","exp":[1800000060]}"#,
        r#"{"sub":"x","exp":1800000060,"nbf":"0"}"#,
        r#"{"sub":"x","exp":1800000060,"nbf":1e300}"#,
        r#"{"sub":"x","exp":1800000060,"nick":7}"#,
        r#"{"sub":"x","exp":1800000060,"nick":null}"#,
        r#"{"sub":"x","exp":1800000060,"roles":"admin"}"#,
        r#"{"sub":"x","exp":1800000060,"roles":[7]}"#,
        r#"{"sub":"x","exp":1800000060,"rooms":{}}"#,
        r#"{"sub":"x","exp":1800000060,"aud":{}}"#,
        r#"{"sub":"x","sub":"y","exp":1800000060}"#,
        r#"{"sub":"x","exp":1800000060,"exp":1900000000}"#,
        r#"{"sub":"x","exp":1800000060,"e":1,"\u0065":2}"#,
        r#"["sub","exp"]"#,
        r#""sub""#,
        "",
        "{",
    ] {
        assert_eq!(outcome(claims), Err(TokenRefused::Claims), "{claims}");
    }
    let many = vec!["\"r\""; NAMES_MAX + 1].join(",");
    let claims = format!(r#"{{"sub":"x","exp":{SOON},"rooms":[{many}]}}"#);
    assert_eq!(outcome(&claims), Err(TokenRefused::Claims));
    let subject = "x".repeat(SUBJECT_BYTES_MAX + 1);
    let claims = format!(r#"{{"sub":"{subject}","exp":{SOON}}}"#);
    assert_eq!(outcome(&claims), Err(TokenRefused::Claims));
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let claims = format!(r#"{{"sub":"x","exp":{SOON},"x":{deep}}}"#);
    assert!(outcome(&claims).is_ok(), "what is not known is skipped");
}

#[test]
fn audience_must_be_the_one_that_is_set() {
    let token = |aud: &str| {
        let body = format!(r#"{{"sub":"x","exp":{SOON}{aud}}}"#);
        forged(r#"{"alg":"HS256"}"#, &body)
    };
    for (set, aud, is_right) in [
        (Some("chat"), r#","aud":"chat""#, true),
        (Some("chat"), r#","aud":["shop","chat"]"#, true),
        (Some("chat"), r#","aud":"shop""#, false),
        (Some("chat"), r#","aud":"chatty""#, false),
        (Some("chat"), r#","aud":[]"#, false),
        (Some("chat"), "", false),
        (None, "", true),
        // It is for one of which this server does not know that it is.
        (None, r#","aud":"shop""#, false),
    ] {
        let outcome = verifier(set).verify(&token(aud), NOW);
        let expected = if is_right {
            None
        } else {
            Some(TokenRefused::Audience)
        };
        assert_eq!(outcome.err(), expected, "{set:?} {aud}");
    }
}

#[test]
fn token_has_one_spelling() {
    let token = sign(&secret(), &claims(), None).unwrap();
    let verifier = verifier(None);
    assert!(verifier.verify(&token, NOW).is_ok());
    for at in 0..token.len() {
        for other in ["A", "B", "-", "_", "=", "+", "/", ".", " ", "\0", "é"] {
            if token[at..].starts_with(other) || at + other.len() > token.len() {
                continue;
            }
            let mut changed = token.clone();
            changed.replace_range(at..at + other.len(), other);
            assert!(verifier.verify(&changed, NOW).is_err(), "{changed}");
        }
        assert!(verifier.verify(&token[..at], NOW).is_err());
    }
    for more in ["=", "==", ".", "A", "AAAA", " ", "\n"] {
        assert!(verifier.verify(&format!("{token}{more}"), NOW).is_err());
        assert!(verifier.verify(&format!("{more}{token}"), NOW).is_err());
    }
}

#[test]
fn token_that_is_too_long_is_not_looked_at() {
    let claims = format!(
        r#"{{"sub":"x","exp":{SOON},"x":"{}"}}"#,
        "x".repeat(BYTES_MAX)
    );
    assert_eq!(outcome(&claims), Err(TokenRefused::TooLong));
}

#[test]
fn signature_of_another_key_is_refused() {
    let other = Key::parse(b"another secret of at least 32 bytes, too").unwrap();
    let token = sign(&other, &claims(), None).unwrap();
    let outcome = verifier(None).verify(&token, NOW);
    assert_eq!(outcome, Err(TokenRefused::Signature));
}

#[test]
fn secret_has_at_least_32_bytes_and_perhaps_a_line_feed_behind_it() {
    for (secret, is_right) in [
        (&[b'x'; 32][..], true),
        (&[b'x'; 31], false),
        (&[&[b'x'; 31][..], b"\r\n"].concat(), false),
        (b"", false),
    ] {
        assert_eq!(Key::parse(secret).is_ok(), is_right);
    }
    let token = sign(&secret(), &claims(), None).unwrap();
    let with_line_feed = Key::parse(&[SECRET, b"\n"].concat()).unwrap();
    let verifier = Verifier::new(with_line_feed, None);
    assert!(verifier.verify(&token, NOW).is_ok());
    assert!(!format!("{verifier:?}").contains("secret of"));
}

/// Signatures that anyone can make for a key of small order: the neutral element.
#[test]
fn key_of_small_order_is_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let der = [
        b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
        &neutral[..],
    ]
    .concat();
    let base64 = data_encoding::BASE64.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
    assert_eq!(
        Key::parse(pem.as_bytes()).err(),
        Some(KeyRefused::NotEd25519)
    );
}
