//! Portcullis: a terminal security console for MCP servers.
//!
//! The house, room by room. A room imports only rooms to its left:
//!
//! ```text
//! domain  <-  vault  <-  store  <-  ops, engine  <-  gateway, console  <-  demo  <-  cli
//! ```
//!
//! - [`domain`]: the nouns and their rules. Pure: no tokio, no SQL, no HTTP, no terminal.
//! - [`vault`]: the master key, and everything sealed under it.
//! - [`store`]: SQLite, one file a noun, and the change feed.
//! - [`ops`]: every act of an operator, each with its audit record. The only writer of objects.
//! - [`engine`]: the hot path: snapshot, authenticate, decide, meter, lock out.
//! - [`gateway`]: listeners, the proxy, both eras of MCP, metrics.
//! - [`console`]: the face for people: a terminal, one screen a file.
#![forbid(unsafe_code)]

pub mod console;
pub mod domain;
pub mod engine;
pub mod gateway;
pub mod ops;
pub mod store;
pub mod vault;
