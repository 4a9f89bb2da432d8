//! Judges a token: its signature, its claims, what was taken back, and what it may reach.
//!
//! A signature that was verified once is remembered; everything else is judged on every call. Failures do not lock anybody
//! out: an API key's secret could be guessed where nothing hindered it, a signature cannot be, and a forged token names
//! whom it likes, so that strangers could lock out others.

mod cache;
mod entry;
mod memory;
mod reach;
mod told;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Denied, Engine, PresentedToken, access::AccessSlot};
use crate::domain::{
    clock::Timestamp,
    credential::CredentialId,
    decision::{Principal, Reason, TokenProof},
    identity::Identity,
    token::{self, Failed, KeyGround, Possession, Refused, Verified, require_possession},
};
use entry::Entry;
use memory::Known;

pub(super) use memory::Tokens;
pub(super) use reach::Reach;

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
        let principal = entry.reach.principal(&entry.verified, digest, possession.cloned());
        principal.ok_or_else(|| Denied::of(&entry.verified, Reason::Unavailable))
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
    /// who applies changes waits for them while he holds what [`Accesses::slot`](super::access::Accesses::slot) waits for.
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
        Reach::of(self.snapshot.access(), verified, issuer, under)
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
        reach.principal(verified, proof.digest, proof.possession.clone())
    }
}
