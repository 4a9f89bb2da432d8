//! Acts on API keys.

mod create;
mod set;

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::{
    Ctx, OpsError, context::Deed, no_randomness, policy, reason, refuse_credential, scope, without_repeats,
};
use crate::domain::{
    act::Act,
    api_key::{ApiKey, Environment, KeyId, KeySecret, KeyState},
    clock::Timestamp,
    name::{PolicyName, ScopeName, Subject},
    pace::Unit,
    secret::Secret,
    text::{counted, visible},
};
use crate::store::{self, Page, Rows, api_key::Query, usage};
pub use create::{create, create_all};
pub use set::{Changes, set_all};

/// What a new key is to be. `life: None` = never expires.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub subject: Subject,
    pub scopes: Vec<ScopeName>,
    pub policy: PolicyName,
    pub name: String,
    pub environment: Environment,
    pub life: Option<Duration>,
}

/// A key just made or rotated: the only time its text is seen.
#[derive(Debug)]
pub struct IssuedKey {
    pub key: ApiKey,
    pub text: Secret,
    /// How many tokens were live that were got with a secret which is not taken any more.
    pub ended: u64,
}

/// A key after an act, and what fell with it.
#[derive(Clone, Debug, Serialize)]
pub struct Altered {
    #[serde(flatten)]
    pub key: ApiKey,
    /// How many tokens were live that were got with it and are refused from now on, with their streams.
    pub ended: u64,
}

const DAY: Duration = Duration::from_secs(86_400);

/// The life of a key where none was asked for: 24 h.
pub const DEFAULT_LIFE: Duration = DAY;

/// The longest time for which the secret before a rotation is still taken: 30 days.
pub const LONGEST_GRACE: Duration = Duration::from_secs(30 * 86_400);

const LONGEST_LIFE: Duration = Duration::from_secs(100 * 366 * 86_400);
const LONGEST_NAME: usize = 64;
/// Keys removed in one transaction, each named in its record.
const PURGED_AT_ONCE: usize = 1000;

/// A new secret under the same id; the old one is taken for `grace` longer (zero = not at all).
/// Of the secrets before it only the last is kept. A revoked or expired key cannot be rotated.
pub fn rotate(ctx: &Ctx, id: KeyId, grace: Duration) -> Result<IssuedKey, OpsError> {
    let (secret, digest) = ctx.check(Act::KeyRotate, id.as_str(), || {
        if grace > LONGEST_GRACE {
            return Err(OpsError::Invalid("the old secret can be kept for 30 days at most".into()));
        }
        let secret = KeySecret::generate().map_err(no_randomness)?;
        let digest = ctx.vault(Act::KeyRotate)?.pepper().digest(&secret);
        Ok((secret, digest))
    })?;
    let mut keys = alter(ctx, Act::KeyRotate, &[id], move |deed, key| {
        let state = key.state(deed.now);
        if matches!(state, KeyState::Revoked | KeyState::Expired) {
            return Err(conflict(&key, state, "cannot be rotated; create a new one"));
        }
        let until = (!grace.is_zero()).then(|| deed.now.plus(grace));
        let ended = ending(deed, key.id, || {
            store::api_key::set_rotated(deed.c, key.id, &digest, deed.now, until)?;
            Ok(())
        })?;
        record(deed, &key, json!({ "previous_until": until, "ended": ended }))?;
        Ok(Altered { key: find(deed, id)?, ended })
    })?;
    let Altered { key, ended } = keys.pop().ok_or_else(|| missing(id))?;
    let text = secret.join(key.environment, id);
    Ok(IssuedKey { key, text, ended })
}

/// Disabling a disabled key changes nothing and writes nothing. A revoked key is a conflict.
pub fn disable(ctx: &Ctx, id: KeyId) -> Result<ApiKey, OpsError> {
    one(disable_all(ctx, &[id])?, id)
}

/// Enabling an enabled key changes nothing and writes nothing. A revoked key is a conflict.
pub fn enable(ctx: &Ctx, id: KeyId) -> Result<ApiKey, OpsError> {
    one(enable_all(ctx, &[id])?, id)
}

/// For good. Revoking twice is a conflict.
pub fn revoke(ctx: &Ctx, id: KeyId, reason: &str) -> Result<ApiKey, OpsError> {
    one(revoke_all(ctx, &[id], reason)?, id)
}

fn one(mut altered: Vec<Altered>, id: KeyId) -> Result<ApiKey, OpsError> {
    altered.pop().map(|altered| altered.key).ok_or_else(|| missing(id))
}

/// All of them or none; a record for each.
pub fn disable_all(ctx: &Ctx, ids: &[KeyId]) -> Result<Vec<Altered>, OpsError> {
    set_disabled(ctx, Act::KeyDisable, ids, true)
}

/// All of them or none; a record for each.
pub fn enable_all(ctx: &Ctx, ids: &[KeyId]) -> Result<Vec<Altered>, OpsError> {
    set_disabled(ctx, Act::KeyEnable, ids, false)
}

/// All of them or none; a record for each. The secret before a rotation ends as well.
pub fn revoke_all(ctx: &Ctx, ids: &[KeyId], why: &str) -> Result<Vec<Altered>, OpsError> {
    let why = ctx.check(Act::KeyRevoke, &names(ids), || reason(why))?;
    alter(ctx, Act::KeyRevoke, ids, move |deed, key| {
        let state = key.state(deed.now);
        if state == KeyState::Revoked {
            return Err(conflict(&key, state, "already, and for good"));
        }
        let ended = ending(deed, key.id, || {
            if let (Some(rotated_at), Some(_)) = (key.rotated_at, key.previous_until) {
                store::api_key::set_rotated(deed.c, key.id, &key.digest, rotated_at, None)?;
            }
            store::api_key::set_revoked(deed.c, key.id, deed.now, &why)?;
            Ok(())
        })?;
        record(deed, &key, json!({ "reason": why, "ended": ended }))?;
        Ok(Altered { key: find(deed, key.id)?, ended })
    })
}

/// Removes keys that were revoked or expired before `before`; returns how many. One record for
/// every thousand, which names them.
pub fn purge(ctx: &Ctx, before: Timestamp) -> Result<u64, OpsError> {
    ctx.check(Act::KeyPurge, "", || {
        if before > ctx.now() {
            return Err(OpsError::Invalid(
                "only what has ended can be purged: the moment given lies in the future".into(),
            ));
        }
        Ok(())
    })?;
    let mut ended = Vec::new();
    ctx.store.read(|c| {
        // What a damaged row says of its end cannot be believed: it stays.
        store::api_key::each(c, |key| {
            ended.extend(key.ok().filter(|key| has_ended(key, before)).map(|key| key.id))
        })
    })?;
    ctx.perform_in_batches(Act::KeyPurge, &ended, PURGED_AT_ONCE, move |deed, ids| {
        remove_ended(deed, &ids, before)
    })
}

pub fn show(ctx: &Ctx, id: KeyId) -> Result<ApiKey, OpsError> {
    ctx.store.read(|c| store::api_key::find(c, id)?.ok_or_else(|| missing(id)))
}

pub fn list(ctx: &Ctx, q: &Query, after: Option<&str>, limit: u32) -> Result<Page<ApiKey>, OpsError> {
    ctx.store.read(|c| Ok(store::api_key::page(c, q, after, limit)?))
}

/// Whether any call with this key was counted from `since` (the start of its minute) on.
pub fn had_traffic_since(ctx: &Ctx, id: KeyId, since: Timestamp) -> Result<bool, OpsError> {
    let q = usage::Query {
        since,
        until: ctx.now().plus(Duration::from_millis(1)),
        credential: Some(id.to_string()),
        ..usage::Query::default()
    };
    ctx.store.read_usage(|c| Ok(usage::totals(c, &q)?.calls() > 0))
}

fn set_disabled(ctx: &Ctx, act: Act, ids: &[KeyId], disabled: bool) -> Result<Vec<Altered>, OpsError> {
    alter(ctx, act, ids, move |deed, key| {
        let state = key.state(deed.now);
        if state == KeyState::Revoked {
            return Err(conflict(&key, state, "for good: it can be neither enabled nor disabled"));
        }
        if key.disabled == disabled {
            return Ok(Altered { key, ended: 0 });
        }
        let ended = ending(deed, key.id, || {
            store::api_key::set_disabled(deed.c, key.id, disabled)?;
            Ok(())
        })?;
        record(deed, &key, if disabled { json!({ "ended": ended }) } else { json!({}) })?;
        Ok(Altered { key: ApiKey { disabled, ..key }, ended })
    })
}

/// Takes `step` with each of the keys, in one transaction.
fn alter(
    ctx: &Ctx,
    act: Act,
    ids: &[KeyId],
    step: impl Fn(&Deed<'_>, ApiKey) -> Result<Altered, OpsError> + Clone + Send + 'static,
) -> Result<Vec<Altered>, OpsError> {
    let object = names(ids);
    let ids = without_repeats(ids.to_vec());
    let pace = ctx.pace.clone();
    ctx.perform(act, &object, move |deed| {
        pace.expect(ids.len() as u64, Unit::Items);
        let one = |id| {
            pace.or_nothing()?;
            let altered = step(deed, find(deed, id)?)?;
            pace.step(1);
            Ok(altered)
        };
        ids.into_iter().map(one).collect()
    })
}

/// Does what may end the tokens that were got with a key; returns how many it ended.
fn ending(
    deed: &Deed<'_>,
    id: KeyId,
    change: impl FnOnce() -> Result<(), OpsError>,
) -> Result<u64, OpsError> {
    let live = || store::token::live_on(deed.c, id, deed.now);
    let before = live()?;
    change()?;
    Ok(before.saturating_sub(live()?))
}

fn remove_ended(deed: &Deed<'_>, ids: &[KeyId], before: Timestamp) -> Result<u64, OpsError> {
    let mut removed = Vec::new();
    for &id in ids {
        // It may have gone since it was looked up, or been given a new end.
        if store::api_key::find(deed.c, id)?.is_some_and(|key| has_ended(&key, before)) {
            store::api_key::delete(deed.c, id)?;
            removed.push(id);
        }
    }
    if !removed.is_empty() {
        deed.record("", json!({ "before": before, "keys": removed }))?;
    }
    Ok(removed.len() as u64)
}

/// Refuses scopes and a policy that no key can have.
fn require_terms(
    c: &Rows<'_>,
    scopes: Option<&[ScopeName]>,
    policy: Option<&PolicyName>,
) -> Result<(), OpsError> {
    if let Some(scopes) = scopes {
        if scopes.is_empty() {
            return Err(OpsError::Invalid(
                "a key needs at least one scope; `portcullis scope list` shows those there are".into(),
            ));
        }
        scope::require_known(&scope::catalogue(c, scopes)?, scopes)?;
    }
    match policy {
        Some(name) if store::policy::find(c, name)?.is_none() => {
            Err(OpsError::Invalid(policy::describe_unknown(c, name)))
        }
        _ => Ok(()),
    }
}

fn find(deed: &Deed<'_>, id: KeyId) -> Result<ApiKey, OpsError> {
    store::api_key::find(deed.c, id)?.ok_or_else(|| missing(id))
}

fn record(deed: &Deed<'_>, key: &ApiKey, detail: serde_json::Value) -> Result<(), OpsError> {
    deed.record(key.id.as_str(), detail)
}

fn has_ended(key: &ApiKey, before: Timestamp) -> bool {
    [key.revoked_at, key.expires_at].into_iter().flatten().any(|ended| ended < before)
}

fn check_name(name: &str) -> Result<(), OpsError> {
    refuse_credential("a key's name", name)?;
    let found = name.chars().count();
    if found > LONGEST_NAME {
        return Err(OpsError::Invalid(format!(
            "a key's name has at most {LONGEST_NAME} characters; this one has {found}"
        )));
    }
    match visible(name) {
        shown if shown == name => Ok(()),
        shown => Err(OpsError::Invalid(format!("a key's name cannot hold invisible characters: {shown}"))),
    }
}

fn check_life(life: Option<Duration>) -> Result<(), OpsError> {
    match life {
        Some(life) if life < Duration::from_secs(1) || life > LONGEST_LIFE => {
            Err(OpsError::Invalid("a key lives between 1 second and 100 years, or never expires".into()))
        }
        _ => Ok(()),
    }
}

/// What a refused attempt on several keys is recorded under.
fn names(ids: &[KeyId]) -> String {
    match ids {
        [id] => id.to_string(),
        _ => counted(ids.len() as u64, "key"),
    }
}

fn missing(id: KeyId) -> OpsError {
    OpsError::NotFound(format!("there is no key {id}; `portcullis key list` shows those there are"))
}

fn conflict(key: &ApiKey, state: KeyState, rest: &str) -> OpsError {
    OpsError::Conflict(format!("key {} is {}, {rest}", key.id, state.as_str()))
}

#[cfg(test)]
mod tests;
