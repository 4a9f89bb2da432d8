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
//! - [`console`] and [`cli`]: the two faces of `ops`.
//! - [`demo`]: an MCP server, a gateway and clients on a home that is thrown away.
//!
//! The words (credential, subject, scope, policy, endpoint, decision, reason, …) are
//! explained where they are defined, in [`domain`].
#![forbid(unsafe_code)]

pub mod cli;
pub mod console;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod gateway;
pub mod ops;
pub mod store;
pub mod vault;
