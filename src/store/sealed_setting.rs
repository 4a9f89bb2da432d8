//! Settings that decisions rest on, by name; sealed, as those of [`super::setting`] are not.

use super::{
    Rows, StoreError,
    change::{self, Change},
    table::Table,
};

pub(super) static TABLE: Table = Table::new("sealed_setting", "name, value", 1);

/// The public MCP URL of this home's gateway.
pub const RESOURCE: &str = "resource";

/// How far clocks may differ where tokens are judged, in seconds.
pub const SKEW: &str = "skew";

pub fn get(c: &Rows<'_>, name: &str) -> Result<Option<String>, StoreError> {
    c.one(&TABLE.select("WHERE name = ?1"), [name], |row| TABLE.open(c, row)?.get(1))
}

pub fn set(c: &Rows<'_>, name: &str, value: &str) -> Result<(), StoreError> {
    TABLE.upsert(c, [name.into(), value.into()])?;
    // Who this home is decides whose tokens are its own, as the issuers do for all others.
    change::append(c, &Change::Issuers)
}
