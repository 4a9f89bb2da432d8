//! The entries of the vault in SQLite, as the vault sealed them.

use super::{Rows, StoreError, sqlite::Row};
use crate::{
    domain::clock::Timestamp,
    vault::{self, SealedEntry},
};

/// Whether the vault says that the home has an anchor. It is the truth where the vault opens.
pub(super) fn is_anchored(c: &Rows<'_>) -> Result<bool, StoreError> {
    Ok(entries(c)?.iter().any(vault::is_anchored))
}

/// Has the vault remember, for good, that the home has an anchor. `entry` is of [`Vault::seal_anchored`].
pub(super) fn set_anchored(c: &Rows<'_>, entry: &SealedEntry, now: Timestamp) -> Result<(), StoreError> {
    if is_anchored(c)? {
        return Ok(());
    }
    delete(c, &entry.name)?;
    insert(c, entry, now)
}

/// All of them.
pub(super) fn entries(c: &Rows<'_>) -> Result<Vec<SealedEntry>, StoreError> {
    let sql = "SELECT name, version, wrapped_key, sealed FROM vault_entry ORDER BY name, version";
    c.all(sql, (), entry)
}

fn entry(row: &Row<'_>) -> Result<SealedEntry, StoreError> {
    Ok(SealedEntry { name: row.get(0)?, version: row.get(1)?, wrapped_key: row.get(2)?, sealed: row.get(3)? })
}

/// One entry, of those that come and go with what they belong to.
pub(super) fn find(c: &Rows<'_>, name: &str) -> Result<Option<SealedEntry>, StoreError> {
    let sql =
        "SELECT name, version, wrapped_key, sealed FROM vault_entry WHERE name = ?1 ORDER BY version DESC";
    c.one(sql, [name], entry)
}

/// Removes an entry; nothing where there is none.
pub(super) fn delete(c: &Rows<'_>, name: &str) -> Result<(), StoreError> {
    c.run("DELETE FROM vault_entry WHERE name = ?1", [name]).map(|_| ())
}

pub(super) fn insert(c: &Rows<'_>, entry: &SealedEntry, now: Timestamp) -> Result<(), StoreError> {
    let SealedEntry { name, version, wrapped_key, sealed } = entry;
    let sql = "INSERT INTO vault_entry (name, version, wrapped_key, sealed, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    c.run(sql, (name, version, wrapped_key, sealed, now.millis())).map(|_| ())
}
