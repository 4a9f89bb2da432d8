//! What may be used once: ids of one-time tokens, and of proofs of possession (RFC 9449 §11.1), by any process.
//!
//! The row that is there first wins; that two processes cannot both be first is SQLite's to hold.
use rusqlite::{params, params_from_iter};

use super::{Rows, StoreError, seal::Table};
use crate::domain::clock::Timestamp;

pub(super) static TABLE: Table = Table { name: "one_time", columns: "realm, id, ends_at", width: 3, key: 2 };

/// The realm of tokens that may be used once; their ids are those of the tokens.
pub const TOKENS: &str = "token";

/// Uses `id` up: `true` for the first who asks, `false` for all others. `realm` keeps ids of different kinds apart. After
/// `ends_at` the id must be refused for another reason (it is expired), since it is forgotten then.
pub fn use_up(c: &Rows<'_>, realm: &str, id: &str, ends_at: Timestamp) -> Result<bool, StoreError> {
    let values = TABLE.seal(c, [realm.to_owned().into(), id.to_owned().into(), ends_at.millis().into()])?;
    let added = c
        .prepare_cached(
            "INSERT INTO one_time (realm, id, ends_at, mac) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (realm, id) DO NOTHING",
        )?
        .execute(params_from_iter(values))?;
    Ok(added == 1)
}

/// Whether `id` was used up.
pub fn is_used(c: &Rows<'_>, realm: &str, id: &str) -> Result<bool, StoreError> {
    let mut select =
        c.prepare_cached("SELECT EXISTS (SELECT 1 FROM one_time WHERE realm = ?1 AND id = ?2)")?;
    Ok(select.query_row([realm, id], |row| row.get(0))?)
}

/// Forgets up to `most` ids that ended before `before`; returns how many.
pub fn purge(c: &Rows<'_>, before: Timestamp, most: u32) -> Result<u64, StoreError> {
    let removed = c
        .prepare_cached(
            "DELETE FROM one_time WHERE (realm, id) IN
                 (SELECT realm, id FROM one_time WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2)",
        )?
        .execute(params![before.millis(), most])?;
    Ok(removed as u64)
}

#[cfg(test)]
mod tests;
