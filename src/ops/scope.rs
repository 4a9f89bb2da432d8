//! Acts on the scope catalogue.

use serde_json::json;

use super::{Ctx, OpsError, context::Deed, refuse_credential};
use crate::domain::{
    act::Act,
    credential::Kind,
    filter::{Filter, Term, Test},
    name::ScopeName,
    scope::{Catalogue, Scope},
    text::{counted, nearest, visible},
};
use crate::store::{
    self, Rows, StoreError,
    api_key::{Query, Sort},
};

/// The scope that covers every endpoint. It cannot be changed.
const EVERYTHING: &str = "mcp:*";
const LONGEST_DESCRIPTION: usize = 200;
const MOST_PATTERNS: usize = 100;

pub fn list(ctx: &Ctx) -> Result<Catalogue, OpsError> {
    ctx.store.read(|c| Ok(store::scope::catalogue(c)?))
}

/// The scopes that are not damaged, and what is wrong with the others.
pub fn sound(ctx: &Ctx) -> Result<(Catalogue, Vec<StoreError>), OpsError> {
    ctx.store.read(|c| Ok(store::scope::sound(c)?))
}

/// The catalogue that a home begins with.
pub fn initial() -> Result<Catalogue, OpsError> {
    Catalogue::new(Catalogue::built_in()).map_err(|bad| OpsError::Invalid(bad.to_string()))
}

/// Adds a scope, or changes what one covers; with an equal one there already nothing is written.
pub fn set(ctx: &Ctx, scope: Scope) -> Result<(), OpsError> {
    let object = scope.name.to_string();
    ctx.check(Act::ScopeSet, &object, || check(&scope))?;
    ctx.perform(Act::ScopeSet, &object, move |deed| {
        // One that is damaged is mended by being set.
        let known = StoreError::none_where_damaged(store::scope::find(deed.c, &scope.name))?;
        if known.as_ref() == Some(&scope) {
            return Ok(());
        }
        store::scope::upsert(deed.c, &scope)?;
        let said = |scope: &Scope| json!({ "endpoints": scope.endpoints, "description": scope.description });
        let mut detail = said(&scope);
        if let Some(before) = &known {
            detail["before"] = said(before);
        }
        deed.record(scope.name.as_str(), detail)
    })
}

/// Refused while a credential or policy uses it, and always for `mcp:*`.
pub fn remove(ctx: &Ctx, name: &ScopeName) -> Result<(), OpsError> {
    let name = name.clone();
    ctx.perform(Act::ScopeRemove, &name.to_string(), move |deed| {
        if name.as_str() == EVERYTHING {
            return Err(OpsError::Conflict(format!("the scope `{EVERYTHING}` cannot be removed")));
        }
        if store::scope::find(deed.c, &name)?.is_none() {
            return Err(OpsError::NotFound(describe_unknown(&store::scope::sound(deed.c)?.0, &name)));
        }
        refuse_while_used(deed, &name)?;
        store::scope::delete(deed.c, &name)?;
        deed.record(name.as_str(), json!({}))
    })
}

/// The catalogue, for an act that leans on the scopes `wanted`: an error where one of these is damaged.
pub(super) fn catalogue(c: &Rows<'_>, wanted: &[ScopeName]) -> Result<Catalogue, StoreError> {
    wanted.iter().try_for_each(|name| store::scope::find(c, name).map(|_| ()))?;
    Ok(store::scope::sound(c)?.0)
}

/// Refuses scopes that the catalogue does not have, and names the nearest that it has.
pub(super) fn require_known(catalogue: &Catalogue, scopes: &[ScopeName]) -> Result<(), OpsError> {
    let unknown: Vec<_> = scopes
        .iter()
        .filter(|name| catalogue.get(name).is_none())
        .map(|name| describe_unknown(catalogue, name))
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(OpsError::Invalid(unknown.join("; "))) }
}

/// What to say of a scope that the catalogue does not have.
pub(super) fn describe_unknown(catalogue: &Catalogue, name: &ScopeName) -> String {
    match nearest(catalogue.iter().map(|scope| scope.name.as_str()), name.as_str()) {
        Some(nearest) => format!("there is no scope `{name}`; did you mean `{nearest}`?"),
        None => format!("there is no scope `{name}`; `portcullis scope list` shows those there are"),
    }
}

fn check(scope: &Scope) -> Result<(), OpsError> {
    if scope.name.as_str() == EVERYTHING {
        return Err(OpsError::Conflict(format!(
            "the scope `{EVERYTHING}` covers everything and cannot be changed"
        )));
    }
    if scope.endpoints.is_empty() || scope.endpoints.len() > MOST_PATTERNS {
        return Err(OpsError::Invalid(format!(
            "a scope covers between 1 and {MOST_PATTERNS} endpoint patterns, such as tools/call/*"
        )));
    }
    let description = scope.description.as_str();
    refuse_credential("a scope's description", description)?;
    if description.chars().count() > LONGEST_DESCRIPTION || visible(description) != description {
        return Err(OpsError::Invalid(format!(
            "a scope's description has at most {LONGEST_DESCRIPTION} characters, all of them visible"
        )));
    }
    Ok(())
}

/// Keys that have ended use nothing.
fn refuse_while_used(deed: &Deed<'_>, name: &ScopeName) -> Result<(), OpsError> {
    const SHOWN: u32 = 3;
    let term =
        |negated, field, value: &str| Term { negated, test: Test::Field { field, value: value.into() } };
    let terms =
        [term(false, "scope", name.as_str()), term(true, "state", "revoked"), term(true, "state", "expired")];
    let filter = Filter { terms: terms.into() };
    let mut users = Vec::new();
    for kind in Kind::ALL {
        let count = store::credential::count(deed.c, kind, filter.clone(), deed.now)?;
        let named: Vec<_> = match kind {
            Kind::ApiKey => {
                let q =
                    Query { filter: filter.clone(), sort: Sort::Created, descending: true, now: deed.now };
                let keys = store::api_key::window(deed.c, &q, 0, SHOWN, None)?.into_iter();
                keys.map(|key| key.map_or_else(|damaged| damaged.id, |key| key.id.to_string())).collect()
            }
            // Nobody knows one by its id.
            Kind::Token => Vec::new(),
        };
        let (more, noun) = match named.len() as u64 {
            0 => (count, kind.command().to_owned()),
            named => (count.saturating_sub(named), format!("more {}", kind.command())),
        };
        users.extend(named.into_iter().map(|id| format!("{} {id}", kind.command())));
        users.extend((more > 0).then(|| counted(more, &noun)));
    }
    let policies = store::policy::list(deed.c, deed.now)?;
    let policies = policies.iter().map(|(revision, _)| &revision.policy).filter(|p| p.scopes.contains(name));
    users.extend(policies.map(|policy| format!("policy `{}`", policy.name)));
    if users.is_empty() {
        return Ok(());
    }
    Err(OpsError::Conflict(format!("the scope `{name}` is in use by {}", users.join(", "))))
}

#[cfg(test)]
mod tests;
