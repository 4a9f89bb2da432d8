//! Reading usage, for both roles.

use super::{Ctx, OpsError};
use crate::domain::{
    clock::Timestamp,
    usage::{Busy, Dimension, Totals},
};
use crate::store::usage::{self, Query};

pub fn totals(ctx: &Ctx, q: Query) -> Result<Totals, OpsError> {
    check(&q)?;
    ctx.store.read_usage(|c| Ok(usage::totals(c, &q)?))
}

/// The busiest first.
pub fn top(ctx: &Ctx, q: Query, by: Dimension, limit: u32) -> Result<Vec<Busy>, OpsError> {
    check(&q)?;
    ctx.store.read_usage(|c| Ok(usage::top(c, &q, by, limit)?))
}

/// Totals per step, oldest first, empty steps included.
pub fn series(ctx: &Ctx, q: Query, step_minutes: u32) -> Result<Vec<(Timestamp, Totals)>, OpsError> {
    check(&q)?;
    let steps = q.until.since(q.since).as_secs() / 60 / u64::from(step_minutes.max(1));
    if steps >= usage::MOST_STEPS.unsigned_abs() {
        return Err(OpsError::Invalid(format!(
            "that is more than {} steps; take a longer step or a shorter range",
            usage::MOST_STEPS
        )));
    }
    ctx.store.read_usage(|c| Ok(usage::series(c, &q, step_minutes)?))
}

fn check(q: &Query) -> Result<(), OpsError> {
    if q.until < q.since {
        return Err(OpsError::Invalid(format!(
            "the range ends ({}) before it begins ({})",
            q.until, q.since
        )));
    }
    Ok(())
}
