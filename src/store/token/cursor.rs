//! Where a page of the list of issued tokens ended.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};

use super::{super::StoreError, Query, Sort};
use crate::domain::{
    text::visible,
    token::{IssuedToken, TokenId},
};

/// The sort value and the id of the last row of a page. Opaque to those who carry it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The order that it belongs to.
    order: (String, bool),
    value: Position,
    jti: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Position {
    Moment(i64),
    Text(String),
}

impl Cursor {
    pub fn after(token: &IssuedToken, q: &Query) -> Self {
        let value = match q.sort {
            Sort::Issued => Position::Moment(token.issued_at.millis()),
            Sort::Expires => Position::Moment(token.expires_at.millis()),
            Sort::Subject => Position::Text(token.subject.as_str().into()),
            Sort::Policy => Position::Text(token.policy.as_str().into()),
        };
        Self { order: order(q), value, jti: token.jti.to_string() }
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

    /// The sort value and the id, for a condition.
    pub fn values(self) -> [Value; 2] {
        let value = match self.value {
            Position::Moment(at) => Value::from(at),
            Position::Text(text) => Value::from(text),
        };
        [value, self.jti.into()]
    }

    fn fits(&self, q: &Query) -> bool {
        let typed = matches!(
            (q.sort, &self.value),
            (Sort::Issued | Sort::Expires, Position::Moment(_))
                | (Sort::Subject | Sort::Policy, Position::Text(_))
        );
        typed && self.order == order(q) && self.jti.parse::<TokenId>().is_ok()
    }
}

fn order(q: &Query) -> (String, bool) {
    (q.sort.as_str().into(), q.descending)
}
