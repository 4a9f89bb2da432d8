//! From where, how and when the keys of registered issuers are fetched, in SQLite.
//!
//! Nothing here is for the gateways' pictures: only what is fetched changes what they believe, so no change is told.

use super::{Rows, StoreError, table::Table, value::to_json};
use crate::domain::{issuer::Source, name::IssuerName};

pub(super) static TABLE: Table =
    Table::new("issuer_source", "issuer, jwks_uri, allow_private, etag, asked_at, next_at", 1);

/// The source of an issuer's keys; `None` where they are pinned by hand.
pub fn find(c: &Rows<'_>, issuer: &IssuerName) -> Result<Option<Source>, StoreError> {
    c.one(&TABLE.select("WHERE issuer = ?1"), [issuer.as_str()], |row| {
        let row = TABLE.open(c, row)?;
        Ok(Source {
            jwks_uri: row.get(1)?,
            allow_private: row.json(2)?,
            etag: row.get(3)?,
            asked_at: row.moment(4)?,
            next_at: row.moment(5)?,
        })
    })
}

/// Writes the source of an issuer's keys, whether there was one or not.
pub fn upsert(c: &Rows<'_>, issuer: &IssuerName, source: &Source) -> Result<(), StoreError> {
    TABLE.upsert(
        c,
        [
            issuer.to_string().into(),
            source.jwks_uri.clone().into(),
            to_json(&source.allow_private)?.into(),
            source.etag.clone().into(),
            source.asked_at.millis().into(),
            source.next_at.millis().into(),
        ],
    )
}

/// Removes the source of an issuer that is being removed, or whose keys are given by hand from now on; nothing where there is
/// none.
pub fn delete(c: &Rows<'_>, issuer: &IssuerName) -> Result<(), StoreError> {
    TABLE.delete(c, issuer.as_str()).map(|_| ())
}
