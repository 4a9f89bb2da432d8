//! Reads the body of an MCP POST: once, strictly, borrowing from it.
//!
//! The upstream reads the same bytes with another parser, so nothing may pass that two parsers could read differently:
//! no duplicate keys at any depth, no keys that differ from a known one only by case (Go's `encoding/json` takes those),
//! nothing nested deeper than 64, UTF-8 without a byte-order mark, one value and no more. What decides nothing is not held
//! to what our own parser can hold: halves of surrogate pairs and numbers of any size pass as they are.

mod acts_on;
mod message;
mod params;
mod passing;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::json::{Keys, Text, is_lookalike};

pub(super) use message::Naming;
pub use message::{Kind, Message, Version};
use params::{Params, ParamsSeed};
use passing::{Passing, Reading};

/// More elements in a batch are refused.
const BATCH: usize = 256;

/// Why a body is no MCP message, in words for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    #[error("the body is not UTF-8 text without a byte-order mark")]
    Encoding,
    #[error("the body is not one well-formed JSON-RPC message: {0}")]
    Json(String),
    #[error("the body is not a JSON-RPC 2.0 {0}")]
    Shape(&'static str),
    #[error("a batch has between 1 and {BATCH} messages")]
    Batch,
    #[error("the body could not be read to its end")]
    Unread,
}

/// A message, or several in one array (protocol version 2025-03-26 only).
#[derive(Debug)]
pub enum Body<'a> {
    One(Message<'a>),
    Batch(Vec<Message<'a>>),
}

impl<'a> Body<'a> {
    pub fn messages(&self) -> &[Message<'a>] {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Batch(messages) => messages,
        }
    }

    /// The same, apart from the bytes that it was read from.
    pub fn into_owned(self) -> Body<'static> {
        match self {
            Self::One(message) => Body::One(message.into_owned()),
            Self::Batch(messages) => Body::Batch(messages.into_iter().map(Message::into_owned).collect()),
        }
    }
}

/// Reads a body.
///
/// # Errors
/// What is wrong with it, as the first thing that is found.
pub fn parse(bytes: &[u8]) -> Result<Body<'_>, BadBody> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadBody::Encoding)?;
    if text.starts_with('\u{feff}') {
        return Err(BadBody::Encoding);
    }
    // Nearly every body can be held as it is, and is read once.
    match read(text, Reading::Held) {
        Err(BadBody::Json(_)) => read(text, Reading::Formal),
        read => read,
    }
}

fn read(text: &str, reading: Reading) -> Result<Body<'_>, BadBody> {
    // serde_json names the line and column, and quotes at most a key or a character of what it met.
    let fault = |error: serde_json::Error| BadBody::Json(error.to_string());
    let mut reader = serde_json::Deserializer::from_str(text);
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[') {
        let parts = reading.deserialize(&mut reader).and_then(|parts| reader.end().map(|()| parts));
        return Parts::message(parts.map_err(fault)?).map(Body::One);
    }
    let batch = Elements(reading).deserialize(&mut reader).and_then(|batch| reader.end().map(|()| batch));
    let batch = batch.map_err(fault)?;
    if batch.is_empty() || batch.len() > BATCH {
        return Err(BadBody::Batch);
    }
    batch.into_iter().map(Parts::message).collect::<Result<_, _>>().map(Body::Batch)
}

/// A batch; elements beyond the limit are read and dropped, so that the limit bounds memory.
struct Elements(Reading);

impl<'de> DeserializeSeed<'de> for Elements {
    type Value = Vec<Parts<'de>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<Parts<'de>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut batch = Vec::new();
        while batch.len() <= BATCH {
            match elements.next_element_seed(self.0)? {
                Some(element) => batch.push(element),
                None => return Ok(batch),
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(batch)
    }
}

/// The members of a message's object.
#[derive(Default)]
struct Parts<'a> {
    version_mark: Option<Text<'a>>,
    id: Option<&'a RawValue>,
    method: Option<Text<'a>>,
    params: Params<'a>,
    result: Member,
    error: Member,
}

/// Whether a member is there that only has to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    #[default]
    Absent,
    Null,
    Given,
}

impl<'a> Parts<'a> {
    fn message(self) -> Result<Message<'a>, BadBody> {
        if self.version_mark.as_ref().is_none_or(|mark| mark.0 != "2.0") {
            return Err(BadBody::Shape("message: it has no \"jsonrpc\": \"2.0\""));
        }
        let answer = self.result.max(self.error);
        // `null` names no request; what cannot have an id has none.
        let has_no_id = match &self.method {
            Some(Text(method)) => method.starts_with("notifications/"),
            None => self.error == Member::Given,
        };
        let id = self.id.filter(|id| !has_no_id || id.get() != "null");
        if id.is_some_and(|id| !is_id(id)) {
            return Err(BadBody::Shape("message: its id is neither a string nor an integer"));
        }
        let kind = match (self.method, id, answer) {
            (Some(Text(method)), ..) if method.is_empty() || method.starts_with('/') => {
                return Err(BadBody::Shape("request: its method is empty or starts with a slash"));
            }
            // Some write every member that they know, and `null` for those that are absent.
            (Some(Text(method)), Some(id), Member::Absent | Member::Null) => {
                Kind::Request { id: Cow::Borrowed(id), method }
            }
            (Some(Text(method)), None, Member::Absent | Member::Null) => Kind::Notification { method },
            (None, Some(_), Member::Null | Member::Given) => Kind::Response,
            // What could not be read had no id that could be told (JSON-RPC 2.0 §5).
            (None, None, _) if self.error == Member::Given => Kind::Response,
            _ => return Err(BadBody::Shape("request, notification or response")),
        };
        let Params {
            name,
            uri,
            has_uri,
            task,
            version,
            lookalike,
            lookalike_of_own,
            reference,
            notifications,
        } = self.params;
        let mut message =
            Message { kind, version, name, uri, task, reference: None, subscriptions: Vec::new() };
        let naming = message.method().and_then(Naming::of);
        let is_doubtful = match naming {
            Some(Naming::Name | Naming::Uri) => lookalike,
            Some(Naming::Reference | Naming::Subscriptions) => lookalike_of_own,
            None => false,
        };
        if is_doubtful {
            return Err(BadBody::Shape(
                "request: its params have a key that differs only by case from one that says what it acts on",
            ));
        }
        match naming {
            // What does not need a target and has none is the server's to refuse: from 2026-07-28 on it has no such method.
            Some(Naming::Name | Naming::Uri) if message.needs_target() || has_uri => {
                if message.acts_on().is_none_or(str::is_empty) {
                    return Err(BadBody::Shape("request: it does not name what it acts on"));
                }
            }
            Some(Naming::Reference) => message.reference = reference.map(acts_on::reference).transpose()?,
            Some(Naming::Subscriptions) => {
                message.subscriptions =
                    notifications.map(acts_on::subscriptions).transpose()?.unwrap_or_default();
            }
            Some(Naming::Name | Naming::Uri) | None => {}
        }
        Ok(message)
    }
}

/// A JSON-RPC id as MCP has it: a string or an integer.
pub(super) fn is_id(raw: &RawValue) -> bool {
    let text = raw.get();
    if text.starts_with('"') {
        return serde_json::from_str::<Text<'_>>(text).is_ok();
    }
    is_small_number(text)
        || serde_json::from_str::<i64>(text).is_ok()
        || serde_json::from_str::<u64>(text).is_ok()
}

/// Nearly all ids are. It was read as JSON: digits are a number.
fn is_small_number(text: &str) -> bool {
    text.len() < 19 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl<'de> DeserializeSeed<'de> for Reading {
    type Value = Parts<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reading {
    type Value = Parts<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        const KNOWN: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
        let mut parts = Parts::default();
        let mut keys = Keys::default();
        let passing = || Passing { reading: self, depth: 2 };
        let member = |value: &RawValue| {
            passing().check(value)?;
            Ok(if value.get() == "null" { Member::Null } else { Member::Given })
        };
        while let Some(Text(key)) = members.next_key()? {
            match &*key {
                "jsonrpc" => parts.version_mark = Some(members.next_value()?),
                "id" => parts.id = Some(members.next_value()?),
                "method" => parts.method = members.next_value()?,
                "params" => parts.params = members.next_value_seed(ParamsSeed(self))?,
                "result" => parts.result = member(members.next_value()?)?,
                "error" => parts.error = member(members.next_value()?)?,
                other if KNOWN.iter().any(|known| is_lookalike(other, known)) => {
                    return Err(A::Error::custom("a key differs from a known one only by case"));
                }
                _ => members.next_value_seed(passing())?,
            }
            keys.add(key)?;
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests;
