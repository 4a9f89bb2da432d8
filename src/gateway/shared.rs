//! What all workers of a gateway have in common, and the admin listener with them.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch as signal};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::ops::Ctx;

use super::call::route::McpPath;
use super::config::Settings;
use super::connection::sources::Sources;
use super::connection::tls::Tls;
use super::mcp::aside::Aside;
use super::mcp::session::Binder;
use super::streams::EventStreams;

/// What all workers of a gateway have in common.
pub struct Shared {
    pub settings: Settings,
    pub engine: Arc<Engine>,
    /// For what clients may have done by the authorization server.
    pub ctx: Ctx,
    pub mcp_path: McpPath,
    pub binder: Binder,
    pub stop: CancellationToken,
    pub connections: Arc<Semaphore>,
    /// Changes when all of these are taken and none of a worker's own can be spared: then each spares one.
    pub full: signal::Sender<()>,
    pub sources: Arc<Sources>,
    pub streams: Arc<EventStreams>,
    /// For lists that are long.
    pub aside: Aside,
    /// `None`: plain HTTP.
    pub tls: Option<Tls>,
}
