//! Judges a token: its signature, its claims, what was taken back, and what it may reach.
//!
//! A signature that was verified once is remembered; everything else is judged on every call. Failures do not lock anybody
//! out: an API key's secret could be guessed where nothing hindered it, a signature cannot be, and a forged token names
//! whom it likes, so that strangers could lock out others.

mod cache;
mod memory;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    Denied, Engine,
    snapshot::{AccessSlot, Snapshot},
};
use crate::domain::{
    clock::Timestamp,
    decision::{Account, CredentialId, Principal, Proof, Reason, TokenProof},
    identity::Identity,
    issuer::Issuer,
    name::{PolicyName, ScopeName},
    scope::Catalogue,
    secret::Secret,
    token::{self, Failed, KeyGround, Possession, Refused, Verified, require_possession},
};
use crate::store::quota;

pub(super) use memory::{Known, Tokens};

/// A token as a call came with it.
#[derive(Clone, Debug)]
pub struct PresentedToken {
    pub text: Secret,
    /// The proof of possession beside it, if there was one; it fits the request.
    pub possession: Option<Possession>,
}

/// A token whose signature was verified, and where what it may reach is found.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) verified: Arc<Verified>,
    reach: Reach,
    /// As of when its reach was found ([`Tokens::generation`]).
    generation: u64,
}

/// What a token may reach, and whose quota it uses.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) slot: Arc<AccessSlot>,
    pub(super) account: Account,
    /// What the key that it rests on may reach; `None` where it rests on none.
    pub(super) under: Option<Arc<AccessSlot>>,
}

impl Entry {
    /// Whether its reach is still what would be found. A key may have been put under another policy, or given other scopes.
    fn is_current(&self, generation: u64, under: Option<&Arc<AccessSlot>>) -> bool {
        let is_same = match (&self.reach.under, under) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        is_same && self.generation == generation
    }

    /// `None` where its policy is missing or cannot be compiled.
    pub(super) fn scopes(&self) -> Option<Arc<[ScopeName]>> {
        self.reach.slot.load().as_ref().map(|access| Arc::clone(&access.scopes))
    }
}

impl Engine {
    pub(super) fn authenticate_token(
        &self,
        presented: &PresentedToken,
        now: Timestamp,
    ) -> Result<Principal, Denied> {
        let text = presented.text.expose();
        let digest: [u8; 32] = Sha256::digest(text).into();
        let entry = self.believe(text, digest, now)?;
        let possession = presented.possession.as_ref();
        require_possession(&entry.verified.claims, possession)
            .map_err(|failed| Denied::failed(&entry.verified, &failed))?;
        principal(&entry.verified, &entry.reach, digest, possession.cloned())
            .ok_or_else(|| Denied::of(&entry.verified, Reason::Unavailable))
    }

    /// Judges a token, and then the proof of possession beside it: `prove` looks at that for the key to which the token is
    /// bound. It is not asked where the token is not believed, or is bound to none.
    pub fn authenticate_bound(
        &self,
        presented: &PresentedToken,
        now: Timestamp,
        prove: impl FnOnce(&[u8; 32]) -> Result<Possession, Failed>,
    ) -> Result<Principal, Denied> {
        let text = presented.text.expose();
        // The proof has a moment of its own; what has an end is judged as everywhere.
        let now = self.judge_by(now);
        let entry = self.believe(text, Sha256::digest(text).into(), now)?;
        let confirmation = entry.verified.claims.confirmation;
        let bound_to = confirmation.and_then(|confirmation| confirmation.jkt);
        let unbound = || Failed::of("possession", Reason::BadSignature, token::UNBOUND);
        let bound_to = bound_to.ok_or_else(|| Denied::failed(&entry.verified, &unbound()))?;
        let possession = prove(&bound_to).map_err(|failed| Denied::of_proof(&entry.verified, &failed))?;
        let text = presented.text.clone();
        self.authenticate_token(&PresentedToken { text, possession: Some(possession) }, now)
    }

    pub(super) fn believe(&self, text: &str, digest: [u8; 32], now: Timestamp) -> Result<Arc<Entry>, Denied> {
        let tokens = self.snapshot.tokens();
        let generation = tokens.generation();
        let beliefs = tokens.beliefs();
        let Some(known) = beliefs.as_ref() else { return Err(Reason::Unavailable.into()) };
        let (verified, entry) = self.verified(text, &digest, known, now)?;
        let under = self.upheld(&verified, now).map_err(|failed| Denied::failed(&verified, &failed))?;
        if let Some(entry) = entry.filter(|entry| entry.is_current(generation, under.as_ref())) {
            return Ok(entry);
        }
        let reach = self.reach(&verified, known, under);
        let reach = reach.ok_or_else(|| Denied::of(&verified, Reason::Unavailable))?;
        let entry = Arc::new(Entry { verified, reach, generation });
        tokens.verified.keep(digest, Arc::clone(&entry), now);
        Ok(entry)
    }

    /// A token that is to be believed, with what is remembered of it. The revocations are let go of before this returns:
    /// who applies changes waits for them while he holds what [`Snapshot::slot`] waits for.
    fn verified(
        &self,
        text: &str,
        digest: &[u8; 32],
        known: &Known,
        now: Timestamp,
    ) -> Result<(Arc<Verified>, Option<Arc<Entry>>), Denied> {
        let tokens = self.snapshot.tokens();
        let revocations = tokens.revocations();
        let Some(revocations) = revocations.as_ref() else { return Err(Reason::Unavailable.into()) };
        let (trust, expected) = (&known.beliefs.trust, known.expected(now));
        if let Some(entry) = tokens.verified.find(digest) {
            match entry.verified.still_holds(trust, revocations, &expected) {
                Ok(()) => return Ok((Arc::clone(&entry.verified), Some(entry))),
                // Its issuer or its key is not what it was: only the token itself can tell what that means.
                Err(Failed {
                    reason: Reason::WrongIssuer | Reason::UnknownCredential | Reason::BadSignature,
                    ..
                }) => tokens.verified.forget(digest),
                Err(failed) => return Err(Denied::failed(&entry.verified, &failed)),
            }
        }
        let verified = token::authenticate(text, trust, revocations, &expected).map_err(|refused| {
            let Refused { failed, claims, issuer } = refused;
            if failed.reason == Reason::UnknownCredential {
                self.miss(text, known, now);
            }
            Denied {
                reason: failed.reason,
                why: Some(failed.why()),
                credential: claims.as_ref().map(|claims| CredentialId::Token(claims.id)),
                identity: claims.map(|claims| Identity { issuer, subject: claims.subject }),
                is_of_proof: false,
            }
        })?;
        Ok((Arc::new(verified), None))
    }

    /// What the key may reach that a token rests on, while that key stands; `None` where it rests on none.
    fn upheld(&self, verified: &Verified, now: Timestamp) -> Result<Option<Arc<AccessSlot>>, Failed> {
        let Some(KeyGround { id, secret }) = verified.claims.grounds.key else { return Ok(None) };
        let upheld = self.snapshot.with(id, |entry| entry.ok_or(Reason::Revoked)?.upholds(secret, now));
        upheld.map(Some).map_err(|reason| {
            let detail = format!("the token rests on key {id}, or on a secret of it, which is {reason}");
            Failed::of("grounds", reason, detail)
        })
    }

    /// What a token may reach by what is known of its issuer.
    fn reach(&self, verified: &Verified, known: &Known, under: Option<Arc<AccessSlot>>) -> Option<Reach> {
        let issuer = verified.issuer.as_ref().and_then(|name| known.issuers.get(name));
        reach(&self.snapshot, verified, issuer, under)
    }

    /// Has the keys of an issuer asked for again where the token names one that is not known: it may be new. This call is
    /// refused all the same.
    fn miss(&self, text: &str, known: &Known, now: Timestamp) {
        let Some((issuer, kid)) = token::missed_key(text, &known.beliefs.trust, now) else { return };
        if known.issuers.get(issuer).is_some_and(|issuer| issuer.url.is_some()) {
            self.missed.miss(issuer, &kid, now);
        }
    }

    /// Judges a principal again as it stands at `now`.
    pub(super) fn renew_token(&self, proof: &TokenProof, now: Timestamp) -> Option<Principal> {
        let tokens = self.snapshot.tokens();
        let generation = tokens.generation();
        let beliefs = tokens.beliefs();
        let known = beliefs.as_ref().as_ref()?;
        let verified = &proof.verified;
        let holds = {
            let revocations = tokens.revocations();
            verified.still_holds(&known.beliefs.trust, revocations.as_ref()?, &known.expected(now))
        };
        holds.ok()?;
        let under = self.upheld(verified, now).ok()?;
        let reach = match tokens.verified.find(&proof.digest) {
            Some(entry) if entry.is_current(generation, under.as_ref()) => entry.reach.clone(),
            _ => self.reach(verified, known, under)?,
        };
        principal(verified, &reach, proof.digest, proof.possession.clone())
    }
}

/// `None` where its policy is not known.
pub(super) fn reach(
    snapshot: &Snapshot,
    verified: &Verified,
    issuer: Option<&Issuer>,
    under: Option<Arc<AccessSlot>>,
) -> Option<Reach> {
    let (policy, scopes, account) = terms(verified, issuer, under.as_deref(), &snapshot.catalogue())?;
    Some(Reach { slot: snapshot.slot(&policy, &scopes)?, account, under })
}

/// The policy that a token is under, the scopes that it has by what it carries itself and rests on, and whose quota it
/// uses. `None` where its issuer is not known.
pub(super) fn terms(
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

/// `None` where the policy is missing or cannot be compiled.
pub(super) fn principal(
    verified: &Arc<Verified>,
    reach: &Reach,
    digest: [u8; 32],
    possession: Option<Possession>,
) -> Option<Principal> {
    let access = reach.slot.load();
    let access = access.as_ref()?;
    let claims = &verified.claims;
    Some(Principal {
        credential: CredentialId::Token(claims.id),
        identity: verified.identity(),
        scopes: Arc::clone(&access.scopes),
        covered: Arc::clone(&access.covered),
        policy: Arc::clone(&access.policy),
        bound: claims.bound.clone(),
        account: reach.account.clone(),
        expires_at: Some(claims.expires_at),
        proof: Some(Proof::Token(TokenProof { verified: Arc::clone(verified), digest, possession })),
    })
}
