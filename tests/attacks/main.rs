//! Attacks on the real binary: `portcullis serve` between an attacker and an MCP server that counts what reaches it. Each
//! attack comes with its near miss, the honest thing nearest to it, which passes.
//!
//! | what is attacked | here |
//! |---|---|
//! | limits, and what may be used once | [`quota`] |

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

mod quota;
mod support;
mod upstream;
