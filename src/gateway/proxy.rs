//! The way of a request: limits, who may ask from where, then MCP or plain HTTP, then the upstream (design §3).

use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::Body;
use tokio::time::Instant;

use crate::domain::decision::{Principal, Reason};
use crate::domain::endpoint::Endpoint;

use super::call::Call;
use super::call::headers;
use super::call::origin::{self, Foreign};
use super::call::refusal::Refusal;
use super::call::route::{endpoint, is_served};
use super::connection::peer::Peer;
use super::cors;
use super::forward::{answer, discard, head_for, is_too_long, refuse, send, target, too_long};
use super::mcp;
use super::oauth;
use super::stream::{Passed, Reply};
use super::upstream::Outgoing;
use super::wire::{MOST_FIELDS, Media, Parts, Received, are_media};
use super::worker::Worker;

/// A longer target is 414.
const TARGET: usize = 8 * 1024;
/// More fields, counted as they were sent, are 431.
const FIELDS: usize = 32 * 1024;

/// Answers one request.
pub async fn serve(
    worker: Rc<Worker>,
    peer: Peer,
    parts: Parts,
    body: Received,
) -> Result<Response<Reply>, Infallible> {
    let _in_flight = worker.metrics.request();
    let settings = &worker.shared.settings;
    let mut call = Call::new(&worker.shared, &worker.ids, peer, &parts.headers);
    let origin = origin::check(&parts, settings, &worker.last_host);
    let mut response = route(&worker, &mut call, origin.map(drop), &parts, body).await;
    response.body_mut().request_id = Some(call.request_id);
    if let Ok(Some(origin)) = origin {
        cors::share(&mut response, origin);
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
        // The path as it is judged and as it is forwarded, so that both are the same.
        false => endpoint(parts.uri.path()).map(Some),
    });
    let path = match place {
        Ok(path) => path.filter(|path| !mcp_path.matches(path.as_str())),
        Err(refusal) => return refuse(call, &discard(worker, &parts.headers, body, refusal).await),
    };
    let place = path.as_ref().and_then(|path| oauth::Place::of(&worker.shared, path.as_str()));
    let is_public = matches!(place, Some(oauth::Place::Page(_)));
    let is_preflight = foreign.is_ok() && cors::is_preflight(parts) && parts.headers.has(&header::ORIGIN);
    if is_preflight && !is_public {
        return cors::preflight(&parts.headers);
    }
    if let Some(place) = place {
        return oauth::serve(worker, call, foreign, place, parts, body).await;
    }
    match path {
        None => mcp::serve(worker, call, foreign, parts, body).await,
        Some(path) => plain(worker, call, foreign, path, parts, body).await,
    }
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
    foreign.map_err(|foreign| foreign.refusal(&parts.headers, &worker.shared.settings))?;
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
