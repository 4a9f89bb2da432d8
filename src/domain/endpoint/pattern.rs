//! Globs over endpoints, one by one and compiled together.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::globs::Globs;
use super::{COMPLETION, Endpoint, LONGEST, RESOURCE, Shape, View, method, path, reading};
use crate::domain::leak::{self, Sought};
use crate::domain::text::excerpt;

/// Covers every endpoint, HTTP paths included.
const EVERYTHING: &str = "**";
/// Said apart: what has no slash, and what has one.
const EVERYTHING_APART: [&str; 2] = ["*", "*/**"];
/// So many bytes the patterns of one set have together.
const MOST_TOGETHER: usize = 1024 * 1024;

/// What the endpoints begin with that are looked for in their folded form where they are blocked.
const FOLDED: [&str; 6] = [
    "/",
    "resources/read/",
    "resources/subscribe/",
    "resources/unsubscribe/",
    "subscriptions/listen/",
    "completion/complete/resources/read/",
];

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

    /// What makes it look as if something else were meant: it can match no call, or has signs that mean something in other
    /// globs.
    pub fn doubts(&self) -> Vec<String> {
        let text = self.as_str();
        let mut doubts = Vec::new();
        if let Some(doubt) = method::doubt(text) {
            doubts.push(doubt);
        }
        // URIs and their templates have these signs.
        let is_of_uris = text.starts_with("resources/") || text.starts_with("completion/");
        let means_itself =
            |sign: &str| format!("`{sign}` means itself here: only * and ** stand for anything");
        let is_list =
            text.split('{').skip(1).any(|rest| rest.split('}').next().is_some_and(|list| list.contains(',')));
        if is_list || (text.contains('{') && !is_of_uris) {
            doubts.push(means_itself("{}"));
        }
        for sign in ["[", "?", "|", "\\"] {
            if text.contains(sign) && !is_of_uris {
                doubts.push(means_itself(sign));
            }
        }
        for sign in ["!", "^"] {
            if text.split('/').any(|segment| segment.starts_with(sign)) && !is_of_uris {
                doubts.push(means_itself(sign));
            }
        }
        if text.split('/').any(|segment| segment.starts_with(".*")) && !is_of_uris {
            doubts.push("`.` means itself here: * alone stands for anything".into());
        }
        doubts
    }

    /// The same in the form in which what is blocked is looked for, where it may cover a path or the URI of a resource;
    /// `None` where it covers none, or is in that form.
    fn folded(&self) -> Option<Self> {
        let head = self.0.split('*').next().unwrap_or_default();
        let may_cover = |prefix: &str| head.starts_with(prefix) || prefix.starts_with(head);
        let is_of_paths = FOLDED.into_iter().any(may_cover);
        let folded = Self(reading::folded(&self.0).into());
        (is_of_paths && folded != *self).then_some(folded)
    }
}

impl FromStr for EndpointPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let refused = |why: String| Err(BadPattern { pattern: excerpt(&leak::redacted(text)), why });
        if leak::holds(text, Sought::All) {
            return refused("it holds a whole API key or token; rotate or revoke that".into());
        }
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
    /// For what is blocked: covers as well what differs from the patterns in ways that lenient servers overlook, where
    /// they are of paths or resources. Fails as [`EndpointSet::new`] does.
    pub fn blocking<'a>(patterns: impl IntoIterator<Item = &'a EndpointPattern>) -> Result<Self, BadPattern> {
        let mut all: Vec<EndpointPattern> = patterns.into_iter().cloned().collect();
        held_together(&all)?;
        // What is added follows from what was given: that alone has a bound.
        let folded: Vec<_> = all.iter().filter_map(EndpointPattern::folded).collect();
        all.extend(folded);
        Ok(Self::of(&all))
    }

    /// Fails only where the patterns together are too long to be held.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a EndpointPattern>) -> Result<Self, BadPattern> {
        let patterns: Vec<_> = patterns.into_iter().collect();
        held_together(patterns.iter().copied())?;
        Ok(Self::of(patterns))
    }

    fn of<'a>(patterns: impl IntoIterator<Item = &'a EndpointPattern>) -> Self {
        let (mut set, mut globs) = (Self::default(), Vec::new());
        for EndpointPattern(text) in patterns {
            match &**text {
                EVERYTHING => set.everything = true,
                glob if glob.contains('*') => globs.push(text.clone()),
                _ => _ = set.literals.insert(text.clone()),
            }
        }
        set.globs = Globs::new(globs);
        set
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

    /// Whether a pattern is the endpoint, to the letter.
    pub fn names(&self, endpoint: &Endpoint) -> bool {
        !self.literals.is_empty() && self.literals.contains(endpoint.as_str())
    }

    /// Whether it covers the endpoint, however servers read it: what must hold for what is allowed.
    pub fn contains(&self, endpoint: &Endpoint) -> bool {
        self.left_out(endpoint).is_none()
    }

    /// What of the endpoint it does not cover: a reading. Whoever names it to the letter means it, whatever its readings.
    ///
    /// What is judged by its method and by what it acts on is covered where both are, or where it is as a whole.
    pub fn left_out<'a>(&self, endpoint: &'a Endpoint) -> Option<Cow<'a, str>> {
        let text = endpoint.as_str();
        if self.everything {
            return None;
        }
        if endpoint.readings.is_none() && endpoint.shape != Shape::Compound {
            return (!self.covers(text)).then_some(Cow::Borrowed(text));
        }
        if self.names(endpoint) {
            return None;
        }
        let view = endpoint.view();
        let not_covered = |text: &str| !self.covers(text);
        let whole = match not_covered(text) {
            true => Cow::Borrowed(text),
            // Most endpoints are read in one way.
            false => endpoint.others().find_map(|reading| with(view.own, reading, not_covered))?,
        };
        match (view.method, view.about) {
            (Some(method), Some(about)) if self.covers(method) => std::iter::once(view.part)
                .chain(endpoint.others())
                .find_map(|reading| with(about, reading, not_covered)),
            _ => Some(whole),
        }
    }

    /// What of the endpoint it covers: one reading is enough for what is blocked. For sets made with
    /// [`EndpointSet::blocking`].
    pub fn hit<'a>(&self, endpoint: &'a Endpoint) -> Option<Cow<'a, str>> {
        if self.is_empty() {
            return None;
        }
        let text = endpoint.as_str();
        if self.covers(text) {
            return Some(Cow::Borrowed(text));
        }
        if endpoint.shape == Shape::Name {
            return None;
        }
        let view = endpoint.view();
        if let Some(method) = view.method.filter(|method| self.covers(method)) {
            return Some(Cow::Borrowed(method));
        }
        let Some(form) = view.form else {
            return with(view.about?, view.part, |text| self.covers(text));
        };
        let hit = [Some(view.own), view.about].into_iter().flatten().find_map(|prefix| {
            let is_hit = |reading: &&str| {
                form.any_folded(reading, &mut |folded| match prefix {
                    "" => self.covers(folded),
                    prefix => self.covers(&[prefix, folded].concat()),
                })
            };
            let reading = std::iter::once(view.part).chain(endpoint.others()).find(is_hit)?;
            Some(Cow::Owned([prefix, reading].concat()))
        });
        hit.or_else(|| self.hit_of_template(endpoint))
    }

    /// What of the endpoint it could cover where that is a template, of which the server may make whatever begins as it does
    /// up to its first brace.
    fn hit_of_template<'a>(&self, endpoint: &'a Endpoint) -> Option<Cow<'a, str>> {
        let View { method: Some(COMPLETION), own, about: Some(about @ RESOURCE), part, form: Some(form) } =
            endpoint.view()
        else {
            return None;
        };
        let becomes_hit = |reading: &&str| {
            form.any_folded(reading, &mut |folded| {
                let Some((beginning, _)) = folded.split_once('{') else { return false };
                [own, about].into_iter().any(|prefix| self.covers_beginning(&[prefix, beginning].concat()))
            })
        };
        let reading = std::iter::once(part).chain(endpoint.others()).find(becomes_hit)?;
        Some(Cow::Owned([about, reading].concat()))
    }

    /// Whether it covers anything that begins so.
    pub fn covers_beginning(&self, beginning: &str) -> bool {
        self.everything
            || self.globs.cover_beginning(beginning)
            || self.literals.iter().any(|literal| literal.starts_with(beginning))
    }

    fn covers(&self, reading: &str) -> bool {
        self.everything
            || self.globs.cover(reading)
            || (!self.literals.is_empty() && self.literals.contains(reading))
    }
}

/// Fails where patterns are too long together to be held.
fn held_together<'a>(patterns: impl IntoIterator<Item = &'a EndpointPattern>) -> Result<(), BadPattern> {
    let length: usize = patterns.into_iter().map(|pattern| pattern.0.len()).sum();
    if length > MOST_TOGETHER {
        let pattern = format!("patterns of {length} bytes together");
        return Err(BadPattern { pattern, why: "they are too large; use fewer or shorter ones".into() });
    }
    Ok(())
}

/// The reading with `prefix` before it, where `is` holds of that.
fn with(prefix: &str, reading: &str, is: impl Fn(&str) -> bool) -> Option<Cow<'static, str>> {
    let text = [prefix, reading].concat();
    is(&text).then_some(Cow::Owned(text))
}
