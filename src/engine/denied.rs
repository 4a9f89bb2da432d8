//! Why a credential is not taken.

use crate::domain::{
    credential::CredentialId,
    decision::Reason,
    identity::Identity,
    token::{Failed, Verified},
};
use std::fmt;

/// Why a credential is not taken, and whose it is where that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub reason: Reason,
    pub credential: Option<CredentialId>,
    pub identity: Option<Identity>,
    /// Whether the token would do, and the proof of possession beside it does not.
    pub is_of_proof: bool,
    /// Which check failed, and what it compared with what: for the event, never for the client.
    pub why: Option<String>,
}

impl Denied {
    pub(super) fn of(verified: &Verified, reason: Reason) -> Self {
        let credential = Some(CredentialId::Token(verified.claims.id));
        Self { reason, credential, identity: Some(verified.identity()), is_of_proof: false, why: None }
    }

    /// Of a token that is believed, and fails one more check.
    pub(super) fn failed(verified: &Verified, failed: &Failed) -> Self {
        Self { why: Some(failed.why()), ..Self::of(verified, failed.reason) }
    }

    /// The same, of the proof beside it.
    pub(super) fn of_proof(verified: &Verified, failed: &Failed) -> Self {
        Self { is_of_proof: true, ..Self::failed(verified, failed) }
    }

    /// Of nobody who is known.
    pub(super) fn because(reason: Reason, why: impl fmt::Display) -> Self {
        Self { why: Some(why.to_string()), ..reason.into() }
    }
}

impl From<Reason> for Denied {
    fn from(reason: Reason) -> Self {
        Self { reason, credential: None, identity: None, is_of_proof: false, why: None }
    }
}
