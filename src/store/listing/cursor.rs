//! Where a page of a list ended.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::listed::{Holds, Listed, Query, field};
use crate::{
    domain::text::visible,
    store::{
        StoreError,
        table::Noun,
        value::{Value, ValueRef, to_json},
    },
};

/// The sort value and the id of a row.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub value: Value,
    pub id: String,
}

impl Place {
    /// That of a row with these two.
    pub fn of(value: ValueRef<'_>, id: ValueRef<'_>) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let value = match value {
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Text(bytes) => Value::Text(text(bytes)),
            _ => Value::Null,
        };
        let id = if let ValueRef::Text(bytes) = id { text(bytes) } else { String::new() };
        Self { value, id }
    }
}

/// The place after which the next page begins, opaque to those who carry it. They may do so from one release to the next.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// The order that it belongs to.
    order: (String, bool),
    value: Position,
    /// By the name of its column.
    #[serde(flatten)]
    id: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Position {
    Moment(i64),
    Text(String),
    Never(()),
}

/// The cursor of the page after `place`.
pub(super) fn after<S: Listed>(q: &Query<S>, place: Place) -> Result<String, StoreError> {
    let value = match place.value {
        Value::Integer(at) => Position::Moment(at),
        Value::Text(text) => Position::Text(text),
        Value::Null | Value::Blob(_) => Position::Never(()),
    };
    let id = BTreeMap::from([(S::Noun::TABLE.id().to_owned(), place.id)]);
    Ok(URL_SAFE_NO_PAD.encode(to_json(&Cursor { order: order(q), value, id })?))
}

/// Reads what [`after`] wrote for a list in the same order.
pub(super) fn parse<S: Listed>(text: &str, q: &Query<S>) -> Result<Place, StoreError> {
    let holds = field::<S>(q.sort.as_str())?.holds;
    let read = || {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut cursor: Cursor = serde_json::from_slice(&json).ok()?;
        let id = cursor.id.remove(S::Noun::TABLE.id()).filter(|id| id.parse::<S::Id>().is_ok())?;
        let value = match (holds, cursor.value) {
            (Holds::Moment | Holds::MomentOrNever, Position::Moment(at)) => Value::Integer(at),
            (Holds::MomentOrNever, Position::Never(())) => Value::Null,
            (Holds::Text, Position::Text(text)) => Value::Text(text),
            _ => return None,
        };
        (cursor.order == order(q)).then_some(Place { value, id })
    };
    read().ok_or_else(|| StoreError::Cursor(visible(text).into_owned()))
}

fn order<S: Listed>(q: &Query<S>) -> (String, bool) {
    (q.sort.as_str().into(), q.descending)
}
