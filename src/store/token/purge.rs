//! What is forgotten of tokens: those that ended, and rows that are damaged.

use super::{
    ground::{self, Expired, expired},
    row::TABLE,
};
use crate::domain::{
    clock::Timestamp,
    token::{Grounds, IssuedToken},
};
use crate::store::{Rows, StoreError, quota, table};

/// Removes up to `most` tokens that expired before `before`, with quotas that no token shares any more; returns their ids.
pub fn purge(c: &Rows<'_>, before: Timestamp, most: u32) -> Result<Vec<String>, StoreError> {
    let sql =
        "SELECT jti, subject, policy FROM token WHERE expires_at < ?1 ORDER BY expires_at, jti LIMIT ?2";
    remove(c, c.all(sql, (before.millis(), most), expired)?)
}

/// The same for those alone that rest, last of all, on what `grounds` rest on: clients got them for themselves, and nobody
/// asks about them any more.
pub fn purge_beside(
    c: &Rows<'_>,
    grounds: &Grounds,
    before: Timestamp,
    most: u32,
) -> Result<Vec<String>, StoreError> {
    remove(c, ground::expired_beside(c, grounds, before, most)?)
}

fn remove(c: &Rows<'_>, expired: Vec<Expired>) -> Result<Vec<String>, StoreError> {
    let mut removed = Vec::with_capacity(expired.len());
    for (jti, subject, policy) in expired {
        TABLE.delete(c, &jti)?;
        ground::delete(c, &jti)?;
        let is_shared =
            c.exists("SELECT 1 FROM token WHERE subject = ?1 AND policy = ?2", [&subject, &policy])?;
        if let (false, Ok(subject), Ok(policy)) = (is_shared, subject.parse(), policy.parse()) {
            quota::close(c, &quota::account_of_subject(&subject, &policy))?;
        }
        removed.push(jti);
    }
    Ok(removed)
}

/// The ids of rows that are damaged, or rest on one that is, as they stand there. Needs the vault.
pub fn damaged(c: &Rows<'_>) -> Result<Vec<String>, StoreError> {
    table::damaged::<IssuedToken>(c)
}

/// Forgets the token of this id if its row is still damaged; `false` where it is not. Its quota stays: which one that is
/// cannot be believed of the row, and others may share it.
pub fn delete_damaged(c: &Rows<'_>, jti: &str) -> Result<bool, StoreError> {
    let removed = table::delete_damaged::<IssuedToken>(c, jti)?;
    if removed {
        ground::delete(c, jti)?;
    }
    Ok(removed)
}
