//! Journeys through the real binary: what a person or a script sees of `portcullis`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that finds what it did not expect has failed"
)]

mod audit_key;
mod backup;
mod bulk;
mod clock;
mod demo;
mod handed_out;
mod home;
mod issued;
mod issuer;
mod issuer_cases;
mod issuer_presets;
mod issuer_set;
mod key;
mod left_over;
mod lost_output;
mod policy;
mod readme;
mod records;
mod serve;
mod serve_tokens;
mod signing_key;
mod store;
mod support;
mod surface;
mod tampering;
mod terminal;
mod token;
mod token_peers;
mod told;
