//! What changed, and in what order: each change is recorded in the transaction that makes it.

use std::ops::ControlFlow;

use super::{Rows, StoreError, table::Table};
use crate::domain::{
    api_key::KeyId,
    name::{PolicyName, ScopeName},
    token::TokenId,
};

/// How many changes are kept for those who look seldom.
const KEPT: i64 = 10_000;

pub(super) static TABLE: Table = Table::new("change", "seq, noun, object", 1);

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Key(KeyId),
    Policy(PolicyName),
    Scope(ScopeName),
    /// Any of the scopes: earlier versions did not say which.
    Scopes,
    /// One token was revoked.
    Revoked(TokenId),
    /// Tokens were revoked by subject, by key, or by when they were issued.
    Revocations,
    SigningKeys,
    Issuers,
    /// Anything: more than the feed remembers, or of a kind that this version does not know.
    /// Load everything anew.
    All,
}

impl Change {
    fn columns(&self) -> (&'static str, String) {
        match self {
            Self::Key(id) => ("key", id.to_string()),
            Self::Policy(name) => ("policy", name.to_string()),
            Self::Scope(name) => ("scopes", name.to_string()),
            Self::Scopes => ("scopes", String::new()),
            Self::Revoked(id) => ("revoked", id.to_string()),
            Self::Revocations => ("revocations", String::new()),
            Self::SigningKeys => ("signing_keys", String::new()),
            Self::Issuers => ("issuers", String::new()),
            Self::All => ("all", String::new()),
        }
    }

    fn from_columns(noun: &str, object: &str) -> Self {
        match noun {
            "key" => object.parse().map_or(Self::All, Self::Key),
            "policy" => object.parse().map_or(Self::All, Self::Policy),
            "scopes" => object.parse().map_or(Self::Scopes, Self::Scope),
            "revoked" => object.parse().map_or(Self::All, Self::Revoked),
            "revocations" => Self::Revocations,
            "signing_keys" => Self::SigningKeys,
            "issuers" => Self::Issuers,
            _ => Self::All,
        }
    }
}

/// Records a change, in the transaction that makes it. The nouns' own functions call this, so that
/// no change goes untold.
pub fn append(c: &Rows<'_>, change: &Change) -> Result<(), StoreError> {
    let (noun, object) = change.columns();
    let seq = position(c)?.saturating_add(1);
    TABLE.insert(c, [seq.into(), noun.into(), object.into()])?;
    c.run("DELETE FROM change WHERE seq <= ?1", [seq - KEPT]).map(|_| ())
}

/// The position of the newest change that there ever was, in the state that `c` reads. SQLite counts them apart from
/// the rows, so that a row that is gone from the end is missed.
pub fn position(c: &Rows<'_>) -> Result<i64, StoreError> {
    c.get(
        "SELECT max(coalesce((SELECT max(seq) FROM change), 0),
                    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0))",
        (),
    )
}

/// The changes after position `after`, oldest first, and the position of the last, in the state that `c` reads.
pub(super) fn changes(c: &Rows<'_>, after: i64) -> Result<(Vec<Change>, i64), StoreError> {
    let newest = position(c)?;
    let (mut changes, mut last) = (Vec::new(), after);
    let gap = c.walk(&TABLE.select("WHERE seq > ?1 ORDER BY seq"), [after], |row| {
        if row.get(0).ok() != last.checked_add(1) || TABLE.check(c, row, 0).is_err() {
            return Ok(ControlFlow::Break(()));
        }
        last += 1;
        let text = |column| row.text(column).unwrap_or_default();
        changes.push(Change::from_columns(text(1), text(2)));
        Ok(ControlFlow::Continue(()))
    })?;
    // After a copy was put back, `after` may also lie beyond the newest.
    let is_whole = gap.is_none() && last == newest;
    Ok(if is_whole { (changes, newest) } else { (vec![Change::All], newest) })
}
