//! What is to be said of a refusal afterwards: every check, judged anew.

use std::sync::Arc;

use crate::domain::{
    api_key::{ApiKey, KeyState},
    clock::Timestamp,
    credential::CredentialId,
    decision::{self, Check, Principal, Reason, Request},
    endpoint::Endpoint,
    event::{Event, SHADOW_DENIED},
    identity::Identity,
    policy::{CompiledPolicy, Revision},
    quota::Charge,
    token::IssuedToken,
};
use crate::ops::{
    Ctx, OpsError,
    credential::{self, Credential, Reach},
};
use crate::store::{
    Rows, StoreError, policy, scope,
    token::{self, Refusal, Standing},
};

/// What is known of the call that an event tells of.
#[derive(Clone, Debug)]
pub struct Explained {
    pub credential: CredentialId,
    /// The policy that the credential is under now.
    pub policy: Option<Revision>,
    pub checks: Vec<Check>,
}

/// Every check of the call that an event tells of, by the policies and scopes of now, for the moment and the address of the
/// call: what ended after it had not ended then. `None` where it came with no credential that this home issued and still has.
/// An error where a row that the answer rests on is damaged.
pub fn explain(ctx: &Ctx, event: &Event) -> Result<Option<Explained>, OpsError> {
    if !event.issuer.is_empty() {
        return Ok(None);
    }
    let found = ctx.store.read(|c| {
        let Some(found) = credential::find(c, &event.credential)? else { return Ok(None) };
        explained(c, event, &found, ctx.now()).map(Some)
    });
    Ok(found?)
}

fn explained(
    c: &Rows<'_>,
    event: &Event,
    found: &Credential,
    now: Timestamp,
) -> Result<Explained, StoreError> {
    let mut checks = match found {
        Credential::ApiKey(key) => vec![of_key(key, event)],
        Credential::Token(token) => of_token(c, token, event, now)?,
    };
    if checks.iter().all(|check| check.passed) {
        checks.extend(of_proof(event));
    }
    let mut explained = Explained { credential: found.id(), policy: None, checks };
    let Some(reach) = found.reach(c)? else { return Ok(explained) };
    explained.policy = policy::find(c, &reach.policy)?;
    let compiled = explained
        .policy
        .as_ref()
        .and_then(|revision| CompiledPolicy::new(revision.policy.clone(), revision.revision).ok());
    match compiled {
        Some(policy) => explained.checks.extend(of_call(c, event, found, reach, policy)?),
        None => {
            explained.checks.push(check("policy", false, "the policy that it is under is not there".into()));
        }
    }
    Ok(explained)
}

fn check(check: &'static str, passed: bool, detail: String) -> Check {
    Check { check, passed, detail }
}

/// Whether the call got as far as the policy: its credential was taken then, whatever became of it since.
fn was_taken(event: &Event) -> bool {
    match event.kind.parse::<Reason>() {
        Ok(reason) => matches!(reason.status(), 403 | 429) && reason != Reason::OriginDenied,
        Err(()) => event.kind == SHADOW_DENIED,
    }
}

fn of_key(key: &ApiKey, event: &Event) -> Check {
    let (stood, detail) = match (key.state_then(event.at), key.revoked_at) {
        (KeyState::Active, Some(at)) => {
            (true, format!("the key was active then; it was revoked later, {at}"))
        }
        (KeyState::Active, None) => (true, "the key was active then".into()),
        // Since when is not remembered with the key.
        (KeyState::Disabled, _) if was_taken(event) => {
            (true, "the key was active then; it is disabled now".into())
        }
        (KeyState::Disabled, _) => (false, "the key is disabled now; the audit log tells since when".into()),
        (KeyState::Expired, _) => (false, "the key had expired then".into()),
        (KeyState::Revoked, _) => (false, "the key was revoked then".into()),
    };
    check("credential", stood, detail)
}

/// The token itself, and what it rests on.
fn of_token(
    c: &Rows<'_>,
    token: &IssuedToken,
    event: &Event,
    now: Timestamp,
) -> Result<Vec<Check>, StoreError> {
    let then = event.at;
    let Standing { refusal, .. } = token::standing_then(c, token.clone(), then)?;
    let later = token::standing(c, token.clone(), now)?.refusal;
    let has_expired = then >= token.expires_at;
    let (stood, detail) = match (&refusal, &later) {
        (Some(Refusal::Revoked(_)), _) => (false, "the token was revoked then".into()),
        (Some(Refusal::KeyRetired { retired_key }), _) => {
            (false, format!("{retired_key}, which signed the token, was retired then"))
        }
        _ if has_expired => (false, "the token had expired then".into()),
        (_, Some(Refusal::Revoked(revocation))) => {
            (true, format!("the token was live then; it was revoked later, {}", revocation.revoked_at))
        }
        _ => (true, "the token was live then".into()),
    };
    let mut checks = vec![check("credential", stood, detail)];
    if token.rests_on.is_empty() || !(stood || has_expired) {
        return Ok(checks);
    }
    let ground = match (&refusal, &later) {
        (Some(Refusal::Fallen { kind, fallen_with, why }), _) => {
            // Since when is remembered of neither.
            let is_undated = matches!(*why, "disabled" | "removed");
            match is_undated && was_taken(event) {
                true => (true, format!("what it rests on stood then; {kind} {fallen_with} is {why} now")),
                false if is_undated => (false, format!("{kind} {fallen_with}, which is {why} now")),
                false => (false, format!("{kind} {fallen_with}, which was {why} then")),
            }
        }
        (_, Some(Refusal::Fallen { kind, fallen_with, why })) => {
            (true, format!("what it rests on stood then; {kind} {fallen_with} is {why} now"))
        }
        _ => (true, "what it rests on stood then".into()),
    };
    checks.push(check("rests_on", ground.0, ground.1));
    Ok(checks)
}

/// A credential that stood was refused for what the call came with, which is not kept, or by a lock-out.
fn of_proof(event: &Event) -> Option<Check> {
    let reason: Reason = event.kind.parse().ok().filter(|reason: &Reason| reason.is_unauthorized())?;
    let detail = format!("refused as {reason}; what the call came with is not kept");
    Some(check("proof", false, detail))
}

/// The checks of the call itself; none where its endpoint was cut or is of a form that is no more.
fn of_call(
    c: &Rows<'_>,
    event: &Event,
    found: &Credential,
    reach: Reach,
    policy: Arc<CompiledPolicy>,
) -> Result<Vec<Check>, StoreError> {
    let Ok(endpoint) = event.endpoint.parse::<Endpoint>() else { return Ok(Vec::new()) };
    let scopes = policy.policy.effective_scopes(&reach.scopes);
    let principal = Principal {
        credential: found.id(),
        identity: Identity::own(found.subject().clone()),
        covered: Arc::new(scope::catalogue(c)?.compile(&scopes)),
        scopes: scopes.into(),
        policy,
        bound: reach.bound,
        account: reach.account,
        expires_at: found.expires_at(),
        proof: None,
    };
    let request = Request { endpoint, address: event.address.parse().ok(), at: event.at };
    let mut checks = decision::explain(&principal, &request, &Charge::Granted);
    // How much was spent then is not kept.
    let is_spent = event.kind == Reason::RateLimited.as_str();
    for check in checks.iter_mut().filter(|check| check.check == "rate_limit") {
        check.passed = !is_spent;
        check.detail = match is_spent {
            true => "the requests of a window were spent then".into(),
            false => "it was not asked for then".into(),
        };
    }
    Ok(checks)
}

#[cfg(test)]
mod tests;
