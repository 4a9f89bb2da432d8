//! Pages of lists, in which a damaged row is named and hides no other.

use super::{StoreError, sqlite::Row, value::ValueRef};
use crate::domain::text::excerpt;

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
    let id = match row.value(0) {
        ValueRef::Text(bytes) => excerpt(&String::from_utf8_lossy(bytes)),
        _ => "?".into(),
    };
    // What it rests on may be what is damaged.
    let why = if found == id { why } else { format!("`{found}` of {table}: {why}") };
    Ok(Err(Damaged { id, why }))
}

/// Gathers the items of a page from one row after another, and remembers where the last one stands.
pub(super) struct Gathering<T, P> {
    limit: usize,
    items: Vec<T>,
    last: Option<P>,
    damaged: Vec<StoreError>,
    /// Damaged rows after the last item: they belong to the page after it, where there is one.
    after: Vec<StoreError>,
    has_more: bool,
}

impl<T, P> Gathering<T, P> {
    pub fn new(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, items: Vec::new(), last: None, damaged: Vec::new(), after: Vec::new(), has_more: false }
    }

    /// How many rows are still to be had: those that the page lacks, and one that shows that there is more. None where the
    /// page is full, and it is known that there is.
    pub fn wanted(&self) -> u64 {
        if self.has_more { 0 } else { (self.limit - self.items.len()) as u64 + 1 }
    }

    /// Takes the next row, which stands at `place`.
    pub fn take(&mut self, read: Result<T, StoreError>, place: impl FnOnce() -> P) -> Result<(), StoreError> {
        match read {
            Ok(_) if self.items.len() == self.limit => self.has_more = true,
            Ok(item) => {
                self.damaged.append(&mut self.after);
                self.items.push(item);
                self.last = Some(place());
            }
            Err(error) if error.is_of_one_row() => self.after.push(error),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The page; `cursor` says where the next one begins after an item.
    pub fn page(
        mut self,
        cursor: impl FnOnce(P) -> Result<String, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        if !self.has_more {
            self.damaged.append(&mut self.after);
        }
        let next = self.last.filter(|_| self.has_more).map(cursor).transpose()?;
        Ok(Page { items: self.items, next, damaged: self.damaged })
    }
}
