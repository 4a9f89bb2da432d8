//! Reading usage, for both roles; and making room in it.

use serde_json::json;

use super::{Ctx, OpsError};
use crate::domain::{
    act::Act,
    clock::Timestamp,
    usage::{Busy, Dimension, Totals},
};
use crate::store::{
    room::{Cut, Part},
    usage::{self, Query},
};

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

/// Forgets counters from before a moment, those of strangers alone or all; answers how many rows went, and gives their room
/// to the disk. Nobody who is served waits for it.
pub fn purge(ctx: &Ctx, before: Timestamp, strangers_only: bool) -> Result<u64, OpsError> {
    let cuts = cuts(ctx, Act::UsagePurge, before, |part| {
        !part.is_event() && (part.is_of_strangers() || !strangers_only)
    })?;
    if cuts.is_empty() {
        return Ok(0);
    }
    ctx.perform(Act::UsagePurge, "", move |deed| {
        deed.record("", json!({ "before": before, "strangers": strangers_only }))
    })?;
    remove(ctx, &cuts)
}

/// Says for good how much room counters and events may take, in bytes; the same again changes nothing. With less room the
/// oldest go, so that it is told who said so.
pub fn set_budget(ctx: &Ctx, bytes: u64) -> Result<(), OpsError> {
    let before = ctx.check(Act::UsageBudget, "", || Ok(ctx.store.usage_budget()?))?;
    if before == Some(bytes) {
        return Ok(());
    }
    ctx.perform(Act::UsageBudget, "", move |deed| {
        deed.record("", json!({ "bytes": bytes, "before": before }))
    })?;
    Ok(ctx.store.set_usage_budget(bytes)?)
}

/// What there is from before a moment, which must have passed.
pub(super) fn cuts(
    ctx: &Ctx,
    act: Act,
    before: Timestamp,
    is_meant: impl Fn(Part) -> bool,
) -> Result<Vec<Cut>, OpsError> {
    ctx.check(act, "", || {
        if before > ctx.now() {
            return Err(OpsError::Invalid(
                "only what has happened can be purged: the moment lies ahead".into(),
            ));
        }
        ctx.store.read_usage(|c| {
            let mut cuts = Vec::new();
            for part in Part::ALL.into_iter().filter(|&part| is_meant(part)) {
                let cut = Cut::of(part, before);
                if part.oldest(c)?.is_some_and(|oldest| oldest < cut.before) {
                    cuts.push(cut);
                }
            }
            Ok(cuts)
        })
    })
}

/// Removes rows slice by slice, also while the disk is full, until there are none or it is to end.
pub(super) fn remove(ctx: &Ctx, cuts: &[Cut]) -> Result<u64, OpsError> {
    let mut removed = 0;
    for &cut in cuts {
        while !ctx.pace.is_cancelled() {
            let rows = ctx.store.write_usage_though_full(move |c| cut.slice(c))?;
            removed += rows;
            ctx.pace.step(rows);
            if rows == 0 {
                break;
            }
        }
    }
    ctx.store.compact_usage()?;
    Ok(removed)
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
