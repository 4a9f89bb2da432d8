//! Names of fields as an operator gives them, and as they are looked for: one, or all that begin so.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::{JUDGED_AND_PASSED, JUDGED_FAMILY};
use crate::gateway::wire::is_same;

/// A name of fields, or how their names begin: `x-tenant` or `x-tenant-*`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPattern {
    text: Cow<'static, str>,
    is_beginning: bool,
}

/// Why a text names no fields that could be kept from the upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFieldPattern {
    #[error(
        "`{0}` is neither the name of a field, such as X-Tenant, nor how names begin, such as X-Tenant-*"
    )]
    Name(String),
    #[error("`{0}` is a field without which the upstream would read another request than was judged")]
    Needed(String),
}

impl FieldPattern {
    /// One of this name, in lower case.
    pub const fn name(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), is_beginning: false }
    }

    pub(super) const fn beginning(text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), is_beginning: true }
    }

    /// The name, or its beginning.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is how names begin.
    pub fn is_beginning(&self) -> bool {
        self.is_beginning
    }

    /// Whether it is about a field. `name`: in lower case.
    pub fn covers(&self, name: &[u8]) -> bool {
        let pattern = self.text.as_bytes();
        let end = if self.is_beginning { pattern.len() } else { name.len() };
        name.get(..end).is_some_and(|beginning| is_same(beginning, pattern))
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.is_beginning { "*" } else { "" })
    }
}

impl FromStr for FieldPattern {
    type Err = BadFieldPattern;

    fn from_str(text: &str) -> Result<Self, BadFieldPattern> {
        let shown = || crate::domain::text::excerpt(text);
        let (name, is_beginning) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let starts_well = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !starts_well || name.len() > 64 || !name.bytes().all(is_word) {
            return Err(BadFieldPattern::Name(shown()));
        }
        let pattern = Self { text: name.to_ascii_lowercase().replace('_', "-").into(), is_beginning };
        let needed = JUDGED_AND_PASSED.iter().chain(&["accept", "content-length", "host", "mcp-method"]);
        let takes_family = is_beginning && JUDGED_FAMILY.starts_with(pattern.as_str());
        if takes_family
            || pattern.text.starts_with(JUDGED_FAMILY)
            || needed.copied().any(|name| pattern.covers(name.as_bytes()))
        {
            return Err(BadFieldPattern::Needed(shown()));
        }
        Ok(pattern)
    }
}
