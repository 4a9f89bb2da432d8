//! Facts about the store itself, by name.
use rusqlite::{Connection, OptionalExtension};

use super::StoreError;

/// What the sealed entries of the vault are bound to.
pub const STORE_ID: &str = "store_id";
/// The public key of the audit chain, as PEM.
pub const AUDIT_PUBLIC_KEY: &str = "audit_public_key";

pub fn get(c: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    let mut select = c.prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}

pub fn set(c: &Connection, name: &str, value: &str) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
    )?
    .execute([name, value])?;
    Ok(())
}
