//! A request that may go to the upstream: its way there, and that of the answer back.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, timeout};

use super::list;
use super::listing::Listing;
use super::session::{LAST_EVENT_ID, SESSION_ID};
use crate::domain::decision::Principal;
use crate::gateway::call::Call;
use crate::gateway::call::refusal::Refusal;
use crate::gateway::forward::{self, answer, upstream_refusal};
use crate::gateway::stream::{Passed, Reply, ReplyBody};
use crate::gateway::streams::Place;
use crate::gateway::upstream::{Answer, AnswerHead, Outgoing, UpstreamFault, unfit};
use crate::gateway::wire::{Parts, are_media, is_same};
use crate::gateway::worker::Worker;

/// What the way to the upstream needs to know of a request that may go there.
pub(super) struct Admitted {
    pub principal: Rc<Principal>,
    /// The upstream's own session id, where the client presented one of ours.
    pub session: Option<HeaderValue>,
    /// Whether sessions exist for this request.
    pub has_sessions: bool,
    /// Whether an answer with a body is due.
    pub awaits_answer: bool,
    /// Whether the answer may hold a list of tools.
    pub lists_tools: bool,
    /// Where the answer may be a stream, and a place for it was taken already.
    pub place: Option<Place>,
}

/// Sends an admitted request to the upstream and makes its answer the client's.
///
/// # Errors
/// 502 or 504 for what the upstream did or did not answer; what the client did to its own body; 429 for a stream too many.
pub(super) async fn forward(
    worker: &Rc<Worker>,
    call: &Call<'_>,
    parts: &Parts,
    admitted: Admitted,
    bytes: Bytes,
    now: Instant,
) -> Result<Response<Reply>, Refusal> {
    let upstream = &worker.shared.settings.upstream;
    let garbled = || upstream_refusal(worker, UpstreamFault::Garbled);
    let unfit = |why: &str| {
        worker.upstream_is_unfit(why);
        garbled()
    };
    let target = forward::target(&parts.uri, upstream.path())?;
    // Only a stream is resumed, and only within its session.
    let resumes = parts.method == Method::GET && admitted.session.is_some();
    // Of sessions there is what the upstream itself named, and only where there are any. A list that is edited must be
    // readable.
    let mut head = forward::head_for(worker, call, &admitted.principal, parts, &target, |name| {
        let is = |known: &HeaderName| is_same(name, known.as_str().as_bytes());
        is(&SESSION_ID)
            || (is(&LAST_EVENT_ID) && !resumes)
            || (is(&header::ACCEPT_ENCODING) && admitted.lists_tools)
    });
    if let Some(session) = &admitted.session {
        head.add(&SESSION_ID, session);
    }
    let (mut head, body) = forward::send(worker, head, Outgoing::Whole(bytes), now).await?;
    if let Some(why) = unfit::at_endpoint(upstream, &head) {
        worker.upstream_is_unfit(&why);
    }
    if !is_passable(head.status) {
        return Err(garbled());
    }
    let session = match head.fields.all(&SESSION_ID).next_back() {
        Some(session) if admitted.has_sessions => {
            Some(worker.shared.binder.bind(&admitted.principal, session).ok_or_else(garbled)?)
        }
        _ => None,
    };
    head.fields.remove(&SESSION_ID);
    let [is_stream, is_json] = are_media(&head.fields, ["text/event-stream", "application/json"]);
    // A list is looked into whatever the status says of it: what succeeds in any way is read by clients.
    let is_unread = head.status == StatusCode::OK
        || (admitted.lists_tools && head.status.is_success() && !http_body::Body::is_end_stream(&body));
    if admitted.awaits_answer && is_unread && !is_stream && !is_json {
        return Err(unfit(&unfit::media(upstream, &head)));
    }
    if admitted.awaits_answer && head.status == StatusCode::OK && http_body::Body::is_end_stream(&body) {
        return Err(unfit(&unfit::empty(upstream)));
    }
    let is_encoded = head.fields.has(&header::CONTENT_ENCODING);
    if admitted.lists_tools && (is_stream || is_json) && is_encoded {
        return Err(garbled());
    }
    // By 404 a server says as well that a session has ended, in whatever form.
    let ends_session = head.status == StatusCode::NOT_FOUND && admitted.session.is_some();
    let is_turned_away = admitted.awaits_answer && unfit::turns_away(head.status) && !ends_session;
    let turned_away = |head: &AnswerHead| {
        // Within a session that goes on it is a matter of this one call, such as another proxy's.
        match head.status {
            StatusCode::FORBIDDEN if admitted.session.is_some() => garbled(),
            _ => unfit(&unfit::turned_away(upstream, head)),
        }
    };
    if is_turned_away && !is_stream && !is_json {
        return Err(turned_away(&head));
    }
    let listing = admitted.lists_tools.then(|| Listing::new(&admitted.principal, call.address, call.at));
    let body = match listing {
        listing if is_json && (listing.is_some() || (is_turned_away && !is_encoded)) => {
            let whole = whole(worker, body).await?;
            if is_turned_away && !unfit::is_message(&whole) {
                return Err(turned_away(&head));
            }
            match listing {
                Some(listing) => {
                    head.fields.remove(&header::ETAG);
                    edited(worker, whole, listing).await?
                }
                None => whole.into(),
            }
        }
        listing => {
            let place = match admitted.place.filter(|_| is_stream) {
                None if is_stream => Some(worker.shared.streams.answer(&admitted.principal)?),
                place => place,
            };
            let passed = Passed::new(body, worker.clone(), admitted.principal);
            match place {
                Some(place) => passed.events(call.asked(), listing, place),
                None => passed,
            }
            .into()
        }
    };
    let mut response = answer(head, body);
    if let Some(session) = session {
        response.headers_mut().insert(SESSION_ID, session);
    }
    Ok(response)
}

/// Redirects lead past the gateway, and a demand for credentials is for the gateway, not for its client.
fn is_passable(status: StatusCode) -> bool {
    !status.is_redirection()
        && status != StatusCode::UNAUTHORIZED
        && status != StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

/// All of an answer's body.
async fn whole(worker: &Worker, body: Answer) -> Result<Bytes, Refusal> {
    let limit = worker.shared.settings.timeouts.response;
    match timeout(limit, Limited::new(body, list::MOST).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(_)) => Err(upstream_refusal(worker, UpstreamFault::Garbled)),
        Err(_) => Err(upstream_refusal(worker, UpstreamFault::Slow)),
    }
}

/// The answer to `tools/list`, without the tools that the principal may not call.
async fn edited(worker: &Worker, whole: Bytes, listing: Listing) -> Result<ReplyBody, Refusal> {
    let edited = listing.edit(whole, worker.shared.aside.clone()).await;
    edited.map(Into::into).map_err(|list::Unreadable| upstream_refusal(worker, UpstreamFault::Garbled))
}
