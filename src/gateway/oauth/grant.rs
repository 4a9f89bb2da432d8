//! `/oauth/token`: a short token for an API key (RFC 6749 §4.4), or a narrower one for a token (RFC 8693).
//!
//! Nothing that is got here outlives or exceeds what it was got for.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Fault, done};
use super::form::Form;
use crate::domain::api_key::KeyId;
use crate::domain::clock::Timestamp;
use crate::domain::credential::CredentialId;
use crate::domain::decision::{Principal, Proof};
use crate::domain::name::ScopeName;
use crate::domain::scope::{holds, is_own};
use crate::domain::token::{Grounds, KeyGround, MOST_PARENTS, Parent, Verified, is_same_audience};
use crate::gateway::call::Call;
use crate::gateway::worker::Worker;
use crate::ops::OpsError;
use crate::ops::token::{Issued, NewToken, issue};

/// How long a token lives that a client gets for its credential.
const LIFE: Duration = Duration::from_secs(300);
const CLIENT_CREDENTIALS: &str = "client_credentials";
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub fn is_exchange(form: &Form) -> bool {
    form.get("grant_type") == Some(EXCHANGE)
}

/// What is wrong with a form can be said before anything is charged or used up for it.
///
/// # Errors
/// In the words of RFC 6749 §5.2 and RFC 8693 §2.2.2: which parameter is missing or wrong, or what the caller may not have.
pub fn check(worker: &Worker, call: &Call<'_>, principal: &Principal, form: &Form) -> Result<(), Fault> {
    require_target(worker, call, form)?;
    match form.need("grant_type")? {
        CLIENT_CREDENTIALS => {
            require_key(principal)?;
            narrowed(form, &principal.scopes).map(|_| ())
        }
        EXCHANGE => check_exchange(form),
        _ => Err(Fault::new(
            "unsupported_grant_type",
            format!("there are {CLIENT_CREDENTIALS} and {EXCHANGE}"),
        )),
    }
}

/// Answers a form that was checked.
///
/// # Errors
/// `invalid_grant` where the token cannot be narrowed for this caller, and whatever issuing meets.
pub async fn serve(worker: &Worker, principal: &Principal, form: &Form) -> Result<Value, Fault> {
    match is_exchange(form) {
        true => for_token(worker, principal, form).await,
        false => for_key(worker, principal, form).await,
    }
}

/// Tokens are for this gateway and nothing else (RFC 8707 §2).
fn require_target(worker: &Worker, call: &Call<'_>, form: &Form) -> Result<(), Fault> {
    let own = [call.resource()];
    let audiences = worker.shared.engine.audiences();
    for name in ["resource", "audience"] {
        let Some(asked) = form.get(name) else { continue };
        if !own.iter().chain(&audiences).any(|known| is_same_audience(known, asked)) {
            return Err(Fault::new("invalid_target", "tokens from here are for this MCP server alone"));
        }
    }
    Ok(())
}

fn require_key(principal: &Principal) -> Result<KeyId, Fault> {
    match principal.credential {
        CredentialId::ApiKey(id) => Ok(id),
        // Else a token could renew itself for good.
        CredentialId::Token(_) => {
            let why = "client_credentials needs an API key; a token is exchanged";
            Err(Fault::new("unauthorized_client", why))
        }
    }
}

async fn for_key(worker: &Worker, principal: &Principal, form: &Form) -> Result<Value, Fault> {
    let id = require_key(principal)?;
    let new = NewToken {
        subject: principal.identity.subject.clone(),
        client: Some(id.to_string()),
        scopes: narrowed(form, &principal.scopes)?,
        life: life(worker.now(), principal.expires_at)?,
        rests_on: of_key(id, principal)?,
        ..new_token(principal)
    };
    Ok(answer(&issued(worker, principal, new).await?))
}

fn check_exchange(form: &Form) -> Result<(), Fault> {
    for (name, allowed, needed) in [
        ("subject_token_type", &[ACCESS_TOKEN, JWT][..], true),
        ("requested_token_type", &[ACCESS_TOKEN, JWT], false),
    ] {
        let said = if needed { Some(form.need(name)?) } else { form.get(name) };
        if said.is_some_and(|said| !allowed.contains(&said)) {
            return Err(Fault::invalid_request(format!("{name} has to be {ACCESS_TOKEN}")));
        }
    }
    // RFC 8693 §2.1: its type stands beside it or not at all.
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(Fault::invalid_request(
            "nobody acts for another here: there is no actor_token, nor its actor_token_type",
        ));
    }
    form.need("subject_token").map(|_| ())
}

async fn for_token(worker: &Worker, principal: &Principal, form: &Form) -> Result<Value, Fault> {
    let text = form.need("subject_token")?;
    // What is wrong with it is told to nobody who cannot prove to be its subject.
    let unfit =
        || Fault::new("invalid_grant", "the subject_token is not one of this home's that can be narrowed");
    let verified = worker.shared.engine.look_at_token(text, worker.now()).map_err(|_| unfit())?;
    let claims = &verified.claims;
    let is_plain = claims.confirmation.is_none() && claims.max_uses.is_none() && claims.bound.is_none();
    let is_own = verified.issuer.is_none() && principal.identity == verified.identity();
    // Who asks has to be what the new token will rest on, or that could go without the token.
    let is_asked_by_its_own = match principal.credential {
        CredentialId::Token(id) => id == claims.id,
        CredentialId::ApiKey(id) => claims.grounds.key.is_some_and(|key| key.id == id),
    };
    if !is_own || !is_plain || !is_asked_by_its_own {
        return Err(unfit());
    }
    let new = NewToken {
        subject: claims.subject.clone(),
        client: claims.client_id.clone(),
        scopes: narrowed(form, &claims.scope_names())?,
        policy: claims.policy.clone().unwrap_or_default(),
        life: life(worker.now(), Some(claims.expires_at))?,
        rests_on: narrowed_from(&verified).ok_or_else(unfit)?,
        ..new_token(principal)
    };
    let mut answer = answer(&issued(worker, principal, new).await?);
    answer["issued_token_type"] = ACCESS_TOKEN.into();
    Ok(answer)
}

/// What is got with a key falls with it, and with the secret that was shown.
fn of_key(id: KeyId, principal: &Principal) -> Result<Grounds, Fault> {
    match &principal.proof {
        Some(Proof::Secret(digest)) => {
            Ok(Grounds { key: Some(KeyGround { id, secret: digest.mark() }), parents: Vec::new() })
        }
        Some(Proof::Token(_)) | None => Err(Fault::unavailable()),
    }
}

/// What is narrowed from a token falls with it, and with all that it rests on itself. `None` where that is too much.
fn narrowed_from(token: &Verified) -> Option<Grounds> {
    let claims = &token.claims;
    let own = Parent { jti: claims.id, kid: token.kid.parse().ok()?, issued_at: claims.issued_at };
    let parents: Vec<_> = [own].into_iter().chain(claims.grounds.parents.iter().cloned()).collect();
    (parents.len() <= MOST_PARENTS).then_some(Grounds { parents, ..claims.grounds })
}

fn new_token(principal: &Principal) -> NewToken {
    NewToken {
        subject: principal.identity.subject.clone(),
        client: None,
        scopes: Vec::new(),
        audience: Vec::new(),
        policy: principal.policy.policy.name.clone(),
        bind_policy: false,
        life: LIFE,
        algorithm: None,
        kid: None,
        once: false,
        rests_on: Grounds::default(),
    }
}

/// Those of `held` that are asked for; all where none is named, but for those of the authorization server itself. Whoever
/// holds everything may ask for anything.
fn narrowed(form: &Form, held: &[ScopeName]) -> Result<Vec<ScopeName>, Fault> {
    let wrong = || Fault::new("invalid_scope", "a scope is asked for that the credential does not have");
    let scopes: Vec<ScopeName> = match form.get("scope") {
        None => held.iter().filter(|scope| !is_own(scope)).cloned().collect(),
        Some(asked) => {
            let has = |scope: &ScopeName| holds(held, scope);
            let parsed =
                asked.split(' ').map(|scope| scope.parse::<ScopeName>().ok().filter(has).ok_or_else(wrong));
            parsed.collect::<Result<_, _>>()?
        }
    };
    if scopes.is_empty() { Err(wrong()) } else { Ok(scopes) }
}

/// In whole seconds, since a token has no others.
fn life(now: Timestamp, ends: Option<Timestamp>) -> Result<Duration, Fault> {
    let left = ends.map_or(LIFE, |ends| LIFE.min(ends.since(now)));
    match left.as_secs() {
        0 => Err(Fault::new("invalid_grant", "the credential is about to expire")),
        seconds => Ok(Duration::from_secs(seconds)),
    }
}

async fn issued(worker: &Worker, principal: &Principal, new: NewToken) -> Result<Issued, Fault> {
    done(worker, principal, move |ctx| issue(ctx, new)).await?.map_err(|error| match error {
        OpsError::Invalid(why) => Fault::invalid_request(why),
        // What it rests on has fallen meanwhile, or carries as much as it may.
        OpsError::Conflict(why) => Fault::new("invalid_grant", why),
        error => {
            tracing::error!(%error, "a token could not be issued");
            Fault::unavailable()
        }
    })
}

fn answer(issued: &Issued) -> Value {
    let token = &issued.token;
    let scopes: Vec<_> = token.scopes.iter().map(ScopeName::as_str).collect();
    json!({
        "access_token": issued.text.expose(),
        "token_type": "Bearer",
        "expires_in": token.expires_at.since(token.issued_at).as_secs(),
        "scope": scopes.join(" "),
    })
}
