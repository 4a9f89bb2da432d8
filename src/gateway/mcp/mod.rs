//! The MCP endpoint, in both eras of the protocol.
//!
//! The body decides which endpoint is asked for; headers that say otherwise are refused. The upstream receives the very
//! bytes that were read.

mod admitted;
mod arriving;
pub mod aside;
mod asking;
pub mod body;
pub mod era;
mod glimpse;
pub mod list;
pub mod listing;
mod refusing;
pub mod session;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use tokio::time::{Instant, timeout};

use crate::domain::decision::{Account, Principal, Reason};
use crate::domain::endpoint::Endpoint;

pub use self::asking::ask_by_headers;

use self::admitted::{Admitted, forward};
use self::arriving::{Arriving, is_plain_json};
use self::aside::Aside;
use self::asking::{SESSION_END, STREAM};
use self::body::{BadBody, Body, Kind, Message};
use self::era::{Era, Mismatch};
use self::refusing::{UNPROVED, bad_request, refuse_unproved, refuse_unread, refused};
use self::session::LAST_EVENT_ID;
use super::call::Call;
use super::call::credential::Credential;
use super::call::origin::Foreign;
use super::call::refusal::Refusal;
use super::config::Refusals;
use super::forward::{discard, refuse, too_long};
use super::stream::Reply;
use super::streams::Place;
use super::wire::{Fields, Parts, Received};
use super::worker::Worker;

/// How long the refusal of who may not call waits for the rest of a body to name its id. Then it is told without.
const GRACE: Duration = Duration::from_millis(200);

const ALLOW: &str = "GET, POST, DELETE, OPTIONS";

fn allowed() -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(ALLOW));
    response
}

/// Answers a request to the MCP endpoint.
pub async fn serve(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    parts: &Parts,
    body: Received,
) -> Response<Reply> {
    match parts.method {
        Method::POST => post(worker, call, foreign, parts, body).await,
        Method::GET | Method::DELETE => match get_or_delete(worker, call, foreign, parts).await {
            Ok(response) => response,
            Err(refusal) => refuse(call, &refusal),
        },
        Method::OPTIONS => allowed(),
        _ => refuse(call, &Refusal::method_not_allowed(ALLOW)),
    }
}

async fn post(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    parts: &Parts,
    body: Received,
) -> Response<Reply> {
    let credential = call.credential(&parts.method, parts.uri.path(), &parts.headers, parts.uri.query());
    let bytes = match receive(worker, call, foreign, parts, &credential, body).await {
        Ok(bytes) => bytes,
        Err(refused) => return refused,
    };
    let began = Instant::now();
    let mut identified = identify(worker, call, foreign, parts, &credential).await;
    let parsed = match (&identified, Aside::is_long(bytes.len())) {
        (Ok(principal), true) => {
            let parsed = parse_aside(worker, principal.account.clone(), bytes.clone()).await;
            // It may have waited its turn, and what it came with may have ended meanwhile.
            identified = identify(worker, call, foreign, parts, &credential).await;
            parsed
        }
        (Ok(_), false) => body::parse(&bytes),
        (Err(_), _) => Err(BadBody::Unread),
    };
    let principal = match identified {
        Ok(principal) => principal,
        Err(refusal) => return refuse_unproved(call, refusal, &bytes),
    };
    let era = era::of(&parts.headers);
    let in_session = worker.shared.settings.refusals == Refusals::Auto
        && matches!(era, Ok(Era::Old { .. }))
        && parsed.as_ref().is_ok_and(|body| body.messages().iter().all(is_of_session));
    let admitted = match judge(worker, call, principal, parts, &parsed, &era).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            call.refused(&refusal);
            return refused(&refusal, &bytes, &parsed, &era, in_session);
        }
    };
    let now = worker.metrics.handed_over(began);
    match forward(worker, call, parts, admitted, bytes.clone(), now).await {
        Ok(response) => {
            call.answered();
            response
        }
        Err(refusal) => {
            call.refused(&refusal);
            refused(&refusal, &bytes, &parsed, &era, in_session)
        }
    }
}

/// Reads a long body beside the worker, so that whoever else it serves does not wait for that.
async fn parse_aside(worker: &Worker, account: Account, bytes: Bytes) -> Result<Body<'static>, BadBody> {
    let length = bytes.len();
    let parse = move || body::parse(&bytes).map(Body::into_owned);
    worker.shared.aside.clone().run(account, length, parse).await.unwrap_or(Err(BadBody::Unread))
}

/// Whether it is what older clients send within a session, which the refusal of it must not end: not what opens one, nor a
/// call that only looks like a notification.
fn is_of_session(message: &Message<'_>) -> bool {
    match (&message.kind, message.method()) {
        (Kind::Request { .. }, method) => method != Some("initialize"),
        (Kind::Notification { .. }, method) => {
            method.is_some_and(|method| method.starts_with("notifications/"))
        }
        (Kind::Response, _) => true,
    }
}

/// Reads a whole body, or refuses. Where it is not there with its head the credential is judged first, and who is refused
/// for that is told at once; the request is judged as a whole, credential and all, when its last byte is there.
async fn receive(
    worker: &Worker,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    parts: &Parts,
    credential: &Credential,
    body: Received,
) -> Result<Bytes, Response<Reply>> {
    let mut body = Arriving::new(body, worker.shared.settings.timeouts.body);
    // Who waits for a word before it sends the body is given it when its credential holds.
    let is_expectant = parts.headers.has(&header::EXPECT);
    let mut read = if is_expectant { Ok(None) } else { body.read_there(UNPROVED).await };
    if !matches!(read, Ok(Some(true))) {
        if let Err(refusal) = identify(worker, call, foreign, parts, credential).await {
            // Many clients send the body right behind the head.
            if !is_expectant && matches!(timeout(GRACE, body.read_within(UNPROVED)).await, Ok(Ok(true))) {
                return Err(refuse_unproved(call, refusal, &body.whole()));
            }
            return Err(refuse(call, &discard(worker, &parts.headers, body.rest, refusal).await));
        }
        if read.is_ok() {
            read = body.read_within(worker.shared.settings.max_body).await.map(Some);
        }
    }
    let (whole, rest) = body.apart();
    let refusal = match read {
        Ok(Some(true)) => return Ok(whole),
        Err(refusal) => refusal,
        Ok(_) => discard(worker, &parts.headers, rest, too_long(worker)).await,
    };
    Err(refuse_unread(call, &refusal, &whole))
}

/// Finds out who asks, by the state as it is now.
async fn identify(
    worker: &Worker,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    parts: &Parts,
    credential: &Credential,
) -> Result<Rc<Principal>, Refusal> {
    let now = worker.up_to_date().await.map_err(|_| Refusal::because(Reason::Unavailable))?;
    foreign.map_err(|foreign| foreign.refusal(&parts.headers, &worker.shared.settings))?;
    call.authenticate(credential, now)
}

async fn judge(
    worker: &Worker,
    call: &mut Call<'_>,
    principal: Rc<Principal>,
    parts: &Parts,
    parsed: &Result<Body<'_>, BadBody>,
    era: &Result<Era, Mismatch>,
) -> Result<Admitted, Refusal> {
    let messages = parsed.as_ref().map(Body::messages).unwrap_or_default();
    let asked = asking::ask(call, messages);
    is_plain_json(&parts.headers)?;
    let body = parsed.as_ref().map_err(|fault| bad_request(fault.to_string()))?;
    asked?;
    let era = era.clone().map_err(Refusal::mismatch)?;
    agrees(era, &parts.headers, body)?;
    let begins = messages.iter().any(|message| message.method() == Some("initialize"));
    // An answer or a cancellation is about what others asked in the session, and is judged by nothing else.
    let as_opened = messages.iter().any(|message| !matches!(message.kind, Kind::Request { .. }));
    // Who begins anew needs no session, and may still hold one that is gone.
    let session = if begins { None } else { session_of(worker, &principal, era, &parts.headers, as_opened)? };
    let place = place_for(worker, &principal, messages)?;
    if session.is_none() && messages.iter().any(|message| matches!(message.kind, Kind::Response)) {
        return Err(bad_request("a response needs the session whose request it answers"));
    }
    // Where there are no sessions, 404 is what MCP asks for.
    let for_era = |refusal: Refusal| if era == Era::New { refusal.not_found() } else { refusal };
    call.decide(&principal).await.map_err(for_era)?;
    Ok(Admitted {
        principal,
        session,
        has_sessions: era != Era::New || begins,
        awaits_answer: messages.iter().any(|message| matches!(message.kind, Kind::Request { .. })),
        lists_tools: messages.iter().any(|message| message.method() == Some("tools/list")),
        place,
    })
}

fn agrees(era: Era, headers: &Fields, body: &Body<'_>) -> Result<(), Refusal> {
    if matches!(body, Body::Batch(_)) && era != (Era::Old { batches: true }) {
        return Err(bad_request("batches are of protocol version 2025-03-26 only"));
    }
    for message in body.messages() {
        if era == Era::New && matches!(message.kind, Kind::Response) {
            return Err(bad_request("from 2026-07-28 on clients send no responses"));
        }
        era::agree(era, headers, message).map_err(Refusal::mismatch)?;
    }
    Ok(())
}

/// The upstream's session id, out of the one that the client presents. From 2026-07-28 on there are none, and one that
/// is sent is ignored.
fn session_of(
    worker: &Worker,
    principal: &Principal,
    era: Era,
    headers: &Fields,
    as_opened: bool,
) -> Result<Option<HeaderValue>, Refusal> {
    if era == Era::New {
        return Ok(None);
    }
    let unbound = worker.shared.binder.unbind(principal, headers, as_opened);
    unbound.map_err(|_| Refusal::because(Reason::SessionMismatch))
}

/// The stream and the end of a session, both of the old era.
async fn get_or_delete(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    parts: &Parts,
) -> Result<Response<Reply>, Refusal> {
    let is_stream = parts.method == Method::GET;
    let method = if is_stream { STREAM } else { SESSION_END };
    call.asks(Endpoint::mcp(method, None).map_err(|fault| bad_request(fault.to_string()))?);
    let began = Instant::now();
    let credential = call.credential(&parts.method, parts.uri.path(), &parts.headers, parts.uri.query());
    let principal = identify(worker, call, foreign, parts, &credential).await?;
    let era = era::of(&parts.headers).map_err(Refusal::mismatch)?;
    if era == Era::New {
        return Err(Refusal::method_not_allowed("POST, OPTIONS"));
    }
    era::names_nothing(&parts.headers).map_err(Refusal::mismatch)?;
    let session = session_of(worker, &principal, era, &parts.headers, true)?;
    let resumes = is_stream && parts.headers.has(&LAST_EVENT_ID);
    if resumes && session.is_none() {
        // The ids of events are bound to nobody; the session is.
        return Err(bad_request("to resume a stream needs the session that it was of (Mcp-Session-Id)"));
    }
    let place = if is_stream { Some(worker.shared.streams.listen(&principal)?) } else { None };
    call.decide(&principal).await?;
    let now = worker.metrics.handed_over(began);
    // A resumed stream repeats what was missed, the answer to tools/list as well.
    let lists_tools = resumes;
    let admitted =
        Admitted { principal, session, has_sessions: true, awaits_answer: false, lists_tools, place };
    let response = forward(worker, call, parts, admitted, Bytes::new(), now).await?;
    call.answered();
    Ok(response)
}

/// A place for a stream of a principal who asks to listen. Whether another call is answered with a stream is the server's
/// to say, and known too late to refuse it: so there has to be room for one.
fn place_for(
    worker: &Worker,
    principal: &Principal,
    messages: &[Message<'_>],
) -> Result<Option<Place>, Refusal> {
    let streams = &worker.shared.streams;
    if messages.iter().any(|message| message.method() == Some("subscriptions/listen")) {
        return streams.listen(principal).map(Some);
    }
    if streams.has_room(principal) { Ok(None) } else { Err(Refusal::too_many_streams()) }
}
