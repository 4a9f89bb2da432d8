//! Facts about the store itself, by name.

use super::{Rows, StoreError};

/// What the sealed entries of the vault are bound to.
pub const STORE_ID: &str = "store_id";
/// The public key of the audit chain, as PEM.
pub const AUDIT_PUBLIC_KEY: &str = "audit_public_key";

pub fn get(c: &Rows<'_>, name: &str) -> Result<Option<String>, StoreError> {
    c.one("SELECT value FROM setting WHERE name = ?1", [name], |row| Ok(row.get(0)?))
}

pub fn set(c: &Rows<'_>, name: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    c.run(sql, [name, value]).map(|_| ())
}
