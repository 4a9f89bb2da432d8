//! Changing what an issuer's tokens have to be, what they mean here, and what they are verified with.

use std::collections::BTreeMap;

use super::check::{Made, invalid};
use super::*;
use crate::domain::{
    issuer::{IssuerTerms, Preset},
    name::ScopeName,
    text::excerpt,
};
use crate::ops::without_repeats;

/// What is to change of an issuer; what is `None` stays as it is. A list stands in the place of the one that there is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// How its tokens are written, but for the names of scopes; whatever else is given beats it.
    pub like: Option<&'static Preset>,
    pub profile: Option<Profile>,
    /// Empty: this home's own.
    pub audiences: Option<Vec<String>>,
    /// Empty: what its public keys are for.
    pub algorithms: Option<Vec<Algorithm>>,
    pub policy: Option<PolicyName>,
    pub subject: Option<String>,
    pub subject_prefix: Option<String>,
    pub scopes: Option<Vec<String>>,
    /// `aud`: none stands for it.
    pub audience_claim: Option<String>,
    pub prefix: Option<String>,
    pub rename: Option<BTreeMap<String, ScopeName>>,
    pub only_mapped: Option<bool>,
    pub keys: Option<NewKeys>,
    /// What its tokens have in `iss`, which can only be said again.
    pub iss: Option<String>,
    /// What was shown to whoever changes it, where something was: a conflict where it is not so any more.
    pub seen: Option<IssuerTerms>,
}

/// An issuer that was to be changed.
#[derive(Clone, Debug)]
pub struct Changed {
    pub issuer: Issuer,
    pub source: Option<Source>,
    /// What falls of its tokens, each in a sentence.
    pub falls: Vec<String>,
    /// Whether it was not so already.
    pub is_changed: bool,
}

/// Changes an issuer in place, and records what it was before. It holds at the next request, for open sessions and streams
/// too. One that is so already is left alone and not recorded. Its name and its `iss` stay: what is told from it goes by
/// these.
pub fn set(ctx: &Ctx, name: &IssuerName, changes: Changes) -> Result<Changed, OpsError> {
    let (act, object) = (Act::IssuerSet, name.to_string());
    ctx.check(act, &object, || match changes.is_empty() {
        true => Err(invalid("nothing was given to change: see `portcullis issuer set --help`")),
        false => Ok(()),
    })?;
    let (name, own) = (name.clone(), ctx.clone());
    ctx.perform(act, &object, move |deed| {
        let (before, source) = (find(deed.c, &name)?, store::issuer_source::find(deed.c, &name)?);
        let was = before.terms(source.as_ref());
        if changes.seen.as_ref().is_some_and(|seen| *seen != was) {
            return Err(OpsError::Conflict(format!(
                "issuer {name} was changed meanwhile; look at it again, and change it then"
            )));
        }
        changes.require_same_iss(&before)?;
        let (after, from, secret) = changes.made(&own, &before, source.clone())?;
        check::require_change(deed, &before, &after)?;
        let is = after.terms(from.as_ref());
        if is == was && after.keys == before.keys && secret.is_none() {
            return Ok(Changed { issuer: before, source, falls: Vec::new(), is_changed: false });
        }
        store::issuer::update(deed.c, &after)?;
        match &from {
            Some(from) => store::issuer_source::upsert(deed.c, &name, from)?,
            None => store::issuer_source::delete(deed.c, &name)?,
        }
        if changes.keys.is_some() {
            store::issuer::replace_secret(deed.c, &name, secret.as_ref(), deed.now)?;
        }
        deed.record(name.as_str(), json!({ "before": told(&was, &before), "after": told(&is, &after) }))?;
        let mut falls = is.falls(&was);
        falls.extend(without_keys(&before, &after));
        if secret.is_some() {
            falls.push("tokens signed with another secret are refused".into());
        }
        Ok(Changed { issuer: after, source: from, falls, is_changed: true })
    })
}

impl Changes {
    fn is_empty(&self) -> bool {
        let Self { like, profile, audiences, algorithms, policy, .. } = self;
        let Self { subject, subject_prefix, scopes, audience_claim, prefix, rename, .. } = self;
        let is_mapping = [subject, subject_prefix, audience_claim, prefix].into_iter().any(Option::is_some)
            || (scopes.is_some() || rename.is_some() || self.only_mapped.is_some() || like.is_some());
        let is_demand = profile.is_some() || audiences.is_some() || algorithms.is_some() || policy.is_some();
        !is_mapping && !is_demand && self.keys.is_none() && self.iss.is_none()
    }

    fn require_same_iss(&self, issuer: &Issuer) -> Result<(), OpsError> {
        if self.iss.is_none() || self.iss == issuer.iss {
            return Ok(());
        }
        let has = match &issuer.iss {
            Some(iss) => format!("is `{iss}`"),
            None => "is that they have none".into(),
        };
        Err(OpsError::Conflict(format!(
            "the `iss` of the tokens of issuer {} {has}, and stays so: they are told apart and revoked by it; another `iss` is \
             another issuer: portcullis issuer add",
            issuer.name
        )))
    }

    /// The issuer as it is to be.
    fn made(&self, ctx: &Ctx, before: &Issuer, source: Option<Source>) -> Result<Made, OpsError> {
        let like = self.like.map(|preset| preset.profile);
        let after = Issuer {
            profile: self.profile.or(like).unwrap_or(before.profile),
            audiences: self.audiences.clone().map_or_else(|| before.audiences.clone(), without_repeats),
            algorithms: self.algorithms.clone().map_or_else(|| before.algorithms.clone(), without_repeats),
            policy: self.policy.clone().unwrap_or_else(|| before.policy.clone()),
            mapping: self.mapping(&before.mapping),
            ..before.clone()
        };
        check::require_texts(&after)?;
        if after.iss.is_none() && after.profile != Profile::Legacy {
            return Err(invalid("its tokens carry no `iss`, which only those of the legacy profile may"));
        }
        match &self.keys {
            Some(keys) => check::with_keys(ctx, Act::IssuerSet, after, keys.clone()),
            None if after.algorithms == before.algorithms => Ok((after, source, None)),
            None => Ok((with_kept(before, after)?, source, None)),
        }
    }

    fn mapping(&self, before: &Mapping) -> Mapping {
        let (rename, prefix) = (before.rename.clone(), before.prefix.clone());
        let subject_prefix = before.subject_prefix.clone();
        let begun = match self.like {
            Some(preset) => Mapping { rename, prefix, subject_prefix, ..preset.mapping() },
            None => before.clone(),
        };
        Mapping {
            subject: self.subject.clone().unwrap_or(begun.subject),
            subject_prefix: self.subject_prefix.clone().unwrap_or(begun.subject_prefix),
            scopes: self.scopes.clone().map_or(begun.scopes, without_repeats),
            audience: match &self.audience_claim {
                Some(claim) => Some(claim.clone()).filter(|claim| claim != "aud"),
                None => begun.audience,
            },
            prefix: self.prefix.clone().unwrap_or(begun.prefix),
            rename: self.rename.clone().unwrap_or(begun.rename),
            only_mapped: self.only_mapped.unwrap_or(begun.only_mapped),
            like: begun.like,
        }
    }
}

/// The issuer with those of its keys that are for the algorithms that it has now. What was not pinned before was not kept.
fn with_kept(before: &Issuer, mut after: Issuer) -> Result<Issuer, OpsError> {
    let again = "give its keys again: --url URL, --jwks FILE or --key-file FILE";
    if before.algorithms.iter().chain(&after.algorithms).any(|algorithm| algorithm.is_symmetric()) {
        return Err(OpsError::Invalid(format!(
            "a shared secret is for its algorithm alone, and so are other keys; with another algorithm {again}"
        )));
    }
    let keys = IssuerKeys::read(&before.keys.to_string(), &after.algorithms).map_err(check::bad)?;
    let known = keys.algorithms();
    let is_new =
        |algorithm: &&Algorithm| !before.algorithms.contains(algorithm) && !known.contains(algorithm);
    if let Some(algorithm) = after.algorithms.iter().find(is_new) {
        return Err(OpsError::Invalid(format!("no key for {algorithm} is known of it; {again}")));
    }
    if known.is_empty() {
        return Err(OpsError::Invalid(format!("none of its keys would be left; {again}")));
    }
    check::set_keys(&mut after, &keys);
    Ok(after)
}

/// What falls with keys that are gone or called otherwise, but for those whose algorithm is gone.
fn without_keys(before: &Issuer, after: &Issuer) -> Vec<String> {
    let named = |keys: &serde_json::Value| {
        let keys = IssuerKeys::read(&keys.to_string(), &after.algorithms);
        keys.iter().flat_map(IssuerKeys::named).collect::<Vec<_>>()
    };
    let kept = named(&after.keys);
    let gone = named(&before.keys).into_iter().filter(|key| !kept.contains(key));
    gone.map(|(kid, _)| format!("what its key `{}` signed is refused", excerpt(&kid))).collect()
}

fn told(terms: &IssuerTerms, issuer: &Issuer) -> serde_json::Value {
    let mut told = json!(terms);
    told["keys"] = json!(thumbprints(issuer));
    told
}

#[cfg(test)]
mod tests;
