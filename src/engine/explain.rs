//! Every check of a decision with its outcome, for `key verify` and `explain`. Without effect: no quota is charged, no failure
//! counted, nothing recorded.

use super::{
    Presented, PresentedToken, authenticate::prove, key::KeyEntry, snapshot::Snapshot, token::Reach,
};
use crate::domain::{
    api_key::{KeyState, Pepper, PresentedKey},
    clock::Timestamp,
    decision::{self, Account, Check, Decision, Principal, Reason, Request},
    policy::RateLimits,
    quota::{Charge, Cost, Counter},
    token::require_possession,
};
use crate::store::{RowKey, Rows, Store, StoreError, issuer, quota, trust, verdict};
use crate::vault::Vault;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What `explain` found.
#[derive(Clone, Debug)]
pub struct Explained {
    pub decision: Decision,
    pub checks: Vec<Check>,
    /// Who it would be; absent where the credential was refused.
    pub principal: Option<Principal>,
}

impl Explained {
    /// Has it denied because of a lock-out, which comes before every other check.
    pub fn lock_out(&mut self, told: String) {
        self.checks.insert(0, check("lock-out", false, told));
        self.decision = Decision::deny(Reason::LockedOut);
        self.principal = None;
    }
}

/// Every check with its outcome and without effect, as a look from outside a running engine: reads the one key and loads no
/// other. What has an end is judged as of `ends` (see [`HighWater::judge_by`](crate::domain::clock::HighWater::judge_by)), all
/// else at the moment of the request. Lock-out is each gateway's own: who knows of one says so with [`Explained::lock_out`].
///
/// # Errors
/// Where the store cannot be read, or a row that the answer rests on is damaged.
pub fn explain(
    store: &Store,
    vault: &Vault,
    presented: &Presented,
    request: &Request,
    ends: Timestamp,
) -> Result<Explained, StoreError> {
    store.set_row_key(RowKey::new(vault.row_key()));
    match presented {
        Presented::Nothing => Ok(unread(Reason::MissingCredential, "none was presented")),
        Presented::Malformed(fault) => Ok(unread(Reason::Malformed, fault)),
        Presented::ApiKey(key) => of_key(store, vault.pepper(), key, request, ends),
        Presented::Token(token) => of_token(store, vault, token, request, ends),
    }
}

/// There is nothing to judge.
fn unread(reason: Reason, detail: impl std::fmt::Display) -> Explained {
    refused(reason, vec![check("credential", false, detail)])
}

fn of_key(
    store: &Store,
    pepper: &Pepper,
    key: &PresentedKey,
    request: &Request,
    ends: Timestamp,
) -> Result<Explained, StoreError> {
    let snapshot = store.read(|c| Snapshot::load_one(c, key.id))?;
    let mut checks = vec![check("credential", true, "a well-formed API key")];
    let judged = snapshot.with(key.id, |entry| judge_key(entry, pepper, key, ends, &mut checks));
    checks.extend(Check::of_clock(ends, judged.as_ref().err().copied()));
    match judged {
        Ok(principal) => store.read(|c| decided(c, principal, request, checks)),
        Err(reason) => Ok(refused(reason, checks)),
    }
}

fn judge_key(
    entry: Option<&KeyEntry>,
    pepper: &Pepper,
    key: &PresentedKey,
    ends: Timestamp,
    checks: &mut Vec<Check>,
) -> Result<Principal, Reason> {
    let judged = prove(entry, key, &pepper.digest(&key.secret), ends);
    let Some(entry) = entry else {
        checks.push(check("known", false, format_args!("there is no key {}", key.id)));
        return judged;
    };
    checks.push(check("known", true, format_args!("key {} of {}", key.id, entry.environment)));
    let is_proved = !matches!(judged, Err(Reason::BadSecret));
    checks.push(check("secret", is_proved, if is_proved { "it fits" } else { "it does not fit this key" }));
    if let Some(environment) = key.environment {
        let fits = environment == entry.environment;
        checks.push(check("environment", fits, format_args!("presented for {environment}")));
    }
    let state = entry.state(ends);
    checks.push(check("state", state == KeyState::Active, format_args!("the key is {}", state.as_str())));
    judged
}

fn of_token(
    store: &Store,
    vault: &Vault,
    presented: &PresentedToken,
    request: &Request,
    ends: Timestamp,
) -> Result<Explained, StoreError> {
    store.read(|c| {
        let beliefs = trust::load(c, Some(vault))?;
        let text = presented.text.expose();
        let verdict = verdict::of_token(c, &beliefs, text, &[], ends)?;
        let mut checks = verdict.checks.clone();
        let verified = match (verdict.reason, verdict.verified()) {
            (None, Some(verified)) => verified,
            (reason, _) => return Ok(refused(reason.unwrap_or(Reason::Malformed), checks)),
        };
        if verified.claims.confirmation.is_some() {
            let possession = require_possession(&verified.claims, presented.possession.as_ref());
            if let Err(failed) = possession {
                checks.push(check(failed.check, false, failed.detail));
                return Ok(refused(failed.reason, checks));
            }
            checks.push(check("possession", true, "shown"));
        }
        let issuer = match &verified.issuer {
            Some(name) => issuer::find(c, name)?,
            None => None,
        };
        let digest = Sha256::digest(text).into();
        let reach = Reach::read(c, &verified, issuer.as_ref())?;
        let verified = Arc::new(verified);
        let principal = reach.and_then(|reach| reach.principal(&verified, digest, None));
        match principal {
            Some(principal) => decided(c, principal, request, checks),
            None => {
                checks.push(check("policy", false, "the policy that it is under is not there"));
                Ok(refused(Reason::Unavailable, checks))
            }
        }
    })
}

fn decided(
    c: &Rows<'_>,
    principal: Principal,
    request: &Request,
    mut checks: Vec<Check>,
) -> Result<Explained, StoreError> {
    let charge = peek(c, &principal.account, &principal.limits(), request)?;
    checks.extend(decision::explain(&principal, request, &charge));
    let decision = decision::decide(&principal, request, || charge);
    Ok(Explained { decision, checks, principal: Some(principal) })
}

fn peek(
    c: &Rows<'_>,
    account: &Account,
    limits: &RateLimits,
    request: &Request,
) -> Result<Charge, StoreError> {
    let (name, cost) = (account.to_string(), Cost::of(&request.endpoint));
    // What is free is counted by each gateway for itself.
    let is_fresh = matches!(account, Account::Foreign(_)) && !quota::is_open(c, &name)?;
    if cost == Cost::Request && is_fresh && !quota::has_room(c, &name)? {
        return Ok(Charge::of(limits, |window, _| Some(window.length())));
    }
    if cost != Cost::Request || is_fresh {
        return Ok(Counter::new().peek_call(limits, cost, request.at));
    }
    Ok(quota::peek(c, &name, limits, 1, request.at)?.1)
}

fn check(name: &'static str, passed: bool, detail: impl std::fmt::Display) -> Check {
    Check { check: name, passed, detail: detail.to_string() }
}

fn refused(reason: Reason, checks: Vec<Check>) -> Explained {
    Explained { decision: Decision::deny(reason), checks, principal: None }
}
