//! One key in memory: what proves it, how it stands, and what it may reach.

use super::access::AccessSlot;
use crate::domain::{
    api_key::{ApiKey, Environment, KeyId, KeyState, SecretDigest, SecretMark},
    clock::Timestamp,
    credential::CredentialId,
    decision::{Account, Principal, Proof, Reason},
    identity::Identity,
    name::Subject,
};
use std::sync::Arc;

/// The secret before the last rotation.
#[derive(Clone, Debug)]
struct Previous {
    digest: SecretDigest,
    until: Timestamp,
}

/// One key: what judging it needs and no more, since there may be a million.
#[derive(Clone, Debug)]
pub(super) struct KeyEntry {
    digest: SecretDigest,
    pub(super) environment: Environment,
    disabled: bool,
    revoked: bool,
    pub(super) expires_at: Option<Timestamp>,
    previous: Option<Box<Previous>>,
    pub(super) subject: Subject,
    slot: Arc<AccessSlot>,
}

impl KeyEntry {
    pub(super) fn new(key: ApiKey, slot: Arc<AccessSlot>) -> Self {
        let previous = match (key.previous_digest, key.previous_until) {
            (Some(digest), Some(until)) => Some(Box::new(Previous { digest, until })),
            _ => None,
        };
        Self {
            digest: key.digest,
            environment: key.environment,
            disabled: key.disabled,
            revoked: key.revoked_at.is_some(),
            expires_at: key.expires_at,
            previous,
            subject: key.subject,
            slot,
        }
    }

    /// Revoked beats expired beats disabled, as in [`ApiKey::state`].
    #[inline]
    pub(super) fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked {
            return KeyState::Revoked;
        }
        if self.expires_at.is_some_and(|expires| expires <= now) {
            return KeyState::Expired;
        }
        if self.disabled { KeyState::Disabled } else { KeyState::Active }
    }

    /// Whether `presented` is the secret of this key at `now`. Compares with both digests whatever the first comparison
    /// said; where there is no previous one, with the current one again.
    #[inline]
    pub(super) fn is_proved_by(&self, presented: &SecretDigest, now: Timestamp) -> bool {
        let (previous, until) = match &self.previous {
            Some(previous) => (&previous.digest, previous.until),
            None => (&self.digest, Timestamp::from_millis(i64::MIN)),
        };
        let is_current = self.digest.matches(presented);
        let is_previous = previous.matches(presented);
        is_current | (is_previous & (now < until))
    }

    /// Until when a secret was taken that is not any more, where it is the one from before the last rotation.
    pub(super) fn previous_ended(&self, presented: &SecretDigest) -> Option<Timestamp> {
        let previous = self.previous.as_ref().filter(|previous| previous.digest.matches(presented));
        previous.map(|previous| previous.until)
    }

    /// What the key may reach, for a token that was got with the secret of this mark; while the key stands, and that secret
    /// of it.
    pub(super) fn upholds(&self, secret: SecretMark, now: Timestamp) -> Result<Arc<AccessSlot>, Reason> {
        let previous = self.previous.as_ref().filter(|previous| now < previous.until);
        if self.digest.mark() != secret && previous.is_none_or(|previous| previous.digest.mark() != secret) {
            return Err(Reason::Revoked);
        }
        self.state(now).refusal().map_or_else(|| Ok(Arc::clone(&self.slot)), Err)
    }

    /// Looks at the far end of what [`Self::principal`] will need, so that it is on its way from memory.
    pub(super) fn touch(&self) -> usize {
        self.subject.as_str().as_bytes().first().map_or(0, |&byte| byte.into())
    }

    /// `None` where the key's policy is missing or cannot be compiled.
    #[inline]
    pub(super) fn principal(&self, id: KeyId, proof: &SecretDigest) -> Option<Principal> {
        let access = self.slot.load();
        let access = access.as_ref()?;
        Some(Principal {
            credential: CredentialId::ApiKey(id),
            identity: Identity::own(self.subject.clone()),
            scopes: Arc::clone(&access.scopes),
            covered: Arc::clone(&access.covered),
            policy: Arc::clone(&access.policy),
            bound: None,
            account: Account::ApiKey(id),
            expires_at: self.expires_at,
            proof: Some(Proof::Secret(*proof)),
        })
    }
}
