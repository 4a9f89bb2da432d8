//! `/oauth/introspect` (RFC 7662) and `/oauth/revoke` (RFC 7009): what is asked about a token by who holds it.
//!
//! Nothing is told of a token that is not valid, not even that there is one.

use serde_json::{Value, json};

use super::answer::{Fault, done};
use super::form::Form;
use crate::domain::credential::CredentialId;
use crate::domain::decision::Principal;
use crate::domain::name::ScopeName;
use crate::domain::token::Claims;
use crate::gateway::worker::Worker;
use crate::ops::OpsError;
use crate::ops::token::revoke_text;
use crate::store::{StoreError, one_time};

/// # Errors
/// Where the form has no token, or the store cannot be read.
pub async fn introspect(worker: &Worker, form: &Form) -> Result<Value, Fault> {
    let text = form.need("token")?;
    let inactive = json!({ "active": false });
    let looked = worker.shared.engine.look_at_reach(text, worker.now());
    let Ok((verified, scopes)) = looked else { return Ok(inactive) };
    if verified.claims.max_uses.is_some_and(|uses| uses.get() == 1)
        && is_used(worker, &verified.claims).await?
    {
        return Ok(inactive);
    }
    Ok(described(&verified.claims, &scopes))
}

async fn is_used(worker: &Worker, claims: &Claims) -> Result<bool, Fault> {
    let (store, id) = (worker.shared.ctx.store.clone(), claims.id.to_string());
    let look = move || store.read(|c| one_time::is_used(c, one_time::TOKENS, &id));
    let looked: Result<Result<bool, StoreError>, _> = tokio::task::spawn_blocking(look).await;
    looked.ok().and_then(Result::ok).ok_or_else(Fault::unavailable)
}

/// With the scopes that count here, whatever the token itself claims.
fn described(claims: &Claims, scopes: &[ScopeName]) -> Value {
    let mut members = claims.to_json();
    let names: Vec<_> = scopes.iter().map(ScopeName::as_str).collect();
    members["scope"] = names.join(" ").into();
    members["scopes"] = names.into();
    members["active"] = true.into();
    members["token_type"] = if claims.confirmation.is_some() { "DPoP" } else { "Bearer" }.into();
    members["username"] = claims.subject.as_str().into();
    members
}

/// Whether a token is the caller's own to give up (RFC 7009 §2.1): itself, of its identity, or got with its key. What is not
/// valid is nobody's, and nothing is told of it.
pub fn is_own(worker: &Worker, principal: &Principal, text: &str) -> bool {
    let Ok(verified) = worker.shared.engine.look_at_token(text, worker.now()) else { return true };
    let is_it_or_its = match principal.credential {
        CredentialId::Token(id) => id == verified.claims.id,
        CredentialId::ApiKey(id) => verified.claims.grounds.key.is_some_and(|key| key.id == id),
    };
    is_it_or_its || principal.identity == verified.identity()
}

/// Takes back a token of which the caller holds the whole. One that is not valid is none that could be taken back.
///
/// # Errors
/// Where the form has no token, or the store cannot be written.
pub async fn revoke(worker: &Worker, principal: &Principal, form: &Form) -> Result<(), Fault> {
    let text = form.need("token")?.to_owned();
    if worker.shared.engine.look_at_token(&text, worker.now()).is_err() {
        return Ok(());
    }
    let why = "given up at /oauth/revoke";
    match done(worker, principal, move |ctx| revoke_text(ctx, &text, why)).await? {
        Ok(_) | Err(OpsError::Conflict(_)) => Ok(()),
        Err(error) => {
            tracing::error!(%error, "a token could not be revoked");
            Err(Fault::unavailable())
        }
    }
}
