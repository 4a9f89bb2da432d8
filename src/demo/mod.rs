//! The demo: an MCP server, a real gateway in front of it, and clients, on a home that is thrown away.
//!
//! Everything goes over real HTTP on loopback; nothing that is shown is made up. It uses the product as
//! anyone would (`ops`, the engine, the gateway) and may do nothing that they cannot.

mod cast;
pub mod client;
pub mod server;

use std::{
    fs::Permissions,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    domain::{clock::Timestamp, name::BadName},
    engine::Engine,
    gateway::{Gateway, GatewayError, Running, Settings, Upstream},
    ops::{Ctx, OpsError},
    store::{StoreError, home::Home, usage::Query},
};

/// Why the demo could not begin.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the demo's folder cannot be made: {0}")]
    Folder(std::io::Error),
    #[error("the demo's MCP server cannot listen: {0}")]
    Server(std::io::Error),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Ops(#[from] OpsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Name(#[from] BadName),
    #[error("the demo's own {0} is wrong")]
    Own(&'static str),
}

/// A demo that runs. [`Demo::stop`] ends it in order; dropping it still removes the home.
pub struct Demo {
    ctx: Ctx,
    engine: Arc<Engine>,
    gateway: Option<Running>,
    server: Option<server::Server>,
    clients: TaskTracker,
    ends: CancellationToken,
    /// Removed, with all that is in it, when this is dropped: on leaving, and when a panic unwinds.
    home: tempfile::TempDir,
}

impl Demo {
    /// Starts everything. Needs a tokio runtime.
    pub async fn start() -> Result<Self, DemoError> {
        let home = tempfile::Builder::new()
            .prefix("portcullis-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(DemoError::Folder)?;
        let (ctx, cast) = cast::furnish(&Home::locate(Some(home.path().to_owned()))?)?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = server::start(loopback).await.map_err(DemoError::Server)?;
        let vault = ctx.vault.as_ref().ok_or(DemoError::Own("vault"))?;
        let engine = Engine::start(ctx.store.clone(), vault, Arc::clone(&ctx.clock))?;
        let gateway = gateway(&server, &engine, ctx.clone())?;
        let (clients, ends) = (TaskTracker::new(), CancellationToken::new());
        let url = format!("http://{}{}", gateway.listen, server::PATH);
        for client in cast {
            clients.spawn(client.run(url.clone(), ends.clone()));
        }
        clients.close();
        Ok(Self { ctx, engine, gateway: Some(gateway), server: Some(server), clients, ends, home })
    }

    /// An operator's context on the demo's home.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// Ends clients, gateway and server, in this order, and removes the home.
    pub async fn stop(mut self) -> Result<(), DemoError> {
        self.end_traffic().await;
        if let Some(gateway) = self.gateway.take() {
            gateway.shutdown()?;
        }
        self.engine.stop()?;
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        drop(self.ctx);
        self.home.close().map_err(DemoError::Folder)
    }

    /// Lets the clients finish; the gateway goes on. What they did is in the store when this returns.
    pub async fn end_traffic(&self) {
        self.ends.cancel();
        self.clients.wait().await;
    }
}

fn gateway(server: &server::Server, engine: &Arc<Engine>, ctx: Ctx) -> Result<Running, DemoError> {
    let upstream = server.url().parse::<Upstream>().map_err(|_| DemoError::Own("URL"))?;
    let mut settings = Settings::new(upstream);
    // Any free ports, so that the demo never stands in the way of a gateway at work.
    settings.listen.set_port(0);
    settings.admin_listen.set_port(0);
    Ok(Gateway::start(settings, Arc::clone(engine), ctx)?)
}

/// The range of time that covers a demo which began at `began`.
pub fn range(began: Timestamp, now: Timestamp) -> Query {
    // Counters are kept by the minute.
    let minute = Duration::from_secs(60);
    Query { since: began.minus(minute), until: now.plus(minute), ..Query::default() }
}
