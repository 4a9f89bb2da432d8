//! Endpoints: what a call asks for, and the patterns that cover them.
//!
//! MCP: the JSON-RPC method, and for `tools/call`, `prompts/get` and `resources/read` the
//! target's name or URI after a slash. Plain HTTP: the normalised path, which starts with `/`.

mod globs;
mod path;
mod pattern;
mod reading;

pub use pattern::{BadPattern, Breadth, EndpointPattern, EndpointSet};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest endpoint, in bytes.
const LONGEST: usize = 2048;
/// What stands before the URI in the endpoint of a resource.
const RESOURCE: &str = "resources/read/";

/// What a call asks for: `tools/list`, `tools/call/search_docs`, `resources/read/file:///a.md`,
/// or `/health` for plain HTTP. At most 2 048 bytes; foreign text.
///
/// Servers read the URI of a resource in more than one way. The endpoint is the verbatim text, and
/// carries its other readings: it is covered only where all are, and blocked where one is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    text: Arc<str>,
    /// Follows from the text; `None` where there is no other reading.
    others: Option<Arc<[String]>>,
}

/// Why a text is not an endpoint. The texts quoted are safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    #[error("an endpoint cannot be empty; write an MCP method such as tools/list, or a path such as /health")]
    Empty,
    #[error("an endpoint has at most 2048 bytes, however its URI is written")]
    TooLong,
    #[error(
        "`{0}` is not a path that can be normalised: a percent sign wants two hexadecimal digits after it"
    )]
    Escape(String),
    #[error(
        "`{0}` is not a path: it holds a backslash or a control character, which servers read in different ways"
    )]
    Character(String),
    #[error("`{0}` is not a path: it does not start with a slash")]
    NotAPath(String),
    #[error("`{0}` is not an MCP method: only the path of plain HTTP starts with a slash")]
    NotAMethod(String),
}

impl Endpoint {
    /// The MCP form: a method and, for the three methods that name one, the target; for others
    /// `target` is ignored. Both are taken as they are: a target such as `a/../b` is a name, and
    /// nobody resolves it.
    pub fn mcp(method: &str, target: Option<&str>) -> Result<Self, BadEndpoint> {
        if method.is_empty() {
            return Err(BadEndpoint::Empty);
        }
        if method.starts_with('/') {
            return Err(BadEndpoint::NotAMethod(super::text::excerpt(method)));
        }
        let target = target.filter(|_| Self::names_a_target(method));
        let length = method.len() + target.map_or(0, |target| target.len() + 1);
        if length > LONGEST {
            return Err(BadEndpoint::TooLong);
        }
        match target {
            Some(target) => Self::read([method, "/", target].concat().into()),
            None => Self::read(method.into()),
        }
    }

    /// Finds the other readings.
    fn read(text: Arc<str>) -> Result<Self, BadEndpoint> {
        let Some(uri) = text.strip_prefix(RESOURCE) else { return Ok(Self { text, others: None }) };
        let others: Vec<String> =
            reading::readings(uri).into_iter().map(|reading| format!("{RESOURCE}{reading}")).collect();
        if others.iter().any(|other| other.len() > LONGEST) {
            return Err(BadEndpoint::TooLong);
        }
        let others = (!others.is_empty()).then(|| others.into());
        Ok(Self { text, others })
    }

    /// The plain HTTP form: unreserved percent-escapes decoded once, dot segments and doubled
    /// slashes removed (RFC 3986 §6.2.2), case and trailing slash kept. The query is not part of
    /// it. `..` above the root stays at the root (§5.2.4); an encoded slash stays encoded.
    pub fn http(path: &str) -> Result<Self, BadEndpoint> {
        path::normalise(path).map(|path| Self { text: path.into(), others: None })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// All that servers could take it for, what was written first.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        let others = self.others.as_deref().unwrap_or_default();
        std::iter::once(self.as_str()).chain(others.iter().map(String::as_str))
    }

    /// `initialize`, `notifications/**`, `ping`, `server/discover`, `stream`, `session/end`:
    /// these need no scope and no place in `allowed_endpoints`.
    pub fn is_protocol(&self) -> bool {
        matches!(self.as_str(), "initialize" | "ping" | "server/discover" | "stream" | "session/end")
            || self.text.starts_with("notifications/")
    }

    /// Whether it is an MCP endpoint rather than an HTTP path.
    pub fn is_mcp(&self) -> bool {
        !self.text.starts_with('/')
    }

    /// Whether the endpoint of `method` carries a target: `tools/call`, `prompts/get`,
    /// `resources/read`.
    pub fn names_a_target(method: &str) -> bool {
        matches!(method, "tools/call" | "prompts/get" | "resources/read")
    }
}

/// As people write it: a leading `/` makes it an HTTP path.
impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        if text.starts_with('/') { Self::http(text) } else { Self::mcp(text, None) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
