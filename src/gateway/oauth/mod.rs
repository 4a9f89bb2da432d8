//! The gateway as a protected resource (RFC 9728) and as the authorization server of its own tokens (RFC 6749, 7009, 7662,
//! 8414, 8693): on the data listener, before the upstream.
//!
//! What is public is read by anybody, from any page. The rest is decided, charged and recorded like any call: its endpoints
//! are `oauth/token`, `oauth/introspect` and `oauth/revoke` (`oauth/revoke-others` beside it for tokens of others), and each
//! needs a scope that covers it. What is written to the store is written by another thread than those of the data path.

mod caller;
mod form;
mod grant;
mod inquiry;
pub mod login;
mod metadata;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::domain::decision::{Principal, Reason};
use crate::domain::endpoint::Endpoint;
use crate::ops::{Ctx, OpsError};

use self::form::Form;
use super::call::Call;
use super::origin::Foreign;
use super::proxy::{self, of_foreign};
use super::received::{Parts, Received};
use super::refusal::Refusal;
use super::stream::Reply;
use super::shared::Shared;
use super::worker::Worker;

pub use metadata::Page;

/// A longer form is 413.
const FORM: usize = 64 * 1024;
/// What is asked for beside `oauth/revoke` where the token is somebody else's.
const OF_OTHERS: &str = "oauth/revoke-others";
/// How long a token lives that a client gets for its credential.
const LIFE: Duration = Duration::from_secs(300);

/// What a client asks the authorization server to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Token,
    Introspect,
    Revoke,
}

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

impl Service {
    const fn endpoint(self) -> &'static str {
        match self {
            Self::Token => "oauth/token",
            Self::Introspect => "oauth/introspect",
            Self::Revoke => "oauth/revoke",
        }
    }
}

/// An answer of RFC 6749 §5.2.
#[derive(Debug)]
pub struct Fault {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Fault {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }

    fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    fn unavailable() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, ..Self::new("temporarily_unavailable", Reason::Unavailable.explanation()) }
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
        return Err(proxy::discard(worker, &parts.headers, body, refusal).await.into());
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
    foreign.map_err(|foreign| of_foreign(foreign, &parts.headers, &worker.shared.settings))?;
    if parts.method != Method::POST {
        return Err(Refusal::method_not_allowed("POST"));
    }
    let [is_form] = proxy::are_media(&parts.headers, ["application/x-www-form-urlencoded"]);
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
        Ok(Err(_)) => return Err(proxy::ended_early().into()),
        Err(_) => return Err(proxy::too_slow().into()),
    };
    Ok(Form::parse(&bytes)?)
}

/// Does an act on the store on another thread, in the name of who asked for it.
async fn done<T: Send + 'static>(
    worker: &Worker,
    principal: &Principal,
    act: impl FnOnce(&Ctx) -> Result<T, OpsError> + Send + 'static,
) -> Result<Result<T, OpsError>, Fault> {
    let ctx = Ctx { actor: format!("oauth:{}", principal.credential), ..worker.shared.ctx.clone() };
    tokio::task::spawn_blocking(move || act(&ctx)).await.map_err(|_| Fault::unavailable())
}

/// A refusal as clients of an authorization server read it: the status and the fields of every refusal, the body of theirs.
fn refused(service: Service, refusal: &Refusal) -> Response<Reply> {
    let (mut head, _) = refusal.render::<Bytes>(None, false).into_parts();
    let error = match head.status {
        StatusCode::UNAUTHORIZED => {
            let basic = HeaderValue::from_static("Basic realm=\"portcullis\", charset=\"UTF-8\"");
            head.headers.insert(header::WWW_AUTHENTICATE, basic);
            "invalid_client"
        }
        StatusCode::FORBIDDEN if service == Service::Token => {
            head.status = StatusCode::BAD_REQUEST;
            "unauthorized_client"
        }
        StatusCode::FORBIDDEN => "insufficient_scope",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
        _ => "invalid_request",
    };
    let body = json!({ "error": error, "error_description": refusal.message() });
    Response::from_parts(head, Reply::from(to_bytes(&body)))
}

/// An answer that nobody may keep; without a body where there is nothing to say.
fn whole(status: StatusCode, body: Option<Value>) -> Response<Reply> {
    let mut response =
        Response::new(body.as_ref().map_or_else(Reply::default, |body| Reply::from(to_bytes(body))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

fn to_bytes(value: &impl Serialize) -> Bytes {
    // A value made of JSON is always JSON.
    serde_json::to_vec(value).unwrap_or_default().into()
}
