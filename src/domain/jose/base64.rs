//! base64url without padding (RFC 7515 §2): each byte string has one spelling, and no other is read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Writes `bytes`.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`encode`] writes. `None` for anything else: white space, padding, `+` and `/`, bits that encode nothing.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_one_spelling_is_read() {
        assert_eq!(decode("VGVzdA").as_deref(), Some(&b"Test"[..]));
        assert_eq!(decode("-_8").as_deref(), Some(&[0xfb, 0xff][..]));
        assert_eq!(decode(""), Some(Vec::new()));
        for text in
            ["VGVzdA==", "VGVzdA=", "VGVzdB", "+/8", "V GVzdA", "VGVzdA\n", "VGVzd", "V", "VGVzd\u{e9}"]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(text in "[A-Za-z0-9_-]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(bytes), text);
            }
        }
    }
}
