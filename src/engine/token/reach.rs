//! What a token may reach: by its issuer, by what it rests on, and by what it carries itself.

use std::sync::Arc;

use crate::domain::{
    credential::CredentialId,
    decision::{Account, Principal, Proof, TokenProof},
    issuer::Issuer,
    name::{PolicyName, ScopeName},
    scope::Catalogue,
    token::{self, KeyGround, Possession, Verified},
};
use crate::engine::access::{self, AccessSlot, Accesses};
use crate::store::{Rows, StoreError, api_key, quota};

/// What a token may reach, and whose quota it uses.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Reach {
    pub(in crate::engine) slot: Arc<AccessSlot>,
    pub(in crate::engine) account: Account,
    /// What the key that it rests on may reach; `None` where it rests on none.
    pub(in crate::engine) under: Option<Arc<AccessSlot>>,
}

impl Reach {
    /// `None` where its policy is not known.
    pub(in crate::engine) fn of(
        access: &Accesses,
        verified: &Verified,
        issuer: Option<&Issuer>,
        under: Option<Arc<AccessSlot>>,
    ) -> Option<Self> {
        let (policy, scopes, account) = terms(verified, issuer, under.as_deref(), &access.catalogue())?;
        Some(Self { slot: access.slot(&policy, &scopes)?, account, under })
    }

    /// For a single look: by the policy and the catalogue as they are read for it.
    pub(in crate::engine) fn read(
        c: &Rows<'_>,
        verified: &Verified,
        issuer: Option<&Issuer>,
    ) -> Result<Option<Self>, StoreError> {
        let (access, catalogue) = (Accesses::default(), access::catalogue(c)?);
        access.set_catalogue(Arc::clone(&catalogue));
        let under = match verified.claims.grounds.key {
            None => None,
            Some(KeyGround { id, .. }) => {
                let Some(key) = api_key::find(c, id)? else { return Ok(None) };
                Some(access.policies().slot_of(c, &catalogue, &key)?)
            }
        };
        let terms = terms(verified, issuer, under.as_deref(), &catalogue);
        let Some((policy, ..)) = terms else { return Ok(None) };
        let is_there = access.read_policy(c, &policy)?;
        Ok(if is_there { Self::of(&access, verified, issuer, under) } else { None })
    }

    /// Whom it makes of a token. `None` where the policy is missing or cannot be compiled.
    pub(in crate::engine) fn principal(
        &self,
        verified: &Arc<Verified>,
        digest: [u8; 32],
        possession: Option<Possession>,
    ) -> Option<Principal> {
        let access = self.slot.load();
        let access = access.as_ref()?;
        let claims = &verified.claims;
        Some(Principal {
            credential: CredentialId::Token(claims.id),
            identity: verified.identity(),
            scopes: Arc::clone(&access.scopes),
            covered: Arc::clone(&access.covered),
            policy: Arc::clone(&access.policy),
            bound: claims.bound.clone(),
            account: self.account.clone(),
            expires_at: Some(claims.expires_at),
            proof: Some(Proof::Token(TokenProof { verified: Arc::clone(verified), digest, possession })),
        })
    }
}

/// The policy that a token is under, the scopes that it has by what it carries itself and rests on, and whose quota it
/// uses. `None` where its issuer is not known.
fn terms(
    verified: &Verified,
    issuer: Option<&Issuer>,
    under: Option<&AccessSlot>,
    catalogue: &Catalogue,
) -> Option<(PolicyName, Vec<ScopeName>, Account)> {
    let claims = &verified.claims;
    let subject = &claims.subject;
    let (policy, scopes, account) = match (&verified.issuer, issuer) {
        // Under what the key is under, at the same cost.
        (None, _) if under.is_some() => {
            let (key, under) = claims.grounds.key.zip(under)?;
            (under.policy.clone(), claims.scope_names(), Account::ApiKey(key.id))
        }
        (None, _) => {
            let policy = claims.policy.clone().unwrap_or_default();
            let account = Account::Tokens(quota::account_of_subject(subject, &policy).into());
            (policy, claims.scope_names(), account)
        }
        (Some(name), Some(issuer)) => {
            let policy = issuer.policy.clone();
            let account = quota::account_of_foreign_subject(name, subject, &policy);
            let scopes = issuer.mapping.scopes_here(&claims.scopes, |scope| catalogue.is_reserved(scope));
            (policy, scopes, Account::Foreign(account.into()))
        }
        (Some(_), None) => return None,
    };
    let scopes = token::scopes_left(scopes, under.map(|under| &*under.scopes), claims.bound.as_ref());
    Some((policy, scopes, account))
}
