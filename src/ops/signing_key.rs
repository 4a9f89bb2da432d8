//! Acts on signing keys.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Ctx, OpsError, context::Deed, reason};
use crate::domain::{
    act::Act,
    clock::Timestamp,
    jose::Algorithm,
    name::Kid,
    signing_key::{SigningKey, SigningKeyState, key_set},
    text::visible,
    token::{MOST_SKEW, TokenId},
};
use crate::store::{self, Rows, Sound, StoreError};
use crate::vault::{BadSigningKey, Imported, RsaBits, SealedEntry, SigningPair};

/// The longest time for which a key is published ahead, and for which it verifies once it was rotated: 400 days.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);
const LONGEST_NAME: usize = 64;

/// What a new signing key is to be.
#[derive(Clone, Debug)]
pub struct NewSigningKey {
    pub algorithm: Algorithm,
    /// A label for people.
    pub name: String,
    /// Counts for RSA alone.
    pub bits: RsaBits,
    /// `None`: the RFC 7638 thumbprint, and for HS256, of which a digest would help a guesser, a random one.
    pub kid: Option<Kid>,
}

/// How a key gives way to its successor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// For how long the old key verifies after its last signature. `None`: as long as the longest-lived of its tokens.
    pub overlap: Option<Duration>,
    /// For how long the new key is published before it signs.
    pub publish_ahead: Duration,
}

/// A key that was rotated, and the one that signs in its place.
#[derive(Clone, Debug)]
pub struct Rotated {
    pub old: SigningKey,
    pub new: SigningKey,
}

/// A new key, which signs from now on.
pub fn create(ctx: &Ctx, new: NewSigningKey) -> Result<SigningKey, OpsError> {
    let made = ctx.check(Act::SigningKeyCreate, "", || {
        check_name(&new.name)?;
        let pair = SigningPair::generate(new.algorithm, new.bits).map_err(bad)?;
        make(ctx, Act::SigningKeyCreate, &pair, new.kid.clone(), &new.name, ctx.now())
    })?;
    insert(ctx, Act::SigningKeyCreate, made)
}

/// A key that another tool made (see [`SigningPair::import`]), which signs from now on. Its own `kid` is kept where none is
/// asked for.
pub fn import(ctx: &Ctx, new: NewSigningKey, text: &str) -> Result<SigningKey, OpsError> {
    let made = ctx.check(Act::SigningKeyImport, "", || {
        check_name(&new.name)?;
        let Imported { pair, kid } = SigningPair::import(text, new.algorithm).map_err(bad)?;
        make(ctx, Act::SigningKeyImport, &pair, new.kid.clone().or(kid), &new.name, ctx.now())
    })?;
    insert(ctx, Act::SigningKeyImport, made)
}

/// A new key of the same algorithm takes over from `kid`, which goes on verifying for a while. Only one that is active can
/// be rotated, and once.
pub fn rotate(ctx: &Ctx, kid: &Kid, rotation: Rotation) -> Result<Rotated, OpsError> {
    let object = kid.to_string();
    let (new, private) = ctx.check(Act::SigningKeyRotate, &object, || {
        if rotation.publish_ahead > LONGEST || rotation.overlap.is_some_and(|overlap| overlap > LONGEST) {
            return Err(OpsError::Invalid("a rotation spans 400 days at most".into()));
        }
        let old = ctx.store.read(|c| find(c, kid))?;
        let bits = RsaBits::of(old.public.as_ref());
        let pair = SigningPair::generate(old.algorithm, bits).map_err(bad)?;
        make(ctx, Act::SigningKeyRotate, &pair, None, &old.name, ctx.now().plus(rotation.publish_ahead))
    })?;
    let kid = kid.clone();
    ctx.perform(Act::SigningKeyRotate, &object, move |deed| {
        let old = find(deed.c, &kid)?;
        let state = old.state(deed.now);
        if state != SigningKeyState::Active {
            return Err(conflict(&old, state, "only an active one can be rotated"));
        }
        if let Some(until) = old.signs_until {
            return Err(OpsError::Conflict(format!(
                "signing key {kid} was rotated already: it signs until {until}"
            )));
        }
        let overlap = match rotation.overlap {
            Some(overlap) => overlap,
            None => store::token::longest_life(deed.c, &kid)?.max(super::token::DEFAULT_LIFE) + MOST_SKEW,
        };
        let until = new.signs_from;
        store::signing_key::insert(deed.c, &new, &private, deed.now)?;
        store::signing_key::set_ending(deed.c, &kid, until, until.plus(overlap))?;
        let old = find(deed.c, &kid)?;
        let detail = json!({
            "new": new.kid, "signs_from": new.signs_from, "verifies_until": old.verifies_until,
        });
        deed.record(kid.as_str(), detail)?;
        Ok(Rotated { old, new })
    })
}

/// For good and at once: all that it signed is refused, and its private part is destroyed. Retiring twice is a conflict.
pub fn retire(ctx: &Ctx, kid: &Kid, why: &str) -> Result<SigningKey, OpsError> {
    let why = ctx.check(Act::SigningKeyRetire, kid.as_str(), || reason(why))?;
    let kid = kid.clone();
    ctx.perform(Act::SigningKeyRetire, &kid.to_string(), move |deed| {
        let key = find(deed.c, &kid)?;
        if key.retired_at.is_some() {
            return Err(conflict(&key, SigningKeyState::Retired, "for good"));
        }
        store::signing_key::set_retired(deed.c, &kid, deed.now)?;
        deed.record(kid.as_str(), json!({ "alg": key.algorithm, "reason": why }))?;
        find(deed.c, &kid)
    })
}

/// Every key that there ever was, the newest first.
pub fn list(ctx: &Ctx) -> Result<Vec<SigningKey>, OpsError> {
    Ok(ctx.store.read(store::signing_key::list)?)
}

/// Those that are not damaged, and what is wrong with the others.
pub fn sound(ctx: &Ctx) -> Result<Sound<SigningKey>, OpsError> {
    Ok(ctx.store.read(store::signing_key::sound)?)
}

pub fn show(ctx: &Ctx, kid: &Kid) -> Result<SigningKey, OpsError> {
    ctx.store.read(|c| find(c, kid))
}

/// What is published: the JWK set of all keys that verify (RFC 7517 §5).
pub fn published(ctx: &Ctx) -> Result<Value, OpsError> {
    Ok(key_set(&list(ctx)?, ctx.now()))
}

/// The pair of a key, out of the vault.
pub(super) fn pair(ctx: &Ctx, act: Act, kid: &Kid) -> Result<SigningPair, OpsError> {
    let Some(entry) = ctx.store.read(|c| store::signing_key::private(c, kid))? else {
        return Err(StoreError::Corrupt {
            file: "the store".into(),
            detail: format!("the private part of signing key {kid} is gone from the vault"),
        }
        .into());
    };
    Ok(ctx.vault(act)?.open_signing_key(kid, &entry)?)
}

fn make(
    ctx: &Ctx,
    act: Act,
    pair: &SigningPair,
    kid: Option<Kid>,
    name: &str,
    signs_from: Timestamp,
) -> Result<(SigningKey, SealedEntry), OpsError> {
    let verifying = pair.verifying_key().map_err(bad)?;
    let kid = match kid {
        Some(kid) => kid,
        None if pair.algorithm().is_symmetric() => random_kid()?,
        None => verifying.thumbprint().parse().map_err(|error| OpsError::Invalid(format!("{error}")))?,
    };
    let sealed = ctx.vault(act)?.seal_signing_key(&kid, pair)?;
    let public = verifying.with_kid(kid.as_str()).to_jwk();
    let key = SigningKey {
        kid,
        algorithm: pair.algorithm(),
        name: name.to_owned(),
        created_at: ctx.now(),
        signs_from,
        signs_until: None,
        verifies_until: None,
        retired_at: None,
        public,
    };
    Ok((key, sealed))
}

fn random_kid() -> Result<Kid, OpsError> {
    let id = TokenId::generate().map_err(super::no_randomness)?;
    id.to_string().parse().map_err(|error| OpsError::Invalid(format!("{error}")))
}

fn insert(ctx: &Ctx, act: Act, made: (SigningKey, SealedEntry)) -> Result<SigningKey, OpsError> {
    let (key, private) = made;
    ctx.perform(act, &key.kid.to_string(), move |deed| {
        refuse_known(deed, &key.kid)?;
        store::signing_key::insert(deed.c, &key, &private, deed.now)?;
        deed.record(key.kid.as_str(), json!({ "alg": key.algorithm, "name": key.name }))?;
        Ok(key)
    })
}

/// A kid says for good which key signed: it is never given to another.
fn refuse_known(deed: &Deed<'_>, kid: &Kid) -> Result<(), OpsError> {
    match store::signing_key::find(deed.c, kid)? {
        None => Ok(()),
        Some(known) => Err(OpsError::Conflict(format!(
            "there is a signing key {kid} already, which is {}; a kid is never used twice: name another with --kid",
            known.state(deed.now).as_str()
        ))),
    }
}

fn find(c: &Rows<'_>, kid: &Kid) -> Result<SigningKey, OpsError> {
    store::signing_key::find(c, kid)?.ok_or_else(|| {
        OpsError::NotFound(format!(
            "there is no signing key {kid}; `portcullis signing-key list` shows those there are"
        ))
    })
}

fn conflict(key: &SigningKey, state: SigningKeyState, rest: &str) -> OpsError {
    OpsError::Conflict(format!("signing key {} is {}; {rest}", key.kid, state.as_str()))
}

fn bad(error: BadSigningKey) -> OpsError {
    match error {
        BadSigningKey::Vault(error) => error.into(),
        other => OpsError::Invalid(other.to_string()),
    }
}

fn check_name(name: &str) -> Result<(), OpsError> {
    if name.chars().count() > LONGEST_NAME || visible(name) != name {
        return Err(OpsError::Invalid(format!(
            "a signing key's name has at most {LONGEST_NAME} characters, all of them visible"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
