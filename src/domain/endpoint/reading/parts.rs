//! What a URI is made of.

/// A URI as generic syntax has it (RFC 3986 §3).
pub(super) struct Parts<'a> {
    /// With its colon; empty where there is none.
    pub(super) scheme: &'a str,
    pub(super) authority: Option<&'a str>,
    /// Path, query and fragment.
    pub(super) rest: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn of(uri: &'a str) -> Self {
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        let colon = uri.find(':').filter(|&colon| is_scheme(&uri[..colon]));
        let (scheme, rest) = uri.split_at(colon.map_or(0, |colon| colon + 1));
        match rest.strip_prefix("//").filter(|_| !scheme.is_empty()) {
            None => Self { scheme, authority: None, rest },
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                Self { scheme, authority: Some(&rest[..end]), rest: &rest[end..] }
            }
        }
    }
}
