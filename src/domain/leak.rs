//! Whole credentials in foreign text.
//!
//! A client that puts a key or a token into a path or a name has it stored and shown wherever endpoints are. Such an
//! endpoint is refused, and what is recorded of any text goes through [`redacted`]. A key's id, or a part of a token,
//! opens nothing and stays. A key that was cut short has most of its secret left, and is taken for whole; so is in a record the
//! secret by itself.

use std::borrow::Cow;
use std::ops::Range;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use memchr::memmem;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{api_key::MARK, text};

/// What stands in place of a credential.
const INSTEAD: &str = "[redacted]";
/// Every JSON object with a member, in base64url.
const OBJECT: &str = "eyJ";
/// No credential is shorter.
const SHORTEST: usize = 24;
/// How many letters of its secret make a key.
const TELLING: usize = 8;
/// The secret of a key by itself, with its checksum.
const SECRET: usize = 49;
/// So often escapes are undone, as servers in a row could do it.
const LAYERS: usize = 3;
/// So many beginnings of a token are tried within one run of its letters.
const TRIES: usize = 8;

/// Which credentials are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// API keys of ours.
    Keys,
    /// API keys, and tokens of anybody (JWS and JWE in their compact form).
    All,
    /// The same, and whatever is as long as the secret of a key with its checksum: in a record nothing is lost by that.
    Parts,
}

/// Whether `text` holds a whole credential, as it stands or behind percent-escapes.
pub fn holds(text: &str, sought: Sought) -> bool {
    if text.len() < SHORTEST {
        return false;
    }
    let mut text = Cow::Borrowed(text);
    for _ in 0..LAYERS {
        if find(&text, sought).is_some() {
            return true;
        }
        if !text.contains('%') {
            return false;
        }
        text = percent_decode_str(&text).decode_utf8_lossy().into_owned().into();
    }
    find(&text, sought).is_some()
}

/// `text` without the credentials in it. Where one hides behind escapes, nothing of the text is left.
pub fn redacted(text: &str) -> Cow<'_, str> {
    if !holds(text, Sought::Parts) {
        return Cow::Borrowed(text);
    }
    let (mut safe, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(found) = find(rest, Sought::Parts) {
        safe.push_str(&rest[..found.start]);
        safe.push_str(INSTEAD);
        rest = &rest[found.end..];
    }
    safe.push_str(rest);
    Cow::Owned(if holds(&safe, Sought::Parts) { INSTEAD.to_owned() } else { safe })
}

/// The beginning of foreign text for quoting in a message or a record: harmless, and without the credentials in it, which
/// go before it is cut, so that no half of one stays.
pub fn quoted(text: &str) -> String {
    text::excerpt(&redacted(text))
}

/// Takes the credentials out of every text in a JSON value, keys of objects aside.
pub fn redact(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(safe) = redacted(text) {
                *text = safe;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(members) => members.values_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where the first credential stands.
fn find(text: &str, sought: Sought) -> Option<Range<usize>> {
    let found = match sought {
        Sought::Keys => [key(text), None, None],
        Sought::All => [key(text), token(text), None],
        Sought::Parts => [key(text), token(text), secret(text)],
    };
    found.into_iter().flatten().min_by_key(|found| found.start)
}

/// What may be the secret of a key: so many letters and digits, of both cases.
fn secret(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(start) = bytes[from..].iter().position(u8::is_ascii_alphanumeric).map(|at| from + at) {
        let end = start + run(&bytes[start..], |byte| byte.is_ascii_alphanumeric());
        let has = |is: fn(&u8) -> bool| bytes[start..end].iter().any(is);
        let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
        if end - start == SECRET && is_mixed {
            return Some(start..end);
        }
        from = end;
    }
    None
}

/// An API key by its form, the checksum right or not: one letter off is no comfort.
fn key(text: &str) -> Option<Range<usize>> {
    memmem::find_iter(text.as_bytes(), MARK).find_map(|start| {
        let rest = &text.as_bytes()[start + MARK.len()..];
        let environment = run(rest, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let rest = rest.get(environment..).filter(|_| (1..=8).contains(&environment))?.strip_prefix(b"_")?;
        let id = run(rest, |byte| byte.is_ascii_alphanumeric());
        let rest = rest.get(id..).filter(|_| id == 22)?.strip_prefix(b"_")?;
        let secret = run(rest, |byte| byte.is_ascii_alphanumeric());
        (secret >= TELLING).then(|| start..start + MARK.len() + environment + id + secret + 2)
    })
}

/// A token in its compact form (RFC 7515 §7.1, RFC 7516 §7.1): parts of base64url, the first of which is a JSON object
/// that names an algorithm.
fn token(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let (mut from, mut tries) = (0, 0);
    while let Some(start) = memmem::find(&bytes[from..], OBJECT.as_bytes()).map(|at| from + at) {
        let header = run(&bytes[start..], is_letter);
        let end = start + header;
        let payload =
            bytes.get(end..).and_then(|rest| rest.strip_prefix(b".")).map_or(0, |rest| run(rest, is_letter));
        let after = end + 1 + payload;
        if payload > 0 && bytes.get(after) == Some(&b'.') {
            if names_an_algorithm(&text[start..end]) {
                let mut last = after + 1 + run(&bytes[after + 1..], is_letter);
                while bytes.get(last) == Some(&b'.') && bytes.get(last + 1).copied().is_some_and(is_letter) {
                    last += 1 + run(&bytes[last + 1..], is_letter);
                }
                return Some(start..last);
            }
            tries += 1;
        } else {
            tries = TRIES;
        }
        // What fails for want of its other parts fails from any place in the run.
        (from, tries) = if tries < TRIES { (start + 1, tries) } else { (end, 0) };
    }
    None
}

fn names_an_algorithm(header: &str) -> bool {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "alg")]
        _algorithm: IgnoredAny,
    }
    BASE64_URL_SAFE_NO_PAD.decode(header).is_ok_and(|json| serde_json::from_slice::<Header>(&json).is_ok())
}

/// How many bytes at the start of `bytes` are as `is` says.
fn run(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&byte| is(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::{Environment, KeyId, KeySecret};

    fn a_key() -> String {
        let id = KeyId::generate().unwrap();
        KeySecret::generate().unwrap().join(Environment::default(), id).expose().to_owned()
    }

    fn a_token(algorithm: &str) -> String {
        let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#));
        format!("{header}.{}.{}", BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"a"}"#), "s-_9".repeat(8))
    }

    #[test]
    fn whole_credentials_are_found_wherever_they_stand() {
        for secret in [a_key(), a_token("EdDSA"), a_token("HS256")] {
            let escaped = secret.replace('_', "%5F").replace('.', "%2e");
            let twice = format!("x{}", secret.replace(['_', '.'], "%255F").replace("s-%255F", "s-_"));
            for text in [
                secret.clone(),
                format!("/a/{secret}/b"),
                format!("file:///?t={secret}#x"),
                format!("é{secret}é"),
            ] {
                assert!(holds(&text, Sought::All), "{text}");
                let safe = redacted(&text);
                assert!(safe.contains(INSTEAD) && !safe.contains(&secret[..20]), "{safe}");
            }
            assert!(holds(&escaped, Sought::All), "{escaped}");
            assert_eq!(redacted(&escaped), INSTEAD);
            if secret.starts_with(MARK) {
                assert!(holds(&twice, Sought::Keys), "{twice}");
            }
        }
        let (key, token) = (a_key(), a_token("none"));
        assert_eq!(redacted(&format!("{key} and {token}!")), "[redacted] and [redacted]!");
        assert!(!holds(&token, Sought::Keys) && holds(&key, Sought::Keys));
        assert!(holds(&format!("eyJ{token}"), Sought::All), "behind another beginning");
    }

    #[test]
    fn what_is_quoted_is_short_and_holds_no_half_of_a_credential() {
        for secret in [a_key(), a_token("EdDSA")] {
            let safe = quoted(&format!("{}\u{1B}{secret}", "x".repeat(60)));
            assert_eq!(safe, format!("{}\\e[redacted]", "x".repeat(60)));
        }
        assert_eq!(quoted(&"a".repeat(81)), "a".repeat(80) + "…");
    }

    #[test]
    fn what_is_left_of_a_key_goes_as_the_whole_does() {
        let key = a_key();
        let (id, secret) = key.rsplit_once('_').unwrap();
        for left in [&key[..key.len() - 8], &key[..key.len() - 20], &key[..id.len() + 1 + TELLING]] {
            assert!(holds(left, Sought::Keys), "{left}");
            assert_eq!(redacted(left), INSTEAD);
        }
        assert_eq!(redacted(&format!("Host is `{secret}`")), "Host is `[redacted]`");
        assert!(!holds(secret, Sought::All), "an endpoint may have such a name");
    }

    #[test]
    fn no_text_of_a_record_keeps_one() {
        let mut detail = serde_json::json!({"reason": format!("leaked: {}", a_key()), "n": 1,
            "list": [a_token("EdDSA"), "fine"], "more": {"x": null}});
        redact(&mut detail);
        let safe = serde_json::json!({"reason": "leaked: [redacted]", "n": 1, "list": ["[redacted]", "fine"],
            "more": {"x": null}});
        assert_eq!(detail, safe);
    }

    #[test]
    fn parts_and_lookalikes_stay() {
        let (key, token) = (a_key(), a_token("EdDSA"));
        let id = &key[..key.rfind('_').unwrap()];
        let parts: Vec<&str> = token.split('.').collect();
        for text in [
            id,
            &key[..key.len() - 42],
            "pcl_live_",
            &"0123456789abcdef".repeat(4),
            &"aB3".repeat(20),
            parts[0],
            &parts[..2].join("."),
            "eyJ.tar.gz/eyJkb2Nz.v1.2/notes-of-the-year",
            "search_docs",
            "file:///reports/2026.12.01/summary-final.md",
        ] {
            assert_eq!(redacted(text), text);
            assert!(matches!(redacted(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn a_text_of_nothing_but_beginnings_is_read_in_no_time() {
        let text = "eyJ".repeat(600) + ".a.b";
        assert!(!holds(&text, Sought::All));
        assert!(!holds(&"eyJhbGci.".repeat(200), Sought::All));
    }
}
