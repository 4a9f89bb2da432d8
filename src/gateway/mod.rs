//! The gateway: a reverse proxy in front of one MCP server that lets only decided calls through.
//!
//! ```text
//! bytes
//!   connection/ + serve.rs   a place for the peer, TLS, HTTP/1.1 or HTTP/2; wire/ reads heads and bodies strictly
//!   proxy.rs                 limits; a Call: where it comes from, by which URL; Host and Origin (call/origin)
//!     mcp/                     the body names the endpoints; its era; its session
//!     oauth/                   pages for everybody; tokens, for who may have some
//!     proxy::plain             the path is the endpoint
//!   each of them, on the one Call of the request:
//!     worker.up_to_date        the engine knows all that was committed before            | 503
//!     call.authenticate        whose credential it is, and whether it holds              | 401
//!     call.decide              the policy, the scopes, and the quota, which is charged   | 403 429
//!   forward.rs               the head made anew, the body as it came -> upstream/ -> the answer
//!   stream.rs                what is passed on is cut when its principal no longer holds
//!   connection/              written as it comes; call.answered or call.refused has recorded it once
//! ```
//!
//! A credential is read with the head. Where the body is not there with it, the credential is judged before the body is
//! waited for; it is judged, and the call decided, when the last byte is there. Proxies that only ask come in by `admin.rs`
//! and `forward_auth.rs` and take the same steps, without the body and the upstream.
//!
//! Each worker is a thread with a runtime, a listening socket and upstream connections of its own; workers share only
//! the engine. No worker writes the store itself, and the gateway knows of policies only what the engine decides.

mod admin;
mod call;
mod config;
mod connection;
mod cors;
mod exposition;
mod forward;
mod forward_auth;
mod freshness;
pub mod issuers;
mod mcp;
mod metrics;
mod oauth;
mod proxy;
pub mod readers;
mod serve;
mod shared;
mod stream;
mod streams;
mod upstream;
mod wire;
mod worker;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{Semaphore, watch as signal};
use tokio_util::sync::CancellationToken;

pub use call::headers::names::{self, BadFieldPattern, FieldPattern};
pub use config::{BODY, BadSetting, Origin, PublicUrl, Refusals, Settings, Timeouts, Upstream};
pub use connection::listen::CannotListen;
pub use connection::tls::{Identity, TlsError};

use crate::engine::Engine;
use crate::ops::{self, Ctx};
use crate::store::{StoreError, gateway::Held};
use call::{place, route::McpPath};
use connection::{descriptors, listen, sources::Sources, tls::Tls};
use freshness::Freshness;
use mcp::{aside::Aside, session::Binder};
use metrics::Metrics;
use shared::Shared;
use streams::EventStreams;

/// Why a gateway cannot start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(transparent)]
    Listen(#[from] CannotListen),
    #[error(
        "{0} is not on loopback, and keys would cross the network in the clear; give --tls-cert and --tls-key, or \
         --allow-plain-http where a TLS proxy stands in front"
    )]
    PlainHttp(SocketAddr),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a thread of the gateway cannot run: {0}; see the limits of this process (ulimit -a)")]
    Thread(#[from] io::Error),
    #[error("a thread of the gateway ended in a panic; its message is in the log")]
    Panicked,
}

/// The gateway.
pub struct Gateway;

impl Gateway {
    /// Listens, starts the workers, and returns when clients can connect. Blocks shortly. `ctx` is the operator's in whose
    /// home tokens are issued and revoked for clients that may have that.
    ///
    /// # Errors
    /// Where keys would cross a network in the clear, the vault is not open, a listener or its certificate cannot be had, or
    /// the store or a thread fails.
    pub fn start(mut settings: Settings, engine: Arc<Engine>, ctx: Ctx) -> Result<Running, GatewayError> {
        let vault = ctx.vault.clone().ok_or(StoreError::OpenedReadOnly)?;
        if settings.exposes_keys() {
            return Err(GatewayError::PlainHttp(settings.listen));
        }
        let tls =
            settings.tls.clone().map(|identity| Tls::new(identity, settings.listen.ip())).transpose()?;
        settings.connections =
            descriptors::connections(settings.connections, descriptors::raise(), settings.workers);
        engine.begin_checkup()?;
        let data = listen::listen(settings.listen, settings.workers, "--listen")?;
        let admin = listen::listen_alone(settings.admin_listen, "--admin-listen")?;
        let listen =
            data.first().ok_or(io::ErrorKind::NotConnected).map_err(io::Error::from)?.local_addr()?;
        let admin_listen = admin.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        engine.serve_at(place::own_resources(&settings, listen))?;
        let metrics = Metrics::new(engine.clone());
        let presence = ops::gateway::announce(
            &ctx,
            format!("{scheme}://{listen}"),
            format!("http://{admin_listen}"),
            settings.upstream.to_string(),
        );
        let shared = Arc::new(Shared {
            mcp_path: McpPath::new(settings.upstream.path()),
            binder: Binder::new(vault.session_key()),
            ctx,
            stop: CancellationToken::new(),
            connections: Arc::new(Semaphore::new(settings.connections)),
            full: signal::Sender::new(()),
            sources: Arc::new(Sources::new(
                settings.connections_per_source,
                settings.connections,
                settings.trusted_proxies.clone(),
            )),
            streams: Arc::new(EventStreams::new(settings.streams_per_principal)),
            aside: Aside::default(),
            tls,
            engine,
            settings,
        });
        let mut running = Running {
            listen,
            scheme,
            admin_listen,
            _presence: presence,
            shared: shared.clone(),
            threads: Vec::new(),
        };
        for (index, listener) in data.into_iter().enumerate() {
            let (shared, counters) = (shared.clone(), metrics.of_worker(index));
            let freshness = Freshness::new(shared.engine.clone())?;
            running.spawn(format!("gateway-{index}"), move || {
                serve::run(shared, counters, freshness, listener)
            })?;
        }
        let freshness = Freshness::new(shared.engine.clone())?;
        running.spawn("gateway-admin".into(), move || admin::run(shared, metrics, freshness, admin))?;
        Ok(running)
    }
}

/// A gateway that serves. Dropped, it stops taking requests; [`Running::shutdown`] also waits for those in flight.
pub struct Running {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// How: `http` or `https`.
    pub scheme: &'static str,
    /// Where `/health`, `/ready`, `/metrics` and `/verify` are.
    pub admin_listen: SocketAddr,
    /// Has the home tell of it.
    _presence: Option<Held>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Running {
    fn spawn(
        &mut self,
        name: String,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        self.threads.push(thread::Builder::new().name(name).spawn(work)?);
        Ok(())
    }

    /// Takes no more requests, ends open streams, lets requests in flight finish (at most [`Timeouts::drain`]), then
    /// stops the engine, which flushes. Blocks.
    ///
    /// # Errors
    /// Where the engine could not write the last of what it holds, or a thread ended in a panic.
    pub fn shutdown(mut self) -> Result<(), GatewayError> {
        self.shared.stop.cancel();
        let ended: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        self.shared.engine.stop()?;
        for thread in ended {
            thread.map_err(|_| GatewayError::Panicked)??;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
