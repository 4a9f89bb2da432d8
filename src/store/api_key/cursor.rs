//! Where a page of the list ended, and the SQL for what comes after it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};

use super::{super::StoreError, Query, Sort};
use crate::domain::{
    api_key::{ApiKey, KeyId},
    clock::Timestamp,
    text::visible,
};

/// The sort value and the id of the last row of a page. Opaque to those who carry it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The order that it belongs to.
    order: (String, bool),
    value: Position,
    id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Position {
    Moment(i64),
    Text(String),
    Never(()),
}

impl Cursor {
    pub fn after(key: &ApiKey, q: &Query) -> Self {
        let value = match q.sort {
            Sort::Created => Position::Moment(key.created_at.millis()),
            Sort::Expires => {
                key.expires_at.map_or(Position::Never(()), |at| Position::Moment(Timestamp::millis(at)))
            }
            Sort::Subject => Position::Text(key.subject.as_str().into()),
            Sort::Name => Position::Text(key.name.clone()),
            Sort::Policy => Position::Text(key.policy.as_str().into()),
        };
        Self { order: order(q), value, id: key.id.as_str().into() }
    }

    /// Reads what [`Cursor::to_text`] wrote for a list in the same order.
    pub fn parse(text: &str, q: &Query) -> Result<Self, StoreError> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|json| serde_json::from_slice::<Self>(&json).ok())
            .filter(|cursor| cursor.fits(q))
            .ok_or_else(|| StoreError::Cursor(visible(text).into_owned()))
    }

    pub fn to_text(&self) -> Result<String, StoreError> {
        Ok(URL_SAFE_NO_PAD.encode(super::to_json(self)?))
    }

    fn fits(&self, q: &Query) -> bool {
        let typed = matches!(
            (q.sort, &self.value),
            (Sort::Created | Sort::Expires, Position::Moment(_))
                | (Sort::Expires, Position::Never(()))
                | (Sort::Subject | Sort::Name | Sort::Policy, Position::Text(_))
        );
        typed && self.order == order(q) && self.id.parse::<KeyId>().is_ok()
    }
}

fn order(q: &Query) -> (String, bool) {
    (q.sort.as_str().into(), q.descending)
}

/// A part of the list that one walk along an index gives in order.
pub(super) struct Stretch {
    pub sql: String,
    pub values: Vec<Value>,
    pub order: String,
}

/// The parts of the list after `cursor`, in order: what never expires is a part of its own.
pub(super) fn stretches(q: &Query, cursor: Option<&Cursor>) -> Vec<Stretch> {
    let column = q.sort.column();
    let (then, direction) = if q.descending { ("<", "DESC") } else { (">", "ASC") };
    let dated = |value: Option<(&Position, &str)>| Stretch {
        sql: match value {
            Some(_) => format!("({column}, id) {then} (?, ?)"),
            None => format!("{column} IS NOT NULL"),
        },
        values: value
            .map(|(value, id)| vec![to_value(value), Value::from(id.to_owned())])
            .unwrap_or_default(),
        order: format!("{column} {direction}, id {direction}"),
    };
    let never = |id: Option<&str>| Stretch {
        sql: match id {
            Some(_) => format!("{column} IS NULL AND id {then} ?"),
            None => format!("{column} IS NULL"),
        },
        values: id.map(|id| Value::from(id.to_owned())).into_iter().collect(),
        order: format!("id {direction}"),
    };
    let place = cursor.map(|cursor| (&cursor.value, cursor.id.as_str()));
    match (q.sort == Sort::Expires, q.descending, place) {
        (false, ..) => vec![dated(place)],
        (true, false, None) => vec![dated(None), never(None)],
        (true, true, None) => vec![never(None), dated(None)],
        (true, false, Some((Position::Never(()), id))) => vec![never(Some(id))],
        (true, true, Some((Position::Never(()), id))) => vec![never(Some(id)), dated(None)],
        (true, false, Some(_)) => vec![dated(place), never(None)],
        (true, true, Some(_)) => vec![dated(place)],
    }
}

fn to_value(position: &Position) -> Value {
    match position {
        Position::Moment(at) => Value::from(*at),
        Position::Text(text) => Value::from(text.clone()),
        Position::Never(()) => Value::Null,
    }
}
