//! One token judged by what the store has, for people: without effect, and without reading what is not about it.

use super::{Rows, StoreError, one_time, revocation, trust, trust::Beliefs};
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
    let audiences = if audiences.is_empty() { beliefs.identity.audiences() } else { audiences.to_vec() };
    let expected = Expected::new(audiences, beliefs.skew, at);
    let mut revocations = trust::revocations_but_of_tokens(c)?;
    let mut verdict = judge(text, &beliefs.trust, &revocations, &expected);
    if let Some(claims) = verdict.claims.clone() {
        // Only now it is known which token it is.
        if take_in(c, &claims, &mut revocations)? {
            verdict = judge(text, &beliefs.trust, &revocations, &expected);
        }
        judge_use(c, &claims, &mut verdict)?;
    }
    Ok(verdict)
}

/// Adds the revocation of the token itself, where there is one.
fn take_in(c: &Rows<'_>, claims: &Claims, revocations: &mut Revocations) -> Result<bool, StoreError> {
    let found = revocation::find(c, &Target::Token { id: claims.id })?;
    let is_revoked = found.is_some();
    revocations.extend(found.map(|revocation| trust::remembered(revocation.target)));
    Ok(is_revoked)
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
