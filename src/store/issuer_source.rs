//! From where, how and when the keys of registered issuers are fetched, in SQLite.
//!
//! Nothing here is for the gateways' pictures: only what is fetched changes what they believe, so no change is told.
use rusqlite::{OptionalExtension, Row, params_from_iter};

use super::{Rows, StoreError, seal::Table, to_json};
use crate::domain::{clock::Timestamp, issuer::Source, name::IssuerName};

pub(super) static TABLE: Table = Table {
    name: "issuer_source",
    columns: "issuer, jwks_uri, allow_private, etag, asked_at, next_at",
    width: 6,
    key: 1,
};

/// The source of an issuer's keys; `None` where they are pinned by hand.
pub fn find(c: &Rows<'_>, issuer: &IssuerName) -> Result<Option<Source>, StoreError> {
    c.prepare_cached(
        "SELECT issuer, jwks_uri, allow_private, etag, asked_at, next_at, mac FROM issuer_source WHERE issuer = ?1",
    )?
    .query_row([issuer.as_str()], |row| Ok(checked(c, row)))
    .optional()?
    .transpose()
}

/// Writes the source of an issuer's keys, whether there was one or not.
pub fn upsert(c: &Rows<'_>, issuer: &IssuerName, source: &Source) -> Result<(), StoreError> {
    let values = TABLE.seal(
        c,
        [
            issuer.to_string().into(),
            source.jwks_uri.clone().into(),
            to_json(&source.allow_private)?.into(),
            source.etag.clone().into(),
            source.asked_at.millis().into(),
            source.next_at.millis().into(),
        ],
    )?;
    c.prepare_cached(
        "INSERT INTO issuer_source (issuer, jwks_uri, allow_private, etag, asked_at, next_at, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (issuer) DO UPDATE SET
             (jwks_uri, allow_private, etag, asked_at, next_at, mac) = (?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params_from_iter(values))?;
    Ok(())
}

/// Removes the source of an issuer that is being removed, or whose keys are given by hand from now on; nothing where there is
/// none.
pub fn delete(c: &Rows<'_>, issuer: &IssuerName) -> Result<(), StoreError> {
    c.prepare_cached("DELETE FROM issuer_source WHERE issuer = ?1")?.execute([issuer.as_str()])?;
    Ok(())
}

/// A row of the columns, and its seal.
fn checked(c: &Rows<'_>, row: &Row<'_>) -> Result<Source, StoreError> {
    TABLE.check(c, row, 0)?;
    let issuer: String = row.get(0)?;
    let allowed: String = row.get(2)?;
    Ok(Source {
        jwks_uri: row.get(1)?,
        allow_private: serde_json::from_str(&allowed)
            .map_err(|error| StoreError::row(TABLE.name, &issuer, error))?,
        etag: row.get(3)?,
        asked_at: Timestamp::from_millis(row.get(4)?),
        next_at: Timestamp::from_millis(row.get(5)?),
    })
}
