//! How servers could read a path, or a resource's URI.
//!
//! A server may undo escapes once more than another, drop what stands behind `?`, `#`, `;` or NUL, take a backslash for a
//! slash, resolve dot segments by the rules of URLs or by those of files, leave out dots and blanks at the end of a name. It
//! may do so in any order, so the readings are all that any order of these steps leads to. A call is allowed only where
//! every reading is covered. The upstream still receives what the client wrote.
//!
//! Escapes of other characters than those that give a path its shape are left as they stand: whatever a pattern covers
//! with such an escape it covers without. What is blocked is looked for in all escapes undone, whatever the case of the
//! letters, with and without a slash at the end, and with the authority in its plain form: [`Form::any_folded`].

mod parts;
mod steps;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization as _;

use super::bad::LONGEST;
use crate::domain::text::is_deceptive;
use parts::Parts;
use steps::{STEPS_OF_PATHS, STEPS_OF_URIS, Step, trimmed};

/// What has more readings has none that servers agree on.
const MOST: usize = 32;

/// What kind of text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An HTTP path in its normal form.
    Path,
    Uri,
}

/// All readings of one text.
#[derive(Debug)]
pub(super) struct Readings {
    /// What was written first.
    pub all: Vec<String>,
    /// Whether servers can be expected to mean the same by it, though they may cut it at different places.
    pub is_agreed: bool,
    /// Whether these are all there are.
    pub is_complete: bool,
}

impl Form {
    /// Whether the text, as it stands, is the only reading: so it is with most, and that is quickly seen.
    pub fn is_single(self, text: &str) -> bool {
        match self {
            // In normal form it has no dot or empty segments, and no blanks but as escapes.
            Self::Path => !text.bytes().any(|byte| matches!(byte, b'%' | b';')) && !has_final_dot(text),
            Self::Uri => is_plain_uri(text),
        }
    }

    pub fn readings(self, text: &str) -> Readings {
        let steps: &[Step] = match self {
            Self::Path => &STEPS_OF_PATHS,
            Self::Uri => &STEPS_OF_URIS,
        };
        let mut all = vec![text.to_owned()];
        let mut at = 0;
        while let Some(from) = all.get(at).cloned() {
            for next in steps.iter().filter_map(|step| step(&from)) {
                if all.contains(&next) {
                    continue;
                }
                if all.len() == MOST || next.len() > LONGEST {
                    return Readings { all, is_agreed: false, is_complete: false };
                }
                all.push(next);
            }
            at += 1;
        }
        let is_agreed = all.iter().all(|reading| self.is_agreed(reading));
        Readings { all, is_agreed, is_complete: true }
    }

    /// Whether a reading has nothing that servers take for different things, as it is written and as who takes characters
    /// of one meaning for one has it (UAX #15: a wide dot is a dot) and passes over those that are not seen.
    fn is_agreed(self, reading: &str) -> bool {
        let decoded = percent_decode_str(reading).decode_utf8_lossy();
        let seen = || decoded.chars().filter(|&c| !is_deceptive(c)).nfkc().collect::<String>();
        self.is_sound(reading) && (decoded.is_ascii() || self.is_sound(&seen()))
    }

    /// Whether there are no dot or empty segments, controls, more than one encoding of a character, a backslash in a path,
    /// user information in a URI of the web or of a file.
    fn is_sound(self, reading: &str) -> bool {
        let (has_sound_authority, path) = match self {
            Self::Path => (true, reading),
            Self::Uri => {
                let parts = Parts::of(reading);
                // Files have no queries: who takes one for a part of the path resolves what is in it.
                let is_file = parts.scheme.eq_ignore_ascii_case("file:");
                let path = parts.rest.split(['?', '#']).next().unwrap_or_default();
                // Nor need the schemes that servers make up: what climbs out of a query climbs out of the path.
                if !is_web(parts.scheme) && parts.rest.split('/').any(|segment| matches!(segment, "." | ".."))
                {
                    return false;
                }
                (parts.has_sound_authority(), if is_file { parts.rest } else { path })
            }
        };
        let segments = path.strip_prefix('/').unwrap_or(path);
        // A slash at the end leaves an empty one.
        let segments = segments.strip_suffix('/').unwrap_or(segments);
        let is_odd = |segment: &str| matches!(segment, "" | "." | "..");
        let has_odd = (!segments.is_empty() || path == "//") && segments.split('/').any(is_odd);
        let has_backslash = self == Self::Path && reading.contains('\\');
        !has_odd && !has_backslash && has_sound_authority && is_well_encoded(reading)
    }

    /// Whether `is` holds of one of the texts under which what is blocked is looked for.
    pub fn any_folded(self, reading: &str, is: &mut dyn FnMut(&str) -> bool) -> bool {
        let mut any = |folded: &str| self.any_slashed(folded, is);
        let folded = folded(reading);
        any(&folded) || trimmed(&folded).is_some_and(|trimmed| any(&trimmed))
    }

    fn any_slashed(self, folded: &str, is: &mut dyn FnMut(&str) -> bool) -> bool {
        let mut with_slash_or_without = |text: &str| {
            is(text)
                || match text.strip_suffix('/') {
                    Some(without) => is(without),
                    None => is(&format!("{text}/")),
                }
        };
        with_slash_or_without(folded)
            || (self == Self::Uri && plain_authorities(folded).iter().any(|text| with_slash_or_without(text)))
    }
}

/// A text as the most lenient reader takes it: every escape undone, letters of one case and one form.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase() && byte != b'%') {
        return Cow::Borrowed(text);
    }
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    if decoded.is_ascii() {
        return Cow::Owned(decoded.to_ascii_lowercase());
    }
    // Upper case first, for some letters have the same only there (the long s).
    let upper: String = decoded.nfkc().flat_map(char::to_uppercase).collect();
    Cow::Owned(upper.to_lowercase().nfkc().collect())
}

impl Parts<'_> {
    /// Whether every reader finds the same host in it. What stands before an `@` is for the web's own schemes, and for files,
    /// where browsers and servers are misled by it; schemes that servers make up have it as databases do, and mean what
    /// they say, as long as it is one and has no other signs than it may have (RFC 3986 §3.2.1).
    fn has_sound_authority(&self) -> bool {
        let Some(authority) = self.authority else { return true };
        let is_made_up = !is_web(self.scheme) && !self.scheme.eq_ignore_ascii_case("file:");
        match authority.rsplit_once('@').filter(|_| is_made_up) {
            Some((user, host)) => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%".contains(&byte);
                !user.is_empty() && user.bytes().all(fits) && is_well_formed(host)
            }
            None => is_well_formed(authority),
        }
    }
}

/// A URI of which every reader makes the same: nothing of it can be cut, undone or resolved, and it is in the form of the
/// WHATWG URL Standard. It may say no of one that is so.
fn is_plain_uri(uri: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~!$&'()*+,=:/.".contains(&byte);
    if !uri.bytes().all(is_plain) {
        return false;
    }
    let Parts { scheme, authority: Some(authority), rest } = Parts::of(uri) else { return false };
    let is_host = |authority: &str| {
        authority.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
    };
    // Hosts of numbers and of other scripts have other forms there.
    let is_web_host = |authority: &str| {
        let last = authority.rsplit('.').next().unwrap_or_default();
        is_host(authority)
            && !authority.contains("xn--")
            && last.starts_with(|first: char| first.is_ascii_lowercase())
    };
    let fits = match scheme {
        "file:" => authority.is_empty(),
        "http:" | "https:" | "ws:" | "wss:" | "ftp:" => is_web_host(authority) && !rest.is_empty(),
        other => {
            !other.bytes().any(|byte| byte.is_ascii_uppercase())
                && (authority.is_empty() || is_host(authority))
        }
    };
    fits && !rest.contains("//") && !rest.contains("/.") && !has_final_dot(rest)
}

/// Whether a name in it ends in a dot.
fn has_final_dot(path: &str) -> bool {
    path.ends_with('.') || path.contains("./")
}

/// Whether queries and hosts are what the WHATWG URL Standard says.
fn is_web(scheme: &str) -> bool {
    ["http:", "https:", "ws:", "wss:", "ftp:"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}

/// Host and port and no more, so that every reader finds the same host in it.
fn is_well_formed(authority: &str) -> bool {
    // An IPv6 address stands in brackets (RFC 3986 §3.2.2).
    let rest = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, rest)) if rest.is_empty() || rest.starts_with(':') => rest,
            _ => return false,
        },
        None => authority,
    };
    let (host, port) = rest.split_once(':').unwrap_or((rest, ""));
    port.bytes().all(|digit| digit.is_ascii_digit())
        && !host.contains(['@', '[', ']', '\\'])
        && !matches!(host, "." | "..")
}

/// Whether a text, with its escapes undone, has no controls and no character in a longer form than it needs, which
/// careless decoders take for the short one.
fn is_well_encoded(reading: &str) -> bool {
    if !reading.contains('%') {
        return !reading.contains(char::is_control);
    }
    let bytes: Vec<u8> = percent_decode_str(reading).collect();
    let is_overlong = |at: usize| match (bytes.get(at), bytes.get(at + 1)) {
        (Some(0xC0 | 0xC1), _) => true,
        (Some(0xE0), Some(next)) => (0x80..0xA0).contains(next),
        (Some(0xF0), Some(next)) => (0x80..0x90).contains(next),
        _ => false,
    };
    !(0..bytes.len()).any(is_overlong) && !String::from_utf8_lossy(&bytes).contains(char::is_control)
}

/// A URI with its authority as those read it who do not care: without user information, without port, without the final
/// dot; of files, without the host, or with the host for a folder; of schemes that servers make up, with the first folder for
/// the host.
fn plain_authorities(uri: &str) -> Vec<String> {
    let Parts { scheme, authority, rest } = Parts::of(uri);
    let mut plain = Vec::new();
    let is_made_up = !scheme.is_empty() && scheme != "file:" && !is_web(scheme);
    if is_made_up && authority.is_none_or(str::is_empty) {
        plain.push(format!("{scheme}//{}", rest.trim_start_matches('/')));
    }
    let Some(authority) = authority else { return plain };
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.rfind(':').filter(|&colon| !host[colon..].contains(']')) {
        Some(_) if !host.starts_with('[') => host.split(':').next().unwrap_or_default(),
        Some(colon) => &host[..colon],
        None => host,
    };
    let host = host.trim_end_matches('.');
    if host != authority {
        plain.push(format!("{scheme}//{host}{rest}"));
    }
    if scheme == "file:" && !authority.is_empty() {
        plain.push(format!("file://{rest}"));
        plain.push(format!("file:///{authority}{rest}"));
    }
    plain
}

#[cfg(test)]
mod tests;
