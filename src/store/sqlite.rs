//! What is SQLite's own. Nothing outside of this folder names `rusqlite`: another database would be a folder beside it.

mod rows;

pub(super) use rows::bound;
pub use rows::{Column, Row, Rows, Values};
