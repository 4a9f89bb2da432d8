//! One token judged by what the store has, for people: without effect, and without reading what is not about it.

use super::{Rows, StoreError, one_time, revocation, token, trust, trust::Beliefs};
use crate::domain::{
    clock::Timestamp,
    decision::{Check, Reason},
    revocation::Target,
    token::{Claims, Expected, Revocations, Verdict, judge},
};

/// Judges `text` as of `at`, as a token for one of `audiences`; where none is named, for this home. Uses nothing up.
pub fn of_token(
    c: &Rows<'_>,
    beliefs: &Beliefs,
    text: &str,
    audiences: &[String],
    at: Timestamp,
) -> Result<Verdict, StoreError> {
    let taken = if audiences.is_empty() { beliefs.identity.audiences() } else { audiences.to_vec() };
    let expected = Expected::new(taken, beliefs.skew, at);
    let mut revocations = trust::revocations_but_of_tokens(c)?;
    let mut verdict = judge(text, &beliefs.trust, &revocations, &expected);
    if let Some(claims) = verdict.claims.clone() {
        // Only now it is known which token it is.
        if take_in(c, &claims, &mut revocations)? {
            verdict = judge(text, &beliefs.trust, &revocations, &expected);
        }
        judge_key(c, &claims, at, &mut verdict)?;
        judge_use(c, &claims, &mut verdict)?;
    }
    if audiences.is_empty() && beliefs.identity.resource().is_none() {
        tell_of_addresses(&mut verdict);
    }
    verdict.checks.extend(Check::of_clock(at, verdict.reason));
    Ok(verdict)
}

/// Where a gateway listens is known to itself alone.
fn tell_of_addresses(verdict: &mut Verdict) {
    if let Some(check) = verdict.checks.iter_mut().find(|check| check.check == "audience" && !check.passed) {
        check
            .detail
            .push_str("; a gateway without --public-url also takes what is for its listening address");
    }
}

/// Adds the revocation of the token itself, and those of what it was narrowed from, where there are any.
fn take_in(c: &Rows<'_>, claims: &Claims, revocations: &mut Revocations) -> Result<bool, StoreError> {
    let mut is_revoked = false;
    for id in [claims.id].into_iter().chain(claims.grounds.parents.iter().map(|parent| parent.jti)) {
        let found = revocation::find(c, &Target::Token { id })?;
        is_revoked |= found.is_some();
        revocations.extend(found.map(|revocation| trust::remembered(revocation.target)));
    }
    Ok(is_revoked)
}

/// Whether the API key stands that the token was got with.
fn judge_key(c: &Rows<'_>, claims: &Claims, at: Timestamp, verdict: &mut Verdict) -> Result<(), StoreError> {
    let Some(ground) = claims.grounds.key else { return Ok(()) };
    let fallen = ground.refusal(token::ground_key(c, ground.id)?.as_ref(), at);
    let state = fallen.map_or("active", |(_, why)| why);
    let detail = format!("got with API key {}, which is {state}", ground.id);
    verdict.checks.push(Check { check: "rests_on", passed: fallen.is_none(), detail });
    verdict.reason = verdict.reason.or(fallen.map(|(reason, _)| reason));
    Ok(())
}

/// Whether a token that may be used once was used.
fn judge_use(c: &Rows<'_>, claims: &Claims, verdict: &mut Verdict) -> Result<(), StoreError> {
    if claims.max_uses.is_none_or(|uses| uses.get() > 1) {
        return Ok(());
    }
    let is_used = one_time::is_used(c, one_time::TOKENS, &claims.id.to_string())?;
    let detail =
        if is_used { "it may be used once, and was" } else { "it may be used once, and was not yet" };
    verdict.checks.push(Check { check: "use", passed: !is_used, detail: detail.into() });
    verdict.reason = verdict.reason.or(is_used.then_some(Reason::Replayed));
    Ok(())
}
