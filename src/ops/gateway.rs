//! The gateway's own acts: that it began and ended stands in the audit log beside what operators did. And which run now.
use serde_json::json;

use super::{Ctx, OpsError};
use crate::{
    domain::act::Act,
    store::gateway::{self, Gateway, Held, Presence},
};

/// A gateway took its first call. `listen`: where; `upstream`: what it stands in front of.
pub fn start(ctx: &Ctx, listen: &str, upstream: &str) -> Result<(), OpsError> {
    record(ctx, Act::GatewayStart, listen, upstream)
}

/// It ended in order: requests in flight were drained. A crash leaves no such record.
pub fn stop(ctx: &Ctx, listen: &str, upstream: &str) -> Result<(), OpsError> {
    record(ctx, Act::GatewayStop, listen, upstream)
}

/// Has the home tell of a gateway for as long as the answer is held. A disk that is full keeps no gateway from its calls:
/// then it is not told of.
pub fn announce(ctx: &Ctx, listen: String, admin_listen: String, upstream: String) -> Option<Held> {
    let (since, version, process) = (ctx.now(), env!("CARGO_PKG_VERSION").into(), std::process::id());
    let presence = Presence { listen, admin_listen, upstream, since, version, process };
    gateway::announce(ctx.store.home(), &presence)
        .inspect_err(|error| tracing::warn!(%error, "the home does not tell that this gateway runs"))
        .ok()
}

/// Those that run on this home, and those that ended without a word since the last one began.
pub fn list(ctx: &Ctx) -> Result<Vec<Gateway>, OpsError> {
    Ok(gateway::all(ctx.store.home())?)
}

fn record(ctx: &Ctx, act: Act, listen: &str, upstream: &str) -> Result<(), OpsError> {
    let (object, detail) = (listen.to_owned(), json!({ "upstream": upstream }));
    ctx.perform(act, listen, move |deed| deed.record(&object, detail))
}
