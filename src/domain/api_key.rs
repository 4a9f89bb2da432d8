//! API keys: what the store keeps of one, and what may be said of it at a moment.
//!
//! The written form is in [`form`], the proof of the secret in [`proof`].

mod form;
mod proof;

pub use form::{BadKey, Environment, KeyId, KeySecret, MARK, PresentedKey};
pub use proof::{BadMark, Pepper, SecretDigest, SecretMark, proves};

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::decision::Reason;
use super::name::{PolicyName, ScopeName, Subject};

/// An API key as the store keeps it: everything but the secret.
#[derive(Clone, Debug, Serialize)]
pub struct ApiKey {
    pub id: KeyId,
    pub environment: Environment,
    /// A label for people; empty where none was given.
    pub name: String,
    pub subject: Subject,
    pub scopes: Vec<ScopeName>,
    pub policy: PolicyName,
    pub created_at: Timestamp,
    /// The first moment at which the key is no longer valid; `None` = never expires.
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
    pub revoked_at: Option<Timestamp>,
    /// Why it was revoked; empty where it was not.
    pub revoked_reason: String,
    pub rotated_at: Option<Timestamp>,
    /// The first moment at which the secret before the last rotation is no longer taken.
    pub previous_until: Option<Timestamp>,
    #[serde(skip)]
    pub digest: SecretDigest,
    #[serde(skip)]
    pub previous_digest: Option<SecretDigest>,
}

/// What of a key can be changed while it lives. What it is (its id, secret and subject) stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTerms {
    pub policy: PolicyName,
    pub scopes: Vec<ScopeName>,
    pub name: String,
    pub expires_at: Option<Timestamp>,
}

/// What may be said of an API key at one moment. Revoked beats expired beats disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Active,
    Disabled,
    Expired,
    Revoked,
}

impl KeyState {
    pub const ALL: [Self; 4] = [Self::Active, Self::Disabled, Self::Expired, Self::Revoked];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Why a key in this state is not taken, nor what rests on it.
    pub const fn refusal(self) -> Option<Reason> {
        match self {
            Self::Active => None,
            Self::Disabled => Some(Reason::Disabled),
            Self::Expired => Some(Reason::Expired),
            Self::Revoked => Some(Reason::Revoked),
        }
    }

    /// The state at `now` of a key with these marks. A revocation holds whatever its time: the
    /// clock of the process that made it may run ahead of this one's.
    pub fn at(now: Timestamp, revoked: bool, expires_at: Option<Timestamp>, disabled: bool) -> Self {
        if revoked {
            return Self::Revoked;
        }
        if expires_at.is_some_and(|end| now >= end) {
            return Self::Expired;
        }
        if disabled { Self::Disabled } else { Self::Active }
    }
}

impl ApiKey {
    pub fn state(&self, now: Timestamp) -> KeyState {
        KeyState::at(now, self.revoked_at.is_some(), self.expires_at, self.disabled)
    }

    /// The state at a moment that has passed, as far as is known: a revocation that came later does not count. When it was
    /// disabled is not remembered, so that one which is counts as disabled.
    pub fn state_then(&self, then: Timestamp) -> KeyState {
        let was_revoked = self.revoked_at.is_some_and(|revoked| revoked <= then);
        KeyState::at(then, was_revoked, self.expires_at, self.disabled)
    }

    /// What people know it by: its label, else the beginning of its id.
    pub fn called(&self) -> &str {
        if self.name.is_empty() { self.id.short() } else { &self.name }
    }

    pub fn terms(&self) -> KeyTerms {
        KeyTerms {
            policy: self.policy.clone(),
            scopes: self.scopes.clone(),
            name: self.name.clone(),
            expires_at: self.expires_at,
        }
    }

    /// Whether the secret with this mark would be taken at `now`. Says nothing of the key's state.
    pub fn has_secret(&self, mark: SecretMark, now: Timestamp) -> bool {
        let before = self.previous_digest.filter(|_| self.previous_until.is_some_and(|until| now < until));
        self.digest.mark() == mark || before.is_some_and(|digest| digest.mark() == mark)
    }

    /// Whether a secret with the digest `presented` proves this key at `now`: the current one, or
    /// during the grace of a rotation the one before. Says nothing of the key's state.
    pub fn accepts(&self, presented: &SecretDigest, now: Timestamp) -> bool {
        proves(presented, &self.digest, self.previous_digest.as_ref().zip(self.previous_until), now)
    }
}

#[cfg(test)]
mod tests;
