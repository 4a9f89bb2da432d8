//! What makes an issuer that can be believed.

use super::*;
use crate::domain::{
    issuer::BadKeys,
    jose::{Fault, VerifyingKey},
    name::ScopeName,
    text::visible,
    token::is_scope,
};
use crate::ops::{policy, scope};
use crate::vault::SealedEntry;

/// The longest `iss`, audience or name of a claim, in characters.
const LONGEST: usize = 512;
/// More claims for scopes, or audiences, are refused.
const MOST: usize = 16;
/// The longest prefix of subjects: room is left for the subjects.
const LONGEST_PREFIX: usize = 64;

/// An issuer as it is kept, where its keys come from, and its secret.
pub(super) type Made = (Issuer, Option<Source>, Option<SealedEntry>);

pub(super) fn made(ctx: &Ctx, new: NewIssuer) -> Result<Made, OpsError> {
    let issuer = Issuer {
        name: new.name,
        profile: new.profile,
        iss: new.iss,
        url: None,
        audiences: new.audiences,
        algorithms: new.algorithms,
        mapping: new.mapping,
        policy: new.policy,
        keys: json!(null),
        created_at: ctx.now(),
        fetched_at: None,
        last_error: String::new(),
    };
    require_texts(&issuer)?;
    if issuer.iss.is_none() && issuer.profile != Profile::Legacy {
        return Err(invalid(
            "tokens of this profile carry `iss`: say which with --issuer (only tokens of the legacy profile may have none)",
        ));
    }
    with_keys(ctx, Act::IssuerAdd, issuer, new.keys)
}

/// The issuer with these keys and no others.
pub(super) fn with_keys(ctx: &Ctx, act: Act, issuer: Issuer, keys: NewKeys) -> Result<Made, OpsError> {
    let none = json!({ "keys": [] });
    let mut issuer = Issuer { url: None, keys: none, fetched_at: None, last_error: String::new(), ..issuer };
    let is_symmetric = issuer.algorithms.iter().any(|algorithm| algorithm.is_symmetric());
    if is_symmetric && (issuer.algorithms.len() > 1 || !matches!(keys, NewKeys::One(_))) {
        return Err(invalid(
            "an algorithm with a shared secret (HS256, HS384, HS512) stands alone and wants its secret in a file: \
             --alg HS256 --key-file FILE",
        ));
    }
    let (mut source, mut secret) = (None, None);
    match keys {
        NewKeys::One(text) if is_symmetric => secret = Some(sealed(ctx, act, &issuer, &text)?),
        NewKeys::One(text) => {
            let keys = IssuerKeys::one(one(&text, &issuer.algorithms)?);
            set_keys(&mut issuer, &keys);
        }
        NewKeys::Set(text) => {
            let keys = IssuerKeys::read_some(&text, &issuer.algorithms).map_err(bad)?;
            set_keys(&mut issuer, &keys);
        }
        NewKeys::Published { url, jwks_uri, allow_private, published } => {
            let keys = IssuerKeys::read_some(&published.text, &issuer.algorithms).map_err(bad)?;
            set_keys(&mut issuer, &keys);
            let now = ctx.now();
            (issuer.url, issuer.fetched_at) = (Some(url), Some(now));
            let mut from = Source { jwks_uri, allow_private, etag: None, asked_at: now, next_at: now };
            from.had(now, published.fresh_for, published.etag);
            source = Some(from);
        }
    }
    Ok((issuer, source, secret))
}

/// What can only be told beside what there is.
pub(super) fn require_place(deed: &Deed<'_>, issuer: &Issuer) -> Result<(), OpsError> {
    let conflict = |why: String| Err(OpsError::Conflict(why));
    if store::issuer::find(deed.c, &issuer.name)?.is_some() {
        return conflict(format!(
            "there is an issuer {0} already (`portcullis issuer show {0}`); to change it: portcullis issuer set {0}",
            issuer.name
        ));
    }
    let own = store::trust::identity(deed.c)?.issuers();
    if issuer.iss.as_ref().is_some_and(|iss| own.contains(iss)) {
        return conflict(
            "this `iss` is this home's own, whose tokens are taken already; nobody else may speak under it"
                .into(),
        );
    }
    if let Some(other) = store::issuer::list(deed.c)?.iter().find(|other| other.iss == issuer.iss) {
        return conflict(match issuer.iss {
            Some(_) => {
                format!("issuer {} has this `iss` already, and nothing would tell them apart", other.name)
            }
            None => format!(
                "the tokens of issuer {} carry no `iss` either, and nothing would tell them apart",
                other.name
            ),
        });
    }
    require_prefix(deed, issuer)?;
    require_policy(deed, issuer)?;
    require_scopes(deed, issuer.mapping.rename.values().cloned().collect())
}

/// The same of what is to be changed.
pub(super) fn require_change(deed: &Deed<'_>, before: &Issuer, after: &Issuer) -> Result<(), OpsError> {
    if after.mapping.subject_prefix != before.mapping.subject_prefix {
        require_prefix(deed, after)?;
    }
    if after.policy != before.policy {
        require_policy(deed, after)?;
    }
    let known: Vec<_> = before.mapping.rename.values().collect();
    let ours = after.mapping.rename.values().filter(|scope| !known.contains(scope));
    require_scopes(deed, ours.cloned().collect())
}

fn require_policy(deed: &Deed<'_>, issuer: &Issuer) -> Result<(), OpsError> {
    match store::policy::find(deed.c, &issuer.policy)? {
        Some(_) => Ok(()),
        None => Err(OpsError::Invalid(policy::describe_unknown(deed.c, &issuer.policy))),
    }
}

fn require_scopes(deed: &Deed<'_>, ours: Vec<ScopeName>) -> Result<(), OpsError> {
    scope::require_known(&scope::catalogue(deed.c, &ours)?, &ours)
}

/// A server that looks at subjects alone must not take one for another's.
fn require_prefix(deed: &Deed<'_>, issuer: &Issuer) -> Result<(), OpsError> {
    let prefix = &issuer.mapping.subject_prefix;
    if prefix.is_empty() {
        return Ok(());
    }
    let overlaps = |other: &&Issuer| {
        let theirs = &other.mapping.subject_prefix;
        other.name != issuer.name
            && !theirs.is_empty()
            && (theirs.starts_with(prefix) || prefix.starts_with(theirs))
    };
    if let Some(other) = store::issuer::list(deed.c)?.iter().find(overlaps) {
        return Err(OpsError::Conflict(format!(
            "the prefix of subjects `{prefix}` and that of issuer {}, `{}`, begin alike, so that one issuer could name a \
             subject of the other; take another",
            other.name, other.mapping.subject_prefix
        )));
    }
    if let Some((what, subject)) = store::issuer::holder_of(deed.c, prefix, deed.now)? {
        return Err(OpsError::Conflict(format!(
            "{what} of this home has the subject `{subject}`, which would look like one of issuer {}: revoke it, or take \
             another prefix than `{prefix}`",
            issuer.name
        )));
    }
    Ok(())
}

/// Refuses a subject of this home that would look like one of a registered issuer. One whose row is damaged has none: its
/// tokens are refused.
pub fn require_own(c: &Rows<'_>, subject: &Subject) -> Result<(), OpsError> {
    let is_its = |issuer: &&Issuer| issuer.mapping.is_for_it_alone(subject);
    match store::issuer::sound(c)?.0.iter().find(is_its) {
        Some(issuer) => Err(OpsError::Invalid(format!(
            "a subject that begins with `{}` is of issuer {} alone: name it otherwise",
            issuer.mapping.subject_prefix, issuer.name
        ))),
        None => Ok(()),
    }
}

/// What can be told of it alone.
pub(super) fn require_texts(issuer: &Issuer) -> Result<(), OpsError> {
    let Mapping { subject, scopes, audience, prefix, rename, .. } = &issuer.mapping;
    if scopes.is_empty() || scopes.len() > MOST || issuer.audiences.len() > MOST {
        return Err(OpsError::Invalid(format!(
            "an issuer has between 1 and {MOST} claims for its scopes, and at most {MOST} audiences"
        )));
    }
    let claims = [subject].into_iter().chain(scopes).chain(audience).map(|claim| ("name of a claim", claim));
    let audiences = issuer.audiences.iter().map(|aud| ("audience", aud));
    let names = issuer.iss.iter().map(|iss| ("`iss`", iss)).chain(audiences);
    let others = rename.keys().map(|scope| ("scope of an issuer", scope));
    for (what, text) in names.chain(claims).chain(others) {
        if text.is_empty() || text.chars().count() > LONGEST || visible(text) != text.as_str() {
            return Err(OpsError::Invalid(format!(
                "the {what} has between 1 and {LONGEST} characters, all of them visible"
            )));
        }
    }
    let may_come = |text: &String| text.is_empty() || is_scope(text);
    if let Some(never) = rename.keys().chain([prefix]).find(|text| !may_come(text)) {
        return Err(OpsError::Invalid(format!(
            "`{never}` never comes as a scope: these are of visible ASCII without spaces, quotation marks and backslashes \
             (RFC 6749 §3.3), and of groups and roles that are called otherwise none counts; give such a group a name, or \
             an id, that can"
        )));
    }
    for (what, most, prefix) in
        [("scopes", LONGEST, prefix), ("subjects", LONGEST_PREFIX, &issuer.mapping.subject_prefix)]
    {
        if prefix.chars().count() > most || visible(prefix) != prefix.as_str() || prefix.starts_with(' ') {
            return Err(OpsError::Invalid(format!(
                "the prefix of {what} has at most {most} characters, all of them visible, and no space before them"
            )));
        }
    }
    Ok(())
}

pub(super) fn set_keys(issuer: &mut Issuer, keys: &IssuerKeys) {
    if issuer.algorithms.is_empty() {
        issuer.algorithms = keys.algorithms();
    }
    issuer.keys = keys.to_json();
}

/// One public key that was given by hand.
fn one(text: &str, pinned: &[Algorithm]) -> Result<VerifyingKey, OpsError> {
    let algorithm = match pinned {
        [] => None,
        [one] => Some(*one),
        _ => return Err(invalid("one key is for one algorithm: give --alg once")),
    };
    let key = match text.trim_start().starts_with('{') {
        true => VerifyingKey::from_jwk(text, algorithm),
        false => VerifyingKey::from_pem(text, algorithm),
    };
    let key = key.map_err(|fault| OpsError::Invalid(format!("the key cannot be used: {fault}")))?;
    // A JWK may hold a secret and name its algorithm itself.
    if key.algorithm().is_symmetric() {
        return Err(invalid("a shared secret is given as it is, and its algorithm with --alg HS256"));
    }
    Ok(key)
}

/// The secret is checked as those who verify with it will.
fn sealed(ctx: &Ctx, act: Act, issuer: &Issuer, text: &str) -> Result<SealedEntry, OpsError> {
    let algorithm = issuer.algorithms.first().copied().unwrap_or(Algorithm::Hs256);
    VerifyingKey::hmac(text.as_bytes(), algorithm)
        .map_err(|fault| OpsError::Invalid(format!("the secret cannot be used: {fault}")))?;
    Ok(ctx.vault(act)?.seal_issuer_secret(&issuer.name, text.as_bytes())?)
}

pub(super) fn bad(error: BadKeys) -> OpsError {
    OpsError::Invalid(match error {
        BadKeys::Set(Fault::KeyJson) => {
            "this is no JWK set (RFC 7517): not one JSON object with each name once".into()
        }
        other => other.to_string(),
    })
}

pub(super) fn invalid(why: &str) -> OpsError {
    OpsError::Invalid(why.into())
}
