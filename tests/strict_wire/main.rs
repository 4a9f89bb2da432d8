//! A strict wire: the real `portcullis serve`, clients that write raw bytes, and an upstream in this process that reads
//! raw bytes with a parser of its own ([`strict`]), which knows one spelling of HTTP and takes every other for a fault.
//! What the gateway sends is judged as it arrives, not as a lenient library reads it.
//!
//! | promise | here |
//! |---|---|
//! | what could be framed in two ways is refused, or arrives as the one request that was judged | [`smuggling`] |
//! | behind nginx and HAProxy, gateway and proxy find the same requests in the same bytes | [`behind`] |
//! | a part of an answer does not pass for the whole at nginx, which asks as of HTTP/1.0 | [`behind`] |
//! | so is whatever chance makes of good requests, and the gateway goes on serving | [`mutations`] |
//! | who asks, from where and for what, the upstream hears from the gateway alone, in HTTP/1 and HTTP/2 | [`identity`] |
//! | of an MCP message the body decides, and one that two parsers could read differently is refused | [`messages`] |
//! | what is one byte too large is refused, what is as large as may be is taken, and neither stays in memory | [`limits`] |
//! | what floods an HTTP/2 connection ends it, costs honest clients nothing and leaves nothing in memory | [`floods`] |
//! | pages and names of strangers are refused; nobody but the upstream is asked, and no redirect followed | [`outside`] |
//!
//! `PORTCULLIS_FIRE=long` makes ten times as many mutations; `PORTCULLIS_FIRE_SEED` (a number) makes others.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

#[path = "../under_fire/support.rs"]
#[expect(dead_code, reason = "shared with the proofs under fire, which also make policies and runtimes")]
mod support;

#[path = "../forward_auth/program.rs"]
#[expect(dead_code, reason = "shared with the proofs of forward-auth, which also ask Caddy")]
mod program;

mod behind;
mod floods;
mod frames;
mod identity;
mod judge;
mod limits;
mod messages;
mod mutations;
mod outside;
mod place;
mod recorder;
mod smuggling;
mod strict;
mod telling;
mod wire;
