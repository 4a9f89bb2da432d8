//! The ways in which servers go on from one reading of a name to the next.

use url::Url;

use super::parts::Parts;
use crate::domain::endpoint::path;

/// One way in which a server may go on from what it has; `None` where that changes nothing.
pub(super) type Step = fn(&str) -> Option<String>;

pub(super) const STEPS_OF_PATHS: [Step; 8] = [
    unescaped,
    until_query,
    until_fragment,
    until_nul,
    without_parameters,
    with_slashes,
    trimmed,
    resolved_path,
];
pub(super) const STEPS_OF_URIS: [Step; 9] = [
    unescaped,
    until_query,
    until_fragment,
    until_nul,
    without_parameters,
    with_slashes,
    trimmed_uri,
    resolved_uri,
    standard,
];

/// Undoes, once, the escapes of characters that can change what a path leads to.
fn unescaped(text: &str) -> Option<String> {
    let hex = |at: usize| text.as_bytes().get(at).and_then(|&digit| char::from(digit).to_digit(16));
    let escape = |at: usize| {
        let value = hex(at + 1)? << 4 | hex(at + 2)?;
        let value = u8::try_from(value).ok().filter(u8::is_ascii)?;
        // Of a percent sign only where it begins an escape in turn.
        let shapes = match value {
            b'%' => hex(at + 3).is_some() && hex(at + 4).is_some(),
            // A digit may be the second half of an escape that is hidden in two.
            value => b"/\\.;?#@:[]".contains(&value) || value.is_ascii_control() || value.is_ascii_hexdigit(),
        };
        shapes.then(|| char::from(value))
    };
    let mut undone: Option<String> = None;
    let mut rest = 0;
    for (at, _) in text.match_indices('%') {
        if let Some(character) = escape(at).filter(|_| at >= rest) {
            let undone = undone.get_or_insert_default();
            undone.push_str(&text[rest..at]);
            undone.push(character);
            rest = at + 3;
        }
    }
    undone.map(|undone| undone + &text[rest..])
}

fn until(text: &str, end: char) -> Option<String> {
    text.split_once(end).map(|(before, _)| before.to_owned())
}

fn until_query(text: &str) -> Option<String> {
    until(text, '?')
}

fn until_fragment(text: &str) -> Option<String> {
    until(text, '#')
}

fn until_nul(text: &str) -> Option<String> {
    until(text, '\0')
}

/// Without what stands behind a semicolon in each segment (RFC 2396 §3.3, and many servers in Java).
fn without_parameters(text: &str) -> Option<String> {
    let name = |segment: &'_ str| segment.split(';').next().unwrap_or_default().to_owned();
    text.contains(';').then(|| text.split('/').map(name).collect::<Vec<_>>().join("/"))
}

fn with_slashes(text: &str) -> Option<String> {
    text.contains('\\').then(|| text.replace('\\', "/"))
}

/// As Windows takes the names of files, and as servers take them that strip what they are given: without dots and blanks at
/// the end of each. `None` where there are none.
pub(super) fn trimmed(path: &str) -> Option<String> {
    let may_be_longer =
        |segment: &str| segment.ends_with(['.', '0']) || segment.ends_with(char::is_whitespace);
    if !path.split('/').any(may_be_longer) {
        return None;
    }
    let trimmed = path.split('/').map(trimmed_name).collect::<Vec<_>>().join("/");
    (trimmed != path).then_some(trimmed)
}

fn trimmed_name(mut name: &str) -> &str {
    loop {
        let rest = name.strip_suffix("%20").unwrap_or_else(|| name.trim_end_matches(char::is_whitespace));
        // These mean something else than a name: what follows from them is seen where they are resolved.
        if matches!(rest, "." | "..") {
            return rest;
        }
        let rest = rest.trim_end_matches('.');
        if rest.len() == name.len() {
            return name;
        }
        name = rest;
    }
}

/// The authority has no names of files, and a query or a fragment is cut off by itself.
fn trimmed_uri(uri: &str) -> Option<String> {
    let rest = Parts::of(uri).rest;
    let (before, path) = uri.split_at(uri.len() - rest.len());
    let (path, after) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    trimmed(path).map(|trimmed| [before, &trimmed, after].concat())
}

/// As files are found: empty segments are dropped before dot segments are resolved.
fn resolved_path(path: &str) -> Option<String> {
    let resolved = path::without_empty_and_dot_segments(path);
    (resolved != path).then_some(resolved)
}

fn resolved_uri(uri: &str) -> Option<String> {
    let Parts { rest, .. } = Parts::of(uri);
    let resolved = path::without_empty_and_dot_segments(rest);
    let resolved = if rest.starts_with('/') { resolved.as_str() } else { &resolved[1..] };
    (resolved != rest).then(|| [&uri[..uri.len() - rest.len()], resolved].concat())
}

/// The URI as the WHATWG URL Standard writes it, as the MCP SDKs do; `None` where it is none by that standard.
fn standard(uri: &str) -> Option<String> {
    Url::parse(uri).ok().map(String::from).filter(|standard| standard != uri)
}
