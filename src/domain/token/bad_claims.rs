//! What is wrong with a claim.

use crate::domain::text::excerpt;

/// A claim that is missing, of another type, or of a value that cannot be. Safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{claim}` {problem}")]
pub struct BadClaims {
    pub claim: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl BadClaims {
    pub(super) fn new(claim: &str, problem: impl Into<String>) -> Self {
        Self { claim: excerpt(claim), problem: problem.into() }
    }
}
