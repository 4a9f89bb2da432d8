//! Acts on issuers: whose tokens are taken besides those of this home.
//!
//! Nothing is fetched here: who calls brings what the issuer published.

mod check;
mod keep;
mod review;
mod set;

use std::time::Duration;

use serde_json::json;
use zeroize::Zeroizing;

use super::{Ctx, OpsError, context::Deed, reason};
use crate::domain::{
    act::Act,
    clock::Timestamp,
    issuer::{Issuer, IssuerKeys, Mapping, Source},
    jose::Algorithm,
    name::{IssuerName, PolicyName, Subject},
    token::Profile,
};
use crate::store::{self, Rows, Sound};

pub(super) use check::require_own;
pub use keep::{Asked, Kept, Published, agenda, ask, failed, keep, unchanged};
pub use review::{Review, review, scopes_here};
pub use set::{Changed, Changes, set};

/// What is to be known of a new issuer.
#[derive(Clone, Debug)]
pub struct NewIssuer {
    pub name: IssuerName,
    pub profile: Profile,
    /// `None`: its tokens carry none, which those of one legacy issuer may.
    pub iss: Option<String>,
    /// None: this home's own.
    pub audiences: Vec<String>,
    /// What it may sign with; empty = what its public keys are for.
    pub algorithms: Vec<Algorithm>,
    pub mapping: Mapping,
    pub policy: PolicyName,
    pub keys: NewKeys,
}

/// What an issuer's tokens are verified with.
#[derive(Clone, Debug)]
pub enum NewKeys {
    /// What it publishes, which is fetched again and again: its URL, where its keys are, and the keys.
    Published { url: String, jwks_uri: String, allow_private: Vec<String>, published: Published },
    /// A JWK set that was had by other ways, and stays as it is.
    Set(String),
    /// One key: in PEM or as a JWK; for an algorithm with a shared secret, the secret itself.
    One(Zeroizing<String>),
}

impl NewKeys {
    /// What of them counts for nothing though it could, in sentences, and what mends it.
    pub fn doubts(&self, algorithms: &[Algorithm]) -> Vec<String> {
        match self {
            Self::Published { published, .. } => IssuerKeys::nameless(&published.text, algorithms),
            Self::Set(text) => IssuerKeys::nameless(text, algorithms),
            Self::One(_) => Vec::new(),
        }
    }
}

/// Registers an issuer: from the next request on its tokens are taken. Its name and its `iss` must be free, its policy and
/// the scopes that its own are renamed to must exist.
pub fn add(ctx: &Ctx, new: NewIssuer) -> Result<Issuer, OpsError> {
    let object = new.name.to_string();
    let (issuer, source, secret) = ctx.check(Act::IssuerAdd, &object, || check::made(ctx, new))?;
    ctx.perform(Act::IssuerAdd, &object, move |deed| {
        check::require_place(deed, &issuer)?;
        store::issuer::insert(deed.c, &issuer, secret.as_ref())?;
        if let Some(source) = &source {
            store::issuer_source::upsert(deed.c, &issuer.name, source)?;
        }
        let detail = json!({
            "profile": issuer.profile, "iss": issuer.iss, "url": issuer.url, "audience": issuer.audience(),
            "algorithms": issuer.algorithms, "policy": issuer.policy, "mapping": issuer.mapping,
            "keys": thumbprints(&issuer),
        });
        deed.record(issuer.name.as_str(), detail)?;
        Ok(issuer)
    })
}

/// What a person had fetched takes the place of the keys that there are, and of where they were; it is recorded also
/// where they are the same.
pub fn refresh(ctx: &Ctx, asked: &Asked, jwks_uri: &str, published: &Published) -> Result<Issuer, OpsError> {
    let (act, name) = (Act::IssuerRefresh, asked.0.name.to_string());
    let keys =
        ctx.check(act, &name, || IssuerKeys::read(&published.text, &asked.0.algorithms).map_err(check::bad))?;
    let (asked, jwks_uri, published) = (asked.clone(), jwks_uri.to_owned(), published.clone());
    ctx.perform(act, &name, move |deed| {
        let (issuer, mut source) = keep::as_asked(deed.c, &asked)?;
        source.jwks_uri = jwks_uri;
        Ok(keep::put(deed, issuer, source, &keys, &published, true)?.issuer)
    })
}

/// From the next request on none of its tokens is taken. What was revoked of it stays so, should the name come back.
pub fn remove(ctx: &Ctx, name: &IssuerName, why: &str) -> Result<(), OpsError> {
    let why = ctx.check(Act::IssuerRemove, name.as_str(), || reason(why))?;
    let name = name.clone();
    ctx.perform(Act::IssuerRemove, &name.to_string(), move |deed| {
        // Also one whose row is damaged.
        if !store::issuer::delete(deed.c, &name)? {
            return Err(missing(&name));
        }
        deed.record(name.as_str(), json!({ "reason": why }))
    })
}

/// All of them, by name, and where the keys of each come from.
pub fn list(ctx: &Ctx) -> Result<Vec<(Issuer, Option<Source>)>, OpsError> {
    ctx.store.read(|c| {
        let with_source = |issuer: Issuer| {
            let source = store::issuer_source::find(c, &issuer.name)?;
            Ok((issuer, source))
        };
        store::issuer::list(c)?.into_iter().map(with_source).collect()
    })
}

/// The same of those that are not damaged, and what is wrong with the others.
pub fn sound(ctx: &Ctx) -> Result<Sound<(Issuer, Option<Source>)>, OpsError> {
    ctx.store.read(|c| {
        let (issuers, mut damaged) = store::issuer::sound(c)?;
        let mut sound = Vec::with_capacity(issuers.len());
        for issuer in issuers {
            match store::issuer_source::find(c, &issuer.name) {
                Ok(source) => sound.push((issuer, source)),
                Err(error) if error.is_of_one_row() => damaged.push(error),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((sound, damaged))
    })
}

/// An issuer, and where its keys come from; `None` where they were given by hand.
pub fn show(ctx: &Ctx, name: &IssuerName) -> Result<(Issuer, Option<Source>), OpsError> {
    ctx.store.read(|c| Ok((find(c, name)?, store::issuer_source::find(c, name)?)))
}

fn find(c: &Rows<'_>, name: &IssuerName) -> Result<Issuer, OpsError> {
    store::issuer::find(c, name)?.ok_or_else(|| missing(name))
}

/// One whose keys are fetched.
fn fetched(c: &Rows<'_>, name: &IssuerName) -> Result<(Issuer, Source), OpsError> {
    let issuer = find(c, name)?;
    match store::issuer_source::find(c, name)? {
        Some(source) => Ok((issuer, source)),
        None => Err(OpsError::Conflict(format!(
            "the keys of issuer {name} were given by hand, and nothing is fetched; to give others: portcullis issuer set \
             {name} --jwks FILE"
        ))),
    }
}

fn thumbprints(issuer: &Issuer) -> Vec<String> {
    IssuerKeys::read(&issuer.keys.to_string(), &issuer.algorithms)
        .map(|keys| keys.thumbprints())
        .unwrap_or_default()
}

fn missing(name: &IssuerName) -> OpsError {
    OpsError::NotFound(format!("there is no issuer {name}; `portcullis issuer list` shows those there are"))
}

#[cfg(test)]
mod tests;
