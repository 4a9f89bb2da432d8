//! Globs over endpoints, one by one and compiled together.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::globs::Globs;
use super::{Endpoint, LONGEST, path};
use crate::domain::text::excerpt;

/// Covers every endpoint, HTTP paths included.
const EVERYTHING: &str = "**";
/// Said apart: what has no slash, and what has one.
const EVERYTHING_APART: [&str; 2] = ["*", "*/**"];
/// So many bytes the patterns of one set have together.
const MOST_TOGETHER: usize = 1024 * 1024;

/// A glob over endpoints as people write it: `*` stands for any characters of one segment, `**`
/// for any characters at all. Everything else means itself, `?` and `[` too, since URIs have them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EndpointPattern(Arc<str>);

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

    fn breadth(&self) -> PatternBreadth {
        let stars = self.0.bytes().filter(|&byte| byte == b'*').count();
        let reach = match stars {
            0 => return PatternBreadth { reach: Reach::One, letters: Reverse(0), stars },
            _ if self.0.contains("**") => Reach::Across,
            _ => Reach::Within,
        };
        PatternBreadth { reach, letters: Reverse(self.0.len() - stars), stars }
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
        Ok(Self(text.into()))
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

/// How far a pattern reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// One endpoint.
    One,
    /// Stars that stay in their segment.
    Within,
    Across,
}

/// How much a pattern covers: one that another covers whole is always less. Both hold the same letters then, or the
/// narrower one more; and where as many, fewer stars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PatternBreadth {
    reach: Reach,
    letters: Reverse<usize>,
    stars: usize,
}

/// How much a set covers, so that sets can be put in an order: one that another covers whole comes first. Of others it
/// is the one whose broadest pattern is the narrower; where these are alike, the next ones count.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breadth(Vec<PatternBreadth>);

/// Many patterns compiled into one matcher: a look takes about as long for thousands as for a few. The default covers
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct EndpointSet {
    everything: bool,
    literals: HashSet<Arc<str>>,
    globs: Globs,
}

impl EndpointSet {
    /// Fails only where the patterns together are too long to be held.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a EndpointPattern>) -> Result<Self, BadPattern> {
        let (mut set, mut globs, mut length) = (Self::default(), Vec::new(), 0);
        for EndpointPattern(text) in patterns {
            length += text.len();
            match &**text {
                EVERYTHING => set.everything = true,
                glob if glob.contains('*') => globs.push(text.clone()),
                _ => _ = set.literals.insert(text.clone()),
            }
        }
        if length > MOST_TOGETHER {
            let pattern = format!("patterns of {length} bytes together");
            return Err(BadPattern { pattern, why: "they are too large; use fewer or shorter ones".into() });
        }
        set.globs = Globs::new(globs);
        Ok(set)
    }

    /// What `sets` cover together.
    pub fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut union, mut globs) = (Self::default(), Vec::new());
        for set in sets {
            if set.everything {
                return Self { everything: true, ..Self::default() };
            }
            union.literals.extend(set.literals.iter().cloned());
            globs.extend(set.globs.texts().cloned());
        }
        union.globs = Globs::new(globs);
        union
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.literals.is_empty() && self.globs.is_empty()
    }

    /// Whether it covers every endpoint, HTTP paths included, in one pattern or in two.
    pub fn is_everything(&self) -> bool {
        let has =
            |pattern: &str| self.globs.texts().any(|text| &**text == pattern) || self.globs.hold(pattern);
        self.everything || EVERYTHING_APART.into_iter().all(has)
    }

    /// How much it covers, by the patterns that no other one of it covers whole.
    pub fn breadth(&self) -> Breadth {
        if self.everything {
            return Breadth(vec![EndpointPattern(EVERYTHING.into()).breadth()]);
        }
        let literals = self.literals.iter().filter(|literal| !self.globs.cover(literal));
        let globs = self.globs.texts().filter(|glob| !self.globs.hold(glob));
        let own = literals.chain(globs).map(|text| EndpointPattern(text.clone()).breadth());
        let mut own: Vec<_> = own.collect();
        own.sort_unstable_by_key(|breadth| Reverse(*breadth));
        Breadth(own)
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
            || self.globs.cover(reading)
            || (!self.literals.is_empty() && self.literals.contains(reading))
    }
}
