//! Changing what keys may do, for how long, and what they are called.

use std::time::Duration;

use serde_json::json;

use super::{ApiKey, check_life, check_name, conflict, find, missing, names, record, require_terms};
use crate::domain::{
    act::Act,
    api_key::{KeyId, KeyState, KeyTerms},
    clock::Timestamp,
    name::{PolicyName, ScopeName},
    pace::Unit,
};
use crate::ops::{Ctx, OpsError, without_repeats};
use crate::store;

/// What is to change of a key; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub policy: Option<PolicyName>,
    /// In the place of those it has.
    pub scopes: Option<Vec<ScopeName>>,
    pub name: Option<String>,
    /// So long from now; `Some(None)` = it never expires.
    pub life: Option<Option<Duration>>,
    /// What was shown to whoever changes it, where something was: a conflict where it is not so any more.
    pub seen: Option<KeyTerms>,
}

impl Changes {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.policy.is_none() && self.scopes.is_none() && self.name.is_none() && self.life.is_none()
    }

    fn over(&self, terms: KeyTerms, now: Timestamp) -> KeyTerms {
        KeyTerms {
            policy: self.policy.clone().unwrap_or(terms.policy),
            scopes: self.scopes.clone().unwrap_or(terms.scopes),
            name: self.name.clone().unwrap_or(terms.name),
            expires_at: match self.life {
                Some(life) => life.map(|life| now.plus(life)),
                None => terms.expires_at,
            },
        }
    }
}

/// Changes all of the keys or none; a record for each, with what it was before. It holds at the next request, and for the
/// tokens that rest on them. A key that is so already is left alone and not recorded; an expired one lives again where it
/// is given a new end. A revoked key is a conflict.
pub fn set_all(ctx: &Ctx, ids: &[KeyId], changes: Changes) -> Result<Vec<ApiKey>, OpsError> {
    let object = names(ids);
    let changes = ctx.check(Act::KeySet, &object, || {
        if changes.is_empty() {
            return Err(OpsError::Invalid(
                "nothing was given to change: a policy, scopes, a name or an end".into(),
            ));
        }
        changes.name.as_deref().map_or(Ok(()), check_name)?;
        changes.life.map_or(Ok(()), check_life)?;
        Ok(Changes { scopes: changes.scopes.map(without_repeats), ..changes })
    })?;
    let ids = without_repeats(ids.to_vec());
    let pace = ctx.pace.clone();
    ctx.perform(Act::KeySet, &object, move |deed| {
        pace.expect(ids.len() as u64, Unit::Items);
        require_terms(deed.c, changes.scopes.as_deref(), changes.policy.as_ref())?;
        let set = |id: KeyId| {
            pace.or_nothing()?;
            pace.step(1);
            let key = find(deed, id)?;
            let state = key.state(deed.now);
            if state == KeyState::Revoked {
                return Err(conflict(&key, state, "for good: nothing of it can be changed"));
            }
            let before = key.terms();
            if changes.seen.as_ref().is_some_and(|seen| *seen != before) {
                return Err(OpsError::Conflict(format!(
                    "key {id} was changed meanwhile; look at it again, and change it then"
                )));
            }
            let after = changes.over(before.clone(), deed.now);
            if after == before {
                return Ok(key);
            }
            store::api_key::set_terms(deed.c, id, &after)?;
            record(deed, &key, json!({ "before": before, "after": after }))?;
            store::api_key::find(deed.c, id)?.ok_or_else(|| missing(id))
        };
        ids.into_iter().map(set).collect()
    })
}

#[cfg(test)]
mod tests;
