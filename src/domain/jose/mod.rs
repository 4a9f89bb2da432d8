//! JOSE, as far as tokens need it: JWS in compact form (RFC 7515), keys as JWK and PEM (RFC 7517, 7518, 8037).
//!
//! Pure. What a signature is checked with is always a [`VerifyingKey`], to which one algorithm is pinned: nothing that
//! stands in a token chooses an algorithm or a key (RFC 8725 §3.1, §3.5). There is no `none`, no encryption, and nothing
//! is ever fetched.

mod algorithm;
pub mod base64;
mod compact;
mod fault;
mod jwk;
mod key;
mod key_set;
mod weak;

pub use algorithm::{Algorithm, BadAlgorithm};
pub use compact::{Compact, Header, USUAL, join, signing_input};
pub use fault::{Fault, LONGEST, Part};
pub use jwk::PrivatePart;
pub use key::VerifyingKey;
pub use key_set::KeySet;

#[cfg(test)]
mod tests;
