//! What is SQLite's own. Nothing outside of this folder names `rusqlite`: another database would be a folder beside it.

pub mod backup;
pub mod ballast;
pub(super) mod connection;
mod error;
pub(super) mod file;
pub(super) mod migrate;
pub mod patience;
mod probe;
mod rows;
pub mod upgrade;
pub(super) mod writer;

pub use probe::Probe;
pub use rows::{BadColumn, Column, Row, Rows, Values};
pub(super) use rows::bound;
