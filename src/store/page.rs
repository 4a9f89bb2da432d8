//! Pages of lists, in which a damaged row is named and hides no other.

use super::{StoreError, condition::Condition, seal::Table};
use crate::domain::text::excerpt;
use rusqlite::{
    Connection, OptionalExtension, Row, params_from_iter,
    types::{Value, ValueRef},
};

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor after the last item, where there is more.
    pub next: Option<String>,
    /// What is wrong with the rows that would stand among the items.
    pub damaged: Vec<StoreError>,
}

/// The rows that are not damaged, and what is wrong with the others.
pub type Sound<T> = (Vec<T>, Vec<StoreError>);

/// A damaged row in its place among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// What stands there for its id.
    pub id: String,
    pub why: String,
}

/// What was read of `row`, whose first column is its id, or that it is damaged.
pub(super) fn in_its_place<T>(
    row: &Row<'_>,
    read: Result<T, StoreError>,
) -> Result<Result<T, Damaged>, StoreError> {
    let (table, found, why) = match read {
        Ok(item) => return Ok(Ok(item)),
        Err(StoreError::Row { table, row, why }) => (table, row, why),
        Err(error) => return Err(error),
    };
    let id = match row.get_ref(0)? {
        ValueRef::Text(bytes) => excerpt(&String::from_utf8_lossy(bytes)),
        _ => "?".into(),
    };
    // What it rests on may be what is damaged.
    let why = if found == id { why } else { format!("`{found}` of {table}: {why}") };
    Ok(Err(Damaged { id, why }))
}

/// Where the row of this id stands among those that fit `condition`, in the order of `column` and then of the id, where what
/// has no value comes last; `None` where it is not among them.
pub(super) fn place(
    c: &Connection,
    table: &Table,
    condition: Condition,
    (column, descending): (&str, bool),
    id: &str,
) -> Result<Option<u64>, StoreError> {
    let Condition { sql: fits, values } = condition;
    let (name, key) = (table.name, table.id());
    let own = std::iter::once(Value::from(id.to_owned()));
    let found: Option<Value> = c
        .prepare_cached(&format!("SELECT {column} FROM {name} WHERE {key} = ? AND {fits}"))?
        .query_row(params_from_iter(own.clone().chain(values.clone())), |row| row.get(0))
        .optional()?;
    let (before, wanted) = match (found, descending) {
        (None, _) => return Ok(None),
        (Some(Value::Null), false) => (format!("({column} IS NOT NULL OR {key} < ?)"), None),
        (Some(Value::Null), true) => (format!("({column} IS NULL AND {key} > ?)"), None),
        (Some(value), false) => (format!("({column}, {key}) < (?, ?)"), Some(value)),
        (Some(value), true) => (format!("({column} IS NULL OR ({column}, {key}) > (?, ?))"), Some(value)),
    };
    let mut select = c.prepare_cached(&format!("SELECT count(*) FROM {name} WHERE {fits} AND {before}"))?;
    let count: i64 =
        select.query_row(params_from_iter(values.into_iter().chain(wanted).chain(own)), |row| row.get(0))?;
    Ok(Some(count.unsigned_abs()))
}

/// Gathers the items of a page from the rows of one statement after another.
pub(super) struct Gathering<T> {
    limit: usize,
    items: Vec<T>,
    damaged: Vec<StoreError>,
    /// Damaged rows after the last item: they belong to the page after it, where there is one.
    after: Vec<StoreError>,
    has_more: bool,
}

impl<T> Gathering<T> {
    pub fn new(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, items: Vec::new(), damaged: Vec::new(), after: Vec::new(), has_more: false }
    }

    /// Whether the page is full, and it is known that there is more.
    pub fn is_done(&self) -> bool {
        self.has_more
    }

    /// Takes the next rows, as many as are wanted.
    pub fn take(
        &mut self,
        rows: &mut rusqlite::Rows<'_>,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<(), StoreError> {
        while !self.has_more
            && let Some(row) = rows.next()?
        {
            match read(row) {
                Ok(_) if self.items.len() == self.limit => self.has_more = true,
                Ok(item) => {
                    self.damaged.append(&mut self.after);
                    self.items.push(item);
                }
                Err(error) if error.is_of_one_row() => self.after.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The page; `cursor` says where the next one begins after an item.
    pub fn page(
        mut self,
        cursor: impl FnOnce(&T) -> Result<String, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        if !self.has_more {
            self.damaged.append(&mut self.after);
        }
        let next = self.items.last().filter(|_| self.has_more).map(cursor).transpose()?;
        Ok(Page { items: self.items, next, damaged: self.damaged })
    }
}
