//! The promises under fire: several `portcullis serve` processes on one home, callers that ask for more than they may
//! have, and processes that are killed at any moment. What counts is what reaches the upstream, which stands in this
//! process and writes down every request; the gateways' own counters are believed only where they agree with it.
//!
//! | promise | here |
//! |---|---|
//! | a limit of L admits L: not one more, and not one fewer while nothing dies | [`limits`] |
//! | a killed gateway costs at most the lease it held; one that is stopped in order costs nothing | [`kills`] |
//! | what was acknowledged survives a kill at any moment, with its one audit record | [`durability`] |
//! | what begins after a revocation was acknowledged is refused, and open streams end | [`revocation`] |
//! | damage to the database lets nobody in | [`damage`] |
//! | the counters say what the upstream and the callers saw | [`limits`] |
//!
//! `PORTCULLIS_FIRE=long` does all of it longer: limits up to 10 000, 2 000 kills, 1 000 revocations, and minutes of
//! sliding windows (about an hour). What was measured goes to standard error (`--nocapture`); only what is promised is
//! asserted. `PORTCULLIS_FIRE_SEED` (a number) chooses other moments and other acts.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

mod caller;
mod damage;
mod durability;
mod fleet;
mod kills;
mod limits;
mod revocation;
mod support;
mod upstream;
