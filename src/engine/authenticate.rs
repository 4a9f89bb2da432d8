//! Judges a credential: its form, its proof, its state, lock-out.
//!
//! An unknown id costs what a known one costs: the same HMAC and the same comparisons, against an entry that nothing
//! matches. State is looked at only after the secret has proved right, so that a stranger learns nothing of it.

use super::{
    Denied, Engine, Presented,
    key::KeyEntry,
    lockout::{Pair, Standing},
};
use crate::domain::{
    api_key::{KeyId, PresentedKey, SecretDigest},
    clock::{Timestamp, it_is},
    credential::CredentialId,
    decision::{self, Principal, Proof, Reason, Request},
    name::Subject,
    quota::Charge,
};
use std::{hint::black_box, net::IpAddr};

/// What the secret of an unknown id is compared with. No secret digests to it in practice, and a match would not count.
const NOBODY: SecretDigest = SecretDigest::from_bytes([0; 32]);

impl Engine {
    /// Judges the credential: its form, its proof, its state, for keys lock-out. Judging a key costs the same whatever the
    /// outcome.
    ///
    /// # Errors
    /// What is wrong with it, as precisely as it can be known; its client is told none of that.
    pub fn authenticate(
        &self,
        presented: &Presented,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Principal, Denied> {
        let now = self.judge_by(now);
        match presented {
            Presented::Nothing => Err(Reason::MissingCredential.into()),
            Presented::Malformed(fault) => {
                Err(Denied::because(Reason::Malformed, format_args!("credential: {fault}")))
            }
            Presented::ApiKey(key) => self.authenticate_key(key, address, now),
            Presented::Token(token) => self.authenticate_token(token, now),
        }
    }

    /// Whether a principal admitted earlier would still be, by the same secret and to all that was `asked`: for answers
    /// that are still open. What was admitted has been charged; but where a limit is 0 by now, nothing goes on.
    pub fn still_valid(&self, principal: &Principal, asked: &[Request], now: Timestamp) -> bool {
        let judged_by = self.judge_by(now);
        let renewed = match (principal.credential, &principal.proof) {
            (CredentialId::ApiKey(id), Some(Proof::Secret(proof))) => {
                self.snapshot.with(id, |entry| renew(entry, id, proof, judged_by).ok())
            }
            (CredentialId::Token(_), Some(Proof::Token(proof))) => self.renew_token(proof, judged_by),
            (CredentialId::ApiKey(_), Some(Proof::Token(_)) | None)
            | (CredentialId::Token(_), Some(Proof::Secret(_)) | None) => None,
        };
        renewed.is_some_and(|principal| {
            asked.iter().all(|request| {
                let request = Request { at: now, ..request.clone() };
                let charge = || Charge::of_nothing(&principal.limits()).unwrap_or(Charge::Granted);
                decision::decide(&principal, &request, charge).is_allowed()
            })
        })
    }

    fn authenticate_key(
        &self,
        presented: &PresentedKey,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Principal, Denied> {
        let pair = Pair::new(presented.id, address);
        let standing = if self.lockouts.is_empty() {
            Standing::Clear
        } else {
            self.lockouts.standing(&pair, self.clock.steady())
        };
        let outcome = self.snapshot.with(presented.id, |entry| {
            // The entry's memory arrives while the HMAC is computed.
            black_box(entry.map(KeyEntry::touch));
            let digest = self.pepper.digest(&presented.secret);
            let proved = prove(entry, presented, &digest, now);
            proved.map_err(|reason| denied(entry, presented, &digest, now, reason))
        });
        if let Standing::Locked { until } = standing {
            let until = self.clock.now().plus(until.since(self.clock.steady()));
            return Err(Denied::because(Reason::LockedOut, format_args!("lock-out: until {until}")));
        }
        match &outcome {
            Ok(_) if standing == Standing::Suspect => self.lockouts.succeed(&pair),
            Err(denied) if matches!(denied.reason, Reason::UnknownCredential | Reason::BadSecret) => {
                let steady = self.clock.steady();
                if let Some(until) = self.lockouts.fail(&pair, steady) {
                    let now = self.clock.now();
                    self.record_lockout(presented, address, now, now.plus(until.since(steady)));
                }
            }
            _ => {}
        }
        outcome
    }

    fn record_lockout(
        &self,
        presented: &PresentedKey,
        address: Option<IpAddr>,
        now: Timestamp,
        until: Timestamp,
    ) {
        let owner = self.snapshot.with(presented.id, |entry| entry.map(|entry| entry.subject.clone()));
        let credential = owner.as_ref().map(|_| CredentialId::ApiKey(presented.id));
        self.meter.lockout_started(credential, owner.as_ref().map(Subject::as_str), address, now, until);
        self.flusher.wake();
    }
}

/// The refusal of a key, with what was compared with what. Of an unknown id and of a wrong secret it costs the same.
fn denied(
    entry: Option<&KeyEntry>,
    presented: &PresentedKey,
    digest: &SecretDigest,
    now: Timestamp,
    reason: Reason,
) -> Denied {
    let id = presented.id;
    match (reason, entry) {
        (Reason::UnknownCredential, None) => {
            Denied::because(reason, format_args!("known: there is no key {id}"))
        }
        (Reason::UnknownCredential, Some(KeyEntry { environment, .. })) => {
            Denied::because(reason, format_args!("environment: the key is of {environment}"))
        }
        (Reason::BadSecret, Some(entry)) => match entry.previous_ended(digest) {
            Some(until) => Denied::because(
                reason,
                format_args!("secret: the one from before the key was rotated, taken until {until}"),
            ),
            None => Denied::because(reason, format_args!("secret: not one of key {id}")),
        },
        (Reason::Expired, Some(KeyEntry { expires_at: Some(ended), .. })) => {
            Denied::because(reason, format_args!("state: the key expired at {ended}; {}", it_is(now)))
        }
        _ => reason.into(),
    }
}

/// Whether the secret is that of the key, and then whether the key may be used.
#[inline]
pub(super) fn prove(
    entry: Option<&KeyEntry>,
    presented: &PresentedKey,
    digest: &SecretDigest,
    now: Timestamp,
) -> Result<Principal, Reason> {
    let Some(entry) = entry else {
        black_box(NOBODY.matches(digest) | NOBODY.matches(digest));
        return Err(Reason::UnknownCredential);
    };
    if !entry.is_proved_by(digest, now) {
        return Err(Reason::BadSecret);
    }
    // The right secret under another environment: there is no such key there.
    if presented.environment.is_some_and(|environment| environment != entry.environment) {
        return Err(Reason::UnknownCredential);
    }
    admit(entry, presented.id, digest, now)
}

/// Judges a key again as it stands at `now`: what ended it, or the secret that proved it, ends what rests on it.
pub(super) fn renew(
    entry: Option<&KeyEntry>,
    id: KeyId,
    proof: &SecretDigest,
    now: Timestamp,
) -> Result<Principal, Reason> {
    let entry = entry.ok_or(Reason::UnknownCredential)?;
    if !entry.is_proved_by(proof, now) {
        return Err(Reason::BadSecret);
    }
    admit(entry, id, proof, now)
}

/// Whether a key whose secret proved right may be used.
#[inline]
fn admit(entry: &KeyEntry, id: KeyId, proof: &SecretDigest, now: Timestamp) -> Result<Principal, Reason> {
    match entry.state(now).refusal() {
        Some(reason) => Err(reason),
        None => entry.principal(id, proof).ok_or(Reason::Unavailable),
    }
}
