//! What is seen of a body without judging it: for who is refused whatever it says, and to name the request of a body that
//! is no message.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::body::{Naming, is_id};
use crate::domain::endpoint::Endpoint;
use crate::domain::json::Text;

/// What stands in a message up to the first fault. The body is passed over once, and nothing of it is copied but a name.
#[derive(Default)]
pub struct Glimpse<'a> {
    id: Seen<'a>,
    method: Seen<'a>,
    target: Target<'a>,
}

#[derive(Default, serde::Deserialize)]
struct Target<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
}

/// A member that counts where it stands once.
#[derive(Clone, Copy, Default)]
enum Seen<'a> {
    #[default]
    Never,
    Once(&'a RawValue),
    Twice,
}

impl<'a> Seen<'a> {
    fn see(&mut self, value: &'a RawValue) {
        *self = if matches!(self, Self::Never) { Self::Once(value) } else { Self::Twice };
    }

    fn value(self) -> Option<&'a RawValue> {
        if let Self::Once(value) = self { Some(value) } else { None }
    }
}

impl<'a> Glimpse<'a> {
    /// Nothing is seen of what is no message, or of several.
    pub fn of(bytes: &'a [u8]) -> Self {
        let mut glimpse = Self::default();
        let end = std::str::from_utf8(bytes).map_or_else(|fault| fault.valid_up_to(), str::len);
        let text = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
        let mut reader = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
        // What was seen before a fault stands; but a number at the very end may have been cut off.
        let _ = Look(&mut glimpse).deserialize(&mut reader);
        let end = text.as_bytes().as_ptr_range().end;
        if glimpse.id.value().is_some_and(|id| id.get().as_bytes().as_ptr_range().end == end) {
            glimpse.id = Seen::Never;
        }
        glimpse
    }

    pub fn id(&self) -> Option<&'a RawValue> {
        self.id.value().filter(|id| is_id(id))
    }

    /// What it seems to ask for.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let text = |raw: Option<&'a RawValue>| Some(serde_json::from_str::<Text<'a>>(raw?.get()).ok()?.0);
        let method = text(self.method.value())?;
        let target = match Naming::of(&method) {
            Some(Naming::Name) => text(self.target.name),
            Some(Naming::Uri) => text(self.target.uri),
            // Nobody looks into these before the credential.
            Some(Naming::Reference | Naming::Subscriptions) | None => None,
        };
        Endpoint::mcp(&method, target.as_deref()).ok()
    }
}

struct Look<'g, 'a>(&'g mut Glimpse<'a>);

impl<'de> DeserializeSeed<'de> for Look<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Look<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = members.next_key()? {
            match &*key {
                "id" => self.0.id.see(members.next_value()?),
                "method" => self.0.method.see(members.next_value()?),
                "params" => {
                    let params: &RawValue = members.next_value()?;
                    self.0.target = serde_json::from_str(params.get()).unwrap_or_default();
                }
                _ => _ = members.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<&str> {
        Glimpse::of(text.as_bytes()).id().map(RawValue::get)
    }

    #[test]
    fn an_id_is_seen_wherever_one_can_be_read() {
        for text in [
            r#" {"jsonrpc":"2.0","id":7,"method":"ping"}"#,
            r#"{"id":7,"params":{"a":1,"a":2}}"#,
            r#"{"method":"ping","method":"pong","id":7}"#,
            r#"{"params":[],"id":7}"#,
            r#"{"jsonrpc":"1.0","id":7}"#,
            r#"{"id":7,"method":"tools/call","params":{"name":"cut off"#,
            r#"{"id":7,"method":"#,
            "\u{feff}{\"id\":7}",
            r#"{"id":7} trailing"#,
            r#"{"params":{"name":"\ud800","x":1e999},"id":7}"#,
        ] {
            assert_eq!(id(text), Some("7"), "{text}");
        }
        assert_eq!(Glimpse::of(b"{\"id\":7,\"method\":\"\xff\"}").id().map(RawValue::get), Some("7"));
        for text in [
            r#"{"id":7,"id":8}"#,
            r#"{"id":7,"\u0069d":7}"#,
            r#"{"id":7.5}"#,
            r#"{"id":null}"#,
            r#"{"id":[7]}"#,
            r#"{"id":"\ud800"}"#,
            r#"{"id":7"#,
            r#"[{"id":7}]"#,
            r#"{"params":{"id":7}}"#,
            "7",
            "",
        ] {
            assert_eq!(id(text), None, "{text}");
        }
    }
}
