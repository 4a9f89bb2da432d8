//! Revocations of tokens: what is refused though it is well signed and not expired.

use serde::Serialize;

use super::clock::Timestamp;
use super::name::{IssuerName, Kid, Subject};
use super::token::TokenId;

/// What is refused. `issuer: None` is this home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// One token.
    Token { id: TokenId },
    /// Whatever speaks for the subject and was issued at or before `cut`, whoever issued it.
    Subject { subject: Subject, cut: Timestamp },
    /// All that a key of the issuer signed.
    Key { issuer: Option<IssuerName>, kid: Kid },
    /// Whatever the issuer issued before `moment`.
    IssuedBefore { issuer: Option<IssuerName>, moment: Timestamp },
}

/// A revocation as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revocation {
    #[serde(flatten)]
    pub target: Target,
    pub revoked_at: Timestamp,
    /// Why; empty where nobody said.
    pub reason: String,
    /// The first moment at which nothing that it refuses can be valid any more; `None` = it is kept for good.
    pub ends_at: Option<Timestamp>,
}

impl Target {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Subject { .. } => "subject",
            Self::Key { .. } => "key",
            Self::IssuedBefore { .. } => "issued_before",
        }
    }

    /// Whose tokens are meant, where it is not every issuer's or told by the token's id.
    pub const fn issuer(&self) -> Option<&IssuerName> {
        match self {
            Self::Key { issuer, .. } | Self::IssuedBefore { issuer, .. } => issuer.as_ref(),
            Self::Token { .. } | Self::Subject { .. } => None,
        }
    }

    /// What it is found by: the token's id, the subject, the kid.
    pub fn object(&self) -> String {
        match self {
            Self::Token { id } => id.to_string(),
            Self::Subject { subject, .. } => subject.to_string(),
            Self::Key { kid, .. } => kid.to_string(),
            Self::IssuedBefore { .. } => String::new(),
        }
    }

    /// The moment that parts what is refused from what is not.
    pub const fn cut(&self) -> Option<Timestamp> {
        match self {
            Self::Subject { cut: moment, .. } | Self::IssuedBefore { moment, .. } => Some(*moment),
            Self::Token { .. } | Self::Key { .. } => None,
        }
    }
}
