//! What a client is told when the answer is no (design §4).
//!
//! On an MCP POST with an id the body is a JSON-RPC error with that id, everywhere else a small JSON object. All 401
//! look alike, whatever the reason: no oracle for existing keys.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::decision::{Denial, Reason};
use crate::domain::endpoint::Objection;
use crate::domain::leak::quoted;
use crate::domain::quota::{Charge, Window};
use crate::domain::usage;

use super::challenge::Challenge;
use crate::gateway::mcp::era::{BY_REQUEST, Mismatch, Odd, PROTOCOL_VERSION};
use crate::gateway::upstream::UpstreamFault;

/// JSON-RPC codes that MCP 2026-07-28 fixes (basic, Error Codes).
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;

/// The same whatever is wrong: no oracle.
const UNAUTHORIZED: &str = "a valid API key or token is needed, and this request came with none, or with one that is mistyped, \
                            expired or withdrawn: send it as Authorization: Bearer, or a key as X-API-Key; whoever runs this \
                            gateway issues them";

/// One refusal: what the client is told, and what is recorded.
#[derive(Debug)]
pub struct Refusal(Box<Details>);

#[derive(Debug)]
struct Details {
    status: StatusCode,
    code: i32,
    /// The code that the client sees.
    reason: &'static str,
    message: Cow<'static, str>,
    /// What the counters and events see.
    outcome: usage::Outcome,
    /// Which check failed, and what it compared with what: for the event alone.
    why: Option<Cow<'static, str>>,
    policy_revision: Option<u32>,
    retry_after: Option<Duration>,
    spent: Option<(Window, u32)>,
    challenge: Option<HeaderValue>,
    allow: Option<&'static str>,
    /// The narrowest scope that would have sufficed.
    wanted: Option<String>,
    /// The version of MCP that was asked for in vain.
    unsupported: Option<String>,
    /// Whether it is of one call, which is not known well enough to be judged.
    is_objection: bool,
    /// Whether the connection ends with it, because its request was not read to the end.
    closes: bool,
}

impl Refusal {
    fn new(status: StatusCode, reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details {
            status,
            code: i32::from(status.as_u16()),
            reason: reason.as_str(),
            message: message.into(),
            outcome: usage::Outcome::Denied(reason),
            why: None,
            policy_revision: None,
            retry_after: None,
            spent: None,
            challenge: None,
            allow: None,
            wanted: None,
            unsupported: None,
            is_objection: false,
            closes: false,
        }))
    }

    /// A refusal that needs no policy: by origin, session, or because something of ours cannot answer.
    pub fn because(reason: Reason) -> Self {
        let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::FORBIDDEN);
        let mut refusal = Self::new(status, reason, reason.explanation());
        if reason.is_unauthorized() {
            refusal.0.reason = "unauthorized";
            refusal.0.message = UNAUTHORIZED.into();
        }
        if reason == Reason::Unavailable {
            refusal.0.retry_after = Some(Duration::from_secs(1));
        }
        refusal
    }

    /// The same with what its client is to do about it (RFC 9110 §11.6.1).
    pub fn challenged(mut self, challenge: Challenge) -> Self {
        self.0.challenge = Some(challenge.into());
        self
    }

    /// The same in other words.
    pub fn saying(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The same, with what the event says of it beside the reason. The client is not told.
    pub fn noting(mut self, why: impl Into<Cow<'static, str>>) -> Self {
        self.0.why = Some(why.into());
        self
    }

    /// The same with the scope that would have sufficed, where one would that does not cover everything.
    pub fn wanting(mut self, scope: Option<String>) -> Self {
        self.0.wanted = scope;
        self
    }

    /// A credential that is not presented as it should be (RFC 6750 §3.1).
    pub fn improper(message: &'static str) -> Self {
        let mut refusal = Self::new(StatusCode::BAD_REQUEST, Reason::BadRequest, message);
        refusal.0.outcome = usage::Outcome::Denied(Reason::Malformed);
        refusal.challenged(Challenge::improper())
    }

    /// A token that is longer than the gateway takes. How long it is says nothing of whether it is good.
    pub fn long_token(most: usize) -> Self {
        let message = format!(
            "the token is longer than the {most} bytes that this gateway takes; its operator can raise that with serve \
             --max-token"
        );
        let why = format!("credential: the token is longer than the {most} bytes of --max-token");
        let mut refusal = Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Reason::BadRequest, message);
        refusal.0.outcome = usage::Outcome::Denied(Reason::Malformed);
        refusal.noting(why)
    }

    /// A refusal by decision.
    pub fn denied(denial: &Denial, policy_revision: Option<u32>, charge: Option<&Charge>) -> Self {
        let mut refusal = Self::because(denial.reason);
        if denial.reason.is_unauthorized() {
            return refusal;
        }
        refusal.0.policy_revision = policy_revision;
        refusal.0.retry_after = denial.retry_after.or(refusal.0.retry_after);
        if let Some(Charge::Refused { window, limit, retry_after }) = charge {
            refusal.0.spent = Some((*window, *limit));
            refusal.0.retry_after = Some(*retry_after);
        }
        refusal
    }

    pub fn mismatch(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::Header(Odd { told, compared }) => {
                let mut refusal = Self::new(StatusCode::BAD_REQUEST, Reason::HeaderMismatch, told);
                refusal.0.code = HEADER_MISMATCH;
                refusal.0.why = compared.map(Cow::from);
                refusal
            }
            Mismatch::UnsupportedVersion(asked) => {
                Self::unsupported("this version of MCP is not supported", asked)
            }
            Mismatch::NeedsBody(asked) => Self::unsupported(
                "forward-auth sees headers only, and those of MCP before 2026-07-28 prove nothing: older clients \
                 need portcullis serve in their way",
                asked,
            ),
            Mismatch::MissingMeta => {
                let message = "the request's _meta lacks io.modelcontextprotocol/protocolVersion";
                let mut refusal = Self::new(StatusCode::BAD_REQUEST, Reason::BadRequest, message);
                refusal.0.code = INVALID_PARAMS;
                refusal
            }
        }
    }

    fn unsupported(message: &'static str, asked: String) -> Self {
        let mut refusal = Self::new(StatusCode::BAD_REQUEST, Reason::BadRequest, message);
        refusal.0.code = UNSUPPORTED_VERSION;
        refusal.0.why = Some(format!("{PROTOCOL_VERSION}: `{}`; {message}", quoted(&asked)).into());
        refusal.0.unsupported = Some(asked);
        refusal
    }

    /// A stream of events more than one caller may have open.
    pub fn too_many_streams() -> Self {
        let message = "this caller has all the event streams open that it may have; it has to end one first";
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited, message);
        refusal.0.retry_after = Some(Duration::from_secs(1));
        refusal.noting(message)
    }

    /// A question of somebody who is no trusted proxy.
    pub fn stranger() -> Self {
        let message = "only a trusted proxy may ask for decisions: name it with --trusted-proxy";
        Self::new(StatusCode::FORBIDDEN, Reason::OriginDenied, message)
    }

    /// A request that is not well formed, or larger or slower than is taken.
    pub fn bad_request(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, Reason::BadRequest, message)
    }

    /// A call of which it is not known what servers would take it for.
    pub fn objection(objection: Objection) -> Self {
        let mut refusal = Self::bad_request(StatusCode::BAD_REQUEST, objection.as_str());
        refusal.0.is_objection = true;
        if objection == Objection::UnknownMethod {
            refusal.0.code = METHOD_NOT_FOUND;
        }
        refusal
    }

    /// The same as MCP from 2026-07-28 on has it: an unknown method is 404. Before, 404 was the end of a session.
    pub fn not_found(mut self) -> Self {
        if self.0.code == METHOD_NOT_FOUND {
            self.0.status = StatusCode::NOT_FOUND;
        }
        self
    }

    /// The same, with word that the connection ends (RFC 9112 §9.6). Without it a proxy would send the next request, of
    /// somebody else perhaps, over a connection on which nobody listens any more. HTTP/2 has no use for it.
    pub fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut refusal =
            Self::new(StatusCode::METHOD_NOT_ALLOWED, Reason::BadRequest, "this method is not served here");
        refusal.0.allow = Some(allow);
        refusal
    }

    pub fn upstream(fault: UpstreamFault) -> Self {
        let (status, message) = match fault {
            UpstreamFault::Down => {
                (StatusCode::BAD_GATEWAY, "the MCP server behind the gateway cannot be reached")
            }
            UpstreamFault::Slow => {
                (StatusCode::GATEWAY_TIMEOUT, "the MCP server behind the gateway did not answer in time")
            }
            UpstreamFault::Garbled => (
                StatusCode::BAD_GATEWAY,
                "the MCP server behind the gateway gave an answer that cannot be passed on",
            ),
        };
        let mut refusal = Self::new(status, Reason::Unavailable, message);
        refusal.0.reason = fault.as_str();
        refusal.0.outcome = usage::Outcome::Failed;
        refusal
    }

    /// What the counters and events see.
    pub fn outcome(&self) -> usage::Outcome {
        self.0.outcome
    }

    /// What the event says of it beside the reason: what was noted, else what the client is told where that says more than
    /// the reason does.
    pub fn why(&self) -> Option<&str> {
        let is_told = self.0.status == StatusCode::BAD_REQUEST
            || matches!(self.0.outcome, usage::Outcome::Denied(Reason::BadRequest | Reason::HeaderMismatch));
        self.0.why.as_deref().or_else(|| is_told.then_some(&*self.0.message))
    }

    /// What the client is told, in a sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether its client is told that it has not proved itself.
    pub fn is_unauthorized(&self) -> bool {
        self.0.status == StatusCode::UNAUTHORIZED
    }

    /// Whether it refuses a single call by policy, or since nobody knows what it asks for, so that older clients must not
    /// take it for the end of a session. A scope that is missing is told by status to those that are challenged and can ask for more.
    fn is_of_single_call(&self) -> bool {
        let wants_scope = self.0.outcome == usage::Outcome::Denied(Reason::InsufficientScope);
        (wants_scope && self.0.challenge.is_none())
            || self.0.is_objection
            || matches!(
                self.0.outcome,
                usage::Outcome::Denied(
                    Reason::TimeDenied
                        | Reason::IpDenied
                        | Reason::EndpointDenied
                        | Reason::ToolUnsigned
                        | Reason::ToolChanged
                        | Reason::RateLimited
                )
            )
    }

    /// The response. `id` is that of the JSON-RPC request, where there is one; `in_session` whether its client would
    /// take a 4xx for the end of its session, to a notification as to a request.
    pub fn render<B: From<Bytes>>(&self, id: Option<&RawValue>, in_session: bool) -> Response<B> {
        let mut response = Response::new(B::from(self.body(id)));
        *response.status_mut() =
            if in_session && self.is_of_single_call() { StatusCode::OK } else { self.0.status };
        self.fill(response.headers_mut());
        response
    }

    /// The same for a batch: each of its requests gets the refusal, in one array (JSON-RPC 2.0 §6). Who did not prove to be
    /// anybody is told once.
    pub fn render_batch<B: From<Bytes>>(&self, ids: &[&RawValue], in_session: bool) -> Response<B> {
        let Some(first) = ids.first().filter(|_| self.0.status != StatusCode::UNAUTHORIZED) else {
            return self.render(None, in_session);
        };
        let bodies: Vec<_> = ids.iter().map(|id| self.body(Some(id))).collect();
        let body = [&b"["[..], &bodies.join(&b","[..]), b"]"].concat();
        self.render::<Bytes>(Some(first), in_session).map(|_| B::from(body.into()))
    }

    fn fill(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.0.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(challenge) = &self.0.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
        }
        if let Some(allow) = self.0.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        let Some(seconds) = self.0.retry_after.map(whole_seconds) else { return };
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        let Some((window, limit)) = self.0.spent else { return };
        // draft-ietf-httpapi-ratelimit-headers-10: q = quota, w = window, r = remaining, t = seconds until more.
        let (name, length) = (window.as_str(), window.length().as_secs());
        for (field, text) in [
            ("ratelimit-policy", format!("\"{name}\";q={limit};w={length}")),
            ("ratelimit", format!("\"{name}\";r=0;t={seconds}")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(field, value);
            }
        }
    }

    fn body(&self, id: Option<&RawValue>) -> Bytes {
        let error = ErrorObject {
            code: self.0.code,
            message: &self.0.message,
            data: Data {
                reason: self.0.reason,
                retry_after_ms: self
                    .0
                    .retry_after
                    .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
                policy_revision: self.0.policy_revision,
                scopes: self.0.wanted.as_deref().map(|scope| [scope]),
                supported: self.0.unsupported.is_some().then_some(BY_REQUEST.as_slice()),
                requested: self.0.unsupported.as_deref(),
            },
        };
        let body = ErrorBody { jsonrpc: id.map(|_| "2.0"), id, error };
        // Serializing these plain structures cannot fail; an empty body would still be a refusal.
        serde_json::to_vec(&body).unwrap_or_default().into()
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    jsonrpc: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: i32,
    message: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_revision: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supported: Option<&'static [&'static str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<&'a str>,
}

#[cfg(test)]
mod tests;
