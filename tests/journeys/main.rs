//! What a person or a peer sees of the real binary: journeys through a pseudo-terminal, and real MCP clients and servers.
//!
//! Nothing here sleeps or measures time. A wait names what it waits for and fails, with what was seen instead, after
//! [`support::PATIENCE`].

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

mod clients;
mod console;
mod day_after;
mod demo;
mod oauth;
mod peers;
mod support;
mod tokens;
mod wire;
