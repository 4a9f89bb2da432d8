//! The admin listener: `/health`, `/ready`, `/metrics`, and `/verify` for proxies that ask for decisions. It forwards
//! nothing.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::call::origin;
use super::connection::peer::Peer;
use super::exposition::Exposition;
use super::forward_auth::{self, Verifier};
use super::freshness::Freshness;
use super::metrics::Metrics;
use super::shared::Shared;
use super::wire::Parts;

/// The head of a proxy's question holds all fields of its client's request.
const BUFFER: usize = 64 * 1024;
/// How long `/ready` waits for the upstream to take a connection.
const REACH: Duration = Duration::from_secs(2);

struct Admin {
    shared: Arc<Shared>,
    metrics: Metrics,
    freshness: Freshness,
    verifier: Verifier,
}

/// Runs the admin listener on this thread until the gateway stops.
///
/// # Errors
/// Where the thread gets no runtime, the listener is none that the runtime can take, or the system gives no random bytes.
pub fn run(
    shared: Arc<Shared>,
    metrics: Metrics,
    freshness: Freshness,
    listener: StdListener,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let stop = shared.stop.clone();
    let admin = Rc::new(Admin { verifier: Verifier::new(shared.clone())?, shared, metrics, freshness });
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = accept(admin, listener) => Ok(()),
        }
    })
}

async fn accept(admin: Rc<Admin>, listener: TcpListener) {
    let connections = Arc::new(Semaphore::new(admin.shared.settings.connections));
    while let Ok(permit) = connections.clone().acquire_owned().await {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, address)) => (stream, Peer::at(address.ip())),
            Err(error) => {
                tracing::warn!(%error, "an admin connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let admin = admin.clone();
        tokio::task::spawn_local(async move {
            let head = admin.shared.settings.timeouts.head;
            let service = service_fn(move |request| {
                let admin = admin.clone();
                async move {
                    // A body that nobody reads is left to the connection until the answer is there.
                    let (parts, _body) = Request::<Incoming>::into_parts(request);
                    Ok::<_, Infallible>(answer(&admin, peer, &parts.into()).await)
                }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(head)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "an admin connection ended in an error");
            }
            drop(permit);
        });
    }
}

async fn answer(admin: &Admin, peer: Peer, parts: &Parts) -> Response<Full<Bytes>> {
    if forward_auth::is_question(parts.uri.path()) {
        return admin.verifier.answer(&admin.freshness, peer, parts).await;
    }
    if !origin::is_host_acceptable(&parts.headers, admin.shared.settings.admin_listen.ip()) {
        return text(StatusCode::FORBIDDEN, "this Host is not served here\n");
    }
    let path = parts.uri.path();
    if !matches!(path, "/health" | "/ready" | "/metrics") {
        return text(StatusCode::NOT_FOUND, "only /health, /ready, /metrics and /verify are served here\n");
    }
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/health" => text(StatusCode::OK, "ok\n"),
        "/ready" => ready(admin).await,
        _ => metrics(admin, Exposition::asked(&parts.headers)),
    }
}

/// Whether a call would be decided and answered now.
async fn ready(admin: &Admin) -> Response<Full<Bytes>> {
    if admin.shared.stop.is_cancelled() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    if admin.freshness.up_to_date().await.is_err() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read\n");
    }
    let upstream = &admin.shared.settings.upstream;
    match timeout(REACH, TcpStream::connect((upstream.host(), upstream.port()))).await {
        Ok(Ok(_)) => text(StatusCode::OK, "ready\n"),
        _ => text(StatusCode::SERVICE_UNAVAILABLE, "the upstream takes no connection\n"),
    }
}

fn metrics(admin: &Admin, form: Exposition) -> Response<Full<Bytes>> {
    match form.write(admin.metrics.registry()) {
        Ok(scraped) => {
            let mut response = Response::new(Full::from(scraped));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
            headers.insert(header::VARY, HeaderValue::from_static("accept"));
            response
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n"),
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
