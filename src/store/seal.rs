//! Sealed rows: what a decision rests on cannot be altered unnoticed.
//!
//! Each row of a sealed table carries HMAC-SHA256 over the table's name and all of its other columns, its primary key
//! among them, under a key that only the vault holds. Whoever has opened the vault has every row checked that it acts
//! on; without the vault (an auditor) nothing can be checked, and nothing can be written. Pages and the windows that the
//! console shows are checked as well, and name what is damaged.
//!
//! A seal does not show that a row is missing, nor that it was replaced by an older one of itself.

use std::{fmt, ops::Deref};

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{
    Connection, OptionalExtension, Row,
    types::{Value, ValueRef},
};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    StoreError, api_key, feed, issuer, issuer_source, one_time, policy, quota, revocation, scope,
    sealed_setting, signing_key, token,
};

/// Every table whose rows are sealed. (Of the others, `vault_entry` is sealed by the vault itself, the vault proves
/// what is in `setting`, and `audit` is a chain of its own.)
pub(super) static TABLES: [&Table; 14] = [
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
    &feed::TABLE,
];

/// The key under which rows are sealed: [`Vault::row_key`](crate::vault::Vault::row_key), as a keyed HMAC state.
#[derive(Clone)]
pub struct RowKey(Hmac<Sha256>);

impl RowKey {
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC pads a short key with zeros to one block (RFC 2104 §2); a whole block cannot be of the wrong length.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        Self(Hmac::new((&*block).into()))
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKey(…)")
    }
}

/// A connection within a transaction, with the key to the seals of its rows where the vault is open.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    connection: &'a Connection,
    key: Option<&'a RowKey>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(connection: &'a Connection, key: Option<&'a RowKey>) -> Self {
        Self { connection, key }
    }

    /// An error where no seal can be checked, because the vault is not open.
    pub(super) fn must_be_checked(&self) -> Result<(), StoreError> {
        self.key.map(|_| ()).ok_or(StoreError::Unsealed)
    }
}

impl Deref for Rows<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// A sealed table.
pub(super) struct Table {
    pub name: &'static str,
    /// All columns but `mac`, as SQL, those of the primary key first.
    pub columns: &'static str,
    /// How many these are, and how many of them are the primary key.
    pub width: usize,
    pub key: usize,
}

impl Table {
    /// The column of the id.
    pub fn id(&self) -> &'static str {
        self.columns.split(',').next().unwrap_or_default()
    }

    /// `values`, one for each column, with the seal as the last.
    pub fn seal<const N: usize>(&self, c: &Rows<'_>, values: [Value; N]) -> Result<Vec<Value>, StoreError> {
        let key = c.key.ok_or(StoreError::Unsealed)?;
        let mac = self.mac(key, values.iter().map(ValueRef::from)).finalize().into_bytes();
        let mut values = Vec::from(values);
        values.push(Value::Blob(mac.to_vec()));
        Ok(values)
    }

    /// Refuses a row whose seal does not fit. Its columns, and then the seal, stand in `row` from `first` on.
    pub fn check(&self, c: &Rows<'_>, row: &Row<'_>, first: usize) -> Result<(), StoreError> {
        let Some(key) = c.key else { return Ok(()) };
        let column = |index: usize| row.get_ref(first + index).unwrap_or(ValueRef::Null);
        let mac = self.mac(key, (0..self.width).map(column));
        match column(self.width) {
            ValueRef::Blob(seal) if mac.verify_slice(seal).is_ok() => Ok(()),
            _ => Err(self.damaged((0..self.key).map(column), "its seal does not fit what it holds")),
        }
    }

    /// The ids (the first column) of rows that `read` finds damaged, as they stand there. Needs the vault.
    pub fn damaged_ids<T>(
        &self,
        c: &Rows<'_>,
        read: impl Fn(&Rows<'_>, &Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<String>, StoreError> {
        c.must_be_checked()?;
        let mut select = c.prepare_cached(&format!("SELECT {}, mac FROM {}", self.columns, self.name))?;
        let mut rows = select.query([])?;
        let mut damaged = Vec::new();
        while let Some(row) = rows.next()? {
            if is_damage(read(c, row))? {
                damaged.push(row.get(0)?);
            }
        }
        Ok(damaged)
    }

    /// Whether there is a row of this id that `read` finds damaged. Needs the vault.
    pub fn holds_damaged<T>(
        &self,
        c: &Rows<'_>,
        id: &str,
        read: impl Fn(&Rows<'_>, &Row<'_>) -> Result<T, StoreError>,
    ) -> Result<bool, StoreError> {
        c.must_be_checked()?;
        let (columns, name) = (self.columns, self.name);
        let key = self.id();
        let mut select = c.prepare_cached(&format!("SELECT {columns}, mac FROM {name} WHERE {key} = ?1"))?;
        let found = select.query_row([id], |row| Ok(is_damage(read(c, row)))).optional()?.transpose()?;
        Ok(found.unwrap_or(false))
    }

    /// The table's name, then each value with its type and length: no two rows give the same bytes.
    fn mac<'v>(&self, key: &RowKey, values: impl Iterator<Item = ValueRef<'v>>) -> Hmac<Sha256> {
        let mut mac = key.0.clone();
        let mut absorb = |kind: u8, bytes: &[u8]| {
            let mut head = [kind; 9];
            head[1..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            mac.update(&head);
            mac.update(bytes);
        };
        absorb(b'T', self.name.as_bytes());
        for value in values {
            match value {
                ValueRef::Null => absorb(b'n', &[]),
                ValueRef::Integer(number) => absorb(b'i', &number.to_le_bytes()),
                ValueRef::Real(number) => absorb(b'r', &number.to_bits().to_le_bytes()),
                ValueRef::Text(bytes) => absorb(b't', bytes),
                ValueRef::Blob(bytes) => absorb(b'b', bytes),
            }
        }
        mac
    }

    /// The error that names a row by its primary key.
    fn damaged<'v>(&self, key: impl Iterator<Item = ValueRef<'v>>, why: &str) -> StoreError {
        let key = key.map(|value| match value {
            ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            ValueRef::Integer(number) => number.to_string(),
            _ => "?".into(),
        });
        StoreError::row(self.name, &key.collect::<Vec<_>>().join(" "), why)
    }
}

/// Whether what was read is damaged; other errors are errors.
fn is_damage<T>(read: Result<T, StoreError>) -> Result<bool, StoreError> {
    Ok(StoreError::none_where_damaged(read.map(Some))?.is_none())
}

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
        let mut select = c.prepare(&format!("SELECT {}, mac FROM {}", table.columns, table.name))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            found.rows += 1;
            found.damaged.extend(table.check(c, row, 0).err());
        }
    }
    found.damaged.extend(quota::missing(c)?);
    Ok(found)
}

#[cfg(test)]
mod tests;
