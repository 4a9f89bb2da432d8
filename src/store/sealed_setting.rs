//! Settings that decisions rest on, by name; sealed, as those of [`super::setting`] are not.
use rusqlite::{OptionalExtension, params_from_iter};

use super::{
    Rows, StoreError,
    feed::{self, Change},
    seal::Table,
};

pub(super) static TABLE: Table = Table { name: "sealed_setting", columns: "name, value", width: 2, key: 1 };

/// The public MCP URL of this home's gateway.
pub const RESOURCE: &str = "resource";

/// How far clocks may differ where tokens are judged, in seconds.
pub const SKEW: &str = "skew";

pub fn get(c: &Rows<'_>, name: &str) -> Result<Option<String>, StoreError> {
    c.prepare_cached("SELECT name, value, mac FROM sealed_setting WHERE name = ?1")?
        .query_row([name], |row| Ok(TABLE.check(c, row, 0).and_then(|()| Ok(row.get(1)?))))
        .optional()?
        .transpose()
}

pub fn set(c: &Rows<'_>, name: &str, value: &str) -> Result<(), StoreError> {
    let values = TABLE.seal(c, [name.to_owned().into(), value.to_owned().into()])?;
    c.prepare_cached(
        "INSERT INTO sealed_setting (name, value, mac) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET value = ?2, mac = ?3",
    )?
    .execute(params_from_iter(values))?;
    // Who this home is decides whose tokens are its own, as the issuers do for all others.
    feed::append(c, &Change::Issuers)
}
