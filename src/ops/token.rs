//! Acts on tokens: issued, and taken back.

mod revoke;
#[cfg(test)]
pub(super) mod tests;
mod verify;

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::json;

pub use revoke::{
    Revoked, means, purge, revoke_all, revoke_issued_before, revoke_key, revoke_subject, revoke_text,
    would_end,
};
pub use verify::verify;

use super::{
    Ctx, OpsError, context::Deed, issuer, no_randomness, policy, refuse_credential, scope, signing_key,
    without_repeats,
};
use crate::domain::{
    act::Act,
    clock::Timestamp,
    jose::{Algorithm, Header, USUAL, join, signing_input},
    name::{Kid, PolicyName, ScopeName, Subject},
    revocation::Target,
    secret::Secret,
    signing_key::SigningKey,
    text::visible,
    token::{
        ACCESS_TOKEN, Bound, Claims, Grounds, IssuedToken, MOST_PARENTS, MOST_SKEW, REMEMBERED, TokenId,
    },
};
use crate::store::{
    self, Page, Rows,
    token::{Query, Standing},
};
use crate::vault::RsaBits;

const DAY: Duration = Duration::from_secs(86_400);

/// The life of a token where none was asked for: 1 h.
pub const DEFAULT_LIFE: Duration = Duration::from_secs(3600);

/// The longest life of a token: 30 days.
pub const LONGEST_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// How many tokens long expired go with each that is issued, so that the books never grow for good.
const SWEPT_AT_ONCE: u32 = 100;
/// So many tokens may live at once that clients got for one key, or narrowed from one token that was issued by hand.
pub const MOST_DERIVED: u64 = 1000;
/// How long what clients got is remembered after its end: as long as the clocks of two machines may differ.
const DERIVED_REMEMBERED: Duration = MOST_SKEW;
const LONGEST_NAME: usize = 256;
const MOST_AUDIENCES: usize = 16;

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub subject: Subject,
    /// To whom it is given (`client_id`); `None` = the subject itself.
    pub client: Option<String>,
    pub scopes: Vec<ScopeName>,
    /// Empty = this home's gateway.
    pub audience: Vec<String>,
    pub policy: PolicyName,
    /// Whether the policy as it is now stands in the token, and holds beside what becomes of it.
    pub bind_policy: bool,
    pub life: Duration,
    /// `None`: EdDSA, unless a key is named.
    pub algorithm: Option<Algorithm>,
    /// Which key signs; `None` = the newest of the algorithm.
    pub kid: Option<Kid>,
    /// It may be used once and never again.
    pub once: bool,
    /// What it is got for; nothing where an operator issues it.
    pub rests_on: Grounds,
}

/// A token just issued: the only time its text is seen.
#[derive(Debug)]
pub struct Issued {
    pub token: IssuedToken,
    /// `iss`, as it stands in the token.
    pub issuer: String,
    pub text: Secret,
}

/// Signs a token and remembers what it says, but not the token. Scopes must be in the catalogue, the policy must exist.
/// Where there is no key of the algorithm, one is made, as an act of its own.
pub fn issue(ctx: &Ctx, new: NewToken) -> Result<Issued, OpsError> {
    // Before anything that is recorded, for clients may ask again and again.
    ctx.store.read(|c| require_room(c, &new.rests_on, ctx.now()))?;
    ctx.check(Act::TokenIssue, "", || check(&new))?;
    let key = signer(ctx, &new)?;
    let (token, issuer, text) = ctx.check(Act::TokenIssue, "", || sign(ctx, new, &key))?;
    let object = token.jti.to_string();
    let token = ctx.perform(Act::TokenIssue, &object, move |deed| {
        require_sound(deed, &token)?;
        require_room(deed.c, &token.rests_on, deed.now)?;
        store::token::insert(deed.c, &token)?;
        sweep(deed, &token.rests_on)?;
        let detail = json!({
            "subject": token.subject, "client": token.client, "scopes": token.scopes, "audience": token.audience,
            "policy": token.policy, "bound": token.bound.is_some(), "max_uses": token.max_uses, "kid": token.kid,
            "expires_at": token.expires_at, "rests_on": token.rests_on,
        });
        deed.record(&token.jti.to_string(), detail)?;
        Ok(token)
    })?;
    Ok(Issued { token, issuer, text })
}

/// How an issued token stands now.
pub fn show(ctx: &Ctx, jti: TokenId) -> Result<Standing, OpsError> {
    let now = ctx.now();
    ctx.store.read(|c| {
        let token = store::token::find(c, jti)?.ok_or_else(|| missing(jti))?;
        Ok(store::token::standing(c, token, now)?)
    })
}

pub fn list(ctx: &Ctx, q: &Query, after: Option<&str>, limit: u32) -> Result<Page<Standing>, OpsError> {
    ctx.store.read(|c| Ok(store::token::page(c, q, after, limit)?))
}

fn check(new: &NewToken) -> Result<(), OpsError> {
    let invalid = |why: String| Err(OpsError::Invalid(why));
    refuse_credential("a subject", new.subject.as_str())?;
    refuse_credential("a client", new.client.as_deref().unwrap_or_default())?;
    if new.life < Duration::from_secs(1) || new.life > LONGEST_LIFE {
        return invalid(
            "a token lives between 1 second and 30 days; for longer than that make an API key".into(),
        );
    }
    if new.scopes.is_empty() {
        return invalid(
            "a token needs at least one scope; `portcullis scope list` shows those there are".into(),
        );
    }
    if new.audience.len() > MOST_AUDIENCES {
        return invalid(format!("a token is for {MOST_AUDIENCES} audiences at most"));
    }
    if new.rests_on.parents.len() > MOST_PARENTS {
        return invalid(format!("a token is narrowed {MOST_PARENTS} times at most, one from another"));
    }
    for (what, text) in new
        .client
        .iter()
        .map(|text| ("client", text))
        .chain(new.audience.iter().map(|text| ("audience", text)))
    {
        if text.is_empty() || text.chars().count() > LONGEST_NAME || visible(text) != text.as_str() {
            return invalid(format!(
                "the {what} of a token has between 1 and {LONGEST_NAME} characters, all of them visible"
            ));
        }
    }
    match new.algorithm {
        Some(algorithm) if !Algorithm::ISSUED.contains(&algorithm) => invalid(format!(
            "{algorithm} is for verifying only; tokens are signed with {}",
            Algorithm::ISSUED.map(Algorithm::as_str).join(", ")
        )),
        _ => Ok(()),
    }
}

/// The key to sign with. One is made where there is none of the algorithm.
fn signer(ctx: &Ctx, new: &NewToken) -> Result<SigningKey, OpsError> {
    let algorithm = new.algorithm.unwrap_or(Algorithm::EdDsa);
    let (now, until) = (ctx.now(), ctx.now().plus(new.life));
    if let Some(key) = ctx.check(Act::TokenIssue, "", || choose(ctx, new, algorithm, now, until))? {
        return Ok(key);
    }
    signing_key::create(
        ctx,
        signing_key::NewSigningKey { algorithm, name: String::new(), bits: RsaBits::default(), kid: None },
    )
}

/// `None` where there is no key of the algorithm that signs.
fn choose(
    ctx: &Ctx,
    new: &NewToken,
    algorithm: Algorithm,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<SigningKey>, OpsError> {
    let unfit = |key: &SigningKey| {
        let ends =
            key.verifies_until.map_or_else(String::new, |end| format!(", and verifies until {end} only"));
        OpsError::Conflict(format!(
            "signing key {} is {}{ends}: it cannot sign a token that lives until {until}; ask for a shorter life \
             (--expires-in) or another key (`portcullis signing-key list`)",
            key.kid,
            key.state(now).as_str()
        ))
    };
    if let Some(kid) = &new.kid {
        let key = signing_key::show(ctx, kid)?;
        if new.algorithm.is_some_and(|wanted| wanted != key.algorithm) {
            return Err(OpsError::Invalid(format!("signing key {kid} is for {}", key.algorithm)));
        }
        return if key.can_sign(now, until) { Ok(Some(key)) } else { Err(unfit(&key)) };
    }
    // One that is damaged signs nothing; the others do.
    let (keys, damaged) = ctx.store.read(store::signing_key::sound)?;
    for error in damaged {
        tracing::error!(%error, "this signing key is not used");
    }
    let mut fit = keys.iter().filter(|key| key.algorithm == algorithm && key.signs_at(now));
    let mut active = fit.clone();
    match (fit.find(|key| key.can_sign(now, until)), active.next()) {
        (Some(key), _) => Ok(Some(key.clone())),
        (None, Some(key)) => Err(unfit(key)),
        (None, None) => Ok(None),
    }
}

fn sign(ctx: &Ctx, new: NewToken, key: &SigningKey) -> Result<(IssuedToken, String, Secret), OpsError> {
    let act = Act::TokenIssue;
    let (identity, cut, revision) = ctx.store.read(|c| {
        let revision = store::policy::find(c, &new.policy)?
            .ok_or_else(|| OpsError::Invalid(policy::describe_unknown(c, &new.policy)))?;
        Ok::<_, OpsError>((store::trust::identity(c)?, newest_cut(c, &new.subject)?, revision))
    })?;
    let bound = match new.bind_policy {
        true => {
            Some(Bound::new(revision.policy).map_err(|bad| OpsError::Invalid(format!("the policy {bad}")))?)
        }
        false => None,
    };
    // Times in a token are whole seconds (RFC 9068 §2.2.1). One that is issued within the second of a revocation must not
    // fall under it.
    let second = |at: Timestamp| Timestamp::from_millis(at.seconds().saturating_mul(1000));
    let issued_at = match cut.map(|cut| second(cut).plus(Duration::from_secs(1))) {
        Some(after) => second(ctx.now()).max(after),
        None => second(ctx.now()),
    };
    let token = IssuedToken {
        jti: TokenId::generate().map_err(no_randomness)?,
        client: new.client.unwrap_or_else(|| new.subject.to_string()),
        subject: new.subject,
        scopes: without_repeats(new.scopes),
        audience: if new.audience.is_empty() {
            vec![identity.audience()]
        } else {
            without_repeats(new.audience)
        },
        policy: new.policy,
        bound: bound.as_ref().map(Bound::to_json),
        rests_on: new.rests_on,
        max_uses: new.once.then_some(1),
        kid: key.kid.clone(),
        algorithm: key.algorithm,
        issued_at,
        expires_at: issued_at.plus(new.life),
        issued_by: ctx.actor.clone(),
    };
    let claims = Claims {
        id: token.jti,
        issuer: Some(identity.issuer()),
        subject: token.subject.clone(),
        audience: token.audience.clone(),
        expires_at: token.expires_at,
        not_before: Some(token.issued_at),
        issued_at: token.issued_at,
        client_id: Some(token.client.clone()),
        scopes: token.scopes.iter().map(ScopeName::to_string).collect(),
        policy: Some(token.policy.clone()),
        bound,
        confirmation: None,
        max_uses: token.max_uses.and_then(NonZeroU32::new),
        grounds: token.rests_on.clone(),
    };
    let header =
        Header { alg: token.algorithm, typ: Some(ACCESS_TOKEN.into()), kid: Some(token.kid.to_string()) };
    let input = signing_input(&header, &claims.to_json());
    let text = join(&input, &signing_key::pair(ctx, act, &key.kid)?.sign(input.as_bytes())?);
    if text.len() > USUAL {
        return Err(OpsError::Invalid(format!(
            "the token would have {} bytes, and none of more than {} is taken; give it fewer scopes, or do not bind \
             the policy",
            text.len(),
            USUAL
        )));
    }
    Ok((token, identity.issuer(), Secret::new(text)))
}

/// Up to when tokens of the subject are revoked, where that is within the last second.
fn newest_cut(c: &Rows<'_>, subject: &Subject) -> Result<Option<Timestamp>, OpsError> {
    let target = Target::Subject { subject: subject.clone(), cut: Timestamp::default() };
    Ok(store::revocation::find(c, &target)?.and_then(|revocation| revocation.target.cut()))
}

/// What was signed holds only if nothing has changed since: the key, the scopes, the policy, the revocations.
fn require_sound(deed: &Deed<'_>, token: &IssuedToken) -> Result<(), OpsError> {
    issuer::require_own(deed.c, &token.subject)?;
    scope::require_known(&scope::catalogue(deed.c, &token.scopes)?, &token.scopes)?;
    if store::policy::find(deed.c, &token.policy)?.is_none() {
        return Err(OpsError::Invalid(policy::describe_unknown(deed.c, &token.policy)));
    }
    let key = store::signing_key::find(deed.c, &token.kid)?;
    let signs = key.is_some_and(|key| key.can_sign(deed.now, token.expires_at));
    if !signs || store::token::standing(deed.c, token.clone(), deed.now)?.refusal.is_some() {
        return Err(OpsError::Conflict(
            "what this token rests on was revoked or rotated meanwhile; try again".into(),
        ));
    }
    Ok(())
}

/// What clients get is bounded, whatever the limits of their policy: each token is a row, and a record.
fn require_room(c: &Rows<'_>, rests_on: &Grounds, now: Timestamp) -> Result<(), OpsError> {
    if store::token::live_beside(c, rests_on, now)? < MOST_DERIVED {
        return Ok(());
    }
    Err(OpsError::Conflict(format!(
        "{MOST_DERIVED} tokens that were got with this credential live already: use one of them until it expires"
    )))
}

/// Forgets what ended long ago, and what was got for the same as the new token as soon as it has ended.
fn sweep(deed: &Deed<'_>, rests_on: &Grounds) -> Result<(), OpsError> {
    store::token::purge_beside(deed.c, rests_on, deed.now.minus(DERIVED_REMEMBERED), SWEPT_AT_ONCE)?;
    let before = deed.now.minus(REMEMBERED);
    store::token::purge(deed.c, before, SWEPT_AT_ONCE)?;
    store::revocation::purge(deed.c, before, SWEPT_AT_ONCE)?;
    store::one_time::purge(deed.c, before, SWEPT_AT_ONCE)?;
    Ok(())
}

fn missing(jti: TokenId) -> OpsError {
    OpsError::NotFound(format!(
        "no token {jti} is remembered; `portcullis token list` shows those that are, and one of another issuer is \
         revoked by itself: portcullis token revoke --token FILE"
    ))
}
