//! What may be used once: ids of one-time tokens, and of proofs of possession (RFC 9449 §11.1), by any process.
//!
//! The row that is there first wins; that two processes cannot both be first is SQLite's to hold.

use super::{Rows, StoreError, table::Table};
use crate::domain::clock::Timestamp;

pub(super) static TABLE: Table = Table::new("one_time", "realm, id, ends_at", 2);

/// The realm of tokens that may be used once; their ids are those of the tokens.
pub const TOKENS: &str = "token";

/// Uses `id` up: `true` for the first who asks, `false` for all others. `realm` keeps ids of different kinds apart. After
/// `ends_at` the id must be refused for another reason (it is expired), since it is forgotten then.
pub fn use_up(c: &Rows<'_>, realm: &str, id: &str, ends_at: Timestamp) -> Result<bool, StoreError> {
    TABLE.add(c, [realm.into(), id.into(), ends_at.millis().into()])
}

/// Whether `id` was used up.
pub fn is_used(c: &Rows<'_>, realm: &str, id: &str) -> Result<bool, StoreError> {
    c.exists("SELECT 1 FROM one_time WHERE realm = ?1 AND id = ?2", [realm, id])
}

/// Forgets up to `most` ids that ended before `before`; returns how many.
pub fn purge(c: &Rows<'_>, before: Timestamp, most: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM one_time WHERE (realm, id) IN
                   (SELECT realm, id FROM one_time WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2)";
    Ok(c.run(sql, (before.millis(), most))? as u64)
}

#[cfg(test)]
mod tests;
