//! One thread of the data path: its runtime, its listener, its connections to the upstream.
//!
//! Nothing here is shared with another worker but the engine and what never changes, so that a request meets no lock.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch as signal};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::clock::Timestamp;
use crate::domain::decision::{self, Principal};
use crate::engine::Engine;
use crate::ops::Ctx;

use super::abrupt::Abrupt;
use super::config::Settings;
use super::freshness::{Freshness, Unavailable};
use super::headers::Preface;
use super::http_1;
use super::http_2::{self, Frames, Streams};
use super::introduction::Introductions;
use super::mcp::aside::Aside;
use super::mcp::session::Binder;
use super::metrics::WorkerMetrics;
use super::origin::LastHost;
use super::proxy;
use super::request_id::RequestIds;
use super::route::McpPath;
use super::sources::Sources;
use super::streams::EventStreams;
use super::tap::Tapped;
use super::timely::{Opening, Taken};
use super::tls::{self, Tls};
use super::upstream::Pool;
use super::waiters::{Waiter, Waiters};
use super::watch::{self, Rest};

/// After an accept that failed for want of descriptors, and between two looks for a place, so that the loop does not spin.
const BREATHER: Duration = Duration::from_millis(50);

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

/// One worker, as its requests see it.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub metrics: WorkerMetrics,
    pub pool: Rc<Pool>,
    pub ids: RequestIds,
    pub introductions: Introductions,
    pub last_host: LastHost,
    pub preface: Preface,
    /// What was told last of the upstream.
    unfit: RefCell<String>,
    freshness: Freshness,
    terms: http_1::Terms,
    waiters: Rc<Waiters>,
}

impl Worker {
    pub fn now(&self) -> Timestamp {
        self.shared.engine.clock().now()
    }

    /// Returns when the engine knows all that was committed before the call, and as of when it knows it.
    pub async fn up_to_date(&self) -> Result<Timestamp, Unavailable> {
        self.freshness.up_to_date().await
    }

    /// Whether a principal admitted earlier would still be; no where that cannot be known.
    pub fn still_holds(&self, principal: &Principal, asked: &[decision::Request]) -> bool {
        self.freshness.look();
        self.freshness.outcome().is_ok() && self.shared.engine.still_valid(principal, asked, self.now())
    }

    /// Tells the operator why the MCP server behind the gateway cannot be used as it is: by an event each minute, and in the
    /// log where it was another reason before.
    pub fn upstream_is_unfit(&self, why: &str) {
        if self.unfit.borrow().as_str() != why {
            tracing::warn!(upstream = %self.shared.settings.upstream, "the upstream cannot be used: {why}");
            why.clone_into(&mut self.unfit.borrow_mut());
        }
        self.shared.engine.upstream_unfit(why, self.now());
    }

    pub fn is_draining(&self) -> bool {
        self.shared.stop.is_cancelled()
    }
}

/// Runs a worker on this thread until the gateway stops and its requests are done.
pub fn run(
    shared: Arc<Shared>,
    metrics: WorkerMetrics,
    freshness: Freshness,
    listener: StdListener,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let pool = Rc::new(Pool::new(shared.settings.upstream.clone(), shared.settings.timeouts));
    let drain = shared.settings.timeouts.drain;
    let (ids, introductions) = (RequestIds::new()?, Introductions::default());
    // A token of this thread's own: to look at one takes a lock, and nobody should wait for another thread's looks.
    let (timeouts, stop) = (shared.settings.timeouts, shared.stop.child_token());
    let terms = http_1::Terms { timeouts, stop, clock: shared.engine.clock().clone() };
    let preface = Preface::new(shared.settings.upstream.authority());
    let worker = Rc::new(Worker {
        shared,
        metrics,
        pool,
        ids,
        introductions,
        last_host: LastHost::default(),
        preface,
        unfit: RefCell::default(),
        freshness,
        terms,
        waiters: Rc::default(),
    });
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        let open = TaskTracker::new();
        accept(&worker, listener, &open).await;
        open.close();
        if timeout(drain, open.wait()).await.is_err() {
            tracing::warn!(connections = open.len(), "requests still in flight are broken off");
        }
        Ok(())
    })
}

/// Where all places are taken, whoever has waited for longest without a request makes room for who comes. No source can have
/// more than its part of the places.
async fn accept(worker: &Rc<Worker>, listener: TcpListener, open: &TaskTracker) {
    let (stop, mut full) = (worker.shared.stop.clone(), worker.shared.full.subscribe());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = full.changed() => {
                worker.waiters.send_one_away();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(place) = worker.shared.sources.enter(peer.ip()) else {
                    worker.metrics.connection_refused();
                    continue;
                };
                let Some(permit) = permit(worker, &mut full).await else { return };
                // The token itself, not the tracker's wrapper: that would be one more layer in every poll.
                let (worker, token) = (worker.clone(), open.token());
                spawn_local(async move {
                    let entry = worker.waiters.enter();
                    serve(worker, stream, peer.ip(), &entry.waiter).await;
                    drop((entry, place, permit, token));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(BREATHER).await;
            }
        }
    }
}

/// Waits for a place, which somebody is to give up where there is none. `None` where the gateway stops.
async fn permit(worker: &Worker, full: &mut signal::Receiver<()>) -> Option<OwnedSemaphorePermit> {
    let Shared { connections, full: tell, stop, .. } = &*worker.shared;
    if let Ok(permit) = connections.clone().try_acquire_owned() {
        return Some(permit);
    }
    loop {
        if !worker.waiters.send_one_away() {
            tell.send_replace(());
        }
        let next_look = sleep(BREATHER);
        tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            permit = connections.clone().acquire_owned() => return permit.ok(),
            () = next_look => full.mark_unchanged(),
        }
    }
}

/// Serves one connection to its end, under TLS where the listener has it.
async fn serve(worker: Rc<Worker>, stream: TcpStream, peer: IpAddr, waiter: &Waiter) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    // Under TLS, so that what counts is what the client takes from the network.
    let stream = Tapped::new(stream, Taken::within(worker.shared.settings.timeouts.stall));
    let ended = match &worker.shared.tls {
        None => serve_http_1(worker.clone(), stream, peer, waiter).await,
        Some(tls) => {
            let shaken = tokio::select! {
                shaken = tls.accept(stream) => shaken,
                () = waiter.sent_away() => return,
            };
            match shaken {
                Ok(stream) if tls::is_http_2(&stream) => {
                    serve_http_2(worker.clone(), stream, peer, waiter).await.map_err(io::Error::other)
                }
                Ok(stream) => serve_http_1(worker.clone(), stream, peer, waiter).await,
                Err(error) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended in an error");
    }
}

async fn serve_http_1<S>(worker: Rc<Worker>, stream: S, peer: IpAddr, waiter: &Waiter) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Abrupt + Unpin,
{
    let serving = |parts, body| proxy::serve(worker.clone(), peer, parts, body);
    http_1::serve(stream, &worker.terms, waiter, serving).await
}

/// Who says nothing after the handshake is let go as one who sends no head.
async fn serve_http_2<S>(worker: Rc<Worker>, stream: S, peer: IpAddr, waiter: &Waiter) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (stop, timeouts) = (worker.shared.stop.clone(), worker.shared.settings.timeouts);
    let (rest, streams) = (Rest::new(timeouts, waiter.clone()), Streams::new(timeouts));
    let opening = Tapped::new(stream, Opening::of(http_2::PREFACE, timeouts.head));
    let stream = Tapped::new(Tapped::new(opening, Taken::within(timeouts.stall)), Frames::new());
    let (begins, slots) = (rest.clone(), streams.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let busy = begins.begin(slots.slot());
        let (parts, body) = http_2::as_http_1(request).into_parts();
        busy.answering(proxy::serve(worker.clone(), peer, parts.into(), body.into()))
    });
    let connection = http_2::builder(streams).serve_connection(TokioIo::new(stream), service);
    watch::serve(connection, &rest, &stop).await
}
