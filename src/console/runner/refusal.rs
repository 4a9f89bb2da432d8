//! What is known of a refusal: the credential it befell, the policy that it was under, and every check, judged anew as things
//! stand now, for the moment and the address of the call.

use std::net::IpAddr;
use std::sync::Arc;

use crate::console::effect::Refused;
use crate::domain::{
    api_key::{KeyId, KeyState},
    decision::{Account, Check, CredentialId, Principal, Reason, Request, explain},
    endpoint::Endpoint,
    event::{Event, SHADOW_DENIED},
    identity::Identity,
    name::{PolicyName, ScopeName, Subject},
    policy::CompiledPolicy,
    quota::Charge,
    token::TokenId,
};
use crate::ops::{Ctx, OpsError};
use crate::store;

/// The most refusals that are listed.
const LISTED: u32 = 200;

/// Refusals of late, of all or of one credential, newest first.
pub fn list(ctx: &Ctx, credential: Option<String>) -> Result<Vec<Event>, OpsError> {
    let query = store::event::Query { credential, limit: LISTED, ..Default::default() };
    let is_refusal = |kind: &str| kind.parse::<Reason>().is_ok() || kind == SHADOW_DENIED;
    Ok(crate::ops::event::list(ctx, &query)?.into_iter().filter(|event| is_refusal(&event.kind)).collect())
}

/// What the credential of a call is like.
struct Found {
    id: CredentialId,
    subject: Subject,
    scopes: Vec<ScopeName>,
    policy: PolicyName,
    /// Whether it was good for anything at the moment of the call, and why not.
    state: Check,
}

pub fn of(ctx: &Ctx, event: Event) -> Result<Refused, OpsError> {
    let why = match event.kind.parse::<Reason>() {
        Ok(reason) => reason.explanation().to_owned(),
        Err(_) => "a policy in shadow mode would have denied it; it was let through".to_owned(),
    };
    let Some(found) = find(ctx, &event)? else {
        return Ok(Refused { event, why, credential: None, policy: None, checks: Vec::new() });
    };
    let policy = ctx.store.read(|connection| store::policy::find(connection, &found.policy))?;
    let mut checks = vec![found.state.clone()];
    if let Some(revision) = &policy {
        checks.extend(of_the_call(ctx, &event, &found, revision)?);
    }
    Ok(Refused { event, why, credential: Some(found.id), policy, checks })
}

fn find(ctx: &Ctx, event: &Event) -> Result<Option<Found>, OpsError> {
    if !event.issuer.is_empty() {
        return Ok(None);
    }
    if let Ok(id) = event.credential.parse::<KeyId>() {
        let key = ctx.store.read(|connection| store::api_key::find(connection, id))?;
        return Ok(key.map(|key| {
            let state = key.state(event.at);
            Found {
                state: check(state == KeyState::Active, format!("the key was {} then", state.as_str())),
                id: CredentialId::ApiKey(id),
                subject: key.subject,
                scopes: key.scopes,
                policy: key.policy,
            }
        }));
    }
    let Ok(jti) = event.credential.parse::<TokenId>() else { return Ok(None) };
    let token = ctx.store.read(|connection| store::token::find(connection, jti))?;
    Ok(token.map(|token| {
        let ended = token.expires_at <= event.at;
        Found {
            state: check(
                !ended,
                format!("the token {} then", if ended { "had ended" } else { "had not ended" }),
            ),
            id: CredentialId::Token(jti),
            subject: token.subject,
            scopes: token.scopes,
            policy: token.policy,
        }
    }))
}

fn check(passed: bool, detail: String) -> Check {
    Check { check: "credential", passed, detail }
}

/// The checks of the call itself; none where its endpoint was cut or is of a form that is no more.
fn of_the_call(
    ctx: &Ctx,
    event: &Event,
    found: &Found,
    revision: &crate::domain::policy::Revision,
) -> Result<Vec<Check>, OpsError> {
    let (Ok(endpoint), Ok(policy)) =
        (event.endpoint.parse::<Endpoint>(), CompiledPolicy::new(revision.policy.clone(), revision.revision))
    else {
        return Ok(Vec::new());
    };
    let catalogue = ctx.store.read(store::scope::catalogue)?;
    let scopes = revision.policy.effective_scopes(&found.scopes);
    let principal = Principal {
        credential: found.id,
        identity: Identity::own(found.subject.clone()),
        covered: Arc::new(catalogue.compile(&scopes)),
        scopes: scopes.into(),
        policy,
        bound: None,
        account: match found.id {
            CredentialId::ApiKey(id) => Account::ApiKey(id),
            CredentialId::Token(_) => Account::Tokens("".into()),
        },
        expires_at: None,
        proof: None,
    };
    let request = Request { endpoint, address: event.address.parse::<IpAddr>().ok(), at: event.at };
    let mut checks = explain(&principal, &request, &Charge::Granted);
    // how much was spent then is not kept
    let is_spent = event.kind == Reason::RateLimited.as_str();
    for check in checks.iter_mut().filter(|check| check.check == "rate_limit") {
        check.passed = !is_spent;
        check.detail =
            if is_spent { "the requests of a window were spent then" } else { "it was not asked for then" }
                .into();
    }
    Ok(checks)
}
