//! Acts on policies, and what may be asked of one before it is saved.

use serde_json::json;

use super::{Ctx, OpsError, context::Deed, reason, refuse_credential, scope};
use crate::domain::{
    act::Act,
    credential::Kind,
    name::PolicyName,
    policy::{BadPolicy, Fault, Policy, Revision},
    scope::Catalogue,
    text::{counted, nearest},
};
use crate::store::{self, Rows, Sound, StoreError};

mod simulate;

pub use simulate::{Call, LeftOut, Simulated, SimulatedRequest, read_requests, recorded, simulate};

/// The document must be under a name that no policy has. Scopes that the catalogue does not have
/// are refused (`Invalid`). A name that was deleted goes on counting its revisions.
pub fn create(ctx: &Ctx, policy: Policy, reason: &str) -> Result<Revision, OpsError> {
    save(ctx, Act::PolicyCreate, policy, reason, |policy, newest| match newest? {
        None => Ok(None),
        Some(_) => Err(OpsError::Conflict(format!(
            "there is a policy `{0}` already; `portcullis policy apply` saves a new revision of it",
            policy.name
        ))),
    })
}

/// New, or a new revision, which also mends a policy whose newest revision is damaged. A document equal to the newest
/// revision changes nothing and returns that revision.
pub fn apply(ctx: &Ctx, policy: Policy, reason: &str) -> Result<Revision, OpsError> {
    save(ctx, Act::PolicyApply, policy, reason, |_, newest| Ok(StoreError::none_where_damaged(newest)?))
}

/// As `apply`, but only if `expected` is still the newest revision: what an editor that was open for a while uses.
pub fn apply_over(ctx: &Ctx, policy: Policy, expected: u32, reason: &str) -> Result<Revision, OpsError> {
    save(ctx, Act::PolicyApply, policy, reason, move |policy, newest| match newest? {
        None => Err(OpsError::NotFound(format!(
            "policy `{0}` was deleted meanwhile; `portcullis policy create` saves it anew",
            policy.name
        ))),
        Some(newest) if newest.revision != expected => Err(OpsError::Conflict(format!(
            "policy `{}` was changed meanwhile: {} saved revision {}, and this edit began at {expected}; look at \
             the difference and edit again",
            policy.name, newest.author, newest.revision
        ))),
        newest => Ok(newest),
    })
}

/// Saves revision `to` again as the newest. A conflict where it is the newest, or says the same.
pub fn rollback(ctx: &Ctx, name: &PolicyName, to: u32, why: &str) -> Result<Revision, OpsError> {
    roll_back(ctx, name, to, None, why)
}

/// As `rollback`, but only if `expected` is still the newest revision: what a person does who was shown the difference.
pub fn rollback_over(
    ctx: &Ctx,
    name: &PolicyName,
    to: u32,
    expected: u32,
    why: &str,
) -> Result<Revision, OpsError> {
    roll_back(ctx, name, to, Some(expected), why)
}

fn roll_back(
    ctx: &Ctx,
    name: &PolicyName,
    to: u32,
    expected: Option<u32>,
    why: &str,
) -> Result<Revision, OpsError> {
    let why = ctx.check(Act::PolicyRollback, name.as_str(), || reason(why))?;
    let name = name.clone();
    ctx.perform(Act::PolicyRollback, &name.to_string(), move |deed| {
        let newest = store::policy::find(deed.c, &name)?.ok_or_else(|| missing(deed.c, &name))?;
        if expected.is_some_and(|expected| expected != newest.revision) {
            return Err(OpsError::Conflict(format!(
                "policy `{name}` was changed meanwhile: {} saved revision {}; nothing was rolled back: look at the \
                 difference again",
                newest.author, newest.revision
            )));
        }
        let Some(wanted) = store::policy::revision(deed.c, &name, to)? else {
            return Err(OpsError::NotFound(format!(
                "policy `{name}` has no revision {to}; `portcullis policy history {name}` shows those there are"
            )));
        };
        if wanted.policy == newest.policy {
            return Err(OpsError::Conflict(format!(
                "policy `{name}` is as revision {to} says already (it is at revision {})",
                newest.revision
            )));
        }
        scope::require_known(&scope::catalogue(deed.c, &wanted.policy.scopes)?, &wanted.policy.scopes)?;
        write(deed, wanted.policy, why, json!({ "to": to }))
    })
}

/// Refused while credentials are under it, and always for `default`. Its revisions are kept.
pub fn delete(ctx: &Ctx, name: &PolicyName, why: &str) -> Result<(), OpsError> {
    let why = ctx.check(Act::PolicyDelete, name.as_str(), || reason(why))?;
    let name = name.clone();
    ctx.perform(Act::PolicyDelete, &name.to_string(), move |deed| {
        if name == PolicyName::default() {
            return Err(OpsError::Conflict(format!(
                "the policy `{name}` cannot be deleted; edit it instead"
            )));
        }
        let newest = store::policy::find(deed.c, &name)?.ok_or_else(|| missing(deed.c, &name))?;
        for kind in Kind::ALL {
            let under = store::credential::under(deed.c, kind, &name, deed.now)?;
            if under > 0 {
                return Err(OpsError::Conflict(told_under(kind, under, &name)));
            }
        }
        let issuers = store::issuer::list(deed.c)?;
        if let Some(issuer) = issuers.iter().find(|issuer| issuer.policy == name) {
            return Err(OpsError::Conflict(format!(
                "the tokens of issuer `{0}` are under policy `{name}`; put them under another (`portcullis issuer set {0} \
                 --policy P`), or remove the issuer first",
                issuer.name
            )));
        }
        store::policy::delete(deed.c, &name)?;
        deed.record(name.as_str(), json!({ "revision": newest.revision, "reason": why }))
    })
}

/// That credentials of a kind are under the policy, and what becomes of them.
fn told_under(kind: Kind, under: u64, policy: &PolicyName) -> String {
    let (held, mend) = match kind {
        Kind::ApiKey => {
            ("", "put them under another (`portcullis key set ID --policy P`), or revoke and purge them")
        }
        Kind::Token => (", and not expired", "wait, or name another policy"),
    };
    let command = kind.command();
    format!(
        "{} {} under policy `{policy}`{held}; {mend} (`portcullis {command} list --filter policy:={policy}`)",
        counted(under, command),
        if under == 1 { "is" } else { "are" }
    )
}

pub fn show(ctx: &Ctx, name: &PolicyName) -> Result<Revision, OpsError> {
    ctx.store.read(|c| store::policy::find(c, name)?.ok_or_else(|| missing(c, name)))
}

/// The newest revision of every policy, by name, with the number of credentials under it.
pub fn list(ctx: &Ctx) -> Result<Vec<(Revision, u64)>, OpsError> {
    let now = ctx.now();
    ctx.store.read(|c| Ok(store::policy::list(c, now)?))
}

/// The same of those that are not damaged, and what is wrong with the others.
pub fn sound(ctx: &Ctx) -> Result<Sound<(Revision, u64)>, OpsError> {
    let now = ctx.now();
    ctx.store.read(|c| Ok(store::policy::sound(c, now)?))
}

/// All revisions, newest first; those of a deleted policy as well.
pub fn history(ctx: &Ctx, name: &PolicyName) -> Result<Vec<Revision>, OpsError> {
    ctx.store.read(|c| {
        let history = store::policy::history(c, name)?;
        if history.is_empty() { Err(missing(c, name)) } else { Ok(history) }
    })
}

/// The newest document as it would be applied again.
pub fn export(ctx: &Ctx, name: &PolicyName) -> Result<String, OpsError> {
    Ok(show(ctx, name)?.policy.to_json())
}

/// Judges a document without saving it: the policy with its warnings, or everything that is wrong
/// with it, scopes that the catalogue does not have included.
pub fn check(catalogue: &Catalogue, text: &str) -> Result<(Policy, Vec<Fault>), BadPolicy> {
    let policy = Policy::from_json(text)?;
    let faults = unknown_scopes(catalogue, &policy);
    if !faults.is_empty() {
        return Err(BadPolicy { faults });
    }
    let warnings = policy.warnings();
    Ok((policy, warnings))
}

fn unknown_scopes(catalogue: &Catalogue, policy: &Policy) -> Vec<Fault> {
    let unknown = policy.scopes.iter().enumerate().filter(|(_, name)| catalogue.get(name).is_none());
    unknown
        .map(|(index, name)| Fault {
            path: format!("scopes[{index}]"),
            message: scope::describe_unknown(catalogue, name),
        })
        .collect()
}

/// Saves `policy` where `allows` does not object to what there is of it, and answers the newest revision.
fn save(
    ctx: &Ctx,
    act: Act,
    policy: Policy,
    why: &str,
    allows: impl FnOnce(&Policy, Result<Option<Revision>, StoreError>) -> Result<Option<Revision>, OpsError>
    + Clone
    + Send
    + 'static,
) -> Result<Revision, OpsError> {
    let object = policy.name.to_string();
    let why = ctx.check(act, &object, || {
        refuse_credential("a policy's description", &policy.description)?;
        reason(why)
    })?;
    ctx.perform(act, &object, move |deed| {
        let newest = allows(&policy, store::policy::find(deed.c, &policy.name))?;
        let faults = unknown_scopes(&scope::catalogue(deed.c, &policy.scopes)?, &policy);
        if !faults.is_empty() {
            return Err(OpsError::Invalid(BadPolicy { faults }.to_string()));
        }
        match newest {
            Some(newest) if newest.policy == policy => Ok(newest),
            _ => write(deed, policy, why, json!({})),
        }
    })
}

/// Writes the next revision and makes it the newest. `detail` is added to what is recorded.
fn write(
    deed: &Deed<'_>,
    policy: Policy,
    reason: String,
    mut detail: serde_json::Value,
) -> Result<Revision, OpsError> {
    let name = policy.name.clone();
    let next = store::policy::next_revision(deed.c, &name)?;
    let revision =
        Revision { policy, revision: next, author: deed.actor.clone(), reason, saved_at: deed.now };
    store::policy::insert(deed.c, &revision)?;
    if let Some(detail) = detail.as_object_mut() {
        detail.insert("revision".into(), revision.revision.into());
        detail.insert("reason".into(), revision.reason.as_str().into());
    }
    deed.record(name.as_str(), detail)?;
    Ok(revision)
}

fn missing(c: &Rows<'_>, name: &PolicyName) -> OpsError {
    OpsError::NotFound(describe_unknown(c, name))
}

/// What to say of a policy that there is not.
pub(super) fn describe_unknown(c: &Rows<'_>, name: &PolicyName) -> String {
    // Those there are only help: where they cannot be read, the answer is the same.
    let known = store::policy::names(c).unwrap_or_default();
    match nearest(known.iter().map(PolicyName::as_str), name.as_str()) {
        Some(nearest) => format!("there is no policy `{name}`; did you mean `{nearest}`?"),
        None => format!("there is no policy `{name}`; `portcullis policy list` shows those there are"),
    }
}

#[cfg(test)]
mod tests;
