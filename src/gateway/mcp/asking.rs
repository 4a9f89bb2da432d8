//! What messages ask for: the endpoints by which they are judged, within the bounds of one HTTP request.

use super::body::Message;
use super::era::{self, Mismatch};
use super::refusing::bad_request;
use crate::domain::endpoint::Endpoint;
use crate::gateway::call::Call;
use crate::gateway::call::refusal::Refusal;
use crate::gateway::wire::Fields;

/// The endpoints of GET and DELETE.
pub(super) const STREAM: &str = "stream";
pub(super) const SESSION_END: &str = "session/end";

/// So many messages, with the resources that they want to hear of, may stand in one HTTP request.
const MOST: usize = 256;
/// So many bytes of paths and URIs that can be read in more than one way may: each costs the time of up to 32 readings.
const MOST_READ: usize = 32 * 1024;

/// Makes calls of messages: of all, or of none where one asks for what cannot be.
///
/// # Errors
/// 400 where one is no endpoint, or there is more in the request than may be.
pub(super) fn ask(call: &mut Call<'_>, messages: &[Message<'_>]) -> Result<(), Refusal> {
    let count: usize = messages.iter().map(|message| 1 + message.subscriptions().len()).sum();
    let is_bounded = match count > MOST {
        true => Err(bad_request("a request holds at most 256 messages and resources to listen to, together")),
        false => Ok(()),
    };
    let heard = if let [message] = messages {
        call.asks(endpoint(message)?);
        is_bounded.and_then(|()| listens_to(call, message))
    } else {
        let asked = messages.iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
        asked.into_iter().zip(messages).fold(is_bounded, |heard, (endpoint, message)| {
            call.asks(endpoint);
            heard.and_then(|()| listens_to(call, message))
        })
    };
    heard?;
    match call.to_be_read() > MOST_READ {
        true => {
            Err(bad_request("a request has at most 32 KiB of URIs that can be read in more than one way"))
        }
        false => Ok(()),
    }
}

/// Adds to the last call each resource that its message wants to hear of.
fn listens_to(call: &mut Call<'_>, message: &Message<'_>) -> Result<(), Refusal> {
    for uri in message.subscriptions() {
        let endpoint = Endpoint::mcp("subscriptions/listen", Some(uri));
        call.asks_beside(endpoint.map_err(|fault| bad_request(fault.to_string()))?);
    }
    Ok(())
}

/// What a message asks for. What it costs follows from that alone: a server that runs any method without an id must not be
/// a way around the limits.
fn endpoint(message: &Message<'_>) -> Result<Endpoint, Refusal> {
    method_endpoint(message.method().unwrap_or("notifications/response"), message.acts_on())
}

/// What the message of a body asks for. [`STREAM`] and [`SESSION_END`] are asked for by GET and DELETE alone.
fn method_endpoint(method: &str, target: Option<&str>) -> Result<Endpoint, Refusal> {
    if matches!(method, STREAM | SESSION_END) {
        return Err(bad_request("the stream and the end of a session are no methods of JSON-RPC"));
    }
    Endpoint::mcp(method, target).map_err(|fault| bad_request(fault.to_string()))
}

/// Makes a call of what the headers of a POST ask for, where nobody will see the body.
///
/// # Errors
/// 400 where they are missing, contradict each other, or name no endpoint.
pub fn ask_by_headers(call: &mut Call<'_>, headers: &Fields) -> Result<(), Refusal> {
    let (method, target) = era::asked(headers).map_err(Refusal::mismatch)?;
    // What it acts on is in the body alone, where the header does not name it.
    if matches!(method, "resources/subscribe" | "resources/unsubscribe") && target.is_none() {
        return Err(Refusal::mismatch(Mismatch::Header("Mcp-Name is missing".into())));
    }
    call.asks(method_endpoint(method, target.as_deref())?);
    Ok(())
}
