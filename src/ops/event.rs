//! Reading events, for both roles; and making room among them.

mod explain;
mod lockout;

pub use explain::{Explained, explain};
pub use lockout::{Lockout, lockouts};

use super::{Ctx, OpsError, usage};
use crate::domain::{act::Act, clock::Timestamp, event::Event};
use crate::store::event::{self, Query};

pub fn list(ctx: &Ctx, q: &Query) -> Result<Vec<Event>, OpsError> {
    ctx.store.read_usage(|c| Ok(event::list(c, q)?))
}

/// Forgets events from before a moment, those of strangers alone or all; answers how many went, and gives their room to the
/// disk. The audit chain says so before they go, so that nobody misses them later.
pub fn purge(ctx: &Ctx, before: Timestamp, strangers_only: bool) -> Result<u64, OpsError> {
    let cuts = usage::cuts(ctx, Act::EventPurge, before, |part| {
        part.is_event() && (part.is_of_strangers() || !strangers_only)
    })?;
    if cuts.is_empty() {
        return Ok(0);
    }
    let told = cuts.clone();
    ctx.perform(Act::EventPurge, "", move |deed| {
        told.into_iter().try_for_each(|cut| deed.record("", event::purge_detail(cut)))
    })?;
    usage::remove(ctx, &cuts)
}

#[cfg(test)]
mod tests;
