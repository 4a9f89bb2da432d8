//! The gateway under pressure: a real `portcullis serve` under TLS, clients that are slow on purpose, and one source
//! that wants every connection, while honest clients go on asking.
//!
//! | promise | here |
//! |---|---|
//! | slow clients are let go, and cost honest ones nothing but time | [`slow`] |
//! | a source has so many connections and no more; a freed place can be used again | [`sources`] |
//! | under load no event of a stream is lost, doubled or out of order; who leaves ends the upstream's work | [`streams`] |
//!
//! What was measured goes to standard error (`--nocapture`); only what is promised is asserted.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

#[path = "../under_fire/support.rs"]
#[expect(dead_code, reason = "shared with the proofs under fire, which also make policies and runtimes")]
mod support;

mod place;
mod slow;
mod sources;
mod streams;
mod upstream;
