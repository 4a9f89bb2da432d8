//! What a list is of: the one table of its fields, by which it is filtered and sorted.

use std::str::FromStr;

use crate::{
    domain::{clock::Timestamp, filter::Filter, text::visible},
    store::{Rows, StoreError, table::Noun},
};

/// What a list can be filtered by, and sorted where it is indexed.
pub struct Field {
    /// As filters and orders call it.
    pub name: &'static str,
    pub column: &'static str,
    pub holds: Holds,
    /// Whether an index begins with the column, and goes on with the id where the list is sorted by it.
    pub is_indexed: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Text,
    /// A JSON array of texts.
    Texts,
    /// A JSON array of names of scopes.
    Scopes,
    Moment,
    /// A moment, or nothing: never, which comes after every moment.
    MomentOrNever,
}

impl Field {
    pub const fn new(name: &'static str, column: &'static str, holds: Holds) -> Self {
        Self { name, column, holds, is_indexed: false }
    }

    pub const fn indexed(name: &'static str, column: &'static str, holds: Holds) -> Self {
        Self { name, column, holds, is_indexed: true }
    }
}

/// How a list is sorted, and by that, which list it is.
pub trait Listed: Copy + 'static {
    type Noun: Noun;
    type Id: FromStr;
    /// What is listed of each.
    type Item;

    const FIELDS: &'static [Field];
    /// The state of a row as a word, in SQL, as of the moment that is bound to each of its placeholders.
    const STATE: &'static str;

    /// The field by which it is sorted.
    fn as_str(self) -> &'static str;

    fn item(c: &Rows<'_>, noun: Self::Noun, now: Timestamp) -> Result<Self::Item, StoreError>;
}

/// Which of a list, in which order. Ties are broken by id; what never comes to its moment sorts last by that, and first where
/// the order is descending.
#[derive(Clone, Debug)]
pub struct Query<S> {
    pub filter: Filter,
    pub sort: S,
    pub descending: bool,
    pub now: Timestamp,
}

/// The field of this name of a list.
pub(super) fn field<S: Listed>(name: &str) -> Result<&'static Field, StoreError> {
    let found = S::FIELDS.iter().find(|field| field.name == name);
    found.ok_or_else(|| StoreError::Filter(visible(name).into_owned()))
}
