//! Judging a token for people, without any effect.

use super::{Ctx, OpsError, Timestamp};
use crate::domain::token::Verdict;
use crate::store::{trust, verdict};

/// Judges `text` as of `at`, as a token for one of `audiences`; where none is named, for this home. Uses nothing up.
/// Without the vault, tokens that are signed with shared secrets cannot be believed.
pub fn verify(ctx: &Ctx, text: &str, audiences: &[String], at: Timestamp) -> Result<Verdict, OpsError> {
    ctx.store.read(|c| {
        let beliefs = trust::load(c, ctx.vault.as_deref())?;
        for error in &beliefs.left_out {
            tracing::error!(%error, "what rests on this row is refused");
        }
        Ok(verdict::of_token(c, &beliefs, text, audiences, at)?)
    })
}
