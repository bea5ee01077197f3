//! A secret never survives in its named encodings, and nothing else is touched.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

fn redacted(secrets: &[&str], text: &str) -> String {
    Redactor::new(secrets.iter().copied()).text(text)
}

fn json(secret: &str) -> String {
    let quoted = serde_json::to_string(secret).unwrap();
    quoted.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned()
}

fn unicode_escaped(secret: &str) -> String {
    secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

#[test]
fn every_named_encoding_is_found() {
    let secret = "s3cr/t+\"k\\y é%41";
    let all_percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    for written in [
        secret.to_owned(),
        json(secret),
        json(secret).replace('/', "\\/"),
        unicode_escaped(secret),
        unicode_escaped(secret).to_lowercase(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string().to_lowercase(),
        all_percent.to_uppercase(),
        all_percent,
        form,
    ] {
        let clean = redacted(&[secret], &format!("{{\"a\":\"{written}\"}}"));
        assert_eq!(clean, "{\"a\":\"[redacted]\"}", "{written}");
    }
}

#[test]
fn base64_is_found_at_every_alignment_and_wrapped_again() {
    let secret = "~~~???>>>abc";
    for before in ["", "u", "us", "use", "user:"] {
        for after in ["", ":", "::", ":pass"] {
            let clear = format!("{before}{secret}{after}");
            for encoded in [
                BASE64_STANDARD.encode(&clear),
                BASE64_URL_SAFE.encode(&clear),
                BASE64_URL_SAFE_NO_PAD.encode(&clear),
                BASE64_STANDARD.encode(&clear).replace('/', "\\/"),
                utf8_percent_encode(&BASE64_STANDARD.encode(&clear), NON_ALPHANUMERIC).to_string(),
            ] {
                let clean = redacted(&[secret], &format!("Basic {encoded}"));
                assert!(clean.contains("[redacted]"), "{encoded} -> {clean}");
            }
        }
    }
}

#[test]
fn nothing_else_is_touched() {
    let text = r#"{"id":1,"note":"100% of \"it\" is a + b \\ é \u00e9 %zz %4"}"#;
    assert_eq!(redacted(&["token-1234", "another"], text), text);
    assert_eq!(redacted(&[], text), text);
    assert_eq!(redacted(&["abc"], "abc"), "abc", "too short to be a secret");
}

#[test]
fn overlapping_secrets_leave_nothing() {
    assert_eq!(redacted(&["abcd", "bcdefgh"], "x abcdefgh y"), "x [redacted] y");
    assert_eq!(redacted(&["abcd"], "abcdabcd"), "[redacted]");
}

proptest! {
    #[test]
    fn a_secret_never_survives(secret in "[ -~é€𝄞]{4,40}", before in "[a-zA-Z0-9:\"\\\\%/ ]{0,5}", after in "[a-zA-Z0-9:\"%/ ]{0,5}") {
        let redactor = Redactor::new([secret.as_str()].into_iter());
        let whole = format!("{before}{secret}{after}");
        for (written, plain) in [
            (secret.clone(), secret.clone()),
            (json(&secret), json(&secret)),
            (utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string(), utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string()),
        ] {
            let clean = redactor.text(&format!("{before}|{written}|{after}"));
            prop_assert!(!clean.contains(&plain) || "[redacted]".contains(&plain), "{clean}");
        }
        let encoded = BASE64_STANDARD.encode(&whole);
        let clean = redactor.text(&encoded);
        prop_assert!(clean.contains("[redacted]"), "{encoded} -> {clean}");
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(&whole);
        prop_assert!(redactor.text(&encoded).contains("[redacted]"));
    }

    #[test]
    fn what_is_ruled_out_at_sight_begins_no_secret(
        secret in "[+/%\\\\ a-c0-2é]{4,8}", text in "[+/%\\\\\"ua-c0-9A-F é=_-]{0,60}", at in 0..60_usize,
    ) {
        // The secret itself, in a form or another, somewhere in what looks like it.
        let redactor = Redactor::new([secret.as_str()].into_iter());
        for form in [secret.clone(), json(&secret), unicode_escaped(&secret), BASE64_STANDARD_NO_PAD.encode(&secret)] {
            let mut text = text.clone();
            let place = (0..=at.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0);
            text.insert_str(place, &form);
            for at in 0..text.len() {
                prop_assert_eq!(redactor.longest_at(text.as_bytes(), at), redactor.longest_of_all(text.as_bytes(), at));
            }
        }
    }

    #[test]
    fn garbage_neither_panics_nor_grows_without_a_find(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let redactor = Redactor::new(["a-long-secret-that-is-not-there"].into_iter());
        prop_assert_eq!(redactor.bytes(bytes.clone()), bytes);
    }
}
