//! Whether the rows that decisions rest on are as they were written: all of them, table by table.

use super::{
    Rows, StoreError, api_key, change, issuer, issuer_source, one_time, policy, quota, revocation, scope,
    sealed_setting, signing_key, table::Table, token,
};

/// Every table whose rows are sealed. (Of the others, `vault_entry` is sealed by the vault itself, the vault proves
/// what is in `setting`, and `audit` is a chain of its own.)
static TABLES: [&Table; 14] = [
    &scope::TABLE,
    &policy::TABLE,
    &policy::REVISIONS,
    &api_key::TABLE,
    &signing_key::TABLE,
    &token::TABLE,
    &token::GROUNDS,
    &revocation::TABLE,
    &one_time::TABLE,
    &issuer::TABLE,
    &issuer_source::TABLE,
    &sealed_setting::TABLE,
    &quota::TABLE,
    &change::TABLE,
];

/// What [`examine`] found.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// How many rows were checked.
    pub rows: u64,
    /// Those that are damaged or missing, each named.
    pub damaged: Vec<StoreError>,
}

/// Checks every sealed row. Takes seconds for a million keys. Needs the vault.
pub fn examine(c: &Rows<'_>) -> Result<Examined, StoreError> {
    c.must_be_checked()?;
    let mut found = Examined::default();
    for table in TABLES {
        c.each(&table.select(""), (), |row| {
            found.rows += 1;
            found.damaged.extend(table.check(c, row, 0).err());
            Ok(())
        })?;
    }
    found.damaged.extend(quota::missing(c)?);
    Ok(found)
}

#[cfg(test)]
mod tests;
