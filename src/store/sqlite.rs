//! What is SQLite's own. Nothing outside of this folder names `rusqlite`: another database would be a folder beside it.

pub mod ballast;
pub(super) mod connection;
pub(super) mod copy;
mod error;
pub(super) mod file;
pub(super) mod migrate;
pub mod patience;
mod probe;
mod rows;
pub(super) mod writer;

pub use probe::Probe;
pub(super) use rows::bound;
pub use rows::{BadColumn, Column, Row, Rows, Values};
