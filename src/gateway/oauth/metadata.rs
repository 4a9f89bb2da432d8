//! What anybody may read: the gateway as a protected resource (RFC 9728), its keys (RFC 7517), and itself as an
//! authorization server (RFC 8414).

use std::rc::Rc;

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::to_bytes;
use super::{grant, login};
use crate::domain::decision::Reason;
use crate::domain::jose::{Algorithm, base64};
use crate::gateway::call::Call;
use crate::gateway::call::origin::Foreign;
use crate::gateway::call::place;
use crate::gateway::call::refusal::Refusal;
use crate::gateway::cors;
use crate::gateway::forward::refuse;
use crate::gateway::shared::Shared;
use crate::gateway::stream::Reply;
use crate::gateway::wire::{Fields, Parts, text};
use crate::gateway::worker::Worker;

/// For what rests on a client's word, or on that of a proxy that may have passed one on: others must not go by it.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");
/// How long a reader may go by what it has read; a next key has to be published for longer than that before it signs.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// How clients prove who they are: by an API key (RFC 6749 §2.3.1).
const CLIENTS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// Why there is nothing to read.
fn unnamed(page: Page) -> &'static str {
    if page == Page::Server { login::NO_LOGIN } else { UNNAMED }
}

const UNNAMED: &str = "this gateway does not know by which URL its clients reach it, and names none for which it would \
                       refuse tokens: its operator sets that URL with serve --public-url";

/// What is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Resource,
    Keys,
    Server,
}

impl Page {
    /// The metadata of the resource is where its path leads (RFC 9728 §3.1), and where clients look that know none.
    pub fn of(shared: &Shared, path: &str) -> Option<Self> {
        match path {
            "/.well-known/jwks.json" => return Some(Self::Keys),
            "/.well-known/oauth-authorization-server" => return Some(Self::Server),
            _ => {}
        }
        let suffix = path.strip_prefix(place::METADATA)?;
        let own = [place::path(&shared.settings), shared.settings.upstream.path()];
        let is_own = suffix.trim_end_matches('/').is_empty() || own.contains(&suffix);
        is_own.then_some(Self::Resource)
    }
}

/// From any page: there is nothing in it that is not for everybody. The `Host` is judged as ever, because the answer may
/// rest on it.
pub async fn serve(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    foreign: Result<(), Foreign>,
    page: Page,
    parts: &Parts,
) -> Response<Reply> {
    const ALLOW: &str = "GET, HEAD, OPTIONS";
    if let Err(foreign @ (Foreign::HostInvalid | Foreign::HostDenied)) = foreign {
        return refuse(call, &foreign.refusal(&parts.headers, &worker.shared.settings));
    }
    let mut response = match parts.method {
        Method::OPTIONS => cors::preflight(&parts.headers),
        Method::GET | Method::HEAD => match worker.up_to_date().await {
            Ok(_) => {
                let is_kept = page == Page::Keys || call.is_place_certain();
                match content(worker, call, page) {
                    Some(content) => rendered(&content, &parts.headers, is_kept),
                    None => {
                        let refusal = Refusal::bad_request(StatusCode::NOT_FOUND, unnamed(page));
                        // Clients look for an authorization server wherever they come; that is no fault of theirs.
                        if page == Page::Server {
                            refusal.render(None, false)
                        } else {
                            refuse(call, &refusal)
                        }
                    }
                }
            }
            Err(_) => return refuse(call, &Refusal::because(Reason::Unavailable)),
        },
        _ => return refuse(call, &Refusal::method_not_allowed(ALLOW)),
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// `None` where there is nothing of which it is certain that it is true.
fn content(worker: &Worker, call: &Call<'_>, page: Page) -> Option<Value> {
    let engine = &worker.shared.engine;
    let origin = call.origin();
    let proving: Vec<_> = Algorithm::public_names().collect();
    Some(match page {
        Page::Resource => {
            let resource = call.named_resource()?;
            let mut servers = engine.authorization_servers();
            if worker.shared.settings.advertises_tokens {
                servers.push(origin);
            }
            let mut resource = json!({
                "resource": resource,
                "scopes_supported": engine.wanted_scopes(),
                "bearer_methods_supported": ["header"],
                "dpop_signing_alg_values_supported": proving,
                "resource_name": "Portcullis",
            });
            // An empty list is left out (RFC 9728 §2): where nobody can log in, no client is to try.
            if !servers.is_empty() {
                resource["authorization_servers"] = servers.into();
            }
            resource
        }
        Page::Keys => engine.key_set(worker.now()),
        Page::Server if !worker.shared.settings.advertises_tokens => return None,
        Page::Server => json!({
            "issuer": origin,
            "token_endpoint": format!("{origin}/oauth/token"),
            "introspection_endpoint": format!("{origin}/oauth/introspect"),
            "revocation_endpoint": format!("{origin}/oauth/revoke"),
            "jwks_uri": format!("{origin}/.well-known/jwks.json"),
            "grant_types_supported": ["client_credentials", grant::EXCHANGE],
            "token_endpoint_auth_methods_supported": CLIENTS,
            // RFC 8414 §2: also a type of access token, by which whoever asks may prove itself there.
            "introspection_endpoint_auth_methods_supported": [CLIENTS[0], CLIENTS[1], "Bearer"],
            "revocation_endpoint_auth_methods_supported": CLIENTS,
            "dpop_signing_alg_values_supported": proving,
            "response_types_supported": [],
            "scopes_supported": engine.wanted_scopes(),
        }),
    })
}

fn rendered(content: &Value, asked: &Fields, is_kept: bool) -> Response<Reply> {
    let bytes = to_bytes(content);
    let tag = format!("\"{}\"", base64::encode(&Sha256::digest(&bytes)[..16]));
    let is_known = is_kept
        && asked.all(&header::IF_NONE_MATCH).filter_map(text).any(|tags| {
            tags.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
        });
    let mut response = Response::new(if is_known { Reply::default() } else { Reply::from(bytes) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, if is_kept { CACHE } else { NOT_KEPT });
    if is_kept && let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
