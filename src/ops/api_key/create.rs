//! New keys: one, or many at once.

use std::collections::HashSet;

use serde_json::json;

use super::super::refuse_credential;
use super::{IssuedKey, NewKey, check_life, check_name, record, require_terms};
use crate::domain::{
    act::Act,
    api_key::{ApiKey, KeyId, KeySecret},
    clock::Timestamp,
    pace::Unit,
    secret::Secret,
    text::counted,
};
use crate::ops::{Ctx, OpsError, context::Deed, issuer, no_randomness, without_repeats};
use crate::store;

/// Scopes must be in the catalogue (twice the same counts once), the policy must exist.
pub fn create(ctx: &Ctx, new: NewKey) -> Result<IssuedKey, OpsError> {
    let (key, text) = ctx.check(Act::KeyCreate, "", || make(ctx, new, ctx.now()))?;
    let own = key.clone();
    ctx.perform(Act::KeyCreate, key.id.as_str(), move |deed| {
        require(deed, &own)?;
        insert(deed, &own)
    })?;
    Ok(IssuedKey { key, text, ended: 0 })
}

/// All of them, in one transaction, or none; a record for each. They are made at one moment, by which they can be found
/// together. The first that cannot be is told by its place.
///
/// # Errors
/// As [`create`]; what is wrong with a key stands behind its number, which counts from 1.
pub fn create_all(ctx: &Ctx, new: Vec<NewKey>) -> Result<Vec<IssuedKey>, OpsError> {
    let object = counted(new.len() as u64, "key");
    let now = ctx.now();
    let made = ctx.check(Act::KeyCreate, &object, || {
        let made = |(place, new)| make(ctx, new, now).map_err(|error| at(place, error));
        (1..).zip(new).map(made).collect::<Result<Vec<_>, _>>()
    })?;
    let keys: Vec<_> = made.iter().map(|(key, _)| key.clone()).collect();
    let pace = ctx.pace.clone();
    ctx.perform(Act::KeyCreate, &object, move |deed| {
        pace.expect(keys.len() as u64, Unit::Items);
        // Of many keys most are alike in what has to be looked up.
        let mut known = HashSet::new();
        for (place, key) in (1..).zip(&keys) {
            pace.or_nothing()?;
            if known.insert((&key.subject, &key.scopes, &key.policy)) {
                require(deed, key).map_err(|error| at(place, error))?;
            }
            insert(deed, key)?;
            pace.step(1);
        }
        Ok(())
    })?;
    Ok(made.into_iter().map(|(key, text)| IssuedKey { key, text, ended: 0 }).collect())
}

fn make(ctx: &Ctx, new: NewKey, now: Timestamp) -> Result<(ApiKey, Secret), OpsError> {
    check_name(&new.name)?;
    refuse_credential("a subject", new.subject.as_str())?;
    check_life(new.life)?;
    let id = KeyId::generate().map_err(no_randomness)?;
    let secret = KeySecret::generate().map_err(no_randomness)?;
    let text = secret.join(new.environment, id);
    let key = ApiKey {
        id,
        environment: new.environment,
        name: new.name,
        subject: new.subject,
        scopes: without_repeats(new.scopes),
        policy: new.policy,
        created_at: now,
        expires_at: new.life.map(|life| now.plus(life)),
        disabled: false,
        revoked_at: None,
        revoked_reason: String::new(),
        rotated_at: None,
        previous_until: None,
        digest: ctx.vault(Act::KeyCreate)?.pepper().digest(&secret),
        previous_digest: None,
    };
    Ok((key, text))
}

fn require(deed: &Deed<'_>, key: &ApiKey) -> Result<(), OpsError> {
    issuer::require_own(deed.c, &key.subject)?;
    require_terms(deed.c, Some(&key.scopes), Some(&key.policy))
}

fn insert(deed: &Deed<'_>, key: &ApiKey) -> Result<(), OpsError> {
    store::api_key::insert(deed.c, key)?;
    let detail = json!({
        "subject": key.subject, "scopes": key.scopes, "policy": key.policy, "name": key.name,
        "environment": key.environment, "expires_at": key.expires_at,
    });
    record(deed, key, detail)
}

/// Says which of many it is.
fn at(place: u64, error: OpsError) -> OpsError {
    match error {
        OpsError::Invalid(why) => OpsError::Invalid(format!("key {place}: {why}")),
        OpsError::Conflict(why) => OpsError::Conflict(format!("key {place}: {why}")),
        other => other,
    }
}
