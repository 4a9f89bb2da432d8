//! What the authorization server is asked to do, and how it answers: in the words of RFC 6749 §5.2.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::decision::{Principal, Reason};
use crate::gateway::call::refusal::Refusal;
use crate::gateway::stream::Reply;
use crate::gateway::worker::Worker;
use crate::ops::{Ctx, OpsError};

/// What a client asks the authorization server to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Token,
    Introspect,
    Revoke,
}

impl Service {
    /// By which name it is judged.
    pub const fn endpoint(self) -> &'static str {
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
    pub status: StatusCode,
    pub error: &'static str,
    pub description: String,
}

impl Fault {
    pub fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }

    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    pub fn unavailable() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, ..Self::new("temporarily_unavailable", Reason::Unavailable.explanation()) }
    }
}

/// Does an act on the store on another thread, in the name of who asked for it.
///
/// # Errors
/// [`Fault::unavailable`] where that thread ended in a panic; within, whatever hindered the act.
pub async fn done<T: Send + 'static>(
    worker: &Worker,
    principal: &Principal,
    act: impl FnOnce(&Ctx) -> Result<T, OpsError> + Send + 'static,
) -> Result<Result<T, OpsError>, Fault> {
    let ctx = Ctx { actor: format!("oauth:{}", principal.credential), ..worker.shared.ctx.clone() };
    tokio::task::spawn_blocking(move || act(&ctx)).await.map_err(|_| Fault::unavailable())
}

/// A refusal as clients of an authorization server read it: the status and the fields of every refusal, the body of theirs.
pub fn refused(service: Service, refusal: &Refusal) -> Response<Reply> {
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
pub fn whole(status: StatusCode, body: Option<Value>) -> Response<Reply> {
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

/// JSON as it is sent.
pub fn to_bytes(value: &impl Serialize) -> Bytes {
    // A value made of JSON is always JSON.
    serde_json::to_vec(value).unwrap_or_default().into()
}
