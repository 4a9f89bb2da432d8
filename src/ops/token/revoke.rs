//! Taking tokens back: one, those of a subject, those that a key signed, those that were issued before a moment.

use std::time::Duration;

use serde_json::json;

use super::{Act, Ctx, Deed, OpsError, Subject, TokenId, missing, newest_cut, without_repeats};
use crate::domain::{
    clock::Timestamp,
    name::{IssuerName, Kid},
    revocation::{Revocation, Target},
    text::counted,
    token::{self, IssuedToken, MOST_SKEW, Parent},
};
use crate::ops::reason;
use crate::store;

/// Removed in one transaction, with one record.
const PURGED_AT_ONCE: u32 = 1000;

/// A revocation just made.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Revoked {
    #[serde(flatten)]
    pub revocation: Revocation,
    /// How many tokens of this home were live and are refused by it from now on.
    pub ended: u64,
}

/// All of them or none; a record for each. Revoking twice is a conflict.
pub fn revoke_all(ctx: &Ctx, ids: &[TokenId], why: &str) -> Result<Vec<Revoked>, OpsError> {
    let object = match ids {
        [id] => id.to_string(),
        _ => counted(ids.len() as u64, "token"),
    };
    let why = ctx.check(Act::TokenRevoke, &object, || reason(why))?;
    let ids = without_repeats(ids.to_vec());
    ctx.perform(Act::TokenRevoke, &object, move |deed| {
        ids.into_iter()
            .map(|id| {
                let token = store::token::find(deed.c, id)?.ok_or_else(|| missing(id))?;
                one(deed, id, Some(token.expires_at.plus(MOST_SKEW)), &why)
            })
            .collect()
    })
}

/// Revokes the token `text`, whoever issued it and whatever may be wrong with it besides. Revoking twice is a conflict.
pub fn revoke_text(ctx: &Ctx, text: &str, why: &str) -> Result<Revoked, OpsError> {
    let (id, why) = ctx.check(Act::TokenRevoke, "", || Ok((named(ctx, text)?, reason(why)?)))?;
    ctx.perform(Act::TokenRevoke, &id.to_string(), move |deed| {
        // What the text says of its end is not believed: nobody has looked at its signature.
        let ends_at = store::token::find(deed.c, id)?.map(|token| token.expires_at.plus(MOST_SKEW));
        one(deed, id, ends_at, &why)
    })
}

/// Refuses whatever speaks for the subject and was issued up to now, whoever issued it.
pub fn revoke_subject(ctx: &Ctx, subject: &Subject, why: &str) -> Result<Revoked, OpsError> {
    let why = ctx.check(Act::TokenRevoke, subject.as_str(), || reason(why))?;
    let subject = subject.clone();
    ctx.perform(Act::TokenRevoke, &subject.to_string(), move |deed| {
        // Where the clock was set back, what was refused stays refused.
        let cut = newest_cut(deed.c, &subject)?.map_or(deed.now, |known| known.max(deed.now));
        let target = Target::Subject { subject, cut };
        let ended = store::token::live_of(deed.c, &target, deed.now)?;
        record(deed, target, None, why, ended)
    })
}

/// Refuses all that a key signed. One of this home (`issuer: None`) is retired with it.
pub fn revoke_key(ctx: &Ctx, issuer: Option<&IssuerName>, kid: &Kid, why: &str) -> Result<Revoked, OpsError> {
    let why = ctx.check(Act::TokenRevoke, kid.as_str(), || reason(why))?;
    let (issuer, kid) = (issuer.cloned(), kid.clone());
    ctx.perform(Act::TokenRevoke, &kid.to_string(), move |deed| {
        require_issuer(deed, issuer.as_ref())?;
        let target = Target::Key { issuer, kid };
        if store::revocation::find(deed.c, &target)?.is_some() {
            return Err(OpsError::Conflict(format!(
                "key {} is revoked already, and for good",
                target.object()
            )));
        }
        let ended = store::token::live_of(deed.c, &target, deed.now)?;
        if let Target::Key { issuer: None, kid } = &target
            && !store::signing_key::set_retired(deed.c, kid, deed.now)?
        {
            return Err(OpsError::NotFound(format!(
                "there is no signing key {kid}; `portcullis signing-key list` shows those there are"
            )));
        }
        record(deed, target, None, why, ended)
    })
}

/// Refuses whatever an issuer (`None`: this home) issued before `moment`, which must not lie more than a second ahead.
pub fn revoke_issued_before(
    ctx: &Ctx,
    issuer: Option<&IssuerName>,
    moment: Timestamp,
    why: &str,
) -> Result<Revoked, OpsError> {
    let object = format!("issued before {moment}");
    let why = ctx.check(Act::TokenRevoke, &object, || {
        // Tokens are dated in whole seconds, and after a cut one is dated up to a second ahead: its own moment is no future.
        if moment > ctx.now().plus(Duration::from_secs(1)) {
            return Err(OpsError::Invalid(
                "only what was issued can be revoked: the moment given lies in the future".into(),
            ));
        }
        reason(why)
    })?;
    let issuer = issuer.cloned();
    ctx.perform(Act::TokenRevoke, &object, move |deed| {
        require_issuer(deed, issuer.as_ref())?;
        let target = Target::IssuedBefore { issuer, moment };
        // Never takes back what was revoked before.
        let earlier = store::revocation::find(deed.c, &target)?.and_then(|known| known.target.cut());
        if let Some(known) = earlier.filter(|known| *known >= moment) {
            return Err(OpsError::Conflict(format!("whatever was issued before {known} is revoked already")));
        }
        let ended = store::token::live_of(deed.c, &target, deed.now)?;
        record(deed, target, None, why, ended)
    })
}

/// Forgets tokens that expired before `before`, revocations that can refuse nothing since then, and what was used once;
/// returns how many tokens. One record for every thousand.
pub fn purge(ctx: &Ctx, before: Timestamp) -> Result<u64, OpsError> {
    ctx.check(Act::TokenPurge, "", || {
        // The quota of a day is counted by what is remembered.
        if before > ctx.now().minus(super::DAY) {
            return Err(OpsError::Invalid("only what expired a day ago or longer can be purged".into()));
        }
        Ok(())
    })?;
    let mut purged = 0;
    while !ctx.pace.is_cancelled() {
        let (tokens, others) = ctx.perform(Act::TokenPurge, "", move |deed| {
            let tokens = store::token::purge(deed.c, before, PURGED_AT_ONCE)?.len() as u64;
            let revocations = store::revocation::purge(deed.c, before, PURGED_AT_ONCE)?;
            let used = store::one_time::purge(deed.c, before, PURGED_AT_ONCE)?;
            let others = revocations + used;
            if tokens + others > 0 {
                let detail =
                    json!({ "before": before, "tokens": tokens, "revocations": revocations, "used": used });
                deed.record("", detail)?;
            }
            Ok((tokens, others))
        })?;
        purged += tokens;
        ctx.pace.step(tokens);
        if tokens + others == 0 {
            break;
        }
    }
    Ok(purged)
}

fn one(deed: &Deed<'_>, id: TokenId, ends_at: Option<Timestamp>, why: &str) -> Result<Revoked, OpsError> {
    let target = Target::Token { id };
    if store::revocation::find(deed.c, &target)?.is_some() {
        return Err(OpsError::Conflict(format!("token {id} is revoked already, and for good")));
    }
    let was_live = store::token::live_of(deed.c, &target, deed.now)?;
    record(deed, target, ends_at, why.to_owned(), was_live)
}

fn record(
    deed: &Deed<'_>,
    target: Target,
    ends_at: Option<Timestamp>,
    reason: String,
    ended: u64,
) -> Result<Revoked, OpsError> {
    let revocation = Revocation { target, revoked_at: deed.now, reason, ends_at };
    store::revocation::upsert(deed.c, &revocation)?;
    let target = &revocation.target;
    let detail = json!({
        "kind": target.kind(), "issuer": target.issuer(), "cut": target.cut(), "ends_at": revocation.ends_at,
        "reason": revocation.reason, "ended": ended,
    });
    deed.record(&target.object(), detail)?;
    Ok(Revoked { revocation, ended })
}

/// How many tokens of this home are live now and would be refused if each of `targets` were revoked, in one state of the
/// store. What two of them mean is counted twice.
pub fn would_end(ctx: &Ctx, targets: &[Target]) -> Result<u64, OpsError> {
    let now = ctx.now();
    ctx.store.read(|c| {
        targets.iter().try_fold(0, |ended, target| Ok(ended + store::token::live_of(c, target, now)?))
    })
}

/// Whether a revocation of `target` refuses a token of this home, by itself or by what it was narrowed from.
pub fn means(target: &Target, token: &IssuedToken) -> bool {
    let own = Parent { jti: token.jti, kid: token.kid.clone(), issued_at: token.issued_at };
    let refuses = |one: &Parent| match target {
        Target::Token { id } => *id == one.jti,
        Target::Subject { subject, cut } => *subject == token.subject && one.issued_at <= *cut,
        Target::Key { issuer, kid } => issuer.is_none() && *kid == one.kid,
        Target::IssuedBefore { issuer, moment } => issuer.is_none() && one.issued_at < *moment,
    };
    refuses(&own) || token.rests_on.parents.iter().any(refuses)
}

fn require_issuer(deed: &Deed<'_>, issuer: Option<&IssuerName>) -> Result<(), OpsError> {
    match issuer {
        Some(name) if store::issuer::find(deed.c, name)?.is_none() => Err(OpsError::NotFound(format!(
            "there is no issuer `{name}`; `portcullis issuer list` shows those there are"
        ))),
        _ => Ok(()),
    }
}

/// Which token `text` is, as those say who judge it.
fn named(ctx: &Ctx, text: &str) -> Result<TokenId, OpsError> {
    let trust = ctx.store.read(|c| store::trust::load(c, ctx.vault.as_deref()))?.trust;
    token::identify(text, &trust)
        .map_err(|why| OpsError::Invalid(format!("this is no token that could be revoked: {why}")))
}
