//! The params of a message, and the `_meta` in them: an object each, or `null`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Version;
use super::passing::{Passing, Reading};
use crate::domain::json::{Keys, MaybeText, Scalar, Text, is_lookalike};

/// The `_meta` key of a request's protocol version (MCP 2026-07-28, basic, `_meta`).
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

#[derive(Default)]
pub(super) struct Params<'a> {
    pub name: Option<Cow<'a, str>>,
    pub uri: Option<Cow<'a, str>>,
    /// Whether there is one, of whatever type.
    pub has_uri: bool,
    pub task: Option<Cow<'a, str>>,
    pub version: Version<'a>,
    /// Whether another key differs from `name` or `uri` only by case.
    pub lookalike: bool,
    /// The same of the keys that one method alone has.
    pub lookalike_of_own: bool,
    /// Read once the method is known, as the next.
    pub reference: Option<&'a RawValue>,
    pub notifications: Option<&'a RawValue>,
}

/// The value of `params`: an object of which a few members count, or `null`.
pub(super) struct ParamsSeed(pub Reading);

impl<'de> DeserializeSeed<'de> for ParamsSeed {
    type Value = Params<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ParamsSeed {
    type Value = Params<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("params as an object")
    }
    /// `null` is as good as nothing: every parser reads it alike, and it names nothing.
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Params::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut params = Params::default();
        let mut keys = Keys::default();
        let checked = |value: &'de RawValue| {
            Passing { reading: self.0, depth: 3 }.check(value)?;
            Ok::<_, A::Error>(value)
        };
        while let Some(Text(key)) = members.next_key()? {
            match &*key {
                "name" => params.name = members.next_value_seed(MaybeText { depth: 3 })?.into_text(),
                "uri" => {
                    params.has_uri = true;
                    params.uri = members.next_value_seed(MaybeText { depth: 3 })?.into_text();
                }
                "taskId" => params.task = members.next_value_seed(MaybeText { depth: 3 })?.into_text(),
                "_meta" => params.version = members.next_value_seed(MetaSeed(self.0))?,
                "ref" => params.reference = Some(checked(members.next_value()?)?),
                "notifications" => params.notifications = Some(checked(members.next_value()?)?),
                other if is_lookalike(other, "_meta") => {
                    return Err(A::Error::custom("a key differs from `_meta` only by case"));
                }
                other => {
                    params.lookalike |= is_lookalike(other, "name") || is_lookalike(other, "uri");
                    params.lookalike_of_own |=
                        is_lookalike(other, "ref") || is_lookalike(other, "notifications");
                    members.next_value_seed(Passing { reading: self.0, depth: 3 })?;
                }
            }
            keys.add(key)?;
        }
        Ok(params)
    }
}

/// The value of `_meta`, of which the protocol version counts.
struct MetaSeed(Reading);

impl<'de> DeserializeSeed<'de> for MetaSeed {
    type Value = Version<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MetaSeed {
    type Value = Version<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_meta as an object")
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Version::Absent)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut version = Version::Absent;
        let mut keys = Keys::default();
        while let Some(Text(key)) = members.next_key()? {
            if key == VERSION_KEY {
                version = match members.next_value_seed(MaybeText { depth: 4 })? {
                    Scalar::Text(text) => Version::Given(text),
                    Scalar::Other => Version::WrongType,
                };
            } else if is_lookalike(&key, VERSION_KEY) {
                return Err(A::Error::custom("a key differs from the protocol version's only by case"));
            } else {
                members.next_value_seed(Passing { reading: self.0, depth: 4 })?;
            }
            keys.add(key)?;
        }
        Ok(version)
    }
}
