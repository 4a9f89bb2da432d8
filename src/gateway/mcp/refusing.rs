//! Refusals of what came to the MCP endpoint, as who sent it reads them.

use std::borrow::Cow;

use http::{Response, StatusCode};

use super::body::{BadBody, Body, Message};
use super::era::{Era, Mismatch};
use super::glimpse::Glimpse;
use crate::gateway::call::Call;
use crate::gateway::call::refusal::Refusal;
use crate::gateway::stream::Reply;

/// So much of a body is kept of someone who may not call: all of it, as a rule, so that the refusal can name the request's
/// id. That of a longer body has no id.
pub(super) const UNPROVED: usize = 64 * 1024;

/// Of what is not asked for as MCP has it.
pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::bad_request(StatusCode::BAD_REQUEST, message)
}

/// Answers who has not proved itself: with the id of its request, and with word of what it seems to ask for.
pub(super) fn refuse_unproved(call: &mut Call<'_>, refusal: Refusal, body: &[u8]) -> Response<Reply> {
    let glimpse = Glimpse::of(body);
    if let Some(endpoint) = glimpse.endpoint() {
        call.asks(endpoint);
    }
    let refusal = call.advised(refusal);
    call.refused(&refusal);
    refusal.render(glimpse.id(), false)
}

/// A refusal as who sent the body reads it.
pub(super) fn refused(
    refusal: &Refusal,
    body: &[u8],
    parsed: &Result<Body<'_>, BadBody>,
    era: &Result<Era, Mismatch>,
    in_session: bool,
) -> Response<Reply> {
    match parsed {
        Ok(Body::One(message)) => refusal.render(message.id(), in_session),
        Ok(Body::Batch(messages)) if *era == Ok(Era::Old { batches: true }) => {
            let ids: Vec<_> = messages.iter().filter_map(Message::id).collect();
            refusal.render_batch(&ids, in_session)
        }
        _ => refusal.render(Glimpse::of(beginning(body)).id(), in_session),
    }
}

/// Answers whose body is not taken, with the id of its request where that stands in what has come of it.
pub(super) fn refuse_unread(call: &mut Call<'_>, refusal: &Refusal, body: &[u8]) -> Response<Reply> {
    call.refused(refusal);
    refusal.render(Glimpse::of(beginning(body)).id(), false)
}

/// So much of a body as is looked at for an id, whoever sends it.
fn beginning(body: &[u8]) -> &[u8] {
    &body[..body.len().min(UNPROVED)]
}
