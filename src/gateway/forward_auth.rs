//! Forward-auth: `/verify` on the admin listener tells another proxy whether its client's request may pass.
//!
//! The proxy says what was asked in one of three ways, and never in two at once: a client could have written the other.
//! - nginx: `X-Original-URI` and `X-Original-Method`. nginx makes 500 of every answer but 2xx, 401 and 403, so it gets
//!   only these; the true status is in `X-Authz-Status`, the refusal's body in `X-Authz-Body`.
//! - Traefik, Caddy, HAProxy: `X-Forwarded-Uri` and `X-Forwarded-Method`. They get the true status.
//! - Envoy: the request's own method, its target after `/verify`. It gets the true status.
//!
//! A page that may call gets the fields of CORS with every answer, for the proxy to pass on; its preflight is allowed
//! without a credential.
//!
//! The proxy forwards the request as it came, so that its path must already be in normal form, and nobody here sees the
//! body: a call to the MCP endpoint is judged by its headers, which is safe only from MCP 2026-07-28 on, whose servers
//! refuse a body that says otherwise.

use std::borrow::Cow;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use ipnet::IpNet;

use crate::domain::decision::{Principal, Reason};
use crate::domain::endpoint::Endpoint;
use crate::domain::text::first_of;

use super::call::Call;
use super::call::introduction::Introductions;
use super::call::origin::{self, Foreign};
use super::call::refusal::Refusal;
use super::call::route::{endpoint, is_served};
use super::connection::peer::Peer;
use super::freshness::Freshness;
use super::shared::Shared;
use super::wire::{Fields, Parts, RequestIds, Several, text};
use super::{cors, mcp};

const PATH: &str = "/verify";

const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const STATUS: HeaderName = HeaderName::from_static("x-authz-status");
const BODY: HeaderName = HeaderName::from_static("x-authz-body");

/// Whether a path of the admin listener is such a question.
pub fn is_question(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers the questions of trusted proxies.
pub struct Verifier {
    shared: Arc<Shared>,
    trusted: Vec<IpNet>,
    ids: RequestIds,
    introductions: Introductions,
}

/// What a client asked the proxy for.
struct Asked<'a> {
    method: Method,
    path: Endpoint,
    query: Option<&'a str>,
}

impl Verifier {
    /// Trusted are the proxies of `--trusted-proxy`; and where the admin listener is on loopback, so that nobody else
    /// can reach it, loopback.
    ///
    /// # Errors
    /// Where the system gives no random bytes for the ids of requests.
    pub fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let mut trusted = shared.settings.trusted_proxies.clone();
        if shared.settings.admin_listen.ip().to_canonical().is_loopback() {
            trusted.extend(
                ["127.0.0.0/8", "::1/128"].iter().filter_map(|network| network.parse::<IpNet>().ok()),
            );
        }
        Ok(Self { shared, trusted, ids: RequestIds::new()?, introductions: Introductions::default() })
    }

    /// Decides, charges and records a request that the proxy holds back, as the data path does.
    pub async fn answer(&self, freshness: &Freshness, peer: Peer, parts: &Parts) -> Response<Full<Bytes>> {
        let headers = &parts.headers;
        if let Some(why) = self.stranger(peer, headers) {
            let refusal = Refusal::stranger().noting(why);
            Call::of_stranger(&self.shared, &self.ids, peer).refused(&refusal);
            return refusal.render(None, false);
        }
        let mut call = Call::behind(&self.shared, &self.ids, peer, headers, &self.trusted);
        let page = origin::page(headers, &self.shared.settings);
        let is_preflight = matches!(page, Ok(Some(_))) && is_preflight(parts);
        let judged = if is_preflight { None } else { Some(self.judge(freshness, &mut call, parts).await) };
        let mut response = match judged {
            None => {
                let mut response = Response::default();
                cors::invite(response.headers_mut(), headers);
                response
            }
            Some(Ok(principal)) => {
                call.answered();
                let mut response = Response::default();
                let fields = response.headers_mut();
                self.introductions.introduce(&principal, |introduction| {
                    fields.extend(introduction.fields().iter().cloned());
                });
                let no_store = HeaderValue::from_static("no-store");
                response.headers_mut().insert(header::CACHE_CONTROL, no_store);
                response
            }
            Some(Err(refusal)) => {
                call.refused(&refusal);
                let response = refusal.render::<Bytes>(None, false);
                if headers.has(&ORIGINAL_URI) { for_nginx(response) } else { response.map(Full::new) }
            }
        };
        if let Ok(Some(origin)) = page {
            cors::share_fields(response.headers_mut(), origin);
        }
        call.request_id.put_into(response.headers_mut());
        response
    }

    /// Why whoever asks may not, where that is so: for the event.
    fn stranger(&self, peer: Peer, headers: &Fields) -> Option<String> {
        let address = peer.address;
        if !peer.is_of(&self.trusted) {
            let trusted = first_of(&self.trusted, ToString::to_string);
            return Some(match self.trusted.is_empty() {
                true => format!("{address} asks for a decision; no proxy is trusted (--trusted-proxy)"),
                false => format!("{address} asks for a decision; trusted proxies: {trusted}"),
            });
        }
        let settings = &self.shared.settings;
        (!origin::is_host_of_proxy_acceptable(headers, settings))
            .then(|| Foreign::HostDenied.why(headers, settings))
    }

    async fn judge(
        &self,
        freshness: &Freshness,
        call: &mut Call<'_>,
        parts: &Parts,
    ) -> Result<Rc<Principal>, Refusal> {
        let headers = &parts.headers;
        let asked = asked(parts).and_then(|asked| match self.ask(call, &asked, headers) {
            Ok(()) => Ok(asked),
            Err(refusal) => {
                // What was meant is not known; where it went to is.
                call.asks(asked.path);
                Err(refusal)
            }
        });
        freshness.up_to_date().await.map_err(|_| Refusal::because(Reason::Unavailable))?;
        let settings = &self.shared.settings;
        origin::page(headers, settings).map_err(|foreign| foreign.refusal(headers, settings))?;
        // What was asked for in no way that can be read is nothing that a proof could be for.
        let (method, path, query) = match &asked {
            Ok(asked) => (&asked.method, asked.path.as_str(), asked.query),
            Err(_) => (&parts.method, "", None),
        };
        let credential = call.credential(method, path, headers, query);
        let principal = call.authenticate(&credential, self.shared.engine.clock().now())?;
        asked?;
        call.decide(&principal).await?;
        Ok(principal)
    }

    fn ask(&self, call: &mut Call<'_>, asked: &Asked<'_>, headers: &Fields) -> Result<(), Refusal> {
        if self.shared.mcp_path.matches(asked.path.as_str()) {
            return match asked.method {
                Method::POST => mcp::ask_by_headers(call, headers),
                _ => Err(Refusal::method_not_allowed("POST")),
            };
        }
        if !is_served(&asked.method) {
            return Err(Refusal::method_not_allowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        call.asks(asked.path.clone());
        Ok(())
    }
}

fn bad_request(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::bad_request(StatusCode::BAD_REQUEST, message)
}

/// Whether it is a browser's question before the real request: it has no credential, and the proxy answers it with the
/// fields of this answer. A proxy that lets pass what is allowed here must know each of them for one, or it would pass a
/// stranger's request on: so nothing counts that it could read otherwise, and nothing that nginx asks about before it lets
/// pass, since that has its questions answered in another way.
fn is_preflight(parts: &Parts) -> bool {
    let headers = &parts.headers;
    let method = headers.single_to_the_letter(&header::ACCESS_CONTROL_REQUEST_METHOD);
    matches!(method, Ok(Some(method)) if Method::from_bytes(method).is_ok())
        && !headers.has(&ORIGINAL_URI)
        && asked(parts).is_ok_and(|asked| asked.method == Method::OPTIONS)
}

/// What the proxy says was asked.
fn asked(parts: &Parts) -> Result<Asked<'_>, Refusal> {
    const WAYS: &str = "the proxy must say what was asked in one way: X-Original-URI and -Method, or X-Forwarded-Uri \
                        and -Method, or in the path after /verify";
    let headers = &parts.headers;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let target = target.strip_prefix(PATH).filter(|rest| rest.starts_with('/'));
    let (method, target) = match (single(headers, &ORIGINAL_URI)?, single(headers, &FORWARDED_URI)?, target) {
        (Some(uri), None, None) => (single(headers, &ORIGINAL_METHOD)?, uri),
        (None, Some(uri), None) => (single(headers, &FORWARDED_METHOD)?, uri),
        (None, None, Some(target)) => (Some(parts.method.as_str()), target),
        _ => return Err(bad_request(WAYS)),
    };
    let method = method.and_then(|method| method.parse().ok()).ok_or_else(|| bad_request(WAYS))?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let normal = endpoint(path)?;
    if normal.as_str() != path {
        let message = "the path is not in normal form, and the proxy passes it on as it is";
        return Err(bad_request(message));
    }
    Ok(Asked { method, path: normal, query })
}

/// The text of a field that may stand once: a second one, in whatever spelling, could be the client's.
fn single<'a>(headers: &'a Fields, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let several = |Several| bad_request(format!("{name} stands more than once"));
    headers.single(name).map_err(several)?;
    let value = headers.single_to_the_letter(name).map_err(several)?;
    let visible = |value| text(value).ok_or_else(|| bad_request(format!("{name} is not visible ASCII")));
    value.map(visible).transpose()
}

/// A refusal as nginx can take it.
fn for_nginx(refused: Response<Bytes>) -> Response<Full<Bytes>> {
    let (mut head, body) = refused.into_parts();
    head.headers.insert(STATUS, HeaderValue::from(head.status.as_u16()));
    // JSON escapes control characters, so that its text can stand in a field.
    if let Ok(text) = HeaderValue::from_bytes(&body) {
        head.headers.insert(BODY, text);
    }
    if head.status != StatusCode::UNAUTHORIZED {
        head.status = StatusCode::FORBIDDEN;
    }
    Response::from_parts(head, Full::new(body))
}
