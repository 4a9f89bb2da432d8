//! The normal form of an HTTP path (RFC 3986 §6.2.2), so that one resource has one name.

use super::{BadEndpoint, LONGEST};
use crate::domain::text::excerpt;

/// Escapes are settled first, then empty and dot segments are taken out: `/a/%2e%2e//b` is `/b`.
/// Like nginx, and unlike §5.2.4 to the letter, `..` never counts an empty segment.
pub(super) fn normalise(path: &str) -> Result<String, BadEndpoint> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() {
        return Err(BadEndpoint::Empty);
    }
    if !path.starts_with('/') {
        return Err(BadEndpoint::NotAPath(excerpt(path)));
    }
    if path.len() > LONGEST {
        return Err(BadEndpoint::TooLong);
    }
    if is_normal(path) {
        return Ok(path.to_owned());
    }
    let path = without_empty_and_dot_segments(&with_normal_escapes(path)?);
    if path.len() > LONGEST { Err(BadEndpoint::TooLong) } else { Ok(path) }
}

/// Whether there is nothing to do, as with most paths. It may say no of one that is normal.
fn is_normal(path: &str) -> bool {
    path.bytes().all(|byte| is_unreserved(byte) || stands_in_a_path(byte))
        && !path.contains("//")
        && !path.contains("/.")
}

/// Decodes the escapes of unreserved characters, once; writes the others in upper case; escapes
/// what may not stand in a path as it is (§2.1, §3.3).
fn with_normal_escapes(path: &str) -> Result<String, BadEndpoint> {
    let mut normal = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let (value, escaped) = match byte {
            b'%' => {
                let digits = bytes.next().and_then(hex).zip(bytes.next().and_then(hex));
                let (high, low) = digits.ok_or_else(|| BadEndpoint::Escape(excerpt(path)))?;
                (high << 4 | low, true)
            }
            _ => (byte, false),
        };
        let refused = value == 0 || value == b'\\' || (!escaped && value.is_ascii_control());
        if refused {
            return Err(BadEndpoint::Character(excerpt(path)));
        }
        if is_unreserved(value) || (!escaped && stands_in_a_path(value)) {
            normal.push(char::from(value));
        } else {
            normal.push('%');
            for digit in [value >> 4, value & 15] {
                normal.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    Ok(normal)
}

pub(super) fn without_empty_and_dot_segments(path: &str) -> String {
    let mut kept = Vec::new();
    let mut last = "";
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = kept.pop(),
            name => kept.push(name),
        }
        last = segment;
    }
    let mut normal = String::with_capacity(path.len());
    for segment in &kept {
        normal.push('/');
        normal.push_str(segment);
    }
    if kept.is_empty() || matches!(last, "" | "." | "..") {
        normal.push('/');
    }
    normal
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// §2.3
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// `pchar` and the slash (§3.3), without the unreserved ones.
fn stands_in_a_path(byte: u8) -> bool {
    b"/:@!$&'()*+,;=".contains(&byte)
}
