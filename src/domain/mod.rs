//! The nouns of Portcullis and their rules.
//!
//! Pure: no tokio, no SQL, no HTTP, no terminal. Time, randomness and addresses come in as
//! arguments. One noun a file; the same noun has the same file name in every room.

pub mod act;
pub mod api_key;
pub mod audit;
pub mod clock;
pub mod credential;
pub mod decision;
pub mod endpoint;
pub mod event;
pub mod filter;
pub mod identity;
pub mod issuer;
pub mod jose;
pub mod json;
pub mod leak;
pub mod name;
pub mod pace;
pub mod policy;
pub mod quota;
pub mod revocation;
pub mod scope;
pub mod secret;
pub mod signing_key;
pub mod stop;
pub mod text;
pub mod token;
pub mod usage;
