//! Globs over endpoints, one by one and compiled together.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Endpoint, LONGEST, path};
use crate::domain::text::excerpt;

/// Covers every endpoint, HTTP paths included.
const EVERYTHING: &str = "**";

/// A glob over endpoints as people write it: `*` stands for any characters of one segment, `**`
/// for any characters at all. Everything else means itself, `?` and `[` too, since URIs have them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EndpointPattern(String);

/// Why a text is not a pattern. Both parts are safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not an endpoint pattern: {why}")]
pub struct BadPattern {
    pub pattern: String,
    pub why: String,
}

impl EndpointPattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as a regular expression over the bytes of an endpoint.
    fn to_regex(&self) -> String {
        let mut expression = String::from(r"\A");
        let mut rest = self.0.as_str();
        while let Some(star) = rest.find('*') {
            expression += &regex::escape(&rest[..star]);
            rest = &rest[star + 1..];
            expression += match rest.strip_prefix('*') {
                Some(after) => {
                    rest = after;
                    ".*"
                }
                None => "[^/]*",
            };
        }
        expression + &regex::escape(rest) + r"\z"
    }
}

impl FromStr for EndpointPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let refused = |why: String| Err(BadPattern { pattern: excerpt(text), why });
        if text.is_empty() {
            return refused("it is empty; write ** for every endpoint".into());
        }
        if text.len() > LONGEST {
            return refused(format!("it has more than {LONGEST} bytes"));
        }
        if text.contains("***") {
            return refused("write * for one segment or ** for any number of them".into());
        }
        if text.trim() != text {
            return refused("it begins or ends with a space".into());
        }
        // A path that is not in its normal form covers nothing, and blocks nothing.
        if text.starts_with('/') {
            match path::normalise(text) {
                Ok(normal) if normal == text => {}
                Ok(normal) => return refused(format!("write this path as `{}`", excerpt(&normal))),
                Err(why) => return refused(why.to_string()),
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for EndpointPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What an endpoint has to begin with, where that is all that `glob` asks.
fn prefix(glob: &str) -> Option<&str> {
    glob.strip_suffix("**").filter(|prefix| !prefix.is_empty() && !prefix.contains('*'))
}

/// Many patterns compiled into one matcher. The default covers nothing.
#[derive(Clone, Debug, Default)]
pub struct EndpointSet {
    everything: bool,
    literals: HashSet<Box<str>>,
    /// Of patterns such as `tools/call/**`: what stands before the stars.
    prefixes: Vec<Box<str>>,
    globs: Vec<RegexSet>,
}

impl EndpointSet {
    /// Fails only where the patterns together are too large to compile.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a EndpointPattern>) -> Result<Self, BadPattern> {
        let mut set = Self::default();
        let mut globs = Vec::new();
        for pattern in patterns {
            match pattern.as_str() {
                EVERYTHING => set.everything = true,
                glob if prefix(glob).is_some() => set.prefixes.extend(prefix(glob).map(Box::from)),
                glob if glob.contains('*') => globs.push(pattern.to_regex()),
                literal => _ = set.literals.insert(literal.into()),
            }
        }
        if globs.is_empty() {
            return Ok(set);
        }
        let compiled = RegexSetBuilder::new(&globs).unicode(false).dot_matches_new_line(true).build();
        match compiled {
            Ok(compiled) => set.globs.push(compiled),
            Err(_) => {
                let pattern = format!("{} patterns together", globs.len());
                return Err(BadPattern {
                    pattern,
                    why: "they are too large; use fewer or shorter ones".into(),
                });
            }
        }
        Ok(set)
    }

    /// What `sets` cover together.
    pub fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut union = Self::default();
        for set in sets {
            union.everything |= set.everything;
            union.literals.extend(set.literals.iter().cloned());
            union.prefixes.extend(set.prefixes.iter().cloned());
            union.globs.extend(set.globs.iter().cloned());
        }
        union
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.literals.is_empty() && self.prefixes.is_empty() && self.globs.is_empty()
    }

    /// Whether it covers the endpoint, however servers read it: what must hold for what is allowed.
    pub fn contains(&self, endpoint: &Endpoint) -> bool {
        self.left_out(endpoint).is_none()
    }

    /// A reading of the endpoint that it does not cover.
    pub fn left_out<'a>(&self, endpoint: &'a Endpoint) -> Option<&'a str> {
        endpoint.readings().find(|reading| !self.covers(reading))
    }

    /// A reading of the endpoint that it covers: one is enough for what is blocked.
    pub fn hit<'a>(&self, endpoint: &'a Endpoint) -> Option<&'a str> {
        endpoint.readings().find(|reading| self.covers(reading))
    }

    fn covers(&self, reading: &str) -> bool {
        self.everything
            || self.prefixes.iter().any(|prefix| reading.starts_with(&**prefix))
            || (!self.literals.is_empty() && self.literals.contains(reading))
            || self.globs.iter().any(|globs| globs.is_match(reading.as_bytes()))
    }
}
