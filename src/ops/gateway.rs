//! The gateway's own acts: that it began and ended stands in the audit log beside what operators did.
use serde_json::json;

use super::{Ctx, OpsError};
use crate::domain::act::Act;

/// A gateway took its first call. `listen`: where; `upstream`: what it stands in front of.
pub fn start(ctx: &Ctx, listen: &str, upstream: &str) -> Result<(), OpsError> {
    record(ctx, Act::GatewayStart, listen, upstream)
}

/// It ended in order: requests in flight were drained. A crash leaves no such record.
pub fn stop(ctx: &Ctx, listen: &str, upstream: &str) -> Result<(), OpsError> {
    record(ctx, Act::GatewayStop, listen, upstream)
}

fn record(ctx: &Ctx, act: Act, listen: &str, upstream: &str) -> Result<(), OpsError> {
    let (object, detail) = (listen.to_owned(), json!({ "upstream": upstream }));
    ctx.perform(act, listen, move |deed| deed.record(&object, detail))
}
