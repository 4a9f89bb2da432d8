//! Sealed tables, and the nouns that lie in one each: how a row is written, found, and told to be damaged, once for all.

use std::{fmt::Display, str::FromStr};

use serde::de::DeserializeOwned;

use super::{
    StoreError,
    page::Sound,
    sqlite::{Column, Row, Rows, Values, bound},
    value::{Value, ValueRef},
};
use crate::domain::clock::Timestamp;

/// A sealed table.
pub struct Table {
    pub(super) name: &'static str,
    /// All columns but `mac`, as SQL, those of the primary key first.
    pub(super) columns: &'static str,
    /// How many these are, and how many of them are the primary key.
    width: usize,
    key: usize,
}

impl Table {
    pub(super) const fn new(name: &'static str, columns: &'static str, key: usize) -> Self {
        let (bytes, mut width, mut at) = (columns.as_bytes(), 1, 0);
        while at < bytes.len() {
            width += (bytes[at] == b',') as usize;
            at += 1;
        }
        Self { name, columns, width, key }
    }

    /// The column of the id.
    pub(super) fn id(&self) -> &'static str {
        self.columns().next().unwrap_or_default()
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.split(',').map(str::trim)
    }

    /// `SELECT` of whole rows; `rest` says which, in what order.
    pub(super) fn select(&self, rest: &str) -> String {
        format!("SELECT {}, mac FROM {} {rest}", self.columns, self.name)
    }

    /// `values`, one for each column, with the seal as the last.
    pub(super) fn seal(&self, c: &Rows<'_>, values: impl Into<Vec<Value>>) -> Result<Vec<Value>, StoreError> {
        let key = c.row_key().ok_or(StoreError::Unsealed)?;
        let mut values = values.into();
        let seal = key.seal(self.name, values.iter().map(ValueRef::from));
        values.push(Value::Blob(seal));
        Ok(values)
    }

    /// Adds a row.
    pub(super) fn insert(&self, c: &Rows<'_>, values: impl Into<Vec<Value>>) -> Result<(), StoreError> {
        self.write(c, values, "").map(|_| ())
    }

    /// Adds a row, or puts it in the place of the one that has its primary key.
    pub(super) fn upsert(&self, c: &Rows<'_>, values: impl Into<Vec<Value>>) -> Result<(), StoreError> {
        let columns: Vec<_> = self.columns().chain(["mac"]).collect();
        let set: Vec<_> =
            columns.iter().skip(self.key).map(|name| format!("{name} = excluded.{name}")).collect();
        let key = columns[..self.key].join(", ");
        let then = format!("ON CONFLICT ({key}) DO UPDATE SET {}", set.join(", "));
        self.write(c, values, &then).map(|_| ())
    }

    /// Adds a row and answers `true`, unless there is one that has its primary key.
    pub(super) fn add(&self, c: &Rows<'_>, values: impl Into<Vec<Value>>) -> Result<bool, StoreError> {
        Ok(self.write(c, values, "ON CONFLICT DO NOTHING")? == 1)
    }

    fn write(&self, c: &Rows<'_>, values: impl Into<Vec<Value>>, then: &str) -> Result<usize, StoreError> {
        let sql = format!(
            "INSERT INTO {} ({}, mac) VALUES ({}) {then}",
            self.name,
            self.columns,
            self.placeholders()
        );
        c.run(&sql, bound(self.seal(c, values)?))
    }

    /// Writes the row anew whose id is the first of `values`.
    pub(super) fn update(&self, c: &Rows<'_>, values: impl Into<Vec<Value>>) -> Result<(), StoreError> {
        let (name, columns, id) = (self.name, self.columns, self.id());
        let sql = format!("UPDATE {name} SET ({columns}, mac) = ({}) WHERE {id} = ?1", self.placeholders());
        c.run(&sql, bound(self.seal(c, values)?)).map(|_| ())
    }

    /// One for each column and the seal.
    fn placeholders(&self) -> String {
        let all: Vec<_> = (1..=self.width + 1).map(|number| format!("?{number}")).collect();
        all.join(", ")
    }

    /// Removes the rows of this id; `false` where there is none.
    pub(super) fn delete(&self, c: &Rows<'_>, id: &str) -> Result<bool, StoreError> {
        let sql = format!("DELETE FROM {} WHERE {} = ?1", self.name, self.id());
        Ok(c.run(&sql, [id])? > 0)
    }

    /// The columns of a row that begins with them, and ends with a seal that fits.
    pub(super) fn open<'r>(&'r self, c: &Rows<'_>, row: &'r Row<'r>) -> Result<Columns<'r>, StoreError> {
        self.check(c, row, 0)?;
        Ok(Columns { table: self, row })
    }

    /// Refuses a row whose seal does not fit. Its columns, and then the seal, stand in `row` from `first` on.
    pub(super) fn check(&self, c: &Rows<'_>, row: &Row<'_>, first: usize) -> Result<(), StoreError> {
        let Some(key) = c.row_key() else { return Ok(()) };
        let column = |index: usize| row.value(first + index);
        match column(self.width) {
            ValueRef::Blob(seal) if key.fits(seal, self.name, (0..self.width).map(column)) => Ok(()),
            _ => Err(self.damaged(row, first, "its seal does not fit what it holds")),
        }
    }

    /// The error that names a row by its primary key.
    fn damaged(&self, row: &Row<'_>, first: usize, why: impl Display) -> StoreError {
        let key = (first..first + self.key).map(|column| match row.value(column) {
            ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            ValueRef::Integer(number) => number.to_string(),
            _ => "?".into(),
        });
        StoreError::row(self.name, &key.collect::<Vec<_>>().join(" "), why)
    }
}

/// The columns of a row of a sealed table. What one holds may be of the wrong kind where no seal was looked at; then the row
/// is damaged.
pub struct Columns<'r> {
    table: &'r Table,
    row: &'r Row<'r>,
}

impl Columns<'_> {
    pub(super) fn get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        self.row.get(column).map_err(|error| self.bad(error))
    }

    pub(super) fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.row.text(column).map_err(|error| self.bad(error))
    }

    /// What its text says.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, column: usize) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|error| self.bad(error))
    }

    /// What its JSON says.
    pub(super) fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|error| self.bad(error))
    }

    /// The same where it may hold nothing.
    pub(super) fn json_if_any<T: DeserializeOwned>(&self, column: usize) -> Result<Option<T>, StoreError> {
        match self.row.value(column) {
            ValueRef::Null => Ok(None),
            _ => self.json(column).map(Some),
        }
    }

    pub(super) fn moment(&self, column: usize) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp::from_millis)
    }

    /// The same where it may hold nothing.
    pub(super) fn moment_if_any(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<_>>(column)?.map(Timestamp::from_millis))
    }

    /// That the row is damaged.
    pub(super) fn bad(&self, why: impl Display) -> StoreError {
        self.table.damaged(self.row, 0, why)
    }
}

/// A moment, or nothing, for a column.
pub(super) fn moment(at: Option<Timestamp>) -> Value {
    at.map(Timestamp::millis).into()
}

/// A noun with a table of its own, the first column of which is its id.
pub trait Noun: Sized {
    const TABLE: &'static Table;

    /// A value for each column of the table.
    fn values(&self) -> Result<Vec<Value>, StoreError>;

    /// What the columns of a row say.
    fn read(c: &Rows<'_>, row: &Columns<'_>) -> Result<Self, StoreError>;
}

/// What stands in a row that begins with the noun's columns and its seal.
pub(super) fn checked<N: Noun>(c: &Rows<'_>, row: &Row<'_>) -> Result<N, StoreError> {
    N::read(c, &N::TABLE.open(c, row)?)
}

pub(super) fn find<N: Noun>(c: &Rows<'_>, id: &str) -> Result<Option<N>, StoreError> {
    let sql = N::TABLE.select(&format!("WHERE {} = ?1", N::TABLE.id()));
    c.one(&sql, [id], |row| checked(c, row))
}

/// Calls `each` with every row, or with what is wrong with it.
pub(super) fn each<N: Noun>(
    c: &Rows<'_>,
    mut each: impl FnMut(Result<N, StoreError>),
) -> Result<(), StoreError> {
    c.each(&N::TABLE.select(""), (), |row| {
        each(checked(c, row));
        Ok(())
    })
}

/// Those that are not damaged, in the order of SQL, and what is wrong with the others.
pub(super) fn sound<N: Noun>(c: &Rows<'_>, order: &str) -> Result<Sound<N>, StoreError> {
    sort_out(c, &N::TABLE.select(&format!("ORDER BY {order}")), (), |row| checked(c, row))
}

/// What `read` makes of the rows that are found, and what is wrong with the others.
pub(super) fn sort_out<T>(
    c: &Rows<'_>,
    sql: &str,
    values: impl Values,
    mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Sound<T>, StoreError> {
    let (mut sound, mut damaged) = (Vec::new(), Vec::new());
    c.each(sql, values, |row| match read(row) {
        Err(error) if error.is_of_one_row() => {
            damaged.push(error);
            Ok(())
        }
        found => found.map(|found| sound.push(found)),
    })?;
    Ok((sound, damaged))
}

/// All of what was found; an error where one is damaged.
pub(super) fn all<T>((sound, damaged): (T, Vec<StoreError>)) -> Result<T, StoreError> {
    damaged.into_iter().next().map_or(Ok(sound), Err)
}

pub(super) fn insert<N: Noun>(c: &Rows<'_>, noun: &N) -> Result<(), StoreError> {
    N::TABLE.insert(c, noun.values()?)
}

/// Writes one anew with a change; `false` where there is none. Its seal is checked first, so that what was tampered with is
/// never sealed.
pub(super) fn alter<N: Noun>(
    c: &Rows<'_>,
    id: &str,
    change: impl FnOnce(&mut N),
) -> Result<bool, StoreError> {
    let Some(mut noun) = find(c, id)? else { return Ok(false) };
    change(&mut noun);
    N::TABLE.update(c, noun.values()?)?;
    Ok(true)
}

/// The ids of rows that are damaged, or rest on one that is, as they stand there. Needs the vault.
pub(super) fn damaged<N: Noun>(c: &Rows<'_>) -> Result<Vec<String>, StoreError> {
    c.must_be_checked()?;
    let mut damaged = Vec::new();
    c.each(&N::TABLE.select(""), (), |row| {
        if is_damage(checked::<N>(c, row))? {
            damaged.push(row.get(0)?);
        }
        Ok(())
    })?;
    Ok(damaged)
}

/// Removes the row of this id if it is damaged still; `false` where it is not. Needs the vault.
pub(super) fn delete_damaged<N: Noun>(c: &Rows<'_>, id: &str) -> Result<bool, StoreError> {
    c.must_be_checked()?;
    Ok(is_damage(find::<N>(c, id))? && N::TABLE.delete(c, id)?)
}

/// Whether what was read is damaged; other errors are errors.
fn is_damage<T>(read: Result<T, StoreError>) -> Result<bool, StoreError> {
    match read {
        Err(error) if error.is_of_one_row() => Ok(true),
        read => read.map(|_| false),
    }
}
