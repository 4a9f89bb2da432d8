//! What must hold of whatever bytes come, a target each. `fuzz_targets/` runs them on what libFuzzer makes up, and
//! `tests/corpora.rs` on what lies in `corpus/`.

use portcullis::domain::{
    api_key::PresentedKey,
    jose::{Algorithm, Compact, KeySet, PrivatePart},
    policy::Policy,
};
use portcullis::gateway::readers::{self, HeadRead};

/// Panics where what must hold of these bytes does not.
pub type Target = fn(&[u8]);

/// Each by the name of its folder in `corpus/`.
pub const ALL: [(&str, Target); 6] =
    [("head", head), ("chunked", chunked), ("mcp", mcp), ("jose", jose), ("policy", policy), ("key", key)];

/// A head is taken for the same one however many bytes come at a time, and nothing behind it counts.
pub fn head(data: &[u8]) {
    let data = &data[..data.len().min(4096)];
    let at_once = readers::head(data);
    let first =
        (0..=data.len()).map(|come| readers::head(&data[..come])).find(|read| *read != HeadRead::Unread);
    match (&at_once, first) {
        // What is refused may be so for what stands behind the bytes by which it is known.
        (HeadRead::Refused(_), Some(HeadRead::Refused(_))) => {}
        (_, first) => assert_eq!(at_once, first.unwrap_or(HeadRead::Unread)),
    }
    if let HeadRead::Whole { length, .. } = at_once {
        let lines = &data[..length];
        assert!(lines.ends_with(b"\r\n\r\n"));
        assert!(!lines.contains(&0));
    }
}

/// A body is the same however many bytes come at a time.
pub fn chunked(data: &[u8]) {
    let data = &data[..data.len().min(4096)];
    let at_once = readers::chunked(data, data.len());
    for step in [1, 2, 7] {
        let slowly = readers::chunked(data, step);
        assert_eq!(slowly.is_some(), at_once.is_some(), "{step} at a time");
        if let (Some(slowly), Some(at_once)) = (&slowly, &at_once) {
            assert_eq!(slowly, at_once, "{step} at a time");
        }
    }
}

/// What passes as an MCP body is one JSON value to another parser, where that can hold it at all.
pub fn mcp(data: &[u8]) {
    if let Ok(messages) = readers::mcp_body(data) {
        let text = std::str::from_utf8(data).expect("UTF-8");
        assert!(messages <= 256);
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => assert_eq!(value.as_array().map_or(1, Vec::len), messages),
            // Halves of surrogate pairs, and numbers that are too large.
            Err(_) => assert!(text.contains("\\u") || text.contains(|letter: char| letter.is_ascii_digit())),
        }
    }
}

/// Tokens and key sets. Of a token that is taken apart, what was signed is what stands before the last dot.
pub fn jose(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(token) = Compact::parse(text) {
        let (signed, _) = text.rsplit_once('.').expect("three parts");
        let payload = signed.rsplit_once('.').expect("three parts").1;
        assert_eq!(portcullis::domain::jose::base64::encode(token.payload()), payload, "one spelling only");
    }
    for private in [PrivatePart::Refuse, PrivatePart::Drop] {
        _ = KeySet::parse(text, private, &[Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]);
    }
}

/// What a policy says is the same when it is written and read again.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(policy) = Policy::from_json(text) {
        let again = Policy::from_json(&policy.to_json()).expect("what was written can be read");
        assert_eq!(again.to_json(), policy.to_json());
    }
}

/// A key that is taken is spelled in one way only.
pub fn key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = PresentedKey::parse(text) {
        let environment = key.environment.expect("the joined form has one");
        assert_eq!(key.secret.join(environment, key.id).expose(), text);
    }
}
