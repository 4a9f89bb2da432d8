//! Who calls: a credential that proved itself, and what comes with it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::domain::api_key::{KeyId, SecretDigest};
use crate::domain::clock::Timestamp;
use crate::domain::credential::CredentialId;
use crate::domain::endpoint::EndpointSet;
use crate::domain::identity::Identity;
use crate::domain::name::ScopeName;
use crate::domain::policy::{CompiledPolicy, Mode, RateLimits};
use crate::domain::token::{Bound, Possession, Verified};

/// Whose quota a call is charged to. Shown, it is the name of the account in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// Of one API key.
    ApiKey(KeyId),
    /// Of all tokens of a subject under a policy, by the name that the ledger has for it: whoever gets many tokens has no
    /// more than one would have.
    Tokens(Arc<str>),
    /// The same of an issuer's tokens. Its subjects are not known before they call, so the account is opened then.
    Foreign(Arc<str>),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey(id) => id.fmt(f),
            Self::Tokens(name) | Self::Foreign(name) => f.pad(name),
        }
    }
}

/// What proved a credential.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The digest of an API key's secret.
    Secret(SecretDigest),
    Token(TokenProof),
}

/// A token that was believed.
#[derive(Clone, Debug)]
pub struct TokenProof {
    pub verified: Arc<Verified>,
    /// SHA-256 of its text.
    pub digest: [u8; 32],
    /// The proof of possession that came with it.
    pub possession: Option<Possession>,
}

/// Who calls: a credential that proved itself, for whom it speaks, and what it may reach.
#[derive(Clone, Debug)]
pub struct Principal {
    pub credential: CredentialId,
    pub identity: Identity,
    /// Effective: the credential's scopes within the policy's ceiling
    /// ([`super::policy::Policy::effective_scopes`]).
    pub scopes: Arc<[ScopeName]>,
    /// The endpoints which those scopes cover.
    pub covered: Arc<EndpointSet>,
    pub policy: Arc<CompiledPolicy>,
    /// Limits that the credential carries itself; they hold beside the policy's.
    pub bound: Option<Bound>,
    /// What calls are charged to.
    pub account: Account,
    /// When the credential ends by itself.
    pub expires_at: Option<Timestamp>,
    /// What proved the credential, so that it can be judged again; `None` where nothing did, as
    /// in a test of a policy.
    pub proof: Option<Proof>,
}

impl Principal {
    /// Whether a proof of possession came with a token that itself may be used any number of times.
    pub fn is_proved_once(&self) -> bool {
        matches!(&self.proof, Some(Proof::Token(proof))
            if proof.possession.is_some() && proof.verified.claims.max_uses.is_none())
    }

    /// The rate limits that a call is charged under: of the policy and of the credential the lower ones. A policy in shadow
    /// mode leaves those of the credential alone, which it cannot widen.
    pub fn limits(&self) -> Cow<'_, RateLimits> {
        let live = &self.policy.policy;
        match &self.bound {
            None => Cow::Borrowed(&live.rate_limits),
            Some(bound) if live.mode == Mode::Shadow && bound.limits_rate() => {
                Cow::Borrowed(&bound.policy().policy.rate_limits)
            }
            Some(bound) => Cow::Owned(bound.narrow(&live.rate_limits)),
        }
    }
}
