//! The way to the upstream and back, and what a client is told where that is not gone to its end: for whatever is asked,
//! MCP, plain HTTP or the authorization server's own.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use http_body::Body;
use tokio::time::Instant;

use crate::domain::decision::Principal;
use crate::domain::text;

use super::call::Call;
use super::call::headers;
use super::call::refusal::Refusal;
use super::stream::{Reply, ReplyBody};
use super::upstream::unfit;
use super::upstream::{Answer, AnswerHead, BrokenBody, Outgoing, RequestHead, UpstreamFault};
use super::wire::{Fields, Parts, Received};
use super::worker::Worker;

/// Keeps a proxy in front from holding back the events of a stream.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Forgets what has come of a body. A refusal that is known waits for nobody: where the rest is still on its way it ends
/// the connection, which for a while reads on so that the client sees it ([`http_1`](super::connection::http_1)).
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

/// Whether what is to come of a body is known to be too much.
pub fn is_too_long(worker: &Worker, body: &Received) -> bool {
    body.size_hint().lower() > worker.shared.settings.max_body as u64
}

/// The refusal of a body that is too long.
pub fn too_long(worker: &Worker) -> Refusal {
    let most = text::size(worker.shared.settings.max_body as u64);
    Refusal::bad_request(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {most}"))
}

/// The refusal of a body that does not come.
pub fn too_slow() -> Refusal {
    Refusal::bad_request(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time").closing()
}

/// The refusal of a body that breaks off.
pub fn ended_early() -> Refusal {
    Refusal::bad_request(StatusCode::BAD_REQUEST, "the body ended early").closing()
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
///
/// # Errors
/// 400 where the two together are no target of a request.
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
///
/// # Errors
/// 413, 400 or 408 where the client's body is too long, breaks off or stops coming; else 502 or 504 for the upstream's
/// fault, which is counted and, where it speaks no HTTP, told.
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
