//! The credentials that this home issued and still remembers, by their ids as counters and events name them: whose they are,
//! and what they may do.

use serde_json::json;

use super::{Ctx, OpsError};
use crate::domain::{
    act::Act,
    api_key::ApiKey,
    clock::Timestamp,
    credential::{CredentialId, Kind},
    decision::Account,
    name::{PolicyName, ScopeName, Subject},
    text::visible,
    token::{Bound, IssuedToken, scopes_left},
};
use crate::store::{Rows, StoreError, api_key, credential, quota, token};

/// Removed in one transaction, each named in its record.
const PURGED_AT_ONCE: usize = 1000;

/// A credential as the store keeps it.
#[derive(Clone, Debug)]
pub enum Credential {
    ApiKey(ApiKey),
    Token(IssuedToken),
}

/// What a credential may do as things stand now, and whose quota it uses.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub policy: PolicyName,
    /// Whatever the policy leaves of them.
    pub scopes: Vec<ScopeName>,
    /// Limits that it carries itself.
    pub bound: Option<Bound>,
    pub account: Account,
}

/// The credential of this id; `None` where nothing is remembered of it, or what is is damaged.
pub fn show(ctx: &Ctx, id: &str) -> Result<Option<Credential>, OpsError> {
    Ok(StoreError::none_where_damaged(ctx.store.read(|c| find(c, id)))?)
}

/// The same, with an error where its row is damaged. Where ids of two kinds look alike, it is the first kind that has such a
/// credential.
pub(super) fn find(c: &Rows<'_>, id: &str) -> Result<Option<Credential>, StoreError> {
    for kind in Kind::ALL {
        if let Ok(id) = kind.parse(id)
            && let Some(found) = Credential::find(c, id)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Removes those of a kind whose rows are damaged, which no act can change and no gateway takes; returns how many. One record
/// for every thousand, which names them: what a damaged row says of itself cannot be believed, but that it was there is known.
/// A token that was signed and given away goes on as before: a revocation of it is a row of its own.
///
/// # Errors
/// Where `ctx` may not, or has no vault to tell what is damaged; where the store cannot be read or written.
pub fn purge_damaged(ctx: &Ctx, kind: Kind) -> Result<u64, OpsError> {
    let act = match kind {
        Kind::ApiKey => Act::KeyPurge,
        Kind::Token => Act::TokenPurge,
    };
    ctx.check(act, "", || Ok(()))?;
    let damaged = ctx.store.read(|c| credential::damaged(c, kind))?;
    ctx.perform_in_batches(act, &damaged, PURGED_AT_ONCE, move |deed, ids| {
        let mut removed = Vec::new();
        for id in ids {
            // It may have been put back since it was looked at.
            if credential::delete_damaged(deed.c, kind, &id)? {
                removed.push(visible(&id).into_owned());
            }
        }
        if !removed.is_empty() {
            deed.record("", json!({ "damaged": true, (kind.plural()): removed }))?;
        }
        Ok(removed.len() as u64)
    })
}

impl Credential {
    pub(super) fn find(c: &Rows<'_>, id: CredentialId) -> Result<Option<Self>, StoreError> {
        Ok(match id {
            CredentialId::ApiKey(id) => api_key::find(c, id)?.map(Self::ApiKey),
            CredentialId::Token(jti) => token::find(c, jti)?.map(Self::Token),
        })
    }

    pub fn id(&self) -> CredentialId {
        match self {
            Self::ApiKey(key) => CredentialId::ApiKey(key.id),
            Self::Token(token) => CredentialId::Token(token.jti),
        }
    }

    pub fn subject(&self) -> &Subject {
        match self {
            Self::ApiKey(key) => &key.subject,
            Self::Token(token) => &token.subject,
        }
    }

    /// What people call it: a key's label, a token's client; empty where it has none.
    pub fn name(&self) -> &str {
        match self {
            Self::ApiKey(key) => &key.name,
            Self::Token(token) => &token.client,
        }
    }

    /// When it ends by itself.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::ApiKey(key) => key.expires_at,
            Self::Token(token) => Some(token.expires_at),
        }
    }

    /// As gateways find it: a token that was got with a key is under the key's policy, has no scope that the key has not, and
    /// uses the key's quota. `None` where that key is gone.
    pub(super) fn reach(&self, c: &Rows<'_>) -> Result<Option<Reach>, StoreError> {
        let token = match self {
            Self::ApiKey(key) => {
                let (policy, scopes) = (key.policy.clone(), key.scopes.clone());
                return Ok(Some(Reach { policy, scopes, bound: None, account: Account::ApiKey(key.id) }));
            }
            Self::Token(token) => token,
        };
        let bound = token::bound(token)?;
        let (policy, account, under) = match &token.rests_on.key {
            None => {
                let account = quota::account_of_subject(&token.subject, &token.policy).into();
                (token.policy.clone(), Account::Tokens(account), None)
            }
            Some(ground) => {
                let Some(key) = api_key::find(c, ground.id)? else { return Ok(None) };
                (key.policy, Account::ApiKey(key.id), Some(key.scopes))
            }
        };
        let scopes = scopes_left(token.scopes.clone(), under.as_deref(), bound.as_ref());
        Ok(Some(Reach { policy, scopes, bound, account }))
    }
}

#[cfg(test)]
mod tests;
