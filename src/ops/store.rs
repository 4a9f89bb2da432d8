//! The acts on the store as a whole: to go on with one that is not what the home remembers, and to begin anew.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    sync::Arc,
};

use serde_json::json;

use super::{Ctx, OpsError, audit, context::Deed, reason};
use crate::{
    domain::{act::Act, clock::Clock, revocation::Revocation, stop::Stops},
    store::{
        self, Mode, Store, StoreError,
        anchor::{self, Anchor},
        home::Home,
        stops,
        upgrade::CopyBefore,
    },
};

/// Why an accepted row was changed, as it stands beside it.
const WHY: &str = "remembered by the home when an older store was put back";

/// What was accepted, and what came of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Accepted {
    /// The last record of the store as it was found.
    pub seq: i64,
    /// The last record that was seen before; `None` where the home's anchor is gone or damaged.
    pub remembered: Option<i64>,
    /// What was stopped again, each in a few words.
    pub stopped: Vec<String>,
    /// What may be let in again that was stopped once, each a sentence.
    pub unknown: Vec<String>,
}

/// Goes on with the store that is there: what the home remembers of those who were stopped is done again in it, and from
/// now on it is the home's own. Refused where its audit chain is not whole, and where there is nothing to accept.
pub fn accept(home: &Home, face: &str, clock: Arc<dyn Clock>, why: &str) -> Result<Accepted, OpsError> {
    let why = reason(why)?;
    let store = Store::open(home, Mode::ReadWrite)?;
    let ctx = Ctx::open_unanchored(store, home, face, Arc::clone(&clock))?;
    // A clock that ran ahead once is forgotten by accepting the store as well.
    if !ctx.store.high_water().is_past(ctx.now()) {
        match Ctx::open(home, Mode::ReadWrite, face, clock) {
            Ok(_) => {
                return Err(OpsError::Conflict(
                    "this home has the store that it remembers, and it is in order: there is nothing to accept".into(),
                ));
            }
            Err(OpsError::Store(error)) if error.is_of_a_lost_store() => {}
            Err(other) => return Err(other),
        }
    }
    let verdict = audit::verify(&ctx)?;
    if !verdict.valid {
        return Err(OpsError::Conflict(format!(
            "this store is not accepted: its audit chain is not whole ({}); put back a whole copy",
            verdict.reason.unwrap_or_default()
        )));
    }
    let vault = ctx.vault(Act::StoreAccept)?;
    let key = vault.audit_signer().key()?;
    let folder = ctx.store.home().to_owned();
    let before = anchor::read(&folder)?.and_then(|found| found.open(Some(&key)).ok());
    let (remembered, now) = (before.clone(), ctx.now());
    let accepted = ctx.perform(Act::StoreAccept, "", move |deed| {
        let seq = store::audit::head(deed.c)?.map_or(0, |entry| entry.record.seq);
        let stopped = match &remembered {
            Some(anchor) => stop_again(deed, anchor)?,
            None => Vec::new(),
        };
        let unknown = unknown(remembered.as_ref(), seq);
        let detail = json!({
            "reason": why, "store": remembered.as_ref().map(|anchor| &anchor.store_id),
            "remembered": remembered.as_ref().map(|anchor| json!({ "seq": anchor.seq, "hash": anchor.hash })),
            "stopped": stopped,
        });
        deed.record("", detail)?;
        Ok(Accepted { seq, remembered: remembered.as_ref().map(|anchor| anchor.seq), stopped, unknown })
    })?;
    // Of the moment as it is now: a clock that ran ahead once is forgotten with this, by a gateway that runs as well.
    ctx.store.anchor_anew(vault, now)?;
    Ok(accepted)
}

/// Stops again whom the anchor remembers as stopped. Each is a record of its own, as if an operator had done it: the chain is
/// to bear it out later.
pub(super) fn stop_again(deed: &Deed<'_>, anchor: &Anchor) -> Result<Vec<String>, OpsError> {
    let (c, now) = (deed.c, deed.now);
    let record = |act, object: &str, detail| {
        store::audit::append(c, now, &deed.actor, act, object, detail).map(|_| ())
    };
    let why = json!({ "reason": WHY });
    let mut wanted = Stops::default();
    anchor.stops.iter().for_each(|record| wanted.add(record));
    let mut done = Vec::new();
    let mut keys: Vec<_> = wanted.keys.iter().collect();
    keys.sort_unstable_by_key(|(id, _)| *id);
    for (text, stop) in keys {
        let Ok(id) = text.parse() else { continue };
        let Some(key) = StoreError::none_where_damaged(store::api_key::find(c, id))?
            .filter(|key| key.revoked_at.is_none())
        else {
            continue;
        };
        if stop.revoked || stop.purged {
            store::api_key::set_revoked(c, id, now, WHY)?;
            record(Act::KeyRevoke, text, why.clone())?;
            done.push(format!("key {text} is revoked"));
        } else if !key.disabled && (stop.disabled || key.rotated_at < stop.rotated_at) {
            // What it has now is a secret that was replaced; its owner has another, which is lost.
            store::api_key::set_disabled(c, id, true)?;
            record(Act::KeyDisable, text, why.clone())?;
            done.push(format!("key {text} is disabled"));
        }
    }
    for (revoked, reach) in &wanted.revoked {
        let Some(target) = stops::target(revoked, reach) else { continue };
        let known = store::revocation::find(c, &target)?;
        if known.is_some_and(|known| known.target.cut() >= target.cut()) {
            continue;
        }
        done.push(format!("{} {} is revoked", target.kind(), target.object()));
        let detail = json!({
            "kind": target.kind(), "issuer": target.issuer(), "cut": target.cut(), "ends_at": reach.ends_at,
            "reason": WHY,
        });
        record(Act::TokenRevoke, &target.object(), detail)?;
        let ends_at = reach.ends_at;
        store::revocation::upsert(c, &Revocation { target, revoked_at: now, reason: WHY.into(), ends_at })?;
    }
    for text in &wanted.retired {
        let Ok(kid) = text.parse() else { continue };
        let is_in_use = StoreError::none_where_damaged(store::signing_key::find(c, &kid))?
            .is_some_and(|key| key.retired_at.is_none());
        if is_in_use && store::signing_key::set_retired(c, &kid, now)? {
            record(Act::SigningKeyRetire, text, why.clone())?;
            done.push(format!("signing key {kid} is retired"));
        }
    }
    for text in &wanted.removed {
        let Ok(name) = text.parse() else { continue };
        if store::issuer::delete(c, &name)? {
            record(Act::IssuerRemove, text, why.clone())?;
            done.push(format!("issuer {name} is removed"));
        }
    }
    Ok(done)
}

/// What nobody can know of the time between the store that is there and the one that was.
fn unknown(anchor: Option<&Anchor>, seq: i64) -> Vec<String> {
    let mut told = Vec::new();
    match anchor {
        None => told.push(
            "whatever was revoked or disabled after this copy was made may be let in again: the home remembers nothing"
                .into(),
        ),
        Some(anchor) if anchor.stops_after > seq => told.push(format!(
            "what was revoked or disabled in records {} to {} may be let in again: the home remembers only what came after",
            seq + 1,
            anchor.stops_after
        )),
        Some(_) => {}
    }
    told.push("a token that may be used once and was used after this copy was made can be used again until it expires".into());
    told.push(
        "policies, scopes and the terms of keys are as they were when this copy was made, and may allow more than they did"
            .into(),
    );
    told
}

/// Brings the store of an earlier release up to date, and does nothing where it is. A copy of it as it was is kept, unless
/// nobody wants one.
pub fn upgrade(home: &Home, face: &str, clock: Arc<dyn Clock>, copy: CopyBefore) -> Result<Ctx, OpsError> {
    if copy == CopyBefore::Omit {
        drop(Store::open_without_copy(home)?);
    }
    Ctx::open(home, Mode::ReadWrite, face, clock)
}

/// What was begun anew, and where the old is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Begun {
    /// The folder within the home that holds what was left of the old store; `None` where nothing was.
    pub aside: Option<String>,
    pub store_id: String,
}

/// Makes a new store in a home whose own is lost, or is not the one that it had. What there is of the old one is moved
/// aside and stays. Refused where the store is in order: there is nothing to begin anew.
pub fn begin_anew(home: &Home, face: &str, clock: Arc<dyn Clock>, why: &str) -> Result<Begun, OpsError> {
    let why = reason(why)?;
    match Ctx::open(home, Mode::ReadOnly, face, Arc::clone(&clock)) {
        Ok(_) => {
            return Err(OpsError::Conflict(
                "this home has its store, and it is in order: there is nothing to begin anew; another home is made by \
                 naming another folder (--home)"
                    .into(),
            ));
        }
        Err(OpsError::Store(error)) if error.is_of_a_lost_store() => {}
        Err(other) => return Err(other),
    }
    let folder = home.real_path()?;
    let old = anchor::read(&folder)?.and_then(|found| found.open(None).ok());
    let aside = move_aside(&folder, &format!("aside-{}", clock.now().millis()))?;
    let detail = json!({
        "reason": why, "aside": aside, "store": old.as_ref().map(|anchor| &anchor.store_id),
        "remembered": old.as_ref().map(|anchor| json!({ "seq": anchor.seq, "hash": anchor.hash })),
    });
    let ctx = Ctx::make(home, face, clock, Act::StoreBeginAnew, detail)?;
    let store_id = ctx.store.read(|c| store::setting::get(c, store::setting::STORE_ID))?.unwrap_or_default();
    Ok(Begun { aside, store_id })
}

/// Moves all that belongs to the old store, but not the key of the vault, which opens it still.
fn move_aside(home: &std::path::Path, name: &str) -> Result<Option<String>, OpsError> {
    let failed = |error: std::io::Error| {
        OpsError::Store(StoreError::Home(format!(
            "what is left of the old store cannot be moved aside: {error}"
        )))
    };
    let there: Vec<_> =
        store::home::PARTS.iter().filter(|part| home.join(part).symlink_metadata().is_ok()).collect();
    if there.is_empty() {
        return Ok(None);
    }
    let aside = home.join(name);
    DirBuilder::new().mode(0o700).create(&aside).map_err(failed)?;
    for part in there {
        fs::rename(home.join(part), aside.join(part)).map_err(failed)?;
    }
    Ok(Some(name.to_owned()))
}

#[cfg(test)]
mod tests;
