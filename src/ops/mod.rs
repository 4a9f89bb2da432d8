//! Every act of an operator: check the role, do it, write its audit record, all in one transaction.
//!
//! Both faces, and nothing else, call these. An act that is refused changes nothing; where an
//! operator attempted it, the attempt itself becomes a `refused` record.

pub mod api_key;
pub mod audit;
pub mod backup;
#[cfg(test)]
pub mod bench;
mod context;
pub mod credential;
pub mod event;
pub mod gateway;
pub mod identity;
pub mod issuer;
pub mod policy;
pub mod rows;
pub mod scope;
pub mod signing_key;
pub mod store;
pub mod token;
pub mod usage;

use std::{collections::HashSet, hash::Hash};

pub use context::{Ctx, Role};

use crate::{
    domain::{
        act::Act,
        leak::{self, Sought},
        pace::Cancelled,
    },
    store::{StoreError, backup::BackupError},
};

/// Why an act was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    #[error("{act} is refused: this {what} is read-only; open it as an operator")]
    ReadOnly { act: Act, what: &'static str },
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    /// What was given is wrong: what, why, and what would be right.
    #[error("{0}")]
    Invalid(String),
    /// What holds all the same.
    #[error("cancelled: {0}")]
    Cancelled(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
}

impl From<Cancelled> for OpsError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled("nothing was done")
    }
}

impl From<BackupError> for OpsError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => Self::Store(error),
            BackupError::Cancelled(cancelled) => cancelled.into(),
            BackupError::NotOurs(_) | BackupError::Sealed(_) | BackupError::Damaged(_) => {
                Self::Invalid(error.to_string())
            }
            BackupError::NoRoom | BackupError::File(_) => Self::Store(StoreError::Home(error.to_string())),
        }
    }
}

fn no_randomness(error: getrandom::Error) -> OpsError {
    OpsError::Store(StoreError::Home(format!(
        "the operating system gave no random bytes ({error}); try again"
    )))
}

/// The longest reason that can be given for an act, in characters.
pub const LONGEST_REASON: usize = 200;

/// A reason as it is recorded: without space at its ends, and no longer than [`LONGEST_REASON`].
fn reason(text: &str) -> Result<String, OpsError> {
    let text = text.trim();
    let found = text.chars().count();
    if found > LONGEST_REASON {
        return Err(OpsError::Invalid(format!(
            "a reason has at most {LONGEST_REASON} characters; this one has {found}"
        )));
    }
    refuse_credential("a reason", text)?;
    Ok(text.to_owned())
}

/// Refuses a text that holds a whole key or token: it would be stored, and shown wherever lists are.
fn refuse_credential(what: &str, text: &str) -> Result<(), OpsError> {
    if leak::holds(text, Sought::All) {
        return Err(OpsError::Invalid(format!(
            "{what} cannot hold a whole API key or token, which would be stored and shown: leave it out; if others may have seen \
             it, rotate the key or revoke the token"
        )));
    }
    Ok(())
}

/// Each of them once, where it stands first.
pub fn without_repeats<T: Clone + Eq + Hash>(items: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).collect()
}
