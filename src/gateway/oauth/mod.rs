//! The gateway as a protected resource (RFC 9728) and as the authorization server of its own tokens (RFC 6749, 7009, 7662,
//! 8414, 8693): on the data listener, before the upstream.
//!
//! What is public is read by anybody, from any page. The rest is decided, charged and recorded like any call: its endpoints
//! are `oauth/token`, `oauth/introspect` and `oauth/revoke` (`oauth/revoke-others` beside it for tokens of others), and each
//! needs a scope that covers it. What is written to the store is written by another thread than those of the data path.

mod answer;
mod caller;
mod form;
mod grant;
mod inquiry;
pub mod login;
mod metadata;

use std::rc::Rc;

use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::domain::decision::Reason;
use crate::domain::endpoint::Endpoint;

use self::answer::{Fault, Service, refused, whole};
use self::form::Form;
use super::call::Call;
use super::call::origin::Foreign;
use super::call::refusal::Refusal;
use super::forward::{discard, ended_early, too_slow};
use super::shared::Shared;
use super::stream::Reply;
use super::wire::{Parts, Received, are_media};
use super::worker::Worker;

pub use metadata::Page;

/// A longer form is 413.
const FORM: usize = 64 * 1024;
/// What is asked for beside `oauth/revoke` where the token is somebody else's.
const OF_OTHERS: &str = "oauth/revoke-others";

/// What is served here of all paths.
pub enum Place {
    Page(Page),
    Service(Service),
}

impl Place {
    pub fn of(shared: &Shared, path: &str) -> Option<Self> {
        let service = match path {
            "/oauth/token" => Service::Token,
            "/oauth/introspect" => Service::Introspect,
            "/oauth/revoke" => Service::Revoke,
            _ => return Page::of(shared, path).map(Self::Page),
        };
        Some(Self::Service(service))
    }
}

/// Why a service does not do what it was asked for.
enum Stopped {
    /// By the judgement of every call.
    Refused(Refusal),
    Fault(Fault),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Answers a request to `place`.
pub async fn serve(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    place: Place,
    parts: &Parts,
    body: Received,
) -> Response<Reply> {
    match place {
        Place::Page(page) => metadata::serve(worker, call, foreign, page, parts).await,
        Place::Service(service) => match act(worker, call, foreign, service, parts, body).await {
            Ok(answer) => {
                call.answered();
                whole(StatusCode::OK, answer)
            }
            Err(Stopped::Refused(refusal)) => {
                call.refused(&refusal);
                refused(service, &refusal)
            }
            Err(Stopped::Fault(fault)) => {
                if !call.is_admitted() {
                    let why = format!("{}: {}", fault.error, fault.description);
                    call.refused(&Refusal::because(Reason::BadRequest).noting(why));
                }
                let body = json!({ "error": fault.error, "error_description": fault.description });
                whole(fault.status, Some(body))
            }
        },
    }
}

async fn act(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    service: Service,
    parts: &Parts,
    body: Received,
) -> Result<Option<Value>, Stopped> {
    call.asks(endpoint_of(service.endpoint())?);
    if let Err(refusal) = require_form(worker, foreign, parts) {
        return Err(discard(worker, &parts.headers, body, refusal).await.into());
    }
    let form = receive(worker, body).await?;
    let now = worker.up_to_date().await.map_err(|_| Refusal::because(Reason::Unavailable))?;
    let credential = caller::credential(call, parts, service, &form)?;
    let principal = call.authenticate(&credential, now)?;
    match service {
        Service::Token => grant::check(worker, call, &principal, &form)?,
        Service::Introspect => _ = form.need("token")?,
        Service::Revoke => {
            if !inquiry::is_own(worker, &principal, form.need("token")?) {
                call.asks_beside(endpoint_of(OF_OTHERS)?);
            }
        }
    }
    call.decide(&principal).await?;
    match service {
        Service::Token => Ok(Some(grant::serve(worker, &principal, &form).await?)),
        Service::Introspect => Ok(Some(inquiry::introspect(worker, &form).await?)),
        Service::Revoke => {
            inquiry::revoke(worker, &principal, &form).await?;
            Ok(None)
        }
    }
}

fn endpoint_of(name: &str) -> Result<Endpoint, Fault> {
    Endpoint::mcp(name, None).map_err(|error| Fault::invalid_request(error.to_string()))
}

/// Whether the head is that of a form, which is the whole body and stands nowhere else.
fn require_form(worker: &Worker, foreign: Result<(), Foreign>, parts: &Parts) -> Result<(), Refusal> {
    let wrong = |message: &'static str| Err(Refusal::bad_request(StatusCode::BAD_REQUEST, message));
    foreign.map_err(|foreign| foreign.refusal(&parts.headers, &worker.shared.settings))?;
    if parts.method != Method::POST {
        return Err(Refusal::method_not_allowed("POST"));
    }
    let [is_form] = are_media(&parts.headers, ["application/x-www-form-urlencoded"]);
    if !is_form {
        return wrong("the body has to be a form: application/x-www-form-urlencoded");
    }
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return wrong("parameters belong into the body, not into the URL");
    }
    Ok(())
}

async fn receive(worker: &Worker, body: Received) -> Result<Form, Stopped> {
    let read = timeout(worker.shared.settings.timeouts.body, Limited::new(body, FORM).collect()).await;
    let bytes = match read {
        Ok(Ok(whole)) => whole.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let message = "the form is longer than 64 KiB";
            return Err(Refusal::bad_request(StatusCode::PAYLOAD_TOO_LARGE, message).closing().into());
        }
        Ok(Err(_)) => return Err(ended_early().into()),
        Err(_) => return Err(too_slow().into()),
    };
    Ok(Form::parse(&bytes)?)
}
