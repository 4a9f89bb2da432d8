//! Endpoints: what a call asks for, and the patterns that cover them.
//!
//! MCP: the JSON-RPC method, and for those that act on something its name or URI after a slash. Plain HTTP: the normalised
//! path, which starts with `/`.
//!
//! What servers may read in more than one way is judged in every reading. That is done here and nowhere else, so that
//! gateway, forward-auth, `explain` and `policy simulate` judge alike: [`EndpointSet`] asks an endpoint for all it could be
//! taken for, and [`Endpoint::objection`] names what has no reading that servers agree on.

mod bad;
mod globs;
mod method;
mod objection;
mod path;
mod pattern;
mod reading;

pub use bad::BadEndpoint;
pub use method::METHODS;
pub use objection::Objection;
pub use pattern::{BadPattern, Breadth, EndpointPattern, EndpointSet};

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::bad::LONGEST;
use self::method::Target;
use self::reading::{Form, Readings};
use super::leak::{self, Sought};

/// What stands before the URI in the endpoint of a resource, and before the name in that of a prompt.
const RESOURCE: &str = "resources/read/";
const PROMPT: &str = "prompts/get/";
/// The method whose target may be the template of a resource.
const COMPLETION: &str = "completion/complete";

/// What a call asks for: `tools/list`, `tools/call/search_docs`, `resources/read/file:///a.md`,
/// or `/health` for plain HTTP. At most 2 048 bytes; foreign text, but never a whole credential, unless a token in the
/// URI of a resource: use [`Endpoint::shown`] for whatever is kept or shown.
///
/// `resources/subscribe/URI`, `resources/unsubscribe/URI`, `subscriptions/listen/URI` and
/// `completion/complete/prompts/get/NAME` (or `…/resources/read/URI`) are judged by their method, and by what they act on
/// as if that were read or got. Where that URI is a template it is blocked as soon as what begins as it does can be.
///
/// The endpoint is the verbatim text; its other readings follow from it, and are sought when they are asked for.
#[derive(Clone)]
pub struct Endpoint {
    text: Arc<str>,
    shape: Shape,
    /// What follows from the method alone.
    unknown: Option<Objection>,
    /// Absent where the text is the only reading, as with most.
    readings: Option<Arc<OnceLock<Readings>>>,
}

/// How an endpoint is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// By its text, as most are.
    Name,
    /// By the readings of its path, or of the URI that is read.
    Readings,
    /// By its method, and by what it acts on.
    Compound,
}

/// What of an endpoint's text is judged.
struct View<'a> {
    /// Where it is judged by its method as well.
    method: Option<&'static str>,
    /// What stands before the part that has readings.
    own: &'a str,
    /// What stands before it where it is judged as something else as well.
    about: Option<&'static str>,
    /// The part that has readings: a path, a URI, or a name, which has one.
    part: &'a str,
    form: Option<Form>,
}

impl<'a> View<'a> {
    fn of(text: &'a str) -> Self {
        let bare = |form| Self { method: None, own: "", about: None, part: text, form };
        if text.starts_with('/') {
            return bare(Some(Form::Path));
        }
        let Some((method, kind, target)) = method::split(text) else { return bare(None) };
        let before = |part: &str| &text[..text.len() - part.len()];
        match kind {
            Target::Itself if method == "resources/read" => {
                Self { method: None, own: before(target), about: None, part: target, form: Some(Form::Uri) }
            }
            Target::Itself => bare(None),
            Target::Resource => Self {
                method: Some(method),
                own: before(target),
                about: Some(RESOURCE),
                part: target,
                form: Some(Form::Uri),
            },
            Target::Endpoint => {
                let found = [(RESOURCE, Some(Form::Uri)), (PROMPT, None)]
                    .into_iter()
                    .find_map(|(about, form)| target.strip_prefix(about).map(|part| (about, form, part)));
                match found {
                    Some((about, form, part)) => {
                        Self { method: Some(method), own: before(part), about: Some(about), part, form }
                    }
                    None => Self { method: Some(method), ..bare(None) },
                }
            }
        }
    }
}

impl Endpoint {
    /// The MCP form: a method and, for those that act on something, the target; for others
    /// `target` is ignored. Both are taken as they are: a target such as `a/../b` is a name, and
    /// nobody resolves it. The target of `completion/complete` is `prompts/get/NAME` or `resources/read/URI`.
    pub fn mcp(method: &str, target: Option<&str>) -> Result<Self, BadEndpoint> {
        if method.is_empty() {
            return Err(BadEndpoint::Empty);
        }
        let kind = method::target(method);
        let target = target.filter(|_| kind.is_some());
        let length = method.len() + target.map_or(0, |target| target.len() + 1);
        if length > LONGEST {
            return Err(BadEndpoint::TooLong);
        }
        if let (Some(kind), Some(target)) = (kind, target) {
            let shape = match kind {
                Target::Itself if method == "resources/read" => Shape::Readings,
                Target::Itself => Shape::Name,
                Target::Resource | Target::Endpoint => Shape::Compound,
            };
            // A token in the URI of a resource may be how its server wants it.
            let is_name = shape == Shape::Name || target.starts_with(PROMPT);
            if leak::holds(target, if is_name { Sought::All } else { Sought::Keys }) {
                return Err(BadEndpoint::Credential);
            }
            return Ok(Self::read([method, "/", target].concat().into(), shape));
        }
        let is_known = kind.is_some() || method::is_known(method);
        if leak::holds(method, Sought::All) {
            return Err(BadEndpoint::Credential);
        }
        if method.starts_with('/') {
            return Err(BadEndpoint::NotAMethod(super::text::excerpt(method)));
        }
        // It would pass for the method that it begins with, and for a target that the body does not have.
        if !is_known && method::split(method).is_some() {
            return Err(BadEndpoint::NamesATarget(super::text::excerpt(method)));
        }
        let unknown = (!is_known).then(|| match method::is_disguised(method) {
            true => Objection::Disguised,
            false => Objection::UnknownMethod,
        });
        Ok(Self { text: method.into(), shape: Shape::Name, unknown, readings: None })
    }

    /// The plain HTTP form: unreserved percent-escapes decoded once, dot segments and doubled
    /// slashes removed (RFC 3986 §6.2.2), case and trailing slash kept. The query is not part of
    /// it. `..` above the root stays at the root (§5.2.4); an encoded slash stays encoded.
    pub fn http(path: &str) -> Result<Self, BadEndpoint> {
        if leak::holds(path.split(['?', '#']).next().unwrap_or_default(), Sought::All) {
            return Err(BadEndpoint::Credential);
        }
        path::normalise(path).map(|path| Self::read(path.into(), Shape::Readings))
    }

    fn read(text: Arc<str>, shape: Shape) -> Self {
        let is_single = shape == Shape::Name || {
            let View { part, form, .. } = View::of(&text);
            form.is_none_or(|form| form.is_single(part))
        };
        Self { text, shape, unknown: None, readings: (!is_single).then(Arc::default) }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As it may be kept and shown: without a token that stands in the URI of a resource.
    pub fn shown(&self) -> Cow<'_, str> {
        // Only there may one stand.
        if self.shape == Shape::Name { Cow::Borrowed(&self.text) } else { leak::redacted(&self.text) }
    }

    fn view(&self) -> View<'_> {
        View::of(&self.text)
    }

    fn readings(&self) -> Option<&Readings> {
        let readings = self.readings.as_deref()?;
        Some(readings.get_or_init(|| {
            let View { part, form, .. } = self.view();
            form.unwrap_or(Form::Uri).readings(part)
        }))
    }

    /// What servers could take its part with readings for, beside what was written.
    fn others(&self) -> impl Iterator<Item = &str> {
        self.readings().into_iter().flat_map(|readings| readings.all.iter().skip(1)).map(String::as_str)
    }

    /// How many bytes of it have readings that are to be sought; 0 where the text is the only one.
    pub fn to_be_read(&self) -> usize {
        self.readings.as_ref().map_or(0, |_| self.view().part.len())
    }

    /// What keeps it from being judged, unless a pattern names it to the letter.
    pub fn objection(&self) -> Option<Objection> {
        if let Some(readings) = self.readings() {
            return match (readings.is_complete, readings.is_agreed) {
                (false, _) => Some(Objection::TooManyReadings),
                (true, false) => Some(Objection::NoAgreedReading),
                (true, true) => None,
            };
        }
        self.unknown
    }

    /// `initialize`, `notifications/**`, `ping`, `server/discover`, `logging/setLevel`, `stream`, `session/end`:
    /// these need no scope and no place in `allowed_endpoints`.
    pub fn is_protocol(&self) -> bool {
        matches!(
            self.as_str(),
            "initialize" | "ping" | "server/discover" | "logging/setLevel" | "stream" | "session/end"
        ) || self.text.starts_with("notifications/")
    }

    /// Whether it is an MCP endpoint rather than an HTTP path.
    pub fn is_mcp(&self) -> bool {
        !self.text.starts_with('/')
    }

    /// Whether `method` is one that must name its target, in `Mcp-Name` as well: `tools/call`, `prompts/get`,
    /// `resources/read`.
    pub fn names_a_target(method: &str) -> bool {
        method::target(method) == Some(Target::Itself)
    }

    /// Whether `text` is a method alone that acts on what is not there: many calls that were counted together, not one.
    pub fn lacks_its_target(text: &str) -> bool {
        // What is listened to stands beside this one, and not in it.
        text != "subscriptions/listen" && method::target(text).is_some()
    }
}

/// By the text: all else follows from it.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Endpoint {}

impl PartialOrd for Endpoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Endpoint {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// As people write it: a leading `/` makes it an HTTP path, and what follows a method that acts on something is its target.
impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        match method::split(text) {
            _ if text.starts_with('/') => Self::http(text),
            Some((method, _, target)) => Self::mcp(method, Some(target)),
            None => Self::mcp(text, None),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.shown(), f)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
