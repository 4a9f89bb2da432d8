//! Keeping the keys of issuers fresh: what the gateway does by itself. Recorded is what changed.

use super::*;
use crate::domain::text::visible;

/// The longest word on why keys could not be had, in characters.
const LONGEST_ERROR: usize = 300;

/// A JWK set as an issuer published it.
#[derive(Clone, Debug)]
pub struct Published {
    pub text: String,
    /// What the issuer calls this version of it.
    pub etag: Option<String>,
    /// For how long it says that it stays so.
    pub fresh_for: Option<Duration>,
}

/// What became of keys that were fetched.
#[derive(Clone, Debug)]
pub struct Kept {
    pub issuer: Issuer,
    /// Whether they are others than before.
    pub is_changed: bool,
}

/// An issuer, and where its keys are, as they were when these were asked for.
pub type Asked = (Issuer, Source);

/// Says that the keys of `name` are going to be asked for, where it is time to. `missed`: a token named a key that is not
/// known. `None` where it is not time, or somebody else, in this process or another, is asking already.
pub fn ask(ctx: &Ctx, name: &IssuerName, missed: bool) -> Result<Option<Asked>, OpsError> {
    let now = ctx.now();
    let (_, source) = show(ctx, name)?;
    if !source.is_some_and(|source| source.is_due(now, missed)) {
        return Ok(None);
    }
    let name = name.clone();
    ctx.perform(Act::IssuerRefresh, &name.to_string(), move |deed| {
        let (issuer, mut source) = fetched(deed.c, &name)?;
        if !source.is_due(deed.now, missed) {
            return Ok(None);
        }
        source.asked(deed.now);
        store::issuer_source::upsert(deed.c, &name, &source)?;
        Ok(Some((issuer, source)))
    })
}

/// Takes the keys that were asked for, at `jwks_uri`. What was published and cannot be used is noted as a failure, and is the error.
pub fn keep(ctx: &Ctx, asked: &Asked, jwks_uri: &str, published: &Published) -> Result<Kept, OpsError> {
    let keys = match IssuerKeys::read(&published.text, &asked.0.algorithms) {
        Ok(keys) => keys,
        Err(error) => {
            failed(ctx, asked, &error.to_string())?;
            return Err(check::bad(error));
        }
    };
    let (asked, jwks_uri, published) = (asked.clone(), jwks_uri.to_owned(), published.clone());
    ctx.perform(Act::IssuerRefresh, &asked.0.name.to_string(), move |deed| {
        let (issuer, mut source) = as_asked(deed.c, &asked)?;
        source.jwks_uri = jwks_uri;
        put(deed, issuer, source, &keys, &published, false)
    })
}

/// The keys that were asked for are those that are there.
pub fn unchanged(ctx: &Ctx, asked: &Asked, fresh_for: Option<Duration>) -> Result<(), OpsError> {
    let asked = asked.clone();
    ctx.perform(Act::IssuerRefresh, &asked.0.name.to_string(), move |deed| {
        let (mut issuer, mut source) = as_asked(deed.c, &asked)?;
        let etag = source.etag.take();
        source.had(deed.now, fresh_for, etag);
        store::issuer_source::upsert(deed.c, &issuer.name, &source)?;
        (issuer.fetched_at, issuer.last_error) = (Some(deed.now), String::new());
        store::issuer::update(deed.c, &issuer)?;
        Ok(())
    })
}

/// Notes why keys that were asked for could not be had. Those that are there stay as long as they are good.
pub fn failed(ctx: &Ctx, asked: &Asked, why: &str) -> Result<Issuer, OpsError> {
    let (asked, why) = (asked.clone(), visible(why).chars().take(LONGEST_ERROR).collect::<String>());
    ctx.perform(Act::IssuerRefresh, &asked.0.name.to_string(), move |deed| {
        let (mut issuer, _) = as_asked(deed.c, &asked)?;
        if issuer.last_error != why {
            issuer.last_error = why;
            store::issuer::update(deed.c, &issuer)?;
        }
        Ok(issuer)
    })
}

/// The issuer as it is now. What was had elsewhere, or for other algorithms, than an operator says meanwhile is not its any more: a conflict.
pub(super) fn as_asked(c: &Rows<'_>, (before, from): &Asked) -> Result<Asked, OpsError> {
    let (issuer, source) = fetched(c, &before.name)?;
    let is_there = issuer.url == before.url
        && issuer.algorithms == before.algorithms
        && (&source.jwks_uri, &source.allow_private) == (&from.jwks_uri, &from.allow_private);
    if is_there {
        return Ok((issuer, source));
    }
    Err(OpsError::Conflict(format!(
        "issuer {0} was changed while its keys were asked for, and what came is left; to have them now: portcullis issuer \
         refresh {0}",
        before.name
    )))
}

/// Puts what was published in the place of what there is.
pub(super) fn put(
    deed: &Deed<'_>,
    mut issuer: Issuer,
    mut source: Source,
    keys: &IssuerKeys,
    published: &Published,
    always: bool,
) -> Result<Kept, OpsError> {
    let before = thumbprints(&issuer);
    source.had(deed.now, published.fresh_for, published.etag.clone());
    store::issuer_source::upsert(deed.c, &issuer.name, &source)?;
    let set = keys.to_json();
    let is_changed = set != issuer.keys;
    (issuer.keys, issuer.fetched_at, issuer.last_error) = (set, Some(deed.now), String::new());
    store::issuer::update(deed.c, &issuer)?;
    if is_changed {
        for told in IssuerKeys::nameless(&published.text, &issuer.algorithms) {
            tracing::warn!(issuer = %issuer.name, "{told}");
        }
    }
    if is_changed || always {
        deed.record(issuer.name.as_str(), json!({ "keys": keys.thumbprints(), "before": before }))?;
    }
    Ok(Kept { issuer, is_changed })
}

/// Issuers whose keys are fetched, and when each is next due; those whose rows are damaged are left out.
pub fn agenda(ctx: &Ctx) -> Result<Vec<(IssuerName, Timestamp)>, OpsError> {
    Ok(ctx.store.read(|c| {
        let mut agenda = Vec::new();
        for issuer in store::issuer::sound(c)?.0 {
            match store::issuer_source::find(c, &issuer.name) {
                Ok(source) => agenda.extend(source.map(|source| (issuer.name, source.next_at))),
                Err(error) if error.is_of_one_row() => {
                    tracing::error!(%error, "the keys of this issuer are not fetched");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(agenda)
    })?)
}
