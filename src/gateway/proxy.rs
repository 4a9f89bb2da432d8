//! The way of a request: limits, who may ask from where, then MCP or plain HTTP, then the upstream (design §3).

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body::Body;
use tokio::time::Instant;

use crate::domain::decision::{Principal, Reason};
use crate::domain::endpoint::{BadEndpoint, Endpoint};
use crate::domain::text;

use super::call::Call;
use super::client_address::{client_address, is_trusted};
use super::config::Settings;
use super::headers;
use super::mcp;
use super::oauth;
use super::origin::{self, Foreign};
use super::place::Place;
use super::received::{Parts, Received};
use super::refusal::Refusal;
use super::stream::{Passed, Reply, ReplyBody};
use super::unfit;
use super::upstream::{Answer, AnswerHead, BrokenBody, Outgoing, RequestHead, UpstreamFault};
use super::wire::{Fields, MOST_FIELDS, Media};
use super::worker::Worker;

/// Keeps a proxy in front from holding back the events of a stream.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A longer target is 414.
const TARGET: usize = 8 * 1024;
/// More fields, counted as they were sent, are 431.
const FIELDS: usize = 32 * 1024;

/// Answers one request.
pub async fn serve(
    worker: Rc<Worker>,
    peer: IpAddr,
    parts: Parts,
    body: Received,
) -> Result<Response<Reply>, Infallible> {
    let _in_flight = worker.metrics.request();
    let settings = &worker.shared.settings;
    let address = client_address(peer, &parts.headers, &settings.trusted_proxies);
    let is_trusted = is_trusted(peer.to_canonical(), &settings.trusted_proxies);
    let place = Place::of(settings, is_trusted, &parts.headers);
    let mut call = Call::new(&worker.shared, &worker.ids, address, place);
    let origin = origin::check(&parts, settings, &worker.last_host);
    let mut response = route(&worker, &mut call, origin.map(drop), &parts, body).await;
    response.body_mut().request_id = Some(call.request_id);
    if let Ok(Some(origin)) = origin {
        origin::share(&mut response, origin);
    }
    Ok(response)
}

async fn route(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    parts: &Parts,
    body: Received,
) -> Response<Reply> {
    let mcp_path = &worker.shared.mcp_path;
    let place = within_limits(worker, parts, &body).and_then(|()| match mcp_path.is(parts.uri.path()) {
        true => Ok(None),
        false => normalised(&parts.uri).map(Some),
    });
    let path = match place {
        Ok(path) => path.filter(|path| !mcp_path.matches(path.as_str())),
        Err(refusal) => return refuse(call, &discard(worker, &parts.headers, body, refusal).await),
    };
    let place = path.as_ref().and_then(|path| oauth::Place::of(&worker.shared, path.as_str()));
    let is_public = matches!(place, Some(oauth::Place::Page(_)));
    let is_preflight = foreign.is_ok() && origin::is_preflight(parts) && parts.headers.has(&header::ORIGIN);
    if is_preflight && !is_public {
        return origin::preflight(&parts.headers);
    }
    if let Some(place) = place {
        return oauth::serve(worker, call, foreign, place, parts, body).await;
    }
    match path {
        None => mcp::serve(worker, call, foreign, parts, body).await,
        Some(path) => plain(worker, call, foreign, path, parts, body).await,
    }
}

/// Forgets what has come of a body. A refusal that is known waits for nobody: where the rest is still on its way it ends
/// the connection, which for a while reads on so that the client sees it ([`http_1`](super::http_1)).
#[must_use]
pub async fn discard(worker: &Worker, headers: &Fields, mut body: Received, refusal: Refusal) -> Refusal {
    // Who waits for a word before it sends the body is not given it.
    if headers.has(&header::EXPECT) || is_too_long(worker, &body) {
        return refusal.closing();
    }
    let is_whole = poll_fn(|context| {
        loop {
            match Pin::new(&mut body).poll_frame(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Err(_))) | Poll::Pending => return Poll::Ready(false),
            }
        }
    });
    if is_whole.await { refusal } else { refusal.closing() }
}

/// Records a refusal and renders it for a request that has no JSON-RPC id.
pub fn refuse(call: &mut Call<'_>, refusal: &Refusal) -> Response<Reply> {
    call.refused(refusal);
    refusal.render(None, false)
}

/// The refusal of a `Host` or an `Origin`.
pub fn of_foreign(foreign: Foreign, headers: &Fields, settings: &Settings) -> Refusal {
    let refusal = match foreign {
        Foreign::HostInvalid => {
            Refusal::bad_request(StatusCode::BAD_REQUEST, "the request needs exactly one valid Host")
        }
        Foreign::HostDenied | Foreign::OriginDenied => Refusal::because(Reason::OriginDenied),
    };
    refusal.noting(foreign.why(headers, settings))
}

fn within_limits(worker: &Worker, parts: &Parts, body: &Received) -> Result<(), Refusal> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET {
        return Err(Refusal::bad_request(StatusCode::URI_TOO_LONG, "the target is longer than 8 KiB"));
    }
    if parts.headers.size() > FIELDS || parts.headers.len() > MOST_FIELDS {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Refusal::bad_request(
            status,
            "the header fields are longer than 32 KiB, or more than 100",
        ));
    }
    if is_too_long(worker, body) {
        return Err(too_long(worker));
    }
    if headers::takes_away_what_is_judged(&parts.headers) {
        let message = "Connection names a field that the request is judged by";
        return Err(Refusal::bad_request(StatusCode::BAD_REQUEST, message));
    }
    Ok(())
}

/// Whether what is to come of a body is known to be too much.
fn is_too_long(worker: &Worker, body: &Received) -> bool {
    body.size_hint().lower() > worker.shared.settings.max_body as u64
}

pub fn too_long(worker: &Worker) -> Refusal {
    let most = text::size(worker.shared.settings.max_body as u64);
    Refusal::bad_request(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {most}"))
}

pub fn too_slow() -> Refusal {
    Refusal::bad_request(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time").closing()
}

pub fn ended_early() -> Refusal {
    Refusal::bad_request(StatusCode::BAD_REQUEST, "the body ended early").closing()
}

/// The path as it is judged and as it is forwarded, so that both are the same.
fn normalised(uri: &Uri) -> Result<Endpoint, Refusal> {
    endpoint(uri.path())
}

/// What a path asks for. Who wrote a credential into one is told so.
pub fn endpoint(path: &str) -> Result<Endpoint, Refusal> {
    Endpoint::http(path).map_err(|fault| match fault {
        BadEndpoint::Credential => Refusal::bad_request(StatusCode::BAD_REQUEST, fault.to_string()),
        _ => Refusal::bad_request(StatusCode::BAD_REQUEST, "the path cannot be normalised"),
    })
}

/// A request to any other path than the MCP endpoint.
async fn plain(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    path: Endpoint,
    parts: &Parts,
    body: Received,
) -> Response<Reply> {
    let began = Instant::now();
    let principal = match judge(worker, call, foreign, &path, parts).await {
        Ok(principal) => principal,
        Err(refusal) => {
            let refusal = discard(worker, &parts.headers, body, refusal).await;
            if refusal.is_unauthorized() && oauth::login::is_place(path.as_str()) {
                call.refused(&refusal);
                return oauth::login::refused(&refusal);
            }
            return refuse(call, &refusal);
        }
    };
    let now = worker.metrics.handed_over(began);
    match forward(worker, call, principal, &path, parts, body, now).await {
        Ok(response) => response,
        Err(refusal) => refuse(call, &refusal),
    }
}

async fn judge(
    worker: &Worker,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    path: &Endpoint,
    parts: &Parts,
) -> Result<Rc<Principal>, Refusal> {
    const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    call.asks(path.clone());
    let now = worker.up_to_date().await.map_err(|_| Refusal::because(Reason::Unavailable))?;
    foreign.map_err(|foreign| of_foreign(foreign, &parts.headers, &worker.shared.settings))?;
    let credential = call.credential(&parts.method, parts.uri.path(), &parts.headers, parts.uri.query());
    let principal = call.authenticate(&credential, now)?;
    if !is_served(&parts.method) {
        return Err(Refusal::method_not_allowed(ALLOW));
    }
    call.decide(&principal).await?;
    Ok(principal)
}

async fn forward(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    principal: Rc<Principal>,
    path: &Endpoint,
    parts: &Parts,
    body: Received,
    now: Instant,
) -> Result<Response<Reply>, Refusal> {
    let target = target(&parts.uri, path.as_str())?;
    let limit = worker.shared.settings.timeouts.body;
    let body = match body.is_end_stream() {
        true => Outgoing::Whole(Bytes::new()),
        false => Outgoing::streamed(body, worker.shared.settings.max_body as u64, limit),
    };
    if !worker.shared.streams.has_room(&principal) {
        return Err(Refusal::too_many_streams());
    }
    let head = head_for(worker, call, &principal, parts, &target, |_| false);
    let (head, body) = send(worker, head, body, now).await?;
    if matches!(head.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) && asks_for_mcp(parts) {
        call.answered();
        let message = format!("there is nothing at {}: {}", call.shown(), call.way_to_mcp());
        return Ok(Refusal::bad_request(head.status, message).render(None, false));
    }
    let [is_stream] = are_media(&head.fields, ["text/event-stream"]);
    let place = if is_stream { Some(worker.shared.streams.answer(&principal)?) } else { None };
    call.answered();
    let passed = Passed::new(body, worker.clone(), principal);
    let passed = match place {
        Some(place) => passed.events(call.asked(), None, place),
        None => passed,
    };
    Ok(answer(head, passed.into()))
}

/// Whether it is meant for an MCP endpoint: every client of one takes events, and hardly anybody else does.
fn asks_for_mcp(parts: &Parts) -> bool {
    let mut ranges = parts.headers.all(&header::ACCEPT).flat_map(Media::ranges);
    ranges.any(|range| range.is("text/event-stream") && range.weight() > 0.0)
}

pub fn is_served(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
        .contains(method)
}

/// The head of a request as the upstream is to receive it. Fields that `also_ends` names stay here.
pub fn head_for(
    worker: &Worker,
    call: &Call<'_>,
    principal: &Principal,
    parts: &Parts,
    target: &PathAndQuery,
    also_ends: impl Fn(&[u8]) -> bool,
) -> RequestHead {
    let mut head = RequestHead::new(&parts.method, target);
    let (scheme, host) = call.reached_by();
    worker.preface.write(&mut head, call.address, scheme);
    head.add_id(&call.request_id);
    let stripped = &worker.shared.settings.stripped;
    headers::to_upstream(&mut head, &parts.headers, host, |name| {
        also_ends(name) || stripped.iter().any(|pattern| pattern.covers(name))
    });
    worker.introductions.introduce(principal, |introduction| head.add_lines(introduction.lines()));
    head
}

/// The path as it was judged, with the client's query.
pub fn target(asked: &Uri, path: &str) -> Result<PathAndQuery, Refusal> {
    if let Some(target) = asked.path_and_query().filter(|target| target.path() == path) {
        return Ok(target.clone());
    }
    let target = match asked.query() {
        Some(query) => PathAndQuery::try_from([path, "?", query].concat()),
        None => PathAndQuery::try_from(path),
    };
    target.map_err(|_| Refusal::bad_request(StatusCode::BAD_REQUEST, "the target cannot be forwarded"))
}

/// Sends a request to the upstream and waits for the head of its answer.
pub async fn send(
    worker: &Worker,
    head: RequestHead,
    body: Outgoing,
    now: Instant,
) -> Result<(AnswerHead, Answer), Refusal> {
    let broken = body.broken();
    let sent = worker.pool.send(head, body, now).await;
    sent.map_err(|fault| match broken.and_then(|broken| broken.get()) {
        // The upstream is not to be blamed for what the client did.
        Some(BrokenBody::TooLong) => too_long(worker).closing(),
        Some(BrokenBody::EndedEarly) => ended_early(),
        Some(BrokenBody::TooSlow) => too_slow(),
        None => {
            if fault == UpstreamFault::Garbled {
                worker.upstream_is_unfit(unfit::NO_HTTP);
            }
            upstream_refusal(worker, fault)
        }
    })
}

/// The refusal for a fault of the upstream, which is counted.
pub fn upstream_refusal(worker: &Worker, fault: UpstreamFault) -> Refusal {
    worker.metrics.upstream_error(fault);
    Refusal::upstream(fault)
}

/// An answer of the upstream as the client is to receive it.
pub fn answer(head: AnswerHead, body: ReplyBody) -> Response<Reply> {
    let AnswerHead { status, mut fields, unsent, .. } = head;
    let is_stream = matches!(&body, ReplyBody::Passed(passed) if passed.is_stream());
    if is_stream {
        fields.remove(&ACCEL_BUFFERING);
    }
    let mut response = Response::new(Reply { fields, body, request_id: None });
    *response.status_mut() = status;
    if is_stream {
        response.headers_mut().insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    } else if let Some(length) = unsent {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

/// Whether the media type is one of these, and which, whatever its parameters.
pub fn are_media<const N: usize>(headers: &Fields, media_types: [&str; N]) -> [bool; N] {
    let media = Media::of(headers.get(&header::CONTENT_TYPE).unwrap_or_default());
    media_types.map(|media_type| media.is(media_type))
}
