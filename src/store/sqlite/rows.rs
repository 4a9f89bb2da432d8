//! Rows as nouns read and write them: SQL and values in, rows out.

use std::ops::ControlFlow;

use rusqlite::{
    Connection, ToSql, params_from_iter,
    types::{FromSql, ToSqlOutput},
};

use crate::store::{
    StoreError,
    seal::RowKey,
    value::{Value, ValueRef},
};

/// A connection within a transaction, with the key to the seals of its rows where the vault is open.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    connection: &'a Connection,
    key: Option<&'a RowKey>,
}

/// What stands for the placeholders of a statement: `()`, a tuple, an array, or a list that is [`bound`].
pub trait Values: rusqlite::Params {}

impl<T: rusqlite::Params> Values for T {}

/// What a column can be read as.
pub trait Column: FromSql {}

impl<T: FromSql> Column for T {}

/// The values of a list whose length is not known beforehand.
pub(in crate::store) fn bound(values: impl IntoIterator<Item = Value>) -> impl Values {
    params_from_iter(values)
}

/// A column that does not hold what it was read as.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BadColumn(rusqlite::Error);

impl From<BadColumn> for StoreError {
    fn from(bad: BadColumn) -> Self {
        bad.0.into()
    }
}

/// A row that was found.
pub struct Row<'a>(&'a rusqlite::Row<'a>);

impl Row<'_> {
    pub fn get<T: Column>(&self, column: usize) -> Result<T, BadColumn> {
        self.0.get(column).map_err(BadColumn)
    }

    pub fn text(&self, column: usize) -> Result<&str, BadColumn> {
        let value = self.0.get_ref(column).map_err(BadColumn)?;
        value.as_str().map_err(|error| BadColumn(error.into()))
    }

    /// What stands in a column, and nothing where there is no such column.
    pub fn value(&self, column: usize) -> ValueRef<'_> {
        use rusqlite::types::ValueRef as Theirs;
        match self.0.get_ref(column) {
            Ok(Theirs::Integer(number)) => ValueRef::Integer(number),
            Ok(Theirs::Real(number)) => ValueRef::Real(number),
            Ok(Theirs::Text(bytes)) => ValueRef::Text(bytes),
            Ok(Theirs::Blob(bytes)) => ValueRef::Blob(bytes),
            Ok(Theirs::Null) | Err(_) => ValueRef::Null,
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef as Theirs;
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => Theirs::Null,
            Self::Integer(number) => Theirs::Integer(*number),
            Self::Text(text) => Theirs::Text(text.as_bytes()),
            Self::Blob(bytes) => Theirs::Blob(bytes),
        }))
    }
}

impl<'a> Rows<'a> {
    pub(in crate::store) fn new(connection: &'a Connection, key: Option<&'a RowKey>) -> Self {
        Self { connection, key }
    }

    /// The key to the seals; `None` where the vault is not open.
    pub(in crate::store) fn row_key(&self) -> Option<&'a RowKey> {
        self.key
    }

    /// An error where no seal can be checked, because the vault is not open.
    pub(in crate::store) fn must_be_checked(&self) -> Result<(), StoreError> {
        self.key.map(|_| ()).ok_or(StoreError::Unsealed)
    }

    /// The same, with a key that is new.
    pub(in crate::store) fn sealing<'b>(&self, key: &'b RowKey) -> Rows<'b>
    where
        'a: 'b,
    {
        Rows::new(self.connection, Some(key))
    }

    /// Whether the database took back the whole transaction, in the midst of the job, as it does on a disk that is full.
    pub(in crate::store) fn is_undone(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// What `read` makes of the first row that is found; `None` where there is none.
    pub fn one<T>(
        &self,
        sql: &str,
        values: impl Values,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(values)?;
        rows.next()?.map(|row| read(&Row(row))).transpose()
    }

    /// Calls `each` with every row that is found, until it breaks off; answers what it broke off with.
    pub fn walk<B>(
        &self,
        sql: &str,
        values: impl Values,
        mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<B>, StoreError>,
    ) -> Result<Option<B>, StoreError> {
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(values)?;
        while let Some(row) = rows.next()? {
            if let ControlFlow::Break(end) = each(&Row(row))? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// Calls `each` with every row that is found.
    pub fn each(
        &self,
        sql: &str,
        values: impl Values,
        mut each: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.walk(sql, values, |row| each(row).map(ControlFlow::<()>::Continue)).map(|_| ())
    }

    /// What `read` makes of every row that is found.
    pub fn all<T>(
        &self,
        sql: &str,
        values: impl Values,
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        self.each(sql, values, |row| {
            all.push(read(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// The first column of the first row; an error where there is none.
    pub fn get<T: Column>(&self, sql: &str, values: impl Values) -> Result<T, StoreError> {
        let mut select = self.connection.prepare_cached(sql)?;
        Ok(select.query_row(values, |row| row.get(0))?)
    }

    /// The same of a `SELECT count(…)`, or of any other number that is never negative.
    pub fn count(&self, sql: &str, values: impl Values) -> Result<u64, StoreError> {
        Ok(self.get::<i64>(sql, values)?.unsigned_abs())
    }

    /// Whether anything is found.
    pub fn exists(&self, sql: &str, values: impl Values) -> Result<bool, StoreError> {
        self.one(sql, values, |_| Ok(())).map(|found| found.is_some())
    }

    /// Carries out a statement, and answers how many rows it changed.
    pub fn run(&self, sql: &str, values: impl Values) -> Result<usize, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }
}

#[cfg(test)]
impl<'a> From<&'a Connection> for Rows<'a> {
    fn from(connection: &'a Connection) -> Self {
        Self::new(connection, None)
    }
}

/// Tests set a scene, and tamper, with SQL that no code of ours has.
#[cfg(test)]
impl std::ops::Deref for Rows<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}
