//! Questions and acts about tokens and signing keys.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::console::effect::{
    Answer, Fault, Judged, KeyInUse, KeysInUse, Reach, Reached, TokenAnswer, TokenChoices, TokenDeed,
    TokenDetail, TokenQuery,
};
use crate::domain::{
    clock::Timestamp,
    name::ScopeName,
    pace::Unit,
    revocation::Target,
    scope::Catalogue,
    signing_key::SigningKey,
    token::{IssuedToken, TokenId, inspect},
    usage::Dimension,
};
use crate::ops::{self, Ctx, OpsError};
use crate::store::{self, StoreError};

use super::{DAY, fault, of_credential, policies, since};

/// So many of the busiest credentials are looked at to tell whether what is to be revoked is in use.
const BUSIEST: u32 = 1_000;
/// Revoked in one transaction, so that other writers get their turn between.
const AT_ONCE: usize = 500;
/// The longest file that holds a private key.
const LONGEST_KEY: u64 = 16 * 1024;

pub fn answer(ctx: &Ctx, query: TokenQuery) -> Result<TokenAnswer, OpsError> {
    match query {
        TokenQuery::Window { query, offset, limit, total } => {
            let rows = ctx.store.read(|c| store::token::window(c, &query, offset, limit, total))?;
            Ok(TokenAnswer::Window(crate::console::effect::Window { offset, rows }))
        }
        TokenQuery::Total(query) => {
            Ok(TokenAnswer::Total(ctx.store.read(|c| store::token::count(c, &query))?))
        }
        TokenQuery::Ids { query, offset, limit } => {
            let rows = ctx.store.read(|c| store::token::window(c, &query, offset, limit, None))?;
            Ok(TokenAnswer::Ids(rows.into_iter().flatten().map(|row| row.token.jti).collect()))
        }
        TokenQuery::Place { query, id } => {
            Ok(TokenAnswer::Place(ctx.store.read(|c| store::token::place(c, &query, &id))?))
        }
        TokenQuery::Detail { jti, now } => detail(ctx, jti, now).map(Box::new).map(TokenAnswer::Detail),
        TokenQuery::Counts { now } => {
            Ok(TokenAnswer::Counts(ctx.store.read(|c| store::token::counts(c, now))?))
        }
        TokenQuery::Choices => choices(ctx).map(Box::new).map(TokenAnswer::Choices),
        TokenQuery::Reach { reaches, now } => {
            let busy = busy(ctx, now)?;
            let reached = reaches.iter().map(|reach| reached(ctx, reach, &busy, now));
            Ok(TokenAnswer::Reached(reached.collect::<Result<_, _>>()?))
        }
        TokenQuery::Judge { text, now } => {
            let verdict = ops::token::verify(ctx, text.expose(), &[], ctx.judge_by(now))?;
            let inspection = inspect(text.expose(), now).ok();
            Ok(TokenAnswer::Judged(Box::new(Judged { verdict, inspection })))
        }
        TokenQuery::SigningKeys { now } => {
            let keys = ctx.store.read(|c| -> Result<_, StoreError> {
                let (sound, damaged) = store::signing_key::sound(c)?;
                let in_use = |key: SigningKey| {
                    Ok::<_, StoreError>(KeyInUse {
                        tokens: store::token::unexpired_of(c, &key.kid, now)?,
                        key,
                    })
                };
                Ok(KeysInUse {
                    sound: sound.into_iter().map(in_use).collect::<Result<_, _>>()?,
                    damaged: damaged.iter().map(ToString::to_string).collect(),
                })
            })?;
            Ok(TokenAnswer::SigningKeys(keys))
        }
    }
}

pub fn carry_out(ctx: &Ctx, deed: TokenDeed) -> Result<Answer, Fault> {
    let answer = match deed {
        TokenDeed::Issue(new) => ops::token::issue(ctx, *new).map(Box::new).map(TokenAnswer::Issued),
        TokenDeed::Revoke { reach, reason } => {
            return revoke(ctx, reach, &reason).map(Answer::Changed).map_err(fault);
        }
        TokenDeed::PurgeDamaged => {
            return ops::token::purge_damaged(ctx).map(Answer::Changed).map_err(fault);
        }
        TokenDeed::CreateKey(new) => {
            ops::signing_key::create(ctx, new).map(Box::new).map(TokenAnswer::KeyMade)
        }
        TokenDeed::ImportKey { new, file } => private_key(&file)
            .and_then(|text| ops::signing_key::import(ctx, new, &text))
            .map(Box::new)
            .map(TokenAnswer::KeyMade),
        TokenDeed::RotateKey { kid, rotation } => {
            ops::signing_key::rotate(ctx, &kid, rotation).map(Box::new).map(TokenAnswer::Rotated)
        }
        TokenDeed::RetireKey { kid, reason } => {
            return ops::signing_key::retire(ctx, &kid, &reason).map(|_| Answer::Changed(1)).map_err(fault);
        }
    };
    answer.map(Answer::Token).map_err(fault)
}

/// Returns how many live tokens ended. Of several, those that are revoked one by one already are left as they are.
fn revoke(ctx: &Ctx, reach: Reach, why: &str) -> Result<u64, OpsError> {
    use ops::token::{revoke_all, revoke_issued_before, revoke_key, revoke_subject};
    match reach {
        Reach::Subject(subject) => revoke_subject(ctx, &subject, why).map(|revoked| revoked.ended),
        Reach::Key(kid) => revoke_key(ctx, None, &kid, why).map(|revoked| revoked.ended),
        Reach::IssuedBefore(moment) => {
            revoke_issued_before(ctx, None, moment, why).map(|revoked| revoked.ended)
        }
        Reach::Tokens(mut ids) => {
            if ids.len() > 1 {
                let known = ctx.store.read(|c| {
                    ids.iter()
                        .map(|id| Ok(store::revocation::find(c, &Target::Token { id: *id })?.is_some()))
                        .collect::<Result<Vec<bool>, StoreError>>()
                })?;
                let mut known = known.into_iter();
                ids.retain(|_| !known.next().unwrap_or_default());
            }
            let mut ended = 0;
            ctx.pace.expect(ids.len() as u64, Unit::Items);
            for ids in ids.chunks(AT_ONCE) {
                if ctx.pace.is_cancelled() {
                    break;
                }
                ended += revoke_all(ctx, ids, why)?.iter().map(|revoked| revoked.ended).sum::<u64>();
                ctx.pace.step(ids.len() as u64);
            }
            Ok(ended)
        }
    }
}

/// The text of a private key, wiped when it was read.
fn private_key(file: &Path) -> Result<Zeroizing<String>, OpsError> {
    let bad = |why: String| OpsError::Invalid(format!("{} cannot be read: {why}", file.display()));
    // With room for all from the start: a text that grows leaves copies of itself behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST_KEY as usize + 1));
    let opened = File::open(file).map_err(|error| bad(error.to_string()))?;
    opened.take(LONGEST_KEY + 1).read_to_string(&mut text).map_err(|error| bad(error.to_string()))?;
    if text.len() as u64 > LONGEST_KEY {
        return Err(bad(format!("it is longer than {LONGEST_KEY} bytes, and no private key is")));
    }
    Ok(text)
}

fn choices(ctx: &Ctx) -> Result<TokenChoices, OpsError> {
    let now = ctx.now();
    let policies = policies(ctx)?;
    let (audience, (mut keys, _)) = ctx.store.read(|c| -> Result<_, StoreError> {
        Ok((store::trust::identity(c)?.audience(), store::signing_key::sound(c)?))
    })?;
    keys.retain(|key| key.signs_at(now));
    Ok(TokenChoices { catalogue: ops::scope::sound(ctx)?.0, policies, audience, keys })
}

/// Tokens that made calls in the last 24 hours, and how many.
fn busy(ctx: &Ctx, now: Timestamp) -> Result<Vec<(IssuedToken, u64)>, OpsError> {
    let top = ops::usage::top(ctx, since(now, DAY), Dimension::Credential, BUSIEST)?;
    ctx.store.read(|c| {
        let mut busy = Vec::new();
        for one in top {
            if let Ok(jti) = one.key.parse::<TokenId>()
                && let Some(token) = StoreError::none_where_damaged(store::token::find(c, jti))?
            {
                busy.push((token, one.totals.calls()));
            }
        }
        Ok(busy)
    })
}

fn reached(
    ctx: &Ctx,
    reach: &Reach,
    busy: &[(IssuedToken, u64)],
    now: Timestamp,
) -> Result<Reached, OpsError> {
    let targets = reach.targets(now);
    let is_meant = |token: &IssuedToken| targets.iter().any(|target| ops::token::means(target, token));
    let calls = busy.iter().filter(|(token, _)| is_meant(token)).map(|(_, calls)| calls).sum();
    Ok(Reached { live: ops::token::would_end(ctx, &targets)?, calls })
}

fn detail(ctx: &Ctx, jti: TokenId, now: Timestamp) -> Result<TokenDetail, OpsError> {
    let standing = ops::token::show(ctx, jti)?;
    let (policy, catalogue) = ctx.store.read(|c| -> Result<_, StoreError> {
        let policy = StoreError::none_where_damaged(store::policy::find(c, &standing.token.policy))?;
        Ok((policy, store::scope::sound(c)?.0))
    })?;
    let id = jti.to_string();
    let day = of_credential(id.clone(), now, DAY);
    let events = store::event::Query { credential: Some(id.clone()), limit: 8, ..Default::default() };
    let audit = store::audit::Query { object: Some(id), limit: 20, ..Default::default() };
    Ok(TokenDetail {
        policy,
        covers: covers(&catalogue, &standing.token.scopes),
        series: ops::usage::series(ctx, day.clone(), 30)?,
        day: ops::usage::totals(ctx, day)?,
        events: ops::event::list(ctx, &events)?,
        audit: ops::audit::list(ctx, &audit)?,
        standing,
    })
}

/// What each of the scopes covers.
pub fn covers(catalogue: &Catalogue, scopes: &[ScopeName]) -> BTreeMap<String, Vec<String>> {
    scopes
        .iter()
        .map(|name| {
            let patterns = catalogue.get(name).map(|scope| scope.endpoints.as_slice()).unwrap_or_default();
            let patterns = patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
            (name.as_str().to_owned(), patterns)
        })
        .collect()
}

#[cfg(test)]
mod tests;
