//! Pages of lists, in which a damaged row is named and hides no other.

use super::StoreError;
use rusqlite::Row;

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
