//! What is seen of a message without judging it: for who has not proved itself, and is refused whatever it says.

use serde_json::value::RawValue;

use super::body::{Naming, is_id};
use crate::domain::endpoint::Endpoint;
use crate::domain::json::Text;

/// The body is passed over once, and nothing of it is copied but a name.
#[derive(Default, serde::Deserialize)]
pub struct Glimpse<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Named<'a>,
}

#[derive(Default, serde::Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
}

impl<'a> Glimpse<'a> {
    /// Nothing is seen of what is no message, or of several.
    pub fn of(bytes: &'a [u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default().trim_start();
        if !text.starts_with('{') {
            return Self::default();
        }
        serde_json::from_str(text).unwrap_or_default()
    }

    pub fn id(&self) -> Option<&'a RawValue> {
        self.id.filter(|id| is_id(id))
    }

    /// What it seems to ask for.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let text = |raw: Option<&'a RawValue>| Some(serde_json::from_str::<Text<'a>>(raw?.get()).ok()?.0);
        let method = text(self.method)?;
        let target = match Naming::of(&method) {
            Some(Naming::Name) => text(self.params.name),
            Some(Naming::Uri) => text(self.params.uri),
            // Nobody looks into these before the credential.
            Some(Naming::Reference | Naming::Subscriptions) | None => None,
        };
        Endpoint::mcp(&method, target.as_deref()).ok()
    }
}
