//! The loop of one thread of the data path: it takes connections, finds each a place, and has its requests answered.

use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{OwnedSemaphorePermit, watch as signal};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::connection::http_1;
use super::connection::http_2::{self, Frames, Streams};
use super::connection::peer::Peer;
use super::connection::tls;
use super::connection::waiters::{Waiter, Waiters};
use super::connection::watch::{self, Rest};
use super::freshness::Freshness;
use super::metrics::WorkerMetrics;
use super::proxy;
use super::shared::Shared;
use super::wire::{Abrupt, Opening, Taken, Tapped};
use super::worker::Worker;

/// After an accept that failed for want of descriptors, and between two looks for a place, so that the loop does not spin.
const BREATHER: Duration = Duration::from_millis(50);

/// Where clients of one worker come in.
struct Door {
    worker: Rc<Worker>,
    terms: http_1::Terms,
    waiters: Rc<Waiters>,
}

/// Runs a worker on this thread until the gateway stops and its requests are done.
///
/// # Errors
/// Where the thread gets no runtime, the listener is none that the runtime can take, or the system gives no random bytes.
pub fn run(
    shared: Arc<Shared>,
    metrics: WorkerMetrics,
    freshness: Freshness,
    listener: StdListener,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    // A token of this thread's own: to look at one takes a lock, and nobody should wait for another thread's looks.
    let (timeouts, stop) = (shared.settings.timeouts, shared.stop.child_token());
    let terms = http_1::Terms { timeouts, stop, clock: shared.engine.clock().clone() };
    let worker = Rc::new(Worker::new(shared, metrics, freshness)?);
    let door = Rc::new(Door { worker, terms, waiters: Rc::default() });
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        let open = TaskTracker::new();
        accept(&door, listener, &open).await;
        open.close();
        if timeout(timeouts.drain, open.wait()).await.is_err() {
            tracing::warn!(connections = open.len(), "requests still in flight are broken off");
        }
        Ok(())
    })
}

/// Where all places are taken, whoever has waited for longest without a request makes room for who comes. No source can have
/// more than its part of the places.
async fn accept(door: &Rc<Door>, listener: TcpListener, open: &TaskTracker) {
    let shared = &door.worker.shared;
    let (stop, mut full) = (shared.stop.clone(), shared.full.subscribe());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = full.changed() => {
                door.waiters.send_one_away();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let peer = Peer::at(address.ip());
                let Ok(place) = shared.sources.enter(peer) else {
                    door.worker.metrics.connection_refused();
                    continue;
                };
                let Some(permit) = permit(door, &mut full).await else { return };
                // The token itself, not the tracker's wrapper: that would be one more layer in every poll.
                let (door, token) = (door.clone(), open.token());
                spawn_local(async move {
                    let entry = door.waiters.enter();
                    serve(&door, stream, peer, &entry.waiter).await;
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
async fn permit(door: &Door, full: &mut signal::Receiver<()>) -> Option<OwnedSemaphorePermit> {
    let Shared { connections, full: tell, stop, .. } = &*door.worker.shared;
    if let Ok(permit) = connections.clone().try_acquire_owned() {
        return Some(permit);
    }
    loop {
        if !door.waiters.send_one_away() {
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
async fn serve(door: &Door, stream: TcpStream, peer: Peer, waiter: &Waiter) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    // Under TLS, so that what counts is what the client takes from the network.
    let stream = Tapped::new(stream, Taken::within(door.worker.shared.settings.timeouts.stall));
    let ended = match &door.worker.shared.tls {
        None => serve_http_1(door, stream, peer, waiter).await,
        Some(tls) => {
            let shaken = tokio::select! {
                shaken = tls.accept(stream) => shaken,
                () = waiter.sent_away() => return,
            };
            match shaken {
                Ok(stream) if tls::is_http_2(&stream) => {
                    serve_http_2(door.worker.clone(), stream, peer, waiter).await.map_err(io::Error::other)
                }
                Ok(stream) => serve_http_1(door, stream, peer, waiter).await,
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

async fn serve_http_1<S>(door: &Door, stream: S, peer: Peer, waiter: &Waiter) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Abrupt + Unpin,
{
    let serving = |parts, body| proxy::serve(door.worker.clone(), peer, parts, body);
    http_1::serve(stream, &door.terms, waiter, serving).await
}

/// Who says nothing after the handshake is let go as one who sends no head.
async fn serve_http_2<S>(worker: Rc<Worker>, stream: S, peer: Peer, waiter: &Waiter) -> hyper::Result<()>
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
